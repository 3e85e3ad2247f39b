"""An agent on a machine with clocks of its own: what NTP, a lost RTC, a power cut or a closed lid does to them.

    python -m tests.support.otherclock FILE --config F

The product has no switch for this: the launcher shifts what the operating system says, and reads FILE at every look, so that a
test can move the clocks of a running agent. The loop's own clock is left alone: as in suspend, it stands still meanwhile.
"""

import calendar
import json
import sys
import time
from pathlib import Path

LOOK_S = 0.1  # the agent looks at its clocks every 30 s while a deadline is set; nobody wants to wait so long after a suspend
MS_NS = 1_000_000
CHINA_MS = 8 * 3_600_000
UPTIME_MS = 1_000  # of a machine that has just started


class Clocks:
    """The clocks of one machine, kept in `file`: the test moves them, and whatever runs on the machine sees it at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.boots = 0
        self.boot_ms = 0  # ahead of CLOCK_BOOTTIME
        self.wall_ms: int | None = 0  # ahead of the right time; None: never set, it counts from 1970

    def boot(self, ahead_ms: int | None = 0) -> None:
        """The machine starts: another boot id, the time since boot begins anew; the wall clock is ahead, or was never set."""
        self.boots += 1
        self.boot_ms = UPTIME_MS - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // MS_NS
        self.set(ahead_ms)

    def set(self, ahead_ms: int | None) -> None:
        """The wall clock steps to so far ahead of the right time, or is lost. Deadlines know nothing of it."""
        self.wall_ms = ahead_ms
        self._write()

    def sleep(self, ms: int) -> None:
        """The lid is closed for so long: the time since boot goes on, and so does the wall clock."""
        self.boot_ms += ms
        self.set(None if self.wall_ms is None else self.wall_ms + ms)

    def _write(self) -> None:
        whole = self.file.with_suffix(".new")
        whole.write_text(json.dumps({"boot": f"boot-{self.boots}", "boot_ms": self.boot_ms, "wall_ms": self.wall_ms}))
        whole.replace(self.file)


def ahead_ms(month: int, day: int, hour: int, minute: int) -> int:
    """How far a clock must be set ahead to show the next such moment in China."""
    now_ms = time.time() * 1000
    year = time.gmtime((now_ms + CHINA_MS) / 1000).tm_year
    wanted = (calendar.timegm((each, month, day, hour, minute, 0)) * 1000 - CHINA_MS for each in (year, year + 1))
    return next(int(then_ms - now_ms) for then_ms in wanted if then_ms > now_ms)


def _arm(file: Path) -> None:
    """Shift what this process is told."""
    import agent.inbox
    from device.clock import SystemClock

    read_ns, wall_ns, made = time.clock_gettime_ns, time.time_ns, SystemClock.__init__

    def boottime_ns(clock: int) -> int:
        return read_ns(clock) + (json.loads(file.read_text())["boot_ms"] * MS_NS if clock == time.CLOCK_BOOTTIME else 0)

    def time_ns() -> int:
        ahead_ms = json.loads(file.read_text())["wall_ms"]
        return boottime_ns(time.CLOCK_BOOTTIME) if ahead_ms is None else wall_ns() + ahead_ms * MS_NS

    def with_boot_id(self: SystemClock) -> None:
        made(self)
        self._boot_id = json.loads(file.read_text())["boot"]

    time.clock_gettime_ns, time.time_ns, time.time = boottime_ns, time_ns, lambda: time_ns() / 1e9
    SystemClock.__init__ = with_boot_id  # type: ignore[method-assign]
    agent.inbox.SLEEP_MAX_S = LOOK_S


if __name__ == "__main__":
    from agent.__main__ import main

    _arm(Path(sys.argv[1]))
    sys.argv = ["reversald", "run", *sys.argv[2:]]
    main()
