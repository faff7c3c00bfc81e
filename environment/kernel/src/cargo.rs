//! Stands in for cargo where evcxr looks for it, so that what a kernel compiles against is what the project's lock file says,
//! whatever the day, the folder and the user's own settings.
//!
//! evcxr empties the lock file of its folder at its first cell and resolves each `:dep` by itself, to the newest that there
//! is. This program, called `cargo` (and `rustup`, which evcxr asks where cargo is), sees every call before the real cargo.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::report::say;

/// Names the rustc that the kernel works with. The cargo beside it is the real one.
pub const RUSTC: &str = "SVERTKA_RUSTC";
/// Names the cargo home that evcxr's calls get. Its path is part of what cargo compares: another one compiles all anew.
pub const HOME: &str = "SVERTKA_CARGO_HOME";
/// A file in the build folder: what cargo is compiling, while it does. See [`Progress`].
pub const PROGRESS: &str = "svertka-progress";

/// The part of cargo that finds out what has to be compiled.
const FINGERPRINTS: &str = "cargo::core::compiler::fingerprint";
/// The package as which evcxr checks a `:dep`.
const CHECKED: &str = "evcxr_dummy_validate_dep";
/// All that was added so far: the manifest and what it resolved to.
const KEPT_MANIFEST: &str = "svertka-kept.toml";
const KEPT_LOCK: &str = "svertka-kept.lock";

/// What of the user's cargo settings has to do with reaching registries. The rest ([build], [profile], [env], …) would make
/// the dependencies others than those that set-up compiled.
const SETTINGS: [&str; 6] = [
    "source",
    "registry",
    "registries",
    "credential-alias",
    "net",
    "http",
];
/// Variables of the same kind, by their beginnings.
const FOREIGN: [&str; 9] = [
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_RESOLVER_",
    "CARGO_TARGET_",
    "CARGO_TERM_",
    "CARGO_UNSTABLE_",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Makes `cargo` and `rustup` in a folder lead here.
pub fn install(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let program = std::env::current_exe()?;
    for name in ["cargo", "rustup"] {
        let link = folder.join(name);
        let _ = fs::remove_file(&link);
        symlink(&program, &link).with_context(|| format!("can't create {}", link.display()))?;
    }
    Ok(())
}

/// Takes over where this program was called by one of those names.
pub fn stand_in() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let called = PathBuf::from(arguments.next()?);
    let arguments: Vec<OsString> = arguments.collect();
    let done = match called.file_name()?.to_str()? {
        "rustup" => rustup(&called, &arguments),
        // evcxr sets this for each of its calls; others are not touched: a cell's, rust-analyzer's.
        "cargo" if std::env::var_os("EVCXR_CORE_EXTERN").is_some() => cargo(&arguments),
        "cargo" => chosen("cargo").map(|cargo| replace(Command::new(cargo).args(&arguments))),
        _ => return None,
    };
    Some(done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    }))
}

/// Becomes another program.
fn replace(command: &mut Command) -> ExitCode {
    eprintln!("error: {}", command.exec());
    ExitCode::FAILURE
}

fn rustup(called: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let answer = match words[..] {
        ["which", "cargo"] | [_, "which", "cargo"] => called.with_file_name("cargo"),
        ["which", "rustc"] if std::env::var_os(RUSTC).is_some() => {
            std::env::var_os(RUSTC).unwrap_or_default().into()
        }
        _ => return Ok(replace(Command::new(real("rustup")?).args(arguments))),
    };
    println!("{}", answer.display());
    Ok(ExitCode::SUCCESS)
}

/// The program of the toolchain that rust-analyzer chose by its folder, which rustup's own would not find without its
/// settings; else the one on the PATH.
fn chosen(name: &str) -> Result<PathBuf> {
    let toolchain = PathBuf::from(std::env::var_os("RUSTUP_TOOLCHAIN").unwrap_or_default());
    let program = toolchain.join("bin").join(name);
    if toolchain.is_absolute() && program.is_file() {
        return Ok(program);
    }
    real(name)
}

