"""Is the host there? A prober that proves it by connecting, and a netlink ear that says when to look again.

A netlink message is only a hint, sometimes late and sometimes missing, so nothing in it is parsed: any message means
"probe now". What counts is a connect that succeeded or failed.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable

FAST_S = 1.0  # while the host may come back any moment
FAST_FOR_S = 30.0
SLOW_MAX_S = 60.0
DEBOUNCE_S = 0.002  # one change of the network comes as a burst of messages

# linux/rtnetlink.h: links, IPv4 and IPv6 addresses and routes
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_READ_BYTES = 65_536


class Prober:
    """Connects every second for 30 s, then at intervals that double to 60 s, as long as it is wanted; asleep otherwise.

    `attempt` makes one connect and says whether it succeeded; `abort` makes a running attempt end at once (a SYN in
    back-off would cost a second). After a success the slow pace holds: the host is there, and need not be told so often.
    """

    def __init__(self, attempt: Callable[[], Awaitable[bool]], abort: Callable[[], None]) -> None:
        self._attempt = attempt
        self._abort = abort
        self._wanted = False
        self._poked = asyncio.Event()
        self._running = False
        self._ok: bool | None = None
        self._at_s = 0.0

    def want(self, wanted: bool) -> None:
        """Probe from now on, or stop. Wanting again what is already wanted changes nothing."""
        if wanted and not self._wanted:
            self._poked.set()
        self._wanted = wanted

    def poke(self) -> None:
        """Something may have changed: probe now, and begin the schedule anew. Ignored while not wanted."""
        if not self._wanted:
            return
        self._poked.set()
        if self._running:
            self._abort()

    def proved_down(self, within_ms: int = 3_000) -> bool:
        """True when the last connect failed, and not longer than `within_ms` ago."""
        return self._ok is False and self.is_fresh(within_ms)

    def is_fresh(self, within_ms: int = 3_000) -> bool:
        """True when the last connect was not longer than `within_ms` ago."""
        return self._ok is not None and time.monotonic() - self._at_s <= within_ms / 1000

    async def run(self) -> None:
        """Probe until cancelled."""
        began_s, pause_s = time.monotonic(), FAST_S
        while True:
            if not self._wanted:
                await self._poked.wait()
            if self._poked.is_set():
                self._poked.clear()
                began_s, pause_s = time.monotonic(), FAST_S
            if not self._wanted:
                continue
            self._running = True
            try:
                self._ok = await self._attempt()
            finally:
                self._running = False
            self._at_s = time.monotonic()
            if self._ok:
                pause_s = SLOW_MAX_S
            elif self._at_s - began_s >= FAST_FOR_S:
                pause_s = min(pause_s * 2, SLOW_MAX_S)
            else:
                pause_s = FAST_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), pause_s)


class NetworkEar:
    """Calls `changed` shortly after the kernel reports any change of links, addresses or routes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._socket: socket.socket | None = None
        self._pending: asyncio.TimerHandle | None = None

    def open(self) -> bool:
        """Listen. False when the platform hides netlink from us (then it must report the link itself)."""
        try:
            ear = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            ear.setblocking(False)
            ear.bind((0, _GROUPS))
        except OSError:
            return False
        self._socket = ear
        asyncio.get_running_loop().add_reader(ear, self._heard)
        return True

    def close(self) -> None:
        """Stop listening."""
        if self._pending is not None:
            self._pending.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _heard(self) -> None:
        assert self._socket is not None, "the reader is removed before the socket is closed"
        with contextlib.suppress(OSError):  # ENOBUFS: messages were lost, which is a change too
            while self._socket.recv(_READ_BYTES):
                pass
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(DEBOUNCE_S, self._tell)

    def _tell(self) -> None:
        self._pending = None
        self._changed()
