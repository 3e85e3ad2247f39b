"""Commands of the fleet with real processes: agent, mosquitto, operator. Whatever is killed, each is carried out at most once."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.envelope import Response, decode, encode
from tests.e2e.test_kill_everywhere import killer
from tests.e2e.test_telemetry import Fleet, expected
from tests.support.agent import PATIENT, Agent
from tests.support.app import PAN, until
from tests.support.broker import Mosquitto
from tests.support.commands import FLEET, OTHER, SN, Desk, signed
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact

Make = Callable[..., Agent]


@pytest.fixture
def desk(tmp_path: Path, broker: Mosquitto) -> Desk:
    """The operator, whose key the terminal knows."""
    return Desk(tmp_path, broker.url)


@pytest.fixture
def agent(make_agent: Make, host: Host, broker: Mosquitto, desk: Desk) -> Agent:
    """An agent that takes commands."""
    return commanded(make_agent, host, broker, desk)


def commanded(make_agent: Make, host: Host, broker: Mosquitto, desk: Desk, **more: dict[str, Any]) -> Agent:
    """An agent that takes commands, started, and known to the broker: what is sent before that is for nobody."""
    mqtt = {"url": broker.url, "command_keys_file": str(desk.public)}
    agent = make_agent(host.port, mqtt=mqtt, recovery=PATIENT, **more).start()
    until(lambda: f"Sending SUBACK to {SN}" in broker.log())
    return agent


class Hand:
    """A hand at the broker that sends and hears what it likes, as an attacker or a careless program would."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[Response] = []
        self.client = Client(CallbackAPIVersion.VERSION2, "hand", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.heard.append(decode(message.payload, Response))
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.client.subscribe(f"rv1/{FLEET}/{SN}/rsp", 1)

    def send(self, payload: bytes, *, retain: bool = False) -> None:
        """On `cmd`."""
        self.client.publish(f"rv1/{FLEET}/{SN}/cmd", payload, 1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def hand(broker: Mosquitto) -> Iterator[Hand]:
    """Somebody else at the broker."""
    one = Hand(broker)
    yield one
    one.close()


def refused_sale(agent: Agent, host: Host, stan: str = "000701") -> str:
    """A sale whose reversal the host refused: only an order sends it again."""
    host.order(set={"0200": "drop-reply", "0400": "30"})
    _, opened = agent.app.open(stan)
    transact(host.port, stan, 100, timeout_ms=LOST_MS)
    agent.app.result(opened["id"], "no_answer")
    until(lambda: agent.app.state(opened["id"]) == "unresolved")
    host.order(set={"0400": "00"})
    return str(opened["id"])


def types(agent: Agent) -> list[str]:
    return [entry["type"] for entry in agent.journal()]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def fresh(name: str, args: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """A command that is valid now."""
    return encode(signed(name, args, **{"not_before": now_ms() - 1_000, "expires": now_ms() + 120_000} | fields))


def test_an_operator_asks_reverses_prints_and_shows_from_afar(agent: Agent, host: Host, desk: Desk) -> None:
    key = refused_sale(agent, host)
    assert desk.order("query", "what=status")["d"]["result"]["mode"] == "direct"
    found = desk.order("query", "what=transaction", "of=000701")["d"]["result"]
    assert (found["id"], found["state"], found["card"]) == (key, "unresolved", "622202*********0128")
    open_ones = desk.order("query", "what=incidents")["d"]["result"]
    assert [row["transaction"] for row in open_ones["incidents"]] == [key]
    assert desk.order("recover", "transaction=000701")["d"]["result"]["state"] == "unresolved"
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000701") == 0
    assert desk.order("reprint", f"transaction={key}", code=1)["d"] == {"why": "no-printer"}
    desk.order("display", "zh=请联系店长", "en=Please call the manager")
    shown = next(entry for entry in agent.journal() if entry["type"] == "display.message")
    assert shown["data"] == {"zh": "请联系店长", "en": "Please call the manager", "seconds": 60}
    assert desk.order("recover", "transaction=000999", code=1)["d"] == {"why": "no-such-transaction"}
    assert agent.cli("verify").returncode == 0
    assert PAN not in desk.run("command", SN, "query", "what=transaction", "of=000701", "--wait").stdout


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_commit_of_an_order_and_the_order_is_carried_out_once(
    when: str, make_agent: Make, host: Host, broker: Mosquitto, desk: Desk, hand: Hand
) -> None:
    agent = commanded(make_agent, host, broker, desk)
    key = refused_sale(agent, host)
    agent.stop()
    agent.start(killer(when, 2))  # 1 is the boot; then the order, with its id
    payload = fresh("recover", {"transaction": key})
    hand.send(payload)
    agent.dead()
    agent.start()
    hand.send(payload)
    until(lambda: agent.app.state(key) == "reversed")
    until(lambda: any(answer.status == "done" for answer in hand.heard))
    count = len(hand.heard)
    hand.send(payload)
    until(lambda: len(hand.heard) > count)
    stored, repeat = (answer for answer in (hand.heard[0], hand.heard[-1]))
    assert stored.d == repeat.d, "a repeat is answered with the stored result"
    assert types(agent).count("reversal.ordered") == types(agent).count("command.done") == 1
    assert len(host.requests("0400")) == 2, "the refused one, and the one that was ordered"
    assert agent.cli("verify").returncode == 0


def test_a_broker_that_forgets_all_loses_no_answer(
    make_agent: Make, host: Host, broker: Mosquitto, desk: Desk, tmp_path: Path
) -> None:
    mqtt = {"url": broker.url, "command_keys_file": str(desk.public), "ack": "fleet"}
    agent = make_agent(host.port, mqtt=mqtt).start()
    key = refused_sale(agent, host)
    broker.kill()
    broker.start()
    answer = desk.order("recover", f"transaction={key}", valid=90)
    broker.kill()
    broker.start()
    fleet = Fleet(tmp_path, broker.url)
    try:
        until(lambda: stored(fleet) == [(answer["id"], "recover", "done")])
        until(lambda: ("command.done" in {kind for _, kind in fleet.events()}))
    finally:
        fleet.kill()


def stored(fleet: Fleet) -> list[tuple[str, str, str]]:
    """What the operator's database holds of commands."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{fleet.database}?mode=ro", uri=True)) as database:
            return database.execute("SELECT id, name, status FROM commands").fetchall()
    except sqlite3.OperationalError:
        return []


def test_what_cannot_be_believed_does_nothing_and_leaves_no_more_than_a_count(
    agent: Agent, host: Host, hand: Hand, desk: Desk
) -> None:
    key = refused_sale(agent, host)
    before = types(agent)
    forged = [
        fresh("recover", {"transaction": key}, id="f-1", key="0" * 16),
        fresh("recover", {"transaction": key}, id="f-2", sig="00" * 64),
        fresh("recover", {"transaction": key}, id="f-3", sn="T0000002"),
        fresh("shell", {"transaction": key}, id="f-4"),
        encode(signed("recover", {"transaction": key}, id="f-5", expires=now_ms() - 1, not_before=now_ms() - 9_000)),
        encode(msgspec.structs.replace(signed("recover", {"transaction": "x"}), args={"transaction": key}, id="f-6")),
        fresh("recover", {"transaction": key}, id="f-7", by=OTHER),
        b"\xff\xfe not JSON",
    ]
    for payload in forged:
        hand.send(payload)
    why = {"f-1": "unknown-key", "f-2": "bad-signature", "f-3": "wrong-terminal", "f-4": "unknown-command", "f-5": "expired"}
    until(lambda: {answer.id: answer.d.get("why") for answer in hand.heard if answer.id in why} == why)
    time.sleep(0.5)  # whatever else were to happen has had its time
    assert agent.app.state(key) == "unresolved"
    besides = ("security.command_refused", "recovery.link_")  # the line is looked at now and then whatever is sent
    assert [kind for kind in types(agent)[len(before) :] if not kind.startswith(besides)] == []
    assert desk.order("query", "what=status")["status"] == "done", "and the next good one is taken"


def test_a_command_that_the_broker_kept_is_not_taken_when_the_terminal_comes_back(
    make_agent: Make, host: Host, broker: Mosquitto, desk: Desk, hand: Hand
) -> None:
    hand.send(fresh("display", {"zh": "留存", "en": "kept"}, id="kept-1"), retain=True)
    agent = commanded(make_agent, host, broker, desk)
    until(lambda: [answer.d for answer in hand.heard if answer.id == "kept-1"] == [{"why": "retained"}])
    assert "display.message" not in types(agent)
    hand.send(b"", retain=True)


def test_a_command_waits_at_the_broker_for_a_terminal_that_is_away(agent: Agent, hand: Hand, desk: Desk) -> None:
    assert desk.order("query", "what=status")["status"] == "done", "it was there once"
    agent.stop()
    hand.send(fresh("display", {"zh": "回来时", "en": "when back"}))
    agent.start()
    until(lambda: "display.message" in types(agent))


def test_with_a_clock_that_nobody_set_nothing_that_moves_money_is_taken(
    make_agent: Make, host: Host, broker: Mosquitto, desk: Desk
) -> None:
    agent = make_agent(host.port, mqtt={"url": broker.url, "command_keys_file": str(desk.public)})
    agent.start()
    key = refused_sale(agent, host)
    agent.stop()
    agent.power_on(None)
    assert desk.order("recover", f"transaction={key}", code=1)["d"] == {"why": "clock-untrusted"}
    assert desk.order("config", "version=1", "terminal.lang=en", code=1)["d"] == {"why": "clock-untrusted"}
    found = desk.order("query", "what=transaction", f"of={key}")
    assert (found["d"]["result"]["state"], found["ts"]) == ("unresolved", None)
    assert "reversal.ordered" not in types(agent)


def test_a_flood_of_forged_commands_holds_up_no_sale_and_fills_no_journal(
    agent: Agent, host: Host, broker: Mosquitto, hand: Hand
) -> None:
    until(lambda: agent.app.get("/v1/status"))
    for number in range(2_000):
        hand.client.publish(f"rv1/{FLEET}/{SN}/cmd", fresh("recover", {"transaction": "x"}, id=f"n-{number}", by=OTHER), 1)
    _, opened = agent.app.open("000731")
    assert opened["proceed"] == "go"
    assert transact(host.port, "000731", 100) == "00"
    assert agent.app.approve(opened["id"])[0] == 200
    until(lambda: "security.command_refused" in types(agent))
    time.sleep(1.0)  # the flood goes on being looked at, ten a second
    assert types(agent).count("security.command_refused") == 1
    assert 0 < len(hand.heard) <= 6, "more than a few are not answered"


def test_settlement_verdicts_reach_their_terminal_whole_and_any_number_of_times(
    agent: Agent, host: Host, broker: Mosquitto, desk: Desk, tmp_path: Path
) -> None:
    host.order(set={"0200": "drop-reply", "0400": "30"})
    _, opened = agent.app.open("000741")
    transact(host.port, "000741", 100, timeout_ms=LOST_MS)
    agent.app.result(opened["id"], "no_answer")
    until(lambda: agent.app.state(opened["id"]) == "unresolved")
    agent.app.call("POST", f"/v1/transactions/{opened['id']}/disposition", {"replaced_by": "cash", "goods": "released"})
    fleet = Fleet(tmp_path, broker.url)
    day = (datetime.now(UTC) + timedelta(hours=9)).date()  # China, and the cut-off at 23:00
    head = "date,terminal_id,batch,stan,amount,direction\n"
    lines = [f"{day},12345678,000001,000741,1.00,debit\n"]
    lines += [f"{day},12345678,000009,{number:06d},1.00,debit\n" for number in range(600)]
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text(head + "".join(lines) + f"{day},87654321,000001,000001,1.00,debit\n")
    second.write_text(head + f"{day + timedelta(days=1)},12345678,000001,000999,1.00,debit\n")
    try:
        until(lambda: known(fleet))
        done = desk.run("settle", str(first), "--database", str(fleet.database))
        assert done.returncode == 1, "a line of an unknown terminal is said, and the rest is sent"
        assert "terminal id 87654321: not known, 1 lines not sent" in done.stderr
        assert '"lines": 601' in done.stdout
        assert desk.run("settle", str(first), "--database", str(fleet.database)).returncode == 1
        assert desk.run("settle", str(second), "--database", str(fleet.database)).returncode == 0
        shown = agent.app.get(f"/v1/transactions/{opened['id']}")
        assert shown["settlement"] == {"verdict": "settled", "final": True, "case": "refund", "booked_fen": 100}
        assert types(agent).count("settlement.imported") == 3
        first.write_text(head + f"{day},12345678,000001,000741,1.00,up\n")
        bad = desk.run("settle", str(first), "--database", str(fleet.database))
        assert bad.returncode == 64
        assert "2: direction 'up' is not known" in bad.stderr
    finally:
        fleet.kill()
    assert agent.cli("verify").returncode == 0


def known(fleet: Fleet) -> bool:
    """Has the terminal said who it is?"""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{fleet.database}?mode=ro", uri=True)) as database:
            return bool(database.execute("SELECT 1 FROM terminals WHERE snap IS NOT NULL").fetchall())
    except sqlite3.OperationalError:
        return False


def test_a_replay_brings_back_what_the_fleet_lost(
    make_agent: Make, host: Host, broker: Mosquitto, desk: Desk, tmp_path: Path
) -> None:
    fleet = Fleet(tmp_path, broker.url)
    agent = commanded(make_agent, host, broker, desk)
    try:
        refused_sale(agent, host)
        until(lambda: fleet.events() == expected(agent))
        fleet.kill()
        for file in tmp_path.glob("fleet.db*"):
            file.unlink()
        fleet.start()
        until(lambda: known(fleet))
        assert len(fleet.events()) < 5, "the broker was told; without an order nothing comes again"
        answer = desk.run("replay", SN, "--from-seq", "1", "--wait", "--json")
        assert answer.returncode == 0, answer.stderr
        until(lambda: [seq for seq, _ in fleet.events()] == published(agent))
    finally:
        fleet.kill()


def published(agent: Agent) -> list[int]:
    return [seq for seq, _ in expected(agent)]


def test_the_journal_is_uploaded_in_parts_without_what_it_was_made_from(agent: Agent, host: Host, desk: Desk) -> None:
    refused_sale(agent, host)
    done = desk.run("command", SN, "upload-log", "from_seq=3", "entries=8", "--wait")
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"seq"')]
    assert [entry["seq"] for entry in entries] == list(range(3, 11))
    assert all(entry["input"] is None for entry in entries)
    assert "card_hmac" not in done.stdout
    assert PAN not in done.stdout


def test_the_configuration_is_changed_checked_and_taken_over_without_a_restart(agent: Agent, desk: Desk) -> None:
    before = agent.config.read_text()
    assert desk.order("config", "version=3", "recovery.spacing_ms=61000", "terminal.lang=en")["d"]["result"] == {"version": 3}
    until(lambda: "agent.configured" in types(agent))
    assert 'lang = "en"' in agent.config.read_text()
    assert agent.config.with_name("reversald.toml.old").read_text() == before
    changed = agent.config.read_text()
    assert desk.order("config", "version=3", "terminal.lang=zh", code=1)["d"] == {"why": "old-version"}
    assert desk.order("config", "version=4", "terminal.lang=fr", code=1)["d"] == {"why": "bad-value"}
    assert desk.order("config", "version=4", "hook.socket=/tmp/x", code=1)["d"] == {"why": "not-reloadable"}
    assert agent.config.read_text() == changed
    assert agent.cli("verify").returncode == 0


def test_who_names_no_key_takes_no_command_and_says_so(make_agent: Make, host: Host, broker: Mosquitto, desk: Desk) -> None:
    agent = make_agent(host.port, mqtt={"url": broker.url}).start()
    done = desk.run("command", SN, "query", "what=status")
    assert (done.returncode, done.stdout) == (69, "")
    assert "nobody listens" in done.stderr
    assert "commands of the fleet: off" in agent.log.read_text()
    assert json.loads(agent.cli("status", "--json").stdout)["commands"] == "off"
