"""Plain ISO 8583:1987 in ASCII, the second profile, over real sockets: another framing, packing, MTI, MAC and other codes.

The simulated host and the agent stand on the same file. Nothing of the agent but that file knows of either acquirer.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.test_defects import detail, incidents
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.broker import free_port
from tests.support.forwarder import Forwarder
from tests.support.host import Host
from tests.support.terminal import LOST_MS, kernel

ASCII = kernel("ascii-1987")
Make = Callable[..., Agent]


@pytest.fixture
def ascii_host(make_host: Callable[..., Host]) -> Host:
    """A host of that profile."""
    return make_host("--profile", "ascii-1987")


@pytest.fixture
def direct(make_agent: Make, ascii_host: Host) -> Agent:
    """An agent with a line of its own to it."""
    return make_agent(ascii_host.port, acquirer={"profile": "ascii-1987"}).start()


def lose(agent: Agent, host: Host, stan: str, amount_fen: int = 100) -> str:
    """A sale that the host books and whose answer is lost; its id, already in doubt."""
    host.order(scenario={"0200": ["drop-reply"]})
    status, sale = agent.app.open(stan, amount_fen)
    assert (status, sale["proceed"]) == (201, "go"), sale
    assert ASCII.transact(host.port, "sale", stan, amount_fen, timeout_ms=LOST_MS) is None
    assert agent.app.result(sale["id"], "no_answer")[1]["state"] == "in_doubt"
    return str(sale["id"])


def test_a_sale_in_doubt_is_reversed_by_a_0420(direct: Agent, ascii_host: Host) -> None:
    key = lose(direct, ascii_host, "000101")
    until(lambda: direct.app.state(key) == "reversed")
    assert ascii_host.net_debit_fen("000101") == 0
    assert [row["stan"] for row in ascii_host.requests("0420")] == ["000101"]
    assert ascii_host.requests("0400") == []
    assert direct.app.get(f"/v1/transactions/{key}")["reversal"]["reason"] == "68"
    assert direct.cli("verify").returncode == 0


def test_the_frame_is_ascii_from_its_length_to_its_bitmap(make_agent: Make, ascii_host: Host) -> None:
    seen = Forwarder(ascii_host.port)
    agent = make_agent(seen.port, acquirer={"profile": "ascii-1987"}).start()
    try:
        key = lose(agent, ascii_host, "000102")
        until(lambda: agent.app.state(key) == "reversed")
    finally:
        seen.refuse()
    sent = b"".join(seen.frames)
    assert sent[4:8] == b"0420"
    assert int(sent[:4]) <= len(sent) - 4
    assert bytes.fromhex(sent[8:24].decode("ascii"))


def test_killed_offline_and_started_again_it_still_reverses(direct: Agent, ascii_host: Host) -> None:
    ascii_host.order(set={"0420": "drop-request"})
    key = lose(direct, ascii_host, "000103")
    direct.kill()
    ascii_host.order(clear=True)
    direct.start()
    until(lambda: direct.app.state(key) == "reversed")
    assert ascii_host.net_debit_fen("000103") == 0


@pytest.mark.parametrize(
    ("code", "states", "sends"),
    [
        ("21", ("reversed", "accepted"), 1), ("94", ("unresolved", "refused"), 1), ("12", ("unresolved", "refused"), 1),
        ("22", ("reversed", "accepted"), 2),  # UnionPay's "done elsewhere" is not listed here: later
    ],
)
def test_codes_mean_what_this_profile_says(
    code: str, states: tuple[str, str], sends: int, direct: Agent, ascii_host: Host
) -> None:
    ascii_host.order(scenario={"0420": [code]})
    key = lose(direct, ascii_host, "000104")
    until(lambda: direct.app.state(key) == states[0])
    assert detail(direct, key)["reversal"]["state"] == states[1]
    assert ascii_host.net_debit_fen("000104") == (0 if states[0] == "reversed" else 100)
    assert len(ascii_host.requests("0420")) == sends


def test_its_key_refusal_is_63_and_the_same_stan_goes_again_after_a_sign_in(direct: Agent, ascii_host: Host) -> None:
    ascii_host.order(scenario={"0420": ["63"]})
    key = lose(direct, ascii_host, "000105")
    until(lambda: "sign_in_needed" in incidents(direct))
    assert direct.app.call("POST", "/v1/terminal", {"event": "signed_in"})[0] == 200
    until(lambda: direct.app.state(key) == "reversed")
    assert {row["stan"] for row in ascii_host.requests("0420")} == {"000105"}


def test_a_void_names_its_original_and_its_reversal_lets_the_sale_stand(direct: Agent, ascii_host: Host) -> None:
    assert ASCII.transact(ascii_host.port, "sale", "000106", 100) is not None
    ascii_host.order(scenario={"0200": ["drop-reply"]})
    original = {"batch": "000001", "stan": "000106"}
    _, void = direct.app.open("000107", kind="void", original=original)
    assert ASCII.transact(ascii_host.port, "void", "000107", 100, "000106", timeout_ms=LOST_MS) is None
    direct.app.result(void["id"], "no_answer")
    until(lambda: direct.app.state(void["id"]) == "reversed")
    assert (ascii_host.net_debit_fen("000106"), ascii_host.net_debit_fen("000107")) == (100, 0)


def test_a_partial_approval_that_was_not_completed_is_reversed_with_what_was_approved(direct: Agent, ascii_host: Host) -> None:
    ascii_host.order(scenario={"0200": ["partial:60"]})
    _, sale = direct.app.open("000108")
    reply = ASCII.transact(ascii_host.port, "sale", "000108", 100)
    assert reply is not None
    assert (reply.fields[39], reply.fields[4]) == ("10", "000000000060")
    said: dict[str, Any] = {"response_code": "10", "approved_fen": 60, "auth_code": reply.fields[38]}
    direct.app.result(sale["id"], "approved_not_completed", **said)
    until(lambda: direct.app.state(sale["id"]) == "reversed")
    assert [row["amount_fen"] for row in ascii_host.requests("0420")] == [60]
    assert ascii_host.net_debit_fen("000108") == 0
    assert detail(direct, sale["id"])["reversal"]["reason"] == "17"


# ── through the relay ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def relayed(make_agent: Make, ascii_host: Host) -> tuple[Agent, int]:
    """An agent on the terminal's line, and where it listens."""
    port, relay = free_port(), {"mode": "relay", "hold_ms": 10_000}
    sections = {"recovery": relay, "relay": {"listen": f"127.0.0.1:{port}"}, "acquirer": {"profile": "ascii-1987"}}
    return make_agent(ascii_host.port, **sections).start(), port


