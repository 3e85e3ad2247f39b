"""From the configuration's words to a customer display."""

from device.display import Charset, Display, Driver
from device.display.commands import SETS
from device.display.disabled import DisabledDisplay
from device.display.pole import PoleDisplay
from device.serialport import SerialPort


def open_display(driver: Driver, port: str | None, baud: int, charset: Charset, brightness: int) -> Display:
    """The display, not opened yet: `open` may block and belongs on the display's own thread.

    Raises ValueError when driver and port do not go together: whoever wrote the configuration is at fault.
    """
    if driver == "disabled":
        return DisabledDisplay()
    if driver not in SETS:
        raise ValueError(f"there is no display driver {driver!r}: use {', '.join(SETS)} or disabled")
    if not port:
        raise ValueError(f"the display driver {driver!r} needs a port: a device like /dev/ttyS2")
    return PoleDisplay(SerialPort(port, baud), driver, charset, brightness)
