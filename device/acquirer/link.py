"""The line to the acquirer's host: one TCP or TLS connection that carries whole frames, every wait with a limit.

It knows nothing of what the frames say. Which error it raises tells whether bytes of ours have left: on that hangs
whether a reversal was attempted or not.
"""

import asyncio
import logging
import ssl
from pathlib import Path

from device.acquirer.profile import UNIONPAY, Framing
from device.acquirer.stream import CLOSE_TIMEOUT_MS, FrameStream
from device.errors import LinkDown, LinkLost, LinkSilent, RemoteMessageError, TlsUnusable

log = logging.getLogger("reversald.link")


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
        self._stream: FrameStream | None = None
        self._attempt: asyncio.Task[tuple[asyncio.Transport, FrameStream]] | None = None

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

    async def receive(self, timeout_ms: int | None) -> bytes:
        """The next whole frame, its length prefix taken off; frames that came before the call count. None waits on and on.

        Raises `LinkSilent` when the time is over (what comes later can still be received), `LinkLost` when the
        connection ends first, `RemoteMessageError` when the stream makes no sense: it is then closed, since nobody knows
        where the next frame begins.
        """
        stream = self._stream  # `close` may take it away while we wait
        if stream is None:
            raise LinkLost(f"{self._name}: not connected")
        frame = await stream.read(None if timeout_ms is None else timeout_ms / 1000)
        if frame is not None:
            return frame
        if stream.nonsense:
            raise RemoteMessageError(f"{self._name} sent a length that no message has")
        if stream.ended:
            why = "" if stream.error is None else f": {_reason(stream.error)}"
            raise LinkLost(f"{self._name}: the connection ended before an answer{why}")
        raise LinkSilent(f"{self._name}: no answer within {timeout_ms} ms")

    async def close(self) -> None:
        """End the connection, politely for up to a second. Never raises; may be called at any time."""
        self.abort()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _open(self) -> tuple[asyncio.Transport, "FrameStream"]:
        loop = asyncio.get_running_loop()
        handshake = self._connect_timeout_ms / 1000 if self._tls else None
        # asyncio sets TCP_NODELAY on every TCP connection: a frame leaves at once.
        return await loop.create_connection(
            lambda: FrameStream(self._framing), self.host, self.port, ssl=self._tls, ssl_handshake_timeout=handshake,
            server_hostname=self._server_name,
            ssl_shutdown_timeout=CLOSE_TIMEOUT_MS / 1000 if self._tls else None,
        )

    @property
    def _name(self) -> str:
        return f"acquirer {self.host}:{self.port}"


def tls_context(ca: Path | None, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A context that verifies the host by `ca` (None: the system's) and shows `cert` when it is asked to.

    `key` None: it stands in the file of the certificate. Raises `TlsUnusable`.
    """
    context = ssl.create_default_context() if ca is None else _trusting(ssl.Purpose.SERVER_AUTH, ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None:
        _show(context, cert, key)
    return context


def server_tls_context(cert: Path, key: Path | None = None, ca: Path | None = None) -> ssl.SSLContext:
    """A context for a listener that shows `cert`; with `ca` only callers with a certificate of that authority are let in.

    `key` None: it stands in the file of the certificate. Raises `TlsUnusable`.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if ca is None else _trusting(ssl.Purpose.CLIENT_AUTH, ca)
    context.sslobject_class = _Telling
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    _show(context, cert, key)
    return context


def _trusting(purpose: ssl.Purpose, ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(purpose, cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise TlsUnusable(f"the TLS authority file {ca}", (ca,), _reason(error)) from None


def _show(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        named = f"the TLS certificate {cert}" + (f" with key {key}" if key else "")
        raise TlsUnusable(named, (cert, key) if key else (cert,), _reason(error)) from None


class _Telling(ssl.SSLObject):
    """Says why a caller was not let in, which asyncio keeps to itself."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            log.warning("a caller was not let in: %s", _reason(error))
            raise


_Attempt = asyncio.Task[tuple[asyncio.Transport, FrameStream]]


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
