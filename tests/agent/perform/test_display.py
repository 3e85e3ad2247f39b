"""The display's thread on a display that the test plays: the newest word, the merchant's name, faults that stand."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from agent.core.change import ShowTest
from agent.core.customer import Shown
from agent.core.displayevent import DisplaySeen
from agent.core.event import Event
from agent.core.state import State
from agent.perform import devicethread
from agent.perform import display as module
from agent.perform.display import DisplayThread, Words
from device.display import Screen
from device.errors import PortLost, PortStalled, PortUnavailable
from tests.support.waiting import until

WORDS = Words("zh", "gbk", "测试便利店")
IDLE = Screen("     测试便利店", "      欢迎光临")
DOUBT = Shown("a", "P3", lasting=True, zh=("待冲正", "1.00元"), en=("Wait", "RMB 1.00"))
REVERSED = Shown("a", "P4b", lasting=False, zh=("冲正成功,请重新刷卡", "1.00元"), en=("Reversed, pay again", "RMB 1.00"))
NEXT = Shown("b", "N2", lasting=True, zh=("处理中", "2.50元"), en=("Processing", "RMB 2.50"))


def read(shown: Shown) -> Screen:
    return Screen(*shown.zh)


class Played:
    """A display whose every screen is kept. `closed_because` refuses the port; `error` fails the next write."""

    def __init__(self) -> None:
        self.is_open = False
        self.screens: list[Screen] = []
        self.closed_because = ""
        self.error: Exception | None = None
        self.slow = threading.Event()
        self.slow.set()
        self._bell = threading.Event()

    def open(self) -> None:
        if self.closed_because:
            raise PortUnavailable("port x: not now", self.closed_because)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def show(self, screen: Screen) -> None:
        self.slow.wait(20)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.screens.append(screen)

    def wait(self, timeout_s: float | None) -> None:
        self._bell.wait(timeout_s)
        self._bell.clear()
        if self.closed_because and self.is_open:
            self.is_open = False
            raise PortLost("port x: the device went away", 0)

    def wake(self) -> None:
        self._bell.set()

    def interrupt(self) -> None:
        self._bell.set()


Story = Callable[[DisplayThread, Played, list[str]], Awaitable[None]]


def play(story: Story, played: Played | None = None, *, idle_s: float = 30.0, words: Words = WORDS) -> Played:
    """Run a story with a thread that is stopped at its end."""
    display, faults = played or Played(), []

    def tell(event: Event) -> None:
        assert isinstance(event, DisplaySeen)
        faults.append(event.fault)

    async def main() -> None:
        thread = DisplayThread(display, words, idle_s, tell)
        thread.start()
        try:
            await story(thread, display, faults)
        finally:
            display.slow.set()
            await asyncio.to_thread(thread.stop)

    asyncio.run(main())
    return display


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again after moments, not seconds."""
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    monkeypatch.setattr(devicethread, "PAUSE_S", 0.05)
    monkeypatch.setattr(module, "REST_S", 20.0)


def test_what_the_core_says_is_sent_and_the_merchants_name_before_and_after() -> None:
    async def story(thread: DisplayThread, display: Played, faults: list[str]) -> None:
        thread.show(None)
        await until(lambda: display.screens == [IDLE])
        thread.show(DOUBT)
        await until(lambda: display.screens[-1] == read(DOUBT))
        thread.show(REVERSED)
        await until(lambda: display.screens[-1] == read(REVERSED))
        await until(lambda: display.screens[-1] == IDLE)
        await until(lambda: faults == ["mute"])

    display = play(story, idle_s=0.3)
    assert display.screens == [IDLE, read(DOUBT), read(REVERSED), IDLE]


def test_what_lasts_is_not_replaced_by_time() -> None:
    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(None)
        thread.show(DOUBT)
        await until(lambda: display.screens and display.screens[-1] == read(DOUBT))
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            thread.show(DOUBT)
            await asyncio.sleep(0.01)
        assert display.screens[-1] == read(DOUBT)

    play(story, idle_s=0.05)


def test_a_slow_display_skips_what_is_no_longer_true() -> None:
    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(None)
        await until(lambda: display.screens == [IDLE])
        display.slow.clear()
        for shown in (DOUBT, REVERSED, NEXT):
            thread.show(shown)
            await asyncio.sleep(0.02)
        display.slow.set()
        await until(lambda: display.screens[-1] == read(NEXT))

    display = play(story)
    assert read(REVERSED) not in display.screens, "b's customer would have read that they may pay again"


def test_an_end_that_was_there_before_the_program_started_is_not_for_whoever_stands_there_now() -> None:
    async def story(thread: DisplayThread, display: Played, faults: list[str]) -> None:
        thread.show(REVERSED)
        await until(lambda: faults == ["mute"])
        assert display.screens == [IDLE]
        thread.show(replace(REVERSED, code="P4c", zh=("主机无此交易", "1.00元")))
        await asyncio.sleep(0.1)
        thread.show(NEXT)
        await until(lambda: display.screens[-1] == read(NEXT))

    assert play(story).screens[:2] == [IDLE, read(NEXT)]


