"""Reading and writing a device's file descriptor so that nothing ever waits past its deadline.

The descriptor is non-blocking, `select` waits at most a quarter of a second at a time, a write is at most 256 bytes, and
every byte that was accepted is counted. `tcdrain` is never called: it has no bound. The kernel's output queue is polled
instead; a pseudo terminal always says 0 there.
"""

import contextlib
import errno
import fcntl
import os
import select
import struct
import termios
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from device.errors import PortLost, PortStalled, PortUnavailable
from device.waker import Waker

SELECT_S_MAX = 0.25
WRITE_BYTES_MAX = 256
READ_BYTES_MAX = 4096
DRAIN_POLL_S = 0.02  # at 9600 baud the queue moves by 19 bytes in that time

Ioctl = Callable[[int, int, bytes], bytes]

_CAUSES = {
    errno.ENOENT: ("missing", "it is not there: check the cable and the name of the port"),
    errno.ENXIO: ("missing", "there is no device behind it: check the cable and the name of the port"),
    errno.ENODEV: ("missing", "there is no device behind it: check the cable and the name of the port"),
    errno.EACCES: ("permission", "permission denied: add this program's user to the group that owns the port"),
    errno.EPERM: ("permission", "permission denied: add this program's user to the group that owns the port"),
    errno.EBUSY: ("held", "another process holds it: stop the other program"),
    errno.EAGAIN: ("held", "another process holds it: stop the other program"),
    errno.EISDIR: ("wrong_device", "it is a folder, not a device: correct the name of the port"),
    errno.ENOTTY: ("wrong_device", "it is not that kind of device: correct the name of the port"),
    errno.EINVAL: ("wrong_device", "it is not that kind of device: correct the name of the port"),
    errno.ECONNREFUSED: ("refused", "nothing listens there: switch the printer on, check the address"),
}

_GONE = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF})


def unavailable(name: str, number: int | None, detail: str) -> PortUnavailable:
    """The PortUnavailable for an errno: says which port, what is wrong and what to do."""
    cause, text = _CAUSES.get(number or 0, ("failed", detail))
    return PortUnavailable(f"port {name}: {text}", cause)


class Port(Protocol):
    """One owner's bounded way to a device, and the clock its deadlines are on."""

    name: str
    bytes_per_s: float

    @property
    def is_open(self) -> bool: ...
    @property
    def interrupted(self) -> bool: ...
    def open(self) -> None: ...
    def close(self) -> None: ...
    def paper_out(self) -> bool: ...
    def now_s(self) -> float: ...
    def write(self, data: bytes, deadline_s: float) -> int: ...
    def drain(self, deadline_s: float) -> int: ...
    def discard(self) -> int: ...
    def read(self, deadline_s: float) -> bytes: ...
    def sleep(self, timeout_s: float | None) -> bool: ...
    def wake(self) -> None: ...
    def interrupt(self) -> None: ...


