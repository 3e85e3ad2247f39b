"""The demo's real processes: acquirer, printer, broker, fleet ingest, agent. Each is started here and ended by its id."""

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.agent import ROOT, Agent, program
from tests.support.app import until
from tests.support.broker import Mosquitto
from tests.support.host import Host

TIMERS = {
    "answer_timeout_ms": 3_000, "reply_timeout_ms": 1_000, "spacing_ms": 1_000, "backoff_min_ms": 1_000,
    "backoff_max_ms": 4_000, "no_original_after_ms": 0,
}


class Stage:
    """Everything the story needs, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receipts = folder / "receipts"
        self.fleet_database = folder / "fleet.db"
        self._control = folder / "printer.control"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.host: Host
        self.agent: Agent

    def __enter__(self) -> Self:
        try:
            self._raise_curtain()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _raise_curtain(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.receipts.mkdir(parents=True)
        self.host = Host(self.folder)
        self.broker = Mosquitto(self.folder / "broker")
        self.broker.start()
        line = self.folder / "printer"
        printer = [*program(), "simulate", "printer", "--profile", "epson-tm", "--link", str(line)]
        self._start("printer", *printer, "--control", str(self._control), "--output", str(self.receipts), "--json")
        until(line.exists)
        fleet = [sys.executable, "-m", "fleet"]
        self._start("fleet", *fleet, "serve", "--broker", self.broker.url, "--database", str(self.fleet_database))
        self._start("watch", *fleet, "watch", "--broker", self.broker.url, "--lang", "zh")
        until(lambda: (self.folder / "watch.log").stat().st_size)  # it has subscribed, so it misses nothing
        self.agent = Agent(
            self.folder, self.host.port, recovery=TIMERS, printer={"driver": "escpos", "port": "printer", "profile": "epson-tm"},
            mqtt={"url": self.broker.url, "ack": "fleet"},
        ).start()

    def _start(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT))

    def printer(self, **order: Any) -> dict[str, Any]:
        """Order something of the printer: take the paper out, put it back."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self._control))
            with line.makefile("rwb") as stream:
                stream.write(json.dumps(order).encode() + b"\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
        return answer

    def settled_receipts(self) -> bool:
        """True when the printer is idle and every slip is a picture."""
        return all(path.with_suffix(".png").exists() for path in self.receipts.glob("*.txt"))

    def watched(self) -> list[str]:
        """What a fleet operator has seen so far, a line an event."""
        return (self.folder / "watch.log").read_text().splitlines()

    def ingested(self) -> int:
        """How many events the fleet has in its database."""
        if not self.fleet_database.exists():
            return 0
        with sqlite3.connect(f"file:{self.fleet_database}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM events").fetchone()[0])

    def _end(self) -> None:
        agent = getattr(self, "agent", None)
        if agent is not None and agent.process is not None:
            agent.stop()
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        if hasattr(self, "broker"):
            self.broker.stop()
        if hasattr(self, "host"):
            self.host.stop()
