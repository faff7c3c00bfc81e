//! How a failed cell reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use evcxr::{CompilationError, Theme};

use crate::cargo;
use crate::syntax::{self, Fault};

const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// Chooses between the two languages, as the crate does: by the first of these variables that is set and not empty.
pub fn language<T>(english: T, russian: T) -> T {
    let names = ["SVERTKA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
    let set = names
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if set.is_some_and(|language| language.to_lowercase().starts_with("ru")) {
        russian
    } else {
        english
    }
}

pub fn say(english: &'static str, russian: &'static str) -> &'static str {
    language(english, russian)
}

/// Whether the standard library's sources are there, without which rust-analyzer finds hardly a type.
pub fn has_rust_src(rustc: &Path) -> bool {
    let asked = Command::new(rustc).args(["--print", "sysroot"]).output();
    asked.is_ok_and(|answer| {
        let sysroot = String::from_utf8_lossy(&answer.stdout);
        Path::new(sysroot.trim())
            .join("lib/rustlib/src/rust/library/std/src/lib.rs")
            .is_file()
    })
}

/// Why a cell failed, as Jupyter wants it.
#[derive(Debug)]
pub struct Failure {
    pub name: String,
    pub value: String,
    pub traceback: Vec<String>,
}

impl Failure {
    pub fn new(name: &str, value: &str) -> Self {
        let value = value.trim();
        Self {
            name: name.into(),
            value: value.into(),
            traceback: vec![format!("{RED}{name}{PLAIN}: {value}")],
        }
    }

    /// What evcxr or cargo has to say, which may be several lines: the first ones are the reason.
    pub fn of_tool(text: &str) -> Self {
        Self {
            value: one_line(text),
            ..Self::new("error", text)
        }
    }

    /// The compilers were stopped by an interrupt.
    pub fn interrupted() -> Self {
        Self::new(
            "interrupted",
            say(
                "Stopped while the cell was being compiled: nothing of it ran.",
                "Остановлено во время компиляции: ничего из ячейки не выполнено.",
            ),
        )
    }

    /// A variable's type can't be found for want of the standard library's sources.
    pub fn no_rust_src(rustc: &Path) -> Self {
        let command = install_rust_src(rustc);
        Self::new(
            "rust-src",
            &language(
                format!(
                    "The sources of Rust's standard library are missing (rust-src), and without them the types of variables \
                     can't be found. Install them and restart the kernel: {command}"
                ),
                format!(
                    "Нет исходников стандартной библиотеки Rust (rust-src), а без них не найти типов переменных. \
                     Установите их и перезапустите ядро: {command}"
                ),
            ),
        )
    }

    /// The process that runs the cells has ended.
    pub fn ended(status: &str) -> Self {
        let status = status.lines().last().unwrap_or_default();
        let status = status
            .split_once("with status: ")
            .map_or(status, |(_, status)| status);
        let said = say(
            "The process that ran the cell has ended and the variables are lost; the next cell runs in a new one.",
            "Процесс, выполнявший ячейку, завершился, переменные потеряны; следующая ячейка выполнится в новом.",
        );
        Self::new("crash", &format!("{said} ({status})"))
    }

    pub fn one_line(&self) -> String {
        format!("{}: {}", self.name, self.value.replace('\n', " "))
    }
}

/// The folder of a rustc's toolchain, where rustup has put it.
pub fn toolchain(rustc: &Path) -> Option<&Path> {
    rustc.ancestors().find(|folder| {
        folder
            .parent()
            .is_some_and(|above| above.ends_with("toolchains"))
    })
}

/// The command that brings the standard library's sources for this rustc.
fn install_rust_src(rustc: &Path) -> String {
    let name = toolchain(rustc).and_then(|toolchain| toolchain.file_name()?.to_str());
    if let Some(name) = name {
        return format!("rustup component add rust-src --toolchain {name}");
    }
    let managers = [
        ("apt-get", "sudo apt-get install rust-src"),
        ("dnf", "sudo dnf install rust-src"),
        ("pacman", "sudo pacman -S rust-src"),
        ("zypper", "sudo zypper install rust-src"),
    ];
    managers
        .iter()
        .find(|(manager, _)| cargo::real(manager).is_ok())
        .map_or("https://rustup.rs", |(_, command)| command)
        .to_owned()
}

/// The line that helps of what a panic said: `message`, U+001F, place, with newlines escaped.
pub fn panic_message(text: &str) -> String {
    let (message, place) = text
        .trim_end()
        .split_once('\u{1f}')
        .unwrap_or((text.trim_end(), ""));
    // An error shown by `{:?}` inside the message was escaped twice.
    let message = message
        .replace("\\\\n", "\n")
        .replace("\\n", "\n")
        .replace("\\\"", "\"")
        .replace("\\'", "'");
    let message = message
        .split("\nException raised from ")
        .next()
        .unwrap_or_default();
    let message = message.replace("\\\\", "\\");
    let message = message
        .strip_prefix("called `Result::unwrap()` on an `Err` value: Torch(\"")
        .unwrap_or(&message);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    // A place in the code that evcxr generated says nothing to a learner.
    let ours = place.is_empty() || place.starts_with("src/lib.rs") || place.contains("/registry/");
    if ours {
        message
    } else {
        format!("{message} ({place})")
    }
}

