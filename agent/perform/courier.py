"""Carries journal rows to the fleet, and moves the cursor only past what was delivered: what is in doubt goes again.

A row is done when the broker took it (`ack = "broker"`) or when the fleet's high-water mark passed it
(`ack = "fleet"`, since a broker that is killed forgets messages it had acknowledged). With every new connection all
rows after the last one that is done are sent anew, so the receiver sees repeats, but never a hole that stays.

A row that no broker takes must not hold back the others, and a broker that takes nothing must not empty the journal.
So a refused row is only a suspect. When another row gets through after it, it is accused, and all go again; when that
happens a second time it is skipped. When nothing gets through it is the channel: all wait and go again.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, cast

import msgspec

from agent.envelope import Ack, EnvelopeError, is_published
from agent.journal.chain import Entry
from agent.perform.outbox import Outbox
from device.mqtt import Backoff, Ending, Outcome

READ_ROWS: Final = 200  # journal rows handled between two turns of the event loop
CURSOR_ROWS: Final = 200  # the cursor is written after so many rows …
CURSOR_S: Final = 0.05  # … or so long after a delivery: a commit per PUBACK would cost 20 times the throughput
AHEAD: Final = 1_000  # rows sent and not yet done
SUSPECTS: Final = 3  # refused rows before it is the channel that is doubted, not the rows
LOOK_BACK_ROWS: Final = 10_000  # how far back the last published row is looked for

# Refusals that say nothing about the row: 0x91 packet id in use, 0x97 quota exceeded.
_NOT_THE_ROW: Final = frozenset({0x91, 0x97})
# Reasons of a DISCONNECT that blame a message: malformed, protocol error, topic, too large, format.
_BLAMES_A_MESSAGE: Final = frozenset({0x81, 0x82, 0x90, 0x95, 0x99})


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds before rows that got nowhere go again: full jitter under `hold`, doubling `ack` for a silent fleet."""

    hold_min_s: float = 5.0
    hold_max_s: float = 300.0
    ack_min_s: float = 60.0
    ack_max_s: float = 1_800.0


Method = TypeVar("Method", bound=Callable[..., None])


class _Sent(msgspec.Struct):
    seq: int
    answered: bool = False
    taken: bool = False


# Sends an entry with its `prev`; False when there is no room. Raises EnvelopeError when it cannot be written down.
Send = Callable[[Entry, int, Callable[[Outcome], None]], bool]


def _guarded(method: Method) -> Method:
    """For what the event loop calls: an error of the outbox must reach the daemon, not the loop's log."""

    @functools.wraps(method)
    def call(self: "Courier", *given: Any) -> None:
        try:
            method(self, *given)
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon decides
            self.failed(error)

    return cast("Method", call)


