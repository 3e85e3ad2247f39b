"""The prober against real sockets and a clock of its own; the network ear against the real kernel."""

import asyncio
import contextlib
import heapq
import logging
import selectors
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from device.connectivity import CUTS_MAX, NetworkEar, Prober
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def probing(prober: Prober) -> AsyncIterator[None]:
    """The prober at work."""
    task = asyncio.create_task(prober.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came about")


class Host:
    """A real port on loopback, and attempts to connect to it whose outcomes are queued."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.begun = 0
        self.outcomes: asyncio.Queue[bool] = asyncio.Queue()

    def listen(self, backlog: int = 16) -> None:
        self.socket.listen(backlog)

    async def attempt(self) -> bool:
        self.begun += 1
        try:
            _, writer = await asyncio.open_connection(*self.socket.getsockname())
        except OSError:
            self.outcomes.put_nowait(False)
            return False
        writer.close()
        self.outcomes.put_nowait(True)
        return True


def test_a_host_that_refuses_is_proved_down_and_one_that_answers_is_not():
    async def story() -> None:
        host = Host()
        prober = Prober(host.attempt)
        async with probing(prober):
            assert not prober.proved_down()
            assert not prober.is_fresh()
            prober.want(True)
            assert await host.outcomes.get() is False
            await until(prober.proved_down)
            assert prober.is_fresh()
            assert not prober.proved_down(within_ms=-1)
            host.listen()
            prober.poke()
            assert await host.outcomes.get() is True
            await until(lambda: not prober.proved_down())
        host.socket.close()

    asyncio.run(story())


def test_a_poke_gives_up_a_connect_that_hangs_and_the_given_up_one_proves_nothing():
    async def story() -> None:
        host = Host()
        host.listen(0)  # one connection waits to be accepted; the SYNs of others are dropped
        filler = socket.create_connection(host.socket.getsockname())
        prober = Prober(host.attempt)
        async with probing(prober):
            prober.want(True)
            await until(lambda: host.begun == 1)
            assert prober.is_fresh()  # it is being found out
            host.socket.accept()[0].close()
            prober.poke()
            assert await host.outcomes.get() is True
            assert host.begun == 2
            assert not prober.proved_down()
        filler.close()
        host.socket.close()

    asyncio.run(story())


def test_a_given_up_attempt_is_not_taken_for_a_failure():
    async def story() -> None:
        never = asyncio.Event()
        begun: asyncio.Queue[None] = asyncio.Queue()

        async def attempt() -> bool:
            begun.put_nowait(None)
            return next(answers, None) or await never.wait()

        answers = iter([True])
        prober = Prober(attempt)
        async with probing(prober):
            prober.want(True)
            for _ in range(3):
                await begun.get()
                await asyncio.sleep(0)
                prober.poke()
            await begun.get()
            assert not prober.proved_down()

    asyncio.run(story())


def test_a_network_that_never_rests_cannot_keep_every_attempt_from_ending():
    async def story() -> None:
        outcomes: list[bool] = []

        async def attempt() -> bool:
            for _ in range(10):
                await asyncio.sleep(0)
            outcomes.append(False)
            return False

        prober = Prober(attempt)
        async with probing(prober):
            prober.want(True)
            for _ in range(10 * (CUTS_MAX + 3)):
                prober.poke()
                await asyncio.sleep(0)
            assert outcomes

    asyncio.run(story())


def test_what_is_not_wanted_is_not_probed():
    async def story() -> None:
        host = Host()
        host.listen()
        prober = Prober(host.attempt)
        async with probing(prober):
            prober.poke()
            for _ in range(20):
                await asyncio.sleep(0)
            assert host.begun == 0
            prober.want(True)
            await host.outcomes.get()
            prober.want(True)
            for _ in range(20):
                await asyncio.sleep(0)
            assert host.begun == 1
            prober.want(False)
            prober.poke()
            for _ in range(20):
                await asyncio.sleep(0)
            assert host.begun == 1
            prober.want(True)
            await host.outcomes.get()
            assert host.begun == 2
        host.socket.close()

    asyncio.run(story())


def test_no_longer_wanted_gives_up_the_attempt_under_way():
    async def story() -> None:
        ended = asyncio.Event()
        begun = asyncio.Event()

        async def attempt() -> bool:
            begun.set()
            try:
                return await asyncio.Event().wait()
            finally:
                ended.set()

        prober = Prober(attempt)
        async with probing(prober):
            prober.want(True)
            await begun.wait()
            prober.want(False)
            await ended.wait()
            await until(lambda: not prober.is_fresh())

    asyncio.run(story())


def test_cancelling_the_prober_ends_the_attempt_first():
    async def story() -> None:
        ended = asyncio.Event()
        begun = asyncio.Event()

        async def attempt() -> bool:
            begun.set()
            try:
                return await asyncio.Event().wait()
            finally:
                ended.set()

        prober = Prober(attempt)
        async with probing(prober):
            prober.want(True)
            await begun.wait()
        assert ended.is_set()

    asyncio.run(story())


def test_an_error_of_ours_in_an_attempt_is_logged_and_does_not_end_the_probing(caplog):
    async def story() -> None:
        calls = 0

        async def attempt() -> bool:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise ZeroDivisionError
            return True

        prober = Prober(attempt)
        async with probing(prober):
            prober.want(True)
            await until(prober.proved_down)
            prober.poke()
            await until(lambda: calls == 2)

    with caplog.at_level(logging.ERROR, "reversald.connectivity"):
        asyncio.run(story())
    assert "an error of ours" in caplog.text


# The schedule, on a clock that jumps from timer to timer


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.now_s += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose hours pass at once."""

    def __init__(self) -> None:
        self.clock = JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now_s


def jumping(story: Callable[[Callable[[], float]], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        loop = runner.get_loop()
        runner.run(story(loop.time))


def recorded(now: Callable[[], float], answer: Callable[[], bool]) -> tuple[list[int], Callable[[], Awaitable[bool]]]:
    """Whole seconds at which an attempt was made."""
    times: list[int] = []

    async def attempt() -> bool:
        times.append(round(now()))
        return answer()

    return times, attempt


def test_it_probes_every_second_for_30_seconds_then_doubles_to_60():
    async def story(now: Callable[[], float]) -> None:
        times, attempt = recorded(now, lambda: False)
        prober = Prober(attempt, lambda: round(now() * 1000))
        async with probing(prober):
            prober.want(True)
            await asyncio.sleep(280)
        assert times == [*range(31), 32, 36, 44, 60, 92, 152, 212, 272]

    jumping(story)


def test_a_poke_begins_the_schedule_anew():
    async def story(now: Callable[[], float]) -> None:
        times, attempt = recorded(now, lambda: False)
        prober = Prober(attempt, lambda: round(now() * 1000))
        async with probing(prober):
            prober.want(True)
            await asyncio.sleep(100)
            times.clear()
            prober.poke()
            await asyncio.sleep(3.5)
        assert times == [100, 101, 102, 103]

    jumping(story)


def test_after_a_success_it_probes_slowly_and_after_a_failure_fast_again_only_when_poked():
    async def story(now: Callable[[], float]) -> None:
        times, attempt = recorded(now, lambda: True)
        prober = Prober(attempt, lambda: round(now() * 1000))
        async with probing(prober):
            prober.want(True)
            await asyncio.sleep(185)
            prober.want(False)
            await asyncio.sleep(1000)
        assert times == [0, 60, 120, 180]

    jumping(story)


def test_an_outcome_grows_old():
    async def story(now: Callable[[], float]) -> None:
        times, attempt = recorded(now, lambda: False)
        prober = Prober(attempt, lambda: round(now() * 1000))
        async with probing(prober):
            prober.want(True)
            await asyncio.sleep(93)
            assert times[-1] == 92
            assert prober.proved_down()
            assert prober.is_fresh()
            await asyncio.sleep(2.5)
            assert not prober.proved_down()
            assert not prober.is_fresh()
            assert prober.proved_down(within_ms=4_000)

    jumping(story)


def test_while_not_wanted_nothing_wakes_the_process():
    async def story(now: Callable[[], float]) -> None:
        _, attempt = recorded(now, lambda: False)
        prober = Prober(attempt, lambda: round(now() * 1000))
        async with probing(prober):
            prober.want(True)
            await asyncio.sleep(5)
            prober.want(False)
            await asyncio.sleep(0.5)
            loop = asyncio.get_running_loop()
            waiting = [timer for timer in getattr(loop, "_scheduled") if not timer.cancelled()]  # noqa: B009
            assert heapq.nsmallest(1, waiting) == []

    jumping(story)


# The ear


def test_a_cut_and_a_mended_link_are_heard_and_the_host_is_probed_at_once():
    told = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.linkstory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stderr == ""
    assert told.stdout.split()[1:] == ["down", "up", "down", "up"], told.stdout


def test_a_closed_ear_hears_nothing_and_may_be_closed_again():
    async def story() -> None:
        heard: list[None] = []
        ear = NetworkEar(lambda: heard.append(None))
        assert ear.open()
        assert ear._socket is not None
        ear._heard()
        ear.close()
        ear.close()
        await asyncio.sleep(0.01)
        assert heard == []

    asyncio.run(story())


def test_a_prober_that_is_stopped_in_the_moment_of_its_waking_ends() -> None:
    async def story() -> None:
        tried = asyncio.Event()

        async def attempt() -> bool:
            tried.set()
            return True

        prober = Prober(attempt)
        prober.want(True)
        running = asyncio.create_task(prober.run())
        await tried.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        prober.want(False)
        running.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({running})
        assert running.cancelled()

    asyncio.run(story())


NO_WAY = """
from tests.support import ownnetwork
from device.connectivity import has_route
own = ownnetwork.enter()
before = has_route()
if own:
    ownnetwork.loopback(up=True)
print(not own or (before, has_route()) == (False, False))
"""


def test_a_network_of_loopback_alone_has_no_route_into_the_world() -> None:
    done = subprocess.run([sys.executable, "-c", NO_WAY], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True\n"
