//! What a download brings is kept in the user's cache folder, whole or not at all, by one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::content::{self, FileSpec};
use crate::session::files::replace;
use crate::session::{plain, texts};

/// By the rule of the XDG base directories: a relative `XDG_CACHE_HOME` does not count.
pub(super) fn cache_folder(set: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let folder = set.filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(home?.join(".cache")));
    Some(folder?.join("svertka"))
}

/// Who is told how the work goes, and may stop it.
pub(super) trait Watcher {
    /// Something to know, in one line.
    fn line(&mut self, text: &str);
    /// `done` bytes of a file are here, of `total` where that is known.
    fn progress(&mut self, file: &str, done: u64, total: Option<u64>);
    /// Whether the user wants it stopped.
    fn interrupted(&mut self) -> bool;
}

/// A dataset's folder in the cache, open for writing by this process alone.
pub(super) struct Cache {
    /// The folder and its lock, which the operating system frees when a process dies; or why nothing can be kept.
    opened: Result<(PathBuf, File), String>,
    /// Whether it was said that something can't be kept.
    told: bool,
}

impl Cache {
    /// Waits as long as another process has it. None if the user interrupted the waiting.
    pub(super) fn open(
        folder: Option<PathBuf>,
        title: &str,
        patience: Duration,
        watcher: &mut dyn Watcher,
    ) -> Option<Self> {
        let opened = match folder {
            None => Err(texts::data_no_home()),
            Some(folder) => match lock(&folder, title, patience, watcher) {
                Ok(lock) => Ok((folder, lock?)),
                Err(error) => Err(texts::data_not_kept(folder.display(), plain(&error))),
            },
        };
        Some(Self {
            opened,
            told: false,
        })
    }

    /// The folder's name and the file's checked content, if it is there.
    pub(super) fn find(&self, file: &FileSpec) -> Option<(String, Vec<u8>)> {
        let (folder, _) = self.opened.as_ref().ok()?;
        let mut paths = file.paths(folder).into_iter();
        let bytes = paths.find_map(|path| content::read(&path, file).ok()?)?;
        Some((folder.display().to_string(), bytes))
    }

    /// Writes a checked file. That it can't be kept is said once and no obstacle.
    pub(super) fn keep(&mut self, name: &str, bytes: &[u8], watcher: &mut dyn Watcher) {
        let kept = match &self.opened {
            Ok((folder, _)) => {
                // A sibling that a killed process left is written over.
                let sibling = folder.join(format!("{name}.new"));
                replace(&folder.join(name), &sibling, bytes)
                    .map_err(|error| texts::data_not_kept(folder.display(), plain(&error)))
            }
            Err(trouble) => Err(trouble.clone()),
        };
        if let Err(trouble) = kept
            && !self.told
        {
            self.told = true;
            watcher.line(&trouble);
        }
    }
}

/// None if the user interrupted the waiting.
fn lock(
    folder: &Path,
    title: &str,
    patience: Duration,
    watcher: &mut dyn Watcher,
) -> io::Result<Option<File>> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join(".lock"))?;
    let start = Instant::now();
    let mut waited = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() > patience => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !waited {
            watcher.line(&texts::data_waiting(title));
            waited = true;
        }
        if watcher.interrupted() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_xdg_says() {
        let folder = |set: Option<&str>, home: Option<&str>| {
            cache_folder(set.map(PathBuf::from), home.map(PathBuf::from))
        };
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(folder(Some("/big"), Some("/home/a")), at("/big/svertka"));
        assert_eq!(folder(Some("/big"), None), at("/big/svertka"));
        for set in [None, Some(""), Some("big")] {
            assert_eq!(folder(set, Some("/home/a")), at("/home/a/.cache/svertka"));
            assert_eq!(folder(set, None), None);
        }
    }
}
