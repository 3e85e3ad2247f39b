"""Business days, batches and versions that change while a reversal is pending or on the line, with real processes."""

import sys
from collections.abc import Callable

import pytest

from tests.e2e.doubts import (
    DAY_MS,
    HOUR_MS,
    LONG,
    MINUTE_MS,
    SILENCE_MS,
    becomes,
    in_doubt,
    lose,
    net_fen,
    told,
    unheard,
)
from tests.e2e.test_defects import incidents
from tests.e2e.test_kinds import CHAINS, STAN, before, books, opened
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.otherclock import ahead_ms
from tests.support.terminal import LOST_MS, UNIONPAY
from tests.support.wire import Wire

Make = Callable[..., Agent]


@pytest.mark.parametrize(
    ("apart_ms", "believed"), [(0, True), (HOUR_MS, False), (-DAY_MS - 2 * HOUR_MS, False), (None, False)]
)
def test_no_original_is_believed_only_when_the_hosts_own_date_and_time_are_ours(
    apart_ms: int | None, *, believed: bool, make_agent: Make, host: Host
) -> None:
    morning = ahead_ms(6, 15, 10, 0)
    host.order(clock_ms=morning)
    agent = make_agent(host.port).power_on(None if apart_ms is None else morning + apart_ms)
    _, sale = agent.app.open("000902")
    agent.app.result(sale["id"], "no_answer")
    until(lambda: agent.app.state(sale["id"]) in {"no_original", "unresolved"})
    assert agent.app.state(sale["id"]) == ("no_original" if believed else "unresolved")
    noticed = [entry["type"] for entry in agent.journal() if entry["type"] == "clock.host_disagrees"]
    assert len(noticed) == (apart_ms not in {0, None})


# ── days ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["void", "completion", "completion_void"])
def test_a_reversal_that_is_pending_over_new_year_goes_on_as_the_very_same_message(
    kind: str, make_agent: Make, host: Host, wire: Wire
) -> None:
    eve, chain = ahead_ms(12, 31, 22, 30), CHAINS[kind]
    agent = make_agent(wire.port, recovery=LONG).power_on(eve)
    host.order(clock_ms=eve)
    of, date = before(host, host.port, chain)
    stood = books(host)
    key = opened(agent, chain, of, date)
    host.order(set={UNIONPAY.kind(kind).mti: "drop-reply", "0400": "drop-request"})
    assert UNIONPAY.transact(host.port, kind, STAN, chain[-1][1], of, date=date, timeout_ms=LOST_MS) is None
    agent.app.result(key, "no_answer")
    unheard(agent, host)
    until(lambda: told(agent, "reversal.exhausted", key))
    agent.kill()
    host.order(clear=True, clock_ms=eve + 2 * HOUR_MS)  # past the cut-over and past midnight
    agent.power_on(eve + 2 * HOUR_MS)
    until(lambda: agent.app.state(key) == "reversed")
    sent = wire.sent("0400")
    assert (len(sent), sent[1:]) == (4, sent[:-1]), "not a field of it knows that the year is another"
    assert sent[0].fields[61].endswith("1231") == (kind != "void")
    assert books(host) == stood | {STAN: (0, 0)}, "everything is as it was before"
    assert agent.cli("verify").returncode == 0


def test_the_day_that_the_host_named_first_outlives_a_clock_that_was_fast_and_a_power_cut(make_agent: Make, host: Host) -> None:
    """22:30, and by our clock an hour later: the sale is dated tomorrow. Tomorrow, with the right time, the host denies it."""
    evening = ahead_ms(6, 15, 22, 30)
    agent = make_agent(host.port, recovery={**LONG, "no_original_after_ms": 0}).power_on(evening + HOUR_MS)
    host.order(clock_ms=evening, scenario={"0400": ["98"] * 3})
    key = lose(agent, host, "000971")
    becomes(agent, key, "exhausted")
    assert [entry["data"]["host_day"] for entry in agent.journal() if entry["type"] == "clock.host_disagrees"] == ["0615"]
    agent.kill()
    host.order(clock_ms=evening + 11 * HOUR_MS, set={"0400": "25"})
    agent.power_on(evening + 11 * HOUR_MS)
    becomes(agent, key, "refused")
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    assert net_fen(host, "000971") == 100, "it is in the host's books of the day before"
    assert len(host.requests("0400")) == 4
    assert agent.cli("verify").returncode == 0


def test_a_clock_set_back_over_the_hosts_cut_over_does_not_bring_its_day_back(make_agent: Make, host: Host) -> None:
    evening = ahead_ms(6, 15, 22, 50)
    agent = make_agent(host.port, recovery={**LONG, "no_original_after_ms": 0}).power_on(evening)
    host.order(clock_ms=evening, scenario={"0400": ["96"] * 3})
    key = lose(agent, host, "000981")
    becomes(agent, key, "exhausted")
    host.order(clock_ms=evening + 20 * MINUTE_MS, set={"0400": "25"})  # 23:10 there
    agent.clocks.set(evening - 20 * MINUTE_MS)
    agent.clocks.sleep(20 * MINUTE_MS)  # and 22:50 here, as when the sale was made
    becomes(agent, key, "refused")
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    assert (net_fen(host, "000981"), len(host.requests("0400"))) == (100, 4)


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "ends", "net"), [("ok", "accepted", 0), ("drop-request", "expired", 100), ("25", "refused", 100)]
)
def test_a_batch_that_is_settled_while_the_0400_is_on_the_line_awaits_its_answer_and_sends_no_other(
    fault: str, ends: str, net: int, make_agent: Make, host: Host, wire: Wire
) -> None:
    agent = make_agent(wire.port, recovery=LONG).power_on()
    wire.answers.clear()
    host.order(scenario={"0400": [fault]})
    key = lose(agent, host, "000991")
    until(lambda: host.requests("0400"))
    for event, batch, closed in (("settling", "000001", 0), ("settled", "000001", 1), ("changed", "000002", 1)):
        assert agent.app.call("POST", "/v1/batch", {"batch": batch, "event": event})[0] == 200
        assert len(told(agent, "reversal.batch_closed", key)) == closed
    assert in_doubt(agent, key)["reversal"]["state"] == "sending"
    if fault == "drop-request":
        agent.clocks.sleep(SILENCE_MS)
    wire.answers.set()
    until(lambda: told(agent, "reversal.confirmed" if ends == "accepted" else f"reversal.{ends}", key))
    assert agent.app.state(key) == ("reversed" if net == 0 else "unresolved")
    if net:
        assert in_doubt(agent, key)["reversal"]["state"] == ends
        assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    agent.clocks.sleep(DAY_MS)
    agent.restart()
    other = lose(agent, host, "000992", batch="000002")
    until(lambda: agent.app.state(other) == "reversed")
    assert [row["stan"] for row in host.requests("0400")] == ["000991", "000992"], "nothing of the old batch goes any more"
    assert (net_fen(host, "000991"), net_fen(host, "000992", batch="000002")) == (net, 0)
    assert agent.cli("verify").returncode == 0


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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
