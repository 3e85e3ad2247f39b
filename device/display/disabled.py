"""A terminal without a customer display: takes no port and shows nothing."""

from device.display import Screen
from device.waker import Waker


class DisabledDisplay:
    """See `Display` for the contract of each method."""

    is_open = False

    def __init__(self) -> None:
        self._waker = Waker()

    def open(self) -> None:
        """There is nothing to open, and nothing fails."""

    def close(self) -> None:
        """There is nothing to close."""

    def show(self, screen: Screen) -> None:
        """Nobody sees it."""

    def wait(self, timeout_s: float | None) -> None:
        self._waker.sleep(timeout_s)

    def wake(self) -> None:
        self._waker.wake()

    def interrupt(self) -> None:
        self._waker.interrupt()