/// The program of this name that would run if this one did not stand before it.
pub fn real(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file() && program.canonicalize().is_ok_and(|real| real != me))
        .with_context(|| format!("no {name} on the PATH"))
}

/// A call of evcxr's, in its folder.
fn cargo(arguments: &[OsString]) -> Result<ExitCode> {
    let folder = std::env::current_dir()?;
    let rustc = PathBuf::from(std::env::var_os("RUSTC").context("RUSTC is not set")?);
    let beside = rustc.with_file_name("cargo");
    let mut command = Command::new(if beside.is_file() {
        beside
    } else {
        real("cargo")?
    });
    for argument in arguments {
        // Where rust-analyzer knows no type, evcxr runs `cargo check` for better messages. Nothing was ever built for
        // that, so all dependencies would be checked first, for 45 seconds; a build tells the same.
        command.arg(if argument == "check" {
            "build".as_ref()
        } else {
            argument.as_os_str()
        });
    }
    let checked = read_toml(&folder.join("Cargo.toml"))?;
    let name = checked
        .get("package")
        .and_then(|package| package.get("name"));
    let added = (name.and_then(Value::as_str) == Some(CHECKED)).then_some(&checked);
    if let Some(added) = added {
        add(&folder, added)?;
    }
    environment(&mut command, &folder)?;
    let done = watch(command, &folder, added)?;
    if done && added.is_some() {
        fs::copy(folder.join("Cargo.toml"), folder.join(KEPT_MANIFEST))?;
        fs::copy(folder.join("Cargo.lock"), folder.join(KEPT_LOCK))?;
    }
    Ok(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read_toml(file: &Path) -> Result<Table> {
    let text =
        fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    text.parse()
        .with_context(|| format!("can't understand {}", file.display()))
}

/// Adds what was added before to a manifest that has one dependency alone, and what the project and the cells so far have
/// locked to the lock file: cargo keeps to it as far as it goes.
fn add(folder: &Path, checked: &Table) -> Result<()> {
    let mut all = checked.clone();
    let kept = read_toml(&folder.join(KEPT_MANIFEST)).unwrap_or_default();
    if let (Some(Value::Table(kept)), Some(Value::Table(dependencies))) =
        (kept.get("dependencies"), all.get_mut("dependencies"))
    {
        for (name, dependency) in kept {
            dependencies
                .entry(name)
                .or_insert_with(|| dependency.clone());
        }
    }
    fs::write(folder.join("Cargo.toml"), toml::to_string(&all)?)?;

    let project = std::env::var_os("SVERTKA_PROJECT").context("SVERTKA_PROJECT is not set")?;
    let mut lock = read_toml(&Path::new(&project).join("Cargo.lock"))?;
    let kept = read_toml(&folder.join(KEPT_LOCK)).unwrap_or_default();
    if let (Some(Value::Array(packages)), Some(Value::Array(kept))) =
        (lock.get_mut("package"), kept.get("package"))
    {
        let known: Vec<_> = packages.iter().map(identity).collect();
        let more: Vec<_> = kept
            .iter()
            .filter(|package| !known.contains(&identity(package)))
            .cloned()
            .collect();
        packages.extend(more);
    }
    fs::write(folder.join("Cargo.lock"), toml::to_string(&lock)?)?;
    Ok(())
}

fn identity(package: &Value) -> [Option<String>; 3] {
    ["name", "version", "source"]
        .map(|key| package.get(key).and_then(Value::as_str).map(str::to_owned))
}

/// Shuts out what would make the dependencies others than those that set-up compiled.
fn environment(command: &mut Command, folder: &Path) -> Result<()> {
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| FOREIGN.iter().any(|begin| name.starts_with(begin)))
        {
            command.env_remove(name);
        }
    }
    // evcxr takes another linker where it finds one.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags: Vec<&str> = flags
        .split(' ')
        .filter(|flag| !flag.contains("-fuse-ld="))
        .collect();
    let project =
        PathBuf::from(std::env::var_os("SVERTKA_PROJECT").context("SVERTKA_PROJECT is not set")?);
    // A build script that calls cargo means the real one.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).filter(|entry| !entry.starts_with(folder));
    command
        .env("PATH", std::env::join_paths(path)?)
        .env("RUSTFLAGS", flags.join(" "))
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_BUILD_BUILD_DIR", folder.join("target"))
        .env("CARGO_HOME", own_home()?)
        // Cargo reads settings from the folder that it is started in, and from all above.
        .current_dir("/")
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--config")
        .arg(project.join(".cargo/config.toml"))
        // Before cargo compiles it tells there what it will compile. Should it no longer do so, the notebook shows no count.
        .env("CARGO_LOG", format!("{FINGERPRINTS}=info"))
        .env("RUST_LIB_BACKTRACE", "0");
    if std::env::var_os("CARGO_NET_RETRY").is_none() {
        command.env("CARGO_NET_RETRY", "1");
    }
    Ok(())
}

