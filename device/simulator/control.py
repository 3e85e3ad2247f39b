"""Turning a simulated acquirer's faults while it runs: one JSON object a line over loopback TCP or a Unix socket."""

import asyncio
import ipaddress
import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec

from device.errors import Explained
from device.simulator.acquirer import AcquirerServer
from device.simulator.script import FaultError

LINE_BYTES_MAX = 64 * 1024
CLIENTS_MAX = 8
ASK_TIMEOUT_S = 10
CLOCK_MS_MAX = 1_000_000_000_000  # thirty years


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be asked. Several parts of one order are done in this sequence, `ledger` and `faults` last.

    `clear` all faults · `set` standing faults by message type · `scenario` scripts by message type · `refuse`
    connections (true, false) · `cut` the connections there are · `clock_ms` how far the host's clock is ahead of ours.
    """

    clear: bool = False
    set: dict[str, str] = {}
    scenario: dict[str, list[str]] = {}
    refuse: bool | None = None
    cut: bool = False
    clock_ms: Annotated[int, msgspec.Meta(ge=-CLOCK_MS_MAX, le=CLOCK_MS_MAX)] | None = None
    ledger: bool = False
    faults: bool = False


class ControlServer:
    """Obeys orders for `server` at `address`: `HOST:PORT` on loopback (port 0: any) or the path of a Unix socket."""

    def __init__(self, server: AcquirerServer, address: str) -> None:
        self._server = server
        self.address = address
        self._listener: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError when it cannot, ValueError when the address is none or not loopback."""
        where = _where(self.address)
        if isinstance(where, str):
            try:
                self._listener = await asyncio.start_unix_server(self._serve, where, limit=LINE_BYTES_MAX)
            except OSError as error:  # of a path it tells the reason only
                raise OSError(f"cannot listen on {where}: {error.strerror or error}") from None
        else:
            self._listener = await asyncio.start_server(self._serve, *where, limit=LINE_BYTES_MAX)
            self.address = f"{where[0]}:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        running = list(self._clients)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) <= CLIENTS_MAX:
                while line := await reader.readline():
                    writer.write(msgspec.json.encode(await self._obey(line)) + b"\n")
                    await writer.drain()
        except (OSError, ValueError):
            pass  # the client left, or sent a line without end
        except asyncio.CancelledError:
            pass  # the end of the simulator
        finally:
            self._clients.discard(task)
            writer.close()

    async def _obey(self, line: bytes) -> dict[str, object]:
        server = self._server
        try:
            order = msgspec.json.decode(line, type=Order)
            if order.clear:
                server.faults.clear()
            server.faults.set(order.set)
            server.faults.scenario(order.scenario)
            if order.refuse is not None:
                await server.refuse(order.refuse)
        except (msgspec.MsgspecError, FaultError, OSError) as error:
            return {"ok": False, "error": str(error)}
        if order.cut:
            server.cut()
        if order.clock_ms is not None:
            server.model.clock_ms = order.clock_ms
        answer: dict[str, object] = {"ok": True}
        if order.ledger:
            answer["ledger"] = server.model.ledger.rows()
        if order.faults:
            answer |= {"faults": server.faults.told(), "refusing": server.refusing}
        return answer


class AddressError(Explained, ValueError):
    """No address for orders, or one that others can reach."""


def ask(address: str, order: Mapping[str, object]) -> dict[str, Any]:
    """Send one order to a running simulator and return its answer, for scripts and tests; blocks up to 10 s.

    Raises OSError when nobody answers, ValueError when the address or the answer is none.
    """
    where = _where(address)
    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as connection:
        connection.settimeout(ASK_TIMEOUT_S)
        connection.connect(where)
        with connection.makefile("rwb") as stream:
            stream.write(json.dumps(order).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline())
    if not isinstance(answer, dict):
        raise ValueError(f"{address} is not a simulator's control: it answered something else")  # noqa: TRY004
    return answer


def _where(address: str) -> str | tuple[str, int]:
    """The path of a Unix socket, or host and port. Orders need no password, so the host must be loopback."""
    if "/" in address:
        return address
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise AddressError(
            f"{address!r} is no address: write 127.0.0.1:PORT or the path of a Unix socket",
            f"{address!r} 不是地址:请写 127.0.0.1:PORT 或 Unix 套接字的路径",
        )
    try:
        loopback = ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise AddressError(
            f"{address!r} is not on loopback: whoever reaches it gives orders, so use 127.0.0.1",
            f"{address!r} 不是本机地址:能连上就能下令,请用 127.0.0.1",
        )
    return host, int(port)
