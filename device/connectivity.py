"""Is the host there? A prober that proves it by connecting, and a netlink ear that says when to look again.

A netlink message is only a hint, sometimes late and sometimes missing, so nothing in it is parsed: any message means
"probe now". What counts is a connect that succeeded or failed.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable

log = logging.getLogger("reversald.connectivity")

FAST_S = 1.0  # while the host may come back any moment
FAST_FOR_S = 30.0
SLOW_MAX_S = 60.0
FRESH_MS = 3_000  # an outcome older than this proves nothing about now
CUTS_MAX = 5  # a network that never rests must not keep every attempt from ending
DEBOUNCE_S = 0.002  # one change of the network comes as a burst of messages

# linux/rtnetlink.h: links, IPv4 and IPv6 addresses and routes
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_READ_BYTES = 65_536
# Addresses kept for documentation, RFC 5737 and RFC 3849: nobody has them, and only a route of last resort leads there.
_WAYS = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_READS_MAX = 64  # messages taken in one go; the loop comes back for the rest


def boottime_ms() -> int:
    """Time since boot, suspend included: an outcome from before a suspend is old."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def has_route() -> bool:
    """True when the kernel knows a way into the world. Asked by connecting a datagram socket: not a byte is sent."""
    return any(_routed(*way) for way in _WAYS)


def _routed(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True


class Prober:
    """Connects every second for 30 s, then at intervals that double to 60 s, as long as it is wanted; asleep otherwise.

    `attempt` makes one connect and says whether it succeeded; it has its own time limit, and is cancelled when a new
    hint makes it out of date (a SYN in back-off would cost a second). A cancelled attempt proves nothing. After a
    success the slow pace holds: the host is there, and need not be told so often.
    """

    def __init__(self, attempt: Callable[[], Awaitable[bool]], now_ms: Callable[[], int] = boottime_ms) -> None:
        self._attempt = attempt
        self._now_ms = now_ms
        self._wanted = False
        self._poked = False
        self._woken = asyncio.Event()
        self._running: asyncio.Future[bool] | None = None
        self._cuts = 0
        self._ok: bool | None = None
        self._at_ms = 0

    def want(self, wanted: bool) -> None:
        """Probe from now on, or stop. Wanting again what is already wanted changes nothing."""
        if wanted == self._wanted:
            return
        self._wanted = self._poked = wanted
        self._woken.set()
        if not wanted and self._running is not None:
            self._running.cancel()

    def poke(self) -> None:
        """Something may have changed: probe now, and begin the schedule anew. Ignored while not wanted."""
        if not self._wanted:
            return
        self._poked = True
        self._woken.set()
        if self._running is not None and self._cuts < CUTS_MAX:
            self._cuts += 1
            self._running.cancel()

    def proved_down(self, within_ms: int = FRESH_MS) -> bool:
        """True when the last connect failed, and not longer than `within_ms` ago."""
        return self._ok is False and self._now_ms() - self._at_ms <= within_ms

    def is_fresh(self, within_ms: int = FRESH_MS) -> bool:
        """True when the last outcome is not older than `within_ms`, or an attempt is under way: no need to poke."""
        return self._running is not None or (self._ok is not None and self._now_ms() - self._at_ms <= within_ms)

    async def run(self) -> None:
        """Probe until cancelled."""
        began_ms, pause_s = self._now_ms(), FAST_S
        while True:
            self._woken.clear()
            if not self._wanted:
                await self._woken.wait()
                continue
            if self._poked:
                self._poked = False
                began_ms, pause_s = self._now_ms(), FAST_S
            ok = await self._try()
            if ok is None:
                continue
            self._ok, self._at_ms, self._cuts = ok, self._now_ms(), 0
            if ok:
                pause_s = SLOW_MAX_S
            elif self._at_ms - began_ms >= FAST_FOR_S * 1000:
                pause_s = min(pause_s * 2, SLOW_MAX_S)
            else:
                pause_s = FAST_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):  # `wait_for` may lose a cancellation that comes with the waking (3.11)
                    await self._woken.wait()

    async def _try(self) -> bool | None:
        """The outcome of one attempt, or None when it was cut short."""
        self._running = attempt = asyncio.ensure_future(self._attempt())
        try:
            await asyncio.wait({attempt})
        except asyncio.CancelledError:
            attempt.cancel()
            await asyncio.wait({attempt})
            raise
        finally:
            self._running = None
        if attempt.cancelled():
            return None
        if error := attempt.exception():
            # A defect in the attempt must not end the probing: reversals wait for it.
            log.error("a probe ended in an error of ours", exc_info=error)
            return False
        return attempt.result()


class NetworkEar:
    """Calls `changed` shortly after the kernel reports any change of links, addresses or routes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._socket: socket.socket | None = None
        self._pending: asyncio.TimerHandle | None = None

    def open(self) -> bool:
        """Listen. False when the platform hides netlink from us (then it must report the link itself)."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            ear = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        except OSError:
            return False
        try:
            ear.bind((0, _GROUPS))
        except OSError:
            ear.close()
            return False
        self._socket = ear
        asyncio.get_running_loop().add_reader(ear, self._heard)
        return True

    def close(self) -> None:
        """Stop listening. May be called at any time."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _heard(self) -> None:
        assert self._socket is not None, "the reader is removed before the socket is closed"
        with contextlib.suppress(OSError):  # nothing left, or ENOBUFS: messages were lost, which is a change too
            for _ in range(_READS_MAX):
                self._socket.recv(_READ_BYTES)
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(DEBOUNCE_S, self._tell)

    def _tell(self) -> None:
        self._pending = None
        self._changed()
