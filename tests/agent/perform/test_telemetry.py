"""Telemetry from journal to broker: what goes, in which order, when the cursor moves, and what no broker can break."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import pytest

from agent.envelope import Ack, Beat, Event, Response, Snap, State, decode, encode
from agent.perform.courier import AHEAD, CURSOR_ROWS, Pace
from agent.perform.telemetry import Identity, Rhythm, Telemetry
from device.broker import parse_broker
from device.clock import Reading
from device.mqtt import Backoff, Inbound, Message, MqttClient
from tests.support.broker import Mosquitto
from tests.support.fakebroker import PUBACK, PUBLISH, FakeBroker, Published, disconnect, packet
from tests.support.outbox import MemoryOutbox, StillClock
from tests.support.waiting import until

QUICK = Pace(hold_min_s=0.02, hold_max_s=0.05, ack_min_s=30.0)
ROOT = "rv1/demo/T0000001"


class Fleet:
    """A subscriber that remembers what came, and can acknowledge."""

    def __init__(self, url: str, *channels: str, name: str = "fleet", topic: str = ROOT) -> None:
        self.events: list[Event] = []
        self.states: list[State] = []
        self.snaps: list[Snap] = []
        self.beats: list[Beat] = []
        self.news = asyncio.Event()
        self._topics = [f"{topic}/{channel}" for channel in channels or ("ev", "state", "snap", "hb")]
        self._client = MqttClient(parse_broker(url), name, backoff=Backoff(0.01, 0.05))

    async def __aenter__(self) -> Self:
        self._client.start(self, None, self._topics)
        await self.until(lambda: self._client.connected)
        return self

    async def __aexit__(self, *_why: object) -> None:
        await self._client.stop()

    def on_connected(self, _session: object) -> None:
        self.news.set()

    def on_disconnected(self, _ending: object) -> None: ...

    def on_unsubscribed(self, text: str) -> None:
        raise AssertionError(text)

    def on_message(self, message: Inbound) -> None:
        topic, payload = message.topic, message.payload
        if topic.endswith("/ev"):
            self.events.append(decode(payload, Event))
        elif topic.endswith("/state"):
            self.states.append(decode(payload, State))
        elif topic.endswith("/snap"):
            self.snaps.append(decode(payload, Snap))
        else:
            self.beats.append(decode(payload, Beat))
        self.news.set()

    def acknowledge(self, hwm: int, epoch: str = MemoryOutbox().epoch) -> None:
        assert self._client.publish(Message(f"{ROOT}/ack", encode(Ack(epoch=epoch, hwm=hwm))))

    def seqs(self) -> list[int]:
        return [event.seq for event in self.events]

    async def until(self, holds: Callable[[], object]) -> None:
        await until(holds)


@contextlib.asynccontextmanager
async def terminal(url: str, outbox: MemoryOutbox, **options: Any) -> AsyncIterator[Telemetry]:
    window = options.pop("window", 20)
    client = MqttClient(parse_broker(url), "T0000001", window=window, backoff=Backoff(0.01, 0.05))
    options.setdefault("pace", QUICK)
    clock = options.pop("clock", StillClock())
    telemetry = Telemetry(outbox, client, Identity("demo", "T0000001", 1), clock, **options)
    running = asyncio.create_task(telemetry.run())
    try:
        yield telemetry
    finally:
        await telemetry.stop()
        await running


def journal(*kinds: str) -> MemoryOutbox:
    outbox = MemoryOutbox()
    for kind in kinds:
        outbox.add(kind)
    return outbox


def test_only_what_the_fleet_wants_goes_and_each_row_names_the_one_before_it(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("agent.started", "incident.opened", "transaction.sent", "line.up", "reversal.sent", "vault.scrubbed")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox) as telemetry:
            await fleet.until(lambda: len(fleet.events) == 2)
            assert [(event.seq, event.prev, event.type) for event in fleet.events] == [
                (2, 0, "incident.opened"),
                (5, 2, "reversal.sent"),
            ]
            await until(lambda: outbox.cursor() == 6)
            outbox.add("printer.state")
            telemetry.poke()
            await fleet.until(lambda: len(fleet.events) == 3)
            assert (fleet.events[2].seq, fleet.events[2].prev) == (7, 5)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_after_a_restart_the_row_before_is_looked_for_in_the_journal(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("incident.opened", *["transaction.sent"] * 450, "reversal.sent")
        outbox.move(451)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox):
            await fleet.until(lambda: fleet.events)
            assert (fleet.events[0].seq, fleet.events[0].prev) == (452, 1)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_an_event_says_who_when_and_whether_it_is_late(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = MemoryOutbox()
        outbox.add("reversal.sent", {"amount_fen": 100}, mono_ms=99_000, incident="i-1", transaction="t-1")
        outbox.add("reversal.sent", {}, mono_ms=30_000)
        outbox.add("reversal.sent", {}, mono_ms=99_000, boot=0)
        outbox.add("reversal.sent", {}, mono_ms=99_000, wall_ms=None, clk="none")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox):
            await fleet.until(lambda: len(fleet.events) == 4)
            first = fleet.events[0]
            assert (first.sn, first.fleet, first.epoch) == ("T0000001", "demo", outbox.epoch)
            assert (first.inc, first.tx, first.d) == ("i-1", "t-1", {"amount_fen": 100})
            assert (first.ts, first.clk, first.mono, first.boot) == (1_790_000_001_000, "ntp", 99_000, 1)
            assert [event.late for event in fleet.events] == [False, True, True, False]
            assert (fleet.events[3].ts, fleet.events[3].clk) == (None, "none")

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_the_cursor_moves_in_batches(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * 900)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 900 and len(fleet.events) == 900)
            assert fleet.seqs() == list(range(1, 901))
            assert outbox.moves == sorted(outbox.moves)
            assert len(outbox.moves) < 900 / 5

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_rows_that_nobody_wants_cost_no_commit_until_there_are_many(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["transaction.sent"] * (CURSOR_ROWS - 1))
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox) as telemetry:
            await fleet.until(lambda: fleet.states and outbox.reads)
            await asyncio.sleep(0.1)
            assert outbox.moves == []
            outbox.add("transaction.sent")
            telemetry.poke()
            await until(lambda: outbox.moves == [CURSOR_ROWS])

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_offline_nothing_moves_and_a_restart_sends_what_was_not_delivered(tmp_path: Path) -> None:
    async def offline(url: str, outbox: MemoryOutbox) -> None:
        async with terminal(url, outbox) as telemetry:
            await until(lambda: telemetry.problem)
            assert telemetry.problem == f"{url}: Connection refused"
            outbox.add("reversal.sent")
            telemetry.poke()
        assert outbox.moves == []

    async def online(url: str, outbox: MemoryOutbox) -> None:
        async with Fleet(url) as fleet, terminal(url, outbox):
            await until(lambda: outbox.cursor() == 2)
            await fleet.until(lambda: fleet.seqs() == [1, 2])  # the broker has them before the fleet

    outbox = journal("reversal.opened")
    broker = Mosquitto(tmp_path)
    asyncio.run(offline(broker.url, outbox))
    with broker:
        asyncio.run(online(broker.url, outbox))


def test_with_ack_fleet_a_puback_is_not_delivery(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("reversal.opened", "transaction.sent", "reversal.sent", "transaction.sent")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet") as telemetry:
            await fleet.until(lambda: len(fleet.events) == 2)
            assert outbox.moves == []
            fleet.acknowledge(1)
            await until(lambda: outbox.cursor() == 1)
            fleet.acknowledge(3, epoch="another journal")
            fleet.acknowledge(500)  # reported, so that we know when it came
            await until(lambda: telemetry.problem)
            await asyncio.sleep(0.1)
            assert outbox.cursor() == 1
            fleet.acknowledge(3)
            await until(lambda: outbox.cursor() == 4)
            assert 3 not in outbox.moves[:-1]

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_with_ack_fleet_what_was_not_confirmed_goes_again_after_a_reconnect(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * 6)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet"):
            await fleet.until(lambda: len(fleet.events) == 6)
            fleet.acknowledge(2)
            await until(lambda: outbox.cursor() == 2)
            broker.restart()
            await fleet.until(lambda: fleet.seqs()[-4:] == [3, 4, 5, 6] and len(fleet.events) > 6)
            assert {event.seq: event.prev for event in fleet.events[6:]} == {3: 2, 4: 3, 5: 4, 6: 5}

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_with_ack_fleet_a_silent_fleet_is_sent_everything_again_after_a_while(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("reversal.sent", "reversal.sent")
        pace = Pace(hold_min_s=0.02, hold_max_s=0.05, ack_min_s=0.1, ack_max_s=0.2)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet", pace=pace):
            await fleet.until(lambda: len(fleet.events) >= 6)
            assert fleet.seqs()[:6] == [1, 2, 1, 2, 1, 2]
            fleet.acknowledge(2)
            await until(lambda: outbox.cursor() == 2)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_with_ack_fleet_no_more_than_a_stated_number_of_rows_runs_ahead(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * (AHEAD + 50))
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet") as telemetry:
            await fleet.until(lambda: len(fleet.events) == AHEAD)
            telemetry.poke()
            await asyncio.sleep(0.05)
            assert len(fleet.events) == AHEAD
            fleet.acknowledge(60)
            await fleet.until(lambda: len(fleet.events) == AHEAD + 50)
            assert fleet.seqs() == list(range(1, AHEAD + 51))

    with Mosquitto(tmp_path, "max_queued_messages 0") as broker:
        asyncio.run(play(broker))


def test_with_ack_fleet_a_mark_reached_before_our_restart_is_taken_as_it_is(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * 1_200)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet", window=2):
            await fleet.until(lambda: fleet.events)
            fleet.acknowledge(1_190)
            await until(lambda: outbox.cursor() == 1_190)
            await fleet.until(lambda: fleet.seqs()[-1] == 1_200)
            assert fleet.events[-10].seq == 1_191
            assert fleet.events[-10].prev == 1_190

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_fleet_that_lost_its_database_is_given_everything_again(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * 5)
        outbox.move(5)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet") as telemetry:
            outbox.add("reversal.sent")
            telemetry.poke()
            await fleet.until(lambda: fleet.seqs() == [6])
            fleet.acknowledge(0)
            await fleet.until(lambda: fleet.seqs() == [6, 1, 2, 3, 4, 5, 6])
            assert [event.prev for event in fleet.events] == [5, 0, 1, 2, 3, 4, 5]
            assert "less than it confirmed" in telemetry.problem or not telemetry.problem
            fleet.acknowledge(6)
            await until(lambda: outbox.cursor() == 6)
            assert len(fleet.events) == 7

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_mark_beyond_the_journal_is_not_believed(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("reversal.sent")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet") as telemetry:
            await fleet.until(lambda: fleet.events)
            fleet.acknowledge(500)
            await until(lambda: telemetry.problem)
            assert telemetry.problem == (
                "the fleet confirmed entry 500, which this journal does not have: was it restored from a copy?"
            )
            assert outbox.moves == []

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_while_nobody_subscribes_rows_wait_and_go_again(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("reversal.sent", "reversal.sent")
        async with terminal(broker.url, outbox) as telemetry:
            await until(lambda: telemetry.problem == "nobody subscribes to our events")
            await asyncio.sleep(0.1)
            assert outbox.moves == []
            async with Fleet(broker.url) as fleet:
                await until(lambda: outbox.cursor() == 2)
                await fleet.until(lambda: fleet.seqs()[-2:] == [1, 2])
                assert telemetry.problem == ""

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_row_that_the_broker_refuses_is_set_aside_when_others_get_through() -> None:
    def answer(published: Published) -> int:
        return 0x99 if b'"poison"' in published.payload else 0

    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent", "reversal.sent")
        outbox.add("receipt.unknown", {"poison": 1})
        outbox.add("transaction.sent")
        outbox.add("reversal.sent")
        async with terminal(broker.url, outbox) as telemetry:
            await until(lambda: outbox.cursor() == 5)
            assert outbox.skipped == {3: "the broker refused it: Payload format invalid (0x99)"}
            last = decode(broker.events()[-1].payload, Event)
            assert (last.seq, last.prev) == (5, 2), "it waits for no row that will never come"
            assert telemetry.problem == ""

    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))


def test_a_refused_row_with_nothing_after_it_is_kept_and_tried_again() -> None:
    def answer(published: Published) -> int:
        return 0x99 if b'"poison"' in published.payload else 0

    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent")
        outbox.add("receipt.unknown", {"poison": 1})
        async with terminal(broker.url, outbox) as telemetry:
            await until(lambda: len(broker.events()) > 4)
            assert telemetry.problem == "the broker refused it: Payload format invalid (0x99)"
            assert outbox.skipped == {}
            await until(lambda: outbox.cursor() == 1)
            outbox.add("reversal.sent")
            telemetry.poke()
            await until(lambda: outbox.cursor() == 3)
            assert list(outbox.skipped) == [2]

    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))


def test_a_row_refused_once_by_mistake_is_not_lost() -> None:
    refusals = iter([0x99])

    def answer(published: Published) -> int:
        return next(refusals, 0) if published.topic.endswith("/ev") else 0

    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent", "reversal.sent")
        async with terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 2)
            assert outbox.skipped == {}
            assert [decode(each.payload, Event).seq for each in broker.events()] == [1, 2, 1, 2]

    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))


def test_a_row_too_large_for_mosquitto_which_answers_with_a_code_that_paho_does_not_know_is_set_aside(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("reversal.sent", "reversal.sent")
        outbox.add("receipt.unknown", {"text": "x" * 3_000})
        outbox.add("reversal.sent")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 4)
            assert list(outbox.skipped) == [3]
            await fleet.until(lambda: fleet.seqs()[-1:] == [4])
            assert fleet.events[-1].prev == 2

    with Mosquitto(tmp_path, "message_size_limit 2000") as broker:
        asyncio.run(play(broker))


def test_a_broker_that_forbids_our_topic_does_not_empty_the_journal(tmp_path: Path) -> None:
    async def play(broker: Mosquitto, rules: Path) -> None:
        outbox = journal(*["reversal.sent"] * 40)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox) as telemetry:
            await until(lambda: "Not authorized (0x87)" in telemetry.problem)
            await asyncio.sleep(0.1)
            assert outbox.skipped == {}
            assert outbox.moves == []
            rules.write_text("topic readwrite rv1/#\n")  # noqa: ASYNC240
            broker.reload()
            await until(lambda: outbox.cursor() == 40)
            assert outbox.skipped == {}
            await fleet.until(lambda: set(fleet.seqs()) == set(range(1, 41)))

    rules = tmp_path / "acl"
    rules.write_text("topic read rv1/#\n")
    with Mosquitto(tmp_path, f"acl_file {rules}") as broker:
        asyncio.run(play(broker, rules))


def test_a_quota_is_not_the_rows_fault() -> None:
    refusals = iter([0x97] * 5)

    def answer(published: Published) -> int:
        return next(refusals, 0) if b'"seq":1,' in published.payload else 0

    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent", "reversal.sent")
        async with terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 2)
            assert outbox.skipped == {}

    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))


def test_a_broker_that_hangs_up_over_a_row_does_not_stop_the_others() -> None:
    def answer(published: Published) -> int | bytes:
        return disconnect(0x99) if b'"poison"' in published.payload else 0

    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent")
        outbox.add("reversal.sent", {"poison": 1})
        for _ in range(5):
            outbox.add("reversal.sent")
        async with terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 7)
            assert list(outbox.skipped) == [2]
            last = {event.seq: event.prev for event in (decode(each.payload, Event) for each in broker.events())}
            assert last == {1: 0, 2: 1, 3: 1, 4: 3, 5: 4, 6: 5, 7: 6}

    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))


def test_a_broker_that_hangs_up_before_it_answered_the_rows_before_does_not_get_them_blamed() -> None:
    def answer(published: Published) -> bytes | int | None:
        if not published.topic.endswith("/ev"):
            return 0
        if b'"poison"' in published.payload:
            return disconnect(0x99)
        later = packet(PUBACK, published.packet_id.to_bytes(2, "big") + b"\0\0")
        timer = threading.Timer(0.05, broker.send, [later])  # a poison row that follows at once comes first
        timer.start()
        timers.append(timer)
        return None

    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent")
        outbox.add("reversal.sent", {"poison": 1})
        outbox.add("reversal.sent")
        async with terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 3)
            assert list(outbox.skipped) == [2]

    timers: list[threading.Timer] = []
    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))
        for timer in timers:
            timer.join()


def test_a_row_that_cannot_be_written_down_is_set_aside(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = MemoryOutbox()
        outbox.add("reversal.sent", {"text": "x" * 70_000})
        outbox.add("reversal.sent")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 2)
            assert list(outbox.skipped) == [1]
            assert "more than the 65536 allowed" in outbox.skipped[1]
            await fleet.until(lambda: fleet.events)
            assert (fleet.events[0].seq, fleet.events[0].prev) == (2, 0)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_window_of_one_is_enough(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * 5)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 5)
            await fleet.until(lambda: fleet.seqs() == [1, 2, 3, 4, 5])

    with Mosquitto(tmp_path, "max_inflight_messages 1") as broker:
        asyncio.run(play(broker))


def test_a_storage_error_ends_telemetry_with_that_error(tmp_path: Path) -> None:
    class Full(MemoryOutbox):
        def move(self, seq: int) -> None:
            raise OSError(28, f"disk full at {seq}")

    async def play(broker: Mosquitto) -> None:
        outbox = Full()
        outbox.add("reversal.sent")
        client = MqttClient(parse_broker(broker.url), "T0000001")
        telemetry = Telemetry(outbox, client, Identity("demo", "T0000001", 1), StillClock(), pace=QUICK)
        async with Fleet(broker.url):
            with pytest.raises(OSError, match="disk full at 1"):
                await telemetry.run()
            assert not telemetry.alive
            await telemetry.stop()

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_the_fleet_sees_online_offline_and_lost_with_their_sessions(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        async with Fleet(broker.url, "state") as fleet:
            async with terminal(broker.url, MemoryOutbox()):
                await fleet.until(lambda: fleet.states)
            await fleet.until(lambda: len(fleet.states) == 2)
            online, offline = fleet.states
            assert (online.state, offline.state) == ("online", "offline")
            assert online.session == offline.session
            assert (online.boot, online.mono, online.ts) == (1, 100_000, 1_790_000_100_000)

            client = MqttClient(parse_broker(broker.url), "T0000001", backoff=Backoff(60, 60, draw=lambda: 1.0))
            telemetry = Telemetry(MemoryOutbox(), client, Identity("demo", "T0000001", 1), StillClock())
            running = asyncio.create_task(telemetry.run())
            await fleet.until(lambda: len(fleet.states) == 3)
            client._live._sock.shutdown(2)  # type: ignore[union-attr]
            await fleet.until(lambda: len(fleet.states) == 4)
            assert fleet.states[3].state == "lost"
            assert fleet.states[3].session == fleet.states[2].session != online.session
            assert fleet.states[3].ts is None
            await telemetry.stop()
            await running
        async with Fleet(broker.url, "state", name="late") as late:
            await late.until(lambda: late.states)
            assert late.states[0].state == "lost", "it is retained"

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_broker_that_keeps_nothing_gets_a_will_that_it_can_take(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        async with Fleet(broker.url, "state") as fleet, terminal(broker.url, MemoryOutbox()):
            await fleet.until(lambda: fleet.states)
            assert fleet.states[0].state == "online"

    with Mosquitto(tmp_path, "retain_available false") as broker:
        asyncio.run(play(broker))


def test_a_snap_comes_with_each_connection_and_once_for_many_changes(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        view = {"pending": 0}
        options = {"snapshot": lambda: view, "rhythm": Rhythm(snap_s=0.05)}
        async with Fleet(broker.url, "snap") as fleet, terminal(broker.url, MemoryOutbox(), **options) as telemetry:
            await fleet.until(lambda: fleet.snaps)
            for pending in (1, 2, 3):
                view["pending"] = pending
                telemetry.changed()
            await fleet.until(lambda: len(fleet.snaps) == 2)
            assert [snap.d for snap in fleet.snaps] == [{"pending": 0}, {"pending": 3}]

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_heart_beats_at_qos_0_and_is_not_kept() -> None:
    async def play(broker: FakeBroker) -> None:
        async with terminal(broker.url, MemoryOutbox(), rhythm=Rhythm(beat_s=0.02)):
            await until(lambda: sum(each.topic.endswith("/hb") for each in broker.published) >= 3)
        beat = next(each for each in broker.published if each.topic.endswith("/hb"))
        assert (beat.qos, beat.retain, beat.expiry_s) == (0, False, 600)
        assert decode(beat.payload, Beat).mono == 100_000
        snap = next(each for each in broker.published if each.topic.endswith("/snap"))
        assert (snap.qos, snap.retain, snap.expiry_s) == (1, True, 86_400)

    with FakeBroker() as broker:
        asyncio.run(play(broker))


def test_two_terminals_with_one_id_are_both_told(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        told: list[str] = []
        first = {"on_clone": lambda: told.append("first")}
        second = {"on_clone": lambda: told.append("second")}
        async with terminal(broker.url, MemoryOutbox(), **first), terminal(broker.url, MemoryOutbox(), **second):
            await until(lambda: set(told) == {"first", "second"})
            await asyncio.sleep(0.2)
        assert sorted(told) == ["first", "second"], "once an hour is enough"

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_broker_that_tells_of_a_takeover_is_believed() -> None:
    async def play(broker: FakeBroker) -> None:
        told: list[bool] = []
        async with terminal(broker.url, MemoryOutbox(), on_clone=lambda: told.append(True)) as telemetry:
            await until(lambda: telemetry.connected)
            broker.send(disconnect(0x8E))
            await until(lambda: told)

    with FakeBroker() as broker:
        asyncio.run(play(broker))


def test_our_own_past_is_no_clone(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        told: list[bool] = []
        for _ in range(2):  # the second run finds the first one's `online`, as after a kill -9
            client = MqttClient(parse_broker(broker.url), "T0000001", backoff=Backoff(0.01, 0.05))
            telemetry = Telemetry(
                MemoryOutbox(), client, Identity("demo", "T0000001", 1), StillClock(), on_clone=lambda: told.append(True)
            )
            running = asyncio.create_task(telemetry.run())
            for number in (1, 2, 3):
                await until(lambda: telemetry._greeted is not None and telemetry._number >= number)  # noqa: B023
                client._live._sock.shutdown(2)  # type: ignore[union-attr]
                await until(lambda: telemetry._number > number)  # noqa: B023
            running.cancel()
            await client.stop()
        assert told == []

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_what_the_broker_kept_of_our_past_may_come_after_it_heard_us() -> None:
    past = State(sn="T0000001", fleet="demo", epoch="e", boot=1, ts=None, clk="none", mono=0, state="lost", session="old.1")
    topic = f"{ROOT}/state".encode()
    kept = packet(PUBLISH, len(topic).to_bytes(2, "big") + topic + b"\0" + encode(past), flags=1)

    async def play(broker: FakeBroker) -> None:
        told: list[bool] = []
        async with terminal(broker.url, MemoryOutbox(), on_clone=lambda: told.append(True)) as telemetry:
            for number in (1, 2):
                await until(lambda: telemetry._greeted and telemetry._number == number)  # noqa: B023
                broker.send(kept)
                broker.send(packet(PUBLISH, len(topic).to_bytes(2, "big") + topic + b"\0{}"))
                await until(lambda: "not to be used" in telemetry.problem)
                assert told == [True] * (number - 1), "only after our line broke is it the word of another"
                broker.drop()

    with FakeBroker() as broker:
        asyncio.run(play(broker))


def test_a_message_that_is_none_of_ours_is_reported_and_harmless(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        async with Fleet(broker.url) as fleet, terminal(broker.url, MemoryOutbox(), ack="fleet") as telemetry:
            await until(lambda: telemetry.connected)
            fleet._client.publish(Message(f"{ROOT}/ack", b'{"epoch":"6222021234567890128"}'))
            await until(lambda: telemetry.problem)
            assert telemetry.problem == "a message for us is not to be used: not a valid ack: field hwm is missing"

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_idle_it_sets_no_timer_but_the_heart(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal("reversal.sent")
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack="fleet") as telemetry:
            await fleet.until(lambda: fleet.events)
            fleet.acknowledge(1)
            await until(lambda: outbox.cursor() == 1)
            assert telemetry._courier._timers == {}
            assert telemetry._snap is None
            assert telemetry._beat is not None

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_with_no_trusted_clock_nothing_that_it_says_has_a_date(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        clock = StillClock()
        clock.now = Reading("boot-1", 5_000, 86_400_000, "none")
        async with Fleet(broker.url, "state") as fleet, terminal(broker.url, MemoryOutbox(), clock=clock):
            await fleet.until(lambda: fleet.states)
            assert json.loads(encode(fleet.states[0]))["ts"] is None

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


@pytest.mark.parametrize("ack", ["broker", "fleet"])
def test_what_is_ordered_again_goes_again_in_order_whatever_the_fleet_confirms_meanwhile(tmp_path: Path, ack: str) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(*["reversal.sent"] * 60)
        async with Fleet(broker.url) as fleet, terminal(broker.url, outbox, ack=ack) as telemetry:
            await fleet.until(lambda: len(fleet.events) == 60)
            fleet.acknowledge(60)
            await until(lambda: outbox.cursor() == 60)
            fleet.events.clear()
            telemetry.rewind(10)
            assert outbox.cursor() == 10, "on disk at once: a kill in the middle of it loses nothing"
            fleet.acknowledge(60)  # it has them all; a reader beside it has not
            await fleet.until(lambda: len(fleet.events) >= 50)
            assert [(event.seq, event.prev) for event in fleet.events[:50]] == [(seq, seq - 1) for seq in range(11, 61)]
            fleet.acknowledge(60)
            await until(lambda: outbox.cursor() == 60)
            outbox.add("reversal.sent")
            telemetry.poke()
            await fleet.until(lambda: fleet.seqs()[-1] == 61)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_word_on_a_command_is_an_entry_of_the_same_chain_on_a_topic_of_its_own() -> None:
    async def play(broker: FakeBroker) -> None:
        outbox = journal("reversal.sent")
        outbox.add("command.done", {"id": "c-1", "name": "query", "result": {"a": 1}, "correlation": b"c-1".hex()})
        outbox.add("reversal.sent")
        async with terminal(broker.url, outbox):
            await until(lambda: outbox.cursor() == 3)
        sent = {message.topic: message for message in broker.published}
        answer = sent[f"{ROOT}/rsp"]
        assert (answer.qos, answer.retain, answer.expiry_s) == (1, False, 86_400)
        response = decode(answer.payload, Response)
        assert (response.seq, response.prev, response.id, response.status) == (2, 1, "c-1", "done")
        assert response.d == {"result": {"a": 1}}
        assert decode(sent[f"{ROOT}/ev"].payload, Event).prev == 2

    with FakeBroker() as broker:
        asyncio.run(play(broker))
