"""`reversald simulate printer`: one simulated printer with its wire, its orders and its slips, until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from device.printer.profile import PrinterProfile
from device.simulator.bench import link, listening, make_way, take_orders, unlink
from device.simulator.printer import Engine, Tell, open_pty, open_tcp, traits_of
from device.simulator.printer_bridge import open_bridge
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_output import SlipFiles
from device.simulator.printer_traits import ROLL_LINES

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
            told["link"] = link(options.link, port)
            ends.callback(unlink, options.link, port)
        if options.control is not None:
            told["control"] = await take_orders(engine.order, options.control, ends)
        tell(dict(told))
        await stop.wait()


async def _wire(engine: Engine, options: Options) -> Wire:
    if options.bridge is not None:
        if options.bridge.startswith("unix:"):
            make_way(Path(options.bridge.removeprefix("unix:")))
        return await listening(open_bridge(engine, options.bridge), options.bridge)
    if options.tcp is not None:
        host, _, port = options.tcp.removeprefix("tcp://").rpartition(":")
        return await listening(open_tcp(engine, host or "127.0.0.1", int(port)), options.tcp)
    return await open_pty(engine, options.baud)
