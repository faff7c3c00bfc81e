//! What rust-analyzer reads to know the types of variables: not all that is compiled.
//!
//! Every source costs time at a kernel's start, and memory as long as it lives. So rust-analyzer is not shown what no
//! cell's variable can be made of: the dependencies behind the crate's own and behind `tch`'s types, what is only needed to
//! build them, and of the standard library all but its three crates.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::toolchain;

/// In a build folder: where rust-analyzer looks for the standard library.
pub const STANDARD_LIBRARY: &str = "rust-src";
const STANDARD_CRATES: [&str; 3] = ["core", "alloc", "std"];

/// Makes the standard library's place, with nothing in it: evcxr's first evaluation, `42`, then loads nothing.
pub fn hide_standard_library(folder: &Path) -> Result<()> {
    let library = folder.join(STANDARD_LIBRARY);
    let _ = fs::remove_dir_all(&library);
    fs::create_dir_all(library.join("core"))?;
    Ok(())
}

/// Puts the standard library there, if this Rust has its sources: rust-analyzer reads it when it loads anew.
pub fn show_standard_library(folder: &Path) -> Result<()> {
    let Some(sources) = toolchain::rust_src(&toolchain::rustc()?) else {
        return Ok(());
    };
    for name in STANDARD_CRATES {
        let place = folder.join(STANDARD_LIBRARY).join(name);
        fs::create_dir_all(&place)?;
        symlink(sources.join(name).join("src"), place.join("src"))?;
    }
    Ok(())
}

/// Leaves out of what `cargo metadata` told the packages that rust-analyzer is not shown. What doesn't tell which package needs
/// which (as with `--no-deps`) stays as it is.
pub fn leave_out(metadata: &mut Value) {
    if metadata["resolve"]["root"].is_null() {
        return;
    }
    let shown = shown(metadata);
    retain(&mut metadata["packages"], "/id", &shown);
    retain(&mut metadata["resolve"]["nodes"], "/id", &shown);
    let packages = metadata["packages"].as_array_mut();
    for package in packages.into_iter().flatten() {
        if package["name"] == "svertka" {
            // As if it lay beside the sources: below the package's folder there are also the tests, the kernel and libtorch.
            let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
            package["manifest_path"] = manifest.with_file_name("src/Cargo.toml").to_str().into();
        }
    }
    let nodes = metadata["resolve"]["nodes"].as_array_mut();
    for node in nodes.into_iter().flatten() {
        retain(&mut node["deps"], "/pkg", &shown);
        retain(&mut node["dependencies"], "", &shown);
    }
}

/// Keeps of a list what is shown; `id` points to the package's id in each entry.
fn retain(list: &mut Value, id: &str, shown: &HashSet<Value>) {
    if let Some(list) = list.as_array_mut() {
        list.retain(|entry| entry.pointer(id).is_some_and(|id| shown.contains(id)));
    }
}

/// The ids of the packages that are shown.
fn shown(metadata: &Value) -> HashSet<Value> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let name = |id: &Value| packages[id]["name"].as_str().unwrap_or_default();
    let mut shown = HashSet::new();
    let mut next = vec![&metadata["resolve"]["root"]];
    while let Some(id) = next.pop() {
        if !shown.insert(id.clone()) {
            continue;
        }
        for dependency in list(&nodes[id]["deps"]) {
            let needed = &dependency["pkg"];
            // `null` is the kind of what is neither for the build nor for tests.
            let mut kinds = list(&dependency["dep_kinds"]);
            if kinds.any(|kind| kind["kind"].is_null()) && is_shown_with(name(id), name(needed)) {
                next.push(needed);
            }
        }
    }
    shown
}

fn by_id(all: &Value) -> HashMap<&Value, &Value> {
    list(all).map(|one| (&one["id"], one)).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a package's dependency is shown for its sake. With the crate and `tch` are those alone whose types they show to the
/// cells; what a cell adds by `:dep` is shown with all that it needs.
fn is_shown_with(package: &str, dependency: &str) -> bool {
    match (package, dependency) {
        ("svertka", "anyhow" | "tch") => true,
        ("svertka" | "tch", _) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A package's dependencies: their ids, and their kinds.
    type Needs = [(&'static str, Option<&'static str>)];

    /// What cargo tells of packages with these dependencies.
    fn told(packages: &[(&str, &Needs)]) -> Value {
        let nodes = packages.iter().map(|(id, dependencies)| {
            let deps = dependencies
                .iter()
                .map(|(id, kind)| json!({"pkg": id, "dep_kinds": [{"kind": kind}]}));
            let ids = dependencies.iter().map(|(id, _)| id);
            json!({"id": id, "deps": deps.collect::<Vec<_>>(), "dependencies": ids.collect::<Vec<_>>()})
        });
        let about = packages.iter().map(|(id, _)| {
            json!({"id": id, "name": id, "manifest_path": format!("/{id}/Cargo.toml"),
                "targets": [{"kind": ["lib"], "src_path": format!("/{id}/src/lib.rs")}]})
        });
        json!({"packages": about.collect::<Vec<_>>(),
            "resolve": {"root": "ctx", "nodes": nodes.collect::<Vec<_>>()}})
    }

    fn shown(packages: &[(&str, &Needs)]) -> Vec<String> {
        let mut metadata = told(packages);
        leave_out(&mut metadata);
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        let edges = nodes.iter().flat_map(|node| {
            let ids = node["dependencies"].as_array().unwrap();
            assert_eq!(ids.len(), node["deps"].as_array().unwrap().len());
            let from = node["id"].as_str().unwrap().to_owned();
            ids.iter()
                .map(move |to| format!("{from}-{}", to.as_str().unwrap()))
        });
        let edges: Vec<String> = edges.collect();
        assert_eq!(metadata["packages"].as_array().unwrap().len(), nodes.len());
        edges
    }

    #[test]
    fn what_lies_behind_the_crate_is_left_out_unless_a_cell_adds_it() {
        let with = |added: &Needs| {
            shown(&[
                ("ctx", added),
                (
                    "svertka",
                    &[
                        ("anyhow", None),
                        ("plotters", None),
                        ("tch", None),
                        ("tempfile", Some("dev")),
                    ],
                ),
                ("tch", &[("ndarray", None), ("cc", Some("build"))]),
                ("anyhow", &[]),
                ("plotters", &[("num", None)]),
                ("num", &[]),
                ("ndarray", &[("num", None)]),
                ("cc", &[]),
                ("tempfile", &[]),
            ])
        };
        assert_eq!(
            with(&[("svertka", None)]),
            ["ctx-svertka", "svertka-anyhow", "svertka-tch"]
        );
        assert_eq!(
            with(&[("svertka", None), ("ndarray", None)]),
            [
                "ctx-svertka",
                "ctx-ndarray",
                "svertka-anyhow",
                "svertka-tch",
                "tch-ndarray",
                "ndarray-num"
            ]
        );
    }

    #[test]
    fn of_the_checkout_only_the_sources_are_read() {
        let mut metadata = told(&[("ctx", &[("svertka", None)]), ("svertka", &[])]);
        leave_out(&mut metadata);
        assert_eq!(
            metadata["packages"][1]["manifest_path"],
            "/svertka/src/Cargo.toml"
        );
        assert_eq!(metadata["packages"][0]["manifest_path"], "/ctx/Cargo.toml");
    }

    #[test]
    fn what_tells_nothing_of_dependencies_stays() {
        let mut metadata = json!({"packages": [{"id": "ctx", "name": "ctx"}], "resolve": null});
        let before = metadata.clone();
        leave_out(&mut metadata);
        assert_eq!(metadata, before);
    }
}
