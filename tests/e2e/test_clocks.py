"""A machine whose wall clock steps, begins in 1970, or whose lid is closed, while a reversal is pending or on the line.

The agent, its journal and the host are real processes; `tests.support.otherclock` shifts what the agent's machine says of time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.doubts import (
    DAY_MS,
    HOUR_MS,
    LONG,
    MINUTE_MS,
    PATIENCE_MS,
    SECOND_MS,
    SILENCE_MS,
    SPACING_MS,
    becomes,
    in_doubt,
    lose,
    net_fen,
    opened,
    put_off,
    reversed_by,
    sold,
    swallowed,
    told,
)
from tests.e2e.test_defects import detail, incidents
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.broker import free_port
from tests.support.host import Host
from tests.support.lender import Lender
from tests.support.otherclock import ahead_ms
from tests.support.payapp import PayappProcess
from tests.support.terminal import transact
from tests.support.wire import Wire

Make = Callable[..., Agent]


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_steps_under_the_running_agent_delays_and_drops_nothing(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port).power_on()
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000903")
    for ahead in (HOUR_MS, 400 * DAY_MS, None, -400 * DAY_MS, 0):
        sends = len(host.requests("0400"))
        agent.clocks.set(ahead)
        until(lambda before=sends: len(host.requests("0400")) > before)
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert net_fen(host, "000903") == 0


@pytest.mark.parametrize(
    ("steps", "killed"), [((HOUR_MS, -HOUR_MS, 400 * DAY_MS, None, -400 * DAY_MS), False), ((400 * DAY_MS, -DAY_MS), True)]
)
def test_a_step_of_the_wall_clock_brings_no_0400_forward_and_holds_none_up(
    steps: tuple[int | None, ...], *, killed: bool, make_agent: Make, host: Host
) -> None:
    agent = make_agent(host.port, recovery=LONG).power_on()
    key = put_off(agent, host, "000911")
    for number, ahead in enumerate(steps):
        agent.clocks.set(ahead)
        if killed:
            agent.restart()
        sold(agent, host, f"00092{number}")
        assert in_doubt(agent, key)["reversal"]["state"] == "exhausted", "an opportunity, but not before its time"
    host.order(clear=True)
    agent.clocks.sleep(SPACING_MS)
    reversed_by(agent, host, key, "000911", sends=4)
    assert [host.net_debit_fen(f"00092{number}") for number in range(len(steps))] == [100] * len(steps)


def test_a_terminal_that_starts_in_1970_believes_no_day_and_gets_its_time_later(make_agent: Make, host: Host) -> None:
    agent, morning = make_agent(host.port).power_on(None), ahead_ms(6, 15, 10, 0)
    host.order(clock_ms=morning, set={"0400": "drop-request"})
    early = lose(agent, host, "000931")
    until(lambda: host.requests("0400"))
    agent.restart()
    agent.clocks.set(morning)  # NTP
    host.order(set={"0400": "25"})  # of a sale that it has booked
    becomes(agent, early, "refused")
    assert agent.app.state(early) == "unresolved"
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    assert host.net_debit_fen("000931") == 100, "what the host denied stands in its books"

    _, late = agent.app.open("000932")
    agent.app.result(late["id"], "no_answer")
    until(lambda: agent.app.state(late["id"]) == "no_original")
    assert detail(agent, late["id"])["advice"]["may_pay_again"], "of this one the day is known, and it never reached the host"
    shown = agent.cli("show", "000931", "--lang", "en").stdout
    assert "boot+" in shown, "no date is made up for what happened before"
    assert told(agent, "reversal.sent", early)[0]["wall_ms"] is None
    assert told(agent, "reversal.refused", early)[0]["wall_ms"] is not None
    assert agent.cli("verify").returncode == 0


@pytest.mark.parametrize("known", [True, False])
def test_after_a_power_cut_an_age_that_nobody_can_prove_lets_no_25_be_believed(
    *, known: bool, make_agent: Make, host: Host
) -> None:
    morning = ahead_ms(6, 15, 10, 0)
    agent = make_agent(host.port, recovery={**LONG, "spacing_ms": 0}).power_on(morning)
    host.order(clock_ms=morning, refuse=True)
    _, sale = agent.app.open("000941")
    agent.app.result(sale["id"], "no_answer")  # it never reached the host
    agent.kill()
    host.order(clock_ms=morning + HOUR_MS, refuse=False, set={"0400": "25"})
    agent.power_on(morning + HOUR_MS if known else None)  # an hour later: seconds, for all that the clock since boot knows
    if known:
        until(lambda: told(agent, "reversal.no_original_early", sale["id"]))
        assert in_doubt(agent, sale["id"])["reversal"]["state"] == "pending"
        host.order(clock_ms=morning + HOUR_MS + SPACING_MS)
        agent.clocks.sleep(SPACING_MS)
        until(lambda: agent.app.state(sale["id"]) == "no_original")
        assert len(host.requests("0400")) == 2
    else:  # the battery of the clock is empty: it may be another day
        until(lambda: agent.app.state(sale["id"]) == "unresolved")
        agent.clocks.sleep(DAY_MS)
        sold(agent, host, "000942")
        assert in_doubt(agent, sale["id"])["reversal"]["state"] == "refused"
        assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
        assert len(host.requests("0400")) == 1
    assert agent.cli("verify").returncode == 0


def test_a_clock_that_is_years_ahead_costs_some_of_the_past_and_nothing_that_is_pending(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery=LONG).power_on()
    key = put_off(agent, host, "000945")
    sold(agent, host, "000946")
    agent.clocks.set(1_000 * DAY_MS)
    agent.restart()
    until(lambda: agent.journal()[0]["seq"] > 1)  # by this clock all of it is past its time
    agent.clocks.set(0)
    agent.restart()
    assert in_doubt(agent, key)["reversal"]["state"] == "exhausted"
    host.order(clear=True)
    agent.clocks.sleep(SPACING_MS)
    until(lambda: agent.app.state(key) == "reversed")
    assert (len(host.requests("0400")), net_fen(host, "000945"), net_fen(host, "000946")) == (4, 0, 100)
    assert agent.cli("verify").returncode == 0


# ── suspend ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sale_that_slept_with_its_terminal_has_no_go_any_more_and_is_in_doubt_by_itself(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery=LONG).power_on()
    key = opened(agent, "000951")
    assert transact(host.port, "000951", 100, timeout_ms=PATIENCE_MS) == "00", "the app sleeps before it reads it"
    agent.clocks.sleep(11 * SECOND_MS)
    assert agent.app.call("POST", f"/v1/transactions/{key}/sent")[1]["proceed"] == "refuse", "a go of long ago is none"
    agent.clocks.sleep(8 * HOUR_MS)
    reversed_by(agent, host, key, "000951", sends=1)
    assert agent.app.approve(key)[0] == 409, "the app wakes up and shows failure"
    assert told(agent, "transaction.in_doubt", key)[0]["data"]["cause"] == "timeout"


def test_a_suspend_with_a_reversal_pending_is_followed_by_one_0400(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery=LONG).power_on()
    key = opened(agent, "000961")
    swallowed(host.port, host, "000961")
    host.order(refuse=True, cut=True)
    agent.app.result(key, "no_answer")
    until(lambda: agent.app.get("/v1/status")["line"] == "down")
    agent.clocks.sleep(8 * HOUR_MS)
    assert in_doubt(agent, key)["reversal"]["sends"] == 0
    host.order(refuse=False)
    reversed_by(agent, host, key, "000961", sends=1)


@pytest.mark.parametrize("fault", ["drop-request", "drop-reply"])
def test_a_suspend_in_the_reply_wait_is_one_silence_however_long(fault: str, make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery=LONG).power_on()
    host.order(scenario={"0400": [fault]})
    key = lose(agent, host, "000971")
    until(lambda: host.requests("0400"))
    agent.clocks.sleep(8 * HOUR_MS)
    reversed_by(agent, host, key, "000971", sends=2)
    assert len(told(agent, "reversal.unanswered", key)) == 1
    assert {entry["data"]["reason"] for entry in told(agent, "reversal.sent", key)} == {"98"}


def test_an_answer_that_waited_in_the_network_while_the_terminal_slept_settles_it_once(
    make_agent: Make, host: Host, wire: Wire
) -> None:
    agent = make_agent(wire.port, recovery=LONG).power_on()
    wire.answers.clear()
    key = lose(agent, host, "000981")
    until(lambda: host.requests("0400"))
    agent.clocks.sleep(8 * HOUR_MS)
    until(lambda: len(host.requests("0400")) == 2)
    assert in_doubt(agent, key)["reversal"]["state"] == "sending"
    wire.answers.set()
    reversed_by(agent, host, key, "000981", sends=2)
    until(lambda: told(agent, "host.doubled_reply", key))
    assert (agent.app.state(key), len(told(agent, "reversal.confirmed", key))) == ("reversed", 1)
    first, second = wire.sent("0400")
    assert first == second, "after silence it is the very same message"


def test_a_borrowed_line_that_ran_out_in_suspend_is_asked_for_before_another_byte_leaves(
    make_agent: Make, host: Host, lender: Lender
) -> None:
    lender.lease_ms = 10 * MINUTE_MS
    agent = make_agent(host.port, acquirer={"line": "lease"}, payapp={"url": lender.url}, recovery=LONG).power_on()
    host.order(scenario={"0400": ["drop-request"]})
    key = lose(agent, host, "000991")
    until(lambda: host.requests("0400"))
    lender.line = "refused"
    agent.clocks.sleep(8 * HOUR_MS)
    until(lambda: agent.app.get("/v1/status")["line"] == "down")
    assert len(host.requests("0400")) == 1, "the app may be using it"
    assert in_doubt(agent, key)["reversal"]["sends"] == 1
    lender.line = "granted"
    reversed_by(agent, host, key, "000991", sends=2)


def test_a_sale_that_the_relay_held_when_the_terminal_fell_asleep_does_not_leave_later(make_agent: Make, host: Host) -> None:
    port = free_port()
    agent = make_agent(
        host.port, recovery={**LONG, "mode": "relay", "hold_ms": 60_000}, relay={"listen": f"127.0.0.1:{port}"}
    ).power_on()
    host.order(scenario={"0400": ["drop-request"]})
    swallowed(port, host, "000995")
    host.order(set={"0200": "ok"})
    until(lambda: host.requests("0400"))
    with ThreadPoolExecutor(1) as till:
        held = till.submit(transact, port, "000996", 100, timeout_ms=PATIENCE_MS)
        until(lambda: any(entry["data"].get("stan") == "000996" for entry in agent.journal()))
        agent.clocks.sleep(SILENCE_MS)
        reversed_by(agent, host, agent.key_of("000995"), "000995", sends=2)
        assert held.result() is None
    until(lambda: agent.app.state(agent.key_of("000996")) == "not_sent")
    assert [row["stan"] for row in host.requests("0200")] == ["000995"], "it was held for longer than it may be"


def test_an_app_that_was_at_it_when_the_terminal_fell_asleep_is_asked_again_and_reverses_once(
    make_agent: Make, host: Host, wire: Wire, tmp_path: Path
) -> None:
    app = PayappProcess(tmp_path, wire.port, "--reply-ms", str(PATIENCE_MS))
    try:
        sections = {"recovery": {**LONG, "mode": "payapp"}, "storage": {"vault": "none"}, "payapp": {"url": app.url}}
        agent = make_agent(host.port, **sections).power_on()
        host.order(set={"0200": "close"})
        wire.answers.clear()
        sale = app.order("sale", amount_fen=100)
        until(lambda: host.requests("0400"))
        agent.clocks.sleep(8 * HOUR_MS)
        until(lambda: told(agent, "reversal.unanswered", sale["id"]))
        in_doubt(agent, sale["id"])
        wire.answers.set()
        until(lambda: agent.app.state(sale["id"]) == "reversed")
        assert (len(host.requests("0400")), net_fen(host, sale["stan"])) == (1, 0)
        assert agent.cli("verify").returncode == 0
    finally:
        assert app.stop() == 0
