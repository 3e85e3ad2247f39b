"""A real simulated payment app as a real process (`reversald simulate payapp`)."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.agent import ROOT, program
from tests.support.waiting import PATIENCE_S


class PayappProcess:
    """One app at the agent in `folder`, its port chosen by the system; it survives the agent's death."""

    def __init__(self, folder: Path, host_port: int, *options: str) -> None:
        self.log = folder / "app.log"
        argv = [*program(), "simulate", "payapp", "--agent", str(folder / "reversald.sock"), "--port", "0"]
        argv += ["--host", f"127.0.0.1:{host_port}", "--state", str(folder / "app.json"), *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        self.port = self._port()

    def _port(self) -> int:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = [line for line in self.log.read_text().splitlines() if line.startswith("listening on ")]
            if found:
                return int(found[0].rsplit(":", 1)[1])
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("the app does not listen:\n" + self.log.read_text())

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def order(self, order: str, **body: Any) -> Any:
        """One order under /simulator."""
        asked = urllib.request.Request(f"{self.url}/simulator/{order}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())

    def stop(self) -> int:
        """End it; its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)
