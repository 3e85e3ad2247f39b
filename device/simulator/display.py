"""`reversald simulate display`: one simulated pole display on a pseudo terminal, with orders, until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from device.simulator.bench import link, read_order, take_orders, unlink
from device.simulator.display_model import PoleModel, Set
from device.simulator.ptywire import READ_BYTES_MAX, PtyWire

Tell = Callable[[dict[str, object]], None]
SETTLE_S = 0.06  # so long nothing came: a person reads whole screens, not the first line before the second
NOISE = b"$GPGGA,not a display,*00\r\n"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to play."""

    commands: Set = "cd5220"
    chinese: bool = True
    baud: int = 9600
    link: Path | None = None  # a symbolic link to the pseudo terminal, so that its name stays the same
    control: Path | None = None  # a Unix socket for orders


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order; `do` is a word of ORDERS."""

    do: str


class Pole:
    """The model at the end of its cable, which can be pulled."""

    def __init__(self, options: Options, tell: Tell) -> None:
        self.model = PoleModel(options.commands, chinese=options.chinese)
        self.reply: Callable[[bytes], None] = lambda _data: None
        self.moved: Callable[[], None] = lambda: None
        self.stalled = False
        self.port = ""
        self._options = options
        self._tell = tell
        self._wire: PtyWire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told = self.model.lines()

    def room(self) -> int:
        """Bytes that it takes now."""
        return 0 if self.stalled else READ_BYTES_MAX

    def feed(self, data: bytes) -> int:
        """Bytes from the line."""
        self.model.feed(data)
        self._look()
        self.moved()
        return len(data)

    def plug(self) -> None:
        """A new pseudo terminal, under the same name where a link was asked for."""
        if self._wire is None:
            self._wire = PtyWire(self, self._options.baud)
            self.port = self._wire.path
            if self._options.link is not None:
                link(self._options.link, self.port)

    def unplug(self) -> None:
        """The cable is pulled: the device is gone, what is lit stays lit."""
        if self._wire is not None:
            if self._options.link is not None:
                unlink(self._options.link, self.port)
            self._wire.close()
            self._wire = None
            self.reply, self.moved = lambda _data: None, lambda: None

    def stall(self, *, on: bool) -> None:
        """Its line takes nothing, or takes it again."""
        self.stalled = on
        self.moved()

    def power(self, *, on: bool) -> None:
        """Its own plug; the cable stays where it is."""
        self.model.power(on=on)
        self._look()

    def order(self, line: bytes) -> dict[str, object]:
        """Carry one order out and say how it is now. Raises OrderError."""
        ORDERS[read_order(line, Order, ORDERS, "unplug").do](self)
        return self.state()

    def state(self) -> dict[str, object]:
        """What is lit, and how it is."""
        upper, lower = self.model.lines()
        return {
            "upper": upper, "lower": lower, "plugged": self._wire is not None, "powered": self.model.powered,
            "stalled": self.stalled, "brightness": self.model.brightness, "cursor": self.model.cursor,
            "garbled": self.model.garbled,
        }

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(SETTLE_S, self._see)

    def _see(self) -> None:
        self._timer = None
        lines = self.model.lines()
        if lines != self._told:
            self._told = lines
            self._tell({"event": "shown", "upper": lines[0], "lower": lines[1]})

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        self._see()
        self.unplug()


ORDERS: dict[str, Callable[[Pole], None]] = {
    "unplug": Pole.unplug,
    "plug": Pole.plug,
    "power_off": lambda pole: pole.power(on=False),
    "power_on": lambda pole: pole.power(on=True),
    "stall": lambda pole: pole.stall(on=True),
    "go": lambda pole: pole.stall(on=False),
    "noise": lambda pole: pole.reply(NOISE),
    "state": lambda _pole: None,
}


async def serve(options: Options, tell: Tell, stop: asyncio.Event) -> None:
    """Play until `stop`. Raises PortUnavailable when a name cannot be had."""
    pole = Pole(options, tell)
    with contextlib.ExitStack() as ends:
        ends.callback(pole.stop)
        pole.plug()
        told: dict[str, object] = {"event": "ready", "port": pole.port}
        if options.link is not None:
            told["link"] = str(options.link)
        if options.control is not None:
            told["control"] = await take_orders(pole.order, options.control, ends)
        tell(told)
        await stop.wait()
