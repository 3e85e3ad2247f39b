"""The acquirer's host and its backup: one connection at a time, to whichever of the two is there.

The primary goes first. One that cannot be connected to, or keeps silent, is passed over for a while, and then comes first again.
"""

from collections.abc import Callable
from typing import Literal

from device.acquirer.link import Link
from device.connectivity import boottime_ms
from device.errors import LinkDown

Name = Literal["primary", "backup"]
RETURN_MS = 60_000  # so long the backup goes first after the primary failed


class Hosts:
    """Looks like one link. `name` says which host the connection is to, or was to last.

    `failed_ms`, when each host failed last, may be shared by all connections to the same pair: who comes after one that waited
    for a host in vain does not wait for it again.
    """

    def __init__(
        self, primary: Link, backup: Link | None = None, now_ms: Callable[[], int] = boottime_ms,
        failed_ms: dict[Name, int] | None = None,
    ) -> None:
        self._links: dict[Name, Link] = {"primary": primary} if backup is None else {"primary": primary, "backup": backup}
        self._now_ms = now_ms
        self._failed_ms: dict[Name, int] = {} if failed_ms is None else failed_ms
        self.name: Name = "primary"

    @property
    def has_backup(self) -> bool:
        """True when there are two."""
        return len(self._links) > 1

    @property
    def is_open(self) -> bool:
        """As `Link.is_open`."""
        return self._link.is_open

    async def connect(self) -> None:
        """Connect to the first that can be; does nothing when a connection stands. Raises the last one's `LinkDown`."""
        if self._link.is_open:
            return
        *others, last = self._order()
        for name in others:
            try:
                await self._connect(name)
            except LinkDown:
                continue
            return
        await self._connect(last)

    async def send(self, frame: bytes) -> None:
        """As `Link.send`."""
        await self._link.send(frame)

    async def receive(self, timeout_ms: int | None) -> bytes:
        """As `Link.receive`."""
        return await self._link.receive(timeout_ms)

    async def close(self) -> None:
        """As `Link.close`."""
        await self._link.close()

    async def leave(self) -> None:
        """This one keeps silent: close, and let the other go first."""
        self._failed_ms[self.name] = self._now_ms()
        await self.close()

    @property
    def _link(self) -> Link:
        return self._links[self.name]

    async def _connect(self, name: Name) -> None:
        if name != self.name:
            await self.close()  # never two at once
        self.name = name
        try:
            await self._link.connect()
        except LinkDown:
            self._failed_ms[name] = self._now_ms()
            raise

    def _order(self) -> list[Name]:
        """The primary, unless it failed lately and the backup did not after it."""
        primary_ms, backup_ms = self._failed_ms.get("primary"), self._failed_ms.get("backup")
        lately = primary_ms is not None and self._now_ms() - primary_ms < RETURN_MS
        passed_over = lately and (backup_ms is None or primary_ms is None or backup_ms <= primary_ms)
        return sorted(self._links, reverse=not passed_over)  # "primary" sorts behind "backup"
