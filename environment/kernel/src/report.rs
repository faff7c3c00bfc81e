//! How a failed cell reads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use evcxr::CompilationError;
use jupyter_protocol::ReplyError;

use crate::language::language;
use crate::syntax::{self, Fault};
use crate::toolchain;

const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// Why a cell failed, as Jupyter wants it.
pub fn failure(name: &str, value: &str) -> ReplyError {
    let value = value.trim();
    ReplyError {
        ename: name.to_owned(),
        evalue: value.to_owned(),
        traceback: vec![format!("{RED}{name}{PLAIN}: {value}")],
    }
}

/// What evcxr or cargo has to say, which may be several lines: the first ones are the reason.
pub fn failure_of_tool(text: &str) -> ReplyError {
    if text.starts_with("Couldn't automatically determine type of variable")
        && let Ok(rustc) = toolchain::rustc()
        && toolchain::rust_src(&rustc).is_none()
    {
        return no_rust_src(&rustc);
    }
    ReplyError {
        evalue: one_line(text),
        ..failure("error", text)
    }
}

/// evcxr has panicked.
pub fn kernel_failed() -> &'static str {
    language(
        "The kernel itself failed at this cell; its log says more.",
        "На этой ячейке сбой в самом ядре; подробности в его журнале.",
    )
}

/// The compilers were stopped by an interrupt.
pub fn interrupted() -> ReplyError {
    failure(
        "interrupted",
        language(
            "Stopped while the cell was being compiled: nothing of it ran.",
            "Остановлено во время компиляции: ничего из ячейки не выполнено.",
        ),
    )
}

