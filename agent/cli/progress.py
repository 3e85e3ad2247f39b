"""How far long work is, on standard error: one line that is written over on a terminal, now and then a line elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

QUIET_S = 1.0  # work that is done by then says nothing
TERMINAL_S = 0.2
ELSEWHERE_S = 5.0


class Progress:
    """Call it with (done, all). `finish` clears the line."""

    def __init__(self, label: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._due = clock() + QUIET_S
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is, if it is time to."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + (TERMINAL_S if self._terminal else ELSEWHERE_S)
        self._shown = True
        text = f"{self._label} {100 * done // max(total, 1)}% ({done}/{total})"
        self._stream.write(f"\r{text}\033[K" if self._terminal else f"{text}\n")
        self._stream.flush()

    def finish(self) -> None:
        """Take the line away."""
        if self._shown and self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()
