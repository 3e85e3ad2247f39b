"""The driver on a real pseudo terminal, against the simulated printer as a product feature."""

import os
import pty
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.errors import PortLost, PortStalled, PortUnavailable
from device.printer import Document, Line, Printer, Proof
from device.printer.encoder import encode
from device.printer.factory import open_printer
from device.printer.profile import PrinterProfile, load_profile
from device.serialport import SerialPort
from tests.device.printer.live import LivePrinter, live_printer

P58 = load_profile("generic-58mm")
MUTE = load_profile("mute-58mm")
EPSON = load_profile("epson-tm")


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[LivePrinter]:
    with live_printer(tmp_path) as printer:
        yield printer


def slip(text: str, lines: int = 1, profile: PrinterProfile = P58) -> bytes:
    return encode(Document(tuple(Line(f"{text} {number}") for number in range(lines))), profile)


def opened(port: str, profile: PrinterProfile = P58, baud: int = 115_200) -> Printer:
    printer = open_printer("escpos", port, baud, profile)
    printer.open()
    return printer


def test_a_slip_comes_out_and_is_proved(simulated: LivePrinter) -> None:
    printer = opened(simulated.port)
    assert printer.status().fault == "none"
    outcome = printer.print(slip("你好"), 1)
    assert (outcome.level, outcome.status.fault) == ("FENCED", "none")
    printer.close()
    simulated.wait_for("你好 0")


def test_paper_out_before_a_job_leaves_it_unprinted_and_it_prints_when_paper_is_back(simulated: LivePrinter) -> None:
    printer = opened(simulated.port)
    simulated.order(do="paper_out")
    outcome = printer.print(slip("等纸"), 1)
    assert (outcome.level, outcome.accepted_bytes, outcome.status.fault) == ("UNPRINTED", 0, "paper_out")
    simulated.order(do="paper_in")
    assert printer.print(slip("等纸"), 1).level == "FENCED"
    printer.close()
    simulated.wait_for("等纸 0")
    assert simulated.texts().count("等纸 0") == 1


def test_paper_out_in_mid_job_and_back_prints_the_rest_from_the_printers_own_buffer(tmp_path: Path) -> None:
    with live_printer(tmp_path, "epson-tm") as simulated:
        printer = opened(simulated.port, EPSON)
        simulated.order(do="paper_out", after_lines=3, mid_line=True)
        outcome = printer.print(slip("第", 8, EPSON), 5)
        assert (outcome.level, outcome.status.fault) == ("SENT_UNCONFIRMED", "paper_out")
        simulated.order(do="paper_in")
        proofs: list[Proof] = []
        while not proofs:
            proofs += printer.wait(30).proofs
        assert proofs == [Proof(5, "CONFIRMED")]
        printer.close()
        simulated.wait_for("第 7")
        text = simulated.texts()
    whole = [line for line in text.splitlines() if "~" not in line and line]
    assert whole == [f"第 {number}" for number in range(8)]
    assert text.count("~ paper ended") == 1


def test_silence_from_a_printer_that_should_answer_keeps_the_job(simulated: LivePrinter) -> None:
    printer = opened(simulated.port)
    simulated.order(do="silent")
    outcome = printer.print(slip("无声"), 1)
    assert (outcome.level, outcome.accepted_bytes, outcome.status.fault) == ("UNPRINTED", 0, "silent")
    simulated.order(do="speak")
    assert printer.print(slip("有声"), 2).level == "FENCED"
    printer.close()
    simulated.wait_for("有声 0")
    assert "无声" not in simulated.texts()


def test_a_stopped_line_is_unprinted_bounded_and_the_port_closes_at_once(tmp_path: Path) -> None:
    with live_printer(tmp_path, "mute-58mm") as simulated:
        printer = opened(simulated.port, MUTE)
        assert printer.print(slip("一", 1, MUTE), 1).level == "SENT_UNCONFIRMED"
        simulated.wait_for("一 0")
        simulated.order(do="stall")
        data = slip("二", 40, MUTE)
        outcome = printer.print(data, 2)
        assert (outcome.level, outcome.accepted_bytes, outcome.total_bytes) == ("UNPRINTED", 0, len(data))
        printer.close()
        simulated.order(do="go")


def test_a_line_that_stops_in_mid_job_is_partial_and_nothing_comes_later(tmp_path: Path) -> None:
    """The printer's buffer and the kernel's queues take so much and no more; what they did not take never comes."""
    with live_printer(tmp_path, "mute-58mm", lines_per_s=0.1, baud=1_000_000) as simulated:
        printer = opened(simulated.port, MUTE, 921_600)
        data = slip("长", 290, MUTE) + bytes(24_000)
        outcome = printer.print(data, 1)
        assert outcome.level == "PARTIAL"
        assert 0 < outcome.accepted_bytes < outcome.total_bytes
        printer.close()


def test_a_restarted_driver_prints_and_stale_bytes_do_not_confuse_it(simulated: LivePrinter) -> None:
    first = opened(simulated.port)
    first.print(slip("先"), 1)
    first.close()
    fd = os.open(simulated.port, os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"\x10\x04\x01\x10\x04\x04\x1d\x72\x01")  # asked by somebody who did not stay for the answers
    os.close(fd)
    second = opened(simulated.port)
    assert second.status().fault == "none"
    assert second.print(slip("后"), 2).level == "FENCED"
    second.close()
    simulated.wait_for("后 0")


def test_a_port_that_another_process_holds_is_named_so(simulated: LivePrinter) -> None:
    owner = opened(simulated.port)
    with pytest.raises(PortUnavailable, match="another process holds it") as caught:
        opened(simulated.port)
    assert caught.value.cause == "held"
    owner.close()
    opened(simulated.port).close()


