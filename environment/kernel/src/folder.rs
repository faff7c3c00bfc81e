//! The build folders: one that set-up warms, and a copy of it for every kernel.
//!
//! One evcxr build folder can't serve two kernels. A copy costs a fraction of a second, since what cargo never rewrites is
//! linked. A lock file beside each copy tells whether its kernel still lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::cargo;

const STAMP: &str = "svertka-stamp";
/// The environment in which a folder was warmed, as far as it matters to cargo.
const ENVIRONMENT: &str = "svertka-environment";
/// Whether cargo's build scripts look at them or not.
const ALWAYS_KEPT: [&str; 4] = ["CARGO_HOME", "RUSTUP_HOME", cargo::RUSTC, cargo::HOME];

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
        if self.is_warm()? {
            return Ok(None);
        }
        let warm = self.warm();
        let text = self.fingerprint()?;
        let path = warm.join(STAMP);
        // What another compiler made serves no more.
        if fs::read_to_string(&path).is_ok_and(|found| found.lines().nth(1) != text.lines().nth(1))
        {
            fs::remove_dir_all(&warm)?;
        }
        fs::create_dir_all(&warm)?;
        let _ = fs::remove_file(&path);
        let source = self.root.join("cell_side.rs");
        fs::write(&source, include_str!("cell_side.rs"))?;
        let compiled = Command::new(rustc()?)
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

    /// Whether a folder is warmed that fits today's sources, Rust and kernel.
    pub fn is_warm(&self) -> Result<bool> {
        let found = fs::read_to_string(self.warm().join(STAMP));
        Ok(self.cell_side().exists() && {
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
        list(&self.project.join("src"), &mut files)?;
        files.sort();
        for file in files {
            let about =
                fs::metadata(&file).with_context(|| format!("can't read {}", file.display()))?;
            // Cargo goes by the time too: a file that was only touched is built again.
            let changed = about.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
            (file, about.len(), changed).hash(&mut hasher);
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

    /// Sets the variables that cargo's build scripts look at as they were when the folder was warmed: what was set in another
    /// terminal would have libtorch's glue compiled again at every start.
    ///
    /// # Safety
    /// No other thread may run.
    pub unsafe fn recall_environment(&self) {
        let text = fs::read_to_string(self.warm().join(ENVIRONMENT)).unwrap_or_default();
        let kept: BTreeMap<String, Option<String>> =
            serde_json::from_str(&text).unwrap_or_default();
        for (name, value) in kept {
            // SAFETY: as the caller promises.
            match value {
                Some(rustc)
                    if name == cargo::RUSTC
                        && (std::env::var_os(&name).is_some() || !Path::new(&rustc).is_file()) => {}
                Some(value) => unsafe { std::env::set_var(name, value) },
                None => unsafe { std::env::remove_var(name) },
            }
        }
    }

    /// Writes down what `recall_environment` sets.
    pub fn keep_environment(&self) -> Result<()> {
        let mut outputs = Vec::new();
        list(&self.warm().join("target"), &mut outputs)?;
        outputs.retain(|file| file.ends_with("output"));
        let mut names: BTreeSet<String> = ALWAYS_KEPT.map(str::to_owned).into();
        for output in outputs {
            let text = fs::read(output)?;
            let text = String::from_utf8_lossy(&text);
            names.extend(text.lines().filter_map(|line| {
                let (_, name) = line.split_once("rerun-if-env-changed=")?;
                Some(name.to_owned())
            }));
        }
        let kept: BTreeMap<_, _> = names
            .into_iter()
            .map(|name| (name.clone(), std::env::var(name).ok()))
            .collect();
        fs::write(
            self.warm().join(ENVIRONMENT),
            serde_json::to_string_pretty(&kept)?,
        )?;
        Ok(())
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

/// The rustc to work with: the one that the folder was warmed with, else rustup's, else the first on the PATH.
pub fn rustc() -> Result<PathBuf> {
    if let Some(rustc) = std::env::var_os(cargo::RUSTC) {
        return Ok(rustc.into());
    }
    let asked = Command::new("rustup").args(["which", "rustc"]).output();
    match asked {
        Ok(answer) if answer.status.success() => {
            Ok(String::from_utf8_lossy(&answer.stdout).trim().into())
        }
        _ => cargo::real("rustc"),
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
        if entry.file_type()?.is_symlink() {
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
