"""The main job: a sale whose answer was lost is reversed by itself after a power cut, and its card number is gone."""

import sqlite3

from tests.support.agent import Agent
from tests.support.app import PAN, until
from tests.support.host import Host
from tests.support.terminal import transact


def test_a_lost_sale_is_reversed_by_itself_after_kill_and_restart_offline(agent: Agent, host: Host) -> None:
    app = agent.app
    status, sale = app.open("000123", 100)
    assert (status, sale["proceed"]) == (201, "go")
    host.order(set={"0200": "drop-reply"})
    assert transact(host.port, "000123", 100) is None
    host.order(refuse=True, cut=True)
    status, answer = app.result(sale["id"], "no_answer")
    assert (status, answer["state"], answer["advice"]["code"]) == (200, "in_doubt", "P3")
    assert host.net_debit_fen("000123") == 100

    agent.kill()
    agent.start()
    assert app.get("/v1/status")["pending_reversals"] == 1
    assert app.state(sale["id"]) in {"in_doubt", "reversing"}

    host.order(refuse=False, clear=True)
    until(lambda: app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000123") == 0
    advice = app.get(f"/v1/transactions/{sale['id']}")["advice"]
    assert (advice["code"], advice["may_pay_again"], advice["hold_goods"]) == ("P4b", True, True)
    until(lambda: not app.get("/v1/status")["scrub_owed"])
    until(lambda: host.requests("0820"))
    assert_no_pan(agent, host)
    assert agent.stop() == 0


def test_an_approved_sale_is_never_reversed_whatever_is_killed(agent: Agent, host: Host) -> None:
    _, sale = agent.app.open("000124", 250)
    assert transact(host.port, "000124", 250) == "00"
    assert agent.app.approve(sale["id"])[1]["state"] == "approved"
    agent.kill()
    agent.start()
    assert agent.app.state(sale["id"]) == "approved"
    assert agent.app.get(f"/v1/transactions/{sale['id']}")["reversal"] is None
    assert host.net_debit_fen("000124") == 250


def assert_no_pan(agent: Agent, host: Host) -> None:
    """The card number is nowhere in what the agent keeps, logs or tells."""
    pan = PAN.encode()
    for path in [*agent.folder.glob("reversald.db*"), agent.log, host.log]:
        assert pan not in path.read_bytes(), path
    for (body,) in sqlite3.connect(f"file:{agent.database}?mode=ro", uri=True).execute("SELECT body FROM journal"):
        assert pan not in body
    for words in (["status"], ["show", "000123"], ["incidents"]):
        done = agent.cli(*words)
        assert done.returncode == 0, done.stderr
        assert PAN not in done.stdout + done.stderr
