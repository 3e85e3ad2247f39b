"""The fleet's line to the broker: messages come out of a queue, and are acknowledged to the broker only when told so.

With `keep_s` the broker keeps a session: what arrives while nobody listens waits there, and what was handed out but
not acknowledged comes again. The thread only moves messages; all thinking happens where the queue is read.
"""

import random
import signal
import ssl
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.envelope import MAX_PAYLOAD_BYTES
from fleet.address import Address
from fleet.errors import UnavailableError

WAITING: Final = 500  # messages handed out and not acknowledged; the broker holds the rest back
WINDOW: Final = 20  # messages of ours that wait for the broker's answer
KEEPALIVE_S: Final = 30
CONNECT_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 1.0  # the first wait between attempts; it doubles up to `retry_s`
STABLE_S: Final = 10.0  # a connection that stood so long is not one of a fight over our client id

# Refusals that another attempt does not change: 0x84 protocol version, 0x85 client id, 0x86 password, 0x87 not
# authorized, 0x8A banned, 0x8C authentication method.
_FINAL: Final = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})


class Arrived(NamedTuple):
    """A message from the broker. Give it back to `Link.done` once it is safe."""

    topic: str
    payload: bytes
    retained: bool
    client: Client
    packet_id: int
    qos: int


class _Ours(NamedTuple):
    """A message of ours that waits to be sent."""

    payload: bytes
    expiry_s: int
    reply_to: str | None
    correlation: bytes | None


