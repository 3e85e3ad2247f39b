"""The fleet with real processes: agent, mosquitto, `reversald-fleet serve`. Whatever is killed, each event is there once."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.envelope import PUBLISHED
from tests.support.agent import ROOT, Agent
from tests.support.app import PAN, until
from tests.support.broker import Mosquitto
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact


class Fleet:
    """`reversald-fleet serve`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = folder / "fleet.db"
        self._argv = [sys.executable, "-m", "fleet", "serve", "--broker", url, "--database", str(self.database)]
        self._log = folder / "fleet.log"
        self.start()

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, stdout=log, stderr=log, cwd=ROOT)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def events(self) -> list[tuple[int, str]]:
        """(seq, type) as ingested, in the journal's order."""
        query = "SELECT seq, type FROM events ORDER BY seq"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
                return [(int(seq), str(kind)) for seq, kind in database.execute(query)]
        except sqlite3.OperationalError:
            return []  # it has not made its tables yet


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Iterator[Fleet]:
    """An ingest."""
    running = Fleet(tmp_path, broker.url)
    yield running
    running.kill()


def expected(agent: Agent) -> list[tuple[int, str]]:
    """What belongs to the fleet, by the journal."""
    return [(line["seq"], line["type"]) for line in agent.journal() if line["type"].split(".")[0] in PUBLISHED]


def reversed_sale(agent: Agent, host: Host, stan: str) -> None:
    """One sale whose answer is lost, up to its reversal."""
    host.order(set={"0200": "drop-reply"})
    _, sale = agent.app.open(stan)
    assert transact(host.port, stan, 100, timeout_ms=LOST_MS) is None
    agent.app.result(sale["id"], "no_answer")
    until(lambda: agent.app.state(sale["id"]) == "reversed")


def test_every_event_reaches_the_fleet_once_and_in_order_whatever_is_killed(
    make_agent: Callable[..., Agent], host: Host, broker: Mosquitto, fleet: Fleet
) -> None:
    agent = make_agent(host.port, mqtt={"url": broker.url, "ack": "fleet"}).start()
    reversed_sale(agent, host, "000601")
    until(lambda: fleet.events() == expected(agent))
    fleet.kill()
    reversed_sale(agent, host, "000602")
    fleet.start()
    until(lambda: fleet.events() == expected(agent))
    agent.kill()
    agent.start()
    reversed_sale(agent, host, "000603")
    until(lambda: fleet.events() == expected(agent))
    assert len(fleet.events()) == len(set(fleet.events()))
    assert PAN.encode() not in fleet.database.read_bytes()


def test_the_agent_reverses_without_any_broker(make_agent: Callable[..., Agent], host: Host) -> None:
    agent = make_agent(host.port, mqtt={"url": "mqtt://127.0.0.1:1"}).start()
    reversed_sale(agent, host, "000604")
    assert agent.stop() == 0
