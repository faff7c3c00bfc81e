//! Whether a cell's brackets and strings are whole, for errors and for consoles that must know what Enter means; and Jupyter's
//! way to count characters.

/// Whether code can be run as it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    Incomplete,
    Invalid,
}

/// What is wrong with a cell's brackets, strings and comments, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// What begins here has no end.
    Open(usize),
    /// This closes nothing.
    Stray(usize),
}

pub fn completeness(code: &str) -> Completeness {
    let ends = code.trim_end();
    match fault(code) {
        Some(Fault::Stray(_)) => Completeness::Invalid,
        None if !ends.ends_with('=') && !ends.ends_with('.') => Completeness::Complete,
        _ => Completeness::Incomplete,
    }
}

/// The first bracket, string or comment that is wrong.
pub fn fault(code: &str) -> Option<Fault> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut rest = code.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let next = rest.peek().map(|(_, next)| *next);
        match character {
            '(' => open.push((at, ')')),
            '[' => open.push((at, ']')),
            '{' => open.push((at, '}')),
            ')' | ']' | '}' if open.pop().is_none_or(|(_, close)| close != character) => {
                return Some(Fault::Stray(at));
            }
            '/' if next == Some('/') => while rest.next_if(|(_, next)| *next != '\n').is_some() {},
            '/' if next == Some('*') => match code[at + 2..].find("*/") {
                Some(end) => skip_to(&mut rest, at + 2 + end + 2),
                None => return Some(Fault::Open(at)),
            },
            '"' => match string_end(code, at) {
                Some(end) => skip_to(&mut rest, end),
                None => return Some(Fault::Open(at)),
            },
            '\'' => {
                // A character or a lifetime.
                let mut inside = code[at + 1..].char_indices();
                let end = match inside.next() {
                    Some((_, '\\')) => code[at + 3..].find('\'').map(|end| at + 3 + end + 1),
                    Some((_, one)) if code[at + 1 + one.len_utf8()..].starts_with('\'') => {
                        Some(at + 2 + one.len_utf8())
                    }
                    _ => None,
                };
                if let Some(end) = end {
                    skip_to(&mut rest, end);
                }
            }
            _ => {}
        }
    }
    open.pop().map(|(at, _)| Fault::Open(at))
}

/// The types that code defines: their names, and their definitions as they are written but for spaces.
pub fn types(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = Vec::new();
    for (at, _) in code.match_indices(|character: char| !is_of_name(character)) {
        let begin = code[..at]
            .rfind(|character: char| !is_of_name(character))
            .map_or(0, |before| {
                before + code[before..].chars().next().map_or(1, char::len_utf8)
            });
        if begin < at {
            words.push((begin, &code[begin..at]));
        }
    }
    for pair in words.windows(2) {
        let [(begin, keyword), (_, name)] = pair else {
            continue;
        };
        if matches!(*keyword, "struct" | "enum" | "union") {
            let definition: String = code[*begin..definition_end(code, *begin)]
                .split_whitespace()
                .collect();
            found.push(((*name).to_owned(), definition));
        }
    }
    found
}

/// Whether one of these names stands in a text.
pub fn has_word(text: &str, names: &[&str]) -> bool {
    text.split(|character| !is_of_name(character))
        .any(|word| names.contains(&word))
}

/// Whether a `let` of a cell defines a variable, also as a part of a pattern.
pub fn defines(code: &str, variable: &str) -> bool {
    let patterns = code
        .split("let ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ';']).next());
    patterns
        .into_iter()
        .any(|pattern| has_word(pattern, &[variable]))
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where a definition ends: at its semicolon, or with its braces.
fn definition_end(code: &str, begin: usize) -> usize {
    let mut depth = 0;
    for (at, character) in code[begin..].char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(character, ';' | '}') {
            return begin + at + 1;
        }
    }
    code.len()
}

fn skip_to(rest: &mut std::iter::Peekable<std::str::CharIndices>, to: usize) {
    while rest.next_if(|(at, _)| *at < to).is_some() {}
}

/// Where the string ends whose quote is at `at`, raw (`r#"…"#`) or not.
fn string_end(code: &str, at: usize) -> Option<usize> {
    let hashes = code[..at]
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'#')
        .count();
    if code[..at - hashes].ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return code[at + 1..]
            .find(&end)
            .map(|found| at + 1 + found + end.len());
    }
    let mut escaped = false;
    for (offset, character) in code[at + 1..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1 + offset + 1),
            _ => {}
        }
    }
    None
}

/// Jupyter counts characters, evcxr bytes.
pub fn bytes_before(code: &str, characters: usize) -> usize {
    code.char_indices()
        .nth(characters)
        .map_or(code.len(), |(at, _)| at)
}

pub fn characters_before(code: &str, bytes: usize) -> usize {
    code[..code.floor_char_boundary(bytes)].chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_whole_or_not() {
        for code in [
            "",
            "let x = 1;",
            "\"(\"",
            "'('",
            "f::<'a>()",
            "r#\"(\"#",
            "// (",
            "/* ( */ 1",
            "'\\''",
            "\"\\\"(\"",
            "'я'",
        ] {
            assert_eq!(completeness(code), Completeness::Complete, "{code}");
        }
        for code in ["fn f() {", "let x =", "f(\"a", "/* x", "r#\"(\"", "x."] {
            assert_eq!(completeness(code), Completeness::Incomplete, "{code}");
        }
        for code in ["}", "(]"] {
            assert_eq!(completeness(code), Completeness::Invalid, "{code}");
        }
    }

    #[test]
    fn a_fault_has_its_place() {
        assert_eq!(fault("let sum = (1 + 2;"), Some(Fault::Open(10)));
        assert_eq!(fault("let sum = (1 + 2));"), Some(Fault::Stray(17)));
        assert_eq!(fault("let s = \"abc;"), Some(Fault::Open(8)));
        assert_eq!(fault("f(&[1])"), None);
    }

    #[test]
    fn types_are_found_with_their_definitions() {
        let code =
            "pub struct P(i32);\nlet p = P(1);\nenum Way { Up { by: [u8; 2] }, Down }\nstruct Q;";
        let found = types(code);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["P", "Way", "Q"]);
        assert_eq!(found[0].1, "structP(i32);");
        assert_eq!(found[1].1, "enumWay{Up{by:[u8;2]},Down}");
        assert_eq!(types("struct  P( i32 ) ;")[0], found[0]);
        assert!(types("// nothing\nconstruct(1)").is_empty());
    }

    #[test]
    fn a_let_defines_what_its_pattern_names() {
        assert!(defines("let (one, mut two) = f();", "two") && defines("let x: i32;", "x"));
        assert!(!defines("let y = x;", "x") && !defines("drop(x)", "x"));
    }

    #[test]
    fn offsets() {
        assert_eq!(bytes_before("яx", 1), 2);
        assert_eq!(bytes_before("яx", 9), 3);
        assert_eq!(characters_before("яx", 2), 1);
    }
}
