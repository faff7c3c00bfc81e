//! Whether a cell's text is whole, for consoles that must know what Enter means; and Jupyter's way to count characters.

/// Whether code can be run as it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    Incomplete,
    Invalid,
}

/// Looks at brackets, strings and comments.
pub fn completeness(code: &str) -> Completeness {
    let mut open = Vec::new();
    let mut rest = code.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        let next = rest.peek().map(|(_, next)| *next);
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(character) => return Completeness::Invalid,
            '/' if next == Some('/') => while rest.next_if(|(_, next)| *next != '\n').is_some() {},
            '/' if next == Some('*') => match code[at + 2..].find("*/") {
                Some(end) => skip_to(&mut rest, at + 2 + end + 2),
                None => return Completeness::Incomplete,
            },
            '"' => match string_end(code, at) {
                Some(end) => skip_to(&mut rest, end),
                None => return Completeness::Incomplete,
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
    let ends = code.trim_end();
    if open.is_empty() && !ends.ends_with('=') && !ends.ends_with('.') {
        Completeness::Complete
    } else {
        Completeness::Incomplete
    }
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
    fn offsets() {
        assert_eq!(bytes_before("яx", 1), 2);
        assert_eq!(bytes_before("яx", 9), 3);
        assert_eq!(characters_before("яx", 2), 1);
    }
}
