"""The host and its backup: the primary first, never two connections, and back to the primary after a while."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from device.acquirer.hosts import RETURN_MS, Hosts, Name
from device.acquirer.link import Link
from device.errors import LinkDown
from tests.support.waiting import until


class Two:
    """Two listeners, of which each may be shut; `open` counts the connections that stand at each."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.failed_ms: dict[Name, int] = {}
        self.servers: dict[str, asyncio.Server] = {}
        self.ports: dict[str, int] = {}
        self.open = {"primary": 0, "backup": 0}
        self.writers: dict[str, asyncio.StreamWriter] = {}

    async def listen(self, name: str) -> None:
        """Take connections under this name."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.open[name] += 1
            self.writers[name] = writer
            await reader.read()
            self.open[name] -= 1
            writer.close()

        self.servers[name] = await asyncio.start_server(serve, "127.0.0.1", self.ports.get(name, 0))
        self.ports[name] = self.servers[name].sockets[0].getsockname()[1]

    def shut(self, name: str) -> None:
        """Refuse connections."""
        self.servers[name].close()

    def hosts(self, *, backup: bool = True) -> Hosts:
        """Both, or the primary alone."""
        primary, other = (Link("127.0.0.1", self.ports[name], connect_timeout_ms=2_000) for name in ("primary", "backup"))
        return Hosts(primary, other if backup else None, lambda: self.now_ms, self.failed_ms)


def played(story: Callable[[Two], Awaitable[None]]) -> None:
    """Play it between two hosts that both listen."""

    async def play() -> None:
        two = Two()
        for name in ("primary", "backup"):
            await two.listen(name)
        await story(two)
        for server in two.servers.values():
            server.close()

    asyncio.run(play())


async def settled(two: Two, **wanted: int) -> None:
    """Wait until so many connections stand."""
    await until(lambda: two.open == wanted)


def test_the_primary_goes_first_and_an_open_connection_is_kept() -> None:
    async def story(two: Two) -> None:
        hosts = two.hosts()
        await hosts.connect()
        await hosts.connect()
        assert hosts.name == "primary"
        await settled(two, primary=1, backup=0)
        await hosts.close()

    played(story)


def test_when_the_primary_is_gone_the_backup_stands_in_and_after_a_while_the_primary_is_first_again() -> None:
    async def story(two: Two) -> None:
        hosts = two.hosts()
        two.shut("primary")
        await hosts.connect()
        assert hosts.name == "backup"
        await settled(two, primary=0, backup=1)
        await hosts.close()
        await two.listen("primary")
        two.now_ms = RETURN_MS - 1
        await hosts.connect()
        assert hosts.name == "backup", "not tried again so soon: it would cost a connect each time"
        await hosts.close()
        two.now_ms = RETURN_MS
        await hosts.connect()
        assert hosts.name == "primary"
        await settled(two, primary=1, backup=0)
        await hosts.close()

    played(story)


def test_what_one_connection_found_out_the_next_one_knows() -> None:
    async def story(two: Two) -> None:
        first, second = two.hosts(), two.hosts()
        two.shut("primary")
        await first.connect()
        await two.listen("primary")
        await second.connect()
        assert second.name == "backup", "a host that is gone is waited for once, not by every terminal"
        await first.close()
        await second.close()

    played(story)


def test_one_that_keeps_silent_is_left_for_the_other_and_never_two_at_once() -> None:
    async def story(two: Two) -> None:
        hosts = two.hosts()
        await hosts.connect()
        await hosts.leave()
        await settled(two, primary=0, backup=0)
        await hosts.connect()
        assert hosts.name == "backup"
        await settled(two, primary=0, backup=1)
        two.now_ms = 10
        await hosts.leave()  # this one too
        await hosts.connect()
        assert hosts.name == "primary"
        await settled(two, primary=1, backup=0)
        await hosts.close()

    played(story)


def test_a_host_that_ends_its_half_is_hung_up_on_before_the_other_is_called() -> None:
    async def story(two: Two) -> None:
        hosts = two.hosts()
        await hosts.connect()
        await settled(two, primary=1, backup=0)
        two.shut("primary")
        two.writers["primary"].write_eof()
        await until(lambda: not hosts.is_open)
        await hosts.connect()
        assert hosts.name == "backup"
        await settled(two, primary=0, backup=1)
        await hosts.close()

    played(story)


def test_when_both_are_gone_that_is_a_line_that_is_down() -> None:
    async def story(two: Two) -> None:
        hosts = two.hosts()
        for name in ("primary", "backup"):
            two.shut(name)
        with pytest.raises(LinkDown):
            await hosts.connect()
        assert not hosts.is_open

    played(story)


def test_without_a_backup_there_is_one() -> None:
    async def story(two: Two) -> None:
        hosts = two.hosts(backup=False)
        assert not hosts.has_backup
        two.shut("primary")
        with pytest.raises(LinkDown):
            await hosts.connect()
        assert hosts.name == "primary"

    played(story)
