# Sourced by ./dev: the virtual environment, and the programs that come from Debian. Everything made here lies in .venv
# and .dev; removing the two folders undoes it. Progress goes to standard error.

ROOT=$PWD
DEV=$ROOT/.dev
PATH=$DEV/bin:$PATH:/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '· %s\n' "$*" >&2; }
die() { printf 'dev: %s\n' "$*" >&2; exit 69; }
am_root() { [ "$(id -u)" = 0 ]; }

# Runs a command with its output in the log, shown only when it fails.
quietly() {
    "$@" >"$DEV/setup.log" 2>&1 </dev/null || { tail -n 25 "$DEV/setup.log" >&2; return 1; }
}

# One set-up at a time: two commands started together must not install over each other.
locked() {
    mkdir -p "$DEV"
    exec 9>"$DEV/lock"
    flock 9
    "$@"
    exec 9>&-
}

# --- Debian packages: installed by apt as root, else unpacked into .dev/root and run from there ----------------------

apt_system() {
    export DEBIAN_FRONTEND=noninteractive
    say "installing $* with apt"
    local options=(-y -o DPkg::Lock::Timeout=300 --no-install-recommends)
    apt-get "${options[@]}" install "$@" >"$DEV/setup.log" 2>&1 </dev/null && return
    say "renewing apt's lists"
    quietly apt-get -o DPkg::Lock::Timeout=300 update && quietly apt-get "${options[@]}" install "$@"
}

# apt-get with its own state, so that no right on the system's is needed.
apt_private() {
    apt-get -o "Dir::State=$DEV/apt" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$DEV/apt" \
        -o Debug::NoLocking=true "$@"
}

