"""Every kind of transaction against a host with books of its own: what is reversed, what is repeated, what is only watched.

Real processes over real sockets, with a line of the agent's own and through the relay.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.test_defects import detail, incidents
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.broker import free_port
from tests.support.host import Host
from tests.support.terminal import INSTALMENT, LOST_MS, UNIONPAY
from tests.support.wire import Wire

Make = Callable[..., Agent]
Books = dict[str, tuple[int, int]]

# What a customer did before, and the transaction that is lost: (kind, fen). Each refers to the one before it.
CHAINS: dict[str, list[tuple[str, int]]] = {
    "sale": [("sale", 100)],
    "void": [("sale", 100), ("void", 100)],
    "preauth": [("preauth", 500)],
    "preauth_void": [("preauth", 500), ("preauth_void", 500)],
    "completion": [("preauth", 500), ("completion", 480)],
    "completion_void": [("preauth", 500), ("completion", 480), ("completion_void", 480)],
}
REPEATED: dict[str, list[tuple[str, int]]] = {
    "refund": [("sale", 100), ("refund", 60)],
    "offline": [("offline", 300)],
    "tip": [("sale", 100), ("tip", 10)],
}
STAN = "000009"


def books(host: Host) -> Books:
    """By STAN: what the customer has paid, and what is kept back, fen."""
    return {stan: (row["net_debit_fen"], row["held_fen"]) for stan, row in host.ledger().items()}


def before(host: Host, port: int, chain: list[tuple[str, int]]) -> tuple[str, str]:
    """Everything but the last of a chain happens; the STAN and the day of what the last one refers to."""
    stan = date = ""
    for number, (kind, amount_fen) in enumerate(chain[:-1], 1):
        reply = UNIONPAY.transact(port, kind, f"{number:06d}", amount_fen, stan, date=date, timeout_ms=10_000)
        assert reply is not None
        assert reply.fields[39] == "00"
        stan = f"{number:06d}"
        date = host.ledger()[stan]["date"]
    return stan, date


def opened(agent: Agent, chain: list[tuple[str, int]], of: str, date: str) -> str:
    """The last of a chain has its go; its id."""
    kind, amount_fen = chain[-1]
    named: dict[str, Any] = {"original": {"batch": "000001", "stan": of, "date": date}} if of else {}
    status, answer = agent.app.open(STAN, amount_fen, kind=kind, **named)
    assert (status, answer["proceed"]) == (201, "go"), answer
    return str(answer["id"])


# ── what is reversed ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_chains_are_the_kinds_of_the_profile() -> None:
    kinds = UNIONPAY.profile.kinds
    assert set(CHAINS) == {kind.name for kind in kinds if kind.in_doubt == "reverse"}
    assert set(REPEATED) == {kind.name for kind in kinds if kind.in_doubt == "repeat"}


@pytest.mark.parametrize("kind", CHAINS)
def test_a_doubt_is_reversed_and_the_books_are_as_before(kind: str, make_agent: Make, host: Host) -> None:
    wire = Wire(host.port)
    agent, chain = make_agent(wire.port).start(), CHAINS[kind]
    of, date = before(host, host.port, chain)
    was, amount_fen = books(host), chain[-1][1]
    host.order(scenario={UNIONPAY.kind(kind).mti: ["drop-reply"]})
    key = opened(agent, chain, of, date)
    assert UNIONPAY.transact(host.port, kind, STAN, amount_fen, of, date=date, timeout_ms=LOST_MS) is None
    assert books(host) != was | {STAN: (0, 0)}, "the host booked it"
    agent.app.result(key, "no_answer")
    until(lambda: agent.app.state(key) == "reversed")
    assert books(host) == was | {STAN: (0, 0)}
    [sent] = wire.sent("0400")
    wire.refuse()
    said = UNIONPAY.fields(kind, STAN, amount_fen, of, date=date)
    assert {number: sent.fields.get(number) for number in (3, 4, 11, 25, 60, 61)} == {
        number: said.get(number) for number in (3, 4, 11, 25, 60, 61)
    }
    assert sent.fields[25] == ("06" if "preauth" in kind or "completion" in kind else "00")
    assert agent.cli("verify").returncode == 0


@pytest.mark.parametrize("kind", CHAINS)
def test_what_the_terminal_could_not_finish_is_reversed_with_96_and_its_authorization(
    kind: str, make_agent: Make, host: Host
) -> None:
    wire = Wire(host.port)
    agent, chain = make_agent(wire.port).start(), CHAINS[kind]
    of, date = before(host, host.port, chain)
    was = books(host)
    key = opened(agent, chain, of, date)
    reply = UNIONPAY.transact(host.port, kind, STAN, chain[-1][1], of, date=date)
    assert reply is not None
    agent.app.result(key, "approved_not_completed", response_code="00", auth_code=reply.fields[38])
    until(lambda: agent.app.state(key) == "reversed")
    [sent] = wire.sent("0400")
    wire.refuse()
    assert (sent.fields[39], sent.fields[38]) == ("96", reply.fields[38])
    assert books(host) == was | {STAN: (0, 0)}


def test_a_decline_that_may_hide_a_booking_is_a_case_for_the_settlement_and_not_reversed(agent: Agent, host: Host) -> None:
    host.order(scenario={"0200": ["91+processed"]})
    key = opened(agent, CHAINS["sale"], "", "")
    reply = UNIONPAY.transact(host.port, "sale", STAN, 100)
    assert reply is not None
    assert agent.app.result(key, "declined", response_code=reply.fields[39])[1]["state"] == "declined_uncertain"
    found = incidents(agent)["declined_uncertain"]
    assert (found["owner"], found["next_action"]) == ("operator", "compare_settlement")
    assert (host.requests("0400"), host.net_debit_fen(STAN)) == ([], 100)
    assert detail(agent, key)["advice"]["code"] == "P6"


def test_what_was_voided_releases_no_goods_and_a_void_that_came_to_nothing_does_not_count(agent: Agent, host: Host) -> None:
    sale_fen = CHAINS["void"][0][1]
    sale = str(agent.app.open("000001", sale_fen)[1]["id"])
    assert UNIONPAY.transact(host.port, "sale", "000001", sale_fen) is not None
    assert not agent.app.approve(sale)[1]["advice"]["hold_goods"]
    host.order(scenario={"0200": ["drop-reply"]})
    lost = opened(agent, CHAINS["void"], "000001", host.ledger()["000001"]["date"])
    assert UNIONPAY.transact(host.port, "void", STAN, sale_fen, "000001", timeout_ms=LOST_MS) is None
    agent.app.result(lost, "no_answer")
    until(lambda: agent.app.state(lost) == "reversed")
    assert [detail(agent, key)["advice"]["hold_goods"] for key in (sale, lost)] == [False, False]
    status, again = agent.app.open("000010", sale_fen, kind="void", original={"batch": "000001", "stan": "000001"})
    assert (status, again["proceed"]) == (201, "go")
    reply = UNIONPAY.transact(host.port, "void", "000010", sale_fen, "000001")
    assert reply is not None
    assert agent.app.result(again["id"], "approved", response_code=reply.fields[39])[1]["state"] == "approved"
    assert host.net_debit_fen("000010") == -sale_fen
    for _ in range(2):
        advice = detail(agent, sale)["advice"]
        assert (advice["code"], advice["hold_goods"], advice["may_pay_again"]) == ("N14", True, False)
        assert detail(agent, lost)["advice"]["hold_goods"], "the void that was reversed leaves the goods to nobody"
        assert "N14" in agent.cli("show", "000001").stdout
        agent.kill()
        agent.start()


# ── what is repeated ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", REPEATED)
def test_an_advice_without_an_answer_is_repeated_as_it_is_and_never_reversed(kind: str, agent: Agent, host: Host) -> None:
    chain = REPEATED[kind]
    of, date = before(host, host.port, chain)
    key, amount_fen = opened(agent, chain, of, date), chain[-1][1]
    host.order(scenario={"0220": ["drop-reply", "drop-reply"]})
    for _ in range(2):
        assert UNIONPAY.transact(host.port, kind, STAN, amount_fen, of, date=date, timeout_ms=LOST_MS) is None
        assert agent.app.result(key, "no_answer")[1]["state"] == "in_doubt"
        assert incidents(agent)["in_doubt"]["next_action"] == "repeat_the_same"
        assert agent.app.call("POST", f"/v1/transactions/{key}/sent")[1]["proceed"] == "go"
    reply = UNIONPAY.transact(host.port, kind, STAN, amount_fen, of, date=date)
    assert reply is not None
    assert agent.app.result(key, "approved", response_code=reply.fields[39])[1]["state"] == "approved"
    row = host.ledger()[STAN]
    assert (row["net_debit_fen"], row["repeats"]) == (-amount_fen if kind == "refund" else amount_fen, 2)
    assert host.requests("0400") == []
    assert incidents(agent) == {}


def test_stored_advice_is_uploaded_ahead_of_the_0500_while_a_new_customer_is_refused(agent: Agent, host: Host) -> None:
    assert agent.app.call("POST", "/v1/batch", {"batch": "000001", "event": "settling"})[1]["proceed"] == "go"
    key = opened(agent, REPEATED["offline"], "", "")
    reply = UNIONPAY.transact(host.port, "offline", STAN, 300)
    assert reply is not None
    assert agent.app.result(key, "approved", response_code=reply.fields[39])[1]["state"] == "approved"
    assert agent.app.open("000010")[1]["proceed"] == "refuse"
    assert books(host) == {STAN: (300, 0)}


def test_a_refund_in_doubt_outlives_a_kill_and_its_closed_batch_makes_it_the_settlements(agent: Agent, host: Host) -> None:
    chain = REPEATED["refund"]
    of, date = before(host, host.port, chain)
    key = opened(agent, chain, of, date)
    agent.app.result(key, "no_answer")
    agent.kill()
    agent.start()
    assert agent.app.state(key) == "in_doubt"
    assert agent.app.call("POST", "/v1/batch", {"batch": "000001", "event": "settled"})[0] == 200
    assert agent.app.state(key) == "unresolved"
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    assert agent.app.call("POST", f"/v1/transactions/{key}/sent")[0] == 409
    assert host.requests("0400") == []


# ── what is only watched ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kind_that_is_only_watched_is_reported_and_never_reversed(agent: Agent, host: Host) -> None:
    host.order(scenario={"0200": ["drop-reply"]})
    status, answer = agent.app.open(STAN, 900, kind="instalment")
    assert (status, answer["proceed"]) == (201, "go")
    assert UNIONPAY.transact(host.port, "instalment", STAN, 900, timeout_ms=LOST_MS) is None
    assert agent.app.result(answer["id"], "no_answer")[1]["state"] == "unresolved"
    assert detail(agent, answer["id"])["advice"]["code"] == "P5k"
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    status, sale = agent.app.open("000010")
    assert (status, sale["proceed"]) == (201, "go"), "it holds up nobody"
    assert (host.requests("0400"), host.net_debit_fen(STAN)) == ([], 900)


# ── through the relay ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def relayed(make_agent: Make, host: Host) -> tuple[Agent, int]:
    """An agent on the terminal's line, and where it listens."""
    port = free_port()
    agent = make_agent(host.port, recovery={"mode": "relay", "hold_ms": 10_000}, relay={"listen": f"127.0.0.1:{port}"})
    return agent.start(), port