class DescriptorPort(ABC):
    """A Port over a non-blocking descriptor. A subclass says how to open, to close and to throw away what is queued.

    Deadlines are moments of `now_s()`, in seconds. `ioctl` is injectable because a pseudo terminal has no output queue.
    """

    hangup_is_loss = True  # select says readable and there is nothing to read: the other end is gone

    def __init__(self, name: str, bytes_per_s: float, ioctl: Ioctl = fcntl.ioctl) -> None:
        self.name = name
        self.bytes_per_s = bytes_per_s
        self._ioctl = ioctl
        self._fd = -1
        self._stalled = False
        self._waker = Waker()

    @property
    def is_open(self) -> bool:
        """True between a successful `open` and `close`."""
        return self._fd >= 0

    @property
    def interrupted(self) -> bool:
        """True after `interrupt`: loops over this port must end."""
        return self._waker.interrupted

    def open(self) -> None:
        """Take the port; does nothing when it is open. Raises PortUnavailable."""
        if self.is_open:
            return
        self._stalled = False
        self._fd = self._open()

    def close(self) -> None:
        """Give the port back at once. A stalled line's queue is thrown away first: closing would wait for it."""
        if not self.is_open:
            return
        with contextlib.suppress(PortLost):
            if self._stalled or self.queued():
                self.discard()
        if self.is_open:
            self._close()
            self._fd = -1

    @abstractmethod
    def _open(self) -> int:
        """The descriptor of the opened device. Raises PortUnavailable."""

    def _close(self) -> None:
        os.close(self._fd)

    def _discard(self) -> None:
        """Throw away what the kernel still holds of our output."""
        termios.tcflush(self._fd, termios.TCOFLUSH)

    def now_s(self) -> float:
        """The clock of every deadline here."""
        return time.monotonic()

    def write(self, data: bytes, deadline_s: float) -> int:
        """Write all of `data`. Raises PortStalled or PortLost, both with the count of accepted bytes."""
        accepted = 0
        while accepted < len(data):
            self._check_open()
            left_s = deadline_s - self.now_s()
            if left_s <= 0 or self.interrupted:
                self._stalled = True
                reason = "was interrupted" if self.interrupted else "takes no more bytes: see whether the printer is on and ready"
                raise PortStalled(f"port {self.name} {reason}", accepted)
            try:
                if select.select([], [self._fd], [], min(left_s, SELECT_S_MAX))[1]:
                    accepted += os.write(self._fd, data[accepted : accepted + WRITE_BYTES_MAX])
            except BlockingIOError:
                time.sleep(min(left_s, DRAIN_POLL_S))  # select and the driver disagree: do not spin
            except OSError as error:
                raise self._lost(error, accepted) from None
        return accepted

    def paper_out(self) -> bool:
        """True when the port itself, not the printer's answers, knows of missing paper (USB printer class)."""
        return False

    def queued(self) -> int:
        """Bytes that the kernel took and has not put on the line yet; 0 when the device cannot say. Raises PortLost."""
        try:
            answer = self._ioctl(self._fd, termios.TIOCOUTQ, bytes(4))
        except OSError as error:
            if error.errno in _GONE:
                raise self._lost(error, 0) from None
            return 0
        return max(0, int(struct.unpack("i", answer)[0]))

    def drain(self, deadline_s: float) -> int:
        """Wait until the kernel's queue is on the line. Returns what is still queued at the deadline: 0 is success.

        When the device goes away meanwhile: what was queued when last seen. Raises PortLost when that is not known.
        """
        left = 0
        try:
            while (left := self.queued()) and self.now_s() < deadline_s and not self.interrupted:
                time.sleep(DRAIN_POLL_S)
        except PortLost:
            if not left:
                raise
        if left:
            self._stalled = True
        return left

    def discard(self) -> int:
        """Throw away what the kernel has not sent. Returns how many bytes that were, as far as the device can say.

        Where only closing does that (USB, TCP) the port is closed afterwards.
        """
        try:
            dropped = self.queued()
            self._discard()
        except (OSError, termios.error, PortLost):
            return 0  # nothing was thrown away as far as we know: the honest count is the higher one
        self._stalled = False
        return dropped

    def read(self, deadline_s: float) -> bytes:
        """What has arrived, as soon as there is anything; b"" at the deadline or when interrupted. Raises PortLost."""
        while not self.interrupted:
            self._check_open()
            left_s = max(0.0, deadline_s - self.now_s())
            try:
                if select.select([self._fd], [], [], min(left_s, SELECT_S_MAX))[0]:
                    data = os.read(self._fd, READ_BYTES_MAX)
                    if data:
                        return data
                    if self.hangup_is_loss:
                        raise self._lost(None, 0)
                    time.sleep(min(left_s, DRAIN_POLL_S))
            except BlockingIOError:
                time.sleep(min(left_s, DRAIN_POLL_S))
            except OSError as error:
                raise self._lost(error, 0) from None
            if left_s <= 0:
                break
        return b""

    def sleep(self, timeout_s: float | None) -> bool:
        """Sleep until woken, until something arrives, or for `timeout_s`. True when somebody woke us."""
        return self._waker.sleep(timeout_s, self._fd if self.is_open else None)[0]

    def wake(self) -> None:
        """End a `sleep`. From any thread."""
        self._waker.wake()

    def interrupt(self) -> None:
        """End every running call and never wait again: this port is being given up. From any thread."""
        self._waker.interrupt()

    def _check_open(self) -> None:
        if not self.is_open:
            raise PortLost(f"port {self.name}: it is closed: open it first", 0)

    def _lost(self, error: OSError | None, accepted: int) -> PortLost:
        detail = error.strerror if error is not None else "the other end closed"
        return PortLost(f"port {self.name}: the device went away ({detail}): check the cable and the power", accepted)
