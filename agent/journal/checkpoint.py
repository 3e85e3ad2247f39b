"""The chained checkpoint: an entry from which a replay can begin, so that what stands before it may be deleted.

It holds what is open as whole rows, and of what is closed only a count and a digest. It is written before old entries are
deleted, and after an update of the program: entries are stepped again by the rules that made them, or not at all.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from agent.core.accounts import Ledger
from agent.core.commandbook import CommandBook
from agent.core.model import Agent, Display, Incident, Job, Line, Now, Printer, Reversal, Row, Streaks, Transaction
from agent.core.state import State
from agent.journal import notes
from agent.journal.chain import Entry, canonical
from agent.journal.database import Database
from agent.journal.rows import family_of
from agent.journal.store import Store

TYPE = "journal.checkpoint"
KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Transaction, Reversal, Incident, Job, Agent, Line, Printer, Display, Streaks, Ledger, CommandBook)
}
_MODULUS = 1 << 256


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the entry's `input`. `first` is the oldest entry that is kept, `first_hash` the hash before it, as hex.

    Closed families up to the ordinal `number` are deleted; `closed` rows remain of the others, and `digest` (hex) is the sum
    of their SHA-256 modulo 2^256: a sum, because rows that are changed later leave it one by one.
    """

    version: str
    first: int
    first_hash: str
    number: int
    closed: int
    digest: str
    rows: list[tuple[str, Row]]


def of(entry: Entry) -> Checkpoint | None:
    """The checkpoint that stands in this entry, if one does. Raises LookupError or msgspec's errors for a made-up one."""
    if entry.type != TYPE or entry.input is None:
        return None
    body = entry.input["checkpoint"]
    rows: list[tuple[str, Row]] = [(kind, msgspec.convert(row, KINDS[kind])) for kind, row in body["rows"]]
    plain = {name: value for name, value in body.items() if name != "rows"}
    return Checkpoint(rows=rows, **plain)


def rows_of(state: State) -> list[Row]:
    """Every row that a state holds."""
    return [
        state.agent, state.line, state.printer, state.display, state.streaks, state.ledger, state.commands,
        *state.transactions.values(),
        *state.reversals.values(), *state.incidents.values(), *state.jobs.values(),
    ]


class Digest:
    """Count and sum of closed rows, one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, row: Row) -> None:
        """Count one row."""
        self.count += 1
        text = canonical([type(row).__name__, row])
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(text).digest(), "big")) % _MODULUS

    @property
    def hex(self) -> str:
        """The sum, 64 hex digits."""
        return f"{self._sum:064x}"


def kept(rows: Iterable[Row], number: int) -> Iterator[Row]:
    """Those whose family is younger than the ordinal `number`: what a checkpoint with this number does not delete."""
    rows = list(rows)
    numbers = {row.id: row.number for row in rows if isinstance(row, Transaction)}
    for row in rows:
        family = family_of(row)
        own = row.number if isinstance(row, Transaction | Reversal | Incident | Job) else 0
        if numbers.get(family or "", own) > number:
            yield row


# ── in the journal ───────────────────────────────────────────────────────────────────────────────────────────────────────


def owe(store: Store) -> None:
    """Another version of the program goes on from here: what it steps is not to be replayed with what came before."""
    store.take_notes(checkpoint_owed="1")


def is_owed(store: Store) -> bool:
    """True until the next checkpoint is written."""
    return notes.owed(store.note("checkpoint_owed"))


def newest(store: Store) -> Checkpoint | None:
    """The last one, if there is one. A note says where it stands; where that note cannot be true, the journal is searched."""
    text = store.note("checkpoint")
    found = _at(store, notes.number(text))
    oldest = next(iter(store.settled.execute("SELECT min(seq) FROM journal")))[0] or 0
    if (text and found is None) or oldest > (1 if found is None else found.first):
        return _at(store, newest_seq(store.settled))
    return found


def _at(store: Store, seq: int | None) -> Checkpoint | None:
    return next((of(entry) for entry in store.entries_after(seq - 1, 1)), None) if seq else None


def newest_seq(database: Database) -> int | None:
    """Where it stands. Looked for from the journal's end: without one this reads all of it."""
    found: int | None = next(iter(database.execute("SELECT max(seq) FROM journal WHERE type = ?", (TYPE,))))[0]
    return found


def commit(store: Store, now: Now, body: Checkpoint) -> None:
    """Write it as the newest entry, and note durably what may be deleted now."""
    data = {"version": body.version, "first": body.first, "closed": body.closed}
    noted = {"checkpoint": str(store.seq + 1), "checkpoint_owed": "0", "pruning": f"{body.first}:{body.number}"}
    store.append(TYPE, now, data, {"checkpoint": msgspec.to_builtins(body)}, noted)


def pruning(store: Store) -> tuple[int, int] | None:
    """What may be deleted and is not yet, in whole: entries before the first number, closed families up to the second.

    A note says that there is something; how far it goes stands in the checkpoint, which no flipped bit changes unseen.
    """
    allowed = newest(store) if store.note("pruning") else None
    return (allowed.first, allowed.number) if allowed is not None else None


def pruned(store: Store) -> None:
    """All of that is deleted."""
    store.take_notes(pruning="")
