"""The agent's own line to the host: connects when wanted, fills in secrets, signs, sends, and tells what came back.

It decides nothing: which reversal, when and how often is the core's. It never signs in, settles, or makes up a STAN.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from agent.core.change import SendEcho, SendReversal, WantLine
from agent.core.event import (
    EchoReply,
    Event,
    HostReachable,
    HostReply,
    HostUnreachable,
    LineLost,
    NoiseReceived,
    SendFailed,
)
from agent.core.profile import Messages
from agent.vault import VaultError
from device.acquirer.link import Link
from device.acquirer.message import Codec, Message, reply_mti
from device.connectivity import Prober
from device.errors import LinkDown, LinkError, LinkSilent, LocalMessageError, MacError, RemoteMessageError

log = logging.getLogger("reversald.host")

RECEIVE_MS = 60_000
RETRY_S = 1.0  # after a send of which no byte left: a host that takes connections and drops them must not be hammered
QUEUE_MAX = 16

Send = SendReversal | SendEcho


class MacService(Protocol):
    """Makes and checks F64."""

    def sign(self, data: bytes) -> bytes:
        """The eight bytes of F64. Raises MacError."""

    def verify(self, data: bytes, mac: bytes) -> bool:
        """True when `mac` belongs to `data`."""


class HostLine:
    """One line, one connection at a time. `tell` takes events, `secrets` opens a vault reference."""

    def __init__(
        self,
        link: Link,
        codec: Codec,
        messages: Messages,
        mac: MacService,
        secrets: Callable[[str], Mapping[str, str]],
        tell: Callable[[Event], None],
    ) -> None:
        self._link = link
        self._codec = codec
        self._messages = messages
        self._reversal_reply, self._echo_reply = reply_mti(messages.reversal), reply_mti(messages.echo)
        self._mac = mac
        self._secrets = secrets
        self._tell = tell
        self._wanted: Literal["now", "watch", "none"] = "none"
        self._sends: asyncio.Queue[Send] = asyncio.Queue(QUEUE_MAX)
        self._failed = False
        self._reader: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.prober = Prober(self._attempt)

    def perform(self, effect: WantLine | Send) -> None:
        """Take an effect of the core's; returns at once."""
        if isinstance(effect, WantLine):
            self._want(effect.wanted)
        else:
            self._sends.put_nowait(effect)

    async def run(self) -> None:
        """Send what is queued, until cancelled."""
        probing = asyncio.create_task(self.prober.run(), name="prober")
        try:
            while True:
                await self._send(await self._sends.get())
        finally:
            probing.cancel()
            self._stop_reading()
            if self._retry is not None:
                self._retry.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
            await self._link.close()

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

    def _want(self, wanted: Literal["now", "watch", "none"]) -> None:
        self._wanted = wanted
        if wanted != "now":
            self._stop_reading()
            task = asyncio.ensure_future(self._close_unless_wanted())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self.prober.want(wanted != "none")
        if wanted == "now":
            self.prober.poke()

    async def _close_unless_wanted(self) -> None:
        if self._wanted != "now":
            await self._link.close()

    async def _attempt(self) -> bool:
        """One connect. In `now` the connection is kept for our sends, in `watch` it was only the proof."""
        try:
            await self._link.connect()
        except LinkError as error:
            log.debug("probe: %s", error)
            self._failed = True
            self._tell(HostUnreachable())
            return False
        after_failure, self._failed = self._failed, False
        if self._wanted == "now":
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read(), name="host-reader")
        else:
            await self._link.close()
        self._tell(HostReachable(after_failure=after_failure))
        return True

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _lost(self) -> None:
        self._tell(LineLost())
        if self._wanted == "now":
            self.prober.poke()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, effect: Send) -> None:
        try:
            frame = self._frame(effect)
        except (LocalMessageError, VaultError) as error:
            log.error("a message could not be made: %s", error)  # noqa: TRY400  (a trace could carry content)
            self._not_left(effect, "unpackable")
            return
        except MacError as error:
            log.error("no MAC: %s", error)  # noqa: TRY400
            self._not_left(effect, "mac")
            return
        try:
            await self._link.send(frame)
        except LinkDown:
            self._not_left(effect, "line")
        except LinkError:
            self._stop_reading()
            self._lost()

    def _frame(self, effect: Send) -> bytes:
        fields = {int(name): text for name, text in effect.fields.items()}
        if isinstance(effect, SendEcho):
            return self._codec.frame(self._codec.unsigned(self._messages.echo, fields), None)
        if effect.vault is None:
            raise VaultError("the transaction has no sealed card data")
        fields |= {int(name): text for name, text in self._secrets(effect.vault).items()}
        body = self._codec.unsigned(self._messages.reversal, fields)
        return self._codec.frame(body, self._mac.sign(self._codec.mac_input(body)))

    def _not_left(self, effect: Send, why: str) -> None:
        if isinstance(effect, SendReversal):
            self._tell(SendFailed(transaction=effect.transaction, why=why))
        if why == "line":
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self.prober.poke)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        while True:
            try:
                frame = await self._link.receive(RECEIVE_MS)
            except LinkSilent:
                continue
            except RemoteMessageError:
                self._tell(NoiseReceived(what="unreadable"))
                await self._link.close()
                self._reader = None
                self._lost()
                return
            except LinkError:
                self._reader = None
                self._lost()
                return
            self._received(frame)

    def _received(self, frame: bytes) -> None:
        try:
            message = self._codec.read(frame)
        except RemoteMessageError:
            self._tell(NoiseReceived(what="unreadable"))
            return
        said = message.fields
        if message.mti == self._reversal_reply:
            self._tell(
                HostReply(
                    f3=said.get(3),
                    f4=said.get(4),
                    f11=said.get(11),
                    f41=said.get(41),
                    f42=said.get(42),
                    code=said.get(39),
                    mac=self._mac_of(message),
                )
            )
        elif message.mti == self._echo_reply:
            self._tell(EchoReply(code=said.get(39)))
        else:
            self._tell(NoiseReceived(what="unasked"))

    def _mac_of(self, message: Message) -> Literal["good", "bad", "missing"]:
        if message.mac is None or message.mac_input is None:
            return "missing"
        return "good" if self._mac.verify(message.mac_input, message.mac) else "bad"
