"""The journal against the disk: how much a commit costs beyond the one fdatasync that nothing can spare."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.core import event as e
from agent.core.model import Now
from agent.core.policy import Policy
from agent.core.state import State
from agent.core.step import step
from agent.hooks.ids import new_id
from agent.inbox import REMEMBERED_MAX
from agent.journal.store import Stepped, Store
from tests.bench.figures import Figure, interleave, ratio, raw_append, timed_us


class Till:
    """A journal that takes one sale after the other, stepped by the real core."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(path)
        self.state: State = self.store.load()
        self._stans = itertools.count(1)
        self._ms = itertools.count(1_000, 1_000)
        self.take(e.Booted(version="bench", policy=Policy()))

    def prepare(self, event: e.Event) -> Stepped:
        """Step an event without committing it."""
        boottime_ms = next(self._ms)
        now = Now("bench", boottime_ms, 1_800_000_000_000 + boottime_ms, "ntp")
        return Stepped(event, now, step(self.state, event, now), [])

    def commit(self, stepped: Stepped) -> None:
        """Commit what was stepped, and forget what is closed as the inbox does."""
        self.store.commit([stepped])
        self.store.tidy()
        self.state.settle()
        if self.state.remembered > 2 * REMEMBERED_MAX:
            self.state.forget_closed(REMEMBERED_MAX)

    def take(self, event: e.Event) -> None:
        """Step and commit."""
        self.commit(self.prepare(event))

    def opening(self) -> e.Opened:
        """A sale, opened and asking."""
        return e.Opened(
            transaction=new_id(), rail="card", kind="sale", amount_fen=100, currency="156", stan=f"{next(self._stans):06d}",
            batch="000001", terminal_id="12345678", merchant_id="898310148160001", ask=True, masked_pan="622202******0128",
            last4="0128", entry_mode="051", sequence="001",
        )

    def approval(self, transaction: str) -> e.ResultReported:
        """Its approval."""
        return e.ResultReported(transaction=transaction, outcome="approved", response_code="00", rrn="261122000123")


def commit_vs_raw(folder: Path) -> Figure:
    """One commit of a sale's event against one raw 400-byte append with fdatasync."""
    till = Till(folder / "commit.db")
    return ratio(
        "commit_vs_raw", "us", "p50 of a journal commit (event, rows, chained facts), checkpoints included",
        "append 400 bytes + fdatasync", interleave(_commits(till), raw_append(folder / "raw")),
    )


def _commits(till: Till) -> Callable[[], float]:
    """Sales, two commits each, one at a turn; the steps are made outside the clock."""

    def events() -> Iterator[e.Event]:
        while True:
            opening = till.opening()
            yield opening
            yield till.approval(opening.transaction)

    following = events()

    def once() -> float:
        stepped = till.prepare(next(following))
        return timed_us(lambda: till.commit(stepped))

    return once
