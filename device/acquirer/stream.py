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
        self._framing = framing
        self._changed = changed
        self._buffer = bytearray()
        self._frames: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._over = asyncio.Event()
        self._descriptor = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._descriptor = transport.get_extra_info("socket").fileno()
        # Any byte that waits pauses us. Not high=0: TLS in asyncio counts no byte as too many then, and may pause for ever.
        transport.set_write_buffer_limits(high=1, low=0)
        self._writable.set()
        self._tell()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._split()
        self._news.set()

    def eof_received(self) -> None:
        self.ended = True
        self._news.set()
        self._tell()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        self.ended = True
        for event in (self._news, self._writable, self._over):
            event.set()
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed(self)

    def alive(self) -> bool:
        """False as soon as the kernel knows that the peer is gone, even before the event loop was told."""
        if self.ended or self.nonsense or self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._descriptor, _GONE)
        return not poll.poll(0)

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
        """The next frame, or None when the time is over, the stream ended or it stopped making sense."""
        if not self._frames:  # a clock is set only when there is something to wait for
            try:
                async with asyncio.timeout(timeout_s):
                    while not self._frames and not self.ended and not self.nonsense:
                        self._news.clear()
                        await self._news.wait()
            except TimeoutError:
                return None
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._split()
        return frame

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
        if self.ended or self.transport.is_closing():
            return
        if len(self._frames) >= FRAMES_WAITING_MAX:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
