"""What the stories about clocks, windows and numbers share: a doubt, how it is looked at, and how it must end."""

import socket
from typing import Any

from tests.e2e.test_defects import detail, incidents
from tests.support.agent import Agent
from tests.support.app import TERMINAL, until
from tests.support.host import Host
from tests.support.terminal import BATCH, UNIONPAY
from tests.support.waiting import PATIENCE_S

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
# Longer than the patience of any test: only the clocks of the agent's machine end these waits.
SILENCE_MS, SPACING_MS = 5 * MINUTE_MS, 10 * MINUTE_MS
LONG = {
    "reply_timeout_ms": SILENCE_MS, "answer_timeout_ms": SPACING_MS, "no_original_after_ms": SPACING_MS,
    "spacing_ms": SPACING_MS, "backoff_min_ms": SPACING_MS, "backoff_max_ms": SPACING_MS,
}
PATIENCE_MS = int(PATIENCE_S * SECOND_MS)


def request(stan: str, batch: str = BATCH, terminal_id: str = TERMINAL) -> dict[int, str]:
    """The fields of a sale of 1.00."""
    return UNIONPAY.fields("sale", stan, 100, batch=batch) | {41: terminal_id}


def swallowed(port: int, host: Host, stan: str, **of: str) -> None:
    """A sale of 1.00 goes out to `port` and into the host's books, and nobody hears an answer."""
    host.order(set={"0200": "drop-reply"})
    with socket.create_connection(("127.0.0.1", port), 20) as line:
        line.sendall(UNIONPAY.frame("0200", request(stan, **of)))
        until(lambda: net_fen(host, stan, **of) == 100)


def opened(agent: Agent, stan: str, **of: Any) -> str:
    """A sale of 1.00 that may be sent; its id."""
    status, sale = agent.app.open(stan, **of)
    assert (status, sale["proceed"]) == (201, "go"), sale
    return str(sale["id"])


def lose(agent: Agent, host: Host, stan: str, **of: str) -> str:
    """A sale that the host books and whose answer is lost; its id, already in doubt."""
    key = opened(agent, stan, **of)
    swallowed(host.port, host, stan, **of)
    assert agent.app.result(key, "no_answer")[1]["state"] == "in_doubt"
    return key


def sold(agent: Agent, host: Host, stan: str, **of: str) -> str:
    """A sale that is approved, which is an opportunity for what is pending as well; its id."""
    key = opened(agent, stan, **of)
    host.order(set={"0200": "ok"})
    reply = UNIONPAY.ask(host.port, "0200", request(stan, **of), PATIENCE_MS)
    assert reply is not None
    assert reply.fields[39] == "00"
    assert agent.app.approve(key)[1]["state"] == "approved"
    return key


def put_off(agent: Agent, host: Host, stan: str, **of: str) -> str:
    """A sale that is lost, and whose reversal the host puts off as often as it is sent at first; its id."""
    host.order(set={"0400": "96"})
    key = lose(agent, host, stan, **of)
    becomes(agent, key, "exhausted")
    return key


def unheard(agent: Agent, host: Host) -> None:
    """The three 0400s of a first opportunity are met with silence, each for as long as an answer may take."""
    for sends in (1, 2, 3):
        until(lambda number=sends: len(host.requests("0400")) == number)
        agent.clocks.sleep(SILENCE_MS)


def told(agent: Agent, type_: str, key: str) -> list[dict[str, Any]]:
    """What its journal has of one type about this transaction."""
    return [entry for entry in agent.journal() if (entry["type"], entry["transaction"]) == (type_, key)]


def in_doubt(agent: Agent, key: str) -> dict[str, Any]:
    """The transaction, whose customer has neither the goods nor may pay again."""
    found = detail(agent, key)
    assert (found["advice"]["hold_goods"], found["advice"]["may_pay_again"]) == (True, False), found
    return found


def becomes(agent: Agent, key: str, state: str) -> None:
    """Its reversal comes to this state, and on the way nobody is told to hand out the goods or to pay again."""
    until(lambda: in_doubt(agent, key)["reversal"]["state"] == state)


def net_fen(host: Host, stan: str, batch: str = BATCH, terminal_id: str = TERMINAL) -> int:
    """What the customer of this very transaction has paid."""
    rows = host.order(ledger=True)["ledger"]
    key = (terminal_id, batch, stan)
    return sum(row["net_debit_fen"] for row in rows if (row["terminal_id"], row["batch"], row["stan"]) == key)


def reversed_by(agent: Agent, host: Host, key: str, stan: str, sends: int) -> None:
    """It comes to its end with this number of 0400s: nobody has paid, the customer may pay again, and the journal is whole."""
    until(lambda: agent.app.state(key) == "reversed")
    assert detail(agent, key)["advice"]["may_pay_again"]
    assert (net_fen(host, stan), [row["stan"] for row in host.requests("0400")]) == (0, [stan] * sends)
    assert len(told(agent, "reversal.sent", key)) - len(told(agent, "reversal.not_left", key)) == sends
    assert "in_doubt" not in incidents(agent)
    assert "Traceback" not in agent.log.read_text()
    assert agent.cli("verify").returncode == 0
