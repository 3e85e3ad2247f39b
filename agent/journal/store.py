"""Load, commit, and read for telemetry. One commit holds events, changed rows, journal facts and the vault's changes.

Whatever the caller was told is on disk before it is told. The journal is also the outbox: telemetry moves a cursor over it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from agent.core.change import Decision
from agent.core.event import Event
from agent.core.model import Incident, Now, Row
from agent.core.state import State
from agent.core.storageevent import RowsDamaged
from agent.journal import idempotency, loading, needed, notes, rows, schema, secrets
from agent.journal.ahead import Ahead
from agent.journal.ahead import Stepped as Stepped
from agent.journal.chain import GENESIS, Entry
from agent.journal.database import Damaged, Database, StorageError, StorageFailed, StorageFull, classify
from agent.journal.idempotency import Idempotency
from agent.journal.indexes import GIVEN_UP, hide_nothing_new
from agent.journal.roll import Roll
from agent.journal.rows import Place

_ENTRY = msgspec.json.Decoder(Entry)
CHECKPOINT_PAGES = 768  # three quarters of the grown WAL: the next commit still fits
LOOK_PAGES = 128  # so many later its size is looked at: stat marks the file, and the next commit writes its inode too
COMMIT_PAGES, STEP_PAGES = 8, 5  # what a commit writes whatever it holds, and what each of its steps adds: as counted for sales


class Store:
    """The journal's writer, and the readers that share its connection."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.before_reading: Callable[[], None] = lambda: None  # commits what was begun
        self._ahead: Ahead | None = None
        schema.migrate(database)
        with suppress(StorageFull):  # without its reserve the journal still takes what fits
            database.grow_wal()
        head = next(iter(database.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")), None)
        self.seq: int = head[0] if head else 0
        self.hash: bytes = bytes(head[1]) if head else GENESIS
        self.epoch, self._cursor, self.scrub_owed = notes.at_start(database, self.seq)
        self.damage_seen: Callable[[StorageFailed], None] = lambda _error: None
        self.restore_waits = False  # for room on the disk
        self._roll = Roll()
        self._newest: int = next(iter(database.execute("SELECT coalesce(max(number), 0) FROM transactions")))[0]
        self._unchecked = 0  # about so many pages wait in the WAL
        self._unseen = 0  # about so many were written since its size was looked at
        self.boots = 0
        self.commits = 0

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open or make the journal at `path`. Raises StorageFailed when it is damaged."""
        database = Database.open(path)
        try:
            return cls(database)
        except Exception as error:
            database.close()
            raise classify(error) or error from error

    # ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> State:
        """The state as it was committed: single rows, every family that has an open row, and those by which they are judged.

        What is damaged is made anew from the journal first. Raises StorageFailed where it cannot be.
        """
        with self.settled.reading():
            loaded = loading.load(self.database)
            whole = loaded.is_whole(self._told_roll())
            owed = self.note("restore_owed")
            if not whole or loaded.beside or (owed != GIVEN_UP and (notes.owed(owed) or not hide_nothing_new(self.database))):
                from agent.journal.restore import restore  # seldom, and with all that a replay needs

                can_wait = whole and not loaded.beside
                self.restore_waits = not restore(self.database, open_is_whole=whole, can_wait=can_wait)
                loaded = loading.load(self.database)
        self._roll = loaded.roll
        state = State(loaded.rows)
        self.boots = state.agent.boots
        return state

    def _told_roll(self) -> int | None:
        found = next(iter(self.database.execute("SELECT roll FROM journal ORDER BY seq DESC LIMIT 1")), None)
        return found[0] if found is not None else None

    def damage(self) -> RowsDamaged | None:
        """What a start had to mend, until it is told: the agent submits it, and then takes the note `damage` back."""
        return notes.damage(self.note("damage"))

    def select(self, kind: type, where: str, parameters: Sequence[object]) -> list[Any]:
        """Rows of one kind. Raises StorageFailed at a damaged one, which the next start makes anew."""
        found, damaged = rows.read(self.settled, kind, where, parameters)
        self._sound(damaged)
        return [stored.row for stored in found]

    def family(self, transaction: str) -> list[Row]:
        """Every row of one transaction, oldest first. Raises StorageFailed as `select` does."""
        found, damaged = loading.family(self.settled, transaction)
        self._sound(damaged)
        return [stored.row for stored in found]

    def _sound(self, damaged: list[Place]) -> None:
        if damaged:
            error = Damaged(f"row {damaged[0][1]} of {damaged[0][0]} is damaged: the next start makes it anew")
            self.failed(error)
            self.damage_seen(error)
            raise error

    def failed(self, error: StorageFailed) -> None:
        """The program ends with this error. What is damaged is owed to the next start."""
        if isinstance(error, Damaged):
            with suppress(StorageError):
                self.abandon()
                self.take_notes(restore_owed="1")

    def missing(self, state: State, event: Event) -> list[Row]:
        """The closed families that this event needs and the state has forgotten."""
        return needed.rows(self, state, event)

    def named(self, terminal_id: str, batch: str, stan: str) -> list[str]:
        """The ids of the transactions that carry this key of the field: one, beside those that were not sent."""
        query = self.settled.execute(
            "SELECT id FROM transactions WHERE stan = ? AND batch = ? AND terminal_id = ?", (stan, batch, terminal_id)
        )
        return [key for (key,) in query]

    # ── committing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, steps: list[Stepped]) -> None:
        """Write these ahead of the next `commit`, with which they come onto the disk, and before which no other program sees
        them. Raises as that does; then nothing that was begun may be used.
        """
        ahead = self._continued()
        try:
            ahead.write(self.database, steps)
        except Exception as error:
            raise self.database.undone(error) from error
        self._ahead = ahead

    def commit(self, steps: list[Stepped]) -> None:
        """One transaction for all, and what was begun; `tidy` comes after it. Raises StorageFull or StorageFailed; then nothing
        of it may be used.
        """
        ahead = self._continued()
        try:
            ahead.write(self.database, steps)
            self.database.execute("COMMIT")
        except Exception as error:
            raise self.database.undone(error) from error
        self._come_to(ahead)
        self.commits += 1
        pages = COMMIT_PAGES + STEP_PAGES * ahead.steps
        self._unchecked += pages
        self._unseen += pages

    def _continued(self) -> Ahead:
        ahead, self._ahead = self._ahead, None
        return ahead or Ahead(self.seq, self.hash, self.boots, self._roll, self._newest, self.scrub_owed)

    def _come_to(self, ahead: Ahead) -> None:
        self.seq, self.hash, self.boots, self._roll = ahead.seq, ahead.hash, ahead.boots, ahead.roll
        self._newest, self.scrub_owed = ahead.newest, ahead.scrub_owed

    def abandon(self) -> None:
        """Take back what was begun: it will not be committed."""
        if self._ahead is not None:
            self._ahead = None
            self.database.roll_back()

    @property
    def settled(self) -> Database:
        """The database with nothing in it that is begun and not committed: for whoever reads, or writes something else."""
        if self._ahead is not None:
            self.before_reading()
        return self.database

    def asked_before(self, asked: Idempotency, wall_ms: int | None = None) -> tuple[bytes, Decision] | None:
        """The digest and the first answer under this key, as long as it is kept."""
        return idempotency.find(self.settled, asked, wall_ms)

    # ── housekeeping ─────────────────────────────────────────────────────────────────────────────────────────────────

    def tidy(self) -> None:
        """What every commit is followed by, once its callers have their answers: a checkpoint when the WAL holds its limit."""
        if self._unchecked >= CHECKPOINT_PAGES or (self._unseen >= LOOK_PAGES and self._wal_is_too_large()):
            self.checkpoint()

    def _wal_is_too_large(self) -> bool:
        self._unseen = 0
        return self.database.wal_is_too_large()

    def checkpoint(self) -> None:
        """Passive checkpoint, at idle or when the WAL holds its limit. With the disk full it is left for later."""
        if self._unchecked:
            with suppress(StorageFull):
                self.settled.checkpoint()
            self._unchecked = 0

    def scrub(self) -> bool:
        """Clean database and WAL of wiped secrets, durably noting that it was done. False: try later."""
        try:
            if not self.settled.scrub():
                return False
            self.take_notes(scrub_owed="0")
        except StorageFull:
            return False
        self.scrub_owed = False
        return True

    def append(self, type_: str, now: Now, data: dict[str, Any], input_: dict[str, Any], noted: dict[str, str]) -> None:
        """An entry of the journal's own, which no event made, and the notes that go with it, in one commit."""
        database = self.settled
        entry = Entry(
            seq=self.seq + 1, type=type_, boot=self.boots, mono_ms=now.boottime_ms, wall_ms=now.wall_ms, clk=now.clk,
            transaction=None, incident=None, data=data, input=input_,
        )
        with database.transaction():
            ahead = self._continued()
            ahead.append(database, entry)
            database.take_notes(noted)
        self._come_to(ahead)

    def delete(self, *statements: tuple[str, Sequence[object]]) -> None:
        """Delete in one commit, and bring it into the database at once: much of it must not fill the WAL."""
        with self.settled.transaction():
            for sql, parameters in statements:
                self.database.execute(sql, parameters)
        self._unchecked += 1
        self.checkpoint()

    def note(self, key: str) -> str:
        """One of the journal's own notes, "" for one that was never taken."""
        return notes.read(self.settled, key)

    def take_notes(self, **changed: str) -> None:
        """Change some of them in one commit."""
        with self.settled.transaction():
            self.database.take_notes(changed)

    def writable(self) -> bool:
        """True when a write transaction can be begun: proof that the writer moves."""
        try:
            self.settled.execute("BEGIN IMMEDIATE")
            self.database.execute("ROLLBACK")
        except Exception:  # noqa: BLE001  (whatever it is, the writer does not move)
            return False
        return True

    def sealed(self, ref: str) -> dict[str, bytes]:
        """The sealed fields of one vault entry."""
        return secrets.find(self.settled, ref)

    def incident(self, key: str) -> Incident | None:
        """One incident, open or closed."""
        return next(iter(self.select(Incident, "WHERE r.id = ?", (key,))), None)

    def incidents(self, *, only_open: bool, before: int, limit: int) -> list[Incident]:
        """Incidents with a smaller number than `before`, newest first."""
        where = "WHERE r.number < ? AND r.open >= ? ORDER BY r.number DESC LIMIT ?"
        return self.select(Incident, where, (before, only_open, limit))

    # ── the outbox ───────────────────────────────────────────────────────────────────────────────────────────────────

    def read_after(self, seq: int, limit: int) -> list[Entry]:
        """Up to `limit` entries after `seq` for telemetry: in order, without those that no broker takes."""
        return self._entries("WHERE seq > ? AND seq NOT IN (SELECT seq FROM poison)", seq, limit)

    def entries_after(self, seq: int, limit: int) -> list[Entry]:
        """Up to `limit` entries after `seq`, all of them, in order."""
        return self._entries("WHERE seq > ?", seq, limit)

    def _entries(self, where: str, seq: int, limit: int) -> list[Entry]:
        query = f"SELECT body FROM journal {where} ORDER BY seq LIMIT ?"  # noqa: S608  (a constant of this class)
        return [_ENTRY.decode(body) for (body,) in self.settled.execute(query, (seq, limit))]

    def cursor(self) -> int:
        """The last entry that telemetry is done with."""
        return self._cursor

    def move(self, seq: int) -> None:
        """Everything up to `seq` was delivered. Lost at a power cut it is only sent again, and de-duplicated."""
        self.take_notes(cursor=str(seq))
        self._cursor = seq

    def skip(self, seq: int, reason: str) -> None:
        """The broker refuses this entry for good: note it, so that it does not hold back the others."""
        with self.settled.transaction():
            self.database.execute("INSERT OR REPLACE INTO poison VALUES (?, ?)", (seq, reason))

    def close(self) -> None:
        """Close the connection."""
        self.database.close()
