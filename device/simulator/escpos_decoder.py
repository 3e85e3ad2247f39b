"""Taking ESC/POS apart: a table says how long every command is, and nothing here knows how our encoder writes them.

The table covers what receipt printers of several makers understand, also commands that the product never sends, so that a stray
byte or another program's output is read as a printer would read it.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

ESC, FS, GS, DLE = 0x1B, 0x1C, 0x1D, 0x10

# How many bytes of parameters follow, given what has arrived of them; None while too little has arrived to know.
Length = int | Callable[[bytes], int | None]


class Op(NamedTuple):
    """One thing for the printer to do: a run of text, a control character, or a command with its parameters."""

    name: str
    data: bytes = b""


def _counted(width: int, offset: int = 0) -> Callable[[bytes], int | None]:
    """A little-endian count of `width` bytes at `offset`, then as many bytes."""

    def length(data: bytes) -> int | None:
        head = offset + width
        return None if len(data) < head else head + int.from_bytes(data[offset:head], "little")

    return length


def _until_zero(data: bytes) -> int | None:
    end = data.find(b"\0")
    return None if end < 0 else end + 1


def _cut(data: bytes) -> int | None:
    return None if not data else 2 if data[0] in {65, 66, 97, 98, 103, 104} else 1


def _barcode(data: bytes) -> int | None:
    if not data or data[0] <= 6:
        return None if not data or (end := _until_zero(data[1:])) is None else 1 + end
    return None if len(data) < 2 else 2 + data[1]


def _raster(data: bytes) -> int | None:
    if len(data) < 6:
        return None
    return 6 + int.from_bytes(data[2:4], "little") * int.from_bytes(data[4:6], "little")


def _bit_image(data: bytes) -> int | None:
    if len(data) < 3:
        return None
    return 3 + int.from_bytes(data[1:3], "little") * (3 if data[0] in {32, 33} else 1)


def _real_time(data: bytes) -> int | None:
    return None if not data else 8 if data[0] == 8 else 3  # DLE DC4: clear buffer; pulse or power off


def _table(lead: int, lengths: dict[str, Length]) -> dict[tuple[int, int], Length]:
    return {(lead, ord(char)): length for char, length in lengths.items()}


LENGTHS: dict[tuple[int, int], Length] = {
    **_table(ESC, {
        "@": 0, "2": 0, "i": 0, "m": 0, "v": 0, "L": 0, "S": 0, "<": 0,
        " ": 1, "!": 1, "-": 1, "3": 1, "=": 1, "E": 1, "G": 1, "J": 1, "K": 1, "M": 1, "R": 1, "T": 1, "U": 1, "V": 1,
        "a": 1, "d": 1, "e": 1, "r": 1, "t": 1, "u": 1, "{": 1, "%": 1, "?": 1,
        "$": 2, "\\": 2, "c": 2, "B": 2, "p": 3, "W": 8, "D": _until_zero, "*": _bit_image,
    }),
    **_table(FS, {"&": 0, ".": 0, "!": 1, "-": 1, "C": 1, "W": 1, "S": 2, "p": 2, "?": 2, "(": _counted(2, 1)}),
    **_table(GS, {
        ":": 0, "!": 1, "B": 1, "E": 1, "H": 1, "I": 1, "T": 1, "a": 1, "b": 1, "f": 1, "h": 1, "r": 1, "w": 1, "/": 1,
        "$": 2, "\\": 2, "L": 2, "P": 2, "W": 2, "^": 3,
        "V": _cut, "k": _barcode, "v": _raster, "(": _counted(2, 1), "8": _counted(4, 1),
    }),
    (DLE, 0x04): 1,
    (DLE, 0x05): 1,
    (DLE, 0x14): _real_time,
}  # fmt: skip

_LEADS = {ESC: "ESC", FS: "FS", GS: "GS", DLE: "DLE"}
_CONTROLS = {0x09: "HT", 0x0A: "LF", 0x0C: "FF", 0x0D: "CR", 0x18: "CAN"}
_KANJI_RUN = re.compile(rb"(?:[\x20-\x7e]|[\x81-\xfe][\x40-\xfe])+")
_PLAIN_RUN = re.compile(rb"[\x20-\x7e\x80-\xff]+")


class Decoder:
    """Takes one Op after the other off the front of a buffer. Chinese mode changes how text is read, so it is kept here."""

    def __init__(self, *, kanji: bool = True) -> None:
        self.kanji = kanji

    def take(self, buffer: bytearray) -> Op | None:
        """The next whole Op, removed from `buffer`; None while it is not all there."""
        while buffer:
            first = buffer[0]
            if first in _LEADS:
                return self._command(buffer)
            if first >= 0x20 and first != 0x7F:
                return self._text(buffer)
            del buffer[0]
            if first in _CONTROLS:
                return Op(_CONTROLS[first])
            # anything else below 20, and 7F, means nothing to a printer
        return None

    def _text(self, buffer: bytearray) -> Op | None:
        found = (_KANJI_RUN if self.kanji else _PLAIN_RUN).match(buffer)
        if found is None:  # half of a Chinese character
            if len(buffer) == 1 and buffer[0] >= 0x81:
                return None
            del buffer[0]
            return Op("text", b"?")
        text = bytes(found[0])
        del buffer[: len(text)]
        return Op("text", text)

    def _command(self, buffer: bytearray) -> Op | None:
        if len(buffer) < 2:
            return None
        rule = LENGTHS.get((buffer[0], buffer[1]))
        if rule is None:  # unknown: the lead is dropped and the rest is taken for text, as real printers do
            del buffer[0]
            return Op("unknown")
        length = rule if isinstance(rule, int) else rule(bytes(buffer[2:]))
        if length is None or len(buffer) < 2 + length:
            return None
        second = f"{buffer[1]:02x}" if buffer[0] == DLE else chr(buffer[1])
        op = Op(f"{_LEADS[buffer[0]]} {second}", bytes(buffer[2 : 2 + length]))
        del buffer[: 2 + length]
        if op.name in {"FS &", "FS ."}:
            self.kanji = op.name == "FS &"
        elif op.name == "ESC @":
            self.kanji = True  # Chinese models start in Chinese mode
        return op
