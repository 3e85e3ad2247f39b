"""`./dev sim`: play simulated worlds, many seeds, on every core, and say what broke.

Exit code 0: no promise was broken; 1: one was, and the timeline is printed; 64: usage.
"""

import argparse
import gc
import json
import os
import secrets
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from agent.cli.progress import Progress
from tests.sim.faults import NAMES, PAYAPP
from tests.sim.report import Failure, describe, play

CHUNK = 250
COLLECT_EVERY = 16  # worlds of the core
FAILURES_MAX = 20  # told in the summary
DESCRIBED_MAX = 3


class Part(NamedTuple):
    """What a run of seeds came to: the sum of their fingerprints, the steps of their agents, the failures, what it cost."""

    digest: int
    steps: int
    failures: list[Failure]
    cpu_s: float


def main(arguments: list[str] | None = None) -> int:
    """Parse, play, report."""
    parser = _options()
    options = parser.parse_args(arguments)
    known = PAYAPP if options.payapp else NAMES
    for name in options.only or ():
        if name not in known:
            parser.error(f"no fault {name!r} in these worlds; there are {', '.join(known)}")
    first = options.seed if options.seed is not None else secrets.randbits(31)
    if not options.json:
        kind = "worlds of mode payapp" if options.payapp else "worlds"
        mode = "the real journal on a failing disk" if options.journal else "the core in memory"
        print(f"{options.seeds} {kind} from seed {first}, {mode}, {options.jobs} process(es)", flush=True)
    began_s = time.monotonic()
    progress = Progress("worlds")
    parts: list[Part] = []
    for part in _play_all(first, options):
        parts.append(part)
        progress(min(len(parts) * CHUNK, options.seeds), options.seeds)
        for failure in part.failures:  # said at once: a long run may be ended by whoever has seen enough
            print(f"seed {failure.seed} broke a promise: {failure.rule}", file=sys.stderr, flush=True)
    progress.finish()
    took_s = time.monotonic() - began_s
    failures = sorted(failure for part in parts for failure in part.failures)
    for failure in failures[:DESCRIBED_MAX]:
        print(describe(failure), file=sys.stderr if options.json else sys.stdout, end="\n\n")
    digest, steps = sum(part.digest for part in parts) & 0xFFFFFFFF, sum(part.steps for part in parts)
    _summary(options, first, Part(digest, steps, failures, sum(part.cpu_s for part in parts)), took_s)
    return 1 if failures else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev sim", description="Simulated worlds that try to lose money.")
    parser.add_argument("--seeds", type=int, default=20_000, metavar="N", help="how many worlds")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="the first seed (default: a fresh one)")
    parser.add_argument("--journal", action="store_true", help="with the real journal on a disk whose power is cut")
    parser.add_argument("--payapp", action="store_true", help="worlds of mode payapp (default: direct and relay)")
    only = "these faults in every world, and no others"
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), default=None, metavar="A,B", help=only)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    return parser


def _play_all(first: int, options: argparse.Namespace) -> Iterator[Part]:
    count, how = options.seeds, (options.journal, options.only, options.payapp)
    parts = [(seed, min(CHUNK, first + count - seed), *how) for seed in range(first, first + count, CHUNK)]
    if options.jobs <= 1 or len(parts) <= 1:
        _collect_by_hand()
        try:
            yield from map(_play_part, parts)
        finally:
            gc.unfreeze()
            gc.enable()
    else:
        with ProcessPoolExecutor(options.jobs, initializer=_collect_by_hand) as pool:
            yield from pool.map(_play_part, parts)


def _collect_by_hand() -> None:
    """Everything in a world refers to the world: it is emptied after its end, and what else goes in circles is collected by hand.

    What was there before is frozen. The next world gets memory that is still in the processor's cache.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def _play_part(part: tuple[int, int, bool, tuple[str, ...] | None, bool]) -> Part:
    """A run of seeds. `worlds_per_core_s` counts the time of the processor alone, whatever else the machine has to do."""
    first, count, journal, only, payapp = part
    digest, steps, failures = 0, 0, []
    began_s = time.process_time()
    for seed in range(first, first + count):
        world = play(seed, journal=journal, only=only, payapp=payapp)
        if isinstance(world, Failure):
            failures.append(world)
        else:
            digest += zlib.crc32(f"{seed}:{world.fingerprint()}".encode())
            steps += world.machine.steps
            world.__dict__.clear()  # nothing refers to it any more, so most of it goes without the collector
        del world
        if journal or seed % COLLECT_EVERY == 0:  # a journal's files are let go before those of the next world
            gc.collect()
    return Part(digest, steps, failures, time.process_time() - began_s)


def _summary(options: argparse.Namespace, first: int, played: Part, took_s: float) -> None:
    digest, steps, failures, cpu_s = played
    worlds_per_s, worlds_per_core_s = round(options.seeds / took_s, 1), round(options.seeds / cpu_s, 1)
    if options.json:
        told = [{"seed": failure.seed, "rule": failure.rule, "text": failure.text} for failure in failures[:FAILURES_MAX]]
        summary = {
            "ok": not failures, "mode": "journal" if options.journal else "core", "payapp": options.payapp, "first_seed": first,
            "seeds": options.seeds, "violations": len(failures), "failures": told, "steps": steps, "hash": f"{digest:08x}",
            "jobs": options.jobs, "seconds": round(took_s, 2),
            "worlds_per_s": worlds_per_s, "worlds_per_core_s": worlds_per_core_s,
        }
        print(json.dumps(summary))
        return
    verdict = "no promise broken" if not failures else f"{len(failures)} worlds broke a promise"
    print(f"{verdict}; {worlds_per_s:.0f} worlds/s, {steps} steps, {took_s:.1f} s, first seed {first}, hash {digest:08x}")


if __name__ == "__main__":
    sys.exit(main())
