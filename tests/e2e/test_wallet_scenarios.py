"""Random wallet customers at a real agent and a real gateway, killed and cut at random: ledger and journal agree to the fen.

A fresh batch each time, whose seed is named when it fails; WALLET_SCENARIOS=1000 plays more, WALLET_SEED=N the same decisions.
"""

import os
import random
from pathlib import Path

import pytest

from tests.support.scanday import ScanDay, planned

SCENARIOS = int(os.environ.get("WALLET_SCENARIOS", "40"))
SEED = int(os.environ.get("WALLET_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
BATCH = 50


@pytest.mark.parametrize("first", range(0, SCENARIOS, BATCH))
def test_the_wallets_books_and_the_journal_agree(tmp_path: Path, first: int) -> None:
    numbers = range(first + 1, min(first + BATCH, SCENARIOS) + 1)
    day = ScanDay(tmp_path, SEED + first)
    try:
        for number in numbers:
            day.play(planned(SEED, number))
        ends = day.check()
    except AssertionError as error:
        raise AssertionError(f"WALLET_SEED={SEED} WALLET_SCENARIOS={SCENARIOS}: {error}") from None
    finally:
        day.close()
    print(f"seed {SEED}, orders {numbers[0]} to {numbers[-1]}, {day.kills} kills: {ends}")


def test_the_same_seed_makes_the_same_decisions() -> None:
    assert [planned(7, number) for number in range(200)] == [planned(7, number) for number in range(200)]
    assert planned(7, 1) != planned(8, 1)
