"""Windows and settlement, over real sockets with real processes whose clock is wrong, steps, or is lost with the power."""

import sys
from collections.abc import Callable

import pytest

from tests.e2e.test_defects import lose
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host

Make = Callable[..., Agent]


@pytest.mark.parametrize(("clock", "believed"), [("0", True), ("3600000", False), ("-93600000", False), ("none", False)])
def test_no_original_is_believed_only_when_the_hosts_own_date_and_time_are_ours(
    clock: str, *, believed: bool, make_agent: Make, host: Host
) -> None:
    agent = make_agent(host.port).start_with_clock(clock)
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
    agent.start_with_clock(f"@{clock}")
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000903")
    for offset in ("34560000000", "none", "-1767225600000", "0"):  # 400 days on, lost, 1970, right again
        sends = len(host.requests("0400"))
        clock.write_text(offset)
        until(lambda before=sends: len(host.requests("0400")) > before)
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000903") == 0


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
