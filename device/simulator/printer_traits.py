"""What kinds of simulated printers there are, and what comes out of one."""

from typing import NamedTuple

import msgspec

from device.simulator.paper import LINE_DOTS, Row

ROLL_LINES = 4000  # 15 m of paper at 3.75 mm a line


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of printer it is."""

    columns: int = 32
    dots: int = 384
    buffer_bytes: int = 4096
    lines_per_s: float = 20.0  # 75 mm/s
    status: tuple[int, ...] = (1, 2, 3, 4)  # which 10 04 n it answers; empty and no asb, no fence: a mute printer
    asb: bool = True  # knows automatic status back
    fence: bool = True  # answers GS r
    process_id: bool = True  # knows GS ( H
    xonxoff: bool = False
    cutter: bool = True
    resumes_by_itself: bool = True  # after new paper or a closed cover; otherwise it waits for 10 05 01
    slip_idle_ms: int = 2000  # a slip that is not cut ends when nothing more comes for so long

    @property
    def dots_per_s(self) -> float:
        return self.lines_per_s * LINE_DOTS


MUTE = Traits(status=(), asb=False, fence=False, process_id=False, cutter=False)


class Slip(NamedTuple):
    """One piece of paper that a person can take."""

    rows: tuple[Row, ...]
    cut: bool
