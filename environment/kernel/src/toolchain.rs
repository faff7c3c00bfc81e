//! The Rust that the kernel works with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Names the rustc that the kernel works with. The cargo beside it is the real one.
pub const RUSTC: &str = "SVERTKA_RUSTC";

/// The rustc to work with: the one that the folder was warmed with, else rustup's, else the first on the PATH.
pub fn rustc() -> Result<PathBuf> {
    if let Some(rustc) = std::env::var_os(RUSTC) {
        return Ok(rustc.into());
    }
    match told(Command::new("rustup").args(["which", "rustc"])) {
        Some(rustc) => Ok(rustc),
        None => real("rustc"),
    }
}

/// The path that a command answers with.
fn told(command: &mut Command) -> Option<PathBuf> {
    let answer = command.output().ok()?;
    let path = String::from_utf8_lossy(&answer.stdout);
    answer.status.success().then(|| path.trim().into())
}

/// The program of this name that would run if this one did not stand before it.
pub fn real(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file() && program.canonicalize().is_ok_and(|real| real != me))
        .with_context(|| format!("no {name} on the PATH"))
}

/// The folder of a rustc's toolchain, where rustup has put it.
pub fn toolchain(rustc: &Path) -> Option<&Path> {
    let toolchain = rustc.ancestors().nth(2)?;
    let above = toolchain.parent()?;
    above.ends_with("toolchains").then_some(toolchain)
}

/// The folder of the standard library's sources, without which rust-analyzer finds hardly a type; if there is one.
pub fn rust_src(rustc: &Path) -> Option<PathBuf> {
    let sysroot = told(Command::new(rustc).args(["--print", "sysroot"]))?;
    let library = sysroot.join("lib/rustlib/src/rust/library");
    library.join("std/src/lib.rs").is_file().then_some(library)
}

/// The command that brings the standard library's sources for this rustc.
pub fn install_rust_src(rustc: &Path) -> String {
    let name = toolchain(rustc).and_then(|toolchain| toolchain.file_name()?.to_str());
    if let Some(name) = name {
        return format!("rustup component add rust-src --toolchain {name}");
    }
    let managers = [
        ("apt-get", "sudo apt-get install rust-src"),
        ("dnf", "sudo dnf install rust-src"),
        ("pacman", "sudo pacman -S rust-src"),
        ("zypper", "sudo zypper install rust-src"),
    ];
    managers
        .iter()
        .find(|(manager, _)| real(manager).is_ok())
        .map_or("https://rustup.rs", |(_, command)| command)
        .to_owned()
}