class Link:
    """`say` gets one progress line at a time. `give_up_s` None: try for ever. `retry_s`: the longest wait between two."""

    def __init__(
        self,
        address: Address,
        client_id: str,
        topics: Sequence[str],
        say: Callable[[str], None],
        *,
        keep_s: int = 0,
        give_up_s: float | None = None,
        retry_s: float = 30.0,
    ) -> None:
        self.address = address
        self._client_id, self._topics, self._say, self._keep_s = client_id, topics, say, keep_s
        self._give_up_s, self._retry_s = give_up_s, retry_s
        self._queue: SimpleQueue[Arrived | UnavailableError | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._live: Client | None = None
        self._ours: OrderedDict[str, _Ours] = OrderedDict()  # by topic: only the latest is of use
        self._on_the_way, self._window, self._stands_since = 0, WINDOW, 0.0
        self.answers: deque[int] = deque(maxlen=WINDOW)  # the broker's last reason codes for messages of ours
        self._ended: UnavailableError | None = None
        self._end_text = ""
        self._thread = threading.Thread(target=self._work, name="broker", daemon=True)

    def start(self) -> None:
        """Connect in the background."""
        self._thread.start()

    def get(self, timeout_s: float | None) -> Arrived | None:
        """The next message, or None after `timeout_s` or `wake`. Raises UnavailableError when there is no hope."""
        try:
            found = self._queue.get(timeout=timeout_s) if timeout_s is None or timeout_s > 0 else self._queue.get_nowait()
        except Empty:
            return None
        if isinstance(found, UnavailableError):
            raise found
        return found

    def wake(self) -> None:
        """Make a waiting `get` return None. Safe in a signal handler."""
        self._queue.put(None)

    def done(self, arrived: Arrived) -> None:
        """It is on disk: the broker may forget it. On a connection that is gone this does nothing, and it comes again."""
        if arrived.qos:
            arrived.client.ack(arrived.packet_id, arrived.qos)

    @property
    def connected(self) -> bool:
        """Does a connection stand, and does the broker give us what we asked for?"""
        return self._live is not None

    def publish(
        self, topic: str, payload: bytes, expiry_s: int, *, reply_to: str | None = None, correlation: bytes | None = None
    ) -> None:
        """Send at QoS 1 when there is a connection; a newer message on the same topic replaces one that still waits."""
        with self._lock:
            if self._live is not None:
                self._ours[topic] = _Ours(payload, expiry_s, reply_to, correlation)
        self._send()

    def close(self, timeout_s: float = 2.0) -> None:
        """Disconnect. With `keep_s` the broker goes on collecting for us."""
        self._stopping.set()
        client = self._client
        if client is not None:
            client.disconnect()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    # In the thread.

    def _work(self) -> None:
        # The kernel may give a signal to any thread. Taken here, it would not wake the main thread, which runs the handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            self._keep_connected()
        except BaseException as error:
            self._queue.put(UnavailableError(f"the line to {self.address} failed: {type(error).__name__}"))
            raise

    def _keep_connected(self) -> None:
        first_s = min(RETRY_S, self._retry_s)
        ceiling_s, began_s = first_s, time.monotonic()
        while not self._stopping.is_set():
            stood_s = self._connect_once()
            if self._ended is not None:
                self._queue.put(self._ended)
                return
            if stood_s >= STABLE_S:
                ceiling_s = first_s
            if stood_s:
                began_s = time.monotonic()
            elif self._give_up_s is not None and time.monotonic() - began_s >= self._give_up_s:
                self._queue.put(UnavailableError(f"{self.address} cannot be reached: {self._end_text}"))
                return
            delay_s = random.uniform(0.5, 1.0) * ceiling_s  # noqa: S311  (jitter, no secret)
            ceiling_s = min(ceiling_s * 2, self._retry_s)
            if not self._stopping.is_set():
                self._say(f"{self.address}: {self._end_text}; trying again in {delay_s:.1f} s")
            self._stopping.wait(delay_s)

    def _connect_once(self) -> float:
        """One connection from beginning to end; the seconds that it stood."""
        client = self._new_client()
        self._client, self._end_text, self._stands_since = client, "", 0.0
        try:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = self._keep_s
            properties.ReceiveMaximum = WAITING
            properties.MaximumPacketSize = 2 * MAX_PAYLOAD_BYTES
            host, port, _ = self.address
            client.connect(host, port, KEEPALIVE_S, clean_start=not self._keep_s, properties=properties)
            if self._stopping.is_set():
                client.disconnect()
            client.loop(0)  # makes the pair of sockets by which other threads wake this one
            client.loop_forever(10)
        except OSError as error:
            self._note(_why(error))
            if isinstance(error, ssl.SSLCertVerificationError):
                self._ended = UnavailableError(f"{self.address}: {self._end_text}; check --ca and the broker's name")
        except Exception as error:  # noqa: BLE001  (a defect must not end the line; it is told)
            self._note(f"the broker sent something unreadable ({type(error).__name__})")
        with self._lock:
            self._client = self._live = None
            self._ours.clear()
            self._on_the_way = 0
        return time.monotonic() - self._stands_since if self._stands_since else 0.0

    def _new_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self.address.tls is not None:
            client.tls_set_context(self.address.tls)
        client.on_socket_register_write = _nothing  # else publish() would write from another thread than this one
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _note(self, text: str) -> None:
        self._end_text = self._end_text or text

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._note(f"refused: {reason} (0x{reason.value:02X})")
            if reason.value in _FINAL:
                self._ended = UnavailableError(f"{self.address} refuses us: {reason} (0x{reason.value:02X})")
            return
        self._window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        else:
            self._stands(client)

    def _on_subscribe(
        self, client: Client, _data: Any, _packet_id: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip(self._topics, reasons, strict=False):
            if reason.is_failure:
                self._ended = UnavailableError(f"{self.address} refuses to give us {topic}: {reason} (0x{reason.value:02X})")
                client.disconnect()
                return
        self._stands(client)

    def _stands(self, client: Client) -> None:
        with self._lock:
            self._live = client
            self._stands_since = time.monotonic()
        self._say(f"{self.address}: connected")

    def _on_disconnect(
        self, _client: Client, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        named = f"{reason} (0x{reason.value:02X})" if flags.is_disconnect_packet_from_server else "connection lost"
        self._note(named)

    def _on_message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.qos == 0 and self._queue.qsize() > WAITING:
            return  # a heart beat that nobody has time for
        try:
            topic = message.topic
        except UnicodeDecodeError:
            client.ack(message.mid, message.qos)  # nothing of ours, and it must not come again for ever
            return
        self._queue.put(Arrived(topic, bytes(message.payload), message.retain, client, message.mid, message.qos))

    def _on_publish(
        self, _client: Client, _data: Any, _packet_id: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._lock:
            self._on_the_way = max(0, self._on_the_way - 1)
            self.answers.append(reason.value)
        self._send()

    def _send(self) -> None:
        while True:
            with self._lock:
                client = self._live
                if client is None or not self._ours or self._on_the_way >= self._window:
                    return
                topic, ours = self._ours.popitem(last=False)
                self._on_the_way += 1
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = ours.expiry_s
            if ours.reply_to is not None:
                properties.ResponseTopic = ours.reply_to
            if ours.correlation is not None:
                properties.CorrelationData = ours.correlation
            if client.publish(topic, ours.payload, 1, properties=properties).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return  # the line broke: the terminal will ask by sending again


def _nothing(*_arguments: Any) -> None:
    """paho asks for a callback and has nothing to say."""


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {str(error.reason or error).lower().replace('_', ' ')}"
    return error.strerror or str(error) or type(error).__name__
