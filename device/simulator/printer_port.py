"""A port whose wire, clock and printer are simulated: the real driver runs over it through hours in milliseconds.

It has what a serial line has: a queue in the kernel, a speed, and a moment at which the plug is pulled.
"""

import math
from collections.abc import Callable

from device.errors import PortLost, PortStalled, PortUnavailable
from device.simulator.printer_model import PrinterModel

QUEUE_BYTES = 4096
STEP_MS = 10  # how often a blocked writer looks again
BURST_BYTES = 32  # carried at once

Happening = tuple[int, Callable[[PrinterModel, int], None]]  # at this moment, this happens to the printer


class VirtualPort:
    """See `Port`. `script` is what happens to the printer, in the order of time; time passes only inside the calls."""

    name = "virtual"

    def __init__(
        self, model: PrinterModel, baud: int = 115_200, script: list[Happening] | None = None, *, lag_ms: int = 0
    ) -> None:
        self.model = model
        self.bytes_per_s = baud / 10
        self.now_ms = 0
        self.plugged = True
        self.interrupted = False
        self.is_open = False
        self._script: list[Happening] = []
        for at_ms, happening in script or []:
            self.schedule(at_ms, happening)
        self._queue = bytearray()
        self._credit = 0.0  # bytes that the wire could have carried by now
        self._arrived = bytearray()
        self._lag_ms = lag_ms  # of its replies
        self._on_the_way: list[tuple[int, bytes]] = []
        self._woken = False

    def open(self) -> None:
        if not self.plugged:
            raise PortUnavailable("port virtual: it is not there", "missing")
        self.is_open = True

    def close(self) -> None:
        self._queue.clear()
        self.is_open = False

    def paper_out(self) -> bool:
        return False

    def now_s(self) -> float:
        return self.now_ms / 1000

    def write(self, data: bytes, deadline_s: float) -> int:
        accepted = 0
        while accepted < len(data):
            self._check(accepted)
            part = data[accepted : accepted + QUEUE_BYTES - len(self._queue)]
            self._queue += part
            accepted += len(part)
            if not part:
                if self.now_s() >= deadline_s or self.interrupted:
                    raise PortStalled("port virtual takes no more bytes", accepted)
                self.pass_ms(STEP_MS)
        return accepted

    def drain(self, deadline_s: float) -> int:
        left = len(self._queue)
        while left and self.now_s() < deadline_s and not self.interrupted:
            self.pass_ms(STEP_MS)
            if not self.plugged:
                break
            left = len(self._queue)
        return left

    def discard(self) -> int:
        dropped = len(self._queue)
        self._queue.clear()
        return dropped

    def read(self, deadline_s: float) -> bytes:
        self._check(0)
        while not self._arrived and self.now_s() < deadline_s and not self.interrupted:
            self._step(math.ceil(deadline_s * 1000))
            self._check(0)
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def sleep(self, timeout_s: float | None) -> bool:
        until_ms = self.now_ms + math.ceil((timeout_s or 0) * 1000)
        while not (self._arrived or self._woken or (self.is_open and not self.plugged)) and self.now_ms < until_ms:
            self._step(until_ms)
        woken, self._woken = self._woken, False
        return woken

    def wake(self) -> None:
        self._woken = True

    def interrupt(self) -> None:
        self.interrupted = True

    def unplug(self) -> None:
        """The plug is pulled: what is still in the queue never arrives."""
        self.plugged = False
        self._queue.clear()

    def plug_in(self) -> None:
        """The plug is back; the port has to be opened again."""
        self.plugged = True

    def schedule(self, at_ms: int, happening: Callable[[PrinterModel, int], None]) -> None:
        """Let something happen to the printer at that moment."""
        self._script.append((at_ms, happening))
        self._script.sort(key=lambda entry: entry[0])

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass on the wire and in the printer."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            self._step(end_ms)

    def _step(self, end_ms: int) -> None:
        """Jump to the next moment at which anything happens, at the latest to `end_ms`."""
        moments = [end_ms]
        if self._queue and self.model.room():
            moments.append(self.now_ms + max(1, int(min(len(self._queue), BURST_BYTES) * 1000 / self.bytes_per_s)))
        if self._script:
            moments.append(self._script[0][0])
        if self._on_the_way:
            moments.append(self._on_the_way[0][0])
        if (at_ms := self.model.next_ms()) is not None:
            moments.append(at_ms)
        before_ms, self.now_ms = self.now_ms, max(self.now_ms + 1, min(moments))
        while self._script and self._script[0][0] <= self.now_ms:
            self._script.pop(0)[1](self.model, self.now_ms)
        self._carry(self.now_ms - before_ms)
        self.model.advance(self.now_ms)
        if (replies := self.model.replies()) and self.plugged and self.is_open:
            self._on_the_way.append((self.now_ms + self._lag_ms, replies))
        while self._on_the_way and self._on_the_way[0][0] <= self.now_ms:
            self._arrived += self._on_the_way.pop(0)[1]

    def _carry(self, step_ms: int) -> None:
        if not self._queue:
            self._credit = 0.0
            return
        self._credit = min(self._credit + step_ms * self.bytes_per_s / 1000, BURST_BYTES + 1.0)
        count = min(int(self._credit), len(self._queue), self.model.room())
        if count:
            taken = self.model.receive(bytes(self._queue[:count]), self.now_ms)
            del self._queue[:taken]
            self._credit -= taken

    def _check(self, accepted: int) -> None:
        if not (self.plugged and self.is_open):
            self.is_open = False
            raise PortLost("port virtual: the device went away", accepted)
