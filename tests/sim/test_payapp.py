"""Worlds of mode payapp keep every promise, reach what there is, and let no defect of the agent live."""

from typing import Any

import pytest

from agent.core import answers, defects, payapp, reversal
from agent.core.model import Incident, Row, Transaction
from tests.sim.__main__ import main
from tests.sim.mutants import Mutant, applied
from tests.sim.payapp import PayWorld
from tests.sim.paychecks import FINAL, PayChecks
from tests.sim.paytill import MemoryKernel
from tests.sim.report import Failure, describe, play

MUTANTS = [
    Mutant("3", "two requests at once", payapp.run, 'any(row.state == "sending" for row in pending)', "False"),
    Mutant("payapp", "asked during a transaction", payapp.run, "row.state in IN_TRANSACTION", "False"),
    Mutant("T16", "no original is believed at once", answers._no_original,
           "age_ms >= policy.no_original_after_ms", "age_ms >= 0"),
    Mutant("5", "an open request is taken back at a restart", reversal.restarted, "row.request is not None", "False"),
    Mutant("T10", "a sound app is accused", defects._overtaken, "row.said_ms < sent.mono_ms", "True"),
    Mutant("8", "a refusal without a code ends it", payapp._refused, "answers.failed(state, row, code)",
           'answers.refused(state, row, "", "operator", "compare_settlement")'),
    Mutant("8", "an unanswered request is never asked again", payapp.unanswered,
           "answers.failed(state, state.reversals[row.id], None)",
           'answers.refused(state, state.reversals[row.id], "", "operator", "compare_settlement")'),
]  # fmt: skip
SEEDS = 400


def world_of(seed: int, *, journal: bool = False, only: tuple[str, ...] | None = None) -> PayWorld:
    """One world, played to its end."""
    world = PayWorld(seed, journal=journal, only=only)
    world.run()
    return world


def test_four_hundred_worlds_keep_every_promise() -> None:
    assert [found for seed in range(1, 401) if isinstance(found := play(seed, journal=False, payapp=True), Failure)] == []


def test_sixty_worlds_with_the_real_journal_on_the_failing_disk_keep_every_promise() -> None:
    assert [found for seed in range(1, 61) if isinstance(found := play(seed, journal=True, payapp=True), Failure)] == []


def test_worlds_reach_every_final_state_and_what_the_app_can_say() -> None:
    states: set[str] = set()
    kinds: set[tuple[str, str]] = set()
    said: set[Any] = set()
    for seed in range(1, 301):
        world = world_of(seed)
        states |= world.checks.states
        kinds |= world.checks.kinds
        said |= {entry[4] for entry in world.log if len(entry) == 5}
    assert states == FINAL - {"not_sent"}, "an app that asks and sends in one call is never proved unsent"
    ends = ("approved", "reversed")
    assert {(kind, end) for kind in ("sale", "preauth", "void", "preauth_void") for end in ends} <= kinds
    assert {"sent", "accepted", "refused", "busy", "no_card", "unsupported", "approved", "no_answer"} <= said


# What a defect of the app's kernel shows as. The others need more than a kernel; `tests/e2e/test_payapp_mode.py` plays them all.
ACCUSED = {
    "T1": "false_accept", "T3": "record_lost", "T4": "record_lost", "T5": "record_lost", "T9": "reversal_loops",
    "T10": "not_reversed_first", "T11": "record_lost", "T12": "settled_unreversed", "T13": "false_accept", "T16": "false_accept",
}


class Watched(PayChecks):
    """Of an app that is not sound: the net of its books is its own, and what it is accused of is noted."""

    def __init__(self, world: PayWorld) -> None:
        super().__init__(world)
        self.accused: set[str] = set()

    def _accuse(self, code: str) -> None:
        self.accused.add(code)

    def _one(self, row: Transaction, rows: list[Row]) -> None:
        owned = any(isinstance(each, Incident) and each.open and each.owner and each.next_action for each in rows)
        assert row.state in FINAL, f"{row.id} is still {row.state}"
        assert row.state != "unresolved" or owned, f"{row.id} is unresolved and nobody's case"
        if row.state in {"reversed", "no_original"}:
            assert self.world.host.net(row.id) == 0, f"{row.id} is {row.state}, and its money stands in the books"


class DefectiveWorld(PayWorld):
    """The same app with one defect of those that were shipped."""

    defect = ""

    def _cast(self) -> None:
        super()._cast()
        self.checks = Watched(self)
        self.app.kernel = MemoryKernel({self.defect})


@pytest.mark.parametrize("defect", ACCUSED)
def test_a_shipped_defect_is_told_and_never_believed(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DefectiveWorld, "defect", defect)
    accused: set[str] = set()
    for seed in range(1, 121):
        world = DefectiveWorld(seed)
        world.run()
        assert isinstance(world.checks, Watched)
        accused |= world.checks.accused
    assert ACCUSED[defect] in accused


def test_the_disk_fails_in_every_way_and_bits_flip() -> None:
    words = {entry[1:3] for seed in range(1, 61) for entry in world_of(seed, journal=True).log}
    assert {("commit", "full"), ("commit", "failed"), ("commit", "gone"), ("bit rot",)} <= words


def test_a_world_without_faults_has_no_incident() -> None:
    for seed in range(1, 30):
        assert not world_of(seed, only=()).machine.state.incidents


@pytest.mark.parametrize("journal", [False, True])
def test_the_same_seed_is_the_same_world(*, journal: bool) -> None:
    first, second = ([world_of(seed, journal=journal).log for seed in range(25)] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_defect_of_the_agent_does_not_live(mutant: Mutant) -> None:
    with applied(mutant):
        assert any(isinstance(play(seed, journal=False, payapp=True), Failure) for seed in range(1, SEEDS + 1))


def test_a_failure_is_told_with_the_command_that_plays_it_again() -> None:
    with applied(MUTANTS[0]):
        failure = next(found for seed in range(1, SEEDS) if isinstance(found := play(seed, journal=False, payapp=True), Failure))
        told = describe(failure)
    assert f"./dev sim --seeds 1 --seed {failure.seed} --payapp" in told
    assert f"seed {failure.seed}: invariant {failure.rule}" in told


def test_the_command_plays_fresh_worlds_of_both_kinds_of_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--payapp", "--seeds", "60", "--jobs", "1"]) == 0, capsys.readouterr().out
    assert main(["--payapp", "--journal", "--seeds", "20", "--jobs", "1"]) == 0, capsys.readouterr().out
    assert "worlds of mode payapp from seed" in capsys.readouterr().out
