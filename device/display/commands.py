"""The two command sets of pole displays, as bytes. Sources: the CD5220 and EPSON modes in the makers' user manuals.

Texts hold no byte below 20 (hex): control characters are taken out, and both bytes of a GBK character are above 3F. So no
text can be a command.
"""

from typing import Literal, NamedTuple

from device.display import Charset, Screen, fitted

CommandSet = Literal["cd5220", "escpos"]

CR, CLEAR, INITIALISE = b"\x0d", b"\x0c", b"\x1b\x40"


class Commands(NamedTuple):
    """How one set brings the display into a known state, and where the two lines go."""

    torn: bytes  # ends whatever a broken-off write left open: a string, a command's last parameters, half a character
    settings: bytes  # no cursor, text is written over text
    brightness: bytes  # followed by 1 to 4
    upper: bytes
    lower: bytes
    end: bytes


SETS: dict[CommandSet, Commands] = {
    # ESC DC1: overwrite · ESC _ 0: no cursor · ESC * n · ESC Q A text CR and ESC Q B text CR. A line that was written so is in
    # "string mode", in which the display obeys nothing but CLR: hence no setting after the first text.
    "cd5220": Commands(CR * 2 + CLEAR, b"\x1b\x11\x1b\x5f\x00", b"\x1b\x2a", b"\x1b\x51\x41", b"\x1b\x51\x42", CR),
    # US MD1: overwrite · US C 0: no cursor · US X n · US $ column row, both from 1.
    "escpos": Commands(CLEAR * 3, b"\x1f\x01\x1f\x43\x00", b"\x1f\x58", b"\x1f\x24\x01\x01", b"\x1f\x24\x01\x02", b""),
}


def start(name: CommandSet, brightness: int) -> bytes:
    """From any state to a blank display that is ready for text. `brightness` is 1 to 4."""
    commands = SETS[name]
    return commands.torn + INITIALISE + commands.settings + commands.brightness + bytes([brightness])


def frame(name: CommandSet, charset: Charset, screen: Screen) -> bytes:
    """Both lines, the lower one first; the same bytes again change nothing."""
    commands = SETS[name]
    upper, lower = fitted(screen.upper, charset), fitted(screen.lower, charset)
    return commands.lower + lower + commands.end + commands.upper + upper + commands.end
