"""Housekeeping of a long life: writes a checkpoint when one is owed, then deletes what is older than the retention.

Everything is done in small slices while nothing else happens. A commit of the inbox in between starts the counting anew:
counting is cheap, and a till has quiet hours. Nothing that is open or by which what is open is judged, that was not delivered, or
whose age is not known is deleted.
"""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import msgspec

from agent.core.model import Incident, Job, Now, Reversal, Transaction
from agent.journal import checkpoint
from agent.journal.chain import GENESIS, Entry
from agent.journal.checkpoint import Checkpoint, Digest
from agent.journal.rows import TABLES, family_of, parent_column
from agent.journal.store import Store

SLICE_ROWS = 500  # a few milliseconds of reading
BATCH_ROWS = 100  # deleted in one commit, which fits into the grown WAL
ENTRIES_MAX = 20_000  # deleted by one checkpoint: a clock that is wrong by years costs so much of the past and no more
LOOK_EVERY_MS = 3_600_000
DAY_MS = 86_400_000
OPEN_FACTOR = 2  # the story of what is still open is kept twice as long


class _Age(NamedTuple):
    """What is old: before `before_ms`, or before `story_ms` where it tells of something still open. Unknown is not old."""

    now_ms: int
    before_ms: int
    story_ms: int

    def young(self, wall_ms: int | None, *, story: bool = False) -> bool:
        """Surely too young to be deleted. A time in the future was written under a wrong clock: its age is unknown."""
        return wall_ms is not None and (self.story_ms if story else self.before_ms) <= wall_ms <= self.now_ms

    def old(self, wall_ms: int | None) -> bool:
        """Surely old enough."""
        return wall_ms is not None and wall_ms < self.before_ms


