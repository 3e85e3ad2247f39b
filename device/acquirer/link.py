"""The line to the acquirer's host: one TCP or TLS connection that carries whole frames, every wait with a limit.

It knows nothing of what the frames say. Which error it raises tells whether bytes of ours have left: on that hangs
whether a reversal was attempted or not.
"""

import asyncio
import select
import ssl
from collections import deque
from pathlib import Path

from device.acquirer.profile import UNIONPAY, Framing
from device.errors import LinkDown, LinkError, LinkLost, LinkSilent, RemoteMessageError

SEND_TIMEOUT_MS = 5_000  # a frame fits any socket buffer: when it does not leave in this time the line is dead
CLOSE_TIMEOUT_MS = 1_000
FRAMES_WAITING_MAX = 16  # unread frames before the peer is made to wait

_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class Link:
    """One connection at a time; after an error or `close` it may be connected again. One sender, one receiver.

    `framing` is the profile's. Times are milliseconds.
    """

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_name: str | None = None,
        connect_timeout_ms: int = 3_000, framing: Framing = UNIONPAY.framing,
    ) -> None:
        self.host = host
        self.port = port
        self._tls = tls
        self._server_name = server_name if tls else None  # what the certificate must say, when it is not `host`
        self._connect_timeout_ms = connect_timeout_ms
        self._framing = framing
        self._stream: _Stream | None = None
        self._attempt: asyncio.Task[tuple[asyncio.Transport, _Stream]] | None = None

    @property
    def is_open(self) -> bool:
        """True while the connection stands, as far as this machine can know without sending."""
        return self._stream is not None and self._stream.alive()

    async def connect(self) -> None:
        """Connect, and end TLS's handshake, within the connect time-out. Does nothing when already open.

        Raises `LinkDown` with the reason. Nothing of ours has left then.
        """
        if self.is_open:
            return
        if self._attempt is not None:
            raise LinkDown(f"{self._name}: another attempt to connect is still running")
        await self.close()
        attempt = self._attempt = asyncio.ensure_future(self._open())
        try:
            finished, _ = await asyncio.wait({attempt}, timeout=self._connect_timeout_ms / 1000)
        except asyncio.CancelledError:
            _discard(attempt)
            raise
        finally:
            self._attempt = None
        if not finished:
            _discard(attempt)
            raise LinkDown(f"{self._name}: no connection within {self._connect_timeout_ms} ms")
        if attempt.cancelled():
            raise LinkDown(f"{self._name}: the attempt was given up")
        if error := attempt.exception():
            raise LinkDown(f"{self._name}: {_reason(error)}")
        self._stream = attempt.result()[1]

    def abort(self) -> None:
        """Give up an attempt to connect that is under way: `connect` raises `LinkDown` at once.

        When the network comes back, an attempt from before may still wait a second for its SYN to be sent again; a new
        one is faster.
        """
        if self._attempt is not None:
            self._attempt.cancel()

    async def send(self, frame: bytes) -> None:
        """Hand one whole frame, length prefix included, to the kernel.

        Raises `LinkDown` when the connection had ended before: no byte of this frame has left. Raises `LinkLost` when it
        ended, or stopped taking bytes, after some may have left.
        """
        stream = self._stream  # `close` may take it away while we wait
        if stream is None or not stream.alive():
            raise LinkDown(f"{self._name}: not connected")
        await stream.write(frame)
        if stream.transport.is_closing():
            raise LinkLost(f"{self._name}: the connection ended while a message was leaving")

    async def receive(self, timeout_ms: int) -> bytes:
        """The next whole frame, its length prefix taken off; frames that came before the call count.

        Raises `LinkSilent` when the time is over (what comes later can still be received), `LinkLost` when the
        connection ends first, `RemoteMessageError` when the stream makes no sense: it is then closed, since nobody knows
        where the next frame begins.
        """
        stream = self._stream  # `close` may take it away while we wait
        if stream is None:
            raise LinkLost(f"{self._name}: not connected")
        frame = await stream.read(timeout_ms / 1000)
        if frame is not None:
            return frame
        if stream.nonsense:
            raise RemoteMessageError(f"{self._name} sent a length that no message has")
        if stream.ended:
            raise LinkLost(f"{self._name}: the connection ended before an answer")
        raise LinkSilent(f"{self._name}: no answer within {timeout_ms} ms")

    async def close(self) -> None:
        """End the connection, politely for up to a second. Never raises; may be called at any time."""
        self.abort()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _open(self) -> tuple[asyncio.Transport, "_Stream"]:
        loop = asyncio.get_running_loop()
        handshake = self._connect_timeout_ms / 1000 if self._tls else None
        # asyncio sets TCP_NODELAY on every TCP connection: a frame leaves at once.
        return await loop.create_connection(
            lambda: _Stream(self._framing), self.host, self.port, ssl=self._tls, ssl_handshake_timeout=handshake,
            server_hostname=self._server_name,
            ssl_shutdown_timeout=CLOSE_TIMEOUT_MS / 1000 if self._tls else None,
        )

    @property
    def _name(self) -> str:
        return f"acquirer {self.host}:{self.port}"


class _Stream(asyncio.Protocol):
    """Cuts the byte stream into frames, wherever the network split it."""

    transport: asyncio.Transport

    def __init__(self, framing: Framing) -> None:
        self.ended = False
        self.nonsense = False
        self._framing = framing
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
        transport.set_write_buffer_limits(high=0)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._split()
        self._news.set()

    def eof_received(self) -> None:
        self.ended = True
        self._news.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        self.ended = True
        for event in (self._news, self._writable, self._over):
            event.set()

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

    async def read(self, timeout_s: float) -> bytes | None:
        """The next frame, or None when the time is over, the stream ended or it stopped making sense."""
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


def tls_context(ca: Path | None, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A context that verifies the host by `ca` (None: the system's) and shows `cert` with `key` when it is asked to.

    Raises `LinkError` that names the file which cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise LinkError(f"the TLS authority file {ca} cannot be used: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None:
        try:
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise LinkError(f"the TLS certificate {cert} with key {key} cannot be used: {_reason(error)}") from None
    return context


_Attempt = asyncio.Task[tuple[asyncio.Transport, _Stream]]


def _discard(attempt: _Attempt) -> None:
    """Cancel `attempt`, and close its connection should it have come about in the same moment."""

    def clean_up(task: _Attempt) -> None:
        if not task.cancelled() and task.exception() is None:
            task.result()[0].abort()

    attempt.add_done_callback(clean_up)
    attempt.cancel()


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
