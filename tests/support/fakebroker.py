"""A small broker on a real socket that can do what mosquitto will not: choose reason codes, stay silent, talk nonsense."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple, Self

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 14
EXPIRY = b"\2"


class Published(NamedTuple):
    """A PUBLISH as it came. `connection` counts from 1; `expiry_s` is None when there was none."""

    connection: int
    topic: str
    qos: int
    retain: bool
    dup: bool
    packet_id: int
    payload: bytes
    expiry_s: int | None


# What to answer to a PUBLISH: a reason code for the PUBACK, None for silence, or bytes to send as they are.
Answer = Callable[[Published], int | bytes | None]


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """One packet; bodies here are shorter than 16 KiB."""
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([size % 128 | 128, size // 128])
    return bytes([kind << 4 | flags]) + length + body


def disconnect(code: int) -> bytes:
    """A DISCONNECT with a reason code."""
    return packet(DISCONNECT, bytes([code, 0]))


class FakeBroker:
    """Serves any number of connections, each in a thread. `properties` and `code` go into every CONNACK."""

    def __init__(self, answer: Answer = lambda _published: 0, properties: bytes = b"", code: int = 0, suback: int = 1) -> None:
        self.answer, self.properties, self.code, self.suback = answer, properties, code, suback
        self.published: list[Published] = []
        self.connections = 0
        self.changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_why: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._threads[0].join()
        self.drop()
        for thread in self._threads[1:]:
            thread.join()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def drop(self) -> None:
        """Cut every connection."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # it just went by itself
                connection.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        """Say this on every connection."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.sendall(data)

    def events(self) -> list[Published]:
        """What came on an `ev` topic."""
        return [published for published in self.published if published.topic.endswith("/ev")]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection, self.connections))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while head := stream.read(1):
                    if not self._handle(connection, number, head[0], stream.read(_length(stream.read))):
                        return
            except OSError:
                return
            finally:
                self._open.discard(connection)

    def _handle(self, connection: socket.socket, number: int, head: int, body: bytes) -> bool:
        kind = head >> 4
        if kind == CONNECT:
            connection.sendall(packet(CONNACK, bytes([0, self.code, len(self.properties)]) + self.properties))
            return self.code == 0
        if kind == SUBSCRIBE:
            connection.sendall(packet(SUBACK, body[:2] + bytes([0, self.suback])))
        elif kind == PUBLISH:
            self._take(connection, _publish(number, head, body))
        elif kind == PINGREQ:
            connection.sendall(b"\xd0\0")
        return kind != DISCONNECT

    def _take(self, connection: socket.socket, published: Published) -> None:
        answer = self.answer(published)
        with self.changed:
            self.published.append(published)
            self.changed.notify_all()
        if isinstance(answer, bytes):
            connection.sendall(answer)
        elif answer is not None and published.qos:
            connection.sendall(packet(PUBACK, struct.pack("!HB", published.packet_id, answer) + b"\0"))


def _length(read: Callable[[int], bytes]) -> int:
    size, shift = 0, 0
    while True:
        byte = read(1)[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return size


def _publish(number: int, head: int, body: bytes) -> Published:
    size = struct.unpack_from("!H", body)[0]
    topic, rest, qos, packet_id = body[2 : 2 + size].decode(), body[2 + size :], head >> 1 & 3, 0
    if qos:
        packet_id, rest = struct.unpack_from("!H", rest)[0], rest[2:]
    properties, payload = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    expiry_s = struct.unpack("!I", properties[1:5])[0] if properties[:1] == EXPIRY else None  # ours is the only one
    return Published(number, topic, qos, bool(head & 1), bool(head & 8), packet_id, payload, expiry_s)
