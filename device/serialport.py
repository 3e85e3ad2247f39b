"""A serial port: pyserial opens and configures it, the bounded input and output are ours.

One owner per port: an advisory lock (`exclusive=True`) refuses a second process that locks too.
"""

import errno
import fcntl
import re
from typing import Literal

import serial

from device.descriptor import DescriptorPort, Ioctl, unavailable
from device.errors import PortUnavailable

Flow = Literal["none", "rtscts", "xonxoff"]

BITS_PER_BYTE = 10  # one start bit, eight data bits, one stop bit


class SerialPort(DescriptorPort):
    """`/dev/ttyS*`, `/dev/ttyUSB*`, `/dev/ttyACM*` or a pseudo terminal, 8N1 at `baud`."""

    def __init__(self, path: str, baud: int, flow: Flow = "none", ioctl: Ioctl = fcntl.ioctl) -> None:
        super().__init__(path, baud / BITS_PER_BYTE, ioctl)
        self._baud = baud
        self._flow = flow
        self._serial: serial.Serial | None = None

    def _open(self) -> int:
        try:
            self._serial = serial.Serial(
                self.name, self._baud, exclusive=True, timeout=0, write_timeout=0,
                rtscts=self._flow == "rtscts", xonxoff=self._flow == "xonxoff",
            )
        except serial.SerialException as error:
            raise unavailable(self.name, _number(error), str(error)) from None
        except (ValueError, OverflowError):
            text = f"port {self.name}: it cannot do {self._baud} baud: correct the speed"
            raise PortUnavailable(text, "wrong_device") from None
        return int(self._serial.fileno())

    def _discard(self) -> None:
        if self._serial is not None:
            try:
                self._serial.reset_output_buffer()
            except serial.SerialException as error:
                raise OSError(str(error)) from None

    def _close(self) -> None:
        if self._serial is not None:
            self._serial.close()
            self._serial = None


def _number(error: serial.SerialException) -> int | None:
    """The errno of a pyserial error. While it configures a port it keeps the number in its text only."""
    if error.errno is not None:
        return error.errno
    if found := re.search(r"\((\d+), '", str(error)):
        return int(found[1])
    return errno.ENOTTY if "configure" in str(error) else None
