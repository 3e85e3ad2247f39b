"""A pseudo terminal that looks like a serial line, for whatever simulated device hangs on it."""

import asyncio
import contextlib
import os
import pty
import termios
import tty
from collections.abc import Callable
from typing import Protocol

READ_BYTES_MAX = 4096


class Wired(Protocol):
    """A device at the end of the line: it calls `reply` with what it says, and `moved` when there may be room again."""

    reply: Callable[[bytes], None]
    moved: Callable[[], None]

    @property
    def stalled(self) -> bool: ...
    def room(self) -> int: ...
    def feed(self, data: bytes) -> int: ...


class PtyWire:
    """A pseudo terminal that looks like a serial line: at the speed of `baud`, and it can be stopped."""

    def __init__(self, engine: Wired, baud: int) -> None:
        self._engine = engine
        self._bytes_per_s = baud / 10
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._free_s = 0.0  # when the wire has carried what was read
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False
        self._stopped = False
        engine.reply = self._reply
        engine.moved = self._arm
        self._arm()

    def _arm(self) -> None:
        """Read when the printer has room and the wire is free; stop the line itself when the printer takes nothing."""
        stalled = self._engine.stalled
        if stalled != self._stopped:
            self._stopped = stalled
            termios.tcflow(self._slave, termios.TCOOFF if stalled else termios.TCOON)
        wait_s = self._free_s - self._loop.time()
        wanted = self._engine.room() > 0 and wait_s <= 0
        if wanted and not self._reading:
            self._loop.add_reader(self._master, self._read)
        elif self._reading and not wanted:
            self._loop.remove_reader(self._master)
        self._reading = wanted
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait_s, self._arm) if wait_s > 0 else None

    def _read(self) -> None:
        burst = max(1, int(self._bytes_per_s / 50))  # what the wire carries in 20 ms
        try:
            data = os.read(self._master, min(self._engine.room(), burst, READ_BYTES_MAX))
        except BlockingIOError:
            return
        self._free_s = self._loop.time() + len(data) / self._bytes_per_s
        self._engine.feed(data)

    def _reply(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: a serial line loses what nobody reads
            os.write(self._master, data)

    def close(self) -> None:
        """The plug is pulled."""
        if self._timer is not None:
            self._timer.cancel()
        if self._reading:
            self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
