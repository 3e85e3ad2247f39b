"""A printer behind a socket: TCP port 9100, or a bridge on this machine. The connection is the line."""

import socket
import struct
from abc import abstractmethod

from device.descriptor import DescriptorPort, unavailable
from device.errors import PortUnavailable

CONNECT_S_MAX = 3.0
SEND_BUFFER_BYTES = 4096  # small, so that "accepted" is close to "left"
UNACKNOWLEDGED_MS_MAX = 10_000  # then the kernel gives a dead peer up


class SocketPort(DescriptorPort):
    """A stream socket. The kernel's queue counts what the peer has not taken, so `drain` proves arrival at the other end."""

    def __init__(self, name: str, bytes_per_s: float) -> None:
        super().__init__(name, bytes_per_s)
        self._socket: socket.socket | None = None

    @abstractmethod
    def _connect(self) -> socket.socket:
        """The connected socket. Raises PortUnavailable."""

    def _open(self) -> int:
        try:
            line = self._connect()
        except socket.gaierror:
            raise PortUnavailable(f"port {self.name}: no such host: correct the name, or check the network", "missing") from None
        except TimeoutError:
            raise PortUnavailable(f"port {self.name}: no answer: switch the printer on, check the network", "missing") from None
        except OSError as error:
            raise unavailable(self.name, error.errno, str(error.strerror)) from None
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        line.setblocking(False)
        self._socket = line
        return line.fileno()

    def _discard(self) -> None:
        """Queued bytes of a connection can only be thrown away with it: a reset instead of a polite end."""
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._close()
            self._fd = -1

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class TcpPort(SocketPort):
    """`tcp://host:port`."""

    def __init__(self, host: str, port: int, bytes_per_s: float) -> None:
        super().__init__(f"tcp://{host}:{port}", bytes_per_s)
        self._address = (host, port)

    def _connect(self) -> socket.socket:
        line = socket.create_connection(self._address, CONNECT_S_MAX)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS_MAX)
        return line


class UnixPort(SocketPort):
    """`unix:/path`: a bridge on this machine that no other machine can reach."""

    def __init__(self, path: str, bytes_per_s: float) -> None:
        super().__init__(f"unix:{path}", bytes_per_s)
        self._path = path

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(CONNECT_S_MAX)
        try:
            line.connect(self._path)
        except OSError:
            line.close()
            raise
        return line
