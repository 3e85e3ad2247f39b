"""The relay as real processes: a lost answer, the turn of the next sale, and `kill -9` around each commit."""

import json
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.device.acquirer import certificates
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.broker import free_port
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact

Make = Callable[..., Agent]
FINAL = {"approved", "reversed", "no_original", "not_sent", "unresolved"}


@pytest.fixture
def relayed(make_agent: Make, host: Host) -> tuple[Agent, int]:
    """An agent that stands on the terminal's line, not started yet, and where it listens."""
    port = free_port()
    agent = make_agent(host.port, recovery={"mode": "relay", "hold_ms": 10_000}, relay={"listen": f"127.0.0.1:{port}"})
    return agent, port


def test_a_lost_answer_is_reversed_ahead_of_the_next_sale_which_is_held_meanwhile(
    relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    agent.start()
    host.order(set={"0200": "drop-reply", "0400": "delay:300"})
    assert transact(port, "000401", 100, timeout_ms=LOST_MS) is None
    host.order(set={"0200": "ok"})
    assert transact(port, "000402", 250, timeout_ms=10_000) == "00"
    lines = [json.loads(line) for line in host.log.read_text().splitlines() if line.startswith("{")]
    seen = [(line["mti"], line["stan"]) for line in lines if line["what"] in {"in", "out"} and line["mti"] in {"0200", "0410"}]
    assert seen == [("0200", "000401"), ("0410", "000401"), ("0200", "000402")]
    assert (host.net_debit_fen("000401"), host.net_debit_fen("000402")) == (0, 250)
    until(lambda: agent.app.state(agent.key_of("000402")) == "approved")
    assert agent.app.state(agent.key_of("000401")) == "reversed"
    assert agent.cli("verify").returncode == 0


def test_a_sale_that_is_held_too_long_is_not_sent_and_may_be_repeated(make_agent: Make, host: Host) -> None:
    port = free_port()
    agent = make_agent(
        host.port, recovery={"mode": "relay", "hold_ms": 150, "reply_timeout_ms": 900}, relay={"listen": f"127.0.0.1:{port}"}
    ).start()
    host.order(scenario={"0200": ["drop-reply"], "0400": ["drop-reply"]})
    assert transact(port, "000411", 100, timeout_ms=LOST_MS) is None
    assert transact(port, "000412", 100, timeout_ms=10_000) is None
    assert agent.app.state(agent.key_of("000412")) == "not_sent"
    assert [row["stan"] for row in host.requests("0200")] == ["000411"]
    until(lambda: agent.app.state(agent.key_of("000411")) == "reversed")
    assert transact(port, "000412", 100, timeout_ms=10_000) == "00"


def test_how_long_a_request_is_held_changes_with_a_reload(make_agent: Make, host: Host) -> None:
    port = free_port()
    agent = make_agent(host.port, recovery={"mode": "relay", "hold_ms": 0}, relay={"listen": f"127.0.0.1:{port}"}).start()
    agent.config.write_text(agent.config.read_text().replace("hold_ms = 0", "hold_ms = 10000"))
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: "agent.configured" in {entry["type"] for entry in agent.journal()})
    host.order(set={"0200": "drop-reply", "0400": "delay:300"})
    assert transact(port, "000413", 100, timeout_ms=LOST_MS) is None
    host.order(set={"0200": "ok"})
    assert transact(port, "000414", 100, timeout_ms=10_000) == "00"


def test_towards_the_host_the_relay_and_the_reversals_of_its_own_go_by_tls(
    make_agent: Make, make_host: Callable[..., Host], tmp_path: Path
) -> None:
    files, port = certificates.make(tmp_path), free_port()
    files.key.chmod(0o600)
    host = make_host("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--tls-ca", str(files.ca))
    tls = {"tls_enabled": True, "tls_ca": str(files.ca), "tls_cert": str(files.cert), "tls_key": str(files.key)}
    agent = make_agent(host.port, recovery={"mode": "relay"}, relay={"listen": f"127.0.0.1:{port}"}, acquirer=tls).start()
    host.order(scenario={"0200": ["drop-reply"]})
    assert transact(port, "000421", 100, timeout_ms=LOST_MS) is None
    until(lambda: agent.app.state(agent.key_of("000421")) == "reversed")
    assert transact(port, "000422", 100, timeout_ms=10_000) == "00"
    assert (host.net_debit_fen("000421"), host.net_debit_fen("000422")) == (0, 100)


def test_certificates_that_go_away_while_it_runs_keep_no_terminal_waiting(
    make_agent: Make, make_host: Callable[..., Host], tmp_path: Path
) -> None:
    files, port = certificates.make(tmp_path), free_port()
    files.key.chmod(0o600)
    host = make_host("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    tls = {"tls_enabled": True, "tls_ca": str(files.ca), "tls_cert": str(files.cert), "tls_key": str(files.key)}
    agent = make_agent(host.port, recovery={"mode": "relay"}, relay={"listen": f"127.0.0.1:{port}"}, acquirer=tls).start()
    for path in files:
        path.unlink()
    assert transact(port, "000423", 100, timeout_ms=10_000) == "00"
    assert "Traceback" not in agent.log.read_text()


def test_an_address_that_cannot_be_listened_on_is_named_with_its_key(make_agent: Make, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        agent = make_agent(1, recovery={"mode": "relay"}, relay={"listen": taken}).start(wait=False)
        assert agent.dead() == 69
        assert f"relay.listen {taken}: " in agent.log.read_text()
        agent = make_agent(1, hook={"listen": taken, "token_file": str(token)}).start(wait=False)
        assert agent.dead() == 69
        assert f"hook.listen {taken}: " in agent.log.read_text()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [2, 3, 4])  # 1 is the boot; opened-and-sent, answered, forwarded
def test_a_sale_survives_a_kill_around_each_of_its_commits(
    when: str, number: int, relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    agent.start([sys.executable, "-m", "tests.support.killer", when, str(number)])
    heard = transact(port, "000421", 100, timeout_ms=5_000)
    agent.dead()
    agent.start()
    if (when, number) == ("before", 2):
        assert heard is None
        assert not host.requests("0200")
        return
    key = agent.key_of("000421")
    until(lambda: agent.app.state(key) in FINAL)
    state, net = agent.app.state(key), host.ledger().get("000421", {}).get("net_debit_fen", 0)
    if heard == "00":
        assert (state, net) in {("approved", 100), ("unresolved", 100)}
    else:
        assert (state, net) in {("reversed", 0), ("no_original", 0), ("unresolved", 100)}
    if state == "unresolved":  # a person looks at the terminal, and it shows no success
        assert agent.app.call("POST", f"/v1/transactions/{key}/recover", {"by": "manager"})[0] == 200
        until(lambda: agent.app.state(key) == "reversed")
        assert host.net_debit_fen("000421") == 0
    assert agent.cli("verify").returncode == 0


@pytest.mark.parametrize(("when", "number"), [("before", 3), ("after", 3), ("after", 4)])  # doubt, doubt, send
def test_a_reversal_survives_a_kill_around_each_of_its_commits(
    when: str, number: int, relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    agent.start([sys.executable, "-m", "tests.support.killer", when, str(number)])
    host.order(set={"0200": "drop-reply"})
    assert transact(port, "000431", 100, timeout_ms=LOST_MS) is None
    agent.dead()
    agent.start()
    until(lambda: agent.app.state(agent.key_of("000431")) == "reversed")
    assert host.net_debit_fen("000431") == 0
    assert {row["stan"] for row in host.requests("0400")} == {"000431"}
    assert agent.cli("verify").returncode == 0
