"""Mode payapp with real processes: the agent is killed with a request open, and the command plays the app."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent import exits
from agent.cli.commands import cli
from agent.cli.simulate_payapp import payapp
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.payapp import PayappProcess

SLOW = {"mode": "payapp", "reply_timeout_ms": 20_000, "answer_timeout_ms": 20_000}


def asked(agent: Agent) -> list[dict[str, Any]]:
    """What the app was asked so far, as the journal has it."""
    return [entry for entry in agent.journal() if entry["type"] in {"request.opened", "request.repeated"}]


@pytest.mark.parametrize("pull", [False, True])
def test_kill_9_with_a_request_open_loses_nothing_and_asks_for_it_once(
    make_agent: Callable[..., Agent], host: Host, tmp_path: Path, pull: bool
) -> None:
    app = PayappProcess(tmp_path, host.port, "--reply-ms", "2000", *(["--pull"] if pull else []))
    try:
        sections = {} if pull else {"payapp": {"url": app.url}}
        agent = make_agent(host.port, recovery=SLOW, storage={"vault": "none"}, **sections).start()
        host.order(set={"0200": "close", "0400": "delay:600"})
        sale = app.order("sale", amount_fen=100)
        until(lambda: host.requests("0400"))
        agent.kill()
        before = asked(agent)[-1]
        agent.start()
        until(lambda: agent.app.state(sale["id"]) == "reversed")
        assert host.net_debit_fen(sale["stan"]) == 0
        assert len(host.requests("0400")) == 1, "the same request twice is one reversal"
        # The app may call itself busy with one request; then it is asked anew, and that is another request.
        repeated, *anew = [entry for entry in asked(agent) if entry["seq"] > before["seq"]]
        assert repeated["type"] == "request.repeated"
        assert repeated["data"]["request"] == before["data"]["request"], "it is asked again under its name"
        assert all(entry["type"] == "request.opened" for entry in anew)
        assert agent.cli("verify").returncode == 0
    finally:
        assert app.stop() == 0


def test_what_it_says_is_utf_8_wherever_it_goes(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    app = PayappProcess(tmp_path, host.port)
    assert app.order("balance") == {"response_code": "00"}
    assert app.stop() == 0
    assert "0200 000001 → 00" in app.log.read_text(encoding="utf-8")


def test_a_port_that_is_taken_is_said_in_both_languages() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for lang, words in (("zh", "模拟收银程序无法启动"), ("en", "the simulated payment app cannot start")):
            done = CliRunner().invoke(cli, ["simulate", "payapp", "--port", str(taken.getsockname()[1]), "--lang", lang])
            assert (done.exit_code, words in done.output) == (exits.UNAVAILABLE, True)


def test_a_bad_option_is_named() -> None:
    for options in (["--host", "nowhere"], ["--defect", "T99"], ["--key-file", "/nonexistent"]):
        done = CliRunner().invoke(payapp, options)
        assert done.exit_code == 2
        assert options[1] in done.output


@pytest.mark.parametrize("where", ["", "nowhere/app.json"])
def test_a_file_for_what_survives_that_cannot_be_written_is_told_before_anything_is_sold(where: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["simulate", "payapp", "--port", "0", "--state", str(tmp_path / where), "--lang", "en"])
    assert done.exit_code == exits.UNAVAILABLE
    assert "cannot start" in done.output
    assert str(tmp_path) in done.output
