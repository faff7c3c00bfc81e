//! What evcxr, cargo and the process that runs the cells find in their environment.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::cargo;
use crate::cells;
use crate::folder::{Folders, cache, files_in};
use crate::sources;
use crate::toolchain::{self, RUSTC};

/// In a build folder: the programs that stand in for others.
const PROGRAMS: &str = "bin";
/// In a build folder: the environment in which it was warmed, as far as it matters to cargo.
const ENVIRONMENT: &str = "svertka-environment";
/// Whether cargo's build scripts look at them or not.
const ALWAYS_KEPT: [&str; 4] = [cargo::USERS_HOME, "RUSTUP_HOME", RUSTC, cargo::HOME];

/// Sets the environment for a build folder that need not be there yet.
///
/// # Safety
/// No other thread may run.
pub unsafe fn prepare(folder: &Path, folders: &Folders) -> Result<()> {
    let rustc = toolchain::rustc()?;
    let home = match env::var_os(cargo::HOME) {
        Some(home) => home.into(),
        // The same for all of a user's checkouts, wherever they are moved.
        None => cache()?.join("cargo-home"),
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let programs = std::iter::once(folder.join(PROGRAMS));
    let path = env::join_paths(programs.chain(env::split_paths(&path)))?;
    // SAFETY: as the caller promises.
    unsafe {
        env::set_var("EVCXR_TMPDIR", folder);
        // Preludes of the user's for the stock kernel would slow the start and could break it.
        env::set_var("EVCXR_CONFIG_DIR", folder);
        env::set_var(cells::CELL_HOOKS, folders.cell_hooks());
        env::set_var(cells::WORKING_FOLDER, env::current_dir()?);
        env::set_var("PATH", path);
        // Also where this Rust has no sources: rust-analyzer would have rustup add them, unasked and unsaid.
        env::set_var("RUST_SRC_PATH", folder.join(sources::STANDARD_LIBRARY));
        if let Some(toolchain) = toolchain::toolchain(&rustc) {
            // rust-analyzer asks rustup's own programs, which go by the folder and by what is the default today.
            env::set_var("RUSTUP_TOOLCHAIN", toolchain);
        }
        env::set_var(RUSTC, rustc);
        env::set_var(cargo::HOME, home);
        // Another kernel may have started this one: its `CARGO_HOME` is not the user's.
        let users = env::var_os(cargo::USERS_HOME).or_else(|| env::var_os("CARGO_HOME"));
        env::set_var(cargo::USERS_HOME, users.unwrap_or_default());
        // rust-analyzer takes the programs that it finds in `bin` there before all others.
        env::set_var("CARGO_HOME", folder);
        // An interrupt reaches the cells' process as a message, never as a stray signal to the group.
        libc::signal(libc::SIGINT, libc::SIG_IGN);
    }
    Ok(())
}

/// Puts into a build folder what `prepare` has named.
pub fn furnish(folder: &Path) -> Result<()> {
    fs::write(folder.join(cells::TRIAL), "")?;
    sources::hide_standard_library(folder)?;
    cargo::install(&folder.join(PROGRAMS))
}

/// Writes down in a warmed folder what `recall` sets.
pub fn keep(warm: &Path) -> Result<()> {
    let with_value = |name: &str| (name.to_owned(), env::var(name).ok());
    let mut kept: BTreeMap<_, _> = ALWAYS_KEPT.map(with_value).into();
    for output in files_in(&warm.join("target")).filter(|file| file.ends_with("output")) {
        let text = fs::read(output)?;
        let text = String::from_utf8_lossy(&text);
        let told = text
            .lines()
            .filter_map(|line| line.split_once("rerun-if-env-changed="));
        kept.extend(told.map(|(_, name)| with_value(name)));
    }
    fs::write(warm.join(ENVIRONMENT), serde_json::to_string_pretty(&kept)?)?;
    Ok(())
}

/// Sets the variables that cargo's build scripts look at as they were when the folder was warmed: what was set in another
/// terminal would have libtorch's glue compiled again at every start.
///
/// # Safety
/// No other thread may run.
pub unsafe fn recall(warm: &Path) {
    let text = fs::read_to_string(warm.join(ENVIRONMENT)).unwrap_or_default();
    let kept: BTreeMap<String, Option<String>> = serde_json::from_str(&text).unwrap_or_default();
    for (name, value) in kept {
        match value {
            Some(rustc)
                if name == RUSTC
                    && (env::var_os(RUSTC).is_some() || !Path::new(&rustc).is_file()) => {}
            // SAFETY: as the caller promises.
            Some(value) => unsafe { env::set_var(name, value) },
            // SAFETY: likewise.
            None => unsafe { env::remove_var(name) },
        }
    }
}
