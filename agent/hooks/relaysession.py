"""One terminal's connection in the relay and its own connection to the host: what passes, what is held, what is dropped.

Frames of each direction are taken in order. A watched request is on disk, and has its `go`, before its first byte is
forwarded; an answer to it is on disk before it is. Whatever cannot be made durable is not forwarded.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from agent.core.change import Decision
from agent.core.event import (
    AppReversed,
    BatchChanged,
    Event,
    NoiseReceived,
    OnlineAsked,
    RelayRefused,
    SentAsked,
    SettlementAsked,
    TerminalChanged,
)
from agent.hooks.ports import Inbox
from agent.hooks.relaykeeper import Exchange, Keeper
from agent.hooks.relayreader import Key, Online, OwnReversal, RelayReader, Settlement, SignIn, Unreadable, Watched, crossed
from device.acquirer.hosts import Hosts
from device.acquirer.message import reply_mti
from device.acquirer.peek import Peek
from device.acquirer.stream import FrameStream
from device.connectivity import boottime_ms
from device.errors import LinkDown, LinkError, RemoteMessageError

log = logging.getLogger("reversald.relay")

IDLE_S = 3_600.0  # a terminal that says nothing for so long is hung up on
LATE_S = 60.0  # how long the host is still listened to for answers that nobody waits for any more: they are evidence
ANSWER_TRIES = 5  # an answer that cannot be kept now, because the disk is full, is tried so often
EXCHANGES_MAX = 64  # remembered for late answers; the oldest is forgotten


class Session:
    """Both connections of one terminal. `run` returns when they are closed."""

    def __init__(
        self, client: FrameStream, host: Hosts, reader: RelayReader, inbox: Inbox, hold_ms: Callable[[], int]
    ) -> None:
        self._client = client
        self._host = host
        self._reader = reader
        self._keeper = Keeper(inbox)
        self._hold_ms = hold_ms
        self._news = asyncio.Event()
        self._current: Exchange | None = None
        self._exchanges: dict[Key, Exchange] = {}
        self._own: dict[tuple[str, Key], None] = {}  # the app's reversals whose answer is awaited, by its type
        self._asked: dict[str, Settlement | SignIn] = {}  # by the type of the answer that is awaited
        self._connecting: asyncio.Task[bool] | None = None
        self._listening: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Something was committed, or the terminal hung up: whoever waits looks again."""
        self._news.set()

    async def run(self) -> None:
        """Relay until either side ends, then close both."""
        self._connecting = asyncio.create_task(self._connect(), name="relay-connect")
        try:
            await self._from_terminal()
            await self._give_up()
            await self._hear_late_answers()
        finally:
            for task in (self._connecting, self._listening):
                if task is not None:
                    await _ended(task)
            await self._host.close()
            await self._client.close()

    async def _connect(self) -> bool:
        try:
            await self._host.connect()
        except LinkError as error:
            log.info("the relay cannot reach the host: %s", error)
            return False
        self._listening = asyncio.create_task(self._from_host(), name="relay-host")
        return True

    # ── from the terminal ────────────────────────────────────────────────────────────────────────────────────────────

    async def _from_terminal(self) -> None:
        """Until the terminal ends, or a request is refused: then everything is closed."""
        going = True
        while going:
            frame = await self._client.read(IDLE_S)
            if frame is None:
                return
            try:
                going = await self._take(frame)
            except Unreadable as error:
                log.error("a request was not forwarded: %s", error)  # noqa: TRY400  (a trace could carry content)
                await self._keeper.keep(RelayRefused(why="unreadable"))
                return

    async def _take(self, frame: bytes) -> bool:
        """Deal with one frame; False ends the connection."""
        meaning = self._reader.request(frame)
        assert self._connecting is not None
        reached = await asyncio.shield(self._connecting)
        if isinstance(meaning, Watched):
            return await self._watched(meaning, frame, reached=reached)
        if not reached:
            return False
        if isinstance(meaning, OwnReversal):
            return await self._own_reversal(meaning) and await self._pass(frame)
        if isinstance(meaning, Settlement):
            self._asked[reply_mti(meaning.mti)] = meaning
            asked = SettlementAsked(batch=meaning.batch, terminal_id=meaning.terminal_id)
            return await self._held(lambda: self._keeper.keep(asked)) and await self._pass(frame)
        if isinstance(meaning, Online):
            return await self._unwatched(meaning.terminal_id, frame)
        if isinstance(meaning, SignIn):
            self._asked[reply_mti(meaning.mti)] = meaning
        return await self._pass(frame)

    async def _unwatched(self, terminal_id: str, frame: bytes) -> bool:
        """An online request of which nothing is learned: it waits for pending reversals like any other."""
        online = OnlineAsked(terminal_id=terminal_id)
        return await self._held(lambda: self._keeper.keep(online)) and await self._pass(frame)

    async def _pass(self, frame: bytes) -> bool:
        """Forward, byte for byte."""
        try:
            await self._host.send(self._reader.codec.framing.framed(frame))
        except LinkError:
            return False
        return True

    async def _watched(self, seen: Watched, frame: bytes, *, reached: bool) -> bool:
        """A transaction: kept, held until its turn, forwarded. A message that is repeated as it is, is the same transaction."""
        while self._current is not None and not self._client.ended:
            if self._current.phase == "sent" and self._keeper.state(self._current.transaction) != "sent":
                await self._over(self._current, "no_answer")  # its time is over, and the terminal goes on
            else:
                await self._wait(IDLE_S)  # one at a time: what stands behind it on this connection is not even looked at
        if self._client.ended:
            return False
        earlier = self._keeper.earlier(seen.opened)
        if not reached or not self._host.is_open:
            if earlier is not None:
                return False
            unsent = msgspec.structs.replace(seen.opened, ask=False)
            if await self._keeper.keep(unsent, seen.sealed) is not None:
                await self._keeper.report(seen.opened.transaction, "not_sent")
            return False
        exchange = Exchange(seen.opened.transaction, seen.mti, seen.key)
        if earlier is not None and earlier.again is None:
            return await self._unwatched(seen.opened.terminal_id, frame)
        if earlier is not None and earlier.again is not None:
            exchange = Exchange(earlier.again, seen.mti, seen.key, "held")
        return await self._open_and_send(exchange, seen, frame)

    async def _open_and_send(self, exchange: Exchange, seen: Watched, frame: bytes) -> bool:
        if not await self._held(lambda: self._may_leave(exchange, seen)):
            if self._keeper.state(exchange.transaction) == "intent":
                await self._keeper.report(exchange.transaction, "not_sent")
            return False
        if not self._client.alive():  # never forwarded after the terminal closed
            await self._keeper.report(exchange.transaction, "not_sent")
            return False
        self._remember(exchange)
        exchange.phase = "sent"
        self._current = exchange
        try:
            await self._host.send(self._reader.codec.framing.framed(frame))
        except LinkError as error:
            await self._over(exchange, "not_sent" if isinstance(error, LinkDown) else "no_answer")
            return False
        return True

    async def _may_leave(self, exchange: Exchange, seen: Watched) -> Decision | None:
        """Open and ask in one commit; after that only ask. What another connection sent is waited for first."""
        if exchange.phase == "new":
            exchange.phase = "held"
            return await self._keeper.open(seen)
        again, state = exchange.transaction != seen.opened.transaction, self._keeper.state(exchange.transaction)
        if again and state == "sent":
            return Decision(transaction=exchange.transaction, proceed="wait", retry_after_ms=1_000)
        if again and state != "in_doubt":  # it was decided meanwhile
            return await self._keeper.keep(OnlineAsked(terminal_id=seen.opened.terminal_id))
        return await self._keeper.keep(SentAsked(transaction=exchange.transaction))

    def _remember(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange.key, None)
        if len(self._exchanges) >= EXCHANGES_MAX:
            del self._exchanges[next(iter(self._exchanges))]
        self._exchanges[exchange.key] = exchange

    async def _held(self, ask: Callable[[], Awaitable[Decision | None]]) -> bool:
        """Ask until it is `go`; False when it may not be forwarded: refused, held too long, or the terminal hung up.

        The time that the machine sleeps counts: what was held for too long by then does not leave when it wakes.
        """
        left_ms = self._hold_ms()
        until_ms = boottime_ms() + left_ms
        while not self._client.ended:
            self._news.clear()
            decision = await ask()
            if decision is None or decision.proceed in {"refuse", None}:
                return False
            if decision.proceed == "go":
                return True
            await self._wait(min(left_ms, decision.retry_after_ms or 1_000) / 1000)
            left_ms = until_ms - boottime_ms()
            if left_ms <= 0:
                return False
        return False

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def _own_reversal(self, seen: OwnReversal) -> bool:
        """The app's own 0400: told to the core before it leaves, when it is for a transaction that is known here."""
        key = self._keeper.named(seen)
        if key is None:
            return True
        if await self._keeper.keep(AppReversed(transaction=key, reason=seen.reason, amount_fen=seen.amount_fen)) is None:
            return False
        if self._keeper.reverses(key):  # of what was declined there is nothing to undo: the answer settles nothing
            self._own[reply_mti(seen.mti), seen.key] = None
        if self._current is not None and self._current.transaction == key:
            self._current.phase = "doubt"
            self._free(self._current)
        return True

    # ── from the host ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _from_host(self) -> None:
        """Until the host ends; then the terminal's connection ends too."""
        try:
            while True:  # as long as the terminal stays: its silence has a limit, so the host's needs none
                await self._answered(await self._host.receive(None))
        except LinkError as error:
            log.info("a relayed connection ends: %s", error)
        except RemoteMessageError:
            self._keeper.tell(NoiseReceived(what="unreadable"))
        finally:
            self._client.end()

    async def _answered(self, frame: bytes) -> None:
        seen = self._reader.glance(frame)
        exchange = None if seen is None else self._exchanges.get((seen.f41, seen.f11))
        if seen is not None and exchange is not None and f"{seen.mti[:3]}0" == reply_mti(exchange.mti):
            await self._answer(exchange, frame)
            return
        if seen is None or await self._may_pass(seen, frame):
            await self._back(frame)

    async def _may_pass(self, seen: Peek, frame: bytes) -> bool:
        """What the agent learns from the answers it does not own; False when that could not be kept."""
        events: list[Event] = []
        if (seen.mti, (seen.f41, seen.f11)) in self._own:
            with contextlib.suppress(RemoteMessageError):  # unreadable to us: the app judges it
                events.append(await self._reader.own_answer(frame))
        asked = None if crossed(self._asked.get(seen.mti), seen) else self._asked.pop(seen.mti, None)
        if asked is not None and seen.f39 == "00":
            if isinstance(asked, Settlement):
                events.append(BatchChanged(batch=asked.batch, what="settled", terminal_id=asked.terminal_id))
            else:
                events.append(TerminalChanged(what="signed_in"))
        return all([await self._keeper.keep(event, tries=ANSWER_TRIES) is not None for event in events])

    async def _answer(self, exchange: Exchange, frame: bytes) -> None:
        """The answer to a watched request: kept, judged, and only then forwarded or dropped."""
        try:
            event = await self._reader.answer(exchange.transaction, frame)
        except RemoteMessageError:
            self._keeper.tell(NoiseReceived(what="unreadable"))
            return
        if exchange.phase == "sent":
            exchange.phase = "answering"
        decision = await self._keeper.keep(event, tries=ANSWER_TRIES)
        if decision is not None and decision.proceed == "go":
            left = await self._back(frame)
            self._keeper.forwarded(exchange.transaction, left=left)
            exchange.phase = "done"
            self._free(exchange)
            return
        if decision is not None:
            log.warning("an answer was not forwarded: %s", decision.detail)
        await self._dropped(exchange)

    async def _dropped(self, exchange: Exchange) -> None:
        """A crossed answer leaves the request waiting; after any other one that was dropped it is decided."""
        if exchange.phase == "answering":
            exchange.phase = "sent"
            if self._client.ended or self._keeper.state(exchange.transaction) != "sent":
                await self._over(exchange, "no_answer")
        elif exchange.phase == "doubt":
            exchange.phase = "done"
            self.nudge()

    async def _back(self, frame: bytes) -> bool:
        """Forward to the terminal; False when it surely did not get it."""
        if not self._client.alive():
            return False
        await self._client.write(self._reader.codec.framing.framed(frame))
        return not self._client.transport.is_closing()

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _give_up(self) -> None:
        """The terminal's connection is over: what waits for an answer is in doubt at once."""
        self._client.end()
        exchange = self._current
        if exchange is not None and exchange.phase == "sent":
            await self._over(exchange, "no_answer")

    async def _hear_late_answers(self) -> None:
        """What the host still says about a transaction in doubt is evidence; an answer that is being kept comes to its end."""
        until = asyncio.get_running_loop().time() + LATE_S
        while self._listening is not None and not self._listening.done():
            left_s = until - asyncio.get_running_loop().time()
            if left_s <= 0 or not any(row.phase in {"answering", "doubt"} for row in self._exchanges.values()):
                return
            await self._wait(left_s)

    async def _over(self, exchange: Exchange, outcome: Literal["no_answer", "not_sent"]) -> None:
        exchange.phase = "doubt"
        self._free(exchange)
        if self._keeper.state(exchange.transaction) == "sent":
            await self._keeper.report(exchange.transaction, outcome)

    def _free(self, exchange: Exchange) -> None:
        if self._current is exchange:
            self._current = None
        self.nudge()


async def _ended(task: "asyncio.Task[None] | asyncio.Task[bool]") -> None:
    """Cancel it and see it end; a defect is told, without what it was about."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended by a defect: %s", task.get_name(), type(error).__name__)
