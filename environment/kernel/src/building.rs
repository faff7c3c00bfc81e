//! Tells how far cargo is while it compiles: in the notebook in one place, in a terminal line by line.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::language::language;

/// A file in the build folder: what cargo is doing, in words, while it works.
const PROGRESS: &str = "svertka-progress";
/// What is done sooner is not worth a word.
const QUICK: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

/// Tells the kernel what cargo is doing.
pub fn tell(folder: &Path, text: &str) {
    // In one go, for a reader at any moment.
    let new = folder.join("svertka-progress.new");
    let _ = fs::write(&new, text).and_then(|()| fs::rename(&new, folder.join(PROGRESS)));
}

/// Cargo has ended.
pub fn end(folder: &Path) {
    let _ = fs::remove_file(folder.join(PROGRESS));
}

/// Looks at what cargo does in a build folder until `ended` is closed. `show` gets each new text, and whether it is not the
/// first, and returns whether there was anybody to show it to.
pub fn watch(folder: &Path, ended: &Receiver<()>, show: impl Fn(&str, bool) -> bool) {
    let begun = Instant::now();
    let (compiled, unit) = language(("Compiled in", "s"), ("Скомпилировано за", "с"));
    let mut shown = None;
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let Ok(what) = fs::read_to_string(folder.join(PROGRESS)) else {
            continue;
        };
        // Some crates take a minute: the seconds show that it goes on.
        let seconds = begun.elapsed().as_secs();
        let text = format!("{what} · {seconds} {unit}");
        let is_new = begun.elapsed() > QUICK && shown.as_ref() != Some(&text);
        if is_new && show(&text, shown.is_some()) {
            shown = Some(text);
        }
    }
    end(folder);
    if shown.is_some() {
        let seconds = begun.elapsed().as_secs();
        show(&format!("{compiled} {seconds} {unit}."), true);
    }
}
