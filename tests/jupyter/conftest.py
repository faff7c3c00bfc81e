"""Installs a kernelspec in a folder of its own and starts one kernel for each file of tests."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kernels


def libtorch():
    if "LIBTORCH" in os.environ:
        return Path(os.environ["LIBTORCH"])
    # By the very name that set-up gives it: another name would make cargo build libtorch's bindings again.
    found = kernels.PROJECT / "environment" / "libtorch"
    assert found.exists(), "set LIBTORCH, or run environment/lesson once"
    return found


def pytest_configure(config):
    # Before any test class asks for the kernel by name.
    assert kernels.BINARY.exists(), f"{kernels.BINARY} is not built: run environment/lesson once"
    folder = tempfile.TemporaryDirectory(prefix="svertka-jupyter-")
    config.add_cleanup(folder.cleanup)
    os.environ["JUPYTER_PATH"] = folder.name
    os.environ["JUPYTER_RUNTIME_DIR"] = str(Path(folder.name) / "runtime")
    os.environ["SVERTKA_LANG"] = "en"
    kernels.install(kernels.NAME, kernels.PROJECT, libtorch())


@pytest.fixture(scope="module")
def kernel():
    kernel = kernels.Kernel()
    yield kernel
    kernel.stop()


@pytest.fixture
def own_kernel():
    """A kernel that a test may break."""
    kernel = kernels.Kernel()
    yield kernel
    kernel.stop()
