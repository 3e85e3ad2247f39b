"""`reversald-fleet watch` as a real process: one readable line for each event, as it comes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fleet.test_serve import journal, terminal, until
from tests.support.broker import Mosquitto
from tests.support.outbox import MemoryOutbox
from tests.support.process import ROOT, Process


def watch(broker: Mosquitto, *more: str) -> Process:
    process = Process(
        "-m", "fleet", "watch", "--broker", broker.url, "--retry", "0.2", *more, env=os.environ | {"TZ": "Asia/Shanghai"}
    )
    process.wait_for("connected")
    return process


def test_each_event_is_a_line_in_the_language_asked_for(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = MemoryOutbox()
        outbox.add("reversal.confirmed", {"amount_fen": 100}, transaction="0a1b2c3d-0000")
        with watch(broker, "--lang", "zh") as chinese, watch(broker, "--lang", "en", "--sn", "T0000001") as english:
            async with terminal(broker.url, outbox, "broker"):
                await until(lambda: outbox.cursor() == 1)
            chinese.wait_for("终端下线")
            english.wait_for("terminal offline")
            assert chinese.terminate() == 0
            assert english.terminate() == 0
        assert chinese.out == [
            "2026-09-21 22:15:00  T0000001  终端上线",
            "2026-09-21 22:13:21  T0000001  #1  冲正成功  (迟到)  1.00元  交易 0a1b2c3d",
            "2026-09-21 22:15:00  T0000001  终端下线",
        ]
        assert "reversal accepted  (late)  1.00 CNY  transaction 0a1b2c3d" in english.out[1]

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_with_json_each_line_is_the_object_that_travelled(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(1)
        with watch(broker, "--json", "--count", "3", "--fleet", "demo") as process:
            async with terminal(broker.url, outbox, "broker"):
                await until(lambda: outbox.cursor() == 1)
            assert process.wait() == 0
        online, event, offline = (json.loads(line) for line in process.out)
        assert (online["state"], offline["state"]) == ("online", "offline")
        assert (event["type"], event["seq"], event["prev"], event["d"]) == ("reversal.sent", 1, 0, {"n": 1})

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_another_fleet_is_not_seen_and_a_broker_that_comes_back_is_found_again(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        outbox = journal(1)
        with watch(broker, "--fleet", "other") as other, watch(broker) as everything:
            broker.restart()
            other.wait_for("trying again in 0.")
            for process in (other, everything):
                process.wait_for("connected", 2)
            async with terminal(broker.url, outbox, "broker"):
                await until(lambda: outbox.cursor() == 1)
            everything.wait_for("#1")
            assert other.out == []

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> int:
        child = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", "fleet", "watch", "--broker", broker.url],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        assert b"connected" in child.stderr.readline()
        child.stdout.close()
        async with terminal(broker.url, journal(1), "broker"):
            code = await asyncio.to_thread(child.wait, 20)
        assert child.stderr.read() == b""
        child.stderr.close()
        return code

    with Mosquitto(tmp_path) as broker:
        assert asyncio.run(play(broker)) == 0
