"""The proof that the journal tells the whole story: step its events again and come to the same rows.

It begins with the first event, or with a checkpoint: then what was closed before is held against the checkpoint's digest.
Vault, outbox cursor and idempotency keys are not part of it.
"""

from collections.abc import Iterable

import msgspec

from agent.core.event import Event
from agent.core.model import Now, Row
from agent.core.state import State
from agent.core.step import step
from agent.journal import checkpoint
from agent.journal.chain import Entry
from agent.journal.checkpoint import KINDS, Checkpoint, Digest

Told = tuple[str, str | None, dict[str, object]]
# Made once: `msgspec.convert` would look at every type of the union anew for every event.
_EVENT = msgspec.json.Decoder(Event)


class Difference(msgspec.Struct, frozen=True):
    """Where replay and journal or rows part: the entry (0 for rows) and what is different."""

    seq: int
    what: str


class Replay:
    """What the journal comes to. `state` holds every row that it tells of; `differences` where it contradicts itself."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.state = State()
        self.differences: list[Difference] = []
        self._base: Checkpoint | None = None
        self._borrowed: list[Row] = []  # closed before the checkpoint, and needed again: as they were then
        expected: list[Told] = []
        for entry in entries:
            if entry.input is not None:
                if expected:
                    self._differ(entry.seq, f"replay also told {expected[0][0]}")
                base = checkpoint.of(entry)
                if base is not None:
                    self._begin(base)
                    expected = []
                    continue
                expected = self._step(entry)
            if not expected:
                self._differ(entry.seq, f"replay does not tell {entry.type}")
                continue
            told = expected.pop(0)
            if told[:2] != (entry.type, entry.transaction) or not _same(told[2], entry.data):
                self._differ(entry.seq, f"replay tells {told[0]} where the journal says {entry.type}")
        if expected:
            self._differ(0, f"replay also tells {expected[0][0]} at the end")

    def _differ(self, seq: int, what: str) -> None:
        self.differences.append(Difference(seq, what))

    def _begin(self, base: Checkpoint) -> None:
        self.state = State()
        self.state.absorb(row for _, row in base.rows)
        self._base, self._borrowed = base, []

    def _step(self, entry: Entry) -> list[Told]:
        assert entry.input is not None, "only entries with an input are stepped"
        for kind, body in entry.input.get("loaded", ()):
            row: Row = msgspec.convert(body, KINDS[kind])
            known = self.state.known(row)
            if known is None:
                self.state.absorb([row])
                self._borrowed.append(row)
            elif known != row:
                self._differ(entry.seq, f"{kind} {row.id} was not what the journal made it")
        event: Event = _EVENT.decode(msgspec.json.encode(entry.input["event"]))
        change = step(self.state, event, msgspec.convert(entry.input["now"], Now))
        self.state.settle()
        return [(fact.type, fact.transaction, fact.data) for fact in change.facts]

    def compare(self, rows: Iterable[Row]) -> list[Difference]:
        """Rows on disk that the journal does not come to."""
        differences, rest = [], list(self._borrowed)
        for row in rows:
            known = self.state.known(row)
            if known is None and self._base is not None:
                rest.append(row)
            elif known != row:
                differences.append(Difference(0, f"{type(row).__name__} {row.id} is not what replay makes of it"))
        return differences + self._closed(rest)

    def _closed(self, rows: list[Row]) -> list[Difference]:
        """Rows that were closed at the checkpoint, as they were then, against its digest."""
        digest = Digest()
        for row in checkpoint.kept(rows, self._base.number if self._base is not None else 0):
            digest.add(row)
        count, sum_ = (0, Digest().hex) if self._base is None else (self._base.closed, self._base.digest)
        if digest.count != count:
            return [Difference(0, f"{digest.count} rows were closed before the checkpoint, which counted {count}")]
        return [] if digest.hex == sum_ else [Difference(0, "a row that was closed before the checkpoint was changed")]


def _same(told: dict[str, object], written: dict[str, object]) -> bool:
    """True when the journal has these data. They are JSON there, so a tuple of ours is a list: only then it takes a detour."""
    return told == written or msgspec.json.decode(msgspec.json.encode(told)) == written
