"""A real mosquitto on a free loopback port: started with a given configuration, stopped, killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import PATIENCE_S

PROGRAM_VARIABLE = "REVERSALD_MOSQUITTO"


class MosquittoMissingError(Exception):
    """No mosquitto on this machine: an error of the set-up, never a reason to skip."""


def find_mosquitto() -> str:
    """Where mosquitto is: what the environment names, the PATH, or /usr/sbin, in this order."""
    if named := os.environ.get(PROGRAM_VARIABLE):
        return named
    found = shutil.which("mosquitto", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if found is None:
        raise MosquittoMissingError(
            f"mosquitto was not found: run `apt-get install mosquitto`, or set {PROGRAM_VARIABLE} to its path"
        )
    return found


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker. Keeps its port over restarts; with `persistent` it also keeps its sessions on disk.

    `settings` are lines of mosquitto.conf. Give the listener's own settings (cafile, certfile …) there too: they
    follow its line. Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(self, folder: Path, *settings: str, persistent: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = list(settings)
        self.persistent = persistent
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(self._lines()) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_mosquitto(), "-c", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"mosquitto did not start:\n{self.log()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it politely: it saves its sessions when it is persistent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: what it had not written is gone, and without persistence everything is."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """kill -9 and start again on the same port."""
        self.kill()
        self.start()

    def reload(self) -> None:
        """Make it read its access rules again."""
        os.kill(self.pid, signal.SIGHUP)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _lines(self) -> list[str]:
        lines = ["log_dest stderr", "log_type all", "allow_anonymous true"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives its rights up and cannot read or write our folder
        if self.persistent:  # and saves at every change
            lines += ["persistence true", f"persistence_location {self.folder}/"]
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        return [*lines, f"listener {self.port} 127.0.0.1", *self.settings]
