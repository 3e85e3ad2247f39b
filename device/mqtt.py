"""The MQTT 5 connection that comes back by itself: a supervised thread, a window, and results on the event loop.

Each attempt has a paho client of its own, so nothing that paho queued for an old connection can surface in a new one:
what was not acknowledged is reported as lost, and whoever sent it decides.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec
from paho.mqtt.client import Client

from device.broker import Broker
from device.mqttline import INBOX, Ending, Inbound, Line, Message, Session, new_client, publish

__all__ = [
    "RETAIN_NOT_SUPPORTED", "Backoff", "Ending", "Inbound", "Listener", "Message", "MqttClient", "Outcome", "Session",
]

WINDOW: Final = 20  # messages of ours that wait for the broker's answer at one time
KEEPALIVE_S: Final = 60
RESTART_S: Final = 1.0  # before a thread that died is started again

NO_MATCHING_SUBSCRIBERS: Final = 0x10
PACKET_TOO_LARGE: Final = 0x95
RETAIN_NOT_SUPPORTED: Final = 0x9A
FAILURE: Final = 0x80  # reason codes from here on are refusals

log = logging.getLogger(__name__)


class Outcome(msgspec.Struct, frozen=True):
    """What became of a QoS 1 message. Only `taken` is delivery to the broker; `code` is its MQTT 5 reason code.

    nobody: the broker threw it away, since nobody subscribes (0x10). refused: the broker will not have it (≥ 0x80), or
    it is larger than the broker allows. lost: the connection ended before an answer.
    """

    kind: Literal["taken", "nobody", "refused", "lost"]
    code: int
    text: str


class Listener(Protocol):
    """Whoever wants to know; called on the event loop only."""

    def on_connected(self, session: Session) -> None:
        """A connection stands; messages can be published from here on."""

    def on_disconnected(self, ending: Ending) -> None:
        """An attempt is over, whether it ever stood or not. Every message that waited was reported lost before."""

    def on_message(self, message: Inbound) -> None:
        """The broker sent a message."""

    def on_unsubscribed(self, text: str) -> None:
        """The broker refused a subscription."""


class Backoff:
    """How long to wait before the next attempt: full jitter under a ceiling that doubles, reset once it stood.

    Full jitter, since 100,000 terminals that lost one broker together would otherwise all be back within one second.
    """

    def __init__(
        self, min_s: float = 5.0, max_s: float = 300.0, stable_s: float = 60.0, draw: Callable[[], float] = random.random
    ) -> None:
        self._min_s, self._max_s, self._stable_s, self._draw = min_s, max_s, stable_s, draw
        self._ceiling_s = min_s

    def delay_s(self, stood_s: float = 0.0) -> float:
        """Seconds to wait after a connection that stood for `stood_s`."""
        if stood_s >= self._stable_s:
            self._ceiling_s = self._min_s
        delay_s = self._draw() * self._ceiling_s
        self._ceiling_s = min(self._ceiling_s * 2, self._max_s)
        return delay_s

    def reset(self) -> None:
        """Things went well: the next wait is short again."""
        self._ceiling_s = self._min_s


class MqttClient:
    """The connection. Make it anywhere, start it on a running event loop; its methods belong to that loop."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        window: int = WINDOW,
        keepalive_s: int = KEEPALIVE_S,
        backoff: Backoff | None = None,
        kept_s: int = 0,
    ) -> None:
        """`kept_s`: how long the broker collects for us while we are away. Raises BrokerAddressError when the certificates
        cannot be used.
        """
        self.broker = broker
        self.thread_restarts = 0
        self._tls = broker.tls_context()
        self._client_id, self._window, self._keepalive_s, self._kept_s = client_id, window, keepalive_s, kept_s
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._line: Line | None = None  # the attempt that the thread is busy with, connected or not
        self._live: Client | None = None
        self._session: Session | None = None
        self._waiting: dict[int, Callable[[Outcome], None]] = {}  # by packet id, at most a window of them
        self._inbox: deque[tuple[Inbound, Callable[[], object] | None]] = deque()  # at most INBOX of each QoS
        self._attempts = 0

    def start(self, listener: Listener, will: Callable[[int], Message] | None, topics: Sequence[str]) -> None:
        """Begin. `will` makes the Will of attempt n, in the thread: it must be pure. `topics` are asked for at QoS 1."""
        self._listener, self._will, self._topics = listener, will, topics
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._start_thread()

    @property
    def connected(self) -> bool:
        """Does a connection stand? As the loop knows it; paho's own flag survives the death of its thread."""
        return self._session is not None

    @property
    def alive(self) -> bool:
        """Is the thread at work? For the watchdog."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def room(self) -> int:
        """How many QoS 1 messages may be published now."""
        return 0 if self._session is None else self._session.window - len(self._waiting)

    @property
    def window(self) -> int:
        """How many QoS 1 messages may wait for the broker's answer at one time."""
        return self._window if self._session is None else self._session.window

    def publish(self, message: Message, done: Callable[[Outcome], None] | None = None) -> bool:
        """Send, if connected and there is room. False: nothing was or will be sent, since paho would keep an offline
        message for a later connection, out of order and without a limit.

        `done` is called once on the loop, never from within this call, with what became of a QoS 1 message.
        """
        live, session = self._live, self._session
        if live is None or session is None or (message.qos and self.room <= 0):
            return False
        if session.max_packet_bytes is not None and message.packet_bytes > session.max_packet_bytes:
            text = f"larger than the {session.max_packet_bytes} bytes that the broker allows"
            self._loop.call_soon(done or _forget, Outcome("refused", PACKET_TOO_LARGE, text))
            return True
        packet_id = publish(live, message, session)
        if message.qos:  # on a line that broke a moment ago, its ending will report it as lost
            self._waiting[packet_id] = done or _forget
        return True

    async def stop(self, timeout_s: float = 2.0) -> bool:
        """Disconnect, so that the broker sends no Will, and end the thread. False: it is stuck and left to die."""
        self._stopping.set()
        if self._line is not None:
            self._line.stop()
        if self._thread is None:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), timeout_s)
            self._thread.join(1.0)  # it has said its last word
        return self._ended.is_set()

    def _start_thread(self) -> None:
        if self._stopping.is_set():
            self._ended.set()
            return
        self._thread = threading.Thread(target=self._work, name="mqtt", daemon=True)
        self._thread.start()

    # In the thread.

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._attempts += 1
                self._line = line = Line(self, self._attempts, self._window, self._topics, self._kept_s)
                if self._stopping.is_set():
                    break  # stop() may have looked before there was a line to stop
                client = new_client(self._client_id, self._window, self._tls)
                ending = line.run(self.broker, client, self._will and self._will(line.number), self._keepalive_s)
                self._line = None
                del client  # closes its sockets, here and now
                self._hand(self._on_down, ending)
                stood_s = time.monotonic() - line.up_s if line.up_s else 0.0
                self._stopping.wait(self._backoff.delay_s(stood_s))
        finally:
            self._hand(self._on_thread_ended)

    def up(self, client: Client, session: Session) -> None:
        """From the line."""
        self._hand(self._on_up, client, session)

    def answered(self, packet_id: int, code: int, text: str) -> None:
        """From the line."""
        self._hand(self._on_answer, packet_id, code, text)

    def arrived(self, message: Inbound, taken: Callable[[], object] | None) -> None:
        """From the line. What the broker would not send again (QoS 0) is let go when too much of anything waits."""
        if taken is not None or len(self._inbox) < INBOX:
            self._inbox.append((message, taken))
            self._hand(self._on_inbox)

    def unsubscribed(self, text: str) -> None:
        """From the line."""
        self._hand(self._listener.on_unsubscribed, text)

    def _hand(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(call, *arguments)

    # On the loop.

    def _on_up(self, client: Client, session: Session) -> None:
        self._live, self._session = client, session
        self._listener.on_connected(session)

    def _on_answer(self, packet_id: int, code: int, text: str) -> None:
        done = self._waiting.pop(packet_id, None)
        if done is not None:
            kind: Literal["taken", "nobody", "refused"] = "refused" if code >= FAILURE else "taken"
            done(Outcome("nobody" if code == NO_MATCHING_SUBSCRIBERS else kind, code, f"{text} (0x{code:02X})"))

    def _on_down(self, ending: Ending) -> None:
        waiting, self._waiting = self._waiting, {}
        self._live = self._session = None
        for done in waiting.values():
            done(Outcome("lost", 0, ending.text))
        self._listener.on_disconnected(ending)

    def _on_inbox(self) -> None:
        while self._inbox:
            message, taken = self._inbox.popleft()
            self._listener.on_message(message)
            if taken is not None:
                taken()

    def _on_thread_ended(self) -> None:
        if self._session is not None:
            self._on_down(Ending("broken", None, "the network thread died"))
        if self._stopping.is_set():
            self._ended.set()
        else:
            self.thread_restarts += 1
            log.error("the MQTT thread died; starting it again in %s s", RESTART_S)
            self._loop.call_later(RESTART_S, self._start_thread)


def _forget(_outcome: Outcome) -> None:
    """For a message whose fate nobody asked about."""
