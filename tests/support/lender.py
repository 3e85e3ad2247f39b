"""A payment app's own port that lends: the MAC of its PIN pad, its line, and a sign-in when it is asked for one.

It speaks real HTTP on 127.0.0.1; `mac` and `line` order what it does wrong.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from device.acquirer.mac import SoftwareMac
from tests.support.agent import MAC_KEY

Mac = Literal["good", "gone", "short", "garbage", "wrong", "slow", "huge"]
Line = Literal["granted", "refused", "slow"]


class Lender:
    """`calls` is what it was asked for, in order; `held` says whether it thinks that its line is lent."""

    def __init__(self) -> None:
        self.mac: Mac = "good"
        self.line: Line = "granted"
        self.lease_ms: int | None = None
        self.key = MAC_KEY
        self.held = False
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()  # ends what is slow
        lender = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = lender.take(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_arguments: object) -> None:
                """A caller that hung up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, call: str) -> list[dict[str, str]]:
        """The bodies of one call."""
        return [body for path, body in self.calls if path == f"/{call}"]

    def actions(self) -> list[str]:
        """What was wanted of the line."""
        return [body["action"] for body in self.asked("line")]

    def take(self, path: str, body: dict[str, str]) -> tuple[int, bytes]:
        """One call: status and body."""
        self.calls.append((path, body))
        if path == "/mac":
            return self._sign(body)
        if path == "/line":
            return self._lend(body["action"])
        return (202, b"") if path in {"/sign-in", "/reprint"} else (404, b"")

    def _sign(self, body: dict[str, str]) -> tuple[int, bytes]:
        right = SoftwareMac(body["algorithm"], bytes.fromhex(self.key)).sign(bytes.fromhex(body["data"])).hex()
        if self.mac == "slow":
            self.released.wait(20)
        if self.mac == "gone":
            return 503, b""
        said: dict[str, Any] = {"short": right[:14], "garbage": 5, "wrong": "00" * 8, "huge": right * 1000}
        return 200, json.dumps({"mac": said.get(self.mac, right.upper())}).encode()

    def _lend(self, action: str) -> tuple[int, bytes]:
        if self.line == "slow":
            self.released.wait(20)
        if action == "release":
            self.held = False
            return 204, b""
        self.held = self.line == "granted"
        if not self.held:
            return 409, b""
        return 200, b"" if self.lease_ms is None else json.dumps({"lease_ms": self.lease_ms}).encode()

    def stop(self) -> None:
        """End it."""
        self.released.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
