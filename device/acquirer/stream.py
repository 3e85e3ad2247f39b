"""A byte stream cut into frames, wherever the network split it: the line to the acquirer, and the terminal's in the relay.

It knows nothing of what the frames say, hands out only whole ones, and makes a peer wait whose frames nobody has taken yet.
"""

import asyncio
import select
from collections import deque
from collections.abc import Callable

from device.acquirer.profile import Framing

SEND_TIMEOUT_MS = 5_000  # a frame fits any socket buffer: when it does not leave in this time the line is dead
CLOSE_TIMEOUT_MS = 1_000
FRAMES_WAITING_MAX = 16  # unread frames before the peer is made to wait

_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class FrameStream(asyncio.Protocol):
    """One connection, either end of it. `changed` is called when it is made and when it ends."""

    transport: asyncio.Transport

    def __init__(self, framing: Framing, changed: Callable[["FrameStream"], None] | None = None) -> None:
        self.ended = False
        self.nonsense = False
        self.error: Exception | None = None  # what ended it, when that was no plain end
        self._framing = framing
        self._changed = changed
        self._buffer = bytearray()
        self._held_back = False  # the peer is made to wait
        self._frames: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None  # whoever waits for a frame
        self._writable = asyncio.Event()
        self._over = asyncio.Event()
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._poll.register(transport.get_extra_info("socket").fileno(), _GONE)
        # Any byte that waits pauses us. Not high=0: TLS in asyncio counts no byte as too many then, and may pause for ever.
        transport.set_write_buffer_limits(high=1, low=0)
        self._writable.set()
        self._tell()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._split()
        if self._frames:
            self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()
        self._tell()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.error = True, exc
        self._wake()
        self._writable.set()
        self._over.set()
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed(self)

    def alive(self) -> bool:
        """False as soon as the kernel knows that the peer is gone, even before the event loop was told."""
        if self.ended or self.nonsense or self.transport.is_closing():
            return False
        return not self._poll.poll(0)

    async def write(self, frame: bytes) -> None:
        """Hand `frame` to the kernel, or abort the connection when it takes no bytes."""
        self.transport.write(frame)
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(SEND_TIMEOUT_MS / 1000):
                    await self._writable.wait()
            except TimeoutError:
                self.transport.abort()

    async def read(self, timeout_s: float | None) -> bytes | None:
        """The next frame, or None when the time is over, the stream ended or it stopped making sense. One reads at a time."""
        if not self._frames and not self.ended and not self.nonsense:
            await self._arrival(timeout_s)
        if not self._frames:
            return None
        frame = self._frames.popleft()
        if self._held_back:
            self._split()
        return frame

    async def _arrival(self, timeout_s: float | None) -> None:
        """Until a frame is there, the stream has ended or the time is over. A future and a timer: a relay waits here twice for
        every exchange, and `asyncio.timeout` around an event costs twice as much.
        """
        loop = asyncio.get_running_loop()
        reader = self._reader = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._wake)
        try:
            await reader
        finally:
            self._reader = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def end(self) -> None:
        """Hang up once what was written has left; returns at once."""
        self.transport.close()

    async def close(self) -> None:
        """Close, and after a second abort."""
        self.transport.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_MS / 1000):
                await self._over.wait()
        except TimeoutError:
            self.transport.abort()

    def _split(self) -> None:
        """Move whole frames from the buffer to the queue, while there is room, and hold the peer back when not."""
        width = self._framing.length_bytes
        while len(self._frames) < FRAMES_WAITING_MAX and len(self._buffer) >= width and not self.nonsense:
            length = self._framing.length(bytes(self._buffer[:width]))
            if length is None:
                self.nonsense = True
                self.transport.abort()
                return
            if len(self._buffer) < width + length:
                break
            self._frames.append(bytes(self._buffer[width : width + length]))
            del self._buffer[: width + length]
        before, self._held_back = self._held_back, len(self._frames) >= FRAMES_WAITING_MAX
        if self._held_back == before or self.ended or self.transport.is_closing():
            return
        if self._held_back:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
