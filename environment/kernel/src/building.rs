//! Tells how far cargo is while it compiles: in the notebook in one place, in a terminal line by line.

use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::cargo::{PROGRESS, Progress};
use crate::report::language;

/// What is done sooner is not worth a word.
const QUICK: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

/// Looks at what cargo does in a build folder until `end` is closed. `show` gets each new text, and returns whether there
/// was anybody to show it to.
pub fn watch(folder: &Path, end: &Receiver<()>, show: &dyn Fn(&str) -> bool) {
    let begun = Instant::now();
    let (mut shown, mut last) = (None, None);
    while end.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let now = Progress::read(folder);
        if begun.elapsed() > QUICK && now.is_some() && now != shown && show(&text(&now)) {
            last.clone_from(&now);
            shown = now;
        }
    }
    let _ = std::fs::remove_file(folder.join(PROGRESS));
    if last.is_some() {
        let seconds = begun.elapsed().as_secs();
        show(&language(
            format!("Compiled in {seconds} s."),
            format!("Скомпилировано за {seconds} с."),
        ));
    }
}

fn text(progress: &Option<Progress>) -> String {
    match progress {
        Some(Progress::Compiling { name, number, of }) if number > of => {
            language(format!("Compiling {name}"), format!("Компилируется {name}"))
        }
        Some(Progress::Compiling { name, number, of }) => language(
            format!("Compiling {name} ({number} of {of})"),
            format!("Компилируется {name} ({number} из {of})"),
        ),
        _ => language(
            "Asking the registry for crates".to_owned(),
            "Запрос к реестру пакетов".to_owned(),
        ),
    }
}
