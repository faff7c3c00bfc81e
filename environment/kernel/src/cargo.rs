//! Stands in for cargo where evcxr looks for it, so that what a kernel compiles against is what the project's lock file says,
//! whatever the day, the folder and the user's own settings.
//!
//! evcxr empties the lock file of its folder at its first cell and resolves each `:dep` by itself, to the newest that there
//! is. This program, called `cargo` (and `rustup`, which evcxr asks where cargo is), sees every call before the real cargo.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::building;
use crate::folder::{project, writable};
use crate::language::language;
use crate::sources;
use crate::toolchain::{RUSTC, real};

/// Names the cargo home that evcxr's calls get. Its path is part of what cargo compares: another one compiles all anew.
pub const HOME: &str = "SVERTKA_CARGO_HOME";

/// Names the user's own cargo home, or is empty where that is the usual one. `CARGO_HOME` leads rust-analyzer to this program.
pub const USERS_HOME: &str = "SVERTKA_USERS_CARGO_HOME";

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
        "cargo" if std::env::var_os("EVCXR_CORE_EXTERN").is_some() => cargo(arguments),
        "cargo" => pass(&called, &arguments),
        _ => return None,
    };
    Some(done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    }))
}

/// Becomes another program, which finds the user's own cargo home.
fn replace(command: &mut Command) -> Result<ExitCode> {
    Err(with_users_home(command).exec().into())
}

/// Gives a program the cargo home that there was before this kernel started.
fn with_users_home(command: &mut Command) -> &mut Command {
    match users_home() {
        Some(home) => command.env("CARGO_HOME", home),
        None => command.env_remove("CARGO_HOME"),
    }
}

/// The user's `CARGO_HOME`, if there is one.
pub fn users_home() -> Option<OsString> {
    std::env::var_os(USERS_HOME).filter(|home| !home.is_empty())
}

/// A call of rust-analyzer's or of a cell's. rust-analyzer asks in the build folder what there is to read.
fn pass(called: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    // Absolute where rust-analyzer, or this kernel, chose a toolchain by its folder.
    let toolchain = PathBuf::from(std::env::var_os("RUSTUP_TOOLCHAIN").unwrap_or_default());
    let mut command = Command::new(or_real(toolchain.join("bin/cargo"))?);
    command.args(arguments);
    let here = std::env::current_dir()?;
    let asks = arguments.first().is_some_and(|word| word == "metadata");
    // By `bin/cargo` in its build folder; a cell finds this program on the PATH.
    if !asks || called.ancestors().nth(2) != Some(&here) {
        return replace(&mut command);
    }
    let told = with_users_home(&mut command)
        .stderr(Stdio::inherit())
        .output()
        .context("can't run cargo")?;
    if !told.status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut metadata = serde_json::from_slice(&told.stdout)?;
    sources::leave_out(&mut metadata);
    println!("{metadata}");
    Ok(ExitCode::SUCCESS)
}

fn rustup(called: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let answer = match (&words[..], std::env::var_os(RUSTC)) {
        (["which", "cargo"] | [_, "which", "cargo"], _) => called.with_file_name("cargo"),
        (["which", "rustc"], Some(rustc)) => rustc.into(),
        _ => return replace(Command::new(real("rustup")?).args(arguments)),
    };
    println!("{}", answer.display());
    Ok(ExitCode::SUCCESS)
}

/// A toolchain's own cargo, which rustup's would not find without its settings; where there is none, the one on the PATH.
fn or_real(cargo: PathBuf) -> Result<PathBuf> {
    if cargo.is_absolute() && cargo.is_file() {
        return Ok(cargo);
    }
    real("cargo")
}

