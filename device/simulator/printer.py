"""The printer model on real wires: a pseudo terminal or a TCP port.

Everything happens on one event loop; between events it sleeps.
"""

import asyncio
from collections.abc import Callable

from device.printer.profile import PrinterProfile
from device.simulator.printer_control import obey, state
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_output import SlipFiles
from device.simulator.printer_traits import Traits
from device.simulator.ptywire import PtyWire

Tell = Callable[[dict[str, object]], None]
PENDING_BYTES_MAX = 64 * 1024


def traits_of(profile: PrinterProfile, lines_per_s: float = 20.0) -> Traits:
    """A printer that is what the profile says."""
    return Traits(
        columns=profile.columns,
        dots=profile.dots,
        lines_per_s=lines_per_s,
        status=profile.status,
        asb=profile.asb,
        fence=not profile.mute,
        process_id=profile.confirm == "process-id",
        xonxoff=profile.flow == "xonxoff",
        cutter=profile.cut,
    )


class Engine:
    """The model on the loop's clock: fed by a wire, it calls `reply` with what it says and saves the slips."""

    def __init__(self, model: PrinterModel, files: SlipFiles, tell: Tell) -> None:
        self.model = model
        self.reply: Callable[[bytes], None] = lambda _data: None
        self.moved: Callable[[], None] = lambda: None  # there may be room again, or the line stopped
        self._files = files
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._start_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._told = state(model)

    @property
    def now_ms(self) -> int:
        return int((self._loop.time() - self._start_s) * 1000)

    @property
    def stalled(self) -> bool:
        """True while the printer takes nothing from the line."""
        return self.model.condition.stalled

    def room(self) -> int:
        """Bytes that it takes now."""
        return self.model.room()

    def feed(self, data: bytes) -> int:
        """Bytes from the wire; how many of them it took."""
        taken = self.model.receive(data, self.now_ms)
        self.settle()
        return taken

    def order(self, line: bytes) -> dict[str, object]:
        """An order of a person's. Raises OrderError."""
        now = obey(self.model, line, self.now_ms)
        self.settle()
        return now

    def settle(self) -> None:
        """After every event: say, save, and set the alarm for what the printer will do by itself."""
        self.model.advance(self.now_ms)
        if data := self.model.replies():
            self.reply(data)
        self._save()
        if (now := state(self.model)) != self._told:
            self._told = now
            self._tell({"event": "state", **now})
        if self._timer is not None:
            self._timer.cancel()
        at_ms = self.model.next_ms()
        self._timer = None if at_ms is None else self._loop.call_at(self._start_s + (at_ms + 1) / 1000, self.settle)
        self.moved()

    def stop(self) -> None:
        """End: what is on the paper is a slip, finished or not."""
        if self._timer is not None:
            self._timer.cancel()
        self.model.tear_off()
        self._save()

    def _save(self) -> None:
        while self.model.slips:
            self._tell(self._files.save(self.model.slips.pop(0)))


class TcpWire(asyncio.Protocol):
    """Port 9100: one connection at a time; a second one is closed at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._transport: asyncio.Transport | None = None
        self._taken = False
        self._pending = bytearray()
        self._paused = False
        engine.reply = self._reply
        engine.moved = self._push

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._pending += data
        self._push()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._taken = False
        self._pending.clear()

    def _push(self) -> None:
        room = self._engine.model.room()
        if self._pending and room:
            part = bytes(self._pending[:room])
            del self._pending[:room]
            self._engine.feed(part)
        if self._transport is not None and self._paused != bool(self._pending):
            self._paused = bool(self._pending)
            (self._transport.pause_reading if self._paused else self._transport.resume_reading)()

    def _reply(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def answer(self) -> asyncio.Protocol:
        """Who takes the next call."""
        if self._taken:
            return _Refuse()
        self._taken = True
        return self


async def open_pty(engine: Engine, baud: int) -> tuple[str, Callable[[], None]]:
    """A pseudo terminal; its path, and how to end it."""
    wire = PtyWire(engine, baud)
    return wire.path, wire.close


async def open_tcp(engine: Engine, host: str, port: int) -> tuple[str, Callable[[], None]]:
    """A TCP port (0: any free one); its address as the printer's configuration writes it, and how to end it."""
    wire = TcpWire(engine)
    server = await asyncio.get_running_loop().create_server(wire.answer, host, port)

    def end() -> None:
        server.close()
        wire.close()

    return f"tcp://{host}:{server.sockets[0].getsockname()[1]}", end


class _Refuse(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
