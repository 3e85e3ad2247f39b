"""What the fleet keeps, whatever database is underneath: values, and the protocol that a database must fulfil."""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from agent.envelope import Beat, Event, Response, Snap, State


class Rejected(msgspec.Struct, frozen=True):
    """A message that could not be used: where it came from and why; never its content."""

    topic: str
    reason: str
    size_bytes: int


class Batch(msgspec.Struct):
    """What goes to disk in one commit. `received_ms` is the fleet's own clock."""

    received_ms: int
    events: list[Event] = []
    states: list[State] = []
    snaps: list[Snap] = []
    beats: list[Beat] = []
    responses: list[Response] = []
    rejected: list[Rejected] = []


class Mark(msgspec.Struct, frozen=True):
    """The high-water mark of one journal: every published entry up to `hwm` is here. `highest` > `hwm` means a gap."""

    fleet: str
    sn: str
    epoch: str
    hwm: int
    highest: int


class Dated(msgspec.Struct, frozen=True):
    """An event, and when it happened: its own `ts`, or computed from (boot, mono) once that boot's clock was known."""

    event: Event
    dated_ms: int | None


class Store(Protocol):
    """A database. Every method is idempotent; `ingest` is one commit, on disk when it returns.

    Raises StorageError, after which nothing of the batch is there.
    """

    def ingest(self, batch: Batch) -> list[Mark]:
        """Keep the batch, without what is already there; the marks of all journals that it has events of."""

    def marks(self) -> list[Mark]:
        """The marks of all journals."""

    def events(self, sn: str, epoch: str) -> Iterator[Dated]:
        """The events of one journal in order."""

    def terminal_ids(self, fleet: str) -> dict[str, str]:
        """Serial number by terminal id (F41) of every terminal of this fleet that has said who it is."""

    def close(self) -> None:
        """Let go of the database."""
