"""Windows and settlement, over real sockets with real processes whose clock is wrong, steps, or is lost with the power."""

import sys
from collections.abc import Callable

import pytest

from tests.e2e.test_defects import detail, incidents, lose
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.terminal import transact

Make = Callable[..., Agent]
SLOW = {"backoff_min_ms": 60_000, "backoff_max_ms": 60_000, "spacing_ms": 60_000, "reply_timeout_ms": 200}


def with_clock(agent: Agent, offset: str, boot: str = "another-boot") -> Agent:
    """Start it with another wall clock, and as if the machine had started anew."""
    return agent.start([sys.executable, "-m", "tests.support.otherclock", offset, boot])


def test_a_power_cut_after_the_0210_and_before_the_app_saved_it_is_reversed(agent: Agent, host: Host) -> None:
    _, sale = agent.app.open("000901")
    assert transact(host.port, "000901", 100) == "00", "the approval was on the terminal"
    agent.kill()  # and with the power the app forgot it
    with_clock(agent, "0")
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000901") == 0
    status, answer = agent.app.approve(sale["id"])
    assert (status, answer["type"]) == (409, "urn:reversald:problem:in-doubt"), "whatever it finds later: show failure"


@pytest.mark.parametrize(("clock", "believed"), [("0", True), ("3600000", False), ("-93600000", False), ("none", False)])
def test_no_original_is_believed_only_when_the_hosts_own_date_and_time_are_ours(
    clock: str, *, believed: bool, make_agent: Make, host: Host
) -> None:
    agent = with_clock(make_agent(host.port), clock)
    _, sale = agent.app.open("000902")
    agent.app.result(sale["id"], "no_answer")
    until(lambda: agent.app.state(sale["id"]) in {"no_original", "unresolved"})
    assert agent.app.state(sale["id"]) == ("no_original" if believed else "unresolved")
    noticed = [entry["type"] for entry in agent.journal() if entry["type"] == "clock.host_disagrees"]
    assert len(noticed) == (clock not in {"0", "none"})


def test_a_clock_that_steps_under_the_running_agent_delays_and_drops_nothing(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port)
    clock = agent.folder / "clock"
    clock.write_text("0")
    with_clock(agent, f"@{clock}")
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000903")
    for offset in ("34560000000", "none", "-1767225600000", "0"):  # 400 days on, lost, 1970, right again
        sends = len(host.requests("0400"))
        clock.write_text(offset)
        until(lambda before=sends: len(host.requests("0400")) > before)
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000903") == 0


def test_a_settlement_mismatch_with_an_exhausted_reversal_stays_on_record(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery=SLOW).start()
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000904")
    until(lambda: detail(agent, key)["reversal"]["state"] == "exhausted")

    gate = agent.cli("gate", "settlement", "--lang", "en")
    assert (gate.returncode, "STAN 000904" in gate.stdout) == (75, True)
    settling = {"batch": "000001", "event": "settling"}
    assert agent.app.call("POST", "/v1/batch", settling)[1] == {
        "ok": True, "proceed": "wait", "retry_after_ms": 1000, "pending_reversals": 1,
    }
    assert agent.app.get("/v1/ready")["reasons"] == ["batch_settling"]
    assert agent.app.call("POST", "/v1/batch", settling | {"event": "settled"})[0] == 200, "the app settled all the same"
    assert agent.app.state(key) == "unresolved"
    assert detail(agent, key)["reversal"]["state"] == "expired"
    found = incidents(agent)["in_doubt"]
    assert (found["owner"], found["next_action"]) == ("operator", "compare_settlement")
    assert host.net_debit_fen("000904") == 100, "the host's books still have it: the mismatch that the record explains"
    assert agent.cli("gate", "settlement").returncode == 0
    assert agent.cli("gate", "repair").returncode == 75

    agent.kill()
    agent.start()
    assert detail(agent, key)["reversal"]["state"] == "expired"
    assert agent.app.call("POST", "/v1/batch", {"batch": "000002", "event": "changed"})[0] == 200
    assert agent.app.open("000904", batch="000002")[1]["proceed"] == "go", "another transaction"
    assert len(host.requests("0400")) == 3


def test_T14_an_update_and_the_way_back_keep_the_queue(agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000905")
    assert agent.cli("gate", "upgrade").returncode == 75, "better not now; but whoever does it all the same loses nothing"
    for version in ("9.9.9", "0.0.1"):
        agent.kill()
        agent.start([sys.executable, "-m", "tests.support.otherversion", version])
        status = agent.app.get("/v1/status")
        assert (status["version"], status["pending_reversals"]) == (version, 1)
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000905") == 0
    assert agent.cli("gate", "upgrade").returncode == 0
    assert agent.cli("verify").returncode == 0