def test_news_of_a_customer_who_has_left_is_not_shown_and_a_doubt_that_comes_back_is() -> None:
    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(None)
        thread.show(REVERSED)
        await until(lambda: display.screens and display.screens[-1] == read(REVERSED))
        await until(lambda: display.screens[-1] == IDLE)
        for _ in range(2):
            thread.show(replace(REVERSED, code="N3", zh=("小票稍后", "1.00元")))
            await asyncio.sleep(0.1)
            assert display.screens[-1] == IDLE
        thread.show(DOUBT)
        await until(lambda: display.screens[-1] == read(DOUBT))

    play(story, idle_s=0.2)


def test_the_test_pattern_is_shown_for_a_moment_and_never_covers_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEST_S", 0.3)

    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(None)
        thread.perform(ShowTest())
        await until(lambda: display.screens and display.screens[-1] == WORDS.test())
        await until(lambda: display.screens[-1] == IDLE)
        thread.perform(ShowTest())
        thread.show(DOUBT)
        await until(lambda: display.screens[-1] == read(DOUBT))

    display = play(story)
    assert display.screens[-2:] == [read(DOUBT), IDLE], "at the end of the program the name stays behind"


def test_the_same_screen_is_sent_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.1)

    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(DOUBT)
        await until(lambda: display.screens.count(read(DOUBT)) >= 3)

    play(story)


@pytest.mark.parametrize(
    ("because", "fault"),
    [("missing", "unavailable"), ("held", "port_held"), ("permission", "port_denied"), ("wrong_device", "wrong_device")],
)
def test_a_port_that_cannot_be_opened_is_told_once_it_stands_and_so_is_its_return(
    because: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    played = Played()
    played.closed_because = because

    async def story(thread: DisplayThread, display: Played, faults: list[str]) -> None:
        thread.show(DOUBT)
        await until(lambda: faults == [fault])
        display.closed_because = ""
        await until(lambda: faults == [fault, "mute"])
        assert display.screens[-1] == read(DOUBT)

    play(story, played)
    assert caplog.text.count("port x: not now") == 1, "the same trouble is one line in the log"


def test_a_pulled_cable_is_told_and_afterwards_the_newest_word_is_sent() -> None:
    async def story(thread: DisplayThread, display: Played, faults: list[str]) -> None:
        thread.show(DOUBT)
        await until(lambda: faults == ["mute"])
        display.closed_because = "missing"
        display.wake()
        await until(lambda: faults == ["mute", "unavailable"])
        thread.show(NEXT)
        display.closed_because = ""
        await until(lambda: faults == ["mute", "unavailable", "mute"])
        assert display.screens[-1] == read(NEXT)

    play(story)


def test_a_display_that_is_back_gets_the_same_screen_again() -> None:
    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(DOUBT)
        await until(lambda: display.screens and display.screens[-1] == read(DOUBT))
        display.closed_because = "missing"
        display.wake()
        await until(lambda: not display.is_open)
        display.screens.clear()
        display.closed_because = ""
        await until(lambda: display.screens == [read(DOUBT)])

    play(story)


def test_a_line_that_takes_nothing_is_told_as_offline() -> None:
    async def story(thread: DisplayThread, display: Played, faults: list[str]) -> None:
        thread.show(DOUBT)
        await until(lambda: faults == ["mute"])
        display.open = lambda: _stall()  # type: ignore[method-assign]
        display.error = PortStalled("port x takes no more bytes", 0)
        thread.show(NEXT)
        await until(lambda: faults == ["mute", "offline"])

    def _stall() -> None:
        raise PortStalled("port x takes no more bytes", 0)

    play(story)


def test_a_defect_of_ours_is_logged_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        display.error = ZeroDivisionError("a defect")
        thread.show(DOUBT)
        await until(lambda: display.screens and display.screens[-1] == read(DOUBT))

    play(story)
    assert "the display thread goes on after a defect" in caplog.text


def test_what_goes_wrong_in_finding_the_words_holds_up_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_state: State) -> Shown:
        raise KeyError("P99")

    async def story(thread: DisplayThread, display: Played, _faults: list[str]) -> None:
        thread.show(DOUBT)
        await until(lambda: display.screens and display.screens[-1] == read(DOUBT))
        monkeypatch.setattr(module, "shown", broken)
        thread.follow(State())
        assert "could not be found out" in caplog.text

    play(story)


@pytest.mark.parametrize(
    ("words", "idle", "doubt"),
    [
        (WORDS, IDLE, read(DOUBT)),
        (Words("en", "gbk", "测试便利店"), Screen("     测试便利店", "      WELCOME"), Screen("Wait", "RMB 1.00")),
        (Words("zh", "latin", "测试便利店"), Screen("      WELCOME"), Screen("Wait", "RMB 1.00")),
        (Words("zh", "latin", "Corner Shop"), Screen("    Corner Shop", "      WELCOME"), Screen("Wait", "RMB 1.00")),
        (Words("zh", "gbk", "一家名字特别特别长的便利店"), Screen("一家名字特别特别长的便利店", "      欢迎光临"), read(DOUBT)),
    ],
)
def test_a_display_without_chinese_characters_speaks_english(words: Words, idle: Screen, doubt: Screen) -> None:
    assert (words.idle(), words.of(DOUBT)) == (idle, doubt)