class Courier:
    """Carries the published rows of the outbox to the broker, in order, and moves the cursor. Lives on the event loop.

    `report` is told what a technician should know, "" when all is well again; `failed` an error of the outbox.
    """

    def __init__(
        self,
        outbox: Outbox,
        ack: Literal["broker", "fleet"],
        send: Send,
        report: Callable[[str], None],
        failed: Callable[[Exception], None],
        pace: Pace,
    ) -> None:
        self._outbox, self._ack, self._send, self._pace = outbox, ack, send, pace
        self._report, self.failed = report, failed
        self._backoff = Backoff(pace.hold_min_s, pace.hold_max_s)
        self._ack_s = pace.ack_min_s
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._up = self._due = self._careful = self._delivered = False
        self._round = self._read = 0
        self._last: int | None = None  # the row published last, in this round
        self._suspects: dict[int, str] = {}
        self._accused: set[int] = set()
        self._skipped: set[int] = set()
        self._done = self._saved = outbox.cursor()  # every row up to here is done; and so says the disk
        self._base: int | None = None  # the last published row among them; looked for when it is first needed
        self._again_to = 0  # up to here rows go again because somebody ordered it
        self._go_back()

    def poke(self) -> None:
        """The journal has grown, or there may be room again. Cheap."""
        if self._up and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def connected(self) -> None:
        """Rows can be sent."""
        self._up = True
        self.poke()

    def disconnected(self, ending: Ending) -> None:
        """What is not done goes again with the next connection."""
        self._blame(ending)
        self._up = False
        self._cancel("hold", "ack")
        self._go_back()

    @_guarded
    def acknowledged(self, ack: Ack) -> None:
        """The fleet holds everything up to `ack.hwm`. A mark below what we believed done means that it lost data."""
        if self._ack != "fleet" or ack.epoch != self._outbox.epoch:
            return
        base = self._last_published()
        hwm = self._proved(ack.hwm, base)
        if hwm > base:
            self._confirm(hwm)
        elif ack.hwm < base:
            self._report(f"the fleet holds less than it confirmed: sending again from {ack.hwm}")
            self._done = self._base = ack.hwm
            self._go_back()
            self.poke()

    @_guarded
    def rewind(self, seq: int) -> None:
        """Everything after `seq` goes again, and what the fleet confirms meanwhile counts only as far as it has gone."""
        if seq < self._done:
            self._again_to = max(self._again_to, self._read)
            self._cancel("cursor")
            self._done, self._base, self._delivered = seq, None, False
            self._outbox.move(seq)
            self._saved = seq
            self._go_back()
        self.poke()

    def flush(self) -> None:
        """Write the cursor down."""
        self._cancel("cursor")
        self._delivered = False
        if self._done > self._saved:
            self._outbox.move(self._done)
            self._saved = self._done

    # Sending.

    @_guarded
    def _pump(self) -> None:
        self._due = False
        if not self._up or "hold" in self._timers:
            return
        for _ in range(READ_ROWS):
            if len(self._sent) >= AHEAD or len(self._suspects) >= SUSPECTS or (self._careful and self._unanswered):
                break
            if not self._ready:
                self._ready.extend(self._outbox.read_after(self._read, READ_ROWS))
            if not self._ready or not self._pass(self._ready[0]):
                break
            self._read = self._ready.popleft().seq
        else:
            self.poke()  # there is more, but others want the loop too
        if self._suspects and not self._unanswered:
            self._hold(next(iter(self._suspects.values())))
        self._settle()
        self._expect_ack()

    def _pass(self, entry: Entry) -> bool:
        """Send the entry, or pass over it; False when it must wait."""
        if not is_published(entry.type) or entry.seq in self._skipped:
            return True
        row = _Sent(entry.seq)
        if entry.seq in self._suspects:  # it ended a connection: the next one goes first, without it
            row.answered = True
            self._sent.append(row)
            return True
        try:
            if not self._send(entry, self._previous(), functools.partial(self._answer, self._round, row)):
                return False
        except EnvelopeError as error:
            self._skip(entry.seq, str(error))
            return True
        self._sent.append(row)
        self._unanswered += 1
        self._last = entry.seq
        return True

    @_guarded
    def _answer(self, sent_in: int, row: _Sent, outcome: Outcome) -> None:
        if outcome.kind == "lost":
            return  # `disconnected` follows, and wants to know who was on the way
        if sent_in == self._round:  # else it was sent before we went back: it goes again, and counts then
            self._unanswered -= not row.answered
            row.answered = True
            if outcome.kind == "taken":
                row.taken = True
                self._got_through()
            elif outcome.kind == "nobody" or outcome.code in _NOT_THE_ROW:
                self._hold("nobody subscribes to our events" if outcome.kind == "nobody" else outcome.text)
            elif outcome.kind == "refused":
                self._suspects[row.seq] = f"the broker refused it: {outcome.text}"
        self.poke()

    def _got_through(self) -> None:
        self._careful = False
        self._backoff.reset()
        self._report("")
        if self._suspects:
            for seq, reason in self._suspects.items():
                if seq in self._accused:
                    self._skip(seq, reason)
            self._accused.update(self._suspects)
            self._suspects.clear()
            self._go_back()  # rows after a skipped one named it as their `prev`, and would wait for it for ever

    def _blame(self, ending: Ending) -> None:
        """A broker may end the connection instead of refusing a row: then rows go one at a time until one shows itself."""
        waiting = next((row for row in self._sent if not row.answered), None)
        if waiting is not None and (ending.kind == "broken" or ending.code in _BLAMES_A_MESSAGE):
            if self._careful:
                self._suspects[waiting.seq] = f"the broker ended the connection over it: {ending.text}"
            self._careful = True

    def _skip(self, seq: int, reason: str) -> None:
        self._report(f"entry {seq} is set aside: {reason}")
        self._outbox.skip(seq, reason)
        self._skipped.add(seq)

    def _hold(self, reason: str) -> None:
        """Nothing gets through: wait, then send all of it again."""
        if "hold" not in self._timers:
            self._report(reason)
            self._timer("hold", self._backoff.delay_s(), self._again)

    def _again(self) -> None:
        self._suspects.clear()
        self._go_back()
        self.poke()

    def _go_back(self) -> None:
        """To just after the last row that is done."""
        self._round += 1
        self._sent: deque[_Sent] = deque()
        self._ready: deque[Entry] = deque()
        self._unanswered = 0
        self._read, self._last = self._done, self._base
        self._accused = {seq for seq in self._accused if seq > self._done}
        self._skipped = {seq for seq in self._skipped if seq > self._done}

    # Done.

    def _settle(self) -> None:
        """Move `done` over what is delivered, and over the rows between that nobody wants."""
        while self._ack == "broker" and self._sent and self._sent[0].taken:
            self._finish(self._sent.popleft().seq)
        if not self._sent:
            self._done = max(self._done, self._read)
        if self._done - self._saved >= CURSOR_ROWS:
            self.flush()
        elif self._delivered and "cursor" not in self._timers:
            self._timer("cursor", CURSOR_S, self.flush)

    def _confirm(self, hwm: int) -> None:
        if hwm > self._read and not self._outbox.read_after(hwm - 1, 1):
            self._report(f"the fleet confirmed entry {hwm}, which this journal does not have: was it restored from a copy?")
            return
        while self._sent and self._sent[0].seq <= hwm:
            row = self._sent.popleft()
            self._unanswered -= not row.answered
            row.answered = True
        for seq in [seq for seq in self._suspects if seq < hwm]:
            self._skip(seq, self._suspects.pop(seq))
        if hwm > self._read:  # sent and confirmed before we were started again
            self._ready.clear()
            self._read = self._last = hwm
        self._finish(hwm)
        self._ack_s = self._pace.ack_min_s
        self._cancel("ack")
        self.poke()

    def _proved(self, hwm: int, base: int) -> int:
        """How far a mark counts. While rows go again by an order, the fleet has them all and would confirm them unsent."""
        if self._done >= self._again_to:
            return hwm
        taken = base
        for row in self._sent:
            if not row.taken:
                return min(hwm, taken)
            taken = row.seq
        return hwm if self._read >= self._again_to else min(hwm, taken)

    def _finish(self, seq: int) -> None:
        self._done = max(self._done, seq)
        self._base = seq
        self._delivered = True

    def _expect_ack(self) -> None:
        """A fleet that stays silent may have lost what we sent, with no line breaking."""
        if self._ack == "fleet" and self._sent and "ack" not in self._timers and "hold" not in self._timers:
            self._timer("ack", self._ack_s, self._again)
            self._ack_s = min(self._ack_s * 2, self._pace.ack_max_s)

    def _previous(self) -> int:
        """The `prev` of the next row to be sent."""
        return self._last_published() if self._last is None else self._last

    def _last_published(self) -> int:
        """The last published row that is done, 0 for none."""
        high = self._done
        while self._base is None:
            low = max(0, high - READ_ROWS)
            rows = self._outbox.read_after(low, READ_ROWS)
            found = max((row.seq for row in rows if row.seq <= high and is_published(row.type)), default=0)
            if found or not low or self._done - low >= LOOK_BACK_ROWS:
                self._base = found
            high = low
        return self._base

    def _timer(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, self._fire, name, call)

    @_guarded
    def _fire(self, name: str, call: Callable[[], None]) -> None:
        del self._timers[name]
        call()

    def _cancel(self, *names: str) -> None:
        for name in names:
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()
