"""STANs that come round, another terminal id, and keys that change while something is pending or on the line, over sockets."""

import json
from collections.abc import Callable

import pytest

from device.acquirer.message import Message
from tests.e2e.doubts import (
    LONG,
    PATIENCE_MS,
    SILENCE_MS,
    SPACING_MS,
    becomes,
    in_doubt,
    lose,
    net_fen,
    put_off,
    request,
    reversed_by,
    sold,
    swallowed,
    told,
)
from tests.e2e.test_defects import incidents
from tests.support.agent import MAC_KEY, Agent
from tests.support.app import TERMINAL, until
from tests.support.broker import free_port
from tests.support.host import Host
from tests.support.lender import Lender
from tests.support.terminal import BATCH, UNIONPAY
from tests.support.wire import Wire

Make = Callable[..., Agent]
NEXT, OTHER_TERMINAL = "000002", "87654321"


def batches(messages: list[Message]) -> list[tuple[str, str]]:
    """Batch and STAN of each 0400."""
    return [(message.fields[60][2:8], message.fields[11]) for message in messages]


def states(agent: Agent, stan: str) -> list[str]:
    """The states of all that the technician finds under a STAN, newest first."""
    return [item["state"] for item in json.loads(agent.cli("show", stan, "--json").stdout)["items"]]


# ── the STAN comes round ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", [True, False])
def test_after_999999_a_number_of_the_batch_before_is_another_transaction(
    *, said: bool, make_agent: Make, host: Host, wire: Wire
) -> None:
    agent = make_agent(wire.port, recovery=LONG).power_on()
    pending = put_off(agent, host, "000001")
    closed = sold(agent, host, "000002")
    if said:
        for event, batch in (("settled", "000001"), ("changed", NEXT)):
            assert agent.app.call("POST", "/v1/batch", {"batch": batch, "event": event})[0] == 200
    agent.restart()  # what is closed is in no memory now
    host.order(clear=True)
    sold(agent, host, "999999", batch=NEXT)
    for stan in ("000001", "000002"):
        twin = lose(agent, host, stan, batch=NEXT)
        until(lambda key=twin: agent.app.state(key) == "reversed")
    agent.clocks.sleep(SPACING_MS)
    sold(agent, host, "000003", batch=NEXT)
    assert batches(wire.sent("0400")) == [("000001", "000001")] * 3 + [(NEXT, "000001"), (NEXT, "000002")]
    assert (in_doubt(agent, pending)["reversal"]["state"], agent.app.state(closed)) == ("expired", "approved")
    assert [net_fen(host, stan) for stan in ("000001", "000002")] == [100, 100]
    assert [net_fen(host, stan, batch=NEXT) for stan in ("000001", "000002", "000003", "999999")] == [0, 0, 100, 100]
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"
    assert (states(agent, "000001"), states(agent, "000002")) == (["reversed", "unresolved"], ["reversed", "approved"])
    status, problem = agent.app.open("000001", batch=NEXT)
    assert (status, problem["type"]) == (409, "urn:reversald:problem:duplicate-stan"), "twice in one batch is once too often"
    assert agent.cli("verify").returncode == 0


def test_a_late_answer_to_the_same_number_of_the_batch_before_settles_only_that_one(
    make_agent: Make, host: Host, wire: Wire
) -> None:
    """A terminal whose STAN begins anew with each batch loses its first sale twice, and the first answer comes very late."""
    agent = make_agent(wire.port, recovery={**LONG, "sends_per_opportunity": 1}).power_on()
    host.order(set={"0400": "drop-request"})
    first = lose(agent, host, "000001")
    until(lambda: host.requests("0400"))
    agent.clocks.sleep(SILENCE_MS)
    becomes(agent, first, "exhausted")
    host.order(clear=True)
    wire.answers.clear()
    agent.clocks.sleep(SILENCE_MS)
    until(lambda: len(host.requests("0400")) == 2 and net_fen(host, "000001") == 0)
    second = lose(agent, host, "000001", batch=NEXT)
    host.order(set={"0400": "drop-request"})
    agent.clocks.sleep(SILENCE_MS)  # the first one's time is over, the second one's 0400 leaves and is lost
    until(lambda: len(host.requests("0400")) == 3)
    wire.answers.set()
    until(lambda: agent.app.state(first) == "reversed")
    assert in_doubt(agent, second)["reversal"]["state"] == "sending"
    assert net_fen(host, "000001", batch=NEXT) == 100
    host.order(clear=True)
    agent.clocks.sleep(SPACING_MS)
    until(lambda: agent.app.state(second) == "reversed")
    assert net_fen(host, "000001", batch=NEXT) == 0
    assert batches(wire.sent("0400"))[1:] == [("000001", "000001"), (NEXT, "000001"), (NEXT, "000001")]
    assert agent.cli("verify").returncode == 0


