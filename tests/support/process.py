"""Real processes for tests: started, read line by line, ended by their own id."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


class Process:
    """A Python process of this project. What it writes is collected; `wait_for` waits for a line that contains a text."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._child = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=env, text=True, encoding="utf-8", bufsize=1,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        pipes = ((self._child.stdout, self.out), (self._child.stderr, self.err))
        self._readers = [threading.Thread(target=self._read, args=pipe, daemon=True) for pipe in pipes]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._child.pid

    def wait_for(self, text: str, count: int = 1) -> None:
        """Until `count` lines of its output or errors contain the text."""
        deadline = time.monotonic() + PATIENCE_S
        with self._news:
            while sum(text in line for line in self.out + self.err) < count:
                if not self._news.wait(max(0.0, deadline - time.monotonic())) or self._child.poll() is not None:
                    seen = "\n".join(self.out + self.err)
                    assert sum(text in line for line in self.out + self.err) >= count, f"{text!r} did not come:\n{seen}"

    def wait(self) -> int:
        """Until it ends by itself; its exit code, negative for a signal."""
        code = self._child.wait(PATIENCE_S)
        self._finish()
        return code

    def terminate(self) -> int:
        """SIGTERM, and its exit code."""
        self._child.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """kill -9."""
        self._child.kill()
        self._child.wait()
        self._finish()

    def _finish(self) -> None:
        for reader in self._readers:
            reader.join()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self, pipe: object, lines: list[str]) -> None:
        for line in pipe:  # type: ignore[attr-defined]
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()
