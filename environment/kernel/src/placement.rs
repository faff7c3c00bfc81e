//! Where a notebook lies: the crate is found from a copy of a notebook too, wherever a learner keeps it.

use std::borrow::Cow;
use std::path::Path;

use toml::Table;

/// How the notebooks name the project, in whose folder `notebooks` they lie.
const ABOVE: &str = "..";

/// Has `:dep svertka = { path = ".." }` lead to the project where the folder above the notebook's is no package at all.
/// What it leads to otherwise, and every other path, is the learner's own choice.
pub fn lead<'a>(code: &'a str, notebook: &Path, project: &Path) -> Cow<'a, str> {
    if notebook.join(ABOVE).join("Cargo.toml").exists() || !code.lines().any(names_above) {
        return code.into();
    }
    let dependency = format!(
        ":dep svertka = {{ path = {:?} }}",
        project.display().to_string()
    );
    let lines = code.split('\n').map(|line| {
        if names_above(line) {
            dependency.as_str()
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n").into()
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
    fn what_leads_somewhere_and_what_is_written_otherwise_stays() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let project = Path::new("/opt/svertka");
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
