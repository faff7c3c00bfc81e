# shellcheck shell=bash
# What the scripts here share: where things lie, how they speak, which libtorch is used. Sourced, never run.
# shellcheck disable=SC2034 # the variables are for the scripts that source this file

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
environment=$root/environment
venv=$environment/.venv
state=$root/target/setup
torch_version=2.13.0
rust_version=1.95

# A service, or a schedule, may start these without a home folder, or without an open standard input.
if [[ -z ${HOME:-} ]]; then
    unset HOME
    export HOME=~
    printf 'HOME is not set: taking %s\n' "$HOME"
fi
[[ -e /dev/fd/0 ]] || exec </dev/null
# Python's files and pipes are UTF-8, whatever the locale.
export PYTHONUTF8=1

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
    printf '%s%s\n' "$anew" "$*"
}

# For what the next line may replace: a terminal's line is written anew, elsewhere each has a line of its own.
anew=
[[ ! -t 1 ]] || anew=$'\r\e[K'

say_for_now() {
    local width text=$*
    if [[ -z $anew ]]; then
        say "$text"
    else
        width=$(stty size 2>/dev/null </dev/tty | cut -d ' ' -f 2) || true
        printf '%s%s' "$anew" "${text:0:${width:-80}-1}"
    fi
}

fail() {
    printf '%s' "$anew"
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# watched NAME WHAT DURATION COMMAND…: runs the command with its output in target/setup/NAME.log, and leaves its exit status in
# `status`. If it takes more than a moment it says what is done and how long that may take, then now and then how far it is
# (NAME_progress puts that into `progress`; otherwise the log's last line), and at the end how long it took.
# Where it stands in a condition, bash does not end COMMAND at its first error.
quiet_seconds=3
progress_seconds=4

watched() {
    local name=$1 what=$2 duration=$3 begin=$SECONDS job teller
    shift 3
    log=$state/$name.log
    {
        trap end_jobs EXIT
        "$@"
    } >"$log" 2>&1 &
    job=$!
    # Without set-up's lock, which would outlive a script that is killed.
    tell_progress 9>&- &
    teller=$!
    status=0
    wait "$job" || status=$?
    kill "$teller" 2>/dev/null || true
    wait "$teller" 2>/dev/null || true
    ((status != 0 || SECONDS - begin < quiet_seconds)) || say "$what: done in $((SECONDS - begin)) s"
}

tell_progress() { # the variables are those of `watched`
    local progress
    pause "$quiet_seconds"
    say "$what ($duration)"
    while :; do
        pause "$progress_seconds"
        kill -0 "$$" 2>/dev/null || exit 0
        progress=$(last_line)
        if declare -F "${name}_progress" >/dev/null; then
            "${name}_progress"
        fi
        say_for_now "  $what, $((SECONDS - begin)) s: ${progress:-at work}"
    done
}

# Sleeps without a process of its own, which would outlive this one.
pause() { # SECONDS
    read -r -t "$1" <> <(:) || true
}

last_line() { # of the log, as a terminal would show it
    local line
    line=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 || true)
    line=${line##*$'\r'}
    printf '%s\n' "${line:0:110}"
}

# Why the last command failed, in one line.
reason() {
    grep -m 1 -i '^\(error\|E\): ' "$log" || last_line
}

# Ends the script with the end of the log of what failed last.
fail_with_log() { # WHAT-WAS-WRONG WHAT-TO-DO
    printf '%s' "$anew"
    tail -n 15 "$log" >&2
    fail "$1 (the whole story: $log); $2"
}

# Runs it in the background and waits, so that a signal to the script ends it too.
attended() {
    "$@" &
    wait $!
}

# A shell that ends takes with it what it started in the background.
end_jobs() {
    local jobs
    mapfile -t jobs < <(jobs -p)
    ((${#jobs[@]} == 0)) || kill "${jobs[@]}" 2>/dev/null || true
    wait
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

apt_install() { # PACKAGE…
    say "Installing with apt-get: $*"
    watched apt "apt-get" "a minute or two" apt_get_install "$@"
    ((status == 0)) || say "apt-get failed: $(reason) (the whole story: $log)"
    return "$status"
}

apt_get_install() {
    local get=(apt-get -o DPkg::Lock::Timeout=60 --yes --quiet=2 --no-install-recommends)
    export DEBIAN_FRONTEND=noninteractive
    # What it installs is everybody's.
    umask 022
    # An apt-get that was interrupted leaves a state in which it refuses to go on.
    attended dpkg --configure -a
    attended "${get[@]}" install "$@" || {
        attended "${get[@]}" update && attended "${get[@]}" install "$@"
    }
}

# Is the rustc that is used here one of rustup's, which `rustup component add` can add to?
rust_is_of_rustup() {
    [[ $(cd "$root" && rustup which rustc 2>/dev/null) -ef "$(rust_sysroot)/bin/rustc" ]]
}

rust_sysroot() {
    (cd "$root" && rustc --print sysroot)
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
