"""What time it is, in the three ways that matter: time since boot, wall time, and how far the wall can be trusted."""

import ctypes
import time
from pathlib import Path
from typing import Literal, NamedTuple

Trust = Literal["net", "ntp", "rtc", "none"]

# A wall clock before this moment was never set: the program did not exist yet (2026-01-01 UTC).
EARLIEST_PLAUSIBLE_MS = 1_767_225_600_000

_STA_UNSYNC = 0x0040  # linux/timex.h
_TRUST_MS = 1_000  # so long the kernel's word on NTP is believed: it is asked at every commit otherwise


class Reading(NamedTuple):
    """One look at the clocks. `wall_ms` is None when the wall clock was plainly never set."""

    boot_id: str
    boottime_ms: int
    wall_ms: int | None
    clk: Trust


class SystemClock:
    """The machine's own clocks. CLOCK_BOOTTIME goes on through suspend and never steps, so deadlines use it."""

    def __init__(self) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._libc = ctypes.CDLL(None)
        self._timex = ctypes.create_string_buffer(256)  # struct timex is 208 bytes; status is an int at offset 40
        self._trust: Trust = "rtc"
        self._trusted_until_ms = 0

    def read(self) -> Reading:
        """The three times now; costs a few microseconds."""
        boottime_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        wall_ms = time.time_ns() // 1_000_000
        if wall_ms < EARLIEST_PLAUSIBLE_MS:
            return Reading(self._boot_id, boottime_ms, None, "none")
        if boottime_ms >= self._trusted_until_ms:
            self._trust = "ntp" if self._synchronised() else "rtc"
            self._trusted_until_ms = boottime_ms + _TRUST_MS
        return Reading(self._boot_id, boottime_ms, wall_ms, self._trust)

    def _synchronised(self) -> bool:
        """True when the kernel says that NTP disciplines the clock (adjtimex, modes 0: read only)."""
        ctypes.memset(self._timex, 0, 256)
        if self._libc.adjtimex(self._timex) == -1:
            return False
        status = int.from_bytes(self._timex.raw[40:44], "little")
        return not status & _STA_UNSYNC
