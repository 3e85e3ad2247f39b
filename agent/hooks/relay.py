"""The relay: takes the terminal's ISO 8583 connections and gives each its own line to the host.

It alters no byte and never answers as the host. What it looks at, holds and drops stands in `relaysession`; what that means
for money is the core's.
"""

import asyncio
import logging
from collections.abc import Callable

from agent import settings
from agent.hooks.ports import Inbox
from agent.hooks.relayreader import RelayReader
from agent.hooks.relaysession import Session
from device.acquirer.hosts import Hosts
from device.acquirer.link import server_tls_context
from device.acquirer.stream import FrameStream

log = logging.getLogger("reversald.relay")

CONNECTIONS_MAX = 64
BACKLOG = 64
HANDSHAKE_S = 10.0
SHUTDOWN_S = 1.0  # for the end of TLS


class Relay:
    """Listens from `open` to `close`. `hosts` makes a line to the host, `hold_ms` is the longest a request is held: it may be
    changed at any time.
    """

    def __init__(self, reader: RelayReader, hosts: Callable[[], Hosts], inbox: Inbox, hold_ms: int) -> None:
        self._reader = reader
        self._hosts = hosts
        self._inbox = inbox
        self.hold_ms = hold_ms
        self._listener: asyncio.Server | None = None
        self._sessions: dict[FrameStream, tuple[Session, asyncio.Task[None]]] = {}
        self.port = 0

    async def open(self, where: settings.Relay) -> None:
        """Listen. Raises OSError when the port is taken, LinkError when the certificate cannot be used."""
        tls = None
        if where.tls_cert is not None and where.tls_key is not None:
            tls = server_tls_context(where.tls_cert, where.tls_key, where.tls_ca)
        host, _, port = where.listen.rpartition(":")
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: FrameStream(self._reader.codec.framing, self._changed), host.strip("[]"), int(port), ssl=tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_S if tls else None, ssl_shutdown_timeout=SHUTDOWN_S if tls else None,
            )
        except OSError as error:
            raise OSError(f"relay.listen {where.listen}: {error.strerror}") from None
        self.port = self._listener.sockets[0].getsockname()[1]

    def committed(self) -> None:
        """Something was committed: what is held may have its turn."""
        for session, _ in self._sessions.values():
            session.nudge()

    async def close(self) -> None:
        """Hang up on everybody. What was sent and not answered is in doubt with the next start."""
        if self._listener is not None:
            self._listener.close()
        running = [task for _, task in self._sessions.values()]
        for stream in self._sessions:
            stream.transport.abort()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _changed(self, stream: FrameStream) -> None:
        """A terminal called, or hung up."""
        known = self._sessions.get(stream)
        if known is not None:
            known[0].nudge()
        elif stream.ended:
            return
        elif len(self._sessions) >= CONNECTIONS_MAX:
            log.warning("%d terminals are connected: another one was turned away", CONNECTIONS_MAX)
            stream.transport.abort()
        else:
            session = Session(stream, self._hosts(), self._reader, self._inbox, lambda: self.hold_ms)
            task = asyncio.get_running_loop().create_task(self._serve(stream, session), name="relay")
            self._sessions[stream] = (session, task)

    async def _serve(self, stream: FrameStream, session: Session) -> None:
        try:
            await session.run()
        except Exception as error:  # noqa: BLE001  (one terminal's connection must not end the relay; content stays out)
            log.error("a relayed connection ended by a defect: %s", type(error).__name__)  # noqa: TRY400
            stream.transport.abort()
        finally:
            del self._sessions[stream]
