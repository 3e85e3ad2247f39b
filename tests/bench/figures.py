"""What a figure is, and how two things are measured fairly: turn by turn in one run, so that both meet the same weather."""

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import msgspec

ROUNDS = 40  # at least 30, so that a quartile means something
TURNS = 20  # of each in a round, whose median counts


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure. `value` is a ratio A/B where `peer` is named, else a count or a plain measure of `unit`."""

    name: str
    value: float
    unit: str
    says: str
    peer: str = ""
    quartiles: tuple[float, float] | None = None
    rounds: int = 1
    raw: dict[str, Any] = {}


def interleave(
    ours: Callable[[], float], peer: Callable[[], float], rounds: int = ROUNDS, turns: int = TURNS
) -> tuple[list[float], list[float]]:
    """A B A B …, one at a time: the medians of both, round by round. The first turn of each only warms up.

    One at a time, because in a loop of its own the peer finds the disk awake and every cache full of itself. Nobody who waits for
    a terminal finds that: what is measured here had to sleep until something came.
    """
    ours()
    peer()
    left, right = [], []
    for _ in range(rounds):
        pairs = [(ours(), peer()) for _ in range(turns)]
        left.append(statistics.median(mine for mine, _ in pairs))
        right.append(statistics.median(theirs for _, theirs in pairs))
    return left, right


def ratio(name: str, unit: str, says: str, peer: str, measured: tuple[list[float], list[float]]) -> Figure:
    """The median of the rounds' ratios with their quartiles; the medians of both sides stand in `raw`."""
    ours, theirs = measured
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    raw = {f"ours_{unit}": round(statistics.median(ours), 2), f"peer_{unit}": round(statistics.median(theirs), 2)}
    return Figure(
        name, round(statistics.median(ratios), 3), "×", says, peer, (round(low, 3), round(high, 3)), len(ratios), raw
    )


def file_system(path: Path) -> str:
    """Type and device of the file system that `path` is on."""
    best = ("", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, mount, kind = line.split()[:3]
        inside = str(path.resolve()).startswith(mount.rstrip("/") + "/") or mount == "/"
        if inside and len(mount) >= len(best[0]):
            best = (mount, f"{kind} on {device}")
    return best[1]


def raw_append(path: Path, size: int = 400) -> Callable[[], float]:
    """The floor: append `size` bytes and fdatasync, in microseconds."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    data = b"x" * size
    return lambda: timed_us(lambda: (os.write(descriptor, data), os.fdatasync(descriptor)))


def timed_us(once: Callable[[], object]) -> float:
    """How long it takes, in microseconds."""
    began = perf_counter_ns()
    once()
    return (perf_counter_ns() - began) / 1000
