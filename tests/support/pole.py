"""A real pole display's stand-in as a real process (`reversald simulate display`) on a pseudo terminal."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.agent import ROOT, program
from tests.support.app import until
from tests.support.orders import give
from tests.support.waiting import PATIENCE_S


class PoleProcess:
    """One simulated display; `port` is where it is plugged in."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = folder / "pole"
        self.control = folder / "pole.control"
        self.log = folder / "pole.log"
        argv = [
            *program(), "simulate", "display", "--json", "--link", str(self.port), "--control", str(self.control), *options,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        until(lambda: b'"ready"' in self.log.read_bytes())

    def order(self, do: str) -> dict[str, Any]:
        """Give it a trouble, or take it away; how it is after that."""
        return give(self.control, do)

    def lines(self) -> tuple[str, str]:
        """What a person reads now."""
        state = self.order("state")
        return state["upper"], state["lower"]

    def reads(self, upper: str, lower: str | None = None) -> None:
        """Wait until this is what a person reads."""
        until(lambda: self.lines() == (upper, self.lines()[1] if lower is None else lower))

    def story(self) -> list[tuple[str, str]]:
        """Every screen that was read so far, in order."""
        events = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [(event["upper"], event["lower"]) for event in events if event["event"] == "shown"]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
