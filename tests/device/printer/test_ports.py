"""USB printers, the driver of a terminal without a printer, and which words of the configuration mean which port."""

import os
import pty
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.errors import PortUnavailable
from device.printer import UNAVAILABLE
from device.printer.disabled import DisabledPrinter
from device.printer.escpos import EscPosPrinter
from device.printer.factory import Driver, open_printer
from device.printer.profile import load_profile
from device.printer.tcp import TcpPort, UnixPort
from device.printer.usb import LPGETSTATUS, UsbPort
from device.printer.vendor import VendorPrinter
from device.serialport import SerialPort

MUTE = load_profile("mute-58mm")


class UsbPrinter:
    """A pseudo terminal that answers the question of the USB printer class."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)
        self.status = 0x18

    def ioctl(self, _fd: int, request: int, _buffer: bytes) -> bytes:
        return self.status.to_bytes(4, "little") if request == LPGETSTATUS else bytes(4)


@pytest.fixture
def usb() -> Iterator[UsbPrinter]:
    made = UsbPrinter()
    yield made
    os.close(made.master)
    os.close(made.slave)


def test_a_usb_printer_that_says_so_is_out_of_paper_and_keeps_the_job(usb: UsbPrinter) -> None:
    printer = EscPosPrinter(UsbPort(usb.name, 10_000, usb.ioctl), MUTE)
    printer.open()
    usb.status |= 0x20
    outcome = printer.print(b"abc", 1)
    assert (outcome.level, outcome.status.fault) == ("UNPRINTED", "paper_out")
    usb.status = 0x18
    assert printer.status().fault == "unknown"  # "paper" is what every USB printer says
    assert printer.print(b"abc", 1).level == "SENT_UNCONFIRMED"
    printed = b""
    while not printed.endswith(b"abc"):
        printed += os.read(usb.master, 4096)
    assert printed.count(b"abc") == 1
    printer.close()


def test_a_usb_printer_that_is_held_is_named_so(usb: UsbPrinter) -> None:
    owner = UsbPort(usb.name, 10_000, usb.ioctl)
    owner.open()
    with pytest.raises(PortUnavailable) as caught:
        UsbPort(usb.name, 10_000, usb.ioctl).open()
    assert caught.value.cause == "held"
    owner.close()


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero"])
def test_a_device_that_is_no_usb_printer_is_refused(name: str) -> None:
    with pytest.raises(PortUnavailable, match="not that kind of device") as caught:
        UsbPort(name, 10_000).open()
    assert caught.value.cause == "wrong_device"


def test_a_usb_printer_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PortUnavailable) as caught:
        UsbPort(str(tmp_path / "lp0"), 10_000).open()
    assert caught.value.cause == "missing"


def test_a_stalled_usb_printer_is_dropped_with_what_was_queued(usb: UsbPrinter) -> None:
    port = UsbPort(usb.name, 10_000, usb.ioctl)
    port.open()
    port.discard()
    assert not port.is_open
    port.close()


def test_a_terminal_without_a_printer_says_so_to_every_question() -> None:
    printer = DisabledPrinter()
    printer.open()
    assert printer.status() == printer.resume() == printer.clear() == UNAVAILABLE
    outcome = printer.print(b"abc", 1)
    assert (outcome.level, outcome.total_bytes) == ("UNPRINTED", 3)
    assert printer.deadline_s(1000) == 0.0
    assert not printer.is_open
    printer.close()


def test_a_disabled_printers_wait_can_be_woken_and_interrupted() -> None:
    printer = DisabledPrinter()
    assert not printer.wait(0).woken
    threading.Timer(0.05, printer.wake).start()
    assert printer.wait(None).woken
    printer.interrupt()
    assert printer.wait(None).woken
    assert printer.wait(None).woken


@pytest.mark.parametrize(
    ("driver", "port", "printer", "line"),
    [
        ("escpos", "/dev/ttyS1", EscPosPrinter, SerialPort),
        ("escpos", "/dev/usb/lp0", EscPosPrinter, UsbPort),
        ("escpos", "tcp://192.0.2.7:9100", EscPosPrinter, TcpPort),
        ("escpos", "tcp://[2001:db8::7]:9100", EscPosPrinter, TcpPort),
        ("vendor", "tcp://127.0.0.1:9310", VendorPrinter, TcpPort),
        ("vendor", "unix:/run/bridge", VendorPrinter, UnixPort),
    ],
)
def test_the_configurations_words_choose_driver_and_port(driver: Driver, port: str, printer: type, line: type) -> None:
    made = open_printer(driver, port, 9600, MUTE)
    assert type(made) is printer
    assert type(made._port) is line  # type: ignore[attr-defined]
    assert not made.is_open


def test_a_disabled_printer_needs_no_port() -> None:
    assert isinstance(open_printer("disabled", None, 9600, MUTE), DisabledPrinter)


@pytest.mark.parametrize(
    ("driver", "port", "reason"),
    [
        ("escpos", None, "needs a port"),
        ("escpos", "tcp://9100", "not an address"),
        ("escpos", "tcp://host:0", "not an address"),
        ("vendor", "/dev/ttyS1", "on this machine"),
        ("vendor", "tcp://192.0.2.7:9310", "on this machine"),
        ("star", "/dev/ttyS1", "no printer driver 'star'"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_sentence(driver: Driver, port: str | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        open_printer(driver, port, 9600, MUTE)