/// A variable's type can't be found for want of the standard library's sources.
fn no_rust_src(rustc: &Path) -> ReplyError {
    let command = toolchain::install_rust_src(rustc);
    failure(
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

/// The process that runs the cells has ended; `killed` by an interrupt.
pub fn process_ended(status: &str, killed: bool) -> ReplyError {
    let status = status.rsplit("with status: ").next().unwrap_or_default();
    // Hardly anybody else ends it so.
    let (name, said) = if status.contains("SIGKILL") && !killed {
        let said = language(
            "Linux has ended the process that ran the cell, as it does when memory runs out. The variables are lost; the next \
             cell runs in a new process. Fewer images or smaller layers take less.",
            "Linux завершил процесс, выполнявший ячейку: так он делает, когда не хватает памяти. Переменные потеряны; \
             следующая ячейка выполнится в новом процессе. Меньше картинок или слои поменьше занимают меньше.",
        );
        ("memory", said)
    } else {
        let said = language(
            "The process that ran the cell has ended and the variables are lost; the next cell runs in a new one.",
            "Процесс, выполнявший ячейку, завершился, переменные потеряны; следующая ячейка выполнится в новом.",
        );
        ("crash", said)
    };
    failure(name, &format!("{said} ({status})"))
}

/// The line that helps of what a panic said: its message, U+001F, its place.
pub fn panic_message(text: &str) -> String {
    let (message, place) = text.split_once('\u{1f}').unwrap_or((text, ""));
    // An error that was unwrapped is shown by `{:?}`.
    let message = message
        .trim_start_matches("called `Result::unwrap()` on an `Err` value: Torch(\"")
        .replace("\\n", " ")
        .replace("\\\"", "\"")
        .replace("\\'", "'");
    let words: Vec<&str> = message.split_whitespace().collect();
    let mut message = words.join(" ");
    for end in [" Exception raised from ", " frame #0: "] {
        message.truncate(message.find(end).unwrap_or(message.len()));
    }
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
) -> ReplyError {
    if let Some(fault) = syntax::fault(code) {
        return unbalanced(code, &fault);
    }
    let mut traceback = Vec::new();
    for error in errors {
        traceback.push(draw(error, code));
        match why_gone(error, gone) {
            Some(why) => traceback.push(why),
            None => traceback.extend(helps(error, code)),
        }
    }
    let first = errors.first();
    let name = first.and_then(|error| error.code());
    ReplyError {
        ename: name.unwrap_or("compile error").into(),
        evalue: first.map_or(String::new(), |error| in_one_line(error, code, gone)),
        traceback,
    }
}

/// What helps, but for what is drawn into the cell already. What rustc tells those who have a `Cargo.toml` is no help in a
/// notebook.
fn helps(error: &CompilationError, code: &str) -> Vec<String> {
    let drawn: Vec<&str> = error
        .help_spanned()
        .iter()
        .filter(|help| help.span.is_some())
        .map(|help| help.label.trim_start_matches("help: "))
        .collect();
    let is_new = |help: &String| {
        let first = help.lines().next().unwrap_or_default();
        !help.contains("cargo add") && !drawn.iter().any(|label| label.starts_with(first))
    };
    let mut helps: Vec<String> = error.help().into_iter().filter(is_new).collect();
    let message = error.message();
    let is_unknown = [
        "cannot find",
        "failed to resolve",
        "unresolved",
        "use of undeclared",
    ]
    .iter()
    .any(|begin| message.starts_with(begin));
    if is_unknown && helps.is_empty() && drawn.is_empty() {
        let above = language(
            "has the cell above that brings this name been run?",
            "запущена ли ячейка выше, в которой появляется это имя?",
        );
        helps.push(above.to_owned());
    }
    if has_decimal_comma(error, code) {
        let point = language(
            "in code a decimal point is a point: `0.3`, not `0,3`",
            "в коде дробная часть отделяется точкой: `0.3`, а не `0,3`",
        );
        helps.push(point.to_owned());
    }
    helps.iter().map(|help| format!("help: {help}")).collect()
}

/// Whether a comma stands between two digits in the line of an error.
fn has_decimal_comma(error: &CompilationError, code: &str) -> bool {
    let line = start(error).map_or("", |(row, _)| line(code, row));
    let mut threes = line.as_bytes().windows(3);
    threes.any(|three| matches!(three, [b'0'..=b'9', b',', b'0'..=b'9']))
}

/// What rustc says, without the `fn` of evcxr's that stands behind the cell.
fn said(error: &CompilationError, code: &str) -> String {
    const BEHIND: &str = ", found keyword `fn`";
    let message = error.message();
    match syntax::has_word(code, &["fn"]) {
        false => message.replace(BEHIND, ""),
        true => message,
    }
}

/// The error, what rustc writes below the place, and the place.
fn in_one_line(error: &CompilationError, code: &str, gone: &BTreeMap<String, Gone>) -> String {
    let mut text = why_gone(error, gone).unwrap_or_else(|| one_line(&said(error, code)));
    if let Some(primary) = error.primary_spanned_message() {
        let label = one_line(&primary.label);
        if !text.contains('`') && !label.is_empty() && label != text {
            text += &format!(": {label}");
        }
    }
    text + &place(error)
}

fn place(error: &CompilationError) -> String {
    start(error).map_or(String::new(), |(row, column)| format!(" ({row}:{column})"))
}

/// The line and the column where an error begins, counted from 1.
fn start(error: &CompilationError) -> Option<(usize, usize)> {
    let span = error.primary_spanned_message()?.span?;
    Some((span.start_line, span.start_column))
}

/// Brackets and strings without an end: rustc would point at what evcxr puts around the cell.
fn unbalanced(code: &str, fault: &Fault) -> ReplyError {
    let (Fault::Open(at) | Fault::Stray(at)) = *fault;
    let what = match (fault, &code[at..=at]) {
        (Fault::Stray(_), bracket) => format!("unexpected closing delimiter: `{bracket}`"),
        (Fault::Open(_), bracket @ ("(" | "[" | "{")) => format!("unclosed delimiter: `{bracket}`"),
        (Fault::Open(_), "/") => "unterminated comment".to_owned(),
        (Fault::Open(_), _) => "unterminated string".to_owned(),
    };
    let before: Vec<&str> = code[..at].split('\n').collect();
    let row = before.len();
    let column = before[row - 1].chars().count() + 1;
    let value = format!("{what} ({row}:{column})");
    let mut drawn = format!("{RED}error{PLAIN}: {value}");
    drawn += &line_of_code(code, row);
    drawn += &pointer(code, row, column..column + 1, "^");
    ReplyError {
        traceback: vec![drawn],
        ..failure("compile error", &value)
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

/// The error, and below it the lines of the cell that it points at.
fn draw(error: &CompilationError, code: &str) -> String {
    let full = error.message();
    let message = said(error, code);
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let number = error
        .code()
        .map_or(String::new(), |code| format!("[{code}]"));
    let mut drawn = format!("{RED}error{number}{PLAIN}: {message}{}", place(error));
    let pointed = error.spanned_messages().iter().chain(error.help_spanned());
    let mut pointed: Vec<_> = pointed
        .filter_map(|message| Some((message.span?, message)))
        .collect();
    pointed.sort_by_key(|(span, _)| span.start_line);
    let mut row = 0;
    for (span, message) in pointed {
        if span.start_line != row {
            row = span.start_line;
            drawn += &line_of_code(code, row);
        }
        let end = if span.end_line == row {
            span.end_column
        } else {
            usize::MAX
        };
        let mark = if message.is_primary { "^" } else { "-" };
        drawn += &pointer(code, row, span.start_column..end, mark);
        // What is to be removed is replaced by nothing.
        let label = message.label.strip_suffix(": ``").unwrap_or(&message.label);
        // Where rustc writes nothing there, evcxr repeats the error.
        if !label.is_empty() && label.strip_prefix("error: ") != Some(&full) {
            drawn += &format!(" {label}");
        }
    }
    if let Some("E0384" | "E0596") = error.code() {
        drawn += "\nA variable becomes mutable so: `let mut x = x;`";
    }
    drawn
}

/// A line of the cell, counted from 1.
fn line(code: &str, row: usize) -> &str {
    code.lines().nth(row - 1).unwrap_or_default()
}

/// A line of the cell with its number.
fn line_of_code(code: &str, row: usize) -> String {
    format!("\n{row:4} │ {}", line(code, row))
}

/// A line below that line with marks under these columns, counted from 1: one at least, and none behind the line's end.
fn pointer(code: &str, row: usize, columns: Range<usize>, mark: &str) -> String {
    let line = line(code, row);
    let space = |character| if character == '\t' { '\t' } else { ' ' };
    let indent: String = line.chars().take(columns.start - 1).map(space).collect();
    let end = columns.end.min(line.chars().count() + 1);
    let marks = mark.repeat(end.saturating_sub(columns.start).max(1));
    format!("\n     │ {indent}{RED}{marks}{PLAIN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_line() {
        assert_eq!(panic_message("no\u{1f}src/lib.rs:3:4\n"), "no");
        assert_eq!(
            panic_message("a b\u{1f}/home/x/my.rs:3:4"),
            "a b (/home/x/my.rs:3:4)"
        );
        let torch = "called `Result::unwrap()` on an `Err` value: Torch(\"shape \\'[3]\\' is invalid\\nException raised from x\\nframe #0";
        assert_eq!(panic_message(torch), "shape '[3]' is invalid");
        let memory = "Torch(\"can't allocate memory: 5 bytes. frame #0: c10::ThrowEnforceNotMet(char const*) + 0x6a\u{1f}src/lib.rs:1:1";
        assert!(panic_message(memory).ends_with("can't allocate memory: 5 bytes."));
    }

    #[test]
    fn what_cargo_says_is_one_line() {
        let said = "error: no matching package named `hexx` found\nlocation searched: crates.io index\n\nmore";
        let line = "no matching package named `hexx` found location searched: crates.io index";
        assert_eq!(one_line(said), line);
        assert_eq!(failure_of_tool(said).evalue, line);
        assert!(failure_of_tool(said).traceback[0].ends_with("more"));
    }

    #[test]
    fn the_end_of_the_process_is_one_line() {
        let failure = process_ended(
            "Subprocess terminated with status: signal: 11 (SIGSEGV)",
            false,
        );
        assert!(
            failure.evalue.ends_with("(signal: 11 (SIGSEGV))"),
            "{}",
            failure.evalue
        );
    }

    #[test]
    fn memory_is_named_where_nobody_else_has_ended_the_process() {
        let status = "Subprocess terminated with status: signal: 9 (SIGKILL)";
        assert_eq!(process_ended(status, false).ename, "memory");
        assert_eq!(process_ended(status, true).ename, "crash");
    }

    #[test]
    fn a_pointer_stands_below_what_it_points_at() {
        let code = "\tlet я = \"мы\";";
        assert_eq!(line_of_code(code, 1), "\n   1 │ \tlet я = \"мы\";");
        let marks = format!("\n     │ \t        {RED}----{PLAIN}");
        assert_eq!(pointer(code, 1, 10..14, "-"), marks);
        assert!(pointer(code, 1, 10..99, "^").contains("^^^^^\u{1b}"));
        assert!(pointer(code, 1, 3..3, "^").ends_with(&format!("\t {RED}^{PLAIN}")));
    }

    #[test]
    fn an_open_bracket_is_drawn() {
        let failure = unbalanced("1;\nf(\"я\", [2", &Fault::Open(11));
        assert_eq!(failure.evalue, "unclosed delimiter: `[` (2:8)");
        assert!(failure.traceback[0].contains("\n   2 │ f(\"я\", [2\n     │        "));
    }
}
