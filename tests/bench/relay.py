"""The relay: what an exchange costs a terminal that goes through it, and how many a second it carries."""

import asyncio
import contextlib
import itertools
import multiprocessing
import socket
import statistics
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from msgspec.structs import replace

from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec
from device.simulator.acquirer import AcquirerServer
from tests.bench.figures import ROUNDS, TURNS, Figure, interleave, ratio, raw_append, timed_us
from tests.support.agent import MAC_KEY, Agent
from tests.support.app import TERMINAL
from tests.support.terminal import fields

TERMINALS = 32
EXCHANGES = 20  # of each of them in a round
_CODEC = Codec()
_MAC = SoftwareMac("unionpay-ecb", bytes.fromhex(MAC_KEY))
_stans = itertools.count(1)


class Caller:
    """A terminal with one kept connection, whose requests are packed beforehand."""

    def __init__(self, port: int, terminal_id: str = TERMINAL) -> None:
        self._terminal_id = terminal_id
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def sale(self) -> bytes:
        """A sale that nobody has sent yet."""
        said: dict[int, Any] = {**fields(f"{next(_stans) % 1_000_000:06d}", 100), 41: self._terminal_id}
        return _CODEC.pack("0200", said, _MAC.sign)

    def send(self, frame: bytes) -> None:
        """Off it goes."""
        self._socket.sendall(frame)

    def answer(self) -> None:
        """Wait for the approval."""
        size = int.from_bytes(self._exactly(2), "big")
        assert _CODEC.peek(self._exactly(size)).f39 == "00"

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self._socket.recv(size - len(data))
        return data

    def exchange_us(self) -> float:
        """One approved sale, packed before the clock starts."""
        frame = self.sale()
        return timed_us(lambda: (self.send(frame), self.answer()))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _host(ready: Any) -> None:
    """The host in a process of its own: without logs and MACs of its own to check, so that the relay is what is measured."""

    async def serve() -> None:
        async with AcquirerServer(mac=_MAC) as server:
            ready.send(server.port)
            await asyncio.Event().wait()

    asyncio.run(serve())


@contextlib.contextmanager
def _relay(folder: Path) -> Iterator[tuple[Agent, int, int]]:
    """An agent on the line of a host: (agent, the relay's port, the host's port)."""
    ours, theirs = multiprocessing.Pipe()
    host = multiprocessing.Process(target=_host, args=(theirs,), daemon=True)
    host.start()
    host_port = ours.recv()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(exist_ok=True)
    long = {"mode": "relay", "reply_timeout_ms": 30_000, "answer_timeout_ms": 65_000}
    agent = Agent(folder, host_port, recovery=long, relay={"listen": f"127.0.0.1:{port}"}).start()
    try:
        yield agent, port, host_port
    finally:
        agent.stop()
        host.terminate()
        host.join(10)


def relay_p50_vs_raw(folder: Path) -> Figure:
    """What the relay adds to an exchange of one terminal: through it, less straight to the host, against a raw fdatasync."""
    with _relay(folder / "relay") as (_, port, host_port):
        through, straight = Caller(port), Caller(host_port)
        host_us, through_us = [], []

        def ours() -> float:
            host_us.append(straight.exchange_us())
            through_us.append(through.exchange_us())
            return through_us[-1] - host_us[-1]

        raw = raw_append(folder / "relayraw")
        try:
            found = ratio(
                "relay_p50_vs_raw", "us", "what the relay adds to one exchange at p50, both directions on disk",
                "append 400 bytes + fdatasync", interleave(ours, raw),
            )
        finally:
            through.close()
            straight.close()
    beside = {"through_us": through_us, "host_alone_us": host_us, "peer_in_a_row_us": [raw() for _ in range(ROUNDS * TURNS)]}
    return replace(found, raw=found.raw | {name: round(statistics.median(taken), 2) for name, taken in beside.items()})


def relay_exchanges_s(folder: Path) -> Figure:
    """Approved sales a second of many terminals at once, each waiting for its answer before the next."""
    with _relay(folder / "relays") as (_, port, _host_port):
        callers = [Caller(port, f"T{number:07d}") for number in range(TERMINALS)]

        def round_() -> float:
            frames = [[caller.sale() for caller in callers] for _ in range(EXCHANGES)]
            began = perf_counter_ns()
            for sales in frames:
                for caller, frame in zip(callers, sales, strict=True):
                    caller.send(frame)
                for caller in callers:
                    caller.answer()
            return TERMINALS * EXCHANGES / (perf_counter_ns() - began) * 1e9

        try:
            round_()
            rates = [round_() for _ in range(30)]
        finally:
            for caller in callers:
                caller.close()
    low, middle, high = statistics.quantiles(rates, n=4)
    says = f"approved sales a second of {TERMINALS} terminals, both directions on disk"
    return Figure("relay_exchanges_s", round(middle), "per second", says, "", (round(low), round(high)), len(rates))
