"""One bounded inbox: step what is queued, commit it at once, and only then answer callers and let effects happen.

The commit is made inline on the event loop: the first `submit` schedules a flush, which takes all that is queued; who asks
alone (`decide`) is served on the spot. Each event is stepped in its own try, so a bad one rejects only itself; all that were
stepped share one commit. What nobody waits for (`tell_soon`) is stepped and written at once while nothing else happens, and
shares the commit of what comes next. Until then nobody sees it, here or in another program: who looks at `state` or asks the
store has it committed first.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from agent.core import undoing
from agent.core.change import Decision, Effect, Overloaded
from agent.core.event import AnswerForwarded, DeadlinePassed, Event, HostReply, JobFinished
from agent.core.fleetevent import CommandFinished
from agent.core.model import Now, Transaction
from agent.core.policy import Policy
from agent.core.state import State
from agent.core.step import next_deadline_ms
from agent.journal.database import StorageFailed, StorageFull
from agent.journal.idempotency import Idempotency
from agent.journal.store import Stepped, Store
from agent.vault import Sealed
from agent.writer import Item, Writer, refuse

log = logging.getLogger("reversald.inbox")

BATCH_MAX = 256
QUEUE_MAX = 4_096
CROWD_FLUSHES = 64  # so long after two asked in the same turn of the loop all are queued again, to share their commits
BEGUN_S = 0.005  # what is told `soon` shares the commit of what comes in this time
REMEMBERED_MAX = 64  # closed families kept in memory, and as many closed rows that belong to none
RETRY_S = 1.0
# Everything else is asked again, comes again, or is made good by a deadline.
SAID_ONCE = (JobFinished, HostReply, AnswerForwarded, CommandFinished)
SLEEP_MAX_S = 30.0  # the loop's clock stands still in suspend: look again at least this often while a deadline is set


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
        self._writer = Writer(store, clock, self._stop)
        store.damage_seen = self._writer.fail  # also by who only reads
        store.before_reading = self._finish
        self._clock = clock
        self._dispatch = dispatch
        self._committed = committed
        self._broken = broken
        self._queue: deque[Item] = deque()
        self._begun_timer: asyncio.TimerHandle | None = None
        self._crowd = 0
        self._served = False  # somebody was served on the spot in this turn of the loop
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self.flushes = 0

    @property
    def state(self) -> State:
        """The state as it stands on disk."""
        self._finish()
        return self._writer.state

    @property
    def policy(self) -> Policy:
        """The rules in force."""
        return self._writer.state.agent.policy

    def submit(
        self, event: Event, sealed: Sealed | None = None, idempotency: Idempotency | None = None
    ) -> "asyncio.Future[Decision]":
        """Queue an event. The future holds the Decision once it is on disk, or Rejected, StorageFull, StorageFailed, Internal."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Decision] = loop.create_future()
        if self._writer.failed is not None:
            future.set_exception(self._writer.failed)
        elif len(self._queue) >= QUEUE_MAX:
            future.set_exception(Overloaded("too much at once: try again"))
        else:
            self._queue.append(Item(event, future, sealed, idempotency))
            self._schedule(loop)
        return future

    async def decide(
        self, event: Event, sealed: Sealed | None = None, idempotency: Idempotency | None = None
    ) -> Decision:
        """As `submit`, and on the spot as long as nobody else asks in the same turn of the loop."""
        if self._served:
            self._crowd = CROWD_FLUSHES
        if self._crowd or self._writer.busy or self._queue or self._writer.failed is not None:
            return await self.submit(event, sealed, idempotency)
        loop = asyncio.get_running_loop()
        item = Item(event, loop.create_future(), sealed, idempotency)
        self._served = True
        self._writer.stumbled = False
        self.flushes += 1
        loop.call_soon(self._behind, self._take([item]))
        return await item.future

    def tell_soon(self, event: Event) -> None:
        """As `tell`, for what may share the commit of what comes next: it is stepped and written ahead of that."""
        if len(self._writer.soon) >= BATCH_MAX:
            self.tell(event)
            return
        loop = asyncio.get_running_loop()
        if not self._writer.soon:
            loop.call_soon(self._begin)
        future: asyncio.Future[Decision] = loop.create_future()
        future.add_done_callback(partial(self._told, event))
        self._writer.soon.append(Item(event, future, None, None))

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
        """What the start had to mend on the disk, told once; with the disk full, at a later start."""
        damage = self.store.damage()
        if damage is not None:
            log.error("bits flipped on the disk; made anew: %s; set aside: %s", damage.restored, damage.lost)
            try:
                await self.submit(damage)
                self.store.take_notes(damage="")
            except StorageFull as error:
                log.warning("it is told to the fleet at the next start: %s", error)

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
        self._crowd = CROWD_FLUSHES if len(items) > 1 else max(0, self._crowd - 1)
        self._writer.stumbled = False
        self._let_happen(self._take(items))
        asyncio.get_running_loop().call_soon(self._tidy)  # behind those who were answered: they go on first

    def _behind(self, steps: list[Stepped]) -> None:
        """What follows a commit on the spot: whoever asked has gone on already."""
        self._served = False
        self._let_happen(steps)
        self._tidy()

    def _begin(self) -> None:
        """Step and write what was told soon, unless a flush took it along meanwhile."""
        if self._writer.soon:
            self._let_happen(self._writer.take([], commit=False))  # nothing, but where one alone could not be written
            if self._writer.has_begun and self._begun_timer is None:
                self._begun_timer = asyncio.get_running_loop().call_later(BEGUN_S, self._finish)

    def _finish(self) -> None:
        """Commit what is begun: its time is over, or somebody wants to see what is on disk."""
        if self._writer.has_begun and not self._writer.busy:
            self._let_happen(self._take([]))
            asyncio.get_running_loop().call_soon(self._tidy)

    def _take(self, items: list[Item]) -> list[Stepped]:
        if self._begun_timer is not None:
            self._begun_timer.cancel()
            self._begun_timer = None
        return self._writer.take(items)

    def _let_happen(self, steps: list[Stepped]) -> None:
        """The effects of what was committed, behind its answers."""
        for stepped in steps:
            for effect in stepped.change.effects:
                try:
                    self._dispatch(effect)
                except Exception:
                    log.exception("a %s was not performed", type(effect).__name__)  # its deadline, or the next boot, asks again
        if steps:
            state = self._writer.state
            if state.remembered > 2 * REMEMBERED_MAX and not self._writer.has_begun:  # looking costs more than keeping them
                state.forget_closed(REMEMBERED_MAX)
            self._committed()

    def current(self) -> State:
        """The state at this moment: the time of the last event may be hours old, too old for what looks at the day."""
        state = self.state
        state.now = self._clock()
        return state

    def view(self, transaction: str) -> State:
        """A state in which this transaction can be read, if it exists at all. Reading changes nothing that is remembered:
        a row that is loaded without being journaled would be missing from the replay.
        """
        state = self.state
        row = state.transactions.get(transaction)
        if row is not None and not self._is_judged_by_forgotten(row):
            return state
        rows = self.store.family(transaction)
        view = State([state.agent, state.line, state.printer, state.ledger, *rows])
        view.now, view.wording = state.now, state.wording
        row = view.transactions.get(transaction)
        if row is not None and row.original is not None:
            for key in self.store.named(row.terminal_id, row.original.batch, row.original.stan):
                view.absorb(self.store.family(key))
        undoing.complete(view, self.store.family)
        return view

    def _is_judged_by_forgotten(self, row: Transaction) -> bool:
        """True when its advice depends on what is not in memory: a void's original, what paid a rest, what was to undo either."""
        state, original = self._writer.state, row.original
        if original is not None and (row.terminal_id, original.batch, original.stan) not in state.keys:
            return True
        links = {key for each in (row, *undoing.originals(state, row)) for key in each.links}
        return not links <= state.transactions.keys() | {"cash", "none"}

    def _stop(self, error: StorageFailed) -> None:
        """Storage failed: the daemon starts anew."""
        refuse(self._queue, error)
        self._queue.clear()
        self._broken(error)

    def _tidy(self) -> None:
        """What follows a flush and nobody waits for."""
        if self._writer.failed is not None:
            return
        self._arm()
        try:
            self.store.tidy()
        except StorageFailed as error:
            self._writer.fail(error)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ms = self._clock().boottime_ms
        due_ms = next_deadline_ms(self._writer.state, self._writer.seen_ms)
        if due_ms is not None:
            soonest_s = RETRY_S if self._writer.stumbled else 0.0  # what cannot be done now is not tried in a tight circle
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
        writer = self._writer
        while (self._queue or writer.soon or writer.has_begun) and writer.failed is None:
            self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        writer.failed = writer.failed or StorageFailed("the agent is stopping")
