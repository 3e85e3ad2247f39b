"""Worlds that let a deliberate defect live are not strict enough: every mutant is caught, and none survives its own removal."""

import pytest

from agent.core import answers
from tests.sim.mutants import MUTANTS, Mutant, applied, catch
from tests.sim.report import Failure, play

TS = {f"T{number}" for number in range(1, 17)}
INVARIANTS = {str(number) for number in range(1, 15)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_is_caught_within_the_stated_number_of_worlds(mutant: Mutant) -> None:
    caught = catch(mutant)
    assert caught is not None, "it survived every world"


def test_every_shipped_defect_and_every_invariant_has_its_mutant() -> None:
    assert {mutant.covers for mutant in MUTANTS} == TS | INVARIANTS
    assert len(MUTANTS) >= 25


def test_a_mutant_is_gone_when_it_was_tried() -> None:
    sound = answers._answered.__code__
    with applied(MUTANTS[0]):
        assert answers._answered.__code__ is not sound
        assert any(isinstance(play(seed, journal=False), Failure) for seed in range(1, 20))
    assert answers._answered.__code__ is sound


def test_a_mutant_whose_text_is_not_there_any_more_says_so() -> None:
    stale = MUTANTS[0]._replace(old="nothing like this")
    with pytest.raises(AssertionError, match="stands 0 times"), applied(stale):
        pass
