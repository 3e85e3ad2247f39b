"""What a certification lab plays, each scenario by its name, with a real agent and a real host over real sockets."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.test_defects import detail, incidents, lose
from tests.support.agent import Agent
from tests.support.app import CHIP, until
from tests.support.broker import free_port
from tests.support.forwarder import Forwarder
from tests.support.host import Host
from tests.support.lender import Lender
from tests.support.otherclock import ahead_ms
from tests.support.terminal import LOST_MS, UNIONPAY, transact
from tests.support.wire import Wire

Make = Callable[..., Agent]
DAY_MS, MINUTE_MS = 86_400_000, 60_000
SLOW = {"backoff_min_ms": 60_000, "backoff_max_ms": 60_000, "spacing_ms": 60_000, "reply_timeout_ms": 200}
FRESH = CHIP.replace("9F36020011", "9F36020012")


# ── what the terminal could not finish ───────────────────────────────────────────────────────────────────────────────


def test_second_gac_decline(make_agent: Make, host: Host, wire: Wire) -> None:
    agent = make_agent(wire.port).start()
    _, sale = agent.app.open("000951")
    reply = UNIONPAY.transact(host.port, "sale", "000951", 100)
    assert reply is not None
    said = {"response_code": "00", "auth_code": reply.fields[38], "rrn": reply.fields[37], "chip": FRESH}
    assert agent.app.result(sale["id"], "approved_not_completed", **said)[1]["state"] in {"approved_not_completed", "reversing"}
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    [sent] = wire.sent("0400")
    assert (sent.fields[39], sent.fields[38], sent.fields[55]) == ("96", reply.fields[38], FRESH)
    assert {26, 35, 36, 37, 52, 53, 12, 13, 32}.isdisjoint(sent.fields)
    assert host.net_debit_fen("000951") == 0


def test_partial_approval_then_reversal(make_agent: Make, host: Host, wire: Wire) -> None:
    agent = make_agent(wire.port).start()
    host.order(scenario={"0200": ["partial:60"]})
    _, sale = agent.app.open("000952")
    reply = UNIONPAY.transact(host.port, "sale", "000952", 100)
    assert reply is not None
    assert (reply.fields[39], reply.fields[4], host.net_debit_fen("000952")) == ("10", "000000000060", 60)
    said: dict[str, Any] = {"response_code": "10", "approved_fen": int(reply.fields[4]), "auth_code": reply.fields[38]}
    agent.app.result(sale["id"], "approved_not_completed", **said)
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    [sent] = wire.sent("0400")
    assert sent.fields[4] == "000000000100", "the request's F4: UnionPay's rule"
    assert host.net_debit_fen("000952") == 0


def test_a_partial_approval_that_the_app_took_is_worth_the_replys_amount(agent: Agent, host: Host) -> None:
    host.order(scenario={"0200": ["partial:60"]})
    _, sale = agent.app.open("000953")
    assert transact(host.port, "000953", 100) == "10"
    _, answer = agent.app.result(sale["id"], "approved", response_code="10", approved_fen=60)
    assert (answer["state"], answer["advice"]["code"]) == ("approved", "N11")
    [approved] = [entry["data"]["approved_fen"] for entry in agent.journal() if entry["type"] == "transaction.approved"]
    assert (approved, host.net_debit_fen("000953")) == (60, 60)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_0410_A0_then_a_sign_in_then_the_same_stan_with_a_new_mac(
    pin_pad: Agent, host: Host, lender: Lender
) -> None:
    good, lender.key = lender.key, "11" * 16
    key = lose(pin_pad, host, "000804")
    until(lambda: lender.asked("sign-in"))
    assert pin_pad.app.state(key) == "reversing"
    lender.key = good
    assert pin_pad.app.call("POST", "/v1/terminal", {"event": "signed_in"})[0] == 200
    until(lambda: pin_pad.app.state(key) == "reversed")
    assert {row["stan"] for row in host.requests("0400")} == {"000804"}
    assert host.net_debit_fen("000804") == 0
    signed = [body["data"] for body in lender.asked("mac") if body["data"].startswith("0400")]
    assert len(signed) >= 2
    assert len(set(signed)) == 1, "the message is the same, only its MAC is made anew"


# ── kinds, and the turn of the year ──────────────────────────────────────────────────────────────────────────────────

CHAINS: dict[str, list[tuple[str, int]]] = {
    "void": [("sale", 100), ("void", 100)],
    "completion": [("preauth", 500), ("completion", 480)],
    "completion_void": [("preauth", 500), ("completion", 480), ("completion_void", 480)],
    "preauth_void": [("preauth", 500), ("preauth_void", 500)],
}


@pytest.mark.parametrize("kind", CHAINS)
def test_void_completion_and_completion_void_reversals_across_new_year(
    kind: str, make_agent: Make, host: Host, wire: Wire
) -> None:
    last_year = ahead_ms(12, 31, 20, 0)
    agent = make_agent(wire.port).power_on(last_year)
    host.order(clock_ms=last_year)
    *before, (_, amount_fen) = CHAINS[kind]
    for number, (earlier, fen) in enumerate(before, 1):
        reply = UNIONPAY.transact(host.port, earlier, f"00000{number}", fen, f"00000{number - 1}", date="1231")
        assert reply is not None
        assert (reply.fields[39], reply.fields[13]) == ("00", "1231")
    books = {stan: (row["net_debit_fen"], row["held_fen"]) for stan, row in host.ledger().items()}

    host.order(clock_ms=last_year + DAY_MS)
    agent.clocks.set(last_year + DAY_MS)
    of, mti = f"00000{len(before)}", UNIONPAY.kind(kind).mti
    host.order(scenario={mti: ["drop-reply"]})
    original = {"batch": "000001", "stan": of, "date": "1231"}
    status, opened = agent.app.open("000009", amount_fen, kind=kind, original=original)
    assert (status, opened["proceed"]) == (201, "go"), opened
    assert UNIONPAY.transact(host.port, kind, "000009", amount_fen, of, date="1231", timeout_ms=LOST_MS) is None
    assert host.ledger()["000009"]["date"] == "0101"
    agent.app.result(opened["id"], "no_answer")
    until(lambda: agent.app.state(opened["id"]) == "reversed")

    [sent] = wire.sent("0400")
    request = UNIONPAY.fields(kind, "000009", amount_fen, of, date="1231")
    assert {number: sent.fields[number] for number in (3, 4, 11, 25, 60, 61)} == {
        number: request[number] for number in (3, 4, 11, 25, 60, 61)
    }
    assert sent.fields[61].endswith("1231") == (kind != "void")
    after = {stan: (row["net_debit_fen"], row["held_fen"]) for stan, row in host.ledger().items()}
    assert after == books | {"000009": (0, 0)}, "everything is as it was before"


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["cross", "stray", "duplicate"])
def test_crossed_or_doubled_0410(fault: str, agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    first = lose(agent, host, "000961", 100)
    until(lambda: detail(agent, first)["reversal"]["state"] == "exhausted")
    second = until(lambda: agent.app.open("000962", 250)[1].get("proceed") == "go" and agent.key_of("000962"))
    assert transact(host.port, "000962", 250, timeout_ms=LOST_MS) is None
    agent.app.result(second, "no_answer")
    host.order(clear=True, scenario={"0400": [fault, fault]})
    until(lambda: {agent.app.state(first), agent.app.state(second)} == {"reversed"})
    assert (host.net_debit_fen("000961"), host.net_debit_fen("000962")) == (0, 0)
    assert ("crossed_reply" in incidents(agent)) == (fault != "duplicate")


def test_a_host_that_answers_25_and_then_processes_the_late_0200(make_agent: Make, host: Host) -> None:
    port = free_port()
    agent = make_agent(host.port, recovery={"mode": "relay"}, relay={"listen": f"127.0.0.1:{port}"}).start()
    host.order(scenario={"0200": ["late:2500"]})
    assert transact(port, "000963", 100, timeout_ms=LOST_MS) is None
    key = agent.key_of("000963")
    until(lambda: agent.app.state(key) == "no_original")
    assert "000963" not in host.ledger()
    until(lambda: "000963" in host.ledger())
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000963") == 0
    assert "evidence.late_response" in [entry["type"] for entry in agent.journal()]


# ── days and power ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("code", "state", "net"), [("00", "reversed", 0), ("25", "unresolved", 100)])
def test_cut_over_between_0200_and_0400(code: str, state: str, net: int, make_agent: Make, host: Host) -> None:
    evening = ahead_ms(6, 15, 22, 50)
    agent = make_agent(host.port).power_on(evening)
    host.order(clock_ms=evening, set={"0400": "drop-request"})
    key = lose(agent, host, "000971")
    until(lambda: host.requests("0400"))
    host.order(clock_ms=evening + 20 * MINUTE_MS)
    agent.clocks.set(evening + 20 * MINUTE_MS)  # 23:10: the host's next business day has begun, our calendar day has not
    host.order(set={"0400": code})
    until(lambda: agent.app.state(key) == state)
    assert host.net_debit_fen("000971") == net
    assert not detail(agent, key)["advice"]["may_pay_again"] or state == "reversed"


def test_power_cut_after_the_0210_and_before_the_app_saved_it(agent: Agent, host: Host) -> None:
    _, sale = agent.app.open("000901")
    assert transact(host.port, "000901", 100) == "00", "the approval was on the terminal"
    agent.kill()  # and with the power the app forgot it
    agent.power_on()
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000901") == 0
    status, answer = agent.app.approve(sale["id"])
    assert (status, answer["type"]) == (409, "urn:reversald:problem:in-doubt"), "whatever it finds later: show failure"


def test_settlement_mismatch_with_an_exhausted_reversal(make_agent: Make, host: Host) -> None:
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


# ── two hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fail_over_to_a_backup_host_in_mid_reversal(make_agent: Make, host: Host) -> None:
    primary, backup = Forwarder(host.port), Forwarder(host.port)
    primary.mode = "swallow"
    agent = make_agent(primary.port, acquirer={"backup_host": "127.0.0.1", "backup_port": backup.port}).start()
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000821")
    until(lambda: primary.frames)
    primary.refuse()
    until(lambda: backup.frames)
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert {row["stan"] for row in host.requests("0400")} == {"000821"}
    assert host.net_debit_fen("000821") == 0
    assert [entry["data"]["host"] for entry in agent.journal() if entry["type"] == "line.host"] == ["backup"]
    first, second = primary.frames[0], next(frame for frame in backup.frames if frame[13:15] == b"\x04\x00")
    assert len(first) == len(second)
    assert first[:-8] == second[:-8], "the same STAN and the same fields: reason 98 as long as nobody answered"
    backup.refuse()
