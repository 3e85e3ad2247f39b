"""The payment app's kernel: the messages it sends by itself, on the one connection that it holds."""

import socket
from collections.abc import Callable

from tests.scenarios.script import Passing
from tests.support import relay

HEARS_WITHIN_S = 20.0

FRAMES: dict[str, Callable[[Passing], bytes]] = {
    "sale": lambda passing: relay.sale(passing.stan, passing.amount_fen),
    "own_reversal": lambda passing: relay.own_0400(passing.stan, passing.amount_fen),
    "balance": lambda passing: relay.balance(passing.stan),
}


class Wire:
    """The kernel's connection to the relay, or to the host itself."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), HEARS_WITHIN_S)
        self._stream = self._socket.makefile("rb")

    def send(self, frame: bytes) -> None:
        """One frame leaves."""
        self._socket.sendall(frame)

    def hears(self) -> str:
        """The response code of the next message; "nothing" when the relay hangs up."""
        length = int.from_bytes(self._stream.read(2), "big")
        return relay.CODEC.read(self._stream.read(length)).fields[39] if length else "nothing"

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()
