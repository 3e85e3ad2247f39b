"""The app's line: taken once, renewed, given back in order, and lost when the app says so."""

import asyncio
from collections.abc import Iterator

import pytest

from agent.perform.lease import LeasedLine, OwnLine
from device.lent import Lent
from tests.support.lender import Lender
from tests.support.waiting import until


@pytest.fixture
def app() -> Iterator[Lender]:
    """A payment app that lends its line."""
    made = Lender()
    yield made
    made.stop()


def test_a_line_that_is_held_is_not_asked_for_again_and_is_given_back_once(app: Lender) -> None:
    async def story() -> None:
        lease = LeasedLine(Lent(app.url))
        assert not lease.held
        assert await lease.take()
        assert await lease.take()
        assert lease.held
        await lease.give_back()
        await lease.give_back()
        assert not lease.held

    asyncio.run(story())
    assert app.actions() == ["acquire", "release"]


def test_what_was_never_asked_for_is_not_given_back_and_what_was_refused_is(app: Lender) -> None:
    async def story() -> None:
        lease = LeasedLine(Lent(app.url))
        await lease.give_back()
        app.line = "refused"
        assert not await lease.take()
        await lease.give_back()

    asyncio.run(story())
    assert app.actions() == ["acquire", "release"], "a grant may have been lost on its way to us"


def test_a_release_never_arrives_after_the_next_acquire(app: Lender) -> None:
    async def story() -> None:
        lease = LeasedLine(Lent(app.url))
        assert await lease.take()
        app.line = "slow"
        back = asyncio.create_task(lease.give_back())
        await until(lambda: len(app.actions()) == 2)
        app.line = "granted"
        again = asyncio.create_task(lease.take())
        await asyncio.sleep(0.05)
        app.released.set()
        await asyncio.gather(back, again)
        assert lease.held

    asyncio.run(story())
    assert app.actions() == ["acquire", "release", "acquire"]
    assert app.held


@pytest.mark.parametrize("how", ["renewed", "taken back", "gone"])
def test_half_way_through_it_is_asked_for_again(how: str, app: Lender) -> None:
    async def story() -> list[str]:
        lost: list[str] = []
        lease = LeasedLine(Lent(app.url))
        lease.lost = lambda: lost.append("lost")
        app.lease_ms = 1_000
        assert await lease.take()
        if how == "taken back":
            app.line = "refused"
        elif how == "gone":
            await asyncio.to_thread(app.stop)
        await until(lambda: len(app.actions()) == 2 if how == "renewed" else lost)
        if how == "renewed":
            assert lease.held
            await lease.give_back()
        else:
            assert not lease.held
        return lost

    assert asyncio.run(story()) == ([] if how == "renewed" else ["lost"])


def test_a_line_of_its_own_is_always_there() -> None:
    async def story() -> None:
        line = OwnLine()
        assert line.held
        assert await line.take()
        await line.give_back()
        line.lost()

    asyncio.run(story())
