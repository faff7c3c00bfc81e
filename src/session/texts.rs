//! Every sentence that a learner can meet, in one table, in both languages.
//!
//! The language is the learner's: `SVERTKA_LANG` (`ru` or `en`), otherwise the system's locale, otherwise English.

/// The languages that the crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

/// The learner's language. Read anew at every call: a cell may set `SVERTKA_LANG`, and every evcxr cell has its own
/// copy of this crate's statics.
pub(crate) fn language() -> Language {
    choose(|name| std::env::var(name).ok())
}

fn choose(variable: impl Fn(&str) -> Option<String>) -> Language {
    // The order in which the C library asks for the language of messages.
    ["SVERTKA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .map_or(Language::English, |value| {
            if value.to_lowercase().starts_with("ru") {
                Language::Russian
            } else {
                Language::English
            }
        })
}

macro_rules! texts {
    ($( $name:ident ( $($argument:ident),* ) { en: $en:literal, ru: $ru:literal $(,)? } )*) => {
        $(
            #[allow(clippy::too_many_arguments)]
            pub(crate) fn $name($($argument: impl std::fmt::Display),*) -> String {
                match language() {
                    Language::English => format!($en),
                    Language::Russian => format!($ru),
                }
            }
        )*

        /// The whole table, for the test of its completeness: name, English, Russian.
        #[cfg(test)]
        const TABLE: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $ru)),*];
    };
}

texts! {
    // Everywhere
    libtorch(text) {
        en: "libtorch could not do that: {text}",
        ru: "libtorch не справилась: {text}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in braces, sorted.
    fn arguments(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split(['}', ':']).next())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn both_languages_say_everything() {
        for (name, en, ru) in TABLE {
            assert_eq!(arguments(en), arguments(ru), "{name}");
            assert!(!en.is_empty() && !ru.is_empty(), "{name}");
            assert!(!en.contains('\n') && !ru.contains('\n'), "{name}: one line");
            assert!(
                en.is_ascii() || !en.chars().any(|c| ('а'..='я').contains(&c)),
                "{name}: Cyrillic in English"
            );
        }
    }

    #[test]
    fn language_is_the_learners_then_the_systems() {
        let with = |pairs: &'static [(&str, &str)]| {
            choose(move |name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.to_string())
            })
        };
        assert_eq!(with(&[]), Language::English);
        assert_eq!(with(&[("LANG", "ru_RU.UTF-8")]), Language::Russian);
        assert_eq!(with(&[("LANG", "C.UTF-8")]), Language::English);
        assert_eq!(
            with(&[("LANG", "ru_RU"), ("LC_ALL", "en_GB")]),
            Language::English
        );
        assert_eq!(
            with(&[("SVERTKA_LANG", "en"), ("LANG", "ru_RU")]),
            Language::English
        );
        assert_eq!(
            with(&[("SVERTKA_LANG", ""), ("LANG", "ru_RU")]),
            Language::Russian
        );
    }
}
