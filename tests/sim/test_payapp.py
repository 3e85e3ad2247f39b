"""Worlds of mode payapp keep every promise, reach what there is, and let no defect of the agent live."""

import secrets
from typing import Any

import pytest

from agent.core import answers, defects, payapp, reversal
from tests.sim.mutants import Mutant, applied
from tests.sim.payapp import FINAL, main, play

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


def test_four_hundred_worlds_keep_every_promise() -> None:
    assert [(seed, str(broken)) for seed in range(1, 401) if (broken := play(seed)[1]) is not None] == []


def test_worlds_reach_every_final_state_and_what_the_app_can_say() -> None:
    states: set[str] = set()
    said: set[Any] = set()
    for seed in range(1, 301):
        world, _ = play(seed)
        states |= {row.state for row in world.state.transactions.values()}
        said |= {entry[4] for entry in world.log if len(entry) == 5}
    assert states == FINAL - {"not_sent"}, "an app that asks and sends in one call is never proved unsent"
    assert {"sent", "accepted", "refused", "busy", "no_card", "unsupported", "approved", "no_answer"} <= said


def test_a_world_without_faults_has_no_incident() -> None:
    for seed in range(1, 30):
        world, broken = play(seed, only=())
        assert broken is None
        assert not world.state.incidents


def test_the_same_seed_is_the_same_world() -> None:
    assert [play(seed)[0].log for seed in range(50)] == [play(seed)[0].log for seed in range(50)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_defect_of_the_agent_does_not_live(mutant: Mutant) -> None:
    with applied(mutant):
        assert any(_breaks(seed) for seed in range(1, SEEDS + 1))


def _breaks(seed: int) -> bool:
    return play(seed)[1] is not None


def test_the_command_plays_fresh_worlds_and_names_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    first = secrets.randbits(31)
    assert main(["--seeds", "60", "--seed", str(first)]) == 0, capsys.readouterr().out
