"""A pole display of two lines of twenty columns on a serial line: CD5220 or ESC/POS commands, GBK or plain Latin."""

from device.descriptor import Port
from device.display import Charset, Screen
from device.display.commands import CLEAR, CommandSet, frame, start
from device.errors import PortLost, PortStalled

LINE_S = 2.0  # added to twice the time that the bytes take on the line


class PoleDisplay:
    """See `Display` for the contract of each method."""

    def __init__(self, port: Port, commands: CommandSet, charset: Charset, brightness: int) -> None:
        self._port = port
        self._commands: CommandSet = commands
        self._charset: Charset = charset
        self._brightness = brightness
        self._lit: Screen | None = None

    @property
    def is_open(self) -> bool:
        return self._port.is_open

    def open(self) -> None:
        if not self._port.is_open:
            self._lit = None
            self._port.open()
            self._send(start(self._commands, self._brightness))

    def close(self) -> None:
        self._port.close()

    def show(self, screen: Screen) -> None:
        """A new screen begins with a blank one. The line that names the customer comes before the words to them, so that a
        write that breaks off never puts one customer's words above another one's amount.
        """
        data = frame(self._commands, self._charset, screen)
        self._send(data if screen == self._lit else CLEAR + data)
        self._lit = screen

    def wait(self, timeout_s: float | None) -> None:
        self._port.sleep(timeout_s)
        if self._port.is_open:
            self._hear()

    def wake(self) -> None:
        self._port.wake()

    def interrupt(self) -> None:
        self._port.interrupt()

    def _hear(self) -> None:
        """Whatever arrives is thrown away: it is not from a display. That nothing can arrive any more is the news."""
        try:
            self._port.read(self._port.now_s())
        except PortLost:
            self._port.close()
            raise

    def _send(self, data: bytes) -> None:
        """All of it, or the port is closed: the next `open` ends what was broken off in the middle."""
        deadline_s = self._port.now_s() + 2 * len(data) / self._port.bytes_per_s + LINE_S
        try:
            accepted = self._port.write(data, deadline_s)
            left = self._port.drain(deadline_s)
        except (PortStalled, PortLost):
            self._port.close()
            raise
        if left:
            self._port.close()
            text = f"port {self._port.name} does not put its bytes on the line: see whether the display is on and ready"
            raise PortStalled(text, accepted - left)
