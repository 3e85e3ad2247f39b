"""What the relay keeps before it moves a byte: events to the one writer, and None for whatever did not get onto the disk."""

import asyncio
import contextlib
import logging
from typing import Literal

from agent.core.change import Decision, Internal, Overloaded, Rejected
from agent.core.event import AnswerForwarded, Event, RelayRefused, ResultReported
from agent.hooks.ports import Inbox
from agent.hooks.relayreader import OwnReversal
from agent.journal.database import StorageError
from agent.vault import Sealed

log = logging.getLogger("reversald.relay")

RETRY_S = 1.0
FORWARDED_S = 0.005  # what became of an answer shares its commit with a request that follows so soon
NOT_KEPT = (StorageError, Overloaded, Internal, Rejected)


class Keeper:
    """The relay's side of the inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._owed: list[Event] = []
        self._timer: asyncio.TimerHandle | None = None

    async def keep(self, event: Event, sealed: Sealed | None = None, tries: int = 1) -> Decision | None:
        """The decision once the event is on disk; None when it could not be kept in so many tries, or was refused."""
        self.settle()
        for left in range(tries - 1, -1, -1):
            try:
                return await self._inbox.submit(event, sealed)
            except Rejected as error:
                await self._rejected(error)
                return None
            except NOT_KEPT as error:
                log.warning("a %s was not kept: %s", type(event).__name__, error)
                if left:
                    await asyncio.sleep(RETRY_S)
        return None

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
        """What became of an approval: told in a moment, or with whatever is kept before that."""
        self._owed.append(AnswerForwarded(transaction=transaction, left=left))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FORWARDED_S, self.settle)

    def settle(self) -> None:
        """Tell what is owed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        owed, self._owed = self._owed, []
        for event in owed:
            self._inbox.tell(event)

    def state(self, transaction: str) -> str | None:
        """The state of an open transaction."""
        row = self._inbox.state.transactions.get(transaction)
        return None if row is None else row.state

    def named(self, seen: OwnReversal) -> str | None:
        """The transaction that this 0400 is for: the same key and amount; of several the one that may have been sent."""
        found = []
        for key in self._inbox.store.named(seen.terminal_id, seen.batch, seen.stan):
            row = self._inbox.view(key).transactions[key]
            if seen.amount_fen in {row.amount_fen, row.approved_fen}:
                found.append((row.state != "not_sent", row.number, key))
        return max(found)[2] if found else None
