"""The daemon's local API from the command line: HTTP over its Unix socket, one call, one answer, never for ever."""

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any, Literal

from agent import exits
from agent.cli.base import Call, Failure
from agent.cli.texts import TEXTS
from agent.incident import printable

PROBE_TIMEOUT_S = 1.0
CALL_TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 1 << 20

Daemon = Literal["running", "silent", "stopped", "forbidden"]


class _Socket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def probe(path: Path) -> Daemon:
    """Is the daemon alive? Any answer will do."""
    try:
        _exchange(path, "GET", "/healthz", PROBE_TIMEOUT_S)
    except PermissionError:
        return "forbidden"
    except TimeoutError:
        return "silent"
    except (FileNotFoundError, ConnectionRefusedError):
        return "stopped"
    except (OSError, http.client.HTTPException):
        return "silent"
    return "running"


def ask(call: Call, method: str, target: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call; the answer's object. Raises Failure when the daemon is not there, does not answer, or refuses."""
    path = call.config.hook.socket
    try:
        code, raw = _exchange(path, method, target, CALL_TIMEOUT_S, body)
        value = json.loads(raw)
    except PermissionError:
        raise call.fail(exits.UNAVAILABLE, "not_allowed", uid=os.getuid()) from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise call.fail(exits.UNAVAILABLE, "not_running", path=path) from None
    except (ValueError, http.client.HTTPException):
        raise call.fail(exits.UNAVAILABLE, "odd_answer", path=path) from None
    except OSError:
        raise call.fail(exits.UNAVAILABLE, "no_answer") from None
    if not isinstance(value, dict):
        raise call.fail(exits.UNAVAILABLE, "odd_answer", path=path)
    if code >= http.HTTPStatus.BAD_REQUEST:
        raise _refused(call, code, value)
    return value


def _exchange(
    path: Path, method: str, target: str, timeout_s: float, body: dict[str, Any] | None = None
) -> tuple[int, bytes]:
    connection = _Socket(path, timeout_s)
    data = json.dumps(body or {}).encode() if method == "POST" else None
    try:
        connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    finally:
        connection.close()


def _refused(call: Call, code: int, problem: dict[str, Any]) -> Failure:
    """A problem+json answer as one sentence, with the exit code that fits."""
    if code == http.HTTPStatus.FORBIDDEN:
        return call.fail(exits.UNAVAILABLE, "not_allowed", uid=os.getuid())
    kind = str(problem.get("type", "")).rpartition(":")[2]
    detail = call.say(kind) if kind in _KNOWN and kind in TEXTS else printable(str(problem.get("detail", code)))
    if kind in _TRY_AGAIN:
        return call.fail(exits.TRY_LATER, "refused", detail=detail)
    exit_code = {404: exits.USAGE, 503: exits.TRY_LATER, 507: exits.STORAGE}.get(code, exits.UNAVAILABLE)
    return call.fail(exit_code, "refused", detail=detail)


_KNOWN = frozenset({
    "no-such-transaction", "no-receipt", "no-printer", "nothing-in-doubt", "spool-full", "statement-interrupted",
    "no-refund-due", "refund-not-confirmed", "refund-too-large", "still-reversing", "already-closed", "no-display",
    "display-busy", "no-page-port", "refund-under-way",
})
_TRY_AGAIN = frozenset({"statement-interrupted", "still-reversing", "display-busy", "still-asking", "refund-under-way"})
