"""Tells the fleet: events from the journal, whether the terminal is there, and how things stand.

Nothing here is asked of the broker that some brokers lack: Will and retained messages are used where they exist.
Health never enters the journal (flash wears out): `state`, `hb` and `snap` are made from what is true at that moment.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol
from uuid import uuid4

import msgspec

from agent import envelope
from agent.envelope import RULES, Ack, Beat, Channel, EnvelopeError, Response, Snap, State
from agent.journal.chain import Entry
from agent.perform.courier import Courier, Pace
from agent.perform.outbox import Outbox
from agent.perform.payloads import channel_of, correlation_of, payload_of
from device.clock import Reading
from device.mqtt import RETAIN_NOT_SUPPORTED, Ending, Inbound, Message, MqttClient, Outcome, Session

GOODBYE_S: Final = 1.0  # how long `stop` waits for the broker to take our `offline`

log = logging.getLogger(__name__)


class Identity(msgspec.Struct, frozen=True):
    """Who we are. `boot` counts the boots this journal has seen, the present one included."""

    fleet: str
    sn: str
    boot: int


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """How often things are said that are not events. Seconds."""

    beat_s: float = 300.0  # ± 20 %
    snap_s: float = 5.0  # a change waits so long for others
    clone_s: float = 3_600.0  # a clone is reported no more often


class Clock(Protocol):
    """Where the time comes from."""

    def read(self) -> Reading:
        """The clocks now."""


class Telemetry:
    """One terminal's voice. Make it on the event loop, `poke` it after every journal commit, end it with `stop`.

    `snapshot` gives what `snap` shows; `on_clone` is called when another client uses our id, at most once an hour;
    `on_command` gets what comes on `cmd`, and must only hand it over.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: MqttClient,
        identity: Identity,
        clock: Clock,
        *,
        ack: Literal["broker", "fleet"] = "broker",
        snapshot: Callable[[], dict[str, Any]] = dict,
        on_clone: Callable[[], None] = lambda: None,
        on_command: Callable[[Inbound], None] | None = None,
        pace: Pace | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        self.problem = ""  # what a technician should know, "" when all is well
        self._client, self._identity, self._clock = client, identity, clock
        self._ack, self._snapshot, self._on_clone, self._on_command = ack, snapshot, on_clone, on_command
        self._rhythm = rhythm or Rhythm()
        self._courier = Courier(outbox, ack, self._send, self._report, self._fail, pace or Pace())
        self._epoch = outbox.epoch
        self._keep_will = True
        self._run_id = uuid4().hex
        self._session = ""
        self._number = 0  # of the connection
        self._greeted: int | None = None  # the connection in which the broker first took our `online`
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._beat: asyncio.TimerHandle | None = None
        self._snap: asyncio.TimerHandle | None = None
        self._clone_until_s = 0.0

    async def run(self) -> None:
        """Work until `stop`. Raises what the outbox raised: storage failed, and the daemon must decide."""
        topics = [self._topic(Channel.STATE)]  # our own: another's word on it is the sign of a clone
        if self._ack == "fleet":
            topics.append(self._topic(Channel.ACK))
        if self._on_command is not None:
            topics.append(self._topic(Channel.CMD))
        self._client.start(self, self._will, topics)
        await self._over

    async def stop(self) -> None:
        """Say goodbye and end, within 4 s whatever the broker does. What was not delivered stays in the journal."""
        self._quiet()
        if self._client.connected:
            await self._say_goodbye()
        stopped = await self._client.stop()
        if not stopped:
            log.warning("the MQTT thread is stuck and was left behind")
        if not self._over.done():
            self._courier.flush()
            self._over.set_result(None)

    @property
    def connected(self) -> bool:
        """Is the broker there?"""
        return self._client.connected

    @property
    def alive(self) -> bool:
        """Is it at work? For the watchdog."""
        return self._client.alive and not self._over.done()

    def poke(self) -> None:
        """The journal has grown."""
        self._courier.poke()

    def changed(self) -> None:
        """What `snap` shows has changed. Offline there is nothing to do: every connection begins with a snap."""
        if self._client.connected and self._snap is None:
            self._snap = self._loop.call_later(self._rhythm.snap_s, self._say_snap)

    def answer(
        self, command: str, name: str, status: Literal["running", "done", "rejected"], d: dict[str, Any],
        correlation: bytes | None = None, done: Callable[[Outcome], None] | None = None,
    ) -> bool:
        """A word on a command that is no journal entry. False: nothing was sent, and whoever wants it asks again."""
        if self._client.room < 2 <= self._client.window:  # the last place is for `state` and `snap`
            return False
        body = Response(**self._now(), id=command, name=name, status=status, d=d)
        return self._publish(Channel.RSP, envelope.encode(body), done, correlation)

    def rewind(self, seq: int) -> None:
        """Send again what comes after `seq`, and then go on."""
        self._courier.rewind(seq)

    # What the client tells.

    def on_connected(self, session: Session) -> None:
        """Greet first, then show how things stand, then carry what waits."""
        self.problem = ""
        self._number = session.number
        self._session = self._session_name(session.number)
        self._say_state("online", self._greeting_answered)
        self._say_snap()
        self._beat = self._loop.call_later(self._beat_s(), self._say_beat)
        self._courier.connected()

    def on_disconnected(self, ending: Ending) -> None:
        """The client comes back by itself."""
        self._quiet()
        if ending.kind == "taken_over":
            self._clone()
        if ending.code == RETAIN_NOT_SUPPORTED:
            self._keep_will = False  # what we publish follows the broker's CONNACK, but the Will comes before it
        self._report(f"{self._client.broker}: {ending.text}" if ending.kind != "closed" else "")
        self._courier.disconnected(ending)

    def on_message(self, message: Inbound) -> None:
        """From the fleet, or our own `state` as the broker keeps it."""
        topic, payload = message.topic, message.payload
        try:
            channel = envelope.parse_topic(topic).channel
            if channel is Channel.CMD and self._on_command is not None:
                self._on_command(message)
            elif channel is Channel.ACK:
                self._courier.acknowledged(envelope.read(topic, payload, Ack))
            elif channel is Channel.STATE and payload:
                self._look_for_clone(envelope.read(topic, payload, State), kept=message.retained)
        except EnvelopeError as error:
            self._report(f"a message for us is not to be used: {error}")

    def on_unsubscribed(self, text: str) -> None:
        """Without `ack`, nothing is ever done in mode fleet."""
        self._report(text)

    # What we say.

    def _send(self, entry: Entry, prev: int, done: Callable[[Outcome], None]) -> bool:
        if self._client.room < 2 <= self._client.window:
            return False  # the last place in the window is for `state` and `snap`
        now = self._clock.read()
        body = payload_of(entry, prev, self._who(), self._identity.boot, now.boottime_ms)
        channel = channel_of(entry)
        return self._publish(channel, envelope.encode(body), done, None if channel is Channel.EV else correlation_of(entry))

    def _say_state(self, state: Literal["online", "offline"], done: Callable[[Outcome], None] | None = None) -> bool:
        body = State(**self._now(), state=state, session=self._session)
        return self._publish(Channel.STATE, envelope.encode(body), done)

    def _say_snap(self) -> None:
        self._snap = None
        try:
            sent = self._publish(Channel.SNAP, envelope.encode(Snap(**self._now(), d=self._snapshot())))
        except EnvelopeError as error:
            self._report(f"the snapshot cannot be sent: {error}")
        else:
            if not sent:
                self.changed()

    def _say_beat(self) -> None:
        self._publish(Channel.HB, envelope.encode(Beat(**self._now(), session=self._session)))
        self._beat = self._loop.call_later(self._beat_s(), self._say_beat)

    async def _say_goodbye(self) -> None:
        heard = asyncio.Event()
        if self._say_state("offline", lambda _outcome: heard.set()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), GOODBYE_S)

    def _will(self, number: int) -> Message:
        """What the broker says for us when we are gone. It cannot know when, so it carries no time."""
        session = self._session_name(number)
        lost = State(**self._who(), boot=self._identity.boot, ts=None, clk="none", mono=0, state="lost", session=session)
        return Message(self._topic(Channel.STATE), envelope.encode(lost), qos=1, retain=self._keep_will)

    def _publish(
        self, channel: Channel, payload: bytes, done: Callable[[Outcome], None] | None = None, correlation: bytes | None = None
    ) -> bool:
        rule = RULES[channel]
        message = Message(self._topic(channel), payload, rule.qos, rule.retained, rule.expiry_s, correlation)
        return self._client.publish(message, done or self._answered)

    def _answered(self, _outcome: Outcome) -> None:
        self._courier.poke()  # there is room again

    def _now(self) -> dict[str, Any]:
        now = self._clock.read()
        return {
            **self._who(),
            "boot": self._identity.boot,
            "ts": None if now.clk == "none" else now.wall_ms,
            "clk": now.clk,
            "mono": now.boottime_ms,
        }

    def _who(self) -> dict[str, Any]:
        return {"sn": self._identity.sn, "fleet": self._identity.fleet, "epoch": self._epoch}

    def _topic(self, channel: Channel) -> str:
        return envelope.topic(self._identity.fleet, self._identity.sn, channel)

    def _session_name(self, number: int) -> str:
        return f"{self._run_id}.{number}"

    def _beat_s(self) -> float:
        return self._rhythm.beat_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads a fleet, hides nothing

    # Is there another one of us?

    def _greeting_answered(self, outcome: Outcome) -> None:
        if self._greeted is None and outcome.kind in ("taken", "nobody"):
            self._greeted = self._number
        self._courier.poke()

    def _look_for_clone(self, state: State, *, kept: bool) -> None:
        """Few brokers tell that they gave our id to another, but one that keeps `state` betrays it: once it had our
        `online` and our line broke, it can only hold the word of another run if another run was there meanwhile."""
        foreign = kept and state.session.partition(".")[0] != self._run_id  # else it waited in our session, from before us
        if foreign and self._greeted is not None and self._greeted < self._number:
            self._clone()

    def _clone(self) -> None:
        if self._loop.time() >= self._clone_until_s:
            self._clone_until_s = self._loop.time() + self._rhythm.clone_s
            log.warning("another client uses the id %s", self._identity.sn)
            self._on_clone()

    # Ends.

    def _quiet(self) -> None:
        for timer in (self._beat, self._snap):
            if timer is not None:
                timer.cancel()
        self._beat = self._snap = None

    def _report(self, text: str) -> None:
        if text and text != self.problem:
            log.warning("telemetry: %s", text)
        self.problem = text

    def _fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
