"""`reversald-fleet serve` as a real process between a real broker and a real terminal, killed wherever it hurts."""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.perform.courier import Pace
from agent.perform.telemetry import Identity, Telemetry
from device.broker import parse_broker
from device.mqtt import Backoff, Message, MqttClient
from fleet.__main__ import main
from fleet.sqlite import SqliteStore
from tests.support.broker import Mosquitto, free_port
from tests.support.outbox import MemoryOutbox, StillClock
from tests.support.process import Process
from tests.support.waiting import until


def serve(broker: Mosquitto, database: Path, *more: str) -> Process:
    return Process("-m", "fleet", "serve", "--broker", broker.url, "--database", str(database), "--retry", "0.2", *more)


def killed(when: str, number: int, broker: Mosquitto, database: Path) -> Process:
    arguments = ("serve", "--broker", broker.url, "--database", str(database))
    return Process("-m", "tests.fleet.killed_serve", when, str(number), *arguments)


@contextlib.asynccontextmanager
async def terminal(url: str, outbox: MemoryOutbox, ack: str, sn: str = "T0000001") -> AsyncIterator[Telemetry]:
    client = MqttClient(parse_broker(url), sn, backoff=Backoff(0.02, 0.1))
    pace = Pace(hold_min_s=0.02, hold_max_s=0.1, ack_min_s=1.0, ack_max_s=2.0)
    telemetry = Telemetry(outbox, client, Identity("demo", sn, 1), StillClock(), ack=ack, pace=pace)  # type: ignore[arg-type]
    running = asyncio.create_task(telemetry.run())
    try:
        yield telemetry
    finally:
        await telemetry.stop()
        await running


def journal(rows: int) -> MemoryOutbox:
    """Published rows with others between them."""
    outbox = MemoryOutbox()
    for number in range(rows):
        outbox.add("transaction.sent" if number % 3 == 1 else "reversal.sent")
    return outbox


def published(outbox: MemoryOutbox) -> list[int]:
    return [entry.seq for entry in outbox.entries if entry.type == "reversal.sent"]


def kept(database: Path, sn: str = "T0000001") -> list[int]:
    """The seqs in the fleet's database, in order."""
    connection = sqlite3.connect(database)
    found = [seq for (seq,) in connection.execute("SELECT seq FROM events WHERE sn = ? ORDER BY epoch, seq", (sn,))]
    connection.close()
    return found


def test_events_are_kept_once_in_order_and_acknowledged(tmp_path: Path) -> None:
    async def play(broker: Mosquitto, database: Path) -> None:
        with serve(broker, database) as process:
            process.wait_for("connected")
            first, second = journal(90), journal(60)
            async with terminal(broker.url, first, "fleet"), terminal(broker.url, second, "fleet", "T0000002"):
                await until(lambda: first.cursor() == 90 and second.cursor() == 60)
            assert process.terminate() == 0
            assert process.err[-1] == "100 events of 2 terminals taken in"
        assert kept(database) == published(first)
        assert kept(database, "T0000002") == published(second)
        store = SqliteStore(database)
        assert [(mark.hwm, mark.highest) for mark in store.marks()] == [(90, 90), (60, 60)]
        store.close()

    with Mosquitto(tmp_path / "mq") as broker:
        asyncio.run(play(broker, tmp_path / "fleet.db"))


def test_a_signal_ends_it_whichever_thread_the_kernel_would_have_chosen(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "mq") as broker, serve(broker, tmp_path / "fleet.db") as process:
        process.wait_for("connected")
        threads = [path.name for path in Path(f"/proc/{process.pid}/task").iterdir()]
        assert len(threads) == 2
        for thread in set(threads) - {str(process.pid)}:  # a handler only runs in the main thread, which would sleep on
            status = Path(f"/proc/{process.pid}/task/{thread}/status").read_text()
            blocked = int(re.search(r"SigBlk:\t(\w+)", status)[1], 16)  # type: ignore[index]
            assert all(blocked >> number - 1 & 1 for number in (signal.SIGTERM, signal.SIGINT))
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait() == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_or_after_a_commit_it_loses_nothing(tmp_path: Path, when: str) -> None:
    async def play(broker: Mosquitto, database: Path) -> None:
        outbox = journal(300)
        async with terminal(broker.url, outbox, "fleet"):
            with killed(when, 2, broker, database) as process:
                assert await asyncio.to_thread(process.wait) == -9
            assert outbox.cursor() < 300
            with serve(broker, database) as process:
                await until(lambda: outbox.cursor() == 300)
                assert process.terminate() == 0
        assert kept(database) == published(outbox)

    with Mosquitto(tmp_path / "mq") as broker:
        asyncio.run(play(broker, tmp_path / "fleet.db"))


def test_with_ack_broker_too_what_was_not_committed_waits_at_the_broker(tmp_path: Path) -> None:
    async def play(broker: Mosquitto, database: Path) -> None:
        outbox = journal(120)
        with serve(broker, database) as process:  # makes its session at the broker
            process.wait_for("connected")
        async with terminal(broker.url, outbox, "broker"):
            await until(lambda: outbox.cursor() == 120)
        with killed("before", 1, broker, database) as process:
            assert process.wait() == -9
        with serve(broker, database) as process:
            await until(lambda: database.exists() and kept(database) == published(outbox))
            assert process.terminate() == 0

    with Mosquitto(tmp_path / "mq") as broker:
        asyncio.run(play(broker, tmp_path / "fleet.db"))


