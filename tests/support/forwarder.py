"""A stretch of the line that a test can cut: TCP from a port of its own to a host, one message at a time as the test orders."""

import contextlib
import socket
import threading
from typing import Literal


class Forwarder:
    """`mode` pass; swallow: what is sent arrives, and the connection ends before the answer; refuse: nobody listens."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self.mode: Literal["pass", "swallow"] = "pass"
        self.answers = threading.Event()  # cleared: answers wait on the way, in their order
        self.answers.set()
        self.frames: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self) -> None:
        """Stop listening, and end every connection."""
        self._stopped = True
        self.answers.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._open += [near, far]
            threading.Thread(target=self._there, args=(near, far), daemon=True).start()
            threading.Thread(target=self._back, args=(near, far), daemon=True).start()

    def _there(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(4096):
                self.frames.append(data)
                far.sendall(data)
                if self.mode == "swallow":
                    near.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_WR)

    def _back(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(4096):
                self.answers.wait()
                near.sendall(data)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_WR)
