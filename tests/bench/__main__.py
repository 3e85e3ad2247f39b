"""`./dev bench [NAME…] [--json]`: figures, each against its floor or peer turn by turn in one run, or a count.

Counts (commits, fdatasyncs, bytes, wake-ups) are the same on every machine; ratios are nearly so; plain times and sizes
say with which machine they go.
"""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec

from tests.bench import journal, linkup, relay, running, worlds
from tests.bench.figures import Figure, file_system

FIGURES: dict[str, Callable[[Path], Figure]] = {
    make.__name__: make
    for make in (
        journal.commit_vs_raw, running.fdatasync_per_commit, running.hook_p50_vs_raw, running.hook_64_vs_raw,
        running.sale_commits, running.sale_device_bytes, worlds.core_worlds_s, worlds.journal_worlds_s, running.ready_ms,
        running.rss_mb, running.idle_wakeups_s, linkup.link_up_to_0410_ms, relay.relay_p50_vs_raw,
        relay.relay_exchanges_s,
    )
}
FOLDER = Path("var/bench")


def main() -> int:
    """Measure what is asked for, everything by default."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, epilog="names: " + ", ".join(FIGURES))
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *FIGURES], help="which figures")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line of its own")
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    where = file_system(FOLDER)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {where}", file=sys.stderr)
    figures = []
    # Each in a process of its own: what one leaves in memory would slow down the callers of the next.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
        for name in options.names or FIGURES:
            figure = alone.submit(FIGURES[name], FOLDER).result()
            figures.append(figure)
            print(_line(figure), flush=True)
    if options.json:
        print(msgspec.json.encode({"file_system": where, "figures": figures}).decode())
    return 0


def _line(figure: Figure) -> str:
    low, high = figure.quartiles or (0.0, 0.0)
    spread = f" (quartiles {low}–{high}, {figure.rounds} rounds)" if figure.quartiles else ""
    peer = f"; peer: {figure.peer}" if figure.peer else ""
    raw = "" if not figure.raw else "  " + ", ".join(f"{name} {value}" for name, value in figure.raw.items())
    return f"{figure.name:<22} {figure.value:>10} {figure.unit}{spread}  {figure.says}{peer}{raw}"


if __name__ == "__main__":
    sys.exit(main())
