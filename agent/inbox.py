"""One bounded inbox: step what is queued, commit it at once, and only then answer callers and let effects happen.

The commit is made inline on the event loop: the first `submit` schedules a flush, which takes all that is queued. Each event
is stepped in its own try, so a bad one rejects only itself; all that were stepped share one commit.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from agent.core.card import go_is_valid
from agent.core.change import Change, Decision, Effect, Internal, Overloaded, Rejected
from agent.core.event import AnswerForwarded, DeadlinePassed, Event, HostReply, JobFinished
from agent.core.fleetevent import CommandFinished
from agent.core.model import Now, Transaction
from agent.core.state import State
from agent.core.step import next_deadline_ms, step
from agent.journal.database import StorageFailed, StorageFull, classify
from agent.journal.idempotency import Idempotency
from agent.journal.store import Stepped, Store
from agent.vault import Sealed

log = logging.getLogger("reversald.inbox")

BATCH_MAX = 256
QUEUE_MAX = 4_096
REMEMBERED_MAX = 64  # closed families kept in memory, and as many closed rows that belong to none
RETRY_S = 1.0
# Everything else is asked again, comes again, or is made good by a deadline.
SAID_ONCE = (JobFinished, HostReply, AnswerForwarded, CommandFinished)
SLEEP_MAX_S = 30.0  # the loop's clock stands still in suspend: look again at least this often while a deadline is set


class _Item(msgspec.Struct):
    event: Event
    future: "asyncio.Future[Decision]"
    sealed: Sealed | None
    idempotency: Idempotency | None


class Inbox:
    """The one writer. `dispatch` gets the effects of a commit; `committed` is told of each, `broken` once when storage fails."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], Now],
        dispatch: Callable[[Effect], None],
        committed: Callable[[], None],
        broken: Callable[[StorageFailed], None],
    ) -> None:
        self.store = store
        self.state = store.load()
        store.damage_seen = self._stop  # also by who only reads
        self._clock = clock
        self._dispatch = dispatch
        self._committed = committed
        self._broken = broken
        self._queue: deque[_Item] = deque()
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._failed: StorageFailed | None = None
        self._stumbled = False
        self.flushes = 0

    def submit(
        self, event: Event, sealed: Sealed | None = None, idempotency: Idempotency | None = None
    ) -> "asyncio.Future[Decision]":
        """Queue an event. The future holds the Decision once it is on disk, or Rejected, StorageFull, StorageFailed, Internal."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Decision] = loop.create_future()
        if self._failed is not None:
            future.set_exception(self._failed)
        elif len(self._queue) >= QUEUE_MAX:
            future.set_exception(Overloaded("too much at once: try again"))
        else:
            self._queue.append(_Item(event, future, sealed, idempotency))
            self._schedule(loop)
        return future

    def tell(self, event: Event) -> None:
        """Queue an event nobody waits for. What the world says only once is told again until there is room for it."""
        self.submit(event).add_done_callback(partial(self._told, event))

    def _told(self, event: Event, future: "asyncio.Future[Decision]") -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, StorageFull | Overloaded) and isinstance(event, SAID_ONCE):
            asyncio.get_running_loop().call_later(RETRY_S, self.tell, event)
        elif error is not None:
            log.error("a %s was not taken: %s", type(event).__name__, error)

    async def tell_damage(self) -> None:
        """What the start had to mend on the disk, told once."""
        damage = self.store.damage()
        if damage is not None:
            log.error("bits flipped on the disk; made anew: %s; set aside: %s", damage.restored, damage.lost)
            await self.submit(damage)
            self.store.take_notes(damage="")

    def turn(self) -> None:
        """Flush once even with nothing queued: proof that the inbox moves."""
        self._schedule(asyncio.get_running_loop())

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self.flushes += 1
        items = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
        if self._queue:
            self._schedule(asyncio.get_running_loop())
        self._stumbled = False
        self._take(items)
        asyncio.get_running_loop().call_soon(self._tidy)  # behind those who were answered: they go on first

    def _take(self, items: list[_Item]) -> None:
        """Step these, commit them together, answer, let happen."""
        if self._failed is not None:
            self._refuse(items, self._failed)
            return
        done: list[tuple[_Item, Decision]] = []
        steps: list[Stepped] = []
        try:
            self._step_all(items, done, steps)
            if steps:
                self.store.commit(steps)
        except StorageFailed as error:
            self.state.rollback()
            self._stop(error, items)
        except StorageFull as error:
            self._undo(steps)
            self._refuse(items, error)
        except Exception as error:
            log.exception("a commit of %d events was undone", len(steps))
            self._undo(steps)
            self._retry_alone(items, error)
        else:
            self.state.settle()
            self._follow(done, steps)

    def _undo(self, steps: list[Stepped]) -> None:
        """Nothing of this commit is on disk: take it back in memory too."""
        self.state.rollback()
        for stepped in steps:
            self.state.forget(stepped.loaded)
        self._stumbled = True

    def _retry_alone(self, items: list[_Item], error: Exception) -> None:
        """One of them could not be written: each alone, so that it fails alone."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            self._refuse(items, Overloaded("another program holds the journal: try again"))
        elif len(items) == 1:
            self._refuse(items, Internal(f"{type(error).__name__} in a commit: it was undone"))
        else:
            for item in items:
                if item.future.cancelled() or not item.future.done():  # whose caller has gone still happened
                    self._take([item])

    def _follow(self, done: list[tuple[_Item, Decision]], steps: list[Stepped]) -> None:
        """What was committed is answered first, then let happen."""
        for item, decision in done:
            if not item.future.done():
                item.future.set_result(decision)
        for stepped in steps:
            for effect in stepped.change.effects:
                try:
                    self._dispatch(effect)
                except Exception:
                    log.exception("a %s was not performed", type(effect).__name__)  # its deadline, or the next boot, asks again
        if steps:
            if self.state.remembered > 2 * REMEMBERED_MAX:  # looking for them costs more than keeping them
                self.state.forget_closed(REMEMBERED_MAX)
            self._committed()

    def _step_all(self, items: list[_Item], done: list[tuple[_Item, Decision]], steps: list[Stepped]) -> None:
        """Step each event over the ones before it; what is refused answers at once, the rest after the commit."""
        now = self._clock()
        self.state.now = now
        for item in items:
            try:
                decision = self._asked_before(item, steps)
                if decision is None:
                    stepped = self._step(item, now)
                    decision = stepped.change.decision
                    if stepped.change.facts or item.idempotency is not None:
                        steps.append(stepped)
                done.append((item, decision))
            except Rejected as error:
                self._refuse([item], error)
            except StorageFailed:
                raise
            except Exception as error:
                if classify(error) is not None:
                    raise StorageFailed("the journal cannot be read") from error
                log.exception("the step of a %s was undone", type(item.event).__name__)
                self._stumbled = True
                self._refuse([item], Internal(f"{type(error).__name__} in the core: the event was undone"))

    def _step(self, item: _Item, now: Now) -> Stepped:
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

    def _asked_before(self, item: _Item, steps: list[Stepped]) -> Decision | None:
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

    def current(self) -> State:
        """The state at this moment: the time of the last event may be hours old, too old for what looks at the day."""
        self.state.now = self._clock()
        return self.state

    def view(self, transaction: str) -> State:
        """A state in which this transaction can be read, if it exists at all. Reading changes nothing that is remembered:
        a row that is loaded without being journaled would be missing from the replay.
        """
        row = self.state.transactions.get(transaction)
        if row is not None and not self._original_forgotten(row):
            return self.state
        rows = self.store.family(transaction)
        view = State([self.state.agent, self.state.line, self.state.printer, self.state.ledger, *rows])
        view.now, view.wording = self.state.now, self.state.wording
        row = view.transactions.get(transaction)
        if row is not None and row.original is not None:
            for key in self.store.named(row.terminal_id, row.original.batch, row.original.stan):
                view.absorb(self.store.family(key))
        return view

    def _original_forgotten(self, row: Transaction) -> bool:
        """True for a void whose original, on which its advice depends, is not in memory."""
        original = row.original
        return original is not None and (row.terminal_id, original.batch, original.stan) not in self.state.keys

    @staticmethod
    def _refuse(items: list[_Item], error: Exception) -> None:
        for item in items:
            if not item.future.done():
                item.future.set_exception(error)

    def _stop(self, error: StorageFailed, items: Sequence[_Item] = ()) -> None:
        """The outcome of a commit is unknown, or a row is damaged: answer nothing as done; the daemon starts anew."""
        first, self._failed = self._failed is None, error
        self._refuse([*items, *self._queue], error)
        self._queue.clear()
        if first:
            self._broken(error)

    def _tidy(self) -> None:
        """What follows a flush and nobody waits for."""
        if self._failed is not None:
            return
        self._arm()
        try:
            self.store.tidy()
        except StorageFailed as error:
            self._stop(error)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ms = self._clock().boottime_ms
        self.state.now = msgspec.structs.replace(self.state.now, boottime_ms=now_ms)
        due_ms = next_deadline_ms(self.state)
        if due_ms is not None:
            soonest_s = RETRY_S if self._stumbled else 0.0  # what could not be done now is not tried again in a tight circle
            delay_s = min(max(soonest_s, (due_ms - now_ms) / 1000), SLEEP_MAX_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.tell(DeadlinePassed())

    def forget_closed(self) -> None:
        """Let go of every closed row: what is needed of one later is loaded, and so stands in the journal."""
        self.state.forget_closed(0)

    def close(self) -> None:
        """Take nothing any more; what is queued is flushed first."""
        while self._queue and self._failed is None:
            self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._failed = self._failed or StorageFailed("the agent is stopping")


def _takes(change: Change, sealed: Sealed) -> bool:
    """True when this change took the secrets in; else a pending reversal would change, or nobody would ever wipe them."""
    return change.decision.conflict is None and any(
        isinstance(row, Transaction) and row.vault == sealed.ref for row in change.rows
    )
