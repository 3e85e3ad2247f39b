"""The pole display over a real pseudo terminal: what is read on it, and every way in which the line can fail."""

import errno
import os
import pty
import struct
import termios
import threading
import tty
from pathlib import Path

import pytest
import serial

from device.display import Charset, Display, Driver, Screen
from device.display.commands import CLEAR, frame, start
from device.display.disabled import DisabledDisplay
from device.display.factory import open_display
from device.display.pole import PoleDisplay
from device.errors import PortLost, PortStalled, PortUnavailable
from device.serialport import SerialPort
from tests.device.display.live import live_pole

SCREEN = Screen("冲正中,请勿再刷卡", "1.00元         *0128")
LATIN = Screen("Reversing, don't pay", "RMB 1.00       *0128")


def opened(port: str, driver: Driver = "cd5220", charset: Charset = "gbk") -> Display:
    display = open_display(driver, port, 9600, charset, 4)
    display.open()
    return display


def fill(display: Display) -> None:
    """Write until it takes nothing any more; a pseudo terminal may take a few kilobytes before it is full."""
    for _ in range(2000):
        display.show(SCREEN)


@pytest.mark.parametrize("driver", ["cd5220", "escpos"])
@pytest.mark.parametrize("charset", ["gbk", "latin"])
def test_two_lines_are_read_as_they_were_meant_in_both_sets_and_characters(
    tmp_path: Path, driver: Driver, charset: Charset
) -> None:
    screen = SCREEN if charset == "gbk" else LATIN
    with live_pole(tmp_path, commands=driver, chinese=charset == "gbk") as pole:
        display = opened(pole.port, driver, charset)
        display.show(screen)
        pole.wait_for(screen.upper, screen.lower)
        display.show(Screen("A"))
        pole.wait_for("A", "")
        assert pole.order("state")["garbled"] == 0
        display.close()
        assert pole.lines() == ("A", ""), "what is lit stays lit"


def test_a_new_screen_begins_with_a_blank_one_and_the_same_one_again_does_not() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    display = opened(os.ttyname(slave))
    for screen in (LATIN, LATIN, Screen("A")):
        display.show(screen)
    same, other = frame("cd5220", "gbk", LATIN), frame("cd5220", "gbk", Screen("A"))
    wanted = start("cd5220", 4) + CLEAR + same + same + CLEAR + other
    sent = b""
    while len(sent) < len(wanted):
        sent += os.read(master, 4096)
    assert sent == wanted
    display.close()
    os.close(master)
    os.close(slave)


def test_a_display_that_was_dark_for_a_moment_shows_it_again_when_it_is_sent_again(tmp_path: Path) -> None:
    with live_pole(tmp_path) as pole:
        display = opened(pole.port)
        display.show(SCREEN)
        pole.order("power_off")
        assert pole.lines() == ("", "")
        display.show(SCREEN)
        pole.order("power_on")
        assert pole.lines() == ("", "")
        display.show(SCREEN)
        pole.wait_for(SCREEN.upper, SCREEN.lower)
        display.close()


def test_silence_is_normal_and_noise_is_thrown_away(tmp_path: Path) -> None:
    with live_pole(tmp_path) as pole:
        display = opened(pole.port)
        display.wait(0.05)
        pole.order("noise")
        display.wait(None)
        display.show(SCREEN)
        pole.wait_for(SCREEN.upper, SCREEN.lower)
        display.close()


def test_a_pulled_cable_is_noticed_without_writing_and_the_display_is_found_again(tmp_path: Path) -> None:
    with live_pole(tmp_path) as pole:
        display = opened(pole.port)
        display.show(SCREEN)
        pole.wait_for(SCREEN.upper, SCREEN.lower)
        pole.order("unplug")
        with pytest.raises(PortLost, match="check the cable"):
            display.wait(None)
        assert not display.is_open
        with pytest.raises(PortUnavailable) as caught:
            display.open()
        assert caught.value.cause == "missing"
        pole.order("plug")
        display.open()
        display.show(Screen("B"))
        pole.wait_for("B", "")
        display.close()


def test_a_line_that_takes_nothing_is_given_up_within_its_bound_and_the_rest_never_comes_out(tmp_path: Path) -> None:
    with live_pole(tmp_path) as pole:
        display = opened(pole.port)
        display.show(Screen("A"))
        pole.wait_for("A", "")
        pole.order("stall")
        with pytest.raises(PortStalled, match="takes no more bytes"):
            fill(display)
        assert not display.is_open
        pole.order("go")
        display.open()
        display.show(Screen("B"))
        pole.wait_for("B", "")
        display.close()


def test_bytes_that_never_reach_the_line_are_told_apart_from_those_that_do(tmp_path: Path) -> None:
    """A pseudo terminal has no output queue; the question for it is answered as a stuck USB adapter's driver would."""

    def stuck(_fd: int, request: int, _buffer: bytes) -> bytes:
        return struct.pack("i", 7) if request == termios.TIOCOUTQ else bytes(4)

    with live_pole(tmp_path) as pole:
        display = PoleDisplay(SerialPort(pole.port, 230_400, ioctl=stuck), "cd5220", "gbk", 4)
        with pytest.raises(PortStalled, match="see whether the display is on") as caught:
            display.open()
        assert caught.value.accepted_bytes == 6  # of 13: seven are still queued
        assert not display.is_open


def test_two_programs_never_share_one_display(tmp_path: Path) -> None:
    with live_pole(tmp_path) as pole:
        holder = serial.Serial(pole.port, 9600, exclusive=True)
        with pytest.raises(PortUnavailable) as caught:
            opened(pole.port)
        assert caught.value.cause == "held"
        holder.close()
        opened(pole.port).close()


@pytest.mark.parametrize(("name", "cause"), [("/dev/null", "wrong_device"), ("a-file", "wrong_device"), ("nothing", "missing")])
def test_what_is_no_serial_line_is_named_with_its_cause(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(PortUnavailable) as caught:
        opened(str(tmp_path / name))
    assert caught.value.cause == cause


def test_a_display_without_permission_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system call is refused as it would be for an ordinary user; as root no mode of a file refuses us."""

    def refuse(path: str, *_rest: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PortUnavailable, match="add this program's user to the group") as caught:
        opened(str(tmp_path / "ttyS2"))
    assert caught.value.cause == "permission"


def test_the_end_of_the_program_ends_every_wait(tmp_path: Path) -> None:
    with live_pole(tmp_path) as pole:
        display = opened(pole.port)
        waiting = threading.Thread(target=display.wait, args=(None,))
        waiting.start()
        display.interrupt()
        waiting.join(20)
        assert not waiting.is_alive()
        display.close()


def test_a_terminal_without_a_display_shows_nothing_and_fails_at_nothing() -> None:
    display = open_display("disabled", None, 9600, "gbk", 4)
    assert isinstance(display, DisabledDisplay)
    display.open()
    display.show(SCREEN)
    display.wake()
    display.wait(None)
    display.interrupt()
    display.wait(None)
    display.close()
    assert not display.is_open


@pytest.mark.parametrize(
    ("driver", "port", "reason"), [("cd5220", None, "needs a port"), ("lcd", "/dev/ttyS2", "no display driver 'lcd'")]
)
def test_what_does_not_go_together_is_said_in_one_sentence(driver: Driver, port: str | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        open_display(driver, port, 9600, "gbk", 4)
