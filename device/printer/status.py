"""Telling a printer's replies apart in one byte stream, by the bits that each kind of reply keeps fixed.

    reply                          fixed bits        meaning
    real-time status (DLE EOT n)   0xx1xx10          one byte; which n it answers is known only by the order of asking
    automatic status (GS a)        0xx1xx00          and then three bytes 0xx0xxxx
    buffer-ordered status (GS r)   0xx0xxxx          one byte
    process id (GS ( H)            37 22 d1..d4 00   other blocks begin with 37 too; each ends with 00
    flow control                   11, 13            XON, XOFF
Whatever fits none of them is noise. A reply never means more than it says: silence and noise are UNKNOWN, never OK.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec.structs import replace

from device.printer import PaperState, Status

XON, XOFF = 0x11, 0x13
BLOCK, PROCESS_ID = 0x37, 0x22
BLOCK_BYTES_MAX = 80  # the longest block of the ESC/POS reference; a longer one is noise
AUTO_BYTES = 4


class RealTime(NamedTuple):
    """One answer to `10 04 n`."""

    byte: int


class Auto(NamedTuple):
    """Four bytes of automatic status back, sent without being asked."""

    data: bytes


class Ordered(NamedTuple):
    """One answer to `1D 72 n`, which the printer gives when its buffer is worked off up to there."""

    byte: int


class ProcessId(NamedTuple):
    """The four characters that the printer was told to send back after the job."""

    text: bytes


class Flow(NamedTuple):
    """The printer asks to stop (XOFF) or to go on (XON)."""

    stop: bool


class Noise(NamedTuple):
    """Bytes that are no reply: line noise, a torn reply, or a block we do not know."""

    data: bytes


Reply = RealTime | Auto | Ordered | ProcessId | Flow | Noise


def is_real_time(byte: int) -> bool:
    return byte & 0b1001_0011 == 0b0001_0010


def starts_auto(byte: int) -> bool:
    return byte & 0b1001_0011 == 0b0001_0000


def is_plain(byte: int) -> bool:
    """The bits of a GS r answer, and of the second to fourth byte of automatic status."""
    return byte & 0b1001_0000 == 0


class Parser:
    """Feed it what arrives, in pieces of any size. It keeps at most one unfinished reply of BLOCK_BYTES_MAX bytes."""

    def __init__(self) -> None:
        self._open: Literal["", "auto", "block"] = ""
        self._part = bytearray()

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes, in order."""
        found: list[Reply] = []
        for byte in data:
            self._take(byte, found)
        return found

    def give_up(self) -> list[Reply]:
        """The line went quiet: what is unfinished will not be finished. The bytes of one reply come without a pause."""
        found: list[Reply] = [Noise(bytes(self._part))] if self._part else []
        self._open = ""
        self._part.clear()
        return found

    def _take(self, byte: int, found: list[Reply]) -> None:
        if byte in {XON, XOFF}:  # these come whenever the printer likes, also inside of a reply
            found.append(Flow(byte == XOFF))
        elif self._open == "auto":
            self._take_auto(byte, found)
        elif self._open == "block":
            self._take_block(byte, found)
        elif is_real_time(byte):
            found.append(RealTime(byte))
        elif starts_auto(byte) or byte == BLOCK:
            self._open = "block" if byte == BLOCK else "auto"
            self._part.append(byte)
        elif is_plain(byte):
            found.append(Ordered(byte))
        else:
            found.append(Noise(bytes([byte])))

    def _take_auto(self, byte: int, found: list[Reply]) -> None:
        if not is_plain(byte):
            found.extend(self.give_up())
            self._take(byte, found)
            return
        self._part.append(byte)
        if len(self._part) == AUTO_BYTES:
            found.append(Auto(bytes(self._part)))
            self._open = ""
            self._part.clear()

    def _take_block(self, byte: int, found: list[Reply]) -> None:
        if byte == 0:
            part = bytes(self._part)
            known = len(part) == 6 and part[1] == PROCESS_ID
            found.append(ProcessId(part[2:]) if known else Noise(part + b"\0"))
            self._open = ""
            self._part.clear()
        elif not 0x20 <= byte <= 0x7E or len(self._part) >= BLOCK_BYTES_MAX:
            found.extend(self.give_up())  # a block is printable up to its zero: it was torn, and this begins something else
            self._take(byte, found)
        else:
            self._part.append(byte)


def from_real_time(answers: Mapping[int, int]) -> Status:
    """A Status from the answers to `10 04 n`, by n. What was not answered stays unknown; no answer at all is silent."""
    if not answers:
        return Status(silent=True)
    first, second, third, fourth = (answers.get(n) for n in (1, 2, 3, 4))
    status = Status()
    if first is not None:
        status = replace(status, online=not first & 0x08, busy=bool(first & 0x60))
    if second is not None:
        status = replace(status, cover_open=bool(second & 0x04), busy=status.busy or bool(second & 0x08))
    if third is not None:
        status = replace(
            status, cutter_error=bool(third & 0x08), unrecoverable=bool(third & 0x20), overheated=bool(third & 0x40),
            recoverable_error=bool(third & 0x04),
        )
    named = status.cutter_error or status.unrecoverable or status.overheated
    if second is not None and second & 0x40 and not named:
        status = replace(status, recoverable_error=True)  # it says "error" and does not say which
    return replace(status, paper=_paper(second, fourth))


def _paper(second: int | None, fourth: int | None) -> PaperState:
    if (second is not None and second & 0x20) or (fourth is not None and fourth & 0x60):
        return "out"
    if fourth is None:
        return "unknown"
    return "near_end" if fourth & 0x0C else "ok"


def from_auto(data: bytes) -> Status:
    """A Status from the four bytes of automatic status back."""
    first, second, third, _ = data
    return Status(
        online=not first & 0x08,
        cover_open=bool(first & 0x20),
        busy=bool(first & 0x40 or second & 0x03),
        cutter_error=bool(second & 0x08),
        unrecoverable=bool(second & 0x20),
        overheated=bool(second & 0x40),
        recoverable_error=bool(second & 0x04),
        paper="out" if third & 0x0C else "near_end" if third & 0x03 else "ok",
    )
