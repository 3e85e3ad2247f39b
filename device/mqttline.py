"""One MQTT 5 connection from its first packet to its end, as it lives in the network thread; paho is only used here.

paho's callbacks hand over and do nothing else: an exception in one of them would end paho's loop while its
`is_connected()` goes on saying yes.
"""

import functools
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.broker import Broker

INBOX: Final = 100  # messages of the broker's that it may have on the way to us, or that wait for us
MAX_INBOUND_BYTES: Final = 64 * 1024
CONNECT_TIMEOUT_S: Final = 2.0
CONNACK_TIMEOUT_S: Final = 10.0
POLL_S: Final = 15.0  # how often an idle thread looks whether a keep-alive is due
_HEADER_BYTES: Final = 32  # generous: fixed header, packet id, our properties

PROTOCOL_ERROR: Final = 0x82
SESSION_TAKEN_OVER: Final = 0x8E

EndingKind = Literal["unreachable", "refused", "taken_over", "dropped", "lost", "broken", "closed"]


class Message(msgspec.Struct, frozen=True):
    """What to publish. `retain` is dropped where the broker keeps nothing; `expiry_s` None: no expiry. `correlation` names
    the request that it answers.
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None
    correlation: bytes | None = None

    @property
    def packet_bytes(self) -> int:
        """An upper bound of what it takes on the wire."""
        return len(self.topic) + len(self.payload) + len(self.correlation or b"") + _HEADER_BYTES


class Inbound(msgspec.Struct, frozen=True):
    """What the broker sent. `retained`: it was kept from before, for whoever subscribes; nobody sent it just now."""

    topic: str
    payload: bytes
    retained: bool = False
    reply_to: str | None = None
    correlation: bytes | None = None


class Session(msgspec.Struct, frozen=True):
    """A connection that stands. `number` counts attempts from 1; `window` is the smaller of ours and the broker's."""

    number: int
    window: int
    retain: bool
    max_packet_bytes: int | None


class Ending(msgspec.Struct, frozen=True):
    """Why there is no connection. `code` is the broker's reason code, or None when it gave none.

    unreachable: never connected. refused: the broker said no to us. taken_over: another client uses our id.
    dropped: the broker sent a DISCONNECT. lost: the line broke. broken: the broker spoke nonsense. closed: by us.
    """

    kind: EndingKind
    code: int | None
    text: str


class Owner(Protocol):
    """What a line tells, from the network thread, in order. Must return at once and raise nothing.

    `taken` acknowledges a message, from any thread: until then the broker keeps it, and sends at most INBOX more. None: it
    was sent once and for all (QoS 0).
    """

    def up(self, client: Client, session: Session) -> None: ...
    def answered(self, packet_id: int, code: int, text: str) -> None: ...
    def arrived(self, message: Inbound, taken: Callable[[], object] | None) -> None: ...
    def unsubscribed(self, text: str) -> None: ...


