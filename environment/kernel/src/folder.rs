//! The build folders: one that set-up warms, and a copy of it for every kernel.
//!
//! One evcxr build folder can't serve two kernels. A copy costs a fraction of a second, since what cargo never rewrites is
//! linked. A lock file beside each copy tells whether its kernel still lives.
//!
//! Where the checkout is another user's and can't be written, as in a class, the copy lies in the user's cache folder and
//! nothing there is locked: whoever may read a file may lock it, and would keep the others waiting.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use walkdir::WalkDir;

use crate::language::language;
use crate::toolchain::rustc;

const STAMP: &str = "svertka-stamp";

/// Where the build folders are.
pub struct Folders {
    /// The checkout.
    pub project: PathBuf,
    /// Where the warmed folder is.
    root: PathBuf,
    /// Where the kernels' copies are: there too, if this user may write there.
    copies: PathBuf,
}

impl Folders {
    /// Finds them in the checkout.
    pub fn find() -> Result<Self> {
        let project = project()?;
        let root = project.join("target/kernel");
        fs::create_dir_all(&root).with_context(|| format!("can't create {}", root.display()))?;
        let copies = if writable(&root) {
            root.clone()
        } else {
            users_copies()?
        };
        Ok(Self {
            project,
            root,
            copies,
        })
    }

    /// Whether another user's installation is used, which this one can't change.
    fn is_shared(&self) -> bool {
        self.copies != self.root
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
        let file = File::options()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.copies.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Has the folder built by `build`, unless nothing has changed since that was last done.
    pub fn warm_up(&self, build: impl FnOnce() -> Result<()>) -> Result<()> {
        let _lock = self.lock()?;
        if self.is_warm()? {
            return Ok(());
        }
        ensure!(!self.is_shared(), "{}", self.outdated());
        let warm = self.warm();
        let stamp = warm.join(STAMP);
        let fingerprint = self.fingerprint()?;
        // What another compiler made serves no more.
        let compiler = fingerprint.lines().nth(1);
        if fs::read_to_string(&stamp).is_ok_and(|old| old.lines().nth(1) != compiler) {
            fs::remove_dir_all(&warm)?;
        }
        fs::create_dir_all(&warm)?;
        let _ = fs::remove_file(&stamp);
        self.compile_cell_hooks()?;
        build()?;
        fs::write(&stamp, fingerprint).with_context(|| format!("can't write {}", stamp.display()))
    }

    fn outdated(&self) -> String {
        let project = self.project.display();
        language(
            format!(
                "svertka in {project} is being changed, or was since it was set up, and only whoever set it up can finish \
                 that. Tell them, and restart the kernel then"
            ),
            format!(
                "svertka в {project} меняется или изменилась после установки, и закончить установку может только тот, кто \
                 её делал. Скажите ему, а потом перезапустите ядро"
            ),
        )
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
        let found = fs::read_to_string(self.warm().join(STAMP)).unwrap_or_default();
        Ok(found == self.fingerprint()?)
    }

    /// Changes with whatever a warmed folder depends on; the second line with the compiler alone.
    fn fingerprint(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        for file in crate_files(&self.project).chain([std::env::current_exe()?]) {
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
        self.copies.join(format!("run-{}", std::process::id()))
    }

    /// The copy itself, which goes away with the value. Removes those of dead kernels.
    pub fn copy(&self) -> Result<Copy> {
        let _lock = self.lock()?;
        self.clean()?;
        let path = self.own();
        let lock = File::create(path.with_extension("lock"))?;
        lock.try_lock()
            .with_context(|| format!("{} is in use", path.display()))?;
        let copy = Copy { path, _lock: lock };
        fs::create_dir_all(&copy.path)?;
        if self.warm().exists() {
            copy_folder(&self.warm(), &copy.path, self.is_shared()).with_context(|| {
                format!("can't copy the build folder to {}", copy.path.display())
            })?;
        }
        // Its owner may have warmed it anew meanwhile.
        ensure!(!self.is_shared() || self.is_warm()?, "{}", self.outdated());
        Ok(copy)
    }

    fn clean(&self) -> Result<()> {
        for entry in fs::read_dir(&self.copies)? {
            let path = entry?.path();
            let name = name_of(&path);
            // The lock's own name leads here too: one whose folder has gone goes.
            let lock = File::open(path.with_extension("lock"));
            let is_alive = lock.is_ok_and(|lock| lock.try_lock().is_err());
            if name.starts_with("dead-") || (name.starts_with("run-") && !is_alive) {
                remove(&path);
            }
        }
        Ok(())
    }
}

/// The checkout, which `SVERTKA_PROJECT` names.
pub fn project() -> Result<PathBuf> {
    let project = std::env::var_os("SVERTKA_PROJECT")
        .context("SVERTKA_PROJECT is not set: it names the folder of svertka's sources; environment/lesson sets it")?;
    let project = PathBuf::from(project);
    project
        .canonicalize()
        .with_context(|| format!("no folder {}", project.display()))
}

/// The files that the crate is built of.
pub fn crate_files(checkout: &Path) -> impl Iterator<Item = PathBuf> {
    let named = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"].map(|name| checkout.join(name));
    named.into_iter().chain(files_in(&checkout.join("src")))
}

/// Whether this user may make files in a folder.
pub fn writable(folder: &Path) -> bool {
    CString::new(folder.as_os_str().as_bytes()).is_ok_and(|path| {
        // SAFETY: the path ends with a zero.
        unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) == 0 }
    })
}

