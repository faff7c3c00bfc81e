"""What is published: the files of the package, and what they say of it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]


def cargo(*command):
    command = ["cargo", *command, "--offline", "--locked"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_is_the_crate_alone():
    files = set(cargo("package", "--list", "--allow-dirty").splitlines())
    made = {".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"}
    texts = {"CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"}
    sources = {str(path.relative_to(PROJECT)) for path in (PROJECT / "src").rglob("*") if path.is_file()}
    assert sources | texts <= files
    assert {path for path in files - sources - texts - made if not path.startswith("examples/")} == set()
    # The registry takes 10 MB; a crate of this size needs a twentieth.
    assert sum((PROJECT / path).stat().st_size for path in files if (PROJECT / path).is_file()) < 1_000_000


def test_the_manifest_says_what_the_registry_and_its_readers_want():
    packages = json.loads(cargo("metadata", "--no-deps", "--format-version=1"))["packages"]
    (crate,) = [package for package in packages if package["name"] == "svertka"]
    assert crate["license"] == "MIT OR Apache-2.0" and crate["description"] and crate["documentation"]
    assert 1 <= len(crate["keywords"]) <= 5 and crate["categories"]
    assert all(re.fullmatch(r"[a-z][a-z0-9_+-]{0,19}", keyword) for keyword in crate["keywords"])
    # Only what the registry has can be depended on.
    assert all(needed["source"] for needed in crate["dependencies"])


@pytest.mark.parametrize("file", ["CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(file):
    for link in re.findall(r"\]\(([^)\s]+)\)", (PROJECT / file).read_text()):
        assert re.match(r"https?:|#", link) or (PROJECT / link.split("#")[0]).exists(), link


def test_the_workflow_runs_the_checks_and_in_full_on_its_schedule():
    workflow = yaml.safe_load((PROJECT / ".github/workflows/check.yml").read_text())
    (job,) = workflow["jobs"].values()
    # YAML takes the word `on` for a truth.
    assert {"push", "pull_request", "schedule"} <= set(workflow[True])
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    (command,) = [step["run"] for step in job["steps"] if step.get("run", "").startswith("environment/")]
    assert (PROJECT / command.split()[0]).stat().st_mode & 0o111
    assert "github.event_name == 'schedule' && '--full'" in command
