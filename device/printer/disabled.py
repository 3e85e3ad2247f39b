"""A terminal without a printer: nothing is ever printed, and every answer says so."""

from device.printer import UNAVAILABLE, Heard, Outcome, Status
from device.waker import Waker


class DisabledPrinter:
    """Takes no port and prints nothing. See `Printer` for the contract of each method."""

    is_open = False

    def __init__(self) -> None:
        self._waker = Waker()

    def open(self) -> None:
        """There is nothing to open, and nothing fails."""

    def close(self) -> None:
        """There is nothing to close."""

    def status(self) -> Status:
        return UNAVAILABLE

    def print(self, data: bytes, job_id: int) -> Outcome:  # noqa: ARG002 - the contract's signature
        return Outcome("UNPRINTED", 0, len(data), UNAVAILABLE)

    def deadline_s(self, size: int) -> float:  # noqa: ARG002 - the contract's signature
        return 0.0

    def resume(self) -> Status:
        return UNAVAILABLE

    def clear(self) -> Status:
        return UNAVAILABLE

    def wait(self, timeout_s: float | None) -> Heard:
        return Heard(woken=self._waker.sleep(timeout_s)[0])

    def wake(self) -> None:
        self._waker.wake()

    def interrupt(self) -> None:
        self._waker.interrupt()
