"""The bridge app of a built-in printer, played: the line contract of `device/printer/vendor.py` around the printer model.

Like the real ones it can go silent for good, refuse at low battery, report late, and be dead after a change of roll: then
it hears nothing on the connection it has, and a new connection binds its service anew.
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Callable

import msgspec

from device.simulator.printer import Engine
from device.simulator.printer_model import PrinterModel

LINE_BYTES_MAX = 64 * 1024
PENDING_BYTES_MAX = 256 * 1024
REFUSED_FOR = ("paper_out", "cover_open", "overheated", "unrecoverable", "battery_low")


class Bridge:
    """Talks to one client at a time; the printer behind it is asked for process ids to know what is out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer: asyncio.StreamWriter | None = None
        self._pending = bytearray()
        self._jobs: list[int] = []  # taken and not printed yet, in order
        self._told: dict[str, object] = {}
        self._dead = False
        engine.reply = self._heard
        engine.moved = self._push

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; a new one takes the place of the old."""
        if self._writer is not None:
            self._writer.close()
        self._writer = writer
        self._dead = False
        with contextlib.suppress(ConnectionError, ValueError, asyncio.CancelledError):  # gone, a line too long, or the end
            while line := await reader.readline():
                if line.endswith(b"\n"):
                    with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError, binascii.Error):  # no request: no answer
                        self._obey(line)
        writer.close()
        if self._writer is writer:
            self._writer = None

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.transport.abort()

    def _obey(self, line: bytes) -> None:
        if self._dead:
            return
        request = msgspec.json.decode(line)
        number, op = request["id"], request["op"]
        if op == "status":
            self._say({"id": number, **condition(self._engine.model)})
        elif op == "print":
            self._print(number, request)
        else:
            self._engine.feed(b"\x10\x05" + (b"\x01" if op == "resume" else b"\x02"))
            if op == "clear":
                self._pending.clear()
                self._jobs.clear()
            self._say({"id": number})

    def _print(self, number: int, request: dict[str, str | int]) -> None:
        now = condition(self._engine.model)
        data = base64.b64decode(str(request["data"]))
        if reason := next((key for key in REFUSED_FOR if _is(now, key)), None):
            self._say({"id": number, "error": reason})
        elif len(self._pending) + len(data) > PENDING_BYTES_MAX:
            self._say({"id": number, "error": "offline"})
        else:
            self._jobs.append(int(request["job"]))
            self._pending += data + b"\x1d(H\x06\x0000jobs"
            self._say({"id": number, "accepted": True})
            self._push()

    def _push(self) -> None:
        now = condition(self._engine.model)
        if now != self._told:
            rolled = self._told.get("paper") == "out" != now["paper"]
            self._dead = self._dead or (rolled and self._engine.model.condition.dies_at_roll)
            self._told = now
            self._say({"event": "status", **now})
        room = self._engine.model.room()
        if self._pending and room:
            part = bytes(self._pending[:room])
            del self._pending[:room]
            self._engine.feed(part)

    def _heard(self, data: bytes) -> None:
        for _ in range(data.count(b"7\x22jobs\0")):
            if self._jobs:
                self._say({"event": "printed", "job": self._jobs.pop(0)})

    def _say(self, message: dict[str, object]) -> None:
        if self._writer is not None and not self._dead and not self._engine.model.condition.silent:
            self._writer.write(msgspec.json.encode(message) + b"\n")


def condition(model: PrinterModel) -> dict[str, object]:
    """The printer's state in the words of the contract."""
    now = model.condition
    return {
        "online": now.powered and not now.waiting,
        "paper": "out" if now.paper_out else "near_end" if now.near_end else "ok",
        "cover_open": now.cover_open,
        "overheated": now.hot,
        "cutter_error": now.jam_found,
        "unrecoverable": now.broken,
        "battery_low": now.battery_low,
    }


def _is(now: dict[str, object], reason: str) -> bool:
    return now["paper"] == "out" if reason == "paper_out" else bool(now[reason])


async def open_bridge(engine: Engine, address: str) -> tuple[str, Callable[[], None]]:
    """Listen on `unix:/path` or `tcp://127.0.0.1:port`; the address, and how to end it."""
    bridge = Bridge(engine)
    if address.startswith("unix:"):
        server = await asyncio.start_unix_server(bridge.talk, address.removeprefix("unix:"), limit=LINE_BYTES_MAX)
    else:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        server = await asyncio.start_server(bridge.talk, host, int(port), limit=LINE_BYTES_MAX)
        address = f"tcp://{host}:{server.sockets[0].getsockname()[1]}"

    def end() -> None:
        server.close()
        bridge.close()

    return address, end
