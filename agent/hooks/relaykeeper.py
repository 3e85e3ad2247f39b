"""What the relay keeps before it moves a byte: events to the one writer, and None for whatever did not get onto the disk."""

import asyncio
import contextlib
import logging
from typing import Literal, NamedTuple

import msgspec

from agent.core.change import Decision, Internal, Overloaded, Rejected
from agent.core.event import AnswerForwarded, Event, Opened, RelayRefused, ResultReported
from agent.core.model import Transaction
from agent.hooks.ports import Inbox
from agent.hooks.relayreader import Key, OwnReversal, Watched
from agent.journal.database import StorageError
from agent.vault import Sealed

log = logging.getLogger("reversald.relay")

RETRY_S = 1.0
OPEN = frozenset({"sent", "in_doubt"})  # what is repeated until it is answered
NOT_KEPT = (StorageError, Overloaded, Internal, Rejected)


class Earlier(NamedTuple):
    """What was sent under the same key before."""

    again: str | None


class Exchange(msgspec.Struct):
    """One watched transaction on a connection.

    new, held (on disk, waits for its turn), sent, answering (its answer is being kept), doubt (given up: an answer is
    evidence), done.
    """

    transaction: str
    mti: str
    key: Key
    phase: Literal["new", "held", "sent", "answering", "doubt", "done"] = "new"


class Keeper:
    """The relay's side of the inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def keep(self, event: Event, sealed: Sealed | None = None, tries: int = 1) -> Decision | None:
        """The decision once the event is on disk; None when it could not be kept in so many tries, or was refused."""
        for left in range(tries - 1, -1, -1):
            try:
                return await self._inbox.decide(event, sealed)
            except Rejected as error:
                await self._rejected(error)
                return None
            except NOT_KEPT as error:
                log.warning("a %s was not kept: %s", type(event).__name__, error)
                if left:
                    await asyncio.sleep(RETRY_S)
        return None

    async def open(self, seen: Watched) -> Decision | None:
        """A transaction that is new; None also when the disk is nearly full: what is left serves answers and reversals."""
        if self._inbox.store.database.short_of_space():
            log.warning("not forwarded: the disk is nearly full, and no new transaction is taken")
            return None
        return await self.keep(seen.opened, seen.sealed)

    async def _rejected(self, error: Rejected) -> None:
        log.warning("not forwarded: %s", error.detail)
        if error.code == "duplicate-stan":
            with contextlib.suppress(*NOT_KEPT):
                await self._inbox.submit(RelayRefused(why="repeated"))

    async def report(self, transaction: str, outcome: Literal["no_answer", "not_sent"]) -> None:
        """What became of a watched request without an answer."""
        await self.keep(ResultReported(transaction=transaction, outcome=outcome))

    def tell(self, event: Event) -> None:
        """An event nobody waits for."""
        self._inbox.tell(event)

    def forwarded(self, transaction: str, *, left: bool) -> None:
        """What became of an approval: it shares its commit with what is kept next, if that comes soon."""
        self._inbox.tell_soon(AnswerForwarded(transaction=transaction, left=left))

    def state(self, transaction: str) -> str | None:
        """The state of an open transaction."""
        row = self._inbox.state.transactions.get(transaction)
        return None if row is None else row.state

    def named(self, seen: OwnReversal) -> str | None:
        """The transaction that this 0400 is for: the same key and amount; of several the one that may have been sent.

        One of a kind that the profile does not reverse is the app's own affair.
        """
        found = [
            (row.state != "not_sent", row.number, row.id) for row in self._rows(seen.terminal_id, seen.batch, seen.stan)
            if seen.amount_fen in {row.amount_fen, row.approved_fen} and self._in_doubt(row.kind) == "reverse"
        ]
        return max(found)[2] if found else None

    def reverses(self, key: str) -> bool:
        """True when this transaction has a reversal, in whatever state."""
        return key in self._inbox.view(key).reversals

    def earlier(self, opened: Opened) -> Earlier | None:
        """What was sent under this key before, for a kind that is never reversed: only such a message may come again.

        None: it is new. Else `again` is the transaction that this repeats, or None for what is decided, or is something
        else under the same number: that passes and nothing is learned of it.
        """
        if self._in_doubt(opened.kind) == "reverse":
            return None
        sent = [row for row in self._rows(opened.terminal_id, opened.batch, opened.stan) if row.state != "not_sent"]
        if not sent:
            return None
        same = (row for row in sent if (row.kind, row.amount_fen) == (opened.kind, opened.amount_fen))
        repeats = self._in_doubt(opened.kind) == "repeat"
        return Earlier(next((row.id for row in same if repeats and row.state in OPEN), None))

    def _rows(self, terminal_id: str, batch: str, stan: str) -> list[Transaction]:
        keys = self._inbox.store.named(terminal_id, batch, stan)
        return [self._inbox.view(key).transactions[key] for key in keys]

    def _in_doubt(self, kind: str) -> str:
        return self._inbox.policy.kind(kind).in_doubt
