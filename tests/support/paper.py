"""A real receipt printer's stand-in as a real process (`reversald simulate printer`) on a pseudo terminal."""

import subprocess
from pathlib import Path
from typing import Any

from tests.support.agent import ROOT, program
from tests.support.app import until
from tests.support.orders import give
from tests.support.waiting import PATIENCE_S


class Paper:
    """One simulated printer; `port` is where it is plugged in, or the socket of its bridge app."""

    def __init__(self, folder: Path, *options: str, profile: str = "epson-tm", bridge: bool = False) -> None:
        self.port = folder / "printer"
        where = ["--bridge", f"unix:{self.port}"] if bridge else ["--link", str(self.port)]
        self.control = folder / "printer.control"
        self.slips = folder / "slips"
        self.log = folder / "printer.log"
        argv = [
            *program(), "simulate", "printer", "--profile", profile, *where, "--control", str(self.control),
            "--output", str(self.slips), "--no-png", "--lines-per-s", "200", "--json", *options,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        until(lambda: b'"ready"' in self.log.read_bytes())

    def order(self, do: str, **more: Any) -> dict[str, Any]:
        """Give it a trouble, or take it away."""
        return give(self.control, do, **more)

    def text(self) -> str:
        """Everything that is on paper, in order."""
        return "\n".join(path.read_text() for path in sorted(self.slips.glob("*.txt")))

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