class Line:
    """One attempt, connected or not. `run` blocks until it is over."""

    def __init__(self, owner: Owner, number: int, window: int, topics: Sequence[str], kept_s: int) -> None:
        self.number, self._kept_s = number, kept_s
        self.up_s: float | None = None  # time.monotonic() when the broker let us in
        self.ending: Ending | None = None
        self._owner, self._window, self._topics = owner, window, topics
        self._client: Client | None = None
        self._stopping = threading.Event()

    def run(self, broker: Broker, client: Client, will: Message | None, keepalive_s: int) -> Ending:
        """Connect and serve until the connection ends. Never raises."""
        self._client = client
        try:
            self._serve(broker, client, will, keepalive_s)
        except OSError as error:
            self._end("lost" if self.up_s else "unreachable", None, _why(error))
        except Exception as error:  # noqa: BLE001 - a packet that paho cannot read must not cost us the thread
            self._end("broken", None, f"the broker sent something unreadable ({type(error).__name__})")
        finally:
            self._client = None  # and with it the sockets: client and callbacks would keep each other alive
        return self._end("lost" if self.up_s else "unreachable", None, "the broker closed the connection")

    def stop(self) -> None:
        """Disconnect, from any thread. Without a Will, since it is wanted."""
        self._stopping.set()
        client = self._client
        if client is not None:
            client.disconnect()

    def _serve(self, broker: Broker, client: Client, will: Message | None, keepalive_s: int) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_INBOUND_BYTES
        properties.ReceiveMaximum = INBOX
        if self._kept_s:
            properties.SessionExpiryInterval = self._kept_s
        if self._stopping.is_set():
            return
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.connect(broker.host, broker.port, keepalive_s, clean_start=not self._kept_s, properties=properties)
        if self._stopping.is_set():
            client.disconnect()  # stop() came while there was no socket yet to say it on
        self._wait_for_connack(client)
        client.loop_forever(POLL_S)

    def _wait_for_connack(self, client: Client) -> None:
        """Also the one public way to get the pair of sockets by which publish() wakes paho's loop_forever()."""
        deadline_s = time.monotonic() + CONNACK_TIMEOUT_S
        while self.up_s is None and not client.loop(max(0.0, deadline_s - time.monotonic())):
            if time.monotonic() >= deadline_s:
                raise TimeoutError("the broker took the connection and said nothing")

    def _end(self, kind: EndingKind, code: int | None, text: str) -> Ending:
        """Note why it ended. The first reason is the true one; later ones are its consequences."""
        if self.ending is None:
            self.ending = Ending("closed", None, "closed by us") if self._stopping.is_set() else Ending(kind, code, text)
        return self.ending

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end("refused", reason.value, f"{reason} (0x{reason.value:02X})")
        elif self._stopping.is_set():
            client.disconnect()
        else:
            self.up_s = time.monotonic()
            if self._topics:
                client.subscribe([(topic, 1) for topic in self._topics])
            self._owner.up(client, _session(self.number, self._window, properties))

    def _on_disconnect(
        self, _client: Client, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if not flags.is_disconnect_packet_from_server and reason.value == PROTOCOL_ERROR:
            # Seen with mosquitto 2.0: PUBACK 0x95 for a large message, which is no code of a PUBACK.
            self._end("broken", None, "the broker sent something that MQTT 5 does not allow")
        elif not flags.is_disconnect_packet_from_server:
            self._end("lost" if self.up_s else "unreachable", None, "the line broke")
        else:
            kind: EndingKind = "taken_over" if reason.value == SESSION_TAKEN_OVER else "dropped"
            self._end(kind, reason.value, f"{reason} (0x{reason.value:02X})")

    def _on_publish(
        self, _client: Client, _data: Any, packet_id: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        # Fires for refusals too, and for QoS 0 when the bytes have left: the owner knows which ids it waits for.
        self._owner.answered(packet_id, reason.value, str(reason))

    def _on_subscribe(
        self, _client: Client, _data: Any, _packet_id: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip(self._topics, reasons, strict=False):
            if reason.is_failure:
                self._owner.unsubscribed(f"the broker refused {topic}: {reason} (0x{reason.value:02X})")

    def _on_message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        taken = functools.partial(client.ack, message.mid, message.qos) if message.qos else None
        if len(message.payload) <= MAX_INBOUND_BYTES:
            reply_to = getattr(message.properties, "ResponseTopic", None)
            correlation = getattr(message.properties, "CorrelationData", None)
            self._owner.arrived(Inbound(message.topic, bytes(message.payload), message.retain, reply_to, correlation), taken)
        elif taken is not None:
            taken()


def new_client(client_id: str, window: int, tls: ssl.SSLContext | None) -> Client:
    """A paho client that does not reconnect, write from our thread, or hold more than `window` messages."""
    client = Client(
        CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False, manual_ack=True
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.max_inflight_messages_set(window)
    if tls is not None:
        client.tls_set_context(tls)
    # With this callback set, paho leaves all writing to its own thread. Without it, publish() would write from ours
    # at the same time, and two halves of packets could mix.
    client.on_socket_register_write = _nothing
    return client


def publish(client: Client, message: Message, session: Session) -> int:
    """Give a message to paho; returns its packet id. Thread-safe."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    retain = message.retain and session.retain
    return client.publish(message.topic, message.payload, message.qos, retain=retain, properties=properties).mid


def _session(number: int, window: int, properties: Properties | None) -> Session:
    """What the broker's CONNACK allows."""

    def limit(name: str, otherwise: int) -> int:
        return int(getattr(properties, name, otherwise))

    return Session(
        number,
        window=min(window, limit("ReceiveMaximum", 65_535)),
        retain=bool(limit("RetainAvailable", 1)),
        max_packet_bytes=limit("MaximumPacketSize", 0) or None,
    )


def _nothing(*_arguments: Any) -> None:
    """paho asks for a callback and has nothing to say."""


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {str(error.reason or error).lower().replace('_', ' ')}"
    return error.strerror or str(error) or type(error).__name__
