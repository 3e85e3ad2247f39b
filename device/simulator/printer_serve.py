"""`reversald simulate printer`: one simulated printer with its wire, its orders and its slips, until it is told to stop."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from device.errors import PortUnavailable
from device.printer.profile import PrinterProfile
from device.simulator.printer import Engine, Tell, control, open_pty, open_tcp, traits_of
from device.simulator.printer_bridge import open_bridge
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_output import SlipFiles
from device.simulator.printer_traits import ROLL_LINES

Listener = TypeVar("Listener")
Wire = tuple[str, Callable[[], None]]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to play. With neither `tcp` nor `bridge` it is a pseudo terminal."""

    profile: PrinterProfile
    baud: int = 115_200
    lines_per_s: float = 20.0
    lines: int = ROLL_LINES  # of paper on the roll
    slip_idle_ms: int = 2000  # a slip that is not cut ends when nothing more comes for so long
    seed: int = 0
    tcp: str | None = None  # host:port
    bridge: str | None = None  # unix:/path or tcp://127.0.0.1:port
    link: Path | None = None  # a symbolic link to the pseudo terminal, so that its name stays the same
    control: Path | None = None  # a Unix socket for orders
    output: Path | None = None  # a folder for slips
    pictures: bool = True


async def serve(options: Options, tell: Tell, stop: asyncio.Event) -> None:
    """Play until `stop`. Raises PictureError before anything starts, PortUnavailable when an address cannot be had."""
    traits = replace(traits_of(options.profile, options.lines_per_s), slip_idle_ms=options.slip_idle_ms)
    if options.bridge is not None:
        traits = replace(traits, process_id=True)  # its bridge app has its own way to know
    if options.bridge is not None:  # the service behind a bridge knows when a job is out, unless the profile is a mute one
        traits = replace(traits, process_id=not options.profile.mute)
    model = PrinterModel(traits, lines=options.lines, seed=options.seed)
    files = SlipFiles(options.output, model.traits, pictures=options.pictures)
    engine = Engine(model, files, tell)
    with contextlib.ExitStack() as ends:
        ends.callback(engine.stop)
        port, end = await _wire(engine, options)
        ends.callback(end)
        told = {"event": "ready", "port": port}
        if options.link is not None:
            told["link"] = _link(options.link, port)
            ends.callback(_unlink, options.link, port)
        if options.control is not None:
            _make_way(options.control)
            orders = await _listening(control(engine, options.control), str(options.control))
            told["control"] = str(options.control)
            ends.callback(_make_way, options.control)
            ends.callback(orders.close)
        tell(dict(told))
        await stop.wait()


async def _wire(engine: Engine, options: Options) -> Wire:
    if options.bridge is not None:
        if options.bridge.startswith("unix:"):
            _make_way(Path(options.bridge.removeprefix("unix:")))
        return await _listening(open_bridge(engine, options.bridge), options.bridge)
    if options.tcp is not None:
        host, _, port = options.tcp.removeprefix("tcp://").rpartition(":")
        return await _listening(open_tcp(engine, host or "127.0.0.1", int(port)), options.tcp)
    return await open_pty(engine, options.baud)


async def _listening(opening: Awaitable[Listener], address: str) -> Listener:
    """Say in one sentence why an address cannot be had."""
    try:
        return await opening
    except OSError as error:
        raise PortUnavailable(f"cannot listen on {address}: {error.strerror or error}") from None


def _make_way(path: Path) -> None:
    """A socket that a former run left behind is in the way; anything else is somebody's file."""
    if path.is_socket():
        path.unlink()


def _link(path: Path, port: str) -> str:
    """Let `path` lead to the port, also when it led to an older one."""
    if path.exists() and not path.is_symlink():
        raise PortUnavailable(f"{path} is there and is not a link: move it away, or choose another name")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(port)
    fresh.replace(path)
    return str(path)


def _unlink(path: Path, port: str) -> None:
    """Remove our own link; another printer may have taken the name over."""
    if path.is_symlink() and str(path.readlink()) == port:
        path.unlink()