/// Why a variable that there was is no more.
#[derive(Clone, Copy)]
pub enum Gone {
    /// The cell of this number moved it.
    Moved(usize),
    /// That cell defined it anew, and failed.
    Failed(usize),
    /// Its type was defined anew.
    Retyped,
}

/// rustc's errors, with the cell's lines and columns. `gone` are the variables that there were.
pub fn compile_errors(
    errors: &[CompilationError],
    code: &str,
    gone: &BTreeMap<String, Gone>,
) -> Failure {
    if let Some(fault) = syntax::fault(code) {
        return unbalanced(code, fault);
    }
    let mut traceback = Vec::new();
    for error in errors {
        traceback.push(draw(error, code));
        match why_gone(error, gone) {
            Some(why) => traceback.push(why),
            None => traceback.extend(error.help().into_iter().map(|help| format!("help: {help}"))),
        }
    }
    let first = errors.first();
    let name = first
        .and_then(|error| error.code())
        .unwrap_or("compile error");
    let value = first.map_or(String::new(), |error| {
        let primary = error.primary_spanned_message();
        let place = primary
            .and_then(|message| message.span)
            .map_or(String::new(), |span| {
                format!(" ({}:{})", span.start_line, span.start_column)
            });
        let mut message = why_gone(error, gone).unwrap_or_else(|| one_line(&error.message()));
        if let Some(label) = primary.map(|message| one_line(&message.label))
            && !message.contains('`')
            && !label.is_empty()
        {
            message += &format!(": {label}");
        }
        message + &place
    });
    Failure {
        name: name.into(),
        value,
        traceback,
    }
}

/// Brackets and strings without an end: rustc would point at what evcxr puts around the cell.
fn unbalanced(code: &str, fault: Fault) -> Failure {
    let (Fault::Open(at) | Fault::Stray(at)) = fault;
    let what = match (&fault, &code[at..]) {
        (Fault::Open(_), rest) if rest.starts_with('"') => "unterminated string".to_owned(),
        (Fault::Open(_), rest) if rest.starts_with('/') => "unterminated comment".to_owned(),
        (Fault::Open(_), rest) => format!("unclosed delimiter: `{}`", &rest[..1]),
        (Fault::Stray(_), rest) => format!("unexpected closing delimiter: `{}`", &rest[..1]),
    };
    let (row, line) = (
        code[..at].matches('\n').count() + 1,
        code[..at].rfind('\n').map_or(0, |end| end + 1),
    );
    let column = code[line..at].chars().count() + 1;
    let text = code[line..].lines().next().unwrap_or_default();
    let value = format!("{what} ({row}:{column})");
    let drawn = format!(
        "{RED}error{PLAIN}: {value}\n{row:4} │ {text}\n     │ {RED}{:>column$}{PLAIN}",
        '^'
    );
    Failure {
        name: "compile error".into(),
        value,
        traceback: vec![drawn],
    }
}

/// What there is to say of a variable that rustc can't find because it is gone.
fn why_gone(error: &CompilationError, gone: &BTreeMap<String, Gone>) -> Option<String> {
    let message = error.message();
    let name = message
        .strip_prefix("cannot find value `")?
        .split('`')
        .next()?;
    Some(match gone.get(name)? {
        Gone::Moved(cell) => language(
            format!("`{name}` was moved in cell {cell}: `&{name}` there keeps it"),
            format!(
                "`{name}` перемещена в ячейке {cell}: если написать там `&{name}`, она останется"
            ),
        ),
        Gone::Failed(cell) => language(
            format!("`{name}` is gone: cell {cell} defined it anew and failed; run it again"),
            format!(
                "`{name}` больше нет: ячейка {cell} определяла её заново и не выполнилась; выполните её ещё раз"
            ),
        ),
        Gone::Retyped => language(
            format!("`{name}` is gone: its type was defined anew"),
            format!("`{name}` больше нет: её тип определён заново"),
        ),
    })
}

/// The first paragraph of what a tool says, in one line.
fn one_line(text: &str) -> String {
    let lines = text.trim().lines().map(str::trim);
    let first: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let joined = first.join(" ");
    joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
}

