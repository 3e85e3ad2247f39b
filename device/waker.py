"""A pipe that ends a sleep: the sleeping thread selects on it together with its device, so nobody has to poll."""

import contextlib
import os
import select
import weakref


class Waker:
    """`wake` and `interrupt` may be called from any thread and any number of times; one sleeper only."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._interrupted = False
        weakref.finalize(self, _close, self._read_fd, self._write_fd)

    @property
    def interrupted(self) -> bool:
        """True after `interrupt`, for good."""
        return self._interrupted

    def wake(self) -> None:
        """End the running or the next `sleep`. A full pipe already does that."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_fd, b"w")

    def interrupt(self) -> None:
        """Wake, and stay interrupted: bounded loops look at it at least every quarter of a second."""
        self._interrupted = True
        self.wake()

    def sleep(self, timeout_s: float | None, fd: int | None = None) -> tuple[bool, bool]:
        """Sleep until woken, until `fd` is readable, or for `timeout_s`; None is for ever. Returns (woken, readable)."""
        fds = [self._read_fd] if fd is None else [self._read_fd, fd]
        ready = select.select(fds, [], [], 0 if self._interrupted else timeout_s)[0]
        woken = self._read_fd in ready
        if woken:
            os.read(self._read_fd, 4096)
        return woken or self._interrupted, fd is not None and fd in ready


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
