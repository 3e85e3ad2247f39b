"""What is on the paper: rows of text, pictures, QR codes and blank feed, as a printer's head put them there.

Measured in dots of 1/8 mm: a character is 12 × 24, a Han character 24 × 24, a line is 30 high.
"""

from typing import Literal, NamedTuple

from device.simulator.escpos_decoder import Op

CHAR_DOTS = 12
LINE_DOTS = 30
TEXT_DOTS = 24
QR_BYTES_MAX = 4296


class Style(NamedTuple):
    """How the next characters look; sizes are factors 1 to 8."""

    wide: int = 1
    high: int = 1
    bold: bool = False
    underline: bool = False
    inverse: bool = False


class Span(NamedTuple):
    """Characters of one style. `columns` is how wide they are on this paper."""

    text: str
    style: Style
    columns: int


class Row(NamedTuple):
    """One stretch of paper across its whole width. `torn`: the percentage of it that came out before the paper ended."""

    kind: Literal["text", "qr", "image", "feed", "barcode"]
    dots: int
    align: int = 0
    spans: tuple[Span, ...] = ()
    content: str = ""  # of a QR code
    module_dots: int = 0
    image: tuple[str, ...] = ()  # one string of 0 and 1 per dot row
    torn: int = 100

    @property
    def text(self) -> str:
        """The characters of a text row, without their place on the line."""
        return "".join(span.text for span in self.spans)


class Head:
    """The print head: takes Ops that put something on paper and gives back rows that are ready to be printed."""

    def __init__(self, columns: int, dots: int) -> None:
        self.columns = columns
        self.dots = dots
        self._reset()

    def _reset(self) -> None:
        self._style = Style()
        self._align = 0
        self._spacing = LINE_DOTS
        self._spans: list[Span] = []
        self._qr_data = ""
        self._qr_module = 3

    @property
    def line_open(self) -> bool:
        """True when characters wait for the end of their line."""
        return bool(self._spans)

    def put(self, data: bytes, *, kanji: bool) -> tuple[Row | None, bytes]:
        """Set characters on the line. When it is full: the row, and what did not fit."""
        room = self.columns - sum(span.columns for span in self._spans)
        text, used, columns = "", 0, 0
        while used < len(data):
            size = 2 if kanji and data[used] >= 0x81 else 1
            width = size * self._style.wide
            if columns + width > room:
                break
            text += data[used : used + size].decode("gbk" if kanji else "cp437", "replace")
            used += size
            columns += width
        if text:
            self._spans.append(Span(text, self._style, columns))
        if used == len(data) or not (self._spans or used):
            return None, b""  # all set; or a character wider than the paper, which no printer prints
        return self.end_line(), data[used:]

    def end_line(self) -> Row:
        """The row that a line feed prints; an empty one is blank paper."""
        spans, self._spans = tuple(self._spans), []
        if not spans:
            return Row("feed", self._spacing)
        high = max(span.style.high for span in spans)
        return Row("text", max(self._spacing, TEXT_DOTS * high + LINE_DOTS - TEXT_DOTS), self._align, spans)

    def drop_line(self) -> None:
        """Forget the characters of an unprinted line."""
        self._spans = []

    def obey(self, op: Op) -> Row | None:
        """A command. The row that it prints, if it prints one; a command that only queries or cuts is not for the head."""
        data = op.data
        match op.name:
            case "ESC @":
                self._reset()
            case "ESC a":
                self._align = data[0] % 48 % 3
            case "ESC E" | "ESC G":
                self._style = self._style._replace(bold=bool(data[0] & 1))
            case "ESC -" | "FS -":
                self._style = self._style._replace(underline=bool(data[0] % 48))
            case "GS B":
                self._style = self._style._replace(inverse=bool(data[0] & 1))
            case "GS !":
                self._style = self._style._replace(wide=(data[0] >> 4 & 7) + 1, high=(data[0] & 7) + 1)
            case "ESC !":
                wide, high = 1 + bool(data[0] & 0x20), 1 + bool(data[0] & 0x10)
                self._style = Style(wide, high, bool(data[0] & 0x08), bool(data[0] & 0x80), self._style.inverse)
            case "ESC 3":
                self._spacing = max(data[0], 1)
            case "ESC 2":
                self._spacing = LINE_DOTS
            case "ESC d":
                return Row("feed", LINE_DOTS * data[0]) if data[0] else None
            case "ESC J":
                return Row("feed", data[0]) if data[0] else None
            case "GS v" | "GS (" | "GS k":
                return self._picture(op)
        return None

    def _picture(self, op: Op) -> Row | None:
        if op.name == "GS v":
            return self._raster(op.data)
        if op.name == "GS k":
            return self._barcode(op.data[1:] if op.data[0] <= 6 else op.data[2:])
        if op.data[:1] == b"k" and op.data[3:4] == b"1":
            return self._qr(op.data[4], op.data[5:])
        return None

    def _barcode(self, data: bytes) -> Row:
        """Not drawn: its characters between bars are enough for a person to know it by."""
        text = f"|||| {data.strip(bytes(1)).decode('ascii', 'replace')} ||||"[: self.columns]
        return Row("barcode", 80, self._align, (Span(text, Style(), len(text)),))

    def _qr(self, function: int, data: bytes) -> Row | None:
        if function == 67 and data:
            self._qr_module = max(1, min(16, data[0]))
        elif function == 80:
            self._qr_data = data[1:].decode("utf-8", "replace")[:QR_BYTES_MAX]
        elif function == 81 and self._qr_data:
            dots = self._qr_module * qr_modules(self._qr_data)
            if dots <= self.dots:
                return Row("qr", dots, self._align, content=self._qr_data, module_dots=self._qr_module)
        return None

    def _raster(self, data: bytes) -> Row | None:
        mode, side = data[1] & 3, int.from_bytes(data[2:4], "little")
        wide, high = 1 + (mode & 1), 1 + (mode >> 1)
        lines = [data[start : start + side] for start in range(6, len(data), side)] if side else []
        rows = tuple(
            "".join(bit * wide for byte in line for bit in f"{byte:08b}")[: self.dots] for line in lines for _ in range(high)
        )
        return Row("image", len(rows), self._align, image=rows) if rows else None


def qr_modules(content: str) -> int:
    """How many modules wide the code for `content` is, drawn at level M."""
    return len(qr_matrix(content))


def qr_matrix(content: str) -> tuple[bytes, ...]:
    """The modules of a QR code, 1 is black."""
    import segno  # only papers with a code on them need it

    return tuple(bytes(row) for row in segno.make_qr(content.encode(), error="m", boost_error=False).matrix)


def as_text(rows: list[Row] | tuple[Row, ...], columns: int) -> str:
    """The paper as plain text, one line per row, aligned as on paper. Double width is not shown, its place on the line is."""
    lines: list[str] = []
    for row in rows:
        if row.kind == "feed":
            lines += [""] * max(1, row.dots // LINE_DOTS)
            continue
        note = f"[QR {row.content}]" if row.kind == "qr" else ""
        if row.kind == "image":
            note = f"[IMAGE {max(map(len, row.image))}x{len(row.image)}]"
        text = note or row.text
        width = sum(span.columns for span in row.spans) if row.spans else len(text)
        indent = (0, (columns - width) // 2, columns - width)[row.align]
        lines.append((" " * max(0, indent) + text).rstrip() + ("" if row.torn == 100 else f"  ~ paper ended {row.torn}% down ~"))
    return "\n".join(lines) + "\n"