/// The error drawn into the cell's text.
fn draw(error: &CompilationError, code: &str) -> String {
    let plain = || {
        let message = error.message();
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        let mut text = format!("{RED}error{PLAIN}: {message}");
        if let Some(message) = error.primary_spanned_message() {
            if let Some(span) = message.span {
                text += &format!(" ({}:{})", span.start_line, span.start_column);
            }
            text += &message
                .lines
                .iter()
                .map(|line| format!("\n    {line}"))
                .collect::<String>();
        }
        text
    };
    // evcxr draws only ASCII: every other character is replaced by one that the cell does not have, and put back.
    let Some(stand_in) = ('!'..='~')
        .rev()
        .find(|character| !code.contains(*character) && !character.is_alphanumeric())
    else {
        return plain();
    };
    let ascii: String = code
        .chars()
        .map(|character| {
            if character.is_ascii() {
                character
            } else {
                stand_in
            }
        })
        .collect();
    let has_place = error
        .spanned_messages()
        .iter()
        .any(|message| message.span.is_some() && !message.label.is_empty());
    let Some(report) = error
        .build_report("cell".into(), ascii.clone(), Theme::Light)
        .filter(|_| has_place)
    else {
        return plain();
    };
    let mut drawn = Vec::new();
    if report.write(ariadne_source(&ascii), &mut drawn).is_err() {
        return plain();
    }
    let mut drawn = fewer_colours(String::from_utf8_lossy(&drawn).trim_end());
    if let Some(span) = error
        .primary_spanned_message()
        .and_then(|message| message.span)
    {
        drawn = drawn.replacen(
            "cell:1:1",
            &format!("{}:{}", span.start_line, span.start_column),
            1,
        );
    }
    if code.is_ascii() {
        drawn
    } else {
        put_back(&drawn, code, stand_in)
    }
}

fn ariadne_source(text: &str) -> (String, ariadne::Source) {
    ("cell".to_owned(), ariadne::Source::from(text.to_owned()))
}

/// Puts the characters back for which `stand_in` stands, in the lines that show the cell's.
fn put_back(drawn: &str, code: &str, stand_in: char) -> String {
    let line_back = |line: &str| {
        let bare = without_colours(line);
        let number = bare
            .split('│')
            .next()
            .and_then(|number| number.trim().parse::<usize>().ok());
        let original = number.and_then(|number| code.lines().nth(number.checked_sub(1)?));
        let Some(original) = original else {
            return line.to_owned();
        };
        let mut others = original.chars().filter(|character| !character.is_ascii());
        line.chars()
            .map(|character| {
                if character == stand_in {
                    others.next().unwrap_or(character)
                } else {
                    character
                }
            })
            .collect()
    };
    drawn.lines().map(line_back).collect::<Vec<_>>().join("\n")
}

/// The same colours without the codes that change nothing: ariadne colours every character by itself.
fn fewer_colours(text: &str) -> String {
    let mut fewer = String::with_capacity(text.len());
    let (mut wanted, mut current) = (PLAIN, PLAIN);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let code = rest
            .strip_prefix("\u{1b}[")
            .and_then(|code| code.find('m'))
            .map(|end| &rest[..end + 3]);
        if let Some(code) = code {
            wanted = code;
            rest = &rest[code.len()..];
            continue;
        }
        if wanted != current {
            fewer += wanted;
            current = wanted;
        }
        fewer.push(character);
        rest = &rest[character.len_utf8()..];
    }
    if current != PLAIN {
        fewer += PLAIN;
    }
    fewer
}

fn without_colours(text: &str) -> String {
    let mut inside = false;
    let keep = |character: &char| {
        let begins = *character == '\u{1b}';
        let keep = !inside && !begins;
        inside = begins || (inside && !character.is_ascii_alphabetic());
        keep
    };
    text.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_line() {
        assert_eq!(panic_message("no\u{1f}src/lib.rs:3:4\n"), "no");
        assert_eq!(
            panic_message("a\\nb\u{1f}/home/x/my.rs:3:4"),
            "a b (/home/x/my.rs:3:4)"
        );
        let torch = "called `Result::unwrap()` on an `Err` value: Torch(\\\"shape \\'[3]\\' is invalid\\\\nException raised from x\\\\nframe #0";
        assert_eq!(panic_message(torch), "shape '[3]' is invalid");
    }

    #[test]
    fn what_cargo_says_is_one_line() {
        let said = "error: no matching package named `hexx` found\nlocation searched: crates.io index\n\nmore";
        let line = "no matching package named `hexx` found location searched: crates.io index";
        assert_eq!(one_line(said), line);
        assert_eq!(Failure::of_tool(said).value, line);
        assert!(Failure::of_tool(said).traceback[0].ends_with("more"));
    }

    #[test]
    fn the_end_of_the_process_is_one_line() {
        let failure = Failure::ended("Subprocess terminated with status: signal: 11 (SIGSEGV)");
        assert!(
            failure.value.ends_with("(signal: 11 (SIGSEGV))"),
            "{}",
            failure.value
        );
    }

    #[test]
    fn colours_stay() {
        assert_eq!(
            fewer_colours("\u{1b}[2ma\u{1b}[0m\u{1b}[2mb\u{1b}[0mc"),
            "\u{1b}[2mab\u{1b}[0mc"
        );
        assert_eq!(fewer_colours("a\u{1b}[2mb"), "a\u{1b}[2mb\u{1b}[0m");
    }

    #[test]
    fn characters_are_put_back_in_their_lines() {
        let drawn = "   \u{1b}[2m2 │\u{1b}[0m let ~ = \"~~\";\n │ ~";
        assert_eq!(
            put_back(drawn, "a\nlet я = \"мы\";", '~'),
            "   \u{1b}[2m2 │\u{1b}[0m let я = \"мы\";\n │ ~"
        );
    }
}
