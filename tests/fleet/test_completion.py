"""`reversald-fleet completion`: a real shell, and what it offers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import ROOT

COMMANDS = {"serve", "watch", "command", "settle", "replay", "key", "completion"}


def fleet(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fleet", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def offered(folder: Path, *words: str) -> set[str]:
    """What bash offers for the last word, with the script loaded and the program in its PATH."""
    program = folder / "reversald-fleet"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m fleet "$@"\n')
    program.chmod(0o755)
    (folder / "script").write_text(fleet("completion", "bash").stdout)
    asked = (
        f"source {folder}/script 2>/dev/null; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        '_reversald_fleet_completion reversald-fleet; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    assert offered(tmp_path, "reversald-fleet", '""') == COMMANDS
    assert offered(tmp_path, "reversald-fleet", "w") == {"watch"}
    assert offered(tmp_path, "reversald-fleet", "watch", "--br") == {"--broker"}
    assert offered(tmp_path, "reversald-fleet", "watch", "--lang", '""') == {"zh", "en"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    said = fleet("completion", shell)
    assert (said.returncode, said.stderr) == (0, "")
    assert "_REVERSALD_FLEET_COMPLETE" in said.stdout
    assert "reversald-fleet" in said.stdout


def test_another_shell_is_a_mistake_of_the_caller() -> None:
    assert fleet("completion", "tcsh").returncode == 64
