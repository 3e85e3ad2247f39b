# Sourced by ./dev package: builds the one-folder and the one-file binary and runs the first end-to-end test against each.

FIRST_TEST=tests/e2e/test_first.py

# Does this Python find its own shared library, here or unpacked? PyInstaller puts it into the binary.
has_library() {
    LD_LIBRARY_PATH=$(private_libraries) "$1" - 2>/dev/null <<'EOF'
import ctypes, os, sysconfig
name = sysconfig.get_config_var("INSTSONAME")
os.path.exists(os.path.join(sysconfig.get_config_var("LIBDIR"), name)) or ctypes.CDLL(name)
EOF
}

# The Python to build with: the first that has a shared library, else Debian's with libpython fetched for it.
packaging_python() {
    local python
    for python in "$(find_python)" /usr/bin/python3; do
        if [ -x "$python" ] && has_library "$python"; then
            printf %s "$python"
            return
        fi
    done
    [ -x /usr/bin/python3 ] || die "no Python with a shared library was found; run: apt-get install python3 python3-venv"
    debian "$(/usr/bin/python3 -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])')" >&2
    printf %s /usr/bin/python3
}

package() {
    local python binary
    tool objdump binutils >/dev/null
    tool objcopy binutils >/dev/null
    python=$(packaging_python)
    has_library "$python" ||
        die "$python has no shared library; run: apt-get install libpython3-dev, or choose another with PYTHON=…"
    locked make_venv .dev/package package.txt "$python"
    say "building dist/onedir/ and dist/reversald"
    quietly env LD_LIBRARY_PATH="$(private_libraries)" .dev/package/bin/pyinstaller --noconfirm --distpath dist --workpath build \
        packaging/reversald.spec || die "PyInstaller failed; the reason stands above, the whole log in .dev/setup.log"
    say "$(du -sh dist/onedir dist/reversald | tr '\t\n' '  ')"
    for binary in dist/onedir/reversald dist/reversald; do
        say "$binary: the first end-to-end test"
        REVERSALD_BINARY=$PWD/$binary .venv/bin/pytest "$FIRST_TEST"
    done
}
