"""How many simulated worlds one core plays in a second of its own time: what makes a million of them affordable."""

import json
import subprocess
import sys
from pathlib import Path
from time import process_time

from tests.bench.figures import Figure
from tests.support.agent import ROOT


def _worlds_s(*options: str) -> float:
    argv = [sys.executable, "-m", "tests.sim", "--jobs", "1", "--json", *options]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return round(float(json.loads(done.stdout.splitlines()[-1])["worlds_per_core_s"]), 1)


def _additions_s() -> float:
    """How fast this machine's Python is today: additions a second of one plain loop. It tells two machines' worlds apart."""
    count, total, began_s = 2_000_000, 0, process_time()
    for number in range(count):
        total += number
    return round(count / (process_time() - began_s))


def core_worlds_s(_folder: Path) -> Figure:
    """Worlds a second with the core alone."""
    worlds_s = _worlds_s("--seeds", "5000", "--seed", "1")
    return Figure("core_worlds_s", worlds_s, "worlds/s", "core in memory, one process", raw={"additions_s": _additions_s()})


def journal_worlds_s(_folder: Path) -> Figure:
    """Worlds a second with the journal on a file system whose power is cut."""
    worlds_s = _worlds_s("--seeds", "500", "--seed", "1", "--journal")
    where = "with the real journal on a disk whose power is cut, one process"
    return Figure("journal_worlds_s", worlds_s, "worlds/s", where, raw={"additions_s": _additions_s()})
