"""Where a simulated device is found on the workbench: a link that keeps its name, and a socket for orders."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from device.errors import PortUnavailable

ORDER_BYTES_MAX = 4096


class Ordered(Protocol):
    """What every order has: a word that says what to do."""

    @property
    def do(self) -> str: ...


Listener = TypeVar("Listener")
Order = TypeVar("Order", bound=Ordered)


class OrderError(ValueError):
    """The order is not one that this device knows, or not readable: whoever sent it is at fault."""


def read_order(line: bytes, kind: type[Order], known: Mapping[str, object], example: str) -> Order:
    """One order from its line. Raises OrderError for what is no order of this device; `example` is one that is."""
    try:
        order = msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OrderError(f'an order is one JSON object like {{"do": "{example}"}}: {error}') from None
    if order.do not in known:
        raise OrderError(f"there is no order {order.do!r}; there are {', '.join(known)}")
    return order


async def control(order: Callable[[bytes], dict[str, object]], path: Path) -> asyncio.Server:
    """Take orders on a Unix socket, one JSON object per line; every line is answered. `order` raises OrderError."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError, asyncio.CancelledError):  # gone, a line too long, or the end
            while line := await reader.readline():
                try:
                    answer: dict[str, object] = {"ok": True, **order(line)}
                except OrderError as error:
                    answer = {"ok": False, "error": str(error)}
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(talk, path, limit=ORDER_BYTES_MAX)


async def take_orders(order: Callable[[bytes], dict[str, object]], path: Path, ends: contextlib.ExitStack) -> str:
    """Take orders there until `ends`; the path, to be told. Raises PortUnavailable."""
    make_way(path)
    server = await listening(control(order, path), str(path))
    ends.callback(make_way, path)
    ends.callback(server.close)
    return str(path)


async def listening(opening: Awaitable[Listener], address: str) -> Listener:
    """Say in one sentence why an address cannot be had."""
    try:
        return await opening
    except OSError as error:
        raise PortUnavailable(f"cannot listen on {address}: {error.strerror or error}") from None


def make_way(path: Path) -> None:
    """A socket that a former run left behind is in the way; anything else is somebody's file."""
    if path.is_socket():
        path.unlink()


def link(path: Path, port: str) -> str:
    """Let `path` lead to the port, also when it led to an older one. Raises PortUnavailable."""
    if path.exists() and not path.is_symlink():
        raise PortUnavailable(f"{path} is there and is not a link: move it away, or choose another name")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(port)
        fresh.replace(path)
    except OSError as error:
        raise PortUnavailable(f"the link {path} cannot be made: {error.strerror}") from None
    return str(path)


def unlink(path: Path, port: str) -> None:
    """Remove our own link; another printer may have taken the name over."""
    if path.is_symlink() and str(path.readlink()) == port:
        path.unlink()
