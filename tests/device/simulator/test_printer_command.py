"""`reversald simulate printer` as a person runs it: a process, its words, its files, and its end."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from click.testing import CliRunner

from agent.cli.commands import cli
from device.printer import Document, Line
from device.printer.encoder import encode
from device.printer.factory import open_printer
from device.printer.profile import load_profile

COMMAND = ("simulate", "printer", "--lang", "en")
P58 = load_profile("generic-58mm")


class Process:
    """The command in a process of its own."""

    def __init__(self, *words: str) -> None:
        program = [sys.executable, "-m", "agent", *COMMAND, *words]
        self._process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of that kind."""
        while True:
            told: dict[str, Any] = msgspec.json.decode(self.line())
            if told["event"] == kind:
                return told

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=30)
        return self._process.returncode, errors

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()


def slip(text: str) -> bytes:
    return encode(Document((Line(text),)), P58)


def test_it_prints_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    link, control, output = tmp_path / "printer", tmp_path / "control", tmp_path / "slips"
    words = ("--json", "--link", str(link), "--control", str(control), "--output", str(output), "--lines-per-s", "1000")
    with Process(*words) as process:
        ready = process.event("ready")
        assert ready["link"] == str(link)
        assert str(link.readlink()) == ready["port"]
        driver = open_printer("escpos", str(link), 115_200, P58)
        driver.open()
        assert driver.print(slip("你好"), 1).level == "FENCED"
        told = process.event("slip")
        assert told["text"].startswith("你好\n")
        assert Path(told["txt"]).read_text() == told["text"]
        assert Path(told["png"]).stat().st_size > 500
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(control))
            line.sendall(b'{"do": "paper_out"}\n')
            assert msgspec.json.decode(line.makefile("rb").readline())["paper"] == "out"
        assert process.event("state")["paper"] == "out"
        driver.close()
        assert process.end() == (0, "")
    assert not link.is_symlink()
    assert not control.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_on_the_paper_at_the_end_is_kept(tmp_path: Path, number: signal.Signals) -> None:
    with Process("--output", str(tmp_path), "--no-png", "--lines-per-s", "1000") as process:
        port = process.line().split()[2]
        driver = open_printer("escpos", port, 115_200, P58)
        driver.open()
        driver.print(slip("未撕下"), 1)
        driver.close()
        assert process.end(number) == (0, "")
    assert (tmp_path / "0001.txt").read_text().startswith("未撕下\n")
    assert not list(tmp_path.glob("*.png"))


def test_a_link_left_by_a_killed_run_is_taken_over_and_a_file_is_not(tmp_path: Path) -> None:
    link = tmp_path / "printer"
    link.symlink_to("/dev/pts/none")
    with Process("--json", "--link", str(link)) as process:
        port = process.event("ready")["port"]
        assert str(link.readlink()) == port
        assert process.end() == (0, "")
    link.write_text("mine")
    with Process("--link", str(link)) as process:
        assert process._process.wait(30) == 69
        assert process._process.stderr is not None
        assert "is not a link" in process._process.stderr.read()
    assert link.read_text() == "mine"


def test_it_goes_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    with Process("--output", str(tmp_path), "--no-png", "--lines-per-s", "1000") as process:
        port = process.line().split()[2]
        assert process._process.stdout is not None
        process._process.stdout.close()
        driver = open_printer("escpos", port, 115_200, P58)
        driver.open()
        driver.print(slip("一"), 1)
        assert driver.print(slip("二"), 2).level == "FENCED"
        driver.close()
        process._process.stdout = None
        process._process.send_signal(signal.SIGTERM)
        assert process._process.wait(30) == 0
        process._process.stdout = open(os.devnull)  # noqa: PTH123, SIM115 - for the clean-up


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--profile", "laser"], 69, "no printer profile 'laser'"),
        (["--tcp", "9100"], 64, "--tcp takes HOST:PORT"),
        (["--bridge", "9100"], 64, "--bridge takes"),
        (["--tcp", "127.0.0.1:0", "--bridge", "unix:/x"], 64, "choose one"),
        (["--tcp", "127.0.0.1:0", "--link", "x"], 64, "no meaning"),
        (["--tcp", "127.0.0.1:99999"], 64, "--tcp takes HOST:PORT"),
        (["--bridge", "tcp://127.0.0.1:99999"], 64, "--bridge takes"),
        (["--bridge", "unix:/nowhere/at/all"], 69, "cannot listen on unix:/nowhere/at/all"),
        (["--baud", "1"], 64, "300<=x"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], code: int, reason: str) -> None:
    result = CliRunner().invoke(cli, [*COMMAND, *words])
    assert result.exit_code == code
    assert reason in result.output
    assert "Traceback" not in result.output


def test_pictures_without_a_font_are_refused_before_anything_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERSALD_FONT", str(tmp_path / "none"))
    result = CliRunner().invoke(cli, [*COMMAND, "--output", str(tmp_path / "slips")])
    assert result.exit_code == 69
    assert "REVERSALD_FONT" in result.output


def test_the_help_shows_examples_and_every_order() -> None:
    from device.simulator.printer_control import ORDERS

    text = CliRunner().invoke(cli, [*COMMAND, "--help"]).output
    assert "Examples" in text
    for order in ORDERS:
        assert order in text
