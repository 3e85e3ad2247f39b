"""Wallet customers in every world, with the agent killed and the power cut: the wallet's books and the journal agree."""

from collections import Counter

import pytest

from tests.sim.report import Failure, play
from tests.sim.world import World

GATEWAY = ("scan", "deaf_app", "late_pay", "mute_wallet", "lying_wallet", "gateway_away")
KILLS = ("kill", "power", "broken", "full")
MACHINE = ("suspend", "clock", "drift", "delay", "people", "down", "crash")
HARD = GATEWAY + KILLS + MACHINE


def failures(seeds: range, *, journal: bool, only: tuple[str, ...]) -> list[Failure]:
    """The worlds that broke a promise."""
    return [found for seed in seeds if isinstance(found := play(seed, journal=journal, only=only), Failure)]


@pytest.mark.parametrize("faults", [GATEWAY, GATEWAY + KILLS, HARD, ("scan", "deaf_app", "late_pay", "kill")])
def test_hundreds_of_wallet_worlds_keep_every_promise(faults: tuple[str, ...]) -> None:
    assert failures(range(1, 151), journal=False, only=faults) == []


def test_wallet_worlds_with_the_real_journal_keep_every_promise() -> None:
    assert failures(range(1, 61), journal=True, only=GATEWAY + KILLS) == []


def test_these_worlds_reach_every_end_of_an_order() -> None:
    ends: Counter[str] = Counter()
    for seed in range(1, 301):
        world = World(seed, only=GATEWAY)
        world.run()
        ends.update(row.state for row in world.machine.state.transactions.values() if row.order is not None)
    assert {"paid", "closed", "refunded", "unresolved", "declined"} <= set(ends)
