# shellcheck shell=bash
# What the scripts here share: where things lie, how they speak, which libtorch is used. Sourced, never run.
# shellcheck disable=SC2034 # the variables are for the scripts that source this file

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
environment=$root/environment
venv=$environment/.venv
state=$root/target/setup
torch_version=2.13.0
rust_version=1.95

# The user's cargo may be set up to build elsewhere; the kernel's launcher must know where its program lies.
export CARGO_TARGET_DIR=$root/target
# This would make torch-sys ask the user's Python for libtorch, whatever LIBTORCH says.
unset LIBTORCH_USE_PYTORCH
# A rustup just installed is often not on the PATH yet.
if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi

# A kernel works in the notebook's folder, where a relative path would mean something else.
if [[ -n ${SVERTKA_DATA:-} && $SVERTKA_DATA != /* ]]; then
    export SVERTKA_DATA=$PWD/$SVERTKA_DATA
fi

say() {
    printf '%s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# step WHAT DURATION COMMAND…: says what is done and how long it may take, does it, says how long it took.
step() {
    local what=$1 duration=$2 begin=$SECONDS
    shift 2
    say "$what ($duration)"
    "$@"
    say "$what: done in $((SECONDS - begin)) s"
}

# The user's cache folder of the crate, by the same rule as the crate's own (a relative XDG_CACHE_HOME does not count).
user_cache() {
    if [[ ${XDG_CACHE_HOME:-} == /* ]]; then
        printf '%s\n' "$XDG_CACHE_HOME/svertka"
    else
        printf '%s\n' ~/.cache/svertka
    fi
}

# The version of the libtorch in FOLDER, as its zip (build-version) or its wheel (version.py) tells it; else nothing.
libtorch_version() {
    local version=
    if [[ -f $1/build-version ]]; then
        read -r version <"$1/build-version" || true
    elif [[ -f $1/version.py ]]; then
        version=$(sed -n "s/^__version__ = '\(.*\)'.*/\1/p" "$1/version.py")
    fi
    printf '%s\n' "${version%%+*}"
}

# Sets `libtorch` to the libtorch of the user's own, if LIBTORCH, or the link that an earlier set-up made from it, names one of
# the right version outside of the virtual environment.
libtorch_given() {
    libtorch=$(realpath --quiet -- "${LIBTORCH:-$environment/libtorch}") || return 1
    [[ $libtorch != "$venv"/* && -e $libtorch/lib/libtorch_cpu.so && $(libtorch_version "$libtorch") == "$torch_version" ]]
}

# Exports LIBTORCH and the way to its libraries. It is always the same path, that of .cargo/config.toml too: torch-sys is
# built anew (2 minutes) whenever LIBTORCH changes.
use_libtorch() {
    export LIBTORCH=$environment/libtorch
    [[ -e $LIBTORCH/lib/libtorch_cpu.so ]] || fail "libtorch $torch_version is missing: run environment/setup"
    export LD_LIBRARY_PATH=$LIBTORCH/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

# Jupyter keeps its settings, its running servers and its kernels in the project: nothing of the user's own changes.
use_jupyter() {
    export JUPYTER_CONFIG_DIR=$environment/.jupyter/config
    export JUPYTER_DATA_DIR=$environment/.jupyter/data
    export JUPYTER_RUNTIME_DIR=$environment/.jupyter/runtime
    export IPYTHONDIR=$environment/.jupyter/ipython
    mkdir -p "$JUPYTER_CONFIG_DIR" "$JUPYTER_DATA_DIR" "$JUPYTER_RUNTIME_DIR" "$IPYTHONDIR"
    # The keys of running kernels and the server's token lie in there.
    chmod 700 "$environment/.jupyter"
}

# May packages of the system be installed without asking (root on Debian or Ubuntu)?
may_apt() {
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null
}

apt_install() {
    say "Installing with apt-get: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --quiet=2 --no-install-recommends "$@" ||
        { apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends "$@"; }
}

# The command that installs the packages named for each package manager, for the one that this machine has.
install_command() { # APT DNF PACMAN ZYPPER
    local sudo='sudo '
    [[ $(id -u) -ne 0 ]] || sudo=
    if command -v apt-get >/dev/null; then
        printf '%sapt-get install %s\n' "$sudo" "$1"
    elif command -v dnf >/dev/null; then
        printf '%sdnf install %s\n' "$sudo" "$2"
    elif command -v pacman >/dev/null; then
        printf '%spacman -S %s\n' "$sudo" "$3"
    elif command -v zypper >/dev/null; then
        printf '%szypper install %s\n' "$sudo" "$4"
    else
        printf 'install %s with the package manager of this system\n' "$1"
    fi
}