apt_unpacked() {
    mkdir -p "$DEV/apt/lists/partial" "$DEV/apt/archives/partial" "$DEV/apt/debs" "$DEV/root"
    if [ -z "$(find "$DEV/apt/lists" -name '*Packages*' -mmin -1440 -print -quit)" ]; then
        say "fetching apt's lists into .dev/apt (about 20 MB)"
        quietly apt_private update || true # one unreachable source must not hide the others
    fi
    local names
    mapfile -t names < <(apt_private -s --no-install-recommends install "$@" 2>/dev/null |
        awk '/^Inst /{print $2}' | grep -vE '^(libc6|libc-bin|libgcc-s1|gcc-12-base)$')
    [ ${#names[@]} -gt 0 ] || names=("$@")
    say "fetching ${names[*]} and unpacking into .dev/root"
    (cd "$DEV/apt/debs" && rm -f ./*.deb && quietly apt_private download "${names[@]}") || return 1
    local deb
    for deb in "$DEV"/apt/debs/*.deb; do dpkg -x "$deb" "$DEV/root" || return 1; done
    rm -f "$DEV"/apt/debs/*.deb
    wrappers
}

# Programs from .dev/root find their libraries there, and nothing else does.
wrappers() {
    local program wrapper
    mkdir -p "$DEV/bin"
    for program in "$DEV"/root/{usr/,}{bin,sbin}/*; do
        [ -x "$program" ] && [ ! -d "$program" ] || continue
        wrapper=$DEV/bin/${program##*/}
        printf '#!/bin/sh\nexport LD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexec "%s" "$@"\n' \
            "$(private_libraries)" "$program" >"$wrapper"
        chmod +x "$wrapper"
    done
}

private_libraries() {
    local folder found=
    for folder in "$DEV"/root/{usr/,}lib "$DEV"/root/{usr/,}lib/*-linux-gnu*; do
        [ ! -d "$folder" ] || found=${found:+$found:}$folder
    done
    printf %s "$found"
}

# debian PACKAGE…  makes the packages' programs and files available, or ends with the command that would.
debian() {
    if command -v apt-get >/dev/null; then
        if am_root && apt_system "$@"; then return; fi
        if apt_unpacked "$@"; then return; fi
    fi
    die "$* is missing and could not be fetched; run: $(am_root || echo 'sudo ')apt-get install $*"
}

# tool PROGRAM PACKAGE  the path of a program, from the system or from Debian.
tool() {
    command -v "$1" >/dev/null || locked debian "$2"
    command -v "$1" || die "$1 is missing after installing $2; run: apt-get install --reinstall $2"
}

need_broker() {
    [ -n "${REVERSALD_MOSQUITTO:-}" ] || REVERSALD_MOSQUITTO=$(tool mosquitto mosquitto)
    export REVERSALD_MOSQUITTO
}

need_strace() { tool strace strace >/dev/null; }

# Chromium and its driver, of one version. Debian's start script knows only its own folder, so a private copy is started directly.
need_browser() {
    local chromium=usr/lib/chromium/chromium
    if [ -z "${REVERSALD_CHROMIUM:-}" ] || [ -z "${REVERSALD_CHROMEDRIVER:-}" ]; then
        { [ -e "/$chromium" ] || [ -e "$DEV/root/$chromium" ]; } && command -v chromedriver >/dev/null ||
            locked debian chromium chromium-driver
        REVERSALD_CHROMIUM=/$chromium
        [ -e "$REVERSALD_CHROMIUM" ] || REVERSALD_CHROMIUM=$DEV/root/$chromium
        REVERSALD_CHROMEDRIVER=$(command -v chromedriver) ||
            die "chromedriver is missing after installing chromium-driver; run: apt-get install --reinstall chromium-driver"
    fi
    export REVERSALD_CHROMIUM REVERSALD_CHROMEDRIVER
}

need_font() {
    local file=usr/share/fonts/truetype/wqy/wqy-microhei.ttc
    if [ -z "${REVERSALD_FONT:-}" ]; then
        [ -e "/$file" ] || [ -e "$DEV/root/$file" ] || locked debian fonts-wqy-microhei
        REVERSALD_FONT=/$file
        [ -e "$REVERSALD_FONT" ] || REVERSALD_FONT=$DEV/root/$file
    fi
    export REVERSALD_FONT
}

# --- Python ----------------------------------------------------------------------------------------------------------

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
        # Its own word for where it is: the name may be a shim that chooses another one elsewhere.
        "$name" -c 'import sys; print(sys.executable) if sys.version_info >= (3, 11) else sys.exit(1)' 2>/dev/null && return
    done
    die "Python 3.11 or newer is missing; run: apt-get install python3 python3-venv"
}

# make_venv FOLDER LOCK PYTHON  an environment with exactly the locked packages, and this tree in it.
make_venv() {
    local folder=$1 lock=packaging/requirements/$2 python=$3 state
    state="$python $PWD $(cat "$lock" pyproject.toml | sha256sum)"
    [ "$(cat "$folder/.complete" 2>/dev/null)" != "$state" ] || return 0
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        am_root || die "python3-venv is missing; run: sudo apt-get install python3-venv"
        apt_system python3-venv || true
        "$python" -c 'import ensurepip' 2>/dev/null || die "$python cannot make a virtual environment; run: apt-get install python3-venv"
    fi
    if ! "$folder/bin/python" -c 'import pip' 2>/dev/null; then
        say "making the virtual environment $folder with $python"
        rm -rf "$folder"
        quietly "$python" -m venv "$folder" || die "the virtual environment could not be made; the reason stands above"
    fi
    rm -f "$folder/.complete"
    say "installing $(grep -c == "$lock") locked packages (a minute or two the first time)"
    quietly "$folder/bin/python" -m pip install --require-hashes -r "$lock" ||
        die "the packages could not be installed; the reason stands above; run the command again once it is mended"
    quietly "$folder/bin/python" -m pip install --no-deps --no-build-isolation --editable . ||
        die "this tree could not be installed into $folder; the reason stands above"
    printf '%s\n' "$state" >"$folder/.complete"
}

need_venv() {
    local python
    python=$(find_python)
    locked make_venv .venv dev.txt "$python"
}
