"""The demo's real processes: acquirer, printer, broker, fleet ingest, agent. Each is started here and ended by its id."""

import json
import os
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
        port = self._broker()
        line = self.folder / "printer"
        self._start(
            "printer", *program(), "simulate", "printer", "--profile", "epson-tm", "--link", str(line), "--control", str(self._control), "--output",
            str(self.receipts), "--json",
        )
        until(line.exists)
        fleet = [sys.executable, "-m", "fleet", "serve", "--broker", f"mqtt://127.0.0.1:{port}"]
        self._start("fleet", *fleet, "--database", str(self.fleet_database))
        self.agent = Agent(
            self.folder, self.host.port, recovery=TIMERS, printer={"driver": "escpos", "port": "printer", "profile": "epson-tm"},
            mqtt={"url": f"mqtt://127.0.0.1:{port}", "ack": "fleet"},
        ).start()

    def _broker(self) -> int:
        mosquitto = os.environ.get("REVERSALD_MOSQUITTO") or shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        if mosquitto is None:
            sys.exit("the demo needs an MQTT broker: apt-get install mosquitto")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        config = self.folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._start("broker", mosquitto, "-c", str(config))

        def listening() -> bool:
            with socket.create_connection(("127.0.0.1", port), 1):
                return True

        until(listening)
        return port

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
        if hasattr(self, "host"):
            self.host.stop()