@pytest.mark.parametrize("kind", CHAINS)
def test_through_the_relay_a_doubt_is_reversed_and_the_books_are_as_before(
    kind: str, relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    chain = CHAINS[kind]
    of, date = before(host, port, chain)
    was = books(host)
    host.order(scenario={UNIONPAY.kind(kind).mti: ["drop-reply"]})
    assert UNIONPAY.transact(port, kind, STAN, chain[-1][1], of, date=date, timeout_ms=LOST_MS) is None
    until(lambda: agent.app.state(agent.key_of(STAN)) == "reversed")
    assert books(host) == was | {STAN: (0, 0)}
    assert agent.cli("verify").returncode == 0


@pytest.mark.parametrize("kind", REPEATED)
def test_through_the_relay_the_same_advice_passes_until_it_is_answered(
    kind: str, relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    chain = REPEATED[kind]
    of, date = before(host, port, chain)
    host.order(scenario={"0220": ["drop-reply"], "0221": ["close"]})
    said, amount_fen = UNIONPAY.fields(kind, STAN, chain[-1][1], of, date=date), chain[-1][1]
    assert [UNIONPAY.ask(port, mti, said, LOST_MS) for mti in ("0220", "0221")] == [None, None]
    agent.kill()
    agent.start()
    for mti in ("0221", "0220"):  # the second comes though it was answered: the terminal did not save the answer
        reply = UNIONPAY.ask(port, mti, said, 10_000)
        assert reply is not None
        assert (reply.mti, reply.fields[39]) == ("0230", "00")
    until(lambda: agent.app.state(agent.key_of(STAN)) == "approved")
    row = host.ledger()[STAN]
    assert row["net_debit_fen"] == (-amount_fen if kind == "refund" else amount_fen)
    assert (host.requests("0400"), incidents(agent)) == ([], {})


def test_through_the_relay_what_nobody_lists_passes_and_is_reported_when_its_answer_is_lost(
    relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    host.order(scenario={"0200": ["drop-reply"]})
    assert UNIONPAY.transact(port, INSTALMENT.name, STAN, 900, timeout_ms=LOST_MS) is None
    until(lambda: agent.app.state(agent.key_of(STAN)) == "unresolved")
    reply = UNIONPAY.transact(port, INSTALMENT.name, "000010", 900, timeout_ms=10_000)
    assert reply is not None
    assert reply.fields[39] == "00"
    until(lambda: agent.app.state(agent.key_of("000010")) == "approved")
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    assert host.requests("0400") == []


def test_through_the_relay_a_balance_inquiry_leaves_no_trace(relayed: tuple[Agent, int], host: Host) -> None:
    agent, port = relayed
    reply = UNIONPAY.transact(port, "balance", STAN, 0, timeout_ms=10_000)
    assert reply is not None
    assert (reply.fields[39], reply.fields[54][-12:]) == ("00", "000000100000")
    assert [entry for entry in agent.journal() if entry["type"] == "transaction.opened"] == []


def test_through_the_relay_a_settlement_closes_the_batch_and_clears_no_record(relayed: tuple[Agent, int], host: Host) -> None:
    agent, port = relayed
    host.order(scenario={"0100": ["drop-reply"]}, set={"0400": "drop-request"})
    assert UNIONPAY.transact(port, "preauth", STAN, 500, timeout_ms=LOST_MS) is None
    until(lambda: detail(agent, agent.key_of(STAN))["reversal"]["state"] == "exhausted")
    said = {11: "000020", 41: "12345678", 42: "898310148160001", 48: "0" * 62, 49: "156", 60: "00000001201"}
    reply = UNIONPAY.ask(port, "0500", said, 15_000)
    assert reply is not None
    assert reply.fields[39] == "00"
    until(lambda: detail(agent, agent.key_of(STAN))["reversal"]["state"] == "expired")
    assert agent.app.state(agent.key_of(STAN)) == "unresolved"
    assert books(host)[STAN] == (0, 500), "the hold stands: the settlement tells"


def test_through_the_relay_a_partial_approval_passes_and_the_apps_own_reversal_of_it_is_adopted(
    relayed: tuple[Agent, int], host: Host
) -> None:
    agent, port = relayed
    host.order(scenario={"0200": ["partial:60"]})
    reply = UNIONPAY.transact(port, "sale", STAN, 100, timeout_ms=10_000)
    assert reply is not None
    assert (reply.fields[39], reply.fields[4]) == ("10", "000000000060")
    key = agent.key_of(STAN)
    until(lambda: agent.app.state(key) == "approved")
    assert detail(agent, key)["advice"]["code"] == "N11"
    own = {number: text for number, text in UNIONPAY.fields("sale", STAN, 100).items() if number != 55} | {39: "96"}
    reply = UNIONPAY.ask(port, "0400", own, 10_000)
    assert reply is not None
    assert reply.fields[39] == "00"
    until(lambda: agent.app.state(key) == "reversed")
    assert (books(host)[STAN], len(host.requests("0400"))) == ((0, 0), 1)
