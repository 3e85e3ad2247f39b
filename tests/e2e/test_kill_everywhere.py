"""`kill -9` right before and right after every commit of a sale and of a reversal: nothing is lost, nothing done twice."""

import sys
from collections.abc import Callable

import pytest

from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact

FINAL = {"approved", "reversed", "not_sent"}


def killer(when: str, number: int) -> list[str]:
    """The launcher that kills the agent at its N-th commit."""
    return [sys.executable, "-m", "tests.support.killer", when, str(number)]


def insist(agent: Agent, call: Callable[[], tuple[int, dict[str, object]]]) -> tuple[int, dict[str, object]]:
    """Ask until there is an answer, restarting the agent when it has died: what a payment app does."""
    for _ in range(4):
        try:
            return call()
        except OSError:
            agent.dead()
            agent.start()
    raise AssertionError("no answer after four restarts")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [2, 3])  # 1 is the boot; opened-and-sent, result
def test_a_sale_survives_a_kill_around_each_of_its_commits(
    when: str, number: int, host: Host, make_agent: Callable[..., Agent]
) -> None:
    agent = make_agent(host.port).start(killer(when, number))
    _, sale = insist(agent, lambda: agent.app.open("000201", 100, key="sale-201"))
    key = str(sale["id"])
    if sale["proceed"] == "go":
        assert transact(host.port, "000201", 100) == "00"
        status, answer = insist(agent, lambda: agent.app.approve(key))
        assert status in {200, 409}
        assert answer["state"] in {"approved", "in_doubt", "reversing", "reversed"}
    until(lambda: agent.app.state(key) in FINAL)
    paid = agent.app.state(key) == "approved"
    booked = host.ledger().get("000201", {}).get("net_debit_fen", 0)
    assert booked == (100 if paid else 0)
    if not paid:
        assert not host.requests("0200") or host.requests("0400")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])  # boot, open, doubt, send, 0410 (the echo follows)
def test_a_reversal_survives_a_kill_around_each_of_its_commits(
    when: str, number: int, host: Host, make_agent: Callable[..., Agent]
) -> None:
    agent = make_agent(host.port).start(killer(when, number), wait=number != 1)
    if number == 1:
        agent.dead()
        agent.start()
    host.order(set={"0200": "drop-reply"})
    _, sale = insist(agent, lambda: agent.app.open("000301", 100, key="sale-301"))
    key = str(sale["id"])
    if sale["proceed"] == "go":
        assert transact(host.port, "000301", 100, timeout_ms=LOST_MS) is None
        status, answer = insist(agent, lambda: agent.app.result(key, "no_answer"))
        assert (status, answer["state"]) in {(200, "in_doubt"), (200, "reversing"), (200, "reversed")}

    def settled() -> bool:
        assert agent.process is not None
        if agent.process.poll() is not None:
            agent.start()
        return agent.app.state(key) in FINAL

    until(settled)
    assert host.ledger().get("000301", {}).get("net_debit_fen", 0) == 0
    assert {row["stan"] for row in host.requests("0400")} <= {"000301"}
    done = agent.cli("verify")
    assert done.returncode == 0, done.stdout + done.stderr
