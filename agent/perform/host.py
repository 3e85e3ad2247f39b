"""The agent's own line to the host: connects when wanted, fills in secrets, signs, sends, and tells what came back.

It decides nothing: which reversal, when and how often is the core's. It never signs in, settles, or makes up a STAN. Before
a send it needs the line (a lease, where the app owns it) and a MAC; until bytes leave, losing either uses up no send.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal

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
from agent.perform.lease import Lease
from agent.perform.mac import MacService
from agent.vault import VaultError
from device.acquirer.hosts import Hosts
from device.acquirer.message import Codec, Message, reply_mti
from device.connectivity import Prober
from device.errors import LinkDown, LinkError, LinkSilent, LocalMessageError, MacError, RemoteMessageError

log = logging.getLogger("reversald.host")

RECEIVE_MS = 60_000
RETRY_S = 1.0  # after a send of which no byte left: a host that takes connections and drops them must not be hammered
QUEUE_MAX = 16
SILENT_SENDS = 2  # so many without an answer, and where there is another host it is asked
CHECKS_MAX = 3  # tries to have the MAC of an answer checked, before the answer is told as unchecked
CHECK_PAUSE_S = 1.0
GIVE_BACK_S = 1.0  # at a stop

Send = SendReversal | SendEcho


class HostLine:
    """One line, one connection at a time. `tell` takes events, `secrets` opens a vault reference."""

    def __init__(
        self,
        hosts: Hosts,
        lease: Lease,
        codec: Codec,
        messages: Messages,
        mac: MacService,
        secrets: Callable[[str], Mapping[str, str]],
        tell: Callable[[Event], None],
    ) -> None:
        self._link = hosts
        self._lease = lease
        lease.lost = self._taken_back
        self._codec = codec
        self._messages = messages
        self._reversal_reply, self._echo_reply = reply_mti(messages.reversal), reply_mti(messages.echo)
        self._mac = mac
        self._secrets = secrets
        self._tell = tell
        self._wanted: Literal["now", "watch", "none"] = "none"
        self._sends: asyncio.Queue[Send] = asyncio.Queue(QUEUE_MAX)
        self._preparing: Send | None = None  # taken off the queue, and no byte of it has left
        self._unanswered = 0
        self._failed = False
        self._reader: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
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
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lease.give_back(), GIVE_BACK_S)

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

    def _want(self, wanted: Literal["now", "watch", "none"]) -> None:
        self._wanted = wanted
        if wanted != "now":
            self._stop_reading()
            self._beside(self._close_unless_wanted())
        self.prober.want(wanted != "none")
        if wanted == "now":
            self.prober.poke()

    def _beside(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _close_unless_wanted(self) -> None:
        if self._wanted != "now":
            await self._link.close()
        if self._wanted != "now":
            await self._lease.give_back()

    async def _attempt(self) -> bool:
        """One connect. In `now` the connection is kept for our sends, in `watch` it was only the proof and needs no lease."""
        if self._wanted == "now" and not await self._lease.take():
            return self._unreachable()
        try:
            await self._link.connect()
        except LinkError as error:
            log.debug("probe: %s", error)
            await self._lease.give_back()
            return self._unreachable()
        after_failure, self._failed = self._failed, False
        if self._wanted == "now":
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read(), name="host-reader")
        else:
            await self._link.close()
        self._tell(HostReachable(after_failure=after_failure, host=self._link.name))
        return True

    def _unreachable(self) -> bool:
        self._failed = True
        self._tell(HostUnreachable())
        return False

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _lost(self) -> None:
        """The connection ended. What was only being prepared uses up no send; the rest may have left."""
        preparing, self._preparing = self._preparing, None
        if isinstance(preparing, SendReversal) and self._sends.empty():
            self._tell(SendFailed(transaction=preparing.transaction))
        else:
            self._tell(LineLost())
        if self._wanted == "now":
            self.prober.poke()

    def _taken_back(self) -> None:
        """The app wants its line: what is in flight has used up its send, what is being prepared has not."""
        if self._wanted == "now":
            self._stop_reading()
            self._beside(self._link.close())
            self._lost()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, effect: Send) -> None:
        self._preparing = effect
        frame, why = None, ""
        try:
            frame = await self._frame(effect)
        except (LocalMessageError, VaultError) as error:
            log.error("a message could not be made: %s", error)  # noqa: TRY400  (a trace could carry content)
            why = "unpackable"
        except MacError as error:
            log.error("no MAC: %s", error)  # noqa: TRY400
            why = "mac"
        given_up = self._preparing is not effect or not self._sends.empty()
        self._preparing = None
        if given_up:
            return  # its time was over, or the line went, while it was made: the core has gone on
        if frame is None:
            self._not_left(effect, why)
        else:
            await self._leave(effect, frame)

    async def _leave(self, effect: Send, frame: bytes) -> None:
        if self._unanswered >= SILENT_SENDS and self._link.has_backup:
            self._unanswered = 0
            self._stop_reading()
            await self._link.leave()
        if not self._lease.held:  # it ran out in suspend
            self._stop_reading()
            await self._link.close()
        try:
            await self._link.send(frame)
        except LinkDown:
            self._not_left(effect, "line")
        except LinkError:
            self._stop_reading()
            self._lost()
        else:
            self._unanswered += isinstance(effect, SendReversal)

    async def _frame(self, effect: Send) -> bytes:
        fields = {int(name): text for name, text in effect.fields.items()}
        if isinstance(effect, SendEcho):
            return self._codec.frame(self._codec.unsigned(self._messages.echo, fields), None)
        if effect.vault is None:
            raise VaultError("the transaction has no sealed card data")
        fields |= {int(name): text for name, text in self._secrets(effect.vault).items()}
        body = self._codec.unsigned(self._messages.reversal, fields)
        return self._codec.frame(body, await self._mac.sign(self._codec.mac_input(body)))

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
            except LinkError as error:
                log.info("%s", error)
                self._reader = None
                self._lost()
                return
            self._unanswered = 0
            await asyncio.shield(self._beside(self._received(frame)))  # the MAC is checked also when reading is over

    async def _received(self, frame: bytes) -> None:
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
                    mac=await self._mac_of(message),
                    day=said.get(15),
                    time=said.get(12),
                    f60=said.get(60),
                )
            )
        elif message.mti == self._echo_reply:
            self._tell(EchoReply(code=said.get(39), day=said.get(15), time=said.get(12)))
        else:
            self._tell(NoiseReceived(what="unasked"))

    async def _mac_of(self, message: Message) -> Literal["good", "bad", "missing", "unchecked"]:
        if message.mac is None or message.mac_input is None:
            return "missing"
        for _ in range(CHECKS_MAX):
            try:
                return "good" if await self._mac.verify(message.mac_input, message.mac) else "bad"
            except MacError as error:
                log.error("a MAC cannot be checked: %s", error)  # noqa: TRY400
                await asyncio.sleep(CHECK_PAUSE_S)
        return "unchecked"