class Pruner:
    """One journal's housekeeping.

    `published` tells the types of facts that telemetry sends; `delivered` gives the last entry it is done with, None where
    nothing is sent; `forget` makes the inbox let go of closed rows, so that what is needed of them later is journaled.
    """

    def __init__(
        self, store: Store, version: str, retention_ms: int, *,
        published: Callable[[str], bool], delivered: Callable[[], int | None], forget: Callable[[], None],
    ) -> None:
        self._store = store
        self._version = version
        self._retention_ms = retention_ms
        self._published = published
        self._delivered = delivered
        self._forget = forget
        self._work: Generator[None, None, None] | None = None
        self._commits = 0
        self._looked_ms: int | None = None

    def go_on(self, now: Now) -> bool:
        """One slice, if anything is to be done. True: call again soon. Raises StorageFull or StorageFailed."""
        if self._work is None:
            self._work = self._all(now) if self._due(now) else None
        elif self._commits != self._store.commits:
            self._work = self._all(now)
        if self._work is None:
            return False
        work, self._work = self._work, None  # whatever is raised below, the next call begins anew
        for _ in work:
            self._work = work
            break
        self._commits = self._store.commits
        return self._work is not None

    def _due(self, now: Now) -> bool:
        """True when a checkpoint is owed, a deletion was interrupted, or the oldest entry is a day past its time."""
        if checkpoint.is_owed(self._store) or checkpoint.pruning(self._store) is not None:
            return True
        if self._looked_ms is not None and 0 <= now.boottime_ms - self._looked_ms < LOOK_EVERY_MS:
            return False
        self._looked_ms = now.boottime_ms
        age = self._age(now)
        oldest = next(iter(self._store.entries_after(0, 1)), None)
        if age is None or oldest is None or oldest.wall_ms is None:
            return False
        return age.old(oldest.wall_ms + min(DAY_MS, self._retention_ms))

    def _age(self, now: Now) -> _Age | None:
        if now.wall_ms is None:
            return None
        before_ms = now.wall_ms - self._retention_ms
        return _Age(now.wall_ms, before_ms, before_ms - (OPEN_FACTOR - 1) * self._retention_ms)

    def _all(self, now: Now) -> Generator[None, None, None]:
        if checkpoint.pruning(self._store) is None:
            yield from self._write(now)
        yield from self._delete()

    # ── the checkpoint ───────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, now: Now) -> Generator[None, None, None]:
        last = checkpoint.newest(self._store)
        first, before, number = (1, GENESIS.hex(), 0) if last is None else (last.first, last.first_hash, last.number)
        opened = checkpoint.rows_of(self._store.load())
        families = frozenset(row.id for row in opened if isinstance(row, Transaction))
        age = self._age(now)
        if age is not None:
            number = yield from self._old_number(age, number)
            cut = yield from self._old_entries(age, families, first)
            if cut >= first:
                first, before = cut + 1, self._hash_of(cut)
        digest = Digest()
        for kind in TABLES:
            yield from self._count(kind, number, families, digest)
        rows = [(type(row).__name__, row) for row in opened]
        body = Checkpoint(
            version=self._version, first=first, first_hash=before, number=number, closed=digest.count, digest=digest.hex,
            rows=rows,
        )
        checkpoint.commit(self._store, now, body)
        self._forget()
        yield

    def _old_number(self, age: _Age, number: int) -> Generator[None, None, int]:
        """The ordinal of the last old transaction before the first young one."""
        after = number
        while True:
            chunk = self._store.select(Transaction, "WHERE number > ? ORDER BY number LIMIT ?", (after, SLICE_ROWS))
            for row in chunk:
                if age.young(row.opened.wall_ms):
                    return number
                number = row.number if age.old(row.opened.wall_ms) else number
            if len(chunk) < SLICE_ROWS:
                return number
            after = chunk[-1].number
            yield

    def _old_entries(self, age: _Age, opened: frozenset[str], first: int) -> Generator[None, None, int]:
        """The last entry that may go. The newest one that was published and delivered stays: the next one names it."""
        delivered = self._delivered()
        end = min(first - 1 + ENTRIES_MAX, self._store.seq if delivered is None else delivered)
        cut = published = first - 1
        after, young = cut, False
        while after < end and not young:
            for entry in self._store.entries_after(after, min(SLICE_ROWS, end - after)):
                young = self._stays(entry, age, opened)
                if young:
                    break
                cut = entry.seq if age.old(entry.wall_ms) else cut
                after = entry.seq
                published = after if self._published(entry.type) else published
            yield
        if delivered is None or (yield from self._any_published(cut, delivered)):
            return cut
        return min(cut, published - 1)

    @staticmethod
    def _stays(entry: Entry, age: _Age, opened: frozenset[str]) -> bool:
        return age.young(entry.wall_ms, story=entry.transaction in opened)

    def _any_published(self, after: int, until: int) -> Generator[None, None, bool]:
        while after < until:
            entries = self._store.entries_after(after, min(SLICE_ROWS, until - after))
            if any(self._published(entry.type) for entry in entries):
                return True
            after = entries[-1].seq if entries else until
            yield
        return False

    def _count(self, kind: type, number: int, opened: frozenset[str], digest: Digest) -> Generator[None, None, None]:
        """Add the closed rows of one table that stay."""
        after = 0
        while True:
            chunk = self._store.select(kind, "WHERE number > ? ORDER BY number LIMIT ?", (after, SLICE_ROWS))
            for row in chunk:
                family = family_of(row)
                if family not in opened and not (family is None and row.open) and self._family_number(row, family) > number:
                    digest.add(row)
            yield
            if len(chunk) < SLICE_ROWS:
                return
            after = chunk[-1].number

    def _family_number(self, row: Any, family: str | None) -> int:
        """The ordinal of its transaction, or its own."""
        query = self._store.database.execute("SELECT number FROM transactions WHERE id = ?", (family,))
        return int(next((number for (number,) in query), row.number))

    # ── deleting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _delete(self) -> Generator[None, None, None]:
        """Rows first, then entries from the oldest on: what an interruption leaves is still a whole chain."""
        allowed = checkpoint.pruning(self._store)
        assert allowed is not None, "only what a checkpoint allows is deleted"
        first, number = allowed
        judged_by = msgspec.json.encode([link for row in self._store.load().transactions.values() for link in row.links]).decode()
        while keys := self._closed_families(number, judged_by):
            marks = ", ".join("?" * len(keys))
            self._store.delete(
                *((f"DELETE FROM {table} WHERE {parent_column(kind)} IN ({marks})", keys) for kind, table in TABLES.items())  # noqa: S608
            )
            yield
        for table in (TABLES[Incident], TABLES[Job]):
            where = '"transaction" IS NULL AND number <= ? AND NOT open'
            self._store.delete((f"DELETE FROM {table} WHERE {where}", (number,)))  # noqa: S608
        while (oldest := self._first()) < first:
            until = min(first, oldest + BATCH_ROWS)
            self._store.delete(
                ("DELETE FROM journal WHERE seq < ?", (until,)), ("DELETE FROM poison WHERE seq < ?", (until,))
            )
            yield
        checkpoint.pruned(self._store)

    def _first(self) -> int:
        return int(next(iter(self._store.database.execute("SELECT min(seq) FROM journal")))[0])

    def _hash_of(self, seq: int) -> str:
        return bytes(next(iter(self._store.database.execute("SELECT hash FROM journal WHERE seq = ?", (seq,))))[0]).hex()

    def _closed_families(self, number: int, judged_by: str) -> list[str]:
        """The oldest of them, but for those by which what is open is judged (a JSON array)."""
        members = " ".join(
            f"AND NOT EXISTS (SELECT 1 FROM {TABLES[kind]} m WHERE m.{parent_column(kind)} = t.id AND m.open)"  # noqa: S608
            for kind in (Reversal, Incident, Job)
        )
        members += " AND id NOT IN (SELECT value FROM json_each(?))"
        query = f"SELECT id FROM transactions t WHERE number <= ? AND NOT open {members} ORDER BY number LIMIT ?"  # noqa: S608
        return [key for (key,) in self._store.database.execute(query, (number, judged_by, BATCH_ROWS // 4))]
