"""What a customer display is to the rest of the house: two lines of text go out, and nothing ever comes back.

A pole display has no answer to anything, so silence is normal and nobody here says "shown": text was sent, or could not be.
A driver lives on one thread of its own. Every call blocks, but never longer than the bound it states; only `wake` and
`interrupt` may be called from another thread.
"""

from typing import Literal, Protocol

import msgspec

from device.printer.layout import sayable, width

COLUMNS = 20
LINES = 2

Driver = Literal["cd5220", "escpos", "disabled"]
Charset = Literal["gbk", "latin"]


class Screen(msgspec.Struct, frozen=True):
    """Two lines; whatever is wider than COLUMNS is cut, a Han character takes two columns."""

    upper: str = ""
    lower: str = ""


def fitted(text: str, charset: Charset) -> bytes:
    """One line as bytes, exactly COLUMNS long: filled with blanks, or cut without halving a character.

    In "latin" what is not plain ASCII is a question mark: no two makers agree about the upper half of their tables.
    """
    if charset == "latin":
        said = "".join(char if " " <= char <= "~" else "?" for char in text)
        return said[:COLUMNS].ljust(COLUMNS).encode("ascii")
    said = sayable(text).replace("\n", " ")
    while width(said) > COLUMNS:
        said = said[:-1]
    return said.encode("gbk").ljust(COLUMNS)


class Display(Protocol):
    """A customer display on its own thread."""

    def open(self) -> None:
        """Take the port and put the display into a known state. Raises PortError; may be tried again at any time."""
        ...

    def close(self) -> None:
        """Give the port back within a second, whatever state the line is in. What is lit stays lit."""
        ...

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`, or until the device goes away."""
        ...

    def show(self, screen: Screen) -> None:
        """Send both lines. Returns when they are on the wire; within 3 s it raises PortStalled or PortLost."""
        ...

    def wait(self, timeout_s: float | None) -> None:
        """Sleep without polling until `wake`, or for `timeout_s`. Raises PortLost when the device goes away meanwhile."""
        ...

    def wake(self) -> None:
        """End the running or the next `wait`. From any thread."""
        ...

    def interrupt(self) -> None:
        """The program stops: every running and later call ends at once. From any thread."""
        ...
