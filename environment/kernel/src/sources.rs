//! What rust-analyzer reads to know the types of variables: not all that is compiled.
//!
//! Every source costs time at a kernel's start, and memory as long as it lives. So rust-analyzer is not shown what no
//! cell's variable can be made of: the dependencies behind the crate's own and behind `tch`'s types, what is only needed to
//! build them, and of the standard library all but its three crates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::toolchain;

/// In a build folder: where rust-analyzer looks for the standard library.
pub const STANDARD_LIBRARY: &str = "rust-src";
const STANDARD_CRATES: [&str; 3] = ["core", "alloc", "std"];

/// Packages whose dependencies are left out, but for those whose types they show to the cells. What a cell adds by `:dep` is
/// shown with all that it needs.
const SHOWN: [(&str, &[&str]); 2] = [("svertka", &["anyhow", "tch"]), ("tch", &[])];

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
    let mut resolved = metadata["resolve"].take();
    if let (Some(packages), true) = (metadata["packages"].as_array_mut(), resolved.is_object()) {
        leave_out_packages(packages, &mut resolved);
    }
    metadata["resolve"] = resolved;
}

fn leave_out_packages(packages: &mut Vec<Value>, resolved: &mut Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> = packages
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    for package in packages.iter_mut().filter(|it| it["name"] == "svertka") {
        // As if it lay beside the sources: below the package's folder there are also the tests, the kernel and libtorch.
        let targets = package["targets"].as_array();
        let library = targets.and_then(|all| all.iter().find(|one| one["kind"][0] == "lib"));
        let beside = library
            .and_then(|library| library["src_path"].as_str())
            .map(|file| Path::new(file).with_file_name("Cargo.toml"));
        if let Some(path) = beside.as_deref().and_then(Path::to_str) {
            package["manifest_path"] = path.into();
        }
    }
    let nodes = resolved["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let needs: BTreeMap<String, Vec<String>> = nodes
        .iter()
        .map(|node| (text(&node["id"]), shown_dependencies(node, &names)))
        .collect();
    let mut shown = BTreeSet::new();
    let mut next = vec![text(&resolved["root"])];
    while let Some(id) = next.pop() {
        if shown.insert(id.clone()) {
            next.extend(needs.get(&id).into_iter().flatten().cloned());
        }
    }
    let is_shown = |id: &Value| shown.contains(id.as_str().unwrap_or_default());
    packages.retain(|package| is_shown(&package["id"]));
    if let Some(nodes) = resolved["nodes"].as_array_mut() {
        nodes.retain(|node| is_shown(&node["id"]));
        for node in nodes {
            if let Some(all) = node["deps"].as_array_mut() {
                all.retain(|dependency| is_shown(&dependency["pkg"]));
            }
            if let Some(all) = node["dependencies"].as_array_mut() {
                all.retain(is_shown);
            }
        }
    }
}

/// The ids of a package's dependencies that it is shown with.
fn shown_dependencies(node: &Value, names: &BTreeMap<String, String>) -> Vec<String> {
    let name = |id: &Value| names.get(id.as_str()?).map(String::as_str);
    let only = SHOWN
        .iter()
        .find(|(package, _)| name(&node["id"]) == Some(package))
        .map(|(_, only)| only);
    let dependencies = node["deps"].as_array().map_or(&[][..], Vec::as_slice);
    dependencies
        .iter()
        .filter(|dependency| {
            // `null` is the kind of what is neither for the build nor for tests.
            let kinds = dependency["dep_kinds"].as_array();
            kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        })
        .map(|dependency| &dependency["pkg"])
        .filter(|id| only.is_none_or(|only| name(id).is_some_and(|name| only.contains(&name))))
        .filter_map(|id| Some(id.as_str()?.to_owned()))
        .collect()
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