/// Where a user has copies of another's warmed folder; for nobody else to see, since cells are compiled there.
fn users_copies() -> Result<PathBuf> {
    let folder = cache()?.join("kernel");
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    Ok(folder)
}

/// The user's cache folder of svertka.
pub fn cache() -> Result<PathBuf> {
    let cache = dirs::cache_dir().context("there is no home folder: HOME is not set")?;
    Ok(cache.join("svertka"))
}

/// A kernel's own build folder.
pub struct Copy {
    pub path: PathBuf,
    _lock: File,
}

impl Drop for Copy {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a kernel's folder in the background: whoever restarts a kernel waits for its end, and thousands of files take
/// a while on a busy machine.
fn remove(folder: &Path) {
    let dead = folder.with_file_name(name_of(folder).replacen("run-", "dead-", 1));
    let _ = fs::rename(folder, &dead);
    let _ = fs::remove_file(folder.with_extension("lock"));
    // By way of a shell that ends at once: what removes is no child of the kernel's, which an interrupt would look for. It
    // keeps no stream open. What it can't remove the next start does.
    let _ = Command::new("sh")
        .args(["-c", "rm -rf -- \"$1\" >/dev/null 2>&1 &", "svertka-kernel"])
        .arg(&dead)
        .process_group(0)
        .status();
}

fn name_of(path: &Path) -> &str {
    let name = path.file_name().and_then(OsStr::to_str);
    name.unwrap_or_default()
}

/// The files in a folder and in those below it, always in the same order.
pub fn files_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = WalkDir::new(folder).sort_by_file_name();
    entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
}

/// `shared`: another user's folder, which doesn't change.
fn copy_folder(from: &Path, to: &Path, shared: bool) -> Result<()> {
    let mut entries = WalkDir::new(from).into_iter();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let (source, place) = (entry.path(), entry.path().strip_prefix(from)?);
        let target = to.join(place);
        let linked = may_be_linked(place, shared);
        // Linux may forbid hard links to another user's files (`fs.protected_hardlinks`), and there are none from one file
        // system to another.
        let link = || fs::hard_link(source, &target).or_else(|_| symlink(source, &target));
        if shared && linked && is_one_crates(place) {
            // One link instead of a block on disk for each of its small files.
            symlink(source, &target)?;
            entries.skip_current_dir();
        } else if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_file() && !(linked && link().is_ok()) {
            fs::copy(source, &target)?;
            // Cargo compares times.
            let modified = entry.metadata()?.modified()?;
            let copy = File::options().append(true).open(&target)?;
            copy.set_modified(modified)?;
        }
    }
    Ok(())
}

/// Whether it is a folder in which cargo has what it knows of one crate, or what one build script made.
fn is_one_crates(place: &Path) -> bool {
    let above = place.parent().map_or("", name_of);
    matches!(above, ".fingerprint" | "build")
}

/// Whether a build's file stays as it is: what the compiler made of the dependencies. Everything else is small; where the folder
/// is shared, and nobody there edits the crate, all is linked but what belongs to the cells' own crate.
fn may_be_linked(file: &Path, shared: bool) -> bool {
    let begins = |name: &str, with: &[&str]| with.iter().any(|begin| name.starts_with(begin));
    let of_cells = ["libctx", "ctx", "libcode_"];
    if shared {
        let mut folders = file.iter().filter_map(OsStr::to_str);
        return folders.any(|part| matches!(part, "deps" | "build" | ".fingerprint"))
            && folders.all(|part| !begins(part, &of_cells));
    }
    let name = name_of(file);
    match name.rsplit_once('.') {
        Some((_, "rlib" | "rmeta" | "so" | "a" | "o")) => {
            !begins(name, &of_cells) && !name.starts_with("libsvertka")
        }
        Some(_) => false,
        None => begins(name, &["build-script-", "build_script_"]),
    }
}
