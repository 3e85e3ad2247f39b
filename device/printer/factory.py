"""From the configuration's words to a printer: which driver over which port."""

from typing import Literal

from device.descriptor import Port
from device.printer import Printer
from device.printer.disabled import DisabledPrinter
from device.printer.escpos import EscPosPrinter
from device.printer.profile import PrinterProfile
from device.printer.tcp import TcpPort, UnixPort
from device.printer.usb import UsbPort
from device.printer.vendor import VendorPrinter
from device.serialport import SerialPort

Driver = Literal["escpos", "vendor", "disabled"]
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def open_printer(driver: Driver, port: str | None, baud: int, profile: PrinterProfile) -> Printer:
    """The printer, not opened yet: `open` may block and belongs on the printer's own thread.

    `port` is a serial device, `/dev/usb/lp0`, `tcp://host:9100`, or for a bridge `unix:/path` or `tcp://127.0.0.1:port`.
    Raises ValueError when driver and port do not go together: whoever wrote the configuration is at fault.
    """
    if driver == "disabled":
        return DisabledPrinter()
    if not port:
        raise ValueError(f"the printer driver {driver!r} needs a port: a device like /dev/ttyS1, or tcp://host:9100")
    line = open_port(port, baud, profile)
    if driver == "vendor":
        host = port.removeprefix("tcp://").rsplit(":", 1)[0].strip("[]")
        if not (port.startswith("unix:") or (port.startswith("tcp://") and host in _LOOPBACK)):
            raise ValueError(f"a bridge app is on this machine: its port is unix:/path or tcp://127.0.0.1:port, not {port!r}")
        return VendorPrinter(line, profile)
    if driver != "escpos":
        raise ValueError(f"there is no printer driver {driver!r}: use escpos, vendor or disabled")
    return EscPosPrinter(line, profile)


def open_port(port: str, baud: int, profile: PrinterProfile) -> Port:
    """The port by its name in the configuration, not opened yet. Raises ValueError when the name makes no sense."""
    if port.startswith("tcp://"):
        host, _, number = port.removeprefix("tcp://").rpartition(":")
        if not host or not number.isdigit() or not 0 < int(number) < 65536:
            raise ValueError(f"{port!r} is not an address like tcp://host:9100")
        return TcpPort(host.strip("[]"), int(number), profile.bytes_per_s)
    if port.startswith("unix:"):
        return UnixPort(port.removeprefix("unix:"), profile.bytes_per_s)
    if port.startswith(("/dev/usb/lp", "/dev/lp")):
        return UsbPort(port, profile.bytes_per_s)
    return SerialPort(port, baud, profile.flow)