def test_through_the_relay_a_lost_answer_is_reversed_ahead_of_the_next_sale(relayed: tuple[Agent, int], ascii_host: Host) -> None:
    agent, port = relayed
    ascii_host.order(scenario={"0200": ["drop-reply"]}, set={"0420": "delay:300"})
    assert ASCII.transact(port, "sale", "000201", 100, timeout_ms=LOST_MS) is None
    reply = ASCII.transact(port, "sale", "000202", 250, timeout_ms=10_000)
    assert reply is not None
    assert (reply.mti, reply.fields[39]) == ("0210", "00")
    assert (ascii_host.net_debit_fen("000201"), ascii_host.net_debit_fen("000202")) == (0, 250)
    assert agent.app.state(agent.key_of("000201")) == "reversed"
    until(lambda: agent.app.state(agent.key_of("000202")) == "approved")
    assert agent.cli("verify").returncode == 0


def test_the_apps_own_0420_beside_the_agents_is_an_incident_and_one_credit(relayed: tuple[Agent, int], ascii_host: Host) -> None:
    agent, port = relayed
    ascii_host.order(scenario={"0200": ["drop-reply"]}, set={"0420": "drop-request"})
    assert ASCII.transact(port, "sale", "000203", 100, timeout_ms=LOST_MS) is None
    until(lambda: ascii_host.requests("0420"))
    ascii_host.order(clear=True)
    said = ASCII.fields("sale", "000203", 100) | {39: "68"}
    reply = ASCII.ask(port, "0420", {number: text for number, text in said.items() if number not in {23, 55}}, 10_000)
    assert reply is not None
    assert (reply.mti, reply.fields[39]) == ("0430", "00")
    until(lambda: agent.app.state(agent.key_of("000203")) == "reversed")
    assert "both_reversed" in incidents(agent)
    assert ascii_host.net_debit_fen("000203") == 0


def test_a_sign_in_that_passes_brings_what_waited_for_keys_on_its_way(relayed: tuple[Agent, int], ascii_host: Host) -> None:
    agent, port = relayed
    ascii_host.order(scenario={"0200": ["drop-reply"], "0420": ["63"]})
    assert ASCII.transact(port, "sale", "000204", 100, timeout_ms=LOST_MS) is None
    until(lambda: "sign_in_needed" in incidents(agent))
    reply = ASCII.ask(port, "0800", {3: "920000", 11: "000001", 41: "12345678", 42: "898310148160001"}, 10_000)
    assert reply is not None
    assert reply.fields[39] == "00"
    until(lambda: agent.app.state(agent.key_of("000204")) == "reversed")
    assert {row["stan"] for row in ascii_host.requests("0420")} == {"000204"}


def test_a_completion_is_an_advice_here_and_passes_until_it_is_answered(relayed: tuple[Agent, int], ascii_host: Host) -> None:
    agent, port = relayed
    reply = ASCII.transact(port, "preauth", "000205", 500, timeout_ms=10_000)
    assert reply is not None
    until(lambda: agent.app.state(agent.key_of("000205")) == "approved")
    ascii_host.order(scenario={"0220": ["drop-reply"]})
    assert ASCII.transact(port, "completion", "000206", 480, "000205", timeout_ms=LOST_MS) is None
    until(lambda: agent.app.state(agent.key_of("000206")) == "in_doubt")
    reply = ASCII.transact(port, "completion", "000206", 480, "000205", timeout_ms=10_000)
    assert reply is not None
    assert (reply.mti, reply.fields[39]) == ("0230", "00")
    until(lambda: agent.app.state(agent.key_of("000206")) == "approved")
    row = ascii_host.ledger()["000206"]
    assert (row["net_debit_fen"], row["repeats"], ascii_host.ledger()["000205"]["held_fen"]) == (480, 1, 0)
    assert ascii_host.requests("0420") == []
