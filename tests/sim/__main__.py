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

from tests.sim.faults import MEANING
from tests.sim.report import Failure, describe, play

CHUNK = 250
FAILURES_MAX = 20  # told in the summary
DESCRIBED_MAX = 3


def main(arguments: list[str] | None = None) -> int:
    """Parse, play, report."""
    options = _options().parse_args(arguments)
    first = options.seed if options.seed is not None else secrets.randbits(31)
    if not options.json:
        mode = "the real journal on a failing disk" if options.journal else "the core in memory"
        print(f"{options.seeds} worlds from seed {first}, {mode}, {options.jobs} process(es)", flush=True)
    began_s = time.monotonic()
    digest, steps, failures = 0, 0, []
    for part_digest, part_steps, part_failures in _play_all(first, options):
        digest = (digest + part_digest) & 0xFFFFFFFF
        steps += part_steps
        failures += part_failures
    took_s = time.monotonic() - began_s
    failures.sort()
    for failure in failures[:DESCRIBED_MAX]:
        print(describe(failure), file=sys.stderr if options.json else sys.stdout, end="\n\n")
    _summary(options, first, digest, steps, failures, took_s)
    return 1 if failures else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev sim", description="Simulated worlds that try to lose money.")
    parser.add_argument("--seeds", type=int, default=20_000, metavar="N", help="how many worlds")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="the first seed (default: a fresh one)")
    parser.add_argument("--journal", action="store_true", help="with the real journal on a disk whose power is cut")
    parser.add_argument("--only", type=_names, default=None, metavar="A,B", help="these faults in every world, and no others")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in MEANING:
            raise argparse.ArgumentTypeError(f"no fault {name!r}; there are {', '.join(MEANING)}")
    return names


def _play_all(first: int, options: argparse.Namespace) -> Iterator[tuple[int, int, list[Failure]]]:
    count, how = options.seeds, (options.journal, options.only)
    parts = [(seed, min(CHUNK, first + count - seed), *how) for seed in range(first, first + count, CHUNK)]
    if options.jobs <= 1 or len(parts) <= 1:
        yield from map(_play_part, parts)
    else:
        with ProcessPoolExecutor(options.jobs) as pool:
            yield from pool.map(_play_part, parts)


def _play_part(part: tuple[int, int, bool, tuple[str, ...] | None]) -> tuple[int, int, list[Failure]]:
    """A run of seeds: the sum of their fingerprints, the steps of their agents, the failures."""
    first, count, journal, only = part
    digest, steps, failures = 0, 0, []
    gc.collect()
    gc.disable()
    try:
        for seed in range(first, first + count):
            world = play(seed, journal=journal, only=only)
            if isinstance(world, Failure):
                failures.append(world)
            else:
                digest += zlib.crc32(f"{seed}:{world.fingerprint()}".encode())
                steps += world.machine.steps
    finally:
        gc.enable()
    return digest, steps, failures


def _summary(
    options: argparse.Namespace, first: int, digest: int, steps: int, failures: list[Failure], took_s: float
) -> None:
    worlds_per_s = round(options.seeds / took_s, 1)
    if options.json:
        told = [{"seed": failure.seed, "rule": failure.rule, "text": failure.text} for failure in failures[:FAILURES_MAX]]
        summary = {
            "ok": not failures, "mode": "journal" if options.journal else "core", "first_seed": first, "seeds": options.seeds,
            "violations": len(failures), "failures": told, "steps": steps, "hash": f"{digest:08x}", "jobs": options.jobs,
            "seconds": round(took_s, 2), "worlds_per_s": worlds_per_s,
        }
        print(json.dumps(summary))
        return
    verdict = "no promise broken" if not failures else f"{len(failures)} worlds broke a promise"
    print(f"{verdict}; {worlds_per_s:.0f} worlds/s, {steps} steps, {took_s:.1f} s, first seed {first}, hash {digest:08x}")


if __name__ == "__main__":
    sys.exit(main())
