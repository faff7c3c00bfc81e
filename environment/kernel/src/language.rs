//! The language of the kernel's own sentences.

/// Chooses as the crate does: by the first of these variables that is set and not empty.
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
