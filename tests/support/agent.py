"""A real agent as a real process, with a configuration of its own in a folder of its own."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.app import App
from tests.support.otherclock import Clocks
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
MAC_KEY = "0123456789ABCDEFFEDCBA9876543210"

FAST = {
    "answer_timeout_ms": 1_500,
    "reply_timeout_ms": 400,
    "spacing_ms": 300,
    "backoff_min_ms": 300,
    "backoff_max_ms": 2_000,
    "no_original_after_ms": 0,
}
PATIENT = {"reply_timeout_ms": 20_000, "answer_timeout_ms": 60_000}  # for tests that count what is sent: none of it for slowness


def program() -> list[str]:
    """How to start `reversald`: the binary under test, or this interpreter."""
    binary = os.environ.get("REVERSALD_BINARY")
    return [binary] if binary else [sys.executable, "-m", "agent"]


def toml(sections: dict[str, dict[str, Any]]) -> str:
    """Sections as TOML."""
    lines: list[str] = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        for key, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f'"{value}"'
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


class Agent:
    """Configures, starts, kills and restarts one agent in `folder`."""

    def __init__(self, folder: Path, acquirer_port: int, **sections: dict[str, Any]) -> None:
        self.folder = folder
        self.config = folder / "reversald.toml"
        self.socket = folder / "reversald.sock"
        self.log = folder / "agent.log"
        self.app = App(self.socket)
        self.clocks = Clocks(folder / "clocks.json")
        self.process: subprocess.Popen[bytes] | None = None
        key = folder / "mac.key"
        if not key.exists():
            key.touch(0o600)
            key.write_text(MAC_KEY)
        base: dict[str, dict[str, Any]] = {
            "terminal": {"fleet": "demo", "sn": "T0000001", "hotline": "400-000-0000"},
            "storage": {"path": "reversald.db"},
            "recovery": dict(FAST),
            "acquirer": {"host": "127.0.0.1", "port": acquirer_port},
            "mac": {"key_file": "mac.key"},
        }
        for name, values in sections.items():
            base[name] = {**base.get(name, {}), **values}
        self.config.write_text(toml(base))

    @property
    def database(self) -> Path:
        """The journal."""
        return self.folder / "reversald.db"

    def start(self, command: list[str] | None = None, wait: bool = True) -> "Agent":
        """Start it and wait until it answers."""
        argv = [*(command or [*program(), "run"]), "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
        if wait:
            self.ready()
        return self

    def power_on(self, ahead_ms: int | None = 0) -> "Agent":
        """A power cut, if it runs, and its machine starts, with clocks of its own (`ahead_ms` as in `clocks.boot`)."""
        self.kill()
        self.clocks.boot(ahead_ms)
        return self._start_on_clocks()

    def restart(self) -> "Agent":
        """`kill -9`, and start it again on the machine of `power_on`, which has gone on running."""
        self.kill()
        return self._start_on_clocks()

    def _start_on_clocks(self) -> "Agent":
        return self.start([sys.executable, "-m", "tests.support.otherclock", str(self.clocks.file)])

    def ready(self, seconds: float = 20.0) -> None:
        """Wait until it answers; its log is in the error when it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.app.call("GET", "/healthz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the agent does not answer:\n" + self.log.read_text())

    def kill(self) -> None:
        """kill -9, of every process it consists of: the one-file binary is two, its unpacker and the agent."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def dead(self, seconds: float = 20.0) -> int:
        """Wait until it has died by itself; its exit status."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the program against this agent's configuration."""
        return subprocess.run(
            [*program(), *words, "--config", str(self.config)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
        )

    def key_of(self, stan: str) -> str:
        """The id of its newest transaction of this STAN."""
        opened = [line for line in self.journal() if line["type"] == "transaction.opened" and line["data"]["stan"] == stan]
        return str(opened[-1]["transaction"])

    def journal(self, after: int = 0) -> list[dict[str, Any]]:
        """The entries of its journal after a sequence number, read from disk beside the running agent."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            query = database.execute("SELECT body FROM journal WHERE seq > ? ORDER BY seq", (after,))
            return [json.loads(body) for (body,) in query]
