"""Steps events and commits them: the state never knows more than the disk, and a bad event undoes only itself.

Each event is stepped in its own try; all that were stepped share one commit. What is only begun is written, and comes onto the
disk with the next commit.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from agent.core.card import go_is_valid
from agent.core.change import Change, Decision, Internal, Overloaded, Rejected
from agent.core.event import Event
from agent.core.model import Now, Transaction
from agent.core.step import step
from agent.journal.database import StorageFailed, StorageFull, classify
from agent.journal.idempotency import Idempotency
from agent.journal.store import Stepped, Store
from agent.vault import Sealed

log = logging.getLogger("reversald.inbox")


class Item(msgspec.Struct):
    """An event, and who waits for what becomes of it."""

    event: Event
    future: "asyncio.Future[Decision]"
    sealed: Sealed | None
    idempotency: Idempotency | None


_Done = tuple[Item, Decision]


class _Begun(msgspec.Struct):
    """What is stepped and written, and not committed yet."""

    items: list[Item]
    done: list[_Done]
    steps: list[Stepped]


class Writer:
    """The state, and the only one who changes it. `stop` is told once when storage fails: from then on all is refused."""

    def __init__(self, store: Store, clock: Callable[[], Now], stop: Callable[[StorageFailed], None]) -> None:
        self.store = store
        self.state = store.load()
        self.failed: StorageFailed | None = None
        self.stumbled = False  # something could not be done now
        self.busy = False
        self.seen_ms = 0  # boot time of the last step that stands: what became due since then no step has looked at
        self._stepped_ms = 0  # of the last one that may yet be undone
        self.soon: list[Item] = []  # taken with whatever comes next
        self._clock = clock
        self._stop = stop
        self._begun = _Begun([], [], [])

    @property
    def has_begun(self) -> bool:
        """True while something is written and not committed."""
        return bool(self._begun.steps)

    def take(self, items: list[Item], *, commit: bool = True) -> list[Stepped]:
        """Step these, commit them together with what was begun, and answer. The steps that were committed are still to happen.

        Without `commit` they are only begun.
        """
        begun, self._begun = self._begun, _Begun([], [], [])
        new, self.soon = [*self.soon, *items], []
        items = [*begun.items, *new]
        if self.failed is not None:
            refuse(items, self.failed)
            return []
        self.busy = True
        done, steps = begun.done, begun.steps
        written = len(steps)
        try:
            self._step_all(new, done, steps)
            if commit and steps:
                self.store.commit(steps[written:])
            elif len(steps) > written:
                self.store.begin(steps[written:])
        except StorageFailed as error:
            self.fail(error, items)
        except StorageFull as error:
            self._undo(steps)
            refuse(items, error)
        except Exception as error:
            log.exception("a commit of %d events was undone", len(steps))
            self._undo(steps)
            self.busy = False
            return self._retry_alone(items, error)
        else:
            if not commit and steps:
                self._begun = _Begun(items, done, steps)
                return []
            self.state.settle()
            self.seen_ms = self._stepped_ms
            for item, decision in done:
                if not item.future.done():
                    item.future.set_result(decision)
            return steps
        finally:
            self.busy = False
        return []

    def _undo(self, steps: list[Stepped]) -> None:
        """Nothing of this commit is on disk: take it back in memory too."""
        self.state.rollback()
        for stepped in steps:
            self.state.forget(stepped.loaded)
        self._stepped_ms = self.seen_ms
        self.stumbled = True

    def _retry_alone(self, items: list[Item], error: Exception) -> list[Stepped]:
        """One of them could not be written: each alone, so that it fails alone."""
        steps: list[Stepped] = []
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            refuse(items, Overloaded("another program holds the journal: try again"))
        elif len(items) == 1:
            refuse(items, Internal(f"{type(error).__name__} in a commit: it was undone"))
        else:
            for item in items:
                if item.future.cancelled() or not item.future.done():  # whose caller has gone still happened
                    steps += self.take([item])
        return steps

    def fail(self, error: StorageFailed, items: Sequence[Item] = ()) -> None:
        """The outcome of a commit is unknown, or a row is damaged: from now on nothing is answered as done."""
        first, self.failed = self.failed is None, error
        begun, self._begun = self._begun, _Begun([], [], [])
        self.state.rollback()
        with suppress(StorageFailed):
            self.store.abandon()
        refuse([*items, *begun.items, *self.soon], error)
        self.soon.clear()
        if first:
            self.store.failed(error)
            self._stop(error)

    def _step_all(self, items: list[Item], done: list[_Done], steps: list[Stepped]) -> None:
        """Step each event over the ones before it; what is refused answers at once, the rest after the commit."""
        now = self._clock()
        self.state.now = now
        for item in items:
            try:
                decision = self._asked_before(item, steps)
                if decision is None:
                    stepped = self._step(item, now)
                    self._stepped_ms = now.boottime_ms
                    decision = stepped.change.decision
                    if stepped.change.facts or item.idempotency is not None:
                        steps.append(stepped)
                done.append((item, decision))
            except Rejected as error:
                refuse([item], error)
            except StorageFailed:
                raise
            except Exception as error:
                if (failure := classify(error)) is not None:
                    raise type(failure)(f"the journal cannot be read: {failure}") from error
                log.exception("the step of a %s was undone", type(item.event).__name__)
                self.stumbled = True
                refuse([item], Internal(f"{type(error).__name__} in the core: the event was undone"))

    def _step(self, item: Item, now: Now) -> Stepped:
        loaded = self.store.missing(self.state, item.event)
        mark = self.state.mark()
        self.state.absorb(loaded)
        try:
            change = step(self.state, item.event, now)
        except Exception:
            self.state.rollback(mark)
            self.state.forget(loaded)
            raise
        if not change.facts:
            self.state.forget(loaded)  # it stands in no entry of the journal, so nothing later may rest on it
            loaded = []
        stepped = Stepped(item.event, now, change, loaded, idempotency=item.idempotency)
        if item.sealed is not None and _takes(change, item.sealed):
            stepped.ref, stepped.sealed = item.sealed.ref, item.sealed.fields
        return stepped

    def _asked_before(self, item: Item, steps: list[Stepped]) -> Decision | None:
        """The first answer under an idempotency key; `go` is repeated only while it is valid."""
        asked = item.idempotency
        if asked is None:
            return None
        found = next(
            (
                (known.digest, earlier.change.decision)
                for earlier in steps
                if (known := earlier.idempotency) is not None and (known.uid, known.key) == (asked.uid, asked.key)
            ),
            None,
        ) or self.store.asked_before(asked, self.state.now.wall_ms)
        if found is None:
            return None
        digest, decision = found
        if digest != asked.digest:
            raise Rejected(409, "idempotency-key-reused", "this Idempotency-Key was used with another body; take a new key")
        return self._go_while_valid(decision)

    def _go_while_valid(self, decision: Decision) -> Decision:
        transaction = self.state.transactions.get(decision.transaction or "")
        if decision.proceed == "go" and (transaction is None or not go_is_valid(self.state, transaction)):
            return msgspec.structs.replace(decision, proceed="refuse")
        return decision


def refuse(items: Iterable[Item], error: Exception) -> None:
    """Answer all of them with this error."""
    for item in items:
        if not item.future.done():
            item.future.set_exception(error)


def _takes(change: Change, sealed: Sealed) -> bool:
    """True when this change took the secrets in; else a pending reversal would change, or nobody would ever wipe them."""
    return change.decision.conflict is None and any(
        isinstance(row, Transaction) and row.vault == sealed.ref for row in change.rows
    )
