"""The relay between real sockets: a terminal that speaks raw ISO 8583, the agent's house, and the simulated acquirer.

The house's clock is moved by hand; only the holding of a request runs in real time.
"""

import asyncio
import contextlib
import functools
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from agent import settings
from agent.core.profile import Messages
from agent.hooks.relay import Relay
from agent.hooks.relayreader import RelayReader
from agent.perform.host import HostLine
from agent.perform.lease import OwnLine
from agent.perform.mac import SoftwareService
from device.acquirer.hosts import Hosts
from device.acquirer.link import Link
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message
from device.simulator.acquirer import AcquirerServer, Line
from device.simulator.acquirer_model import AcquirerModel
from tests.support.agent import MAC_KEY
from tests.support.house import OpenHouse, open_house, told_in
from tests.support.terminal import fields
from tests.support.waiting import PATIENCE_S

CODEC = Codec()
MAC = SoftwareMac("unionpay-ecb", bytes.fromhex(MAC_KEY))
HOLD_MS = 20_000  # longer than any test takes, unless the holding is what it is about


def request(mti: str, said: Mapping[int, str], *, mac: bool = True) -> bytes:
    """A whole frame as a terminal sends it."""
    return CODEC.pack(mti, said, MAC.sign if mac else None)


def sale(stan: str = "000201", amount_fen: int = 100, **more: Any) -> bytes:
    """An 0200 of a sale."""
    return request("0200", fields(stan, amount_fen, **more))


def own_0400(stan: str = "000201", amount_fen: int = 100, reason: str = "98", mti: str = "0400") -> bytes:
    """The payment app's own reversal of that sale."""
    said = {number: text for number, text in fields(stan, amount_fen).items() if number != 61}
    return request(mti, {**said, 39: reason})


def balance(stan: str = "000299") -> bytes:
    """A balance inquiry."""
    return request("0200", {**fields(stan, 0), 3: "310000", 60: "01000001000"})


class Terminal:
    """One raw connection to the relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *frames: bytes) -> None:
        """Bytes leave in one piece."""
        self.writer.write(b"".join(frames))

    async def raw(self) -> bytes:
        """The next frame as bytes, its length in front; empty when the relay hung up."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await self.reader.readexactly(2)
                return head + await self.reader.readexactly(int.from_bytes(head, "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def hears(self) -> Message | None:
        """The next message; None when the relay hung up."""
        frame = await self.raw()
        return CODEC.read(frame[2:]) if frame else None

    async def asks(self, frame: bytes) -> str | None:
        """Send, and the response code of what comes back; None when the relay hung up."""
        self.send(frame)
        heard = await self.hears()
        return heard.fields.get(39) if heard else None

    async def close(self) -> None:
        """Hang up politely."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def half_close(self) -> None:
        """End the sending side only."""
        with contextlib.suppress(OSError):  # it is over already
            self.writer.write_eof()

    def reset(self) -> None:
        """Vanish, as a terminal whose plug was pulled and whose router says so."""
        peer = self.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class RelayHouse:
    """House, relay and acquirer of one test."""

    def __init__(self, house: OpenHouse, host: AcquirerServer, lines: list[Line]) -> None:
        self.house = house
        self.host = host
        self.lines = lines
        self.relay: Relay
        self.own: HostLine
        self._terminals: list[Terminal] = []

    async def start(self, hold_ms: int = HOLD_MS, tls: dict[str, Path] | None = None, **link: Any) -> None:
        """Open the relay, and the agent's own line beside it."""
        house, vault = self.house, self.house.vault
        assert vault is not None
        self.host_port = self.host.port

        def make() -> Hosts:
            return Hosts(Link("127.0.0.1", self.host_port, **link))

        reader = RelayReader(CODEC, _prove, vault, lambda: house.inbox.policy)
        self.relay = Relay(reader, make, house.inbox, hold_ms)
        await self.relay.open(settings.Relay(listen="127.0.0.1:0", **(tls or {})))
        self.own = HostLine(
            make(), OwnLine(), CODEC, Messages(), SoftwareService(MAC),
            lambda ref: vault.open(ref, house.store.sealed(ref)), house.inbox.tell,
        )
        house.heard = self.relay.committed
        self._line = asyncio.create_task(self.own.run())
        house.perform = self._perform

    def _perform(self, effect: Any) -> None:
        self.house.effects.append(effect)
        if type(effect).__name__ in {"WantLine", "SendReversal", "SendEcho"}:
            self.own.perform(effect)

    async def stop(self) -> None:
        """Everybody leaves."""
        for terminal in self._terminals:
            await terminal.close()
        await self.relay.close()
        self._line.cancel()
        await asyncio.gather(self._line, return_exceptions=True)

    async def terminal(self, **tls: Any) -> Terminal:
        """A terminal calls."""
        made = Terminal(*await asyncio.open_connection("127.0.0.1", self.relay.port, **tls))
        self._terminals.append(made)
        return made

    def fault(self, mti: str, *texts: str) -> None:
        """What the host does to the next requests of that type, one text each."""
        self.host.model.faults.scenario({mti: texts})

    def at_host(self, mti: str) -> list[str]:
        """The STANs of the requests of one type that reached the host, in order."""
        return [line.stan for line in self.lines if (line.what, line.mti) == ("in", mti)]

    def net(self, stan: str) -> int:
        """What the customer paid by it."""
        return sum(entry.net_debit_fen for entry in self.host.model.ledger if entry.stan == stan)

    def key(self, stan: str = "000201") -> str:
        """The newest transaction of this STAN."""
        return str(self.house.query("SELECT id FROM transactions WHERE stan = ? ORDER BY number DESC", stan)[0][0])

    def state(self, stan: str = "000201") -> str | None:
        """Its committed state; None when there is none."""
        found = self.house.query("SELECT state FROM transactions WHERE stan = ? ORDER BY number DESC", stan)
        return str(found[0][0]) if found else None

    async def until(self, what: Callable[[], Any]) -> Any:
        """The first true value of `what()`."""
        async with asyncio.timeout(PATIENCE_S):
            while not (value := what()):  # noqa: ASYNC110  (it looks at the disk)
                await asyncio.sleep(0.002)
        return value

    async def becomes(self, state: str, stan: str = "000201") -> None:
        """Wait until the transaction is in this state."""
        try:
            await self.until(lambda: self.state(stan) == state)
        except TimeoutError:
            raise AssertionError(f"{stan} is {self.state(stan)}, not {state}") from None


async def _prove(message: Message) -> Literal["good", "bad", "missing", "unchecked"]:
    if message.mac is None or message.mac_input is None:
        return "missing"
    return "good" if MAC.verify(message.mac_input, message.mac) else "bad"


@contextlib.asynccontextmanager
async def open_relay(folder: Path, **how: Any) -> AsyncIterator[RelayHouse]:
    """A relay between sockets; at its end the journal must replay to the rows."""
    start = {name: how.pop(name) for name in ("hold_ms", "tls", "connect_timeout_ms") if name in how}
    lines: list[Line] = []
    async with (
        AcquirerServer(AcquirerModel(), mac=MAC, on_line=lines.append) as host,
        open_house(folder, mode="relay", **how) as house,
    ):
        relay = RelayHouse(house, host, lines)
        await relay.start(**start)
        try:
            yield relay
        finally:
            await relay.stop()


def relayed(**how: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Make a plain test of a story: `async def test(relay, …)`."""
    return told_in("relay", functools.partial(open_relay, **how))
