"""The simulated acquirer on a real socket: bytes to requests, the model's actions to bytes, at their time."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

import msgspec

from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message, masked_pan
from device.errors import LocalMessageError, RemoteMessageError
from device.simulator.acquirer_model import AcquirerModel, Action, Answer, Cut, Later, MacState
from device.simulator.ledger import Ledger

CONNECTIONS_MAX = 64
TIMERS_MAX = 10_000
UNSENT_BYTES_MAX = 1 << 20  # a terminal that reads no more than this behind is cut off

_RESET = struct.pack("ii", 1, 0)  # linger on, no time: close() sends RST


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the log: a message in or out, or what happened to a connection. Card numbers are masked."""

    at_ms: int
    what: Literal["in", "out", "connected", "ended", "cut", "unreadable", "listening", "refusing"]
    mti: str = ""
    terminal_id: str = ""
    batch: str = ""
    stan: str = ""
    amount_fen: int | None = None
    pan: str = ""
    response_code: str = ""
    note: str = ""


class AcquirerServer:
    """`async with AcquirerServer(model) as server:` listens on `server.port` until the end of the block.

    `mac` None: MACs are neither checked nor made. `on_line` hears every log line, `on_change` the ledger after each change
    and before the answer leaves.
    """

    def __init__(
        self, model: AcquirerModel | None = None, host: str = "127.0.0.1", port: int = 0, *, codec: Codec | None = None,
        mac: SoftwareMac | None = None, tls: ssl.SSLContext | None = None,
        on_line: Callable[[Line], None] | None = None, on_change: Callable[[Ledger], None] | None = None,
    ) -> None:
        self.model = model or AcquirerModel()
        self.faults = self.model.faults
        self.host = host
        self.port = port
        self.codec = codec or Codec()
        self._mac = mac
        self._tls = tls
        self.on_line = on_line
        self._on_change = on_change
        self._told_changes = self.model.ledger.changes
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def refusing(self) -> bool:
        """True while connections are refused."""
        return self._listener is None

    async def start(self) -> None:
        """Listen; on the same port as before when it had one. Raises OSError when the port is taken."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
            self.port = self._listener.sockets[0].getsockname()[1]
            self.log(Line(_now_ms(), "listening", note=f"{self.host}:{self.port}"))

    async def stop(self) -> None:
        """Stop listening, end every connection, and forget what was still to come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        running = list(self._connections)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def refuse(self, refusing: bool) -> None:
        """Refuse connections, and cut those there are, as a host that is down; or come back on the same port.

        A request that is late on its way arrives all the same.
        """
        if refusing and self._listener is not None:
            self._listener.close()
            self._listener = None
            self.cut()
            self.log(Line(_now_ms(), "refusing"))
        elif not refusing:
            await self.start()

    def cut(self) -> None:
        """End every connection by RST."""
        for writer in list(self._connections.values()):
            self._end(writer, "reset")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._connections[task] = writer
        self.log(Line(_now_ms(), "connected"))
        try:
            while await self._take(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the terminal's end is a matter of course
        except asyncio.CancelledError:
            pass  # `stop`: the stream server would report a cancelled handler as an error
        finally:
            del self._connections[task]
            writer.close()
            self.log(Line(_now_ms(), "ended"))

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one message. False when the stream makes no sense any more."""
        framing = self.codec.framing
        length = framing.length(await reader.readexactly(framing.length_bytes))
        if length is None:
            self.log(Line(_now_ms(), "unreadable", note="a length that no message has: connection closed"))
            return False
        try:
            message = self.codec.read(await reader.readexactly(length))
        except RemoteMessageError as error:
            self.log(Line(_now_ms(), "unreadable", note=str(error)))
            return True
        mac = self._proved(message)
        self.log(self._line("in", message, "" if mac == "good" else f"MAC {mac}"))
        envelope = _swapped(message.envelope) if self.model.rules.tpdu else message.envelope
        self._perform(self.model.handle(message.mti, message.fields, _now_ms(), mac), writer, envelope)
        return True

    def _proved(self, message: Message) -> MacState:
        if self._mac is None:
            return "good"
        if message.mac is None or message.mac_input is None:
            return "absent"
        return "good" if self._mac.verify(message.mac_input, message.mac) else "broken"

    def _perform(self, actions: list[Action], writer: asyncio.StreamWriter, envelope: bytes) -> None:
        if self._on_change and self.model.ledger.changes != self._told_changes:
            self._told_changes = self.model.ledger.changes
            self._on_change(self.model.ledger)
        for action in actions:
            if not action.after_ms:
                self._act(action, writer, envelope)
            elif len(self._timers) < TIMERS_MAX:
                self._wait(action, writer, envelope)

    def _wait(self, action: Action, writer: asyncio.StreamWriter, envelope: bytes) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self._act(action, writer, envelope)

        timer = asyncio.get_running_loop().call_later(action.after_ms / 1000, due)
        self._timers.add(timer)

    def _act(self, action: Action, writer: asyncio.StreamWriter, envelope: bytes) -> None:
        if isinstance(action, Later):
            self._perform(self.model.arrive(action, _now_ms()), writer, envelope)
        elif writer.is_closing():
            return
        elif isinstance(action, Cut):
            self._end(writer, action.how)
        else:
            self._answer(action, writer, envelope)

    def _answer(self, answer: Answer, writer: asyncio.StreamWriter, envelope: bytes) -> None:
        try:
            frame = self._packed(answer, envelope)
        except LocalMessageError as error:  # the request had a field that an answer cannot repeat
            self.log(Line(_now_ms(), "unreadable", note=f"no answer: {error}"))
            return
        note = "half of it" if answer.half else "" if answer.mac != "broken" else "MAC broken"
        self.log(self._line("out", Message(answer.mti, answer.fields), note))
        writer.write(frame[: len(frame) // 2] if answer.half else frame)
        if answer.half:
            self._end(writer, "close")
        elif writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self._end(writer, "reset")

    def _packed(self, answer: Answer, envelope: bytes) -> bytes:
        mac = self._mac
        if mac is None or answer.mac == "absent":
            return self.codec.pack(answer.mti, answer.fields, None, envelope)
        frame = self.codec.pack(answer.mti, answer.fields, mac.sign, envelope)
        return frame if answer.mac == "good" else frame[:-1] + bytes([frame[-1] ^ 1])

    def _end(self, writer: asyncio.StreamWriter, how: Literal["close", "reset"]) -> None:
        self.log(Line(_now_ms(), "cut", note=how))
        if how == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        else:
            writer.close()

    def _line(self, what: Literal["in", "out"], message: Message, note: str) -> Line:
        fields = message.fields
        return Line(
            _now_ms(), what, message.mti, fields.get(41, ""), self.model.rules.batch(fields.get(60, "")), fields.get(11, ""),
            int(fields[4]) if 4 in fields else None, masked_pan(fields[2]) if 2 in fields else "", fields.get(39, ""), note,
        )

    def log(self, line: Line) -> None:
        """Tell whoever listens."""
        if self.on_line:
            self.on_line(line)


def _swapped(envelope: bytes) -> bytes:
    """The envelope of an answer: destination and source of the TPDU change places, the rest is repeated."""
    return envelope[:1] + envelope[3:5] + envelope[1:3] + envelope[5:]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
