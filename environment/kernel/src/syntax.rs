//! What the kernel must know of a cell's code before rustc sees it, by rustc's own lexer; and Jupyter's way to count
//! characters.

use std::borrow::Cow;
use std::ops::Range;

use jupyter_protocol::IsCompleteReply;
use ra_ap_rustc_lexer::{FrontmatterAllowed, LiteralKind, TokenKind, tokenize};

/// What is wrong with a cell's brackets, strings and comments, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// What begins here has no end.
    Open(usize),
    /// This closes nothing.
    Stray(usize),
}

/// The first bracket, string or comment that is wrong.
pub fn fault(code: &str) -> Option<Fault> {
    let mut open = Vec::new();
    for (kind, place) in tokens(code) {
        if is_unterminated(kind) {
            return Some(Fault::Open(place.start));
        }
        match &code[place.clone()] {
            "(" => open.push((place.start, ")")),
            "[" => open.push((place.start, "]")),
            "{" => open.push((place.start, "}")),
            text @ (")" | "]" | "}") if open.pop().is_none_or(|(_, close)| close != text) => {
                return Some(Fault::Stray(place.start));
            }
            _ => {}
        }
    }
    open.pop().map(|(at, _)| Fault::Open(at))
}

/// What Enter means in a console: to run the code or to go on writing it.
pub fn is_complete(code: &str) -> IsCompleteReply {
    match fault(code) {
        Some(Fault::Stray(_)) => IsCompleteReply::invalid(),
        None if !code.trim_end().ends_with(['=', '.']) => IsCompleteReply::complete(),
        _ => IsCompleteReply::incomplete("    ".to_owned()),
    }
}

/// The types that code defines: their names, and their definitions as they are written but for spaces.
pub fn types(code: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = words(code).collect();
    let mut found = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        if let ["struct" | "enum" | "union", name] = pair
            && name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        {
            let end = at + definition_length(&words[at..]);
            found.push(((*name).to_owned(), words[at..end].join(" ")));
        }
    }
    found
}

/// How many words a definition has: it ends at its semicolon, or with its braces.
fn definition_length(words: &[&str]) -> usize {
    let mut depth = 0;
    let last = words.iter().position(|word| {
        match *word {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && matches!(*word, ";" | "}")
    });
    last.map_or(words.len(), |last| last + 1)
}

/// Has a cell that ends with `name;` keep the variable: it shows nothing, as in IPython, and to Rust it would give the value
/// away.
pub fn keep_last(code: &str) -> Cow<'_, str> {
    let tokens: Vec<_> = said(code).collect();
    let ends_before = |at: usize| matches!(tokens[at].0, TokenKind::Semi | TokenKind::CloseBrace);
    match tokens.as_slice() {
        [before @ .., (TokenKind::Ident, name), (TokenKind::Semi, _)]
            if (before.is_empty() || ends_before(before.len() - 1))
                && !matches!(&code[name.clone()], "return" | "break" | "continue") =>
        {
            let (begin, end) = code.split_at(name.start);
            format!("{begin}&{end}").into()
        }
        _ => code.into(),
    }
}

/// Whether one of these names stands in code.
pub fn has_word(code: &str, names: &[&str]) -> bool {
    words(code).any(|word| names.contains(&word))
}

/// Whether a `let` of a cell defines a variable, also as a part of a pattern.
pub fn defines(code: &str, variable: &str) -> bool {
    let mut in_pattern = false;
    words(code).any(|word| {
        match word {
            "let" => in_pattern = true,
            "=" | ";" => in_pattern = false,
            _ => {}
        }
        in_pattern && word == variable
    })
}

/// The tokens' texts, without spaces and comments.
fn words(code: &str) -> impl Iterator<Item = &str> {
    said(code).map(|(_, place)| &code[place])
}

/// The tokens without spaces and comments.
fn said(code: &str) -> impl Iterator<Item = (TokenKind, Range<usize>)> {
    tokens(code).filter(|(kind, _)| {
        !matches!(
            kind,
            TokenKind::Whitespace | TokenKind::LineComment { .. } | TokenKind::BlockComment { .. }
        )
    })
}

fn tokens(code: &str) -> impl Iterator<Item = (TokenKind, Range<usize>)> {
    tokenize(code, FrontmatterAllowed::No).scan(0, |at, token| {
        let begin = *at;
        *at += token.len as usize;
        Some((token.kind, begin..*at))
    })
}

fn is_unterminated(kind: TokenKind) -> bool {
    use LiteralKind::{Byte, ByteStr, CStr, Char, RawByteStr, RawCStr, RawStr, Str};
    match kind {
        TokenKind::BlockComment { terminated, .. } => !terminated,
        TokenKind::Literal { kind, .. } => match kind {
            Char { terminated }
            | Byte { terminated }
            | Str { terminated }
            | ByteStr { terminated }
            | CStr { terminated } => !terminated,
            RawStr { n_hashes } | RawByteStr { n_hashes } | RawCStr { n_hashes } => {
                n_hashes.is_none()
            }
            _ => false,
        },
        _ => false,
    }
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
    use jupyter_protocol::IsCompleteReplyStatus::{Complete, Incomplete, Invalid};

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
            assert_eq!(is_complete(code).status, Complete, "{code}");
        }
        for code in ["fn f() {", "let x =", "f(\"a", "/* x", "r#\"(\"", "x."] {
            assert_eq!(is_complete(code).status, Incomplete, "{code}");
        }
        for code in ["}", "(]"] {
            assert_eq!(is_complete(code).status, Invalid, "{code}");
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
        assert_eq!(found[0].1, "struct P ( i32 ) ;");
        assert_eq!(found[1].1, "enum Way { Up { by : [ u8 ; 2 ] } , Down }");
        assert_eq!(types("struct  P( i32 ) ; // one")[0], found[0]);
        assert!(types("// struct Nothing;\nconstruct(1)").is_empty());
        assert!(has_word(&types("struct R(pub P);")[0].1, &["P"]));
    }

    #[test]
    fn a_name_at_the_end_is_kept() {
        for (code, kept) in [
            ("lab;", "&lab;"),
            ("let x = 1;\nlab; // shown", "let x = 1;\n&lab; // shown"),
            ("if a { f() }\nlab ;", "if a { f() }\n&lab ;"),
        ] {
            assert_eq!(keep_last(code), kept);
        }
        for code in [
            "lab",
            "f(lab);",
            "let x = lab;",
            "lab.x;",
            "return;",
            "use a::b;",
            "x = y;",
            "",
        ] {
            assert_eq!(keep_last(code), code);
        }
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
