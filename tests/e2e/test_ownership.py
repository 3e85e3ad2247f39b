"""What the agent does not own, over real sockets: the MAC in the app's PIN pad, the app's line, the keys, and two hosts."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_defects import detail, incidents, lose
from tests.support.agent import PATIENT, Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.lender import Lender
from tests.support.terminal import transact

Make = Callable[..., Agent]


def test_without_a_mac_service_nothing_is_sent_and_nothing_used_up(pin_pad: Agent, host: Host, lender: Lender) -> None:
    lender.mac = "gone"
    key = lose(pin_pad, host, "000802")
    until(lambda: "mac_service" in incidents(pin_pad))
    assert detail(pin_pad, key)["reversal"]["sends"] == 0
    host.order(set={"0200": "ok"})
    status, second = pin_pad.app.open("000803")
    assert (status, second["proceed"]) == (201, "go"), "nobody waits for it"
    assert transact(host.port, "000803", 100) == "00"
    pin_pad.app.approve(second["id"])
    assert host.requests("0400") == []
    lender.mac = "good"
    until(lambda: pin_pad.app.state(key) == "reversed")
    assert (len(host.requests("0400")), host.net_debit_fen("000802"), host.net_debit_fen("000803")) == (1, 0, 100)
    assert "mac_service" not in incidents(pin_pad)
    assert [body["data"][:4] for body in lender.asked("mac")][-2:] == ["0400", "0410"], "made, then checked"
    assert {body["algorithm"] for body in lender.asked("mac")} == {"unionpay-ecb"}


# ── the app's line ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def leasing(make_agent: Make, host: Host, lender: Lender) -> Agent:
    """An agent that sends only on the app's line."""
    return make_agent(host.port, acquirer={"line": "lease"}, payapp={"url": lender.url}, recovery=PATIENT).start()


def test_the_line_is_taken_for_the_send_and_given_back_after_it_and_at_a_stop(leasing: Agent, host: Host, lender: Lender) -> None:
    key = lose(leasing, host, "000811")
    until(lambda: leasing.app.state(key) == "reversed")
    until(lambda: lender.actions()[-1:] == ["release"])
    assert lender.actions() == ["acquire", "release"]
    host.order(set={"0400": "drop-request"})
    lose(leasing, host, "000814")
    until(lambda: len(host.requests("0400")) == 2)
    assert lender.held
    assert leasing.stop() == 0
    assert not lender.held


def test_a_refused_line_is_a_line_that_is_down(leasing: Agent, host: Host, lender: Lender) -> None:
    lender.line = "refused"
    key = lose(leasing, host, "000812")
    until(lambda: leasing.app.get("/v1/status")["line"] == "down")
    assert (host.requests("0400"), detail(leasing, key)["reversal"]["sends"]) == ([], 0)
    lender.line = "granted"
    until(lambda: leasing.app.state(key) == "reversed")
    assert len(host.requests("0400")) == 1


def test_a_line_taken_back_in_mid_send_counts_as_closed_and_the_reversal_goes_again(
    leasing: Agent, host: Host, lender: Lender
) -> None:
    lender.lease_ms = 1_000
    host.order(scenario={"0400": ["delay:2500"]})
    key = lose(leasing, host, "000813")
    until(lambda: host.requests("0400"))
    lender.line = "refused"
    until(lambda: leasing.app.get("/v1/status")["line"] == "down")
    assert detail(leasing, key)["reversal"]["sends"] == 1
    lender.line = "granted"
    until(lambda: leasing.app.state(key) in {"reversed", "unresolved"})
    assert host.net_debit_fen("000813") == 0


# ── two hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_host_that_takes_messages_and_keeps_silent_is_left_for_the_other(make_agent: Make, host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "silent"
    folder.mkdir()
    silent = Host(folder)
    silent.order(set={"0400": "drop-request"})
    agent = make_agent(silent.port, acquirer={"backup_host": "127.0.0.1", "backup_port": host.port}).start()
    try:
        key = lose(agent, host, "000822")
        until(lambda: agent.app.state(key) == "reversed")
        assert len(silent.requests("0400")) >= 2
        assert host.net_debit_fen("000822") == 0
    finally:
        silent.stop()


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["direct", "payapp"])
def test_another_mode_in_the_file_is_taken_with_the_next_start_not_at_a_reload(mode: str, make_agent: Make, host: Host) -> None:
    other = {"direct": "payapp", "payapp": "direct"}[mode]
    vault = {"direct": "sealed", "payapp": "none"}
    agent = make_agent(host.port, recovery={"mode": mode}, storage={"vault": vault[mode]}).start()
    text = agent.config.read_text().replace(f'"{mode}"', f'"{other}"').replace(vault[mode], vault[other])
    agent.config.write_text(text)
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: "agent.configured" in {line["type"] for line in agent.journal()})
    assert agent.app.get("/v1/status")["mode"] == mode, "whoever reverses goes on doing it"
    assert agent.stop() == 0
    agent.start()
    assert agent.app.get("/v1/status")["mode"] == other
