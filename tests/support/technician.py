"""A technician at a terminal: runs `reversald` in this process with the story's clock, or as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from agent.cli.base import Surroundings
from agent.cli.commands import cli
from device.clock import Reading
from tests.support.story import PAN

ROOT = Path(__file__).parents[2]


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The JSON it printed."""
        return json.loads(self.out)


def say(config: Path | None, *words: object, clock: Callable[[], Reading] | None = None) -> Said:
    """`reversald WORDS --config CONFIG`, in this process. No card number is ever in what it says."""
    given = [*map(str, words), *(("--config", str(config)) if config is not None else ())]
    result = CliRunner().invoke(cli, given, prog_name="reversald", obj=Surroundings(clock) if clock else None)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    said = Said(result.exit_code, result.stdout, result.stderr)
    masked(said.out + said.err)
    return said


def run(config: Path, *words: object, cwd: Path | None = None, **environment: str) -> Said:
    """The same as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", *map(str, words), "--config", str(config)],
        cwd=cwd,
        capture_output=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        check=False,
    )
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    masked(said.out + said.err)
    return said


def masked(text: str) -> None:
    """No PAN, and no stack trace, in anything that a person or a program reads."""
    assert PAN not in text
    assert "Traceback" not in text