def test_a_printer_that_goes_away_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    link = tmp_path / "printer"
    with live_printer(tmp_path, link=link):
        printer = opened(str(link))
        assert printer.print(slip("在"), 1).level == "FENCED"
    heard = printer.wait(30)
    assert heard.status is not None
    assert heard.status.fault == "unavailable"
    assert not printer.is_open
    assert printer.status().fault == "unavailable"
    assert printer.print(slip("不在"), 2).level == "UNPRINTED"
    with pytest.raises(PortUnavailable) as caught:
        printer.open()
    assert caught.value.cause == "missing"
    with live_printer(tmp_path, link=link) as again:
        printer.open()
        assert printer.print(slip("又在"), 2).level == "FENCED"
        printer.close()
        again.wait_for("又在 0")


def test_an_idle_wait_sleeps_until_it_is_woken(simulated: LivePrinter) -> None:
    printer = opened(simulated.port)
    heard = []
    thread = threading.Thread(target=lambda: heard.append(printer.wait(None)))
    thread.start()
    printer.wake()
    thread.join(30)
    assert [one.woken for one in heard] == [True]
    printer.close()


def test_automatic_status_ends_a_wait(tmp_path: Path) -> None:
    with live_printer(tmp_path, "epson-tm") as simulated:
        printer = opened(simulated.port, EPSON)
        while (status := printer.wait(30).status) is None or not status.ready:
            pass
        simulated.order(do="cover_open")
        while (status := printer.wait(30).status) is None or status.fault != "cover_open":
            pass
        printer.close()


def test_an_interrupted_print_ends_with_an_honest_word(tmp_path: Path) -> None:
    with live_printer(tmp_path, "epson-tm", lines_per_s=0.1) as simulated:
        printer = opened(simulated.port, EPSON)
        timer = threading.Timer(1.0, printer.interrupt)
        timer.start()
        outcome = printer.print(slip("慢", 3, EPSON), 1)
        timer.join()
        assert outcome.level == "SENT_UNCONFIRMED"
        printer.close()


@pytest.mark.parametrize(
    ("name", "cause"),
    [("missing", "missing"), ("folder", "wrong_device"), ("file", "wrong_device"), ("/dev/null", "wrong_device")],
)
def test_what_is_no_serial_port_is_named_with_its_cause(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(PortUnavailable) as caught:
        SerialPort(str(tmp_path / name), 9600).open()
    assert caught.value.cause == cause
    assert str(tmp_path / name) in str(caught.value) or name in str(caught.value)


def test_a_port_without_permission_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system call is refused as it would be for an ordinary user; as root no mode of a file refuses us."""

    def refuse(path: str, *_rest: object) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PortUnavailable, match="add this program's user to the group") as caught:
        SerialPort(str(tmp_path / "tty"), 9600).open()
    assert caught.value.cause == "permission"


class Pair:
    """A bare pseudo terminal."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_bytes_that_stay_in_the_kernels_queue_are_not_counted_as_sent(pair: Pair) -> None:
    """A pseudo terminal's queue always says 0, so the question is answered here as a stopped UART would."""
    left = [700, 600, 600, 600]
    port = SerialPort(pair.name, 115_200, ioctl=lambda _fd, _request, _buffer: left[0].to_bytes(4, "little"))
    port.open()
    port.write(bytes(1000), port.now_s() + 5)
    assert port.drain(port.now_s() + 0.1) == 700
    assert port.discard() == 700
    left[0] = 0
    assert port.drain(port.now_s() + 0.1) == 0
    port.close()


def test_a_queue_that_empties_in_time_is_drained(pair: Pair) -> None:
    answers = iter((300, 200, 100, 0, 0, 0))
    port = SerialPort(pair.name, 115_200, ioctl=lambda _fd, _request, _buffer: next(answers).to_bytes(4, "little"))
    port.open()
    assert port.drain(port.now_s() + 5) == 0
    port.close()


def test_a_device_that_goes_away_while_its_queue_empties_leaves_the_rest_uncounted(pair: Pair) -> None:
    answers = iter((300, 200))

    def ioctl(_fd: int, _request: int, _buffer: bytes) -> bytes:
        try:
            return next(answers).to_bytes(4, "little")
        except StopIteration:
            raise OSError(5, "Input/output error") from None

    port = SerialPort(pair.name, 115_200, ioctl=ioctl)
    port.open()
    assert port.drain(port.now_s() + 5) == 200
    port.close()


def test_a_write_that_nobody_takes_says_how_much_was_taken(pair: Pair) -> None:
    port = SerialPort(pair.name, 115_200)
    port.open()
    data = bytes(100_000)
    with pytest.raises(PortStalled, match="takes no more bytes") as caught:
        port.write(data, port.now_s() + 0.2)
    assert 0 < caught.value.accepted_bytes < len(data)
    port.close()


def test_closing_a_stalled_port_throws_away_what_would_otherwise_come_out_later(pair: Pair) -> None:
    port = SerialPort(pair.name, 115_200)
    port.open()
    with pytest.raises(PortStalled) as caught:
        port.write(bytes(100_000), port.now_s() + 0.2)
    port.close()
    assert waiting(pair.master) < caught.value.accepted_bytes


def waiting(fd: int) -> int:
    """How many bytes can be read now."""
    os.set_blocking(fd, False)
    count = 0
    while True:
        try:
            count += len(os.read(fd, 4096))
        except BlockingIOError:
            return count


def test_a_closed_port_is_lost_and_not_a_crash(pair: Pair) -> None:
    port = SerialPort(pair.name, 115_200)
    port.open()
    port.close()
    with pytest.raises(PortLost, match="closed"):
        port.write(b"x", time.monotonic() + 1)
    with pytest.raises(PortLost, match="closed"):
        port.read(time.monotonic() + 1)