def test_through_the_relay_a_number_that_comes_round_is_another_transaction(make_agent: Make, host: Host) -> None:
    port = free_port()
    agent = make_agent(
        host.port, recovery={**LONG, "mode": "relay"}, relay={"listen": f"127.0.0.1:{port}"}
    ).power_on()

    def asks(mti: str, stan: str, batch: str) -> str | None:
        reply = UNIONPAY.ask(port, mti, request(stan, batch) | ({39: "98"} if mti == "0400" else {}), PATIENCE_MS)
        return reply.fields[39] if reply else None

    host.order(set={"0400": "96"})
    swallowed(port, host, "000001")
    pending = agent.key_of("000001")
    becomes(agent, pending, "exhausted")
    host.order(set={"0200": "ok"})
    assert asks("0200", "000002", BATCH) == "00"
    closed = agent.key_of("000002")
    until(lambda: agent.app.state(closed) == "approved")
    agent.restart()
    host.order(clear=True)
    assert asks("0200", "999999", NEXT) == "00"
    swallowed(port, host, "000001", batch=NEXT)
    until(lambda: agent.key_of("000001") != pending and agent.app.state(agent.key_of("000001")) == "reversed")
    host.order(set={"0200": "ok"})
    assert asks("0200", "000002", NEXT) == "00"
    assert asks("0400", "000002", NEXT) == "00", "the app takes back what it has just sold"
    assert agent.key_of("000002") != closed
    until(lambda: agent.app.state(agent.key_of("000002")) == "reversed")
    assert (in_doubt(agent, pending)["reversal"]["state"], agent.app.state(closed)) == ("expired", "approved")
    assert [net_fen(host, stan) for stan in ("000001", "000002")] == [100, 100]
    assert [net_fen(host, stan, batch=NEXT) for stan in ("000001", "000002", "999999")] == [0, 0, 100]
    assert len(host.requests("0400")) == 5
    assert [told(agent, "reversal.adopted", key) for key in (pending, closed)] == [[], []]
    assert (states(agent, "000001"), states(agent, "000002")) == (["reversed", "unresolved"], ["reversed", "approved"])
    assert agent.cli("verify").returncode == 0


# ── another terminal id ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_terminal_that_gets_another_id_in_mid_flight_reverses_under_the_old_one(
    make_agent: Make, host: Host, wire: Wire
) -> None:
    agent = make_agent(wire.port, terminal={"terminal_id": TERMINAL}, recovery=LONG).power_on()
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000001")
    until(lambda: host.requests("0400"))
    agent.config.write_text(agent.config.read_text().replace(TERMINAL, OTHER_TERMINAL))
    agent.restart()
    until(lambda: len(host.requests("0400")) == 2)
    twin = sold(agent, host, "000001", terminal_id=OTHER_TERMINAL)  # the same STAN, amount and batch; nobody makes it wait
    lost = lose(agent, host, "000002", terminal_id=OTHER_TERMINAL)
    assert in_doubt(agent, key)["reversal"]["state"] == "sending"
    host.order(clear=True)
    agent.clocks.sleep(SILENCE_MS)
    until(lambda: {agent.app.state(key), agent.app.state(lost)} == {"reversed"})
    sent = [(message.fields[41], message.fields[11]) for message in wire.sent("0400")]
    assert sent == [(TERMINAL, "000001")] * 3 + [(OTHER_TERMINAL, "000002")]
    assert agent.app.state(twin) == "approved"
    assert net_fen(host, "000001") == 0
    assert [net_fen(host, stan, terminal_id=OTHER_TERMINAL) for stan in ("000001", "000002")] == [100, 0]
    assert agent.cli("verify").returncode == 0


# ── other keys ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_waits_for_keys_outlives_a_kill_and_goes_only_when_they_are_there(make_agent: Make, host: Host, wire: Wire) -> None:
    agent = make_agent(wire.port, recovery=LONG)
    file = agent.folder / "mac.key"
    file.write_text("11" * 16)
    agent.power_on()
    key = lose(agent, host, "000961")
    until(lambda: "sign_in_needed" in incidents(agent))  # A0: the host itself has looked at the MAC
    file.write_text(MAC_KEY)
    agent.restart()
    sold(agent, host, "000962")  # nobody waits for keys, and an online request brings none
    assert "sign_in_needed" in incidents(agent)
    assert (len(host.requests("0400")), in_doubt(agent, key)["reversal"]["state"]) == (1, "pending")
    assert agent.app.call("POST", "/v1/terminal", {"event": "key_changed"})[0] == 200
    reversed_by(agent, host, key, "000961", sends=2)
    assert "sign_in_needed" not in incidents(agent)
    first, second = wire.sent("0400")
    assert (first.fields, first.mac == second.mac) == (second.fields, False), "the same message with another MAC"
    assert net_fen(host, "000962") == 100


def test_a_key_that_changes_while_the_0400_is_on_the_line_costs_one_refusal(
    make_agent: Make, host: Host, lender: Lender, wire: Wire
) -> None:
    good, lender.key = lender.key, "11" * 16
    agent = make_agent(wire.port, mac={"source": "payapp"}, payapp={"url": lender.url}, recovery=LONG).power_on()
    wire.answers.clear()
    key = lose(agent, host, "000971")
    until(lambda: host.requests("0400"))
    lender.key = good
    assert agent.app.call("POST", "/v1/terminal", {"event": "signed_in"})[0] == 200
    wire.answers.set()  # A0, to the MAC of before
    until(lambda: lender.asked("sign-in"))
    assert in_doubt(agent, key)["reversal"]["sends"] == 1
    agent.clocks.sleep(SPACING_MS)  # the app thinks that it has signed in: the back-off sends it
    reversed_by(agent, host, key, "000971", sends=2)
