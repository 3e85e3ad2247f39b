"""The agent's own line with a MAC service and a lease that come and go: what leaves, what is told, and nothing twice."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.core.change import SendReversal, WantLine
from agent.core.event import Event, HostReachable, HostReply, HostUnreachable, LineLost, SendFailed
from agent.core.profile import Messages
from agent.perform import host as module
from agent.perform.host import HostLine
from agent.perform.lease import LeasedLine, OwnLine
from agent.perform.mac import PayappService
from device.acquirer.hosts import Hosts
from device.acquirer.link import Link
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec
from device.lent import Lent
from tests.device.acquirer.golden import FIELDS
from tests.support.agent import MAC_KEY
from tests.support.lender import Lender
from tests.support.waiting import until

CODEC = Codec()
REASON_98 = SendReversal("a", {str(number): text for number, text in FIELDS.items() if number not in {2, 14, 55}}, "vault")
SECRETS = {str(number): FIELDS[number] for number in (2, 14, 55)}


class Peer:
    """A host that takes frames and answers when it is told to."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                self.frames.append(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, code: str = "00") -> None:
        """An 0410 with a right MAC, on the newest connection."""
        said = {number: FIELDS[number] for number in (3, 4, 11, 41, 42)} | {39: code}
        self.writers[-1].write(CODEC.pack("0410", said, SoftwareMac("unionpay-ecb", bytes.fromhex(MAC_KEY)).sign))

    def cut(self) -> None:
        """End every connection."""
        for writer in self.writers:
            writer.close()

    async def close(self) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()


class Scene:
    """A line between a host and a payment app that lends."""

    def __init__(self, lender: Lender, peer: Peer, *, leased: bool) -> None:
        self.lender, self.peer = lender, peer
        self.told: list[Event] = []
        self.now_ms = 0
        app = Lent(lender.url, timeout_s=10)
        self.lease = LeasedLine(app, lambda: self.now_ms) if leased else OwnLine()
        self.line = HostLine(
            Hosts(Link("127.0.0.1", peer.port)), self.lease, CODEC, Messages(), PayappService(app, "unionpay-ecb"),
            lambda _ref: SECRETS, self.told.append,
        )

    def kinds(self) -> list[type[Event]]:
        """What was told, in order."""
        return [type(event) for event in self.told]


def played(story: Callable[[Scene], Awaitable[None]], *, leased: bool = False) -> Scene:
    """Play it; the connection is wanted and stands when it begins."""

    async def play() -> Scene:
        lender, peer = Lender(), Peer()
        await peer.open()
        scene = Scene(lender, peer, leased=leased)
        running = asyncio.create_task(scene.line.run())
        try:
            scene.line.perform(WantLine("now"))
            await until(lambda: HostReachable in scene.kinds())
            await story(scene)
        finally:
            lender.released.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await peer.close()
            await asyncio.to_thread(lender.stop)
        return scene

    return asyncio.run(play())


def test_a_line_that_goes_while_the_mac_is_made_uses_up_no_send() -> None:
    async def story(scene: Scene) -> None:
        scene.lender.mac = "slow"
        scene.line.perform(REASON_98)
        await until(lambda: scene.lender.asked("mac"))
        scene.peer.cut()
        await until(lambda: SendFailed in scene.kinds())
        scene.lender.released.set()
        await until(lambda: scene.kinds().count(HostReachable) == 2)
        await asyncio.sleep(0.05)

    scene = played(story)
    assert scene.peer.frames == [], "what the core has taken back does not leave later"
    assert LineLost not in scene.kinds()
    assert [event for event in scene.told if isinstance(event, SendFailed)] == [SendFailed(transaction="a")]


def test_a_mac_that_comes_after_the_core_has_gone_on_is_thrown_away() -> None:
    async def story(scene: Scene) -> None:
        scene.lender.mac = "slow"
        scene.line.perform(REASON_98)
        await until(lambda: scene.lender.asked("mac"))
        scene.line.perform(SendReversal("a", REASON_98.fields | {"39": "06"}, "vault"))  # its reply deadline came first
        scene.lender.released.set()
        await until(lambda: scene.peer.frames)
        await asyncio.sleep(0.05)

    scene = played(story)
    assert [CODEC.read(frame).fields[39] for frame in scene.peer.frames] == ["06"]
    assert SendFailed not in scene.kinds(), "and a failure of the old one is not taken for the new one's"


def test_an_answer_is_told_with_what_its_mac_is_worth() -> None:
    for mac, worth in (("good", "good"), ("wrong", "bad"), ("gone", "unchecked")):

        async def story(scene: Scene, mac: str = mac) -> None:
            scene.line.perform(REASON_98)
            await until(lambda: scene.peer.frames)
            scene.lender.mac = mac  # type: ignore[assignment]
            scene.peer.answer()
            await until(lambda: HostReply in scene.kinds())

        with_short_pause = module.CHECK_PAUSE_S
        module.CHECK_PAUSE_S = 0.0
        try:
            scene = played(story)
        finally:
            module.CHECK_PAUSE_S = with_short_pause
        (reply,) = [event for event in scene.told if isinstance(event, HostReply)]
        assert (reply.mac, reply.code) == (worth, "00")
        assert len(scene.lender.asked("mac")) == (1 + module.CHECKS_MAX if worth == "unchecked" else 2)


def test_the_check_of_an_answer_goes_on_when_the_line_is_not_wanted_any_more() -> None:
    async def story(scene: Scene) -> None:
        scene.line.perform(REASON_98)
        await until(lambda: scene.peer.frames)
        scene.lender.mac = "slow"
        scene.peer.answer()
        await until(lambda: len(scene.lender.asked("mac")) == 2)
        scene.line.perform(WantLine("watch"))  # the reply deadline came meanwhile, and the opportunity is over
        scene.lender.released.set()
        await until(lambda: HostReply in scene.kinds())

    assert HostReply in played(story).kinds()


def test_a_lease_that_ran_out_in_suspend_lets_no_byte_leave() -> None:
    async def story(scene: Scene) -> None:
        scene.lender.line = "refused"
        scene.now_ms = 3_600_000  # the lid was closed for an hour
        scene.line.perform(REASON_98)
        await until(lambda: SendFailed in scene.kinds())
        await until(lambda: HostUnreachable in scene.kinds())
        assert scene.peer.frames == []
        scene.lender.line = "granted"
        await until(lambda: scene.kinds().count(HostReachable) == 2)
        scene.line.perform(REASON_98)
        await until(lambda: scene.peer.frames)

    assert len(played(story, leased=True).peer.frames) == 1


def test_a_connect_that_fails_gives_the_line_back() -> None:
    async def story(scene: Scene) -> None:
        await scene.peer.close()
        scene.line.prober.poke()
        await until(lambda: HostUnreachable in scene.kinds())
        await until(lambda: not scene.lender.held)

    assert "release" in played(story, leased=True).lender.actions()
