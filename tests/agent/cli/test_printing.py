"""`print`: a real agent and a simulated printer as processes; and what a technician reads when one of them is not there."""

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import exits
from agent.cli import localapi
from tests.support.agent import ROOT, Agent, program
from tests.support.app import until
from tests.support.story import LOST, Story, recovered
from tests.support.technician import Said, run, say
from tests.support.waiting import PATIENCE_S


class Printer:
    """A simulated printer: a pseudo terminal at `port`, and orders on a socket."""

    def __init__(self, folder: Path) -> None:
        self.port, self.control = folder / "printer", folder / "printer.ctl"
        words = ["simulate", "printer", "--link", self.port, "--control", self.control, "--no-png", "--json"]
        self.process = subprocess.Popen(
            [*program(), *map(str, words), "--lines-per-s", "1000"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self.slips: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            until(self.control.exists)
        except AssertionError:
            self.stop()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "slip":
                self.slips.append(event["text"])

    @property
    def paper(self) -> str:
        """All that came out. It has no cutter: what follows quickly is one slip."""
        return "".join(self.slips)

    def order(self, what: str, **more: Any) -> None:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.control))
            link.sendall(json.dumps({"do": what, **more}).encode() + b"\n")
            link.recv(4096)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def printer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Printer]:
    made = Printer(tmp_path_factory.mktemp("printer"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def agent(printer: Printer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent with that printer, and no host to talk to."""
    section = {"driver": "escpos", "port": str(printer.port)}
    made = Agent(tmp_path_factory.mktemp("agent"), 1, printer=section, terminal={"merchant_name": "测试便利店"}).start()
    try:
        assert made.cli("print", "test").returncode == exits.DONE  # from now on it knows how the printer is
        yield made
    finally:
        made.stop()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A journal without a daemon."""
    made = recovered(tmp_path)
    yield made
    made.close()


# ── with everything there ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_test_page_comes_out_and_the_technician_is_told_how_it_went(agent, printer):
    before = printer.paper.count("打印测试")
    said = run(agent.config, "print", "test")
    assert said.code == exits.DONE
    assert said.out.startswith("已交打印:正常, 有纸\n")
    assert said.out.splitlines()[1].startswith("测试页  ")
    until(lambda: printer.paper.count("打印测试") > before)


def test_json_names_the_job_and_its_state(agent):
    value = run(agent.config, "print", "test", "--json").value
    (job,) = value["jobs"]
    assert (job["what"], job["marked"]) == ("test", False)
    assert job["state"] in {"SENT_UNCONFIRMED", "FENCED", "CONFIRMED"}
    assert value["printer"] == "none"


def test_the_printer_says_how_it_is_in_both_languages(agent):
    assert run(agent.config, "print", "status").out == "打印机:正常, 有纸;待打印 0 单\n"
    assert run(agent.config, "print", "status", "--lang", "en").out == "printer: ready, paper in; 0 waiting\n"
    assert run(agent.config, "print", "status", "--json").value == {"printer": "none", "paper": "ok", "jobs_waiting": 0}
    assert "运行中" in run(agent.config, "status").out


def test_a_receipt_is_printed_again_and_marked_as_a_copy(agent, printer):
    _, sale = agent.app.open("000301", 100)
    agent.app.approve(sale["id"])
    until(lambda: agent.app.get(f"/v1/transactions/{sale['id']}")["jobs"][0]["state"] == "FENCED")  # before, it is the answer
    said = run(agent.config, "print", "reprint", "301", "--lang", "en")
    assert said.code == exits.DONE
    assert "receipt  " in said.out
    until(lambda: "DUPLICATED" in printer.paper)
    original, copy = printer.paper.split("DUPLICATED", 1)
    assert original.count("622202*********0128") == copy.count("622202*********0128") == 1


def test_blank_paper_is_noted_and_nothing_prints_until_the_copy_is_ordered(agent, printer):
    _, sale = agent.app.open("000305", 100)
    agent.app.approve(sale["id"])
    until(lambda: agent.app.get(f"/v1/transactions/{sale['id']}")["jobs"][0]["state"] == "FENCED")
    said = run(agent.config, "print", "reprint", "305", "--blank")
    assert (said.code, said.out.startswith("已记录小票空白;请把纸卷翻面")) == (exits.DONE, True)
    assert agent.app.get(f"/v1/transactions/{sale['id']}")["advice"]["code"] == "P24"
    assert "thermal side out" in run(agent.config, "print", "reprint", "305", "--blank", "--lang", "en").out
    assert run(agent.config, "print", "reprint", "305", "--blank", "--json").value == {"jobs": []}
    assert run(agent.config, "print", "reprint", "305").code == exits.DONE
    found = agent.app.get(f"/v1/transactions/{sale['id']}")
    assert [job["marked"] for job in found["jobs"]] == [False, True]
    assert found["advice"]["code"] == "N3"


def test_an_outcome_that_nobody_waits_for_is_not_told(agent):
    said = run(agent.config, "print", "test", "--wait", "0")
    assert (said.code, len(said.out.splitlines())) == (exits.DONE, 1)


def test_what_cannot_be_printed_again_is_said_with_the_reason(agent):
    _, sale = agent.app.open("000302", 100)
    message = refused(run(agent.config, "print", "reprint", sale["id"]), exits.UNAVAILABLE)
    assert message == "程序拒绝:收银程序没有交来这笔交易的签购单"
    assert "the payment app has not handed over" in run(agent.config, "print", "reprint", sale["id"], "--lang", "en").err
    assert refused(run(agent.config, "print", "reprint", "999999"), exits.USAGE).startswith("没有找到 999999")
    agent.app.result(sale["id"], "declined", response_code="51")


def test_a_stan_of_two_transactions_wants_an_id(agent):
    for batch in ("000001", "000002"):
        _, sale = agent.app.open("000303", 100, batch=batch)
        agent.app.result(sale["id"], "declined", response_code="51")
    message = refused(run(agent.config, "print", "reprint", "303"), exits.USAGE)
    assert message.startswith("303 对应 2 笔交易,请用交易号:")
    assert sale["id"] in message


def test_the_guarantee_note_is_printed_for_customer_and_merchant(agent, printer):
    _, sale = agent.app.open("000304", 100, batch="000002")
    assert "没有疑问" in refused(run(agent.config, "print", "guarantee", "304"), exits.UNAVAILABLE)
    agent.app.result(sale["id"], "no_answer")
    said = run(agent.config, "print", "guarantee", "304", "--contact", "139 0000 0000", "--wait", "30")
    assert said.code == exits.DONE
    assert said.out.count("情况说明") == 2
    until(lambda: printer.paper.count("139 0000 0000") == 2)


def test_without_paper_the_job_waits_and_comes_out_by_itself_when_paper_is_in(agent, printer):
    printer.order("paper_out")
    before = printer.paper.count("打印测试")
    said = run(agent.config, "print", "test", "--wait", "30")
    assert said.code == exits.TRY_LATER
    assert "(缺纸)" in said.out
    assert "缺纸" in run(agent.config, "print", "status").out
    printer.order("paper_in")
    until(lambda: printer.paper.count("打印测试") > before, 30)


# ── with something missing ───────────────────────────────────────────────────────────────────────────────────────────


def refused(said: Said, code: int) -> str:
    """The one line on standard error."""
    assert (said.code, said.out) == (code, "")
    (line,) = said.err.splitlines()
    assert line.startswith("reversald: ")
    return line.removeprefix("reversald: ")


@pytest.mark.parametrize("words", [["print", "test"], ["print", "status"], ["print", "reprint", LOST]])
def test_without_the_daemon_every_print_command_says_so_in_one_sentence(story, words):
    path = story.folder / "agent.sock"
    zh = refused(say(story.config, *words), exits.UNAVAILABLE)
    assert zh == f"程序未运行({path}),此命令要由它执行;请先启动 reversald run"
    en = refused(say(story.config, *words, "--lang", "en"), exits.UNAVAILABLE)
    assert en == f"the agent is not running ({path}) and this is its job; start it with reversald run"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert refused(say(story.config, *words), exits.UNAVAILABLE) == zh


def test_a_terminal_without_a_printer_says_so(tmp_path):
    agent = Agent(tmp_path, 1).start()
    try:
        for words in (["print", "status"], ["print", "test"]):
            assert "本终端未配置打印机" in refused(run(agent.config, *words), exits.UNAVAILABLE)
        assert "未配置" in run(agent.config, "status").out
    finally:
        agent.stop()


class Other:
    """Something at the socket that answers with fixed bytes, or with nothing."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._answer = answer
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            self._held.append(link)
            if self._answer:
                with contextlib.suppress(OSError):  # the caller may have seen enough
                    self._speak(link)

    def _speak(self, link: socket.socket) -> None:
        link.recv(65_536)
        link.sendall(self._answer)
        link.shutdown(socket.SHUT_WR)
        while link.recv(65_536):
            pass

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        for link in self._held:
            link.close()
        self._socket.close()


@pytest.fixture
def other(story: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    monkeypatch.setattr(localapi, "CALL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(localapi, "PROBE_TIMEOUT_S", 0.3)
    made: list[Other] = []

    def start(answer: bytes) -> None:
        made.append(Other(story.folder / "agent.sock", answer))

    yield start
    made.pop().close()


def problem(status: int, kind: str, detail: str = "") -> bytes:
    body = json.dumps({"type": f"urn:reversald:problem:{kind}", "title": "x", "status": status, "detail": detail}).encode()
    return b"HTTP/1.1 %d X\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_a_daemon_that_hangs_is_told_apart_from_one_that_is_gone(story, other):
    other(b"")
    assert "在运行但无应答" in say(story.config, "status").out
    assert refused(say(story.config, "print", "test"), exits.UNAVAILABLE).startswith("程序无应答,不知是否已执行")


@pytest.mark.parametrize(
    "answer", [b"\x00\x01 hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"HTTP/1.1 200 OK\r\n\r\n<html>"]
)
def test_another_program_at_the_socket_is_not_believed(story, other, answer):
    other(answer)
    assert "可能不是本程序" in refused(say(story.config, "print", "test"), exits.UNAVAILABLE)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (problem(403, "uid-not-allowed"), exits.UNAVAILABLE, "may not use the local API"),
        (problem(404, "no-such-transaction"), exits.USAGE, "there is no such transaction"),
        (problem(409, "moon-phase", "not now"), exits.UNAVAILABLE, "the agent refused: not now"),
        (problem(409, "page", "\x1b[2J 6222021234567890128"), exits.UNAVAILABLE, "622202*********0128"),
        (problem(503, "unavailable", "busy"), exits.TRY_LATER, "busy"),
        (problem(507, "disk-full", "full"), exits.STORAGE, "full"),
    ],
)
def test_every_refusal_is_one_sentence_with_the_exit_code_that_fits(story, other, answer, code, words):
    other(answer)
    message = refused(say(story.config, "print", "test", "--lang", "en"), code)
    assert words in message
    assert message.isprintable()


def test_a_daemon_that_does_not_let_us_in_is_alive_all_the_same(story, other):
    other(problem(403, "uid-not-allowed"))
    assert say(story.config, "status", "--json").value["daemon"] == "running"