/// A call of evcxr's, in its folder.
fn cargo(mut arguments: Vec<OsString>) -> Result<ExitCode> {
    let folder = std::env::current_dir()?;
    // Where rust-analyzer knows no type, evcxr runs `cargo check` for better messages. Nothing was ever built for
    // that, so all dependencies would be checked first, for 45 seconds; a build tells the same.
    if let Some(check) = arguments.iter_mut().find(|word| *word == "check") {
        *check = "build".into();
    }
    let rustc = PathBuf::from(std::env::var_os("RUSTC").context("RUSTC is not set")?);
    let mut command = Command::new(or_real(rustc.with_file_name("cargo"))?);
    command.args(arguments);
    let home = own_home()?;
    set_environment(&mut command, &folder, &home)?;
    let manifest = read_toml(&folder.join("Cargo.toml"))?;
    let added = checked_dependency(&manifest);
    if added.is_some() {
        add(&folder, manifest.clone())?;
    }
    let (done, said) = watch(command, &folder)?;
    match added {
        Some(_) if done => {
            fs::copy(folder.join("Cargo.toml"), folder.join(KEPT_MANIFEST))?;
            fs::copy(folder.join("Cargo.lock"), folder.join(KEPT_LOCK))?;
        }
        Some(name) if registry_is_anothers(&home) => bail!(language(
            format!(
                "`{name}` can't be added here: only crates that are there for the whole class can be used. Whoever set svertka \
                 up fetches it with environment/class/run --crate {name}"
            ),
            format!(
                "`{name}` здесь добавить нельзя: доступны только крейты, которые есть для всего класса. Его загрузит тот, кто \
                 устанавливал svertka: environment/class/run --crate {name}"
            ),
        )),
        Some(name) => {
            if let Some(why) = network_fault(&said) {
                bail!(language(
                    format!("`{name}` can't be added: its registry can't be reached ({why})"),
                    format!("`{name}` добавить нельзя: реестр, где она лежит, недоступен ({why})"),
                ));
            }
        }
        None => {}
    }
    eprint!("{said}");
    Ok(ExitCode::from(u8::from(!done)))
}

/// The name of the `:dep` that evcxr checks by this manifest.
fn checked_dependency(manifest: &Table) -> Option<&String> {
    let package = manifest.get("package")?.get("name")?;
    let dependencies = manifest.get("dependencies")?.as_table()?;
    let name = dependencies.keys().next()?;
    (package.as_str() == Some(CHECKED)).then_some(name)
}

fn read_toml(file: &Path) -> Result<Table> {
    let text =
        fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    text.parse()
        .with_context(|| format!("can't understand {}", file.display()))
}

/// Adds what was added before to a manifest that has one dependency alone, and what the project and the cells so far have
/// locked to the lock file: cargo keeps to it as far as it goes.
fn add(folder: &Path, mut manifest: Table) -> Result<()> {
    let mut kept = read_toml(&folder.join(KEPT_MANIFEST)).unwrap_or_default();
    if let Some(Value::Table(all)) = manifest.get_mut("dependencies")
        && let Some(Value::Table(kept)) = kept.remove("dependencies")
    {
        for (name, dependency) in kept {
            all.entry(name).or_insert(dependency);
        }
    }
    fs::write(folder.join("Cargo.toml"), toml::to_string(&manifest)?)?;

    let mut lock = read_toml(&project()?.join("Cargo.lock"))?;
    let mut kept = read_toml(&folder.join(KEPT_LOCK)).unwrap_or_default();
    if let Some(Value::Array(all)) = lock.get_mut("package")
        && let Some(Value::Array(mut kept)) = kept.remove("package")
    {
        kept.retain(|package| all.iter().all(|known| identity(known) != identity(package)));
        all.extend(kept);
    }
    fs::write(folder.join("Cargo.lock"), toml::to_string(&lock)?)?;
    Ok(())
}

fn identity(package: &Value) -> [Option<&Value>; 3] {
    ["name", "version", "source"].map(|key| package.get(key))
}

/// Shuts out what would make the dependencies others than those that set-up compiled.
fn set_environment(command: &mut Command, folder: &Path, home: &Path) -> Result<()> {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_foreign) {
            command.env_remove(name);
        }
    }
    // evcxr takes another linker where it finds one.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = flags.replace("-Clink-arg=-fuse-ld=lld", "");
    // A build script that calls cargo means the real one.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).filter(|entry| !entry.starts_with(folder));
    command
        .env("PATH", std::env::join_paths(path)?)
        .env("RUSTFLAGS", flags)
        // A cell is new each time: what rustc keeps to compile it again takes 27 MB in twenty cells, and time. Without it rustc
        // would optimise a cell's parts together, which takes longer. Nobody reads the names of a cell's functions.
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_LTO", "off")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_BUILD_BUILD_DIR", folder.join("target"))
        .env("CARGO_HOME", home)
        // Cargo reads settings from the folder that it is started in, and from all above.
        .current_dir("/")
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--config")
        .arg(project()?.join(".cargo/config.toml"))
        // Before cargo compiles it tells there what it will compile. Should it no longer do so, the notebook shows no count.
        .env("CARGO_LOG", format!("{FINGERPRINTS}=info"))
        .env("RUST_LIB_BACKTRACE", "0");
    if registry_is_anothers(home) {
        // What isn't there can't be fetched, and so nothing newer is looked for.
        command.env("CARGO_NET_OFFLINE", "true");
    }
    if std::env::var_os("CARGO_NET_RETRY").is_none() {
        command.env("CARGO_NET_RETRY", "1");
    }
    Ok(())
}

