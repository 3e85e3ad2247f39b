"""The printer model on real wires: a pseudo terminal or a TCP port, with orders over a Unix socket.

Everything happens on one event loop; between events it sleeps.
"""

import asyncio
import contextlib
import os
import pty
import termios
import tty
from collections.abc import Callable
from pathlib import Path

import msgspec

from device.printer.profile import PrinterProfile
from device.simulator.printer_control import ORDER_BYTES_MAX, OrderError, obey, state
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_output import SlipFiles
from device.simulator.printer_traits import Traits

Tell = Callable[[dict[str, object]], None]
READ_BYTES_MAX = 4096
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


class PtyWire:
    """A pseudo terminal that looks like a serial line: at the speed of `baud`, and it can be stopped."""

    def __init__(self, engine: Engine, baud: int) -> None:
        self._engine = engine
        self._bytes_per_s = baud / 10
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._free_s = 0.0  # when the wire has carried what was read
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False
        self._stopped = False
        engine.reply = self._reply
        engine.moved = self._arm
        self._arm()

    def _arm(self) -> None:
        """Read when the printer has room and the wire is free; stop the line itself when the printer takes nothing."""
        stalled = self._engine.model.condition.stalled
        if stalled != self._stopped:
            self._stopped = stalled
            termios.tcflow(self._slave, termios.TCOOFF if stalled else termios.TCOON)
        wait_s = self._free_s - self._loop.time()
        wanted = self._engine.model.room() > 0 and wait_s <= 0
        if wanted and not self._reading:
            self._loop.add_reader(self._master, self._read)
        elif self._reading and not wanted:
            self._loop.remove_reader(self._master)
        self._reading = wanted
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait_s, self._arm) if wait_s > 0 else None

    def _read(self) -> None:
        burst = max(1, int(self._bytes_per_s / 50))  # what the wire carries in 20 ms
        try:
            data = os.read(self._master, min(self._engine.model.room(), burst, READ_BYTES_MAX))
        except BlockingIOError:
            return
        self._free_s = self._loop.time() + len(data) / self._bytes_per_s
        self._engine.feed(data)

    def _reply(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: a serial line loses what nobody reads
            os.write(self._master, data)

    def close(self) -> None:
        """The plug is pulled."""
        if self._timer is not None:
            self._timer.cancel()
        if self._reading:
            self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)


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


async def control(engine: Engine, path: Path) -> asyncio.Server:
    """Take orders on a Unix socket, one JSON object per line; every line is answered."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError, asyncio.CancelledError):  # gone, a line too long, or the end
            while line := await reader.readline():
                try:
                    answer: dict[str, object] = {"ok": True, **engine.order(line)}
                except OrderError as error:
                    answer = {"ok": False, "error": str(error)}
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(talk, path, limit=ORDER_BYTES_MAX)
