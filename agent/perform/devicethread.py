"""A device on a thread of its own: it may block there as long as its bounds allow, and nobody waits for it.

A port that fails is closed and tried again; a defect is logged and the thread goes on.
"""

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from agent.core.event import Event
from device.errors import PortError, PortUnavailable

log = logging.getLogger("reversald.device")

PAUSE_S = 1.0  # after a failure, before the next turn
STOP_S = 2.0


class Device(Protocol):
    """What every device's driver can do. `interrupt` may be called from any thread."""

    @property
    def is_open(self) -> bool: ...
    def open(self) -> None: ...
    def close(self) -> None: ...
    def interrupt(self) -> None: ...


class DeviceThread(ABC):
    """One thread, one port. `tell` is called on the event loop; a subclass says what one turn is."""

    def __init__(self, name: str, device: Device, tell: Callable[[Event], None]) -> None:
        self._device = device
        self._tell_on_loop = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._trouble = ""  # the port's last failure: the same one again is not worth a line in the log
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; call on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End the thread within STOP_S; what is half done at the device is left as it is."""
        self._stopping = True
        self._device.interrupt()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    @abstractmethod
    def _turn(self) -> None:
        """One thing, and back soon. Raises PortError when the port failed."""

    def _main(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except PortError as error:
                self._warn(error)
                self._device.close()
                time.sleep(PAUSE_S)
            except Exception:
                log.exception("the %s thread goes on after a defect", self._thread.name)
                time.sleep(PAUSE_S)
        self._device.close()

    def _closed(self) -> PortUnavailable | None:
        """None when the port is open now, else why it is not."""
        if self._device.is_open:
            return None
        try:
            self._device.open()
        except PortUnavailable as error:
            self._warn(error)
            return error
        return None

    def _warn(self, error: PortError) -> None:
        if str(error) != self._trouble:
            log.warning("%s: %s", self._thread.name, error)
        self._trouble = str(error)

    def _tell(self, event: Event) -> None:
        if self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(self._tell_on_loop, event)