def test_a_broker_killed_three_times_with_all_it_held_loses_no_event_with_ack_fleet(tmp_path: Path) -> None:
    async def play(broker: Mosquitto, database: Path) -> None:
        outbox = MemoryOutbox()
        with serve(broker, database) as process:
            process.wait_for("connected")
            async with terminal(broker.url, outbox, "fleet") as telemetry:
                for round_number in (1, 2, 3):
                    for _ in range(200):
                        outbox.add("reversal.sent")
                    telemetry.poke()
                    await until(lambda: outbox.cursor() > 200 * (round_number - 1))  # noqa: B023
                    broker.restart()
                await until(lambda: outbox.cursor() == 600)
            assert process.terminate() == 0
        assert kept(database) == list(range(1, 601))
        store = SqliteStore(database)
        assert [(dated.event.seq, dated.event.prev) for dated in store.events("T0000001", outbox.epoch)] == [
            (seq, seq - 1) for seq in range(1, 601)
        ]
        store.close()

    with Mosquitto(tmp_path / "mq") as broker:
        asyncio.run(play(broker, tmp_path / "fleet.db"))


def test_a_fleet_whose_database_is_gone_is_given_the_whole_journal_again(tmp_path: Path) -> None:
    async def play(broker: Mosquitto, database: Path) -> None:
        outbox = journal(60)
        outbox.move(59)
        with serve(broker, database) as process:
            process.wait_for("connected")
            async with terminal(broker.url, outbox, "fleet"):
                await until(lambda: outbox.cursor() == 60)
            process.wait_for("T0000001: complete again up to entry 60")
            assert process.terminate() == 0
        assert kept(database) == published(outbox)

    with Mosquitto(tmp_path / "mq") as broker:
        asyncio.run(play(broker, tmp_path / "fleet.db"))


def test_what_cannot_be_used_is_told_listed_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    class Silent:
        def __getattr__(self, _name: str) -> Callable[..., None]:
            return lambda *_arguments: None

    async def play(broker: Mosquitto, database: Path) -> None:
        outbox = journal(3)
        with serve(broker, database) as process:
            process.wait_for("connected")
            client = MqttClient(parse_broker(broker.url), "vandal")
            client.start(Silent(), None, ())  # type: ignore[arg-type]
            await until(lambda: client.connected)
            client.publish(Message("rv1/demo/T0000001/ev", b'{"seq":"6222021234567890128"}'))
            process.wait_for("rv1/demo/T0000001/ev: cannot be used: not a valid event: field")
            await client.stop()
            async with terminal(broker.url, outbox, "fleet"):
                await until(lambda: outbox.cursor() == 3)
            assert process.terminate() == 0
            assert "6222021234567890128" not in "".join(process.err + process.out)
        assert kept(database) == [1, 3]
        assert b"6222021234567890128" not in database.read_bytes()  # noqa: ASYNC240

    with Mosquitto(tmp_path / "mq") as broker:
        asyncio.run(play(broker, tmp_path / "fleet.db"))


def test_it_waits_for_the_broker_with_a_line_for_each_attempt(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mq")
    try:
        with serve(broker, tmp_path / "fleet.db") as process:
            process.wait_for(f"{broker.url}: Connection refused; trying again in 0.")
            broker.start()
            process.wait_for(f"{broker.url}: connected")
            assert process.terminate() == 0
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 64, "Missing option '--broker'"),
        (("--broker", "http://x", "--database", "fleet.db"), 64, "--broker must be mqtt://host:1883"),
        (("--broker", "mqtt://x", "--database", "fleet.db", "--fleet", "a/b"), 64, "fleet must be 1 to 8 printable"),
        (("--broker", "mqtt://x", "--ca", "ca.pem", "--database", "f.db"), 64, "--broker must start with mqtts://"),
        (("--broker", "mqtts://x", "--ca", "none.pem", "--database", "f.db"), 64, "cannot be used: no such file"),
        (("--broker", "mqtts://x", "--cert", "c.pem", "--database", "f.db"), 64, "belong together: give both or neither"),
        (("--broker", "mqtt://x:0", "--database", "f.db"), 64, "0 is not a port"),
        (("--broker", "mqtt://x", "--database", "/proc/none/fleet.db"), 74, "the database /proc/none/fleet.db failed: "),
        (("--broker", "NOWHERE", "--give-up", "0", "--database", "FILE"), 69, "cannot be reached: Connection refused"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    known = {"NOWHERE": f"mqtt://127.0.0.1:{free_port()}", "FILE": str(tmp_path / "fleet.db")}
    with pytest.raises(SystemExit) as caught:
        main(["serve", *(known.get(argument, argument) for argument in arguments)])
    assert caught.value.code == code
    told = capsys.readouterr().err
    assert says in told.splitlines()[-1]
    assert "Traceback" not in told


def test_a_broker_that_will_not_have_us_ends_it_at_once(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "mq", "allow_anonymous false") as broker, serve(broker, tmp_path / "fleet.db") as process:
        assert process.wait() == 69
        assert process.err == [f"reversald-fleet: {broker.url} refuses us: Not authorized (0x87)"]


def test_the_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "watch"):
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert f"reversald-fleet {command} --broker mqtt://127.0.0.1" in text
        assert "69 the broker cannot be" in text
