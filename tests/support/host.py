"""A real acquirer as a real process (`reversald simulate acquirer`), and its books."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from device.simulator.control import ask
from tests.support.agent import ROOT, program
from tests.support.waiting import PATIENCE_S


class Host:
    """One simulated acquirer; its control is a Unix socket in `folder`."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.control = str(folder / "host.control")
        self.log = folder / "host.log"
        argv = [*program(), "simulate", "acquirer", "--port", str(port), "--control", self.control, "--json", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        self.port = self._port()

    def _port(self) -> int:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
            notes = [line["note"] for line in lines if line["what"] == "listening"]
            if len(notes) >= 2:  # the port, then the control
                return int(notes[0].rsplit(":", 1)[1])
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("the acquirer does not listen:\n" + self.log.read_text())

    def order(self, **orders: Any) -> dict[str, Any]:
        """Order faults while it runs."""
        answer = ask(self.control, orders)
        assert answer["ok"], answer
        return answer

    def ledger(self) -> dict[str, dict[str, Any]]:
        """The books by STAN."""
        return {row["stan"]: row for row in self.order(ledger=True)["ledger"]}

    def net_debit_fen(self, stan: str) -> int:
        """What the customer paid by this transaction."""
        return int(self.ledger()[stan]["net_debit_fen"])

    def requests(self, mti: str) -> list[dict[str, Any]]:
        """The messages of one type that came in, as logged."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["what"] == "in" and line.get("mti") == mti]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
