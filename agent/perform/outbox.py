"""The outbox is not a copy: it is a cursor over the journal, and what telemetry needs of the journal's store."""

from typing import Protocol

from agent.journal.chain import Entry


class Outbox(Protocol):
    """What telemetry needs of the journal's store. Each call that writes is one commit; errors end telemetry."""

    @property
    def epoch(self) -> str:
        """The journal's uuid: another one when it was made anew."""

    def read_after(self, seq: int, limit: int) -> list[Entry]:
        """Up to `limit` entries after `seq`, in order, without the skipped ones."""

    def cursor(self) -> int:
        """The seq of the last row that is done."""

    def move(self, seq: int) -> None:
        """Everything up to `seq` is done."""

    def skip(self, seq: int, reason: str) -> None:
        """No broker takes this row: set it aside."""
