"""What the customer is shown: the core's newest word and nothing else, then the merchant's name.

The thread holds one screen, not a queue: a slow display skips what is no longer true. Nobody here says that anything was
shown; what the display is told again every half minute comes back by itself on one that was switched off meanwhile.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from agent.core.change import ShowTest
from agent.core.customer import Shown, shown
from agent.core.display import MUTE
from agent.core.displayevent import DisplaySeen
from agent.core.event import Event
from agent.core.state import State
from agent.perform.devicethread import DeviceThread
from agent.perform.steady import Steady
from device.display import COLUMNS, Charset, Display, Screen
from device.errors import PortError, PortLost
from device.printer.layout import sayable, width

log = logging.getLogger("reversald.display")

RETRY_S = 2.0  # a display that is not there is looked for this often
REFRESH_S = 30.0
TEST_S = 10.0
REST_S = 0.5  # at the end of the program: so long for the merchant's name to get there

_FAULTS = {"held": "port_held", "permission": "port_denied", "wrong_device": "wrong_device"}


class Words(NamedTuple):
    """In which language and characters this display speaks. One that has no Chinese characters speaks English."""

    lang: Literal["zh", "en"]
    charset: Charset
    merchant_name: str

    @property
    def chinese(self) -> bool:
        """True when the customer reads Chinese here."""
        return self.lang == "zh" and self.charset == "gbk"

    def of(self, shown: Shown) -> Screen:
        """What the core says, as two lines."""
        return Screen(*(shown.zh if self.chinese else shown.en))

    def idle(self) -> Screen:
        """The merchant's name, as far as this display can say it."""
        greeting = _centred("欢迎光临" if self.chinese else "WELCOME")
        if self.charset == "latin" and not self.merchant_name.isascii():
            return Screen(greeting)
        return Screen(_centred(self.merchant_name), greeting)

    def test(self) -> Screen:
        """A pattern in which every column is used, and a Chinese character that is cut in two would be seen."""
        return Screen("12345678901234567890", "客显测试ABCDEFGHIJ中" if self.charset == "gbk" else "ABCDEFGHIJKLMNOPQRST")


def _centred(text: str) -> str:
    return " " * ((COLUMNS - width(sayable(text))) // 2) + text


class DisplayThread(DeviceThread):
    """One thread, one port. All of it but `stop` is called on the event loop and returns at once."""

    def __init__(self, display: Display, words: Words, idle_after_s: float, tell: Callable[[Event], None]) -> None:
        super().__init__("display", display, tell)
        self._display = display
        self._words = words
        self._idle_after_s = idle_after_s
        self._wanted: tuple[Shown | None, float] = (None, time.monotonic())  # and since when
        self._started = False
        self._left = ""  # the transaction whose customer has left: its end was read, or was there before we were
        self._test_until_s = 0.0
        self._lit: Screen | None = None  # what was sent last over this open port
        self._sent_s = 0.0
        self._retry_s = 0.0
        self._steady = Steady(frozenset({MUTE}))
        self._rested = threading.Event()

    def follow(self, state: State) -> None:
        """Called after every commit. Nothing that goes wrong here may hold up whoever made it."""
        try:
            self.show(shown(state))
        except Exception:
            log.exception("what the customer is to read could not be found out")

    def show(self, shown: Shown | None) -> None:
        """What the customer is to read from now on; None is the merchant's name.

        An end is read once and for a while. What becomes of that transaction hours later, or how it had ended before this
        program started, is not for whoever stands there now.
        """
        now_s, (last, since_s) = time.monotonic(), self._wanted
        if shown is not None and not shown.lasting:
            known = last is not None and not last.lasting and last.transaction == shown.transaction
            if not self._started or (known and now_s >= since_s + self._idle_after_s):
                self._left = shown.transaction
            if shown.transaction == self._left:
                shown = None
        self._started = True
        if shown != last:
            self._wanted = shown, now_s
            self._display.wake()

    def perform(self, _effect: ShowTest) -> None:
        """The test pattern for TEST_S, unless something lasting is to be read."""
        self._test_until_s = time.monotonic() + TEST_S
        self._display.wake()

    def stop(self) -> None:
        """Leave the merchant's name behind where that is quickly done, and end the thread."""
        self._test_until_s = 0.0
        self._wanted = None, time.monotonic()
        self._rested.clear()
        self._display.wake()
        if self._display.is_open:
            self._rested.wait(REST_S)
        super().stop()

    def _turn(self) -> None:
        """Find the port, or send what is to be read, or sleep until either is due."""
        now_s = time.monotonic()
        try:
            if not self._display.is_open:
                self._lit = None
                if now_s < self._retry_s:
                    self._display.wait(self._retry_s - now_s)
                    return
                self._retry_s = now_s + RETRY_S
                closed = self._closed()
                if closed is not None:
                    self._say(_FAULTS.get(closed.cause, "unavailable"))
                    return
            self._go_on(now_s)
        except PortError as error:
            self._say("unavailable" if isinstance(error, PortLost) else "offline")
            raise

    def _go_on(self, now_s: float) -> None:
        wanted = self._wanted
        screen, until_s = self._screen(*wanted, now_s)
        if screen != self._lit or now_s >= self._sent_s + REFRESH_S:
            self._display.show(screen)
            self._lit, self._sent_s, self._trouble = screen, now_s, ""
        if wanted[0] is None and self._wanted is wanted:
            self._rested.set()
        self._say(MUTE)
        due_s = [self._sent_s + REFRESH_S, *(moment for moment in (until_s, self._steady.due_s) if moment is not None)]
        self._display.wait(max(0.0, min(due_s) - time.monotonic()))

    def _screen(self, shown: Shown | None, since_s: float, now_s: float) -> tuple[Screen, float | None]:
        """What is to be read now, and until when if nothing happens."""
        if shown is not None and shown.lasting:
            return self._words.of(shown), None
        if now_s < self._test_until_s:
            return self._words.test(), self._test_until_s
        idle_s = since_s + self._idle_after_s
        if shown is not None and now_s < idle_s:
            return self._words.of(shown), idle_s
        return self._words.idle(), None

    def _say(self, fault: str) -> None:
        if self._steady.saw((fault, ""), time.monotonic()):
            self._tell(DisplaySeen(fault=fault))
