"""A pole display as a pure machine: bytes in, two lines of cells out. Written from the makers' manuals, apart from the driver.

What it cannot understand it counts and passes over, as a real one does; nothing it is sent can make it answer.
"""

from collections.abc import Callable
from typing import Literal

Set = Literal["cd5220", "escpos"]
COLUMNS, LINES = 20, 2
PENDING_BYTES_MAX = 64  # of a string that its CR never ends
BROKEN = "▒"  # a character that this display does not have, or half of one
ESC, US = 0x1B, 0x1F

# How many bytes follow ESC or US and the byte that names the command.
_AFTER: dict[Set, dict[tuple[int, int], int]] = {
    "cd5220": {(ESC, code): count for code, count in {
        0x11: 0, 0x12: 0, 0x13: 0, 0x40: 0, 0x2A: 1, 0x5F: 1, 0x6C: 2, 0x5B: 1, 0x66: 1, 0x63: 1, 0x3D: 1, 0x25: 1,
    }.items()},
    "escpos": {(lead, code): count for lead, codes in {
        ESC: {0x40: 0, 0x74: 1, 0x52: 1, 0x3D: 1, 0x25: 1},
        US: {0x01: 0, 0x02: 0, 0x03: 0, 0x0A: 0, 0x0D: 0, 0x42: 0, 0x24: 2, 0x43: 1, 0x58: 1, 0x45: 1, 0x72: 1},
    }.items() for code, count in codes.items()},
}  # fmt: skip


def columns(text: str) -> int:
    """How many cells a text takes that is lit."""
    return sum(1 if char.isascii() or char == BROKEN else 2 for char in text)


class PoleModel:
    """`cells` is what is lit: a Han character stands in its first cell, and its second one is empty."""

    def __init__(self, commands: Set = "cd5220", *, chinese: bool = True) -> None:
        self.commands: Set = commands
        self.chinese = chinese
        self.powered = True
        self.garbled = 0  # commands that mean nothing, or that a string stood in the way of
        self._cells: list[list[str]] = []
        self._pending = bytearray()
        self._reset()

    def _reset(self) -> None:
        self.brightness, self.cursor, self.scrolls = 4, True, False
        self._pending.clear()
        self._clear()

    def power(self, *, on: bool) -> None:
        """The plug of its power supply; the data line stays where it is."""
        self.powered = on
        self._reset()

    def lines(self) -> tuple[str, str]:
        """What a person reads, without the blanks behind it; nothing while it is dark."""
        if not self.powered:
            return "", ""
        upper, lower = ("".join(row).rstrip() for row in self._cells)
        return upper, lower

    def feed(self, data: bytes) -> None:
        """Bytes from the line."""
        if not self.powered:
            return
        for byte in data:
            self._pending.append(byte)
            if self._take(bytes(self._pending)) or len(self._pending) > PENDING_BYTES_MAX:
                self._pending.clear()

    def _take(self, data: bytes) -> bool:
        """True when these bytes are a whole command or character, and it was done."""
        lead = data[0]
        if lead == ESC or (lead == US and self.commands == "escpos"):
            return len(data) > 1 and self._command(data)
        if lead >= 0x80 and self.chinese:
            if len(data) < 2:
                return False
            self._write(_decoded(data), 2)
        elif lead < 0x20:
            self._control(lead)
        else:
            self._write(chr(lead) if lead < 0x7F else BROKEN, 1)
        return True

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, data: bytes) -> bool:
        if self.commands == "cd5220" and data[1] == 0x51:
            return self._string(data)
        after = _AFTER[self.commands].get((data[0], data[1]))
        if after is None:
            self.garbled += 1
            return True
        if len(data) < 2 + after:
            return False
        if self._in_string:
            self.garbled += 1  # only CLR and another string are obeyed now
        else:
            self._obey(data[0], data[1], data[2:])
        return True

    def _string(self, data: bytes) -> bool:
        """ESC Q A … CR: the line is blank first, then the text."""
        if len(data) == 3 and data[2] not in b"AB":
            self.garbled += 1
            return True
        if len(data) < 4 or data[-1] != 0x0D:
            return False
        row = data[2] - ord("A")
        self._cells[row] = [" "] * COLUMNS
        self._at, self._in_string = (row, 0), True
        text = data[3:-1]
        while text and self._at[0] == row:
            size = 2 if text[0] >= 0x80 and self.chinese else 1
            part, text = text[:size], text[size:]
            if size == 2:
                self._write(_decoded(part), 2)
            else:
                self._write(chr(part[0]) if 0x20 <= part[0] < 0x7F else BROKEN, 1)
        return True

    def _obey(self, lead: int, code: int, values: bytes) -> None:
        if code == 0x40:
            self._reset()
        elif (lead, code) in {(ESC, 0x2A), (US, 0x58)}:
            self._brighten(values[0])
        elif (lead, code) in {(ESC, 0x5F), (US, 0x43)}:
            self.cursor = values[0] != 0
        elif (lead, code) in {(ESC, 0x6C), (US, 0x24)}:
            self._go(values[1], values[0])
        elif code in {0x11, 0x12, 0x13, 0x01, 0x02, 0x03}:
            self.scrolls = code not in {0x11, 0x01}

    def _brighten(self, value: int) -> None:
        if 1 <= value <= 4:
            self.brightness = value
        else:
            self.garbled += 1

    def _go(self, row: int, column: int) -> None:
        """Both count from 1; a place outside is not gone to."""
        if 1 <= row <= LINES and 1 <= column <= COLUMNS:
            self._at = (row - 1, column - 1)
        else:
            self.garbled += 1

    def _control(self, code: int) -> None:
        moves: dict[int, Callable[[], None]] = {0x0C: self._clear, 0x0B: self._home, 0x0D: self._left, 0x18: self._clear_line}
        if code in moves and (code == 0x0C or not self._in_string):
            moves[code]()
        elif code != 0x0D:
            self.garbled += 1

    def _clear(self) -> None:
        self._cells = [[" "] * COLUMNS for _ in range(LINES)]
        self._at, self._in_string = (0, 0), False

    def _home(self) -> None:
        self._at = (0, 0)

    def _left(self) -> None:
        self._at = (self._at[0], 0)

    def _clear_line(self) -> None:
        self._cells[self._at[0]] = [" "] * COLUMNS
        self._left()

    # ── characters ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, char: str, wide: int) -> None:
        row, column = self._at
        if column + wide > COLUMNS:  # half of it would stand on the next line
            char, wide = BROKEN, 1
        cells = self._cells[row]
        if column and cells[column] == "":
            cells[column - 1] = BROKEN  # the left half of what is overwritten
        if column + wide < COLUMNS and cells[column + wide] == "":
            cells[column + wide] = BROKEN  # and the right one
        cells[column : column + wide] = [char, ""][:wide]
        column += wide
        self._at = (row, column) if column < COLUMNS else ((row + 1) % LINES, 0)
        if column >= COLUMNS and self.scrolls and row == LINES - 1:
            self._cells = [self._cells[1], [" "] * COLUMNS]
            self._at = (1, 0)


def _decoded(pair: bytes) -> str:
    try:
        return pair.decode("gbk")
    except UnicodeDecodeError:
        return BROKEN