/// Where [`HOME`] leads unless a warmed folder says otherwise: the same for all of a user's checkouts, wherever they are moved.
pub fn usual_home() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = match cache.filter(|cache| cache.is_absolute()) {
        Some(cache) => cache,
        None => std::env::home_dir()
            .context("there is no home folder: HOME is not set")?
            .join(".cache"),
    };
    Ok(cache.join("svertka/cargo-home"))
}

/// A cargo home with the user's registries, caches and credentials, and of the settings only those that have to do with them.
fn own_home() -> Result<PathBuf> {
    let home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()
            .context("there is no home folder")?
            .join(".cargo"),
    };
    let own = PathBuf::from(std::env::var_os(HOME).with_context(|| format!("{HOME} is not set"))?);
    fs::create_dir_all(&own).with_context(|| format!("can't create {}", own.display()))?;
    for folder in ["registry", "git"] {
        fs::create_dir_all(home.join(folder))?;
    }
    for name in [
        "registry",
        "git",
        "credentials.toml",
        "credentials",
        ".package-cache",
        ".package-cache-mutate",
        ".global-cache",
    ] {
        let (link, target) = (own.join(name), home.join(name));
        if fs::read_link(&link).is_ok_and(|found| found == target) {
            continue;
        }
        let _ = fs::remove_file(&link);
        // Another kernel may just have made it.
        let _ = symlink(&target, &link);
    }
    let users = ["config.toml", "config"]
        .iter()
        .find_map(|name| read_toml(&home.join(name)).ok());
    let kept: Table = users
        .into_iter()
        .flatten()
        .filter(|(name, _)| SETTINGS.contains(&name.as_str()))
        .collect();
    let (text, file) = (toml::to_string(&kept)?, own.join("config.toml"));
    if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
        let new = own.join(format!("config.{}", std::process::id()));
        fs::write(&new, text)?;
        fs::rename(new, file)?;
    }
    Ok(own)
}

/// What cargo is doing, as the kernel reads it from the file [`PROGRESS`].
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// It asks a registry, or fetches from it.
    Fetching,
    /// It compiles the crate of this name and version: how many of how many.
    Compiling {
        name: String,
        number: usize,
        of: usize,
    },
}

impl Progress {
    pub fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(PROGRESS)).ok()?;
        let mut lines = text.lines();
        let Some(name) = lines.next() else {
            return Some(Self::Fetching);
        };
        let mut number = || lines.next()?.parse().ok();
        Some(Self::Compiling {
            name: name.to_owned(),
            number: number()?,
            of: number()?,
        })
    }

    fn write(&self, folder: &Path) {
        let text = match self {
            Self::Fetching => String::new(),
            Self::Compiling { name, number, of } => format!("{name}\n{number}\n{of}\n"),
        };
        // In one go, for a reader at any moment.
        let new = folder.join("svertka-progress.new");
        let _ = fs::write(&new, text).and_then(|()| fs::rename(&new, folder.join(PROGRESS)));
    }
}

