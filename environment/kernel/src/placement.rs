//! Where a notebook lies: the crate is found from a copy of a notebook too, wherever a learner keeps it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::folder::crate_files;

/// How the notebooks name the project, in whose folder `notebooks` they lie.
const ABOVE: &str = "..";

/// Has `:dep svertka = { path = ".." }` lead to the project where the folder above the notebook's is no package at all, or
/// another checkout of the very same sources, as in a dev container: what is built of them serves.
/// What it leads to otherwise, and every other path, is the learner's own choice.
pub fn lead(code: &str, notebook: &Path, project: &Path) -> String {
    let above = notebook.join(ABOVE);
    let is_project = || !above.join("Cargo.toml").exists() || sources(&above) == sources(project);
    let dependency = dependency(project);
    let lines = code.split('\n').map(|line| {
        if names_above(line) && is_project() {
            dependency.as_str()
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The line that makes a checkout's crate a dependency of the cells.
pub fn dependency(project: &Path) -> String {
    let path = project.display().to_string();
    format!(":dep svertka = {{ path = {path:?} }}")
}

/// What the crate is built of: each file's content by its path in the checkout.
fn sources(checkout: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let read = |file: PathBuf| {
        let content = fs::read(&file).ok();
        Some((file.strip_prefix(checkout).ok()?.to_owned(), content))
    };
    crate_files(checkout).filter_map(read).collect()
}

/// Whether a line is that one dependency, however it is spaced.
fn names_above(line: &str) -> bool {
    let written = line.trim_start().strip_prefix(":dep ");
    let Some(Ok(written)) = written.map(str::parse::<Table>) else {
        return false;
    };
    let path = written.get("svertka").and_then(|crate_| crate_.get("path"));
    written.len() == 1 && path.and_then(toml::Value::as_str) == Some(ABOVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = ":dep svertka = { path = \"..\" }\nuse svertka::prelude::*;";

    #[test]
    fn a_copy_of_a_notebook_finds_the_project() {
        let project = Path::new("/opt/svertka");
        // Nothing is above the root.
        let led = lead(CELL, Path::new("/"), project);
        assert_eq!(
            led,
            ":dep svertka = { path = \"/opt/svertka\" }\nuse svertka::prelude::*;"
        );
        let spaced = lead("  :dep svertka={path='..'}", Path::new("/"), project);
        assert_eq!(spaced, ":dep svertka = { path = \"/opt/svertka\" }");
    }

    #[test]
    fn a_checkout_of_the_same_sources_is_the_project() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let project = project.expect("the kernel lies in the project");
        let copy = std::env::temp_dir().join(format!("svertka-checkout-{}", std::process::id()));
        for (file, content) in sources(project) {
            let file = copy.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, content.expect("a file")).expect("a file");
        }
        let notebooks = copy.join("notebooks");
        fs::create_dir(&notebooks).expect("a folder");
        let same = lead(CELL, &notebooks, project);
        fs::write(copy.join("src/lib.rs"), "// mine").expect("a file");
        let changed = lead(CELL, &notebooks, project);
        fs::remove_dir_all(&copy).expect("no folder");
        assert!(same.contains(&project.display().to_string()), "{same}");
        assert_eq!(changed, CELL);
    }

    #[test]
    fn what_leads_somewhere_and_what_is_written_otherwise_stays() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let project = Path::new("/opt/svertka");
        // Above it is the kernel's own package, which is another.
        assert_eq!(lead(CELL, &here.join("src"), project), CELL);
        for code in [
            ":dep svertka = { path = \"../..\" }",
            ":dep svertka = \"0.1\"",
            ":dep rand = { path = \"..\" }",
            "// :dep svertka = { path = \"..\" }",
            "let dep = \"..\";",
        ] {
            assert_eq!(lead(code, Path::new("/"), project), code);
        }
    }
}
