"""The simulated world itself: it keeps every promise, is the same again, reaches what there is, and tells what broke."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core import lifecycle
from agent.core.lifecycle import TABLES, WALLET
from tests.sim import scan
from tests.sim.__main__ import main
from tests.sim.ending import FINAL
from tests.sim.faults import JOURNAL_ONLY, MEANING, NAMES, PAYAPP
from tests.sim.mutants import MUTANTS, applied
from tests.sim.payapp import PayWorld
from tests.sim.report import LINES_MAX, Failure, describe, minimise, play, timeline
from tests.sim.world import World

ROOT = Path(__file__).parents[2]
T1 = MUTANTS[0]

# Transitions that few worlds take, if any: an app that cannot ask, and answers that come out of order at the worst moment.
RARE = {
    ("transaction", "intent", "timeout"), ("transaction", "intent", "restart"), ("transaction", "in_doubt", "accepted"),
    ("transaction", "no_original", "accepted"), ("reversal", "no_original", "accepted"),
    ("reversal", "fenced", "accepted"),
    ("reversal", "no_original", "resolved"), ("reversal", "pending", "resolved"), ("reversal", "expired", "accepted"),
    ("reversal", "pending", "no_original"), ("reversal", "exhausted", "no_original"), ("reversal", "exhausted", "app_silent"),
    ("reversal", "exhausted", "refused"), ("transaction", "approved_not_completed", "not_undone"),
    ("transaction", "not_sent", "approved"), ("transaction", "in_doubt", "declined_uncertain"),
}

# Of wallets: apps that report without asking, or other outcomes than approved, declined and silence; what a person or the next
# day makes of an order that was given up. The tests of the core take each of them.
RARE |= {("wallet", "intent", cause) for cause in WALLET["intent"]} | {("wallet", "not_sent", "approved")}
RARE |= {("wallet", "sent", cause) for cause in ("approved_not_completed", "bad_mac", "declined_uncertain", "not_sent")}
RARE |= {("wallet", "unresolved", cause) for cause in WALLET["unresolved"]}
RARE |= {
    ("wallet", "querying", "closed"), ("wallet", "querying", "refunded"), ("wallet", "closed", "refunded"),
    ("wallet", "cancel_unknown", "not_undone"),
}


def test_a_thousand_worlds_of_the_core_keep_every_promise() -> None:
    assert [found for seed in range(1, 1_001) if isinstance(found := play(seed, journal=False), Failure)] == []


def test_a_hundred_worlds_with_the_real_journal_keep_every_promise() -> None:
    assert [found for seed in range(1, 101) if isinstance(found := play(seed, journal=True), Failure)] == []


@pytest.mark.parametrize("journal", [False, True])
def test_the_same_seed_is_the_same_world_in_any_process(*, journal: bool) -> None:
    told = {_hash_in_a_process(journal, hash_seed) for hash_seed in ("0", "1", "4711")}
    assert len(told) == 1


def _hash_in_a_process(journal: bool, hash_seed: str) -> str:
    argv = [sys.executable, "-m", "tests.sim", "--seeds", "40", "--seed", "900", "--jobs", "1", "--json"]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    run = subprocess.run(
        argv + ["--journal"] * journal, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    summary = json.loads(run.stdout.splitlines()[-1])
    assert summary["ok"]
    return str(summary["hash"])


def test_two_seeds_are_two_worlds() -> None:
    assert len({_fingerprint(seed) for seed in range(1, 40)}) > 35


def _fingerprint(seed: int) -> int:
    world = World(seed)
    world.run()
    return world.fingerprint()


def test_every_fault_is_drawn_and_described() -> None:
    drawn = {name for seed in range(400) for name in World(seed).drawn.names}
    assert drawn == set(NAMES)
    assert {name for seed in range(100) for name in PayWorld(seed).drawn.names} == set(PAYAPP)
    assert set(MEANING) == {*NAMES, *PAYAPP}
    assert set(NAMES) >= JOURNAL_ONLY


def test_a_seed_without_faults_has_no_incident_and_no_reversal() -> None:
    quiet = [world for seed in range(60) if not (world := World(seed)).drawn.names]
    assert len(quiet) > 5
    for world in quiet:
        world.run()
        assert not world.machine.state.incidents
        assert not world.machine.state.reversals


def test_worlds_reach_every_final_state_and_every_transition() -> None:
    """As soon as all are reached, which a new fault in the swarm puts off or brings forward."""
    states: set[str] = set()
    tables = [(name, TABLES[name]) for name in ("transaction", "wallet", "reversal")]
    there = {(name, state, cause) for name, table in tables for state, causes in table.items() for cause in causes} - RARE
    missing = there
    names = {id(table): name for name, table in TABLES.items()}
    with recorded() as seen:
        for seed in range(1, 6_000):
            world = World(seed)
            world.run()
            states |= {row.state for row in world.machine.state.transactions.values()}
            missing = there - {(names[table], state, cause) for table, state, cause in seen}
            if not missing and states == FINAL | scan.FINAL:
                break
    assert (missing, states) == (set(), FINAL | scan.FINAL)


@contextmanager
def recorded() -> Iterator[set[tuple[int, str, str]]]:
    """While inside, every transition of the core is noted: (table, state, cause)."""
    seen: set[tuple[int, str, str]] = set()
    sound = lifecycle.move.__code__

    def move(table: Any, state: str, cause: str) -> str:
        _SEEN.add((id(table), state, cause))  # type: ignore[name-defined]  # noqa: F821
        return str(table[state][cause])

    lifecycle.__dict__["_SEEN"] = seen
    lifecycle.move.__code__ = move.__code__
    try:
        yield seen
    finally:
        lifecycle.move.__code__ = sound
        del lifecycle.__dict__["_SEEN"]


# ── what is told of a failure ────────────────────────────────────────────────────────────────────────────────────────


def first_failure() -> Failure:
    return next(found for seed in range(1, 50) if isinstance(found := play(seed, journal=False), Failure))


def test_a_failure_is_told_with_its_seed_the_fewest_faults_and_a_timeline() -> None:
    with applied(T1):
        failure = first_failure()
        text = describe(failure)
    assert f"./dev sim --seeds 1 --seed {failure.seed}" in text
    assert f"seed {failure.seed}: invariant {failure.rule}" in text
    assert "Opened t1" in text
    assert len(text.splitlines()) <= LINES_MAX + len(NAMES) + 4


def test_a_failure_is_made_smaller_but_stays_the_same_failure() -> None:
    with applied(T1):
        failure = first_failure()
        least = minimise(failure)
        assert least.rule == failure.rule
        assert least.only is not None
        assert len(least.only) <= len(World(failure.seed).drawn.names)
        again = play(least.seed, journal=False, only=least.only, baskets=least.baskets)
    assert isinstance(again, Failure)


def test_a_long_timeline_loses_its_middle() -> None:
    lines = timeline([(number, "line", number) for number in range(500)])
    assert len(lines) == LINES_MAX + 1
    assert any("left out" in line for line in lines)


def test_the_command_says_what_it_played_and_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "20", "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "20 worlds from seed" in said, "a fresh first seed is named before anything can go wrong"
    assert "no promise broken" in said


@pytest.mark.parametrize("words", [["--only", "deaf"], ["--payapp", "--only", "lease"], ["--only", "nothing"]])
def test_a_fault_that_these_worlds_do_not_know_is_a_mistake_of_the_caller(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert "there are loss, " in capsys.readouterr().err


def test_the_command_exits_1_and_tells_the_failure_when_a_promise_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    with applied(T1):
        assert main(["--seeds", "20", "--seed", "1", "--jobs", "1", "--json"]) == 1
    said = capsys.readouterr()
    summary = json.loads(said.out.splitlines()[-1])
    assert (summary["ok"], summary["first_seed"], summary["seeds"]) == (False, 1, 20)
    assert summary["violations"] == len(summary["failures"]) > 0
    assert "./dev sim --seeds 1 --seed" in said.err
