"""A program that listens to the event stream of a real agent, with nothing but the standard library, in a thread."""

import contextlib
import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any


class Listener:
    """Hears every event from the beginning of the journal, and again from where it was after each new `start`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[dict[str, Any]] = []
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect and go on."""
        last = self.heard[-1]["seq"] if self.heard else 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(self.path))
        self._socket.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n".encode())
        self._thread = threading.Thread(target=self._read, args=(self._socket,))
        self._thread.start()

    def _read(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException), http.client.HTTPResponse(line) as response:
            response.begin()
            while text := response.readline():
                if text.startswith(b"data: "):
                    self.heard.append(json.loads(text.removeprefix(b"data: ")))

    def stop(self) -> None:
        """Hang up."""
        if self._socket is not None and self._thread is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join(60)
            self._socket.close()

    @property
    def customer(self) -> dict[str, Any] | None:
        """What the customer is shown, as the newest event says."""
        return self.heard[-1]["customer"] if self.heard else None