/// Whether the sources of all crates are another user's, as in a class.
fn registry_is_anothers(home: &Path) -> bool {
    let registry = home.join("registry");
    registry.exists() && !writable(&registry)
}

/// Whether a variable is a setting of cargo's that is none of [`SETTINGS`].
fn is_foreign(variable: &str) -> bool {
    let Some(setting) = variable.strip_prefix("CARGO_") else {
        return variable == "RUSTC_WORKSPACE_WRAPPER";
    };
    let setting = setting.to_lowercase().replace('_', "-");
    !SETTINGS.iter().any(|kept| setting.starts_with(kept))
}

/// A cargo home with the user's registries, caches and credentials, and of the settings only those that have to do with them.
fn own_home() -> Result<PathBuf> {
    let usual = || Some(std::env::home_dir()?.join(".cargo"));
    let home = users_home().map(PathBuf::from).or_else(usual);
    let home = home.context("there is no home folder")?;
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
    let mut settings = ["config.toml", "config"]
        .iter()
        .find_map(|name| read_toml(&home.join(name)).ok())
        .unwrap_or_default();
    settings.retain(|name, _| SETTINGS.contains(&name));
    let (text, file) = (toml::to_string(&settings)?, own.join("config.toml"));
    if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
        let new = own.join(format!("config.{}", std::process::id()));
        fs::write(&new, text)?;
        fs::rename(new, file)?;
    }
    Ok(own)
}

/// Runs cargo, and tells the kernel how far it is. Returns whether it succeeded, and what else it said.
fn watch(mut command: Command, folder: &Path) -> Result<(bool, String)> {
    let mut cargo = command
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run cargo")?;
    let stderr = cargo.stderr.take().context("no standard error")?;
    let mut said = String::new();
    let (mut stale, mut begun) = (BTreeSet::new(), 0);
    let mut in_log = false;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            _ if line.contains(FINGERPRINTS) => {
                stale.extend(package(&line).map(str::to_owned));
                in_log = true;
            }
            ["Compiling", name, version, ..] => {
                in_log = false;
                // The cell itself is always compiled.
                if name != "ctx" {
                    begun += 1;
                    let version = version.trim_start_matches('v');
                    let of = stale.len().saturating_sub(1);
                    building::tell(folder, &compiling(name, version, begun, of));
                }
            }
            ["Updating" | "Downloading" | "Downloaded", ..] => building::tell(
                folder,
                language("Asking the registry for crates", "Запрос к реестру пакетов"),
            ),
            // The reasons in cargo's log may have several lines.
            [word, ..] if in_log && !word.starts_with("error") && !word.starts_with("warning") => {}
            [] if in_log => {}
            _ => {
                in_log = false;
                said.push_str(&line);
                said.push('\n');
            }
        }
    }
    building::end(folder);
    Ok((cargo.wait()?.success(), said))
}

fn compiling(name: &str, version: &str, number: usize, of: usize) -> String {
    let (compiling, from) = language(("Compiling", "of"), ("Компилируется", "из"));
    if number > of {
        return format!("{compiling} {name} {version}");
    }
    format!("{compiling} {name} {version} ({number} {from} {of})")
}

/// Of which package a line of cargo's log tells that it has to be compiled.
fn package(line: &str) -> Option<&str> {
    let told = line.contains("fingerprint dirty for") || line.contains("fingerprint error for");
    let (_, rest) = line.split_once("package_id=").filter(|_| told)?;
    rest.split_once(" target=").map(|(package, _)| package)
}

/// Why the registry could not be reached: of the reasons that cargo gives, one behind the other, the last.
fn network_fault(said: &str) -> Option<&str> {
    let begins = ["download of ", "failed to download", "network failure"];
    let mut lines = said.lines().map(str::trim);
    lines
        .clone()
        .find(|line| begins.iter().any(|begin| line.starts_with(begin)))?;
    lines.rfind(|line| !line.is_empty())
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

    #[test]
    fn only_what_has_to_do_with_registries_is_the_users() {
        for kept in [
            "CARGO_NET_RETRY",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "CARGO_HTTP_PROXY",
            "CC",
        ] {
            assert!(!is_foreign(kept), "{kept}");
        }
        for foreign in [
            "CARGO_BUILD_TARGET",
            "CARGO_INCREMENTAL",
            "CARGO_PROFILE_DEV_DEBUG",
        ] {
            assert!(is_foreign(foreign), "{foreign}");
        }
    }
}
