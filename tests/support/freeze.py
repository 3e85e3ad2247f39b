"""Runs a command while its child processes stand still by turns, as on a machine that others use: `./dev soak`.

What a test believes about who is quicker shows itself here. Usage: python -m tests.support.freeze COMMAND [ARGUMENT …]
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

STILL_MEAN_S = 0.08
STILL_MAX_S = 0.4  # less than the shortest time-out of a test
BETWEEN_MAX_S = 0.01


def family(root: int) -> list[int]:
    """The processes below `root` that run or sleep: one that a test has stopped itself is left alone."""
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(parent), []).append((int(entry.name), state))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        todo += [pid for pid, _ in below]
        found += [pid for pid, state in below if state in "RSD"]
    return found


def freeze_one(root: int) -> None:
    """One of them stands still for a moment."""
    processes = family(root)
    if not processes:
        return
    chosen = random.choice(processes)
    with contextlib.suppress(ProcessLookupError):
        os.kill(chosen, signal.SIGSTOP)
        try:
            time.sleep(min(STILL_MAX_S, random.expovariate(1 / STILL_MEAN_S)))
        finally:
            os.kill(chosen, signal.SIGCONT)


def main(command: list[str]) -> int:
    """Until the command ends; its exit code."""
    with subprocess.Popen(command) as running:
        try:
            while running.poll() is None:
                freeze_one(running.pid)
                time.sleep(random.uniform(0, BETWEEN_MAX_S))
        except KeyboardInterrupt:
            running.send_signal(signal.SIGINT)
        return running.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
