//! The build folders: one that set-up warms, and a copy of it for every kernel.
//!
//! One evcxr build folder can't serve two kernels. A copy costs a fraction of a second, since what cargo never rewrites is
//! linked. A lock file beside each copy tells whether its kernel still lives.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

const STAMP: &str = "svertka-stamp";

/// Where the build folders are.
pub struct Folders {
    /// The checkout.
    pub project: PathBuf,
    root: PathBuf,
}

impl Folders {
    /// Finds the checkout in `SVERTKA_PROJECT`.
    pub fn find() -> Result<Self> {
        let project = std::env::var_os("SVERTKA_PROJECT")
            .context("SVERTKA_PROJECT is not set: it names the folder of svertka's sources; environment/lesson sets it")?;
        let project = PathBuf::from(project);
        let project = project
            .canonicalize()
            .with_context(|| format!("no folder {}", project.display()))?;
        let root = project.join("target").join("kernel");
        fs::create_dir_all(&root).with_context(|| format!("can't create {}", root.display()))?;
        Ok(Self { project, root })
    }

    /// The folder that set-up warms.
    pub fn warm(&self) -> PathBuf {
        self.root.join("warm")
    }

    /// The library that `cell_side.rs` was compiled into.
    pub fn cell_side(&self) -> PathBuf {
        self.root.join("libsvertka_cell_side.so")
    }

    /// Whoever holds it is alone at warming, copying and cleaning.
    fn lock(&self) -> Result<File> {
        let file = File::create(self.root.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Makes ready for warming, or returns `None` where nothing has changed since it was last done.
    pub fn begin_warming(&self) -> Result<Option<Stamp>> {
        let lock = self.lock()?;
        let text = self.fingerprint()?;
        let warm = self.warm();
        let path = warm.join(STAMP);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) && self.cell_side().exists() {
            return Ok(None);
        }
        fs::create_dir_all(&warm)?;
        let _ = fs::remove_file(&path);
        // The same versions as everywhere else in the project.
        fs::copy(self.project.join("Cargo.lock"), warm.join("Cargo.lock"))
            .context("can't copy Cargo.lock")?;
        let source = self.root.join("cell_side.rs");
        fs::write(&source, include_str!("cell_side.rs"))?;
        let compiled = Command::new("rustc")
            .args([
                "--edition=2024",
                "--crate-type=cdylib",
                "--crate-name=svertka_cell_side",
            ])
            .args(["-Copt-level=2", "-Cprefer-dynamic", "-Crpath", "-o"])
            .arg(self.cell_side())
            .arg(&source)
            .output()
            .context("can't run rustc")?;
        if !compiled.status.success() {
            bail!(
                "rustc failed on {}: {}",
                source.display(),
                String::from_utf8_lossy(&compiled.stderr)
            );
        }
        Ok(Some(Stamp {
            path,
            text,
            _lock: lock,
        }))
    }

    /// Changes with whatever a warmed folder depends on.
    fn fingerprint(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        let mut files = vec![
            self.project.join("Cargo.toml"),
            self.project.join("Cargo.lock"),
            std::env::current_exe()?,
        ];
        list(&self.project.join("src"), &mut files)?;
        files.sort();
        for file in files {
            let about =
                fs::metadata(&file).with_context(|| format!("can't read {}", file.display()))?;
            // Cargo goes by the time too: a file that was only touched is built again.
            let changed = about.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
            (file, about.len(), changed).hash(&mut hasher);
        }
        let compiler = Command::new("rustc")
            .arg("-vV")
            .output()
            .context("can't run rustc")?;
        compiler.stdout.hash(&mut hasher);
        std::env::var_os("LIBTORCH").hash(&mut hasher);
        Ok(format!("{:016x}\n", hasher.finish()))
    }

    /// A copy of the warmed folder for this process, which goes away with the value. Removes those of dead kernels.
    pub fn copy(&self) -> Result<Copy> {
        let _lock = self.lock()?;
        self.clean()?;
        let path = self.root.join(format!("run-{}", std::process::id()));
        let lock = File::create(lock_of(&path))?;
        lock.try_lock()
            .with_context(|| format!("{} is in use", path.display()))?;
        let copy = Copy { path, _lock: lock };
        fs::create_dir_all(&copy.path)?;
        if self.warm().exists() {
            copy_folder(&self.warm(), &copy.path).with_context(|| {
                format!("can't copy the build folder to {}", copy.path.display())
            })?;
        }
        Ok(copy)
    }

    /// Whether set-up has finished a warmed folder, be it of today's sources or not.
    pub fn warmed(&self) -> bool {
        self.warm().join(STAMP).exists()
    }

    fn clean(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            // The lock's own name leads here too: one whose folder has gone goes.
            let alive = || {
                File::open(lock_of(&path))
                    .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
            };
            if name.starts_with("dead-") || (name.starts_with("run-") && !alive()) {
                remove(&path);
            }
        }
        Ok(())
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

/// Says that a folder is warm.
pub struct Stamp {
    path: PathBuf,
    text: String,
    _lock: File,
}

impl Stamp {
    pub fn write(self) -> Result<()> {
        fs::write(&self.path, &self.text)
            .with_context(|| format!("can't write {}", self.path.display()))
    }
}

/// A kernel's own build folder.
pub struct Copy {
    path: PathBuf,
    _lock: File,
}

impl Copy {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a kernel's folder in the background: whoever restarts a kernel waits for its end, and thousands of files take
/// a while on a busy machine.
fn remove(folder: &Path) {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let dead = folder.with_file_name(name.replacen("run-", "dead-", 1));
    let moved = fs::rename(folder, &dead);
    let _ = fs::remove_file(lock_of(folder));
    if moved.is_err() {
        return;
    }
    // By way of a shell that ends at once: what removes is no child of the kernel's, which an interrupt would look for.
    let removed = Command::new("sh")
        .args(["-c", "rm -rf -- \"$1\" &", "svertka-kernel"])
        .arg(&dead)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .status();
    if removed.is_err() {
        let _ = fs::remove_dir_all(&dead);
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            // Only the cells' own crate is built incrementally.
            if entry.file_name() != "incremental" {
                fs::create_dir_all(&target)?;
                copy_folder(&source, &target)?;
            }
            continue;
        }
        if never_rewritten(&source) && fs::hard_link(&source, &target).is_ok() {
            continue;
        }
        fs::copy(&source, &target)?;
        // Cargo compares times.
        let modified = entry.metadata()?.modified()?;
        File::options()
            .append(true)
            .open(&target)?
            .set_modified(modified)?;
    }
    Ok(())
}

/// Whether a build's file stays as it is: what the compiler made of the dependencies. Everything else is small.
fn never_rewritten(file: &Path) -> bool {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let kind = file
        .extension()
        .and_then(|kind| kind.to_str())
        .unwrap_or_default();
    let of_ours = ["libctx", "ctx", "libsvertka", "libcode_"]
        .iter()
        .any(|begin| name.starts_with(begin));
    matches!(kind, "rlib" | "rmeta" | "so" | "a" | "o") && !of_ours
}
