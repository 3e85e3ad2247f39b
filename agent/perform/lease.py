"""Whose the line is: the agent's own, or the payment app's, lent for as long as something is to be sent.

A lease that is refused, or not answered, is like a line that is down. One that runs out or is taken back ends the connection.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from device.connectivity import boottime_ms
from device.lent import Lent
from device.payapp import PayappError

log = logging.getLogger("reversald.lease")


class Lease(Protocol):
    """The right to send. `lost` is called when it ended before it was given back."""

    lost: Callable[[], None]

    @property
    def held(self) -> bool:
        """True while sending is allowed."""

    async def take(self) -> bool:
        """Get it, unless it is held. False when it was not to be had."""

    async def give_back(self) -> None:
        """It is not needed any more. Never raises."""


class OwnLine:
    """Nobody else uses it."""

    held = True

    def __init__(self) -> None:
        self.lost: Callable[[], None] = lambda: None

    async def take(self) -> bool:
        """It always is."""
        return True

    async def give_back(self) -> None:
        """There is nobody to give it to."""


class LeasedLine:
    """The app's line. One call at a time, so that an acquire never overtakes a release; renewed when half of it is over."""

    def __init__(self, app: Lent, now_ms: Callable[[], int] = boottime_ms) -> None:
        self._app = app
        self._now_ms = now_ms  # goes on in suspend: a lease that ran out meanwhile is over
        self._until_ms = 0
        self._asked = False
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self.lost: Callable[[], None] = lambda: None

    @property
    def held(self) -> bool:
        """True while the app's word holds."""
        return self._now_ms() < self._until_ms

    async def take(self) -> bool:
        """Ask the app, unless the line is ours."""
        async with self._lock:
            return self.held or await self._acquire()

    async def give_back(self) -> None:
        """Tell the app, if it may think that we have it."""
        async with self._lock:
            if not self._asked:
                return
            self._asked, self._until_ms = False, 0
            if self._timer is not None:
                self._timer.cancel()
            try:
                await self._app.release_line()
            except PayappError as error:
                log.warning("the line was not given back; the lease runs out by itself: %s", error)

    async def _acquire(self) -> bool:
        self._asked = True
        try:
            lease_ms = await self._app.acquire_line()
        except PayappError as error:
            log.debug("the line is not lent: %s", error)
            self._until_ms = 0
            return False
        self._until_ms = self._now_ms() + lease_ms
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(lease_ms / 2000, self._half_over)
        return True

    def _half_over(self) -> None:
        self._renewing = asyncio.get_running_loop().create_task(self._renew(), name="lease")

    async def _renew(self) -> None:
        async with self._lock:
            if not self._asked or await self._acquire():
                return
        log.warning("the payment app took its line back")
        self.lost()
