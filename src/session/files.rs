//! Files that are written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{error, texts};
use crate::Result;

/// An I/O error without the `(os error 28)` behind it.
pub(crate) fn plain(error: &io::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.find(" (os error").unwrap_or(text.len()));
    text
}

/// Refuses a path at which no file can be.
pub(crate) fn check_path(path: &Path) -> Result<()> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(error(texts::file_is_folder(path.display())));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(error(texts::file_no_folder(
            path.display(),
            folder.display(),
        )));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Writes a sibling, then renames it, so that there is always a whole file of that name or none.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    check_path(path)?;
    let folder = folder_of(path);
    let name = path.file_name().unwrap_or_default();
    let prefix = format!(".{}.", name.to_string_lossy());
    let write = || {
        remove_orphans(folder, &prefix);
        let mut part = tempfile::Builder::new()
            .prefix(&format!("{prefix}{}.", std::process::id()))
            .suffix(".part")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(folder)?;
        part.write_all(bytes)?;
        part.as_file().sync_all()?;
        part.persist(path).map(|_| ()).map_err(|e| e.error)
    };
    write().map_err(|e: io::Error| error(texts::not_written(path.display(), plain(&e))))
}

/// Removes what a killed process left of a file of this name.
fn remove_orphans(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else {
            continue;
        };
        let Some(pid) = rest
            .strip_suffix(".part")
            .and_then(|rest| rest.split('.').next())
        else {
            continue;
        };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            // Another process may have removed it first.
            let _ = fs::remove_file(entry.path());
        }
    }
}
