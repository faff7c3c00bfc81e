//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::ensure;

use super::{error, texts, unique};
use crate::Result;

/// An I/O error without the `(os error 28)` behind it.
pub(crate) fn plain(error: &io::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.find(" (os error").unwrap_or(text.len()));
    text
}

/// Refuses a path at which no file can be.
pub(crate) fn check_path(path: &Path) -> Result<()> {
    let names_file = !path.is_dir() && path.file_name().is_some();
    ensure!(names_file, texts::file_is_folder(path.display()));
    // A name alone has an empty one: the working folder.
    let folder = path.parent().unwrap_or(Path::new(""));
    let exists = folder.as_os_str().is_empty() || folder.is_dir();
    let (path, folder) = (path.display(), folder.display());
    ensure!(exists, texts::file_no_folder(path, folder));
    Ok(())
}

/// Writes a file, whole or not at all; the sibling is a hidden file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    check_path(path)?;
    let name = path.file_name().unwrap_or_default();
    // Two that write at once, processes or threads, each have their own.
    let part = format!(".{}.{}.part", name.to_string_lossy(), unique());
    replace(path, &path.with_file_name(part), bytes)
        .map_err(|e| error(texts::not_written(path.display(), plain(&e))))
}

/// Writes to a sibling, to the disk, then under the name: there is always a whole file of that name or none.
pub(crate) fn replace(path: &Path, sibling: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = File::create(sibling)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(sibling, path)
    };
    write().inspect_err(|_| {
        // It may not have been made at all.
        let _ = fs::remove_file(sibling);
    })
}
