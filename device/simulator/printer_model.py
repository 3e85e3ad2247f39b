"""A receipt printer as a pure machine: bytes and faults go in at a moment, replies and paper come out. No clock, no I/O.

It has what makes real ones hard: real-time commands answered on receipt even when offline, a small buffer worked off at the
speed of the paper, paper that ends in the middle of a line and is carried on from the buffer when a new roll is in, silence,
and replies that are garbage. Times are milliseconds on the caller's clock and never go back.
"""

from device.simulator.escpos_decoder import Decoder, Op
from device.simulator.paper import LINE_DOTS, Head, Row
from device.simulator.printer_realtime import Part, RealTimeFilter
from device.simulator.printer_status import Condition, ordered_status, real_time_status
from device.simulator.printer_traits import ROLL_LINES, Slip, Traits
from device.simulator.printer_voice import Voice

XON, XOFF = b"\x11", b"\x13"
CUT_MS = 300
BOOT_MS = 2000  # from switched on to listening


class PrinterModel:
    """Call `receive` with what arrived, `advance` when time has passed, and collect `replies` and `slips`."""

    def __init__(self, traits: Traits | None = None, *, lines: int = ROLL_LINES, seed: int = 0) -> None:
        self.traits = traits or Traits()
        self.slips: list[Slip] = []
        self.rows: list[Row] = []  # of the slip being printed
        self.drawer_kicks = 0
        self.condition = Condition(paper_dots=lines * LINE_DOTS)
        self.voice = Voice(self.condition, seed)
        self._buffer = bytearray()
        self._pending: list[Op] = []
        self._printing: Row | None = None
        self._stopped_by_xoff = False
        self._now_ms = 0
        self._busy_until_ms = 0
        self._fed_at_ms = 0
        self._switched_on = True
        self._boots_at_ms: int | None = None
        self._power_on()

    def _power_on(self) -> None:
        self._head = Head(self.traits.columns, self.traits.dots)
        self._decoder = Decoder()
        self._filter = RealTimeFilter()
        self._buffer.clear()
        self._pending.clear()
        self.voice.reset()
        self._printing = None
        self._starved = False
        self.condition.waiting = False
        self._stopped_by_xoff = False

    # --- the line -----------------------------------------------------------------------------------------------------

    def room(self) -> int:
        """How many bytes it takes now. A printer that is off takes any number and loses them."""
        if self.condition.stalled:
            return 0
        return self.traits.buffer_bytes if not self.condition.powered else self.traits.buffer_bytes - len(self._buffer)

    def receive(self, data: bytes, now_ms: int) -> int:
        """Bytes from the line, at most `room`. Returns how many it took."""
        self.advance(now_ms)
        taken = min(len(data), self.room())
        if self.condition.powered:
            for part in self._filter.split(data[:taken]):
                self._take(part)
            self._fed_at_ms = now_ms
            self._starved = False
            self._busy_until_ms = max(self._busy_until_ms, now_ms)
            self._run()
            self._flow()
        return taken

    def replies(self) -> bytes:
        """What it has said since last asked."""
        return self.voice.take()

    def _take(self, part: Part) -> None:
        """Into the buffer; what is real-time acts on receipt."""
        match part.kind:
            case "data":
                self._buffer += part.data
            case "status":
                self._answer_real_time(part.data[0])
            case "recover":
                self._recover(part.data[0])
            case "pulse":
                self.drawer_kicks += part.data[0] == 1

    def _answer_real_time(self, n: int) -> None:
        if n in self.traits.status:
            self.voice.say(bytes([real_time_status(self.condition, n)]))

    def _flow(self) -> None:
        if not self.traits.xonxoff:
            return
        full = len(self._buffer) > self.traits.buffer_bytes * 3 // 4
        empty = len(self._buffer) < self.traits.buffer_bytes // 2
        if (full and not self._stopped_by_xoff) or (empty and self._stopped_by_xoff):
            self._stopped_by_xoff = full
            self.voice.interject(XOFF if full else XON)

    # --- time ---------------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Let time pass: work the buffer off as far as paper and speed allow."""
        assert now_ms >= self._now_ms, "time never goes back"
        self._now_ms = now_ms
        condition = self.condition
        if self._boots_at_ms is not None and now_ms >= self._boots_at_ms:
            self._boots_at_ms = None
            condition.powered = True
            self._busy_until_ms = max(self._busy_until_ms, now_ms)
        if condition.hot_until_ms is not None and now_ms >= condition.hot_until_ms:
            condition.hot_until_ms = None
            self._busy_until_ms = max(self._busy_until_ms, now_ms)
        self._run()
        self._flow()
        if self.idle and self.rows and now_ms >= self._idle_from_ms + self.traits.slip_idle_ms:
            self._end_slip(cut=False)

    def next_ms(self) -> int | None:
        """When something will happen by itself; None: only when something comes."""
        moments: list[int] = []
        moments += [at_ms for at_ms in (self.condition.hot_until_ms, self._boots_at_ms) if at_ms is not None]
        if not (self.condition.stopped or self._starved) and (self._printing or self._buffer or self._pending):
            moments.append(self._busy_until_ms)
        elif self.rows and self.idle:
            moments.append(self._idle_from_ms + self.traits.slip_idle_ms)
        return max(min(moments), self._now_ms + 1) if moments else None

    @property
    def idle(self) -> bool:
        """Nothing is being printed and nothing waits to be."""
        waits = self._buffer and not self._starved
        return not (self._printing or waits or self._pending or self._head.line_open)

    @property
    def _idle_from_ms(self) -> int:
        return max(self._fed_at_ms, self._busy_until_ms)

    # --- printing -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self.condition.powered and not self.condition.stopped and self._busy_until_ms <= self._now_ms:
            if self._printing is not None:
                self._finish(self._printing)
                continue
            op = self._pending.pop() if self._pending else self._decoder.take(self._buffer)
            self._starved = op is None  # what is there is the beginning of a command
            if op is None:
                return
            self._execute(op)

    def _start(self, row: Row) -> None:
        """The paper begins to move."""
        self._printing = row
        dots = min(row.dots, self.condition.paper_dots)
        self._busy_until_ms += round(dots * 1000 / self.traits.dots_per_s)

    def _finish(self, row: Row) -> None:
        """The row is out, or the paper ended in it; then it stays to be printed again from its beginning."""
        paper = self.condition.paper_dots
        if row.dots <= paper:
            self.condition.paper_dots -= row.dots
            self.rows.append(row)
            self._printing = None
        elif row.kind == "feed":
            self.condition.paper_dots = 0
            self._printing = None
        else:
            if paper:
                self.rows.append(row._replace(torn=paper * 100 // row.dots, dots=paper))
            self.condition.paper_dots = 0
            self._printing = None
            self._reprint(row)
        if self.condition.paper_dots == 0:
            self._stop()
        self.voice.report()

    def _reprint(self, row: Row) -> None:
        self._again = row
        self._pending.append(Op("again"))

    def _execute(self, op: Op) -> None:
        match op.name:
            case "text":
                row, rest = self._head.put(op.data, kanji=self._decoder.kanji)
                if rest:
                    self._pending.append(Op("text", rest))
                if row is not None:
                    self._start(row)
            case "LF":
                self._start(self._head.end_line())
            case "again":
                self._start(self._again)
            case "GS V":
                self._cut(op.data)
            case "GS r":
                if self.traits.fence:
                    self.voice.say(bytes([ordered_status(self.condition, op.data[0])]))
            case "GS a":
                self.voice.set_auto(op.data[0] if self.traits.asb else 0)
            case "ESC p":
                self.drawer_kicks += 1
            case "GS (" if op.data[:1] == b"H":
                if self.traits.process_id and op.data[3:5] == b"00":
                    self.voice.say(b"7\x22" + op.data[5:9] + b"\0")
            case _:
                if op.name == "ESC @":
                    self.voice.set_auto(0)
                if (row := self._head.obey(op)) is not None:
                    self._start(row)

    def _cut(self, data: bytes) -> None:
        if self._head.line_open:
            self._pending.append(Op("GS V", data))
            self._start(self._head.end_line())
        elif len(data) == 2 and data[0] in {65, 66}:  # feeds to the cutter first
            self._pending.append(Op("GS V", b"\x01"))
            self._start(Row("feed", 3 * LINE_DOTS + data[1]))
        elif self.traits.cutter and self.condition.jammed:
            self._pending.append(Op("GS V", data))
            self.condition.jam_found = True
            self.voice.report()
        elif self.traits.cutter:
            self._busy_until_ms += CUT_MS
            self._end_slip(cut=True)

    def tear_off(self) -> None:
        """A person takes the paper as it is."""
        self._end_slip(cut=False)

    def _end_slip(self, *, cut: bool) -> None:
        if self.rows:
            self.slips.append(Slip(tuple(self.rows), cut))
            self.rows = []

    def _stop(self) -> None:
        if not self.traits.resumes_by_itself:
            self.condition.waiting = True

    def _recover(self, how: int) -> None:
        """10 05 n: a person's order to go on (1), or to forget what is left (2)."""
        self.condition.jam_found = self.condition.jammed
        if how == 2:
            self._head.drop_line()
            self._printing = None
            self._buffer.clear()
            self._pending.clear()
        if how in {1, 2}:
            self.condition.waiting = False
        self._restart()

    def _restart(self) -> None:
        self._busy_until_ms = max(self._busy_until_ms, self._now_ms)
        self._run()
        self.voice.report()

    # --- what people and bad luck do ----------------------------------------------------------------------------------

    def changed(self, now_ms: int) -> None:
        """Something about `condition` was changed from outside."""
        self.advance(now_ms)
        self._restart()

    def paper_in(self, now_ms: int, lines: int = ROLL_LINES) -> None:
        """A new roll."""
        self.advance(now_ms)
        self.condition.paper_dots = lines * LINE_DOTS
        self._restart()

    def paper_ends(self, now_ms: int, after_lines: int = 0, *, mid_line: bool = False) -> None:
        """The roll ends after so many more lines, or a third into the line after them. At 0 it is out now."""
        self.advance(now_ms)
        self.condition.paper_dots = after_lines * LINE_DOTS + (LINE_DOTS // 3 if mid_line else 0)
        if not self.condition.paper_dots:
            self._stop()
        self._restart()

    def power(self, now_ms: int, *, on: bool) -> None:
        """Switch it off, and what it held is lost; or on again, and it listens after BOOT_MS."""
        self.advance(now_ms)
        if not on:
            self._end_slip(cut=False)
        if on != self._switched_on:
            self._switched_on = on
            self._power_on()
            self.condition.powered = False
            self._boots_at_ms = now_ms + BOOT_MS if on else None
            self.advance(now_ms)