/// Runs cargo, hands on what it says, and tells the kernel how far it is. Returns whether it succeeded.
fn watch(mut command: Command, folder: &Path, added: Option<&Table>) -> Result<bool> {
    let mut cargo = command
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run cargo")?;
    let said = listen(&mut cargo, folder)?;
    let _ = fs::remove_file(folder.join(PROGRESS));
    let done = cargo.wait()?.success();
    let dependency = added.and_then(|added| added.get("dependencies")?.as_table()?.keys().next());
    if let (false, Some(name)) = (done, dependency)
        && let Some(why) = network_fault(&said)
    {
        let english = "can't be added: its registry can't be reached";
        bail!(
            "`{name}` {} ({why})",
            say(
                english,
                "добавить нельзя: реестр, где она лежит, недоступен"
            )
        );
    }
    std::io::stderr().write_all(said.as_bytes())?;
    Ok(done)
}

/// Reads what cargo says until its end, and returns it without what tells its progress.
fn listen(cargo: &mut Child, folder: &Path) -> Result<String> {
    let mut said = String::new();
    let (mut stale, mut begun) = (BTreeSet::new(), 0);
    let mut in_log = false;
    let stderr = cargo.stderr.take().context("no standard error")?;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if line.contains(FINGERPRINTS) {
            stale.extend(package(&line).map(str::to_owned));
            in_log = true;
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("Compiling") => {
                let name = words
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
                    .replace(" v", " ");
                // The cell itself is always compiled.
                if !name.starts_with("ctx ") {
                    begun += 1;
                    let of = stale.len().saturating_sub(1);
                    Progress::Compiling {
                        name,
                        number: begun,
                        of,
                    }
                    .write(folder);
                }
                in_log = false;
                continue;
            }
            Some("Updating" | "Downloading" | "Downloaded") => {
                Progress::Fetching.write(folder);
                continue;
            }
            // The reasons in cargo's log may have several lines.
            Some(word) if in_log => {
                in_log = !word.starts_with("error") && !word.starts_with("warning")
            }
            _ => {}
        }
        if !in_log {
            said.push_str(&line);
            said.push('\n');
        }
    }
    Ok(said)
}

/// Of which package a line of cargo's log tells that it has to be compiled.
fn package(line: &str) -> Option<&str> {
    let told = line.contains("fingerprint dirty for") || line.contains("fingerprint error for");
    let (_, rest) = line.split_once("package_id=").filter(|_| told)?;
    rest.split_once(" target=").map(|(package, _)| package)
}

/// Why the registry could not be reached, in the words of whoever tried.
fn network_fault(said: &str) -> Option<&str> {
    let faults = [
        "failed to get successful HTTP response",
        "Could not resolve",
        "Couldn't resolve",
        "Couldn't connect",
        "Could not connect",
        "Failed to connect",
        "CONNECT tunnel failed",
        "Timeout was reached",
        "network failure",
        "SSL",
    ];
    said.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("warning: spurious"))
        .find(|line| faults.iter().any(|fault| line.contains(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_log_tells_what_has_to_be_compiled() {
        let line = "   0.1s  INFO prepare_target{force=false package_id=hex v0.4.3 target=\"hex\"}: \
            cargo::core::compiler::fingerprint: fingerprint error for hex v0.4.3/Build/TargetInner { .. }";
        assert_eq!(package(line), Some("hex v0.4.3"));
        assert_eq!(
            package(&line.replace("fingerprint error for", "err: can't")),
            None
        );
    }

    #[test]
    fn the_reason_is_the_line_that_tells_it() {
        let said = "warning: spurious network error (1 try remaining): [7] Could not connect to server\n\
            error: failed to get `hex` as a dependency of package `x`\n\nCaused by:\n  download of config.json failed\n\n\
            Caused by:\n  [7] Could not connect to server (Failed to connect to 127.0.0.1 port 9)\n";
        assert_eq!(
            network_fault(said),
            Some("[7] Could not connect to server (Failed to connect to 127.0.0.1 port 9)")
        );
        assert_eq!(
            network_fault("error: no matching package named `hexx` found"),
            None
        );
    }
}
