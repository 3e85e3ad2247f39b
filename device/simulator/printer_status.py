"""The condition of a printer, and how it says so: the bits of each kind of status reply, written from the printer's side."""

import dataclasses

NEAR_END_DOTS = 1200  # 15 cm: forty lines


@dataclasses.dataclass
class Condition:
    """What is true of the printer now. Change it, then call `PrinterModel.changed`."""

    paper_dots: int
    cover_open: bool = False
    hot_until_ms: int | None = None  # overheated until then, and recovers by itself
    jammed: bool = False  # the next cut will find the blade stuck
    jam_found: bool = False
    broken: bool = False  # for good
    waiting: bool = False  # for 10 05 01 after the cause is gone
    powered: bool = True
    silent: bool = False  # prints and says nothing
    garbage: bool = False  # says something else
    stalled: bool = False  # takes no byte
    battery_low: bool = False  # what only its bridge app tells
    dies_at_roll: bool = False  # its service answers nobody any more after a change of roll, until bound anew

    @property
    def paper_out(self) -> bool:
        return self.paper_dots <= 0

    @property
    def near_end(self) -> bool:
        return self.paper_dots <= NEAR_END_DOTS

    @property
    def hot(self) -> bool:
        return self.hot_until_ms is not None

    @property
    def error(self) -> bool:
        return self.hot or self.jam_found or self.broken

    @property
    def stopped(self) -> bool:
        """It does not print now."""
        return not self.powered or self.paper_out or self.cover_open or self.error or self.waiting


def real_time_status(now: Condition, n: int) -> int:
    """The answer to 10 04 n."""
    bits = {
        1: now.stopped << 3 | now.waiting << 5,
        2: now.cover_open << 2 | now.paper_out << 5 | now.error << 6,
        3: now.jam_found << 3 | now.broken << 5 | now.hot << 6,
        4: now.near_end * 0x0C | now.paper_out * 0x60,
    }
    return 0x12 | bits[n]


def auto_status(now: Condition) -> bytes:
    """The four bytes of automatic status back."""
    return bytes(
        (
            0x10 | now.stopped << 3 | now.cover_open << 5,
            now.waiting | now.jam_found << 3 | now.broken << 5 | now.hot << 6,
            now.near_end * 0x03 | now.paper_out * 0x0C,
            0x0F,
        )
    )


def ordered_status(now: Condition, n: int) -> int:
    """The answer to GS r 1, the paper sensors; GS r 2 tells of the drawer, which is shut."""
    return now.near_end * 0x03 | now.paper_out * 0x0C if n % 48 == 1 else 0
