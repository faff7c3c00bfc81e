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

use anyhow::{Context, Result, ensure};
use walkdir::WalkDir;

use crate::toolchain::rustc;

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

    /// The library that `cell_hooks.rs` was compiled into.
    pub fn cell_hooks(&self) -> PathBuf {
        self.root.join("libsvertka_cell_hooks.so")
    }

    /// Whoever holds it is alone at warming, copying and cleaning.
    fn lock(&self) -> Result<File> {
        let file = File::create(self.root.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Has the folder built by `build`, unless nothing has changed since that was last done.
    pub fn warm_up(&self, build: impl FnOnce() -> Result<()>) -> Result<()> {
        let _lock = self.lock()?;
        if self.is_warm()? {
            return Ok(());
        }
        let warm = self.warm();
        let stamp = warm.join(STAMP);
        let fingerprint = self.fingerprint()?;
        // What another compiler made serves no more.
        let compiler = |text: &str| text.lines().nth(1).map(str::to_owned);
        if fs::read_to_string(&stamp).is_ok_and(|old| compiler(&old) != compiler(&fingerprint)) {
            fs::remove_dir_all(&warm)?;
        }
        fs::create_dir_all(&warm)?;
        let _ = fs::remove_file(&stamp);
        self.compile_cell_hooks()?;
        build()?;
        fs::write(&stamp, fingerprint).with_context(|| format!("can't write {}", stamp.display()))
    }

    fn compile_cell_hooks(&self) -> Result<()> {
        let source = self.root.join("cell_hooks.rs");
        fs::write(&source, include_str!("cell_hooks.rs"))?;
        let compiled = Command::new(rustc()?)
            .args(["--edition=2024", "--crate-type=cdylib"])
            .args(["-Copt-level=2", "-Cprefer-dynamic", "-Crpath", "-o"])
            .arg(self.cell_hooks())
            .arg(&source)
            .output()
            .context("can't run rustc")?;
        let said = String::from_utf8_lossy(&compiled.stderr);
        ensure!(
            compiled.status.success(),
            "rustc failed on {}: {said}",
            source.display()
        );
        Ok(())
    }

    /// Whether a folder is warmed that fits today's sources, Rust and kernel.
    pub fn is_warm(&self) -> Result<bool> {
        let found = fs::read_to_string(self.warm().join(STAMP));
        Ok(self.cell_hooks().exists() && {
            let text = self.fingerprint()?;
            found.is_ok_and(|found| found == text)
        })
    }

    /// Changes with whatever a warmed folder depends on; the second line with the compiler alone.
    fn fingerprint(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        let mut files = vec![
            self.project.join("Cargo.toml"),
            self.project.join("Cargo.lock"),
            self.project.join(".cargo/config.toml"),
            std::env::current_exe()?,
        ];
        files.extend(files_in(&self.project.join("src")));
        files.sort();
        for file in files {
            let about =
                fs::metadata(&file).with_context(|| format!("can't read {}", file.display()))?;
            // Cargo goes by the time too: a file that was only touched is built again. A container's image keeps whole seconds.
            let changed = about.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
            (file, about.len(), changed.as_secs()).hash(&mut hasher);
        }
        std::env::var_os("LIBTORCH").hash(&mut hasher);
        let files = hasher.finish();
        let compiler = Command::new(rustc()?)
            .arg("-vV")
            .output()
            .context("can't run rustc")?;
        let mut hasher = DefaultHasher::new();
        compiler.stdout.hash(&mut hasher);
        Ok(format!("{files:016x}\n{:016x}\n", hasher.finish()))
    }

    /// Where this process has its copy of the warmed folder.
    pub fn own(&self) -> PathBuf {
        self.root.join(format!("run-{}", std::process::id()))
    }

    /// The copy itself, which goes away with the value. Removes those of dead kernels.
    pub fn copy(&self) -> Result<Copy> {
        let _lock = self.lock()?;
        self.clean()?;
        let path = self.own();
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

/// The files in a folder and in those below it.
pub fn files_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = WalkDir::new(folder).into_iter().flatten();
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    // Only the cells' own crate is built incrementally.
    let entries = WalkDir::new(from)
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "incremental");
    for entry in entries {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.path().strip_prefix(from)?));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_file()
            && !(never_rewritten(source) && fs::hard_link(source, &target).is_ok())
        {
            fs::copy(source, &target)?;
            // Cargo compares times.
            let modified = entry.metadata()?.modified()?;
            let copy = File::options().append(true).open(&target)?;
            copy.set_modified(modified)?;
        }
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
