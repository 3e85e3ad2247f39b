"""A document becomes the bytes that one model of printer prints it from.

No byte sequence that is a real-time command can occur in the result: texts lose their control characters, GBK never uses bytes
below 40, and a raster QR code is drawn so coarse that no single dot stands alone. So nothing printed can open a drawer.
"""

from device.printer import JOB_BYTES_MAX, Document, Line
from device.printer.layout import ENCODING, sayable, two_columns, wrap
from device.printer.profile import PrinterProfile

LINES_MAX = 300
QR_BYTES_MAX = 300
COMMAND_BYTES_MAX = 4  # of the commands without a data block
QUIET_MODULES = 8  # four blank modules on either side, or scanners do not find the code
QUIET_FEED = b"\x1b\x4a\x18"  # 24 dots of blank paper above the code; the line feed behind it leaves 30 below
# A raster module is drawn at half its size and doubled by the printer: from two dots on no bit of it stands alone.
MODULE_DOTS_MIN = {"native": 2, "raster": 4}

INIT = b"\x1b\x40"
KANJI_ON, KANJI_OFF = b"\x1c\x26", b"\x1c\x2e"
_ALIGN = {"left": 0, "center": 1, "right": 2}


class DocumentSizeError(ValueError):
    """The document is longer than any slip: whoever made it is at fault."""


def encode(document: Document, profile: PrinterProfile) -> bytes:
    """The whole job, from the reset to the cut. Raises DocumentSizeError."""
    out = bytearray(INIT)
    if profile.kanji_commands:
        out += KANJI_ON
    style = (0, 1, False)
    rows = 0
    for line in document.lines:
        wanted = (_ALIGN[line.align], line.size, line.bold)
        out += _style(style, wanted)
        style = wanted
        texts = _laid(line, profile.columns // line.size)
        rows += len(texts)
        for text in texts:
            out += text.encode(ENCODING) + b"\n"
    if rows > LINES_MAX:
        raise DocumentSizeError(f"a slip has at most {LINES_MAX} lines, this one {rows}")
    out += _style(style, (0, 1, False))
    if document.qr:
        out += _qr(document.qr, profile)
    if profile.kanji_commands:
        out += KANJI_OFF
    if profile.feed_lines:
        out += b"\x1b\x64" + bytes([profile.feed_lines])
    if document.cut and profile.cut:
        out += b"\x1d\x56\x42\x00"
    if len(out) > JOB_BYTES_MAX:
        raise DocumentSizeError(f"a slip has at most {JOB_BYTES_MAX} bytes, this one {len(out)}")
    return bytes(out)


def _laid(line: Line, columns: int) -> list[str]:
    """The rows of one line on paper that is so wide."""
    if line.right is None:
        return wrap(sayable(line.text), columns)
    return two_columns(line.text, line.right, columns, line.fill).split("\n")


def _style(old: tuple[int, int, bool], new: tuple[int, int, bool]) -> bytes:
    """The commands between two lines; only what changes, 9600 baud is 960 bytes a second."""
    out = b""
    if new[0] != old[0]:
        out += b"\x1b\x61" + bytes([new[0]])
    if new[1] != old[1]:
        out += b"\x1d\x21" + (b"\x11" if new[1] == 2 else b"\x00")
    if new[2] != old[2]:
        out += b"\x1b\x45" + bytes([new[2]])
    return out


def _qr(content: str, profile: PrinterProfile) -> bytes:
    content = "".join(char for char in content if char.isprintable())
    data = content.encode()
    if len(data) > QR_BYTES_MAX:
        raise DocumentSizeError(f"a QR code on a slip holds at most {QR_BYTES_MAX} bytes, this one {len(data)}")
    if profile.qr == "none":  # a person can still read it out or type it in
        texts = wrap(sayable(content), profile.columns)
        return b"".join(text.encode(ENCODING) + b"\n" for text in texts)
    import segno  # 8 ms that a start without a QR code does not need

    matrix = [bytes(row) for row in segno.make_qr(data, error="m", boost_error=False).matrix]
    module_dots = min(profile.qr_module_dots, profile.dots // (len(matrix) + QUIET_MODULES))
    if module_dots < MODULE_DOTS_MIN[profile.qr]:
        raise DocumentSizeError(f"a QR code of {len(matrix)} modules does not fit on {profile.dots} dots")
    drawn = _qr_native(data, module_dots) if profile.qr == "native" else _qr_raster(matrix, module_dots // 2)
    return QUIET_FEED + b"\x1b\x61\x01" + drawn + b"\n\x1b\x61\x00"


def _qr_native(data: bytes, module_dots: int) -> bytes:
    """GS ( k: model 2, module size, error correction M, store, print."""
    parameters = b"\x31\x41\x32\x00", b"\x31\x43" + bytes([module_dots]), b"\x31\x45\x31", b"\x31\x50\x30" + data, b"\x31\x51\x30"
    return b"".join(b"\x1d\x28\x6b" + len(part).to_bytes(2, "little") + part for part in parameters)


def _qr_raster(matrix: list[bytes], scale: int) -> bytes:
    """GS v 0 with m = 3: the printer doubles every dot, which costs a quarter of the bytes."""
    side = -(-len(matrix) * scale // 8)
    picture = bytearray()
    for row in matrix:
        bits = "".join("1" * scale if module else "0" * scale for module in row).ljust(side * 8, "0")
        picture += int(bits, 2).to_bytes(side, "big") * scale
    height = len(matrix) * scale
    return b"\x1d\x76\x30\x03" + side.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(picture)


def block_bytes_max(profile: PrinterProfile) -> int:
    """The longest data block that a torn job can leave a printer waiting for; so many zeros end it for certain."""
    if profile.qr == "native":
        return QR_BYTES_MAX + 3
    if profile.qr == "none":
        return COMMAND_BYTES_MAX
    sizes = range(21, 73, 4)  # modules of QR versions 1 to 13; 13 holds QR_BYTES_MAX at level M
    scales = ((size, min(profile.qr_module_dots, profile.dots // (size + QUIET_MODULES)) // 2) for size in sizes)
    return max(-(-size * scale // 8) * size * scale for size, scale in scales)


def fits(line: Line, profile: PrinterProfile) -> bool:
    """True when the line needs no wrapping on this printer."""
    return len(_laid(line, profile.columns // line.size)) == 1
