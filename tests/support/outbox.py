"""A journal in memory for telemetry: entries, a cursor, a list of skipped rows, and a count of commits."""

from typing import Any

from agent.journal.chain import Entry
from device.clock import Reading


class MemoryOutbox:
    """Keeps the promises of `agent.perform.outbox.Outbox`."""

    def __init__(self, epoch: str = "11111111-1111-4111-8111-111111111111") -> None:
        self.epoch = epoch
        self.entries: list[Entry] = []
        self.skipped: dict[int, str] = {}
        self.moves: list[int] = []
        self.reads = 0

    def add(self, kind: str, data: dict[str, Any] | None = None, **fields: Any) -> Entry:
        """Append an entry; the clock is trusted unless `clk="none"` is given."""
        seq = len(self.entries) + 1
        usual: dict[str, Any] = {"boot": 1, "mono_ms": 1_000 * seq, "wall_ms": 1_790_000_000_000 + 1_000 * seq, "clk": "ntp"}
        usual |= {"transaction": None, "incident": None} | fields
        entry = Entry(seq=seq, type=kind, data=data if data is not None else {"n": seq}, **usual)
        self.entries.append(entry)
        return entry

    def read_after(self, seq: int, limit: int) -> list[Entry]:
        self.reads += 1
        return [entry for entry in self.entries[max(seq, 0) :] if entry.seq not in self.skipped][:limit]

    def cursor(self) -> int:
        return self.moves[-1] if self.moves else 0

    def move(self, seq: int) -> None:
        self.moves.append(seq)

    def skip(self, seq: int, reason: str) -> None:
        self.skipped[seq] = reason


class StillClock:
    """Shows what it is told to show: boot 1, 100 s after it, a disciplined clock."""

    def __init__(self) -> None:
        self.now = Reading("boot-1", 100_000, 1_790_000_100_000, "ntp")

    def read(self) -> Reading:
        return self.now
