"""Load, commit, and read for telemetry. One commit holds events, changed rows, journal facts and the vault's changes.

Whatever the caller was told is on disk before it is told. The journal is also the outbox: telemetry moves a cursor over it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from agent.core.change import Change, Decision
from agent.core.event import Event
from agent.core.model import Agent, Incident, Now, Row, Transaction
from agent.core.state import State
from agent.core.storageevent import RowsDamaged
from agent.journal import idempotency, loading, needed, rows, schema
from agent.journal.chain import GENESIS, Entry, canonical, link
from agent.journal.database import Database, StorageFailed, StorageFull, classify
from agent.journal.idempotency import Idempotency
from agent.journal.roll import Roll
from agent.journal.rows import Place

_ENTRY = msgspec.json.Decoder(Entry)
CHECKPOINT_PAGES = 768  # three quarters of the grown WAL: the next commit still fits
COMMIT_PAGES, STEP_PAGES = 8, 5  # what a commit writes whatever it holds, and what each of its steps adds: as counted for sales


class Stepped(msgspec.Struct):
    """One stepped event, ready to be committed: `sealed` fields go into the vault under `ref`."""

    event: Event
    now: Now
    change: Change
    loaded: list[Row]
    ref: str | None = None
    sealed: dict[str, bytes] = {}
    idempotency: Idempotency | None = None


class Store:
    """The journal's writer, and the readers that share its connection."""

    def __init__(self, database: Database) -> None:
        self.database = database
        schema.migrate(database)
        with suppress(StorageFull):  # without its reserve the journal still takes what fits
            database.grow_wal()
        self.epoch = self.note("epoch")
        self._cursor = int(self.note("cursor"))
        self.scrub_owed = self.note("scrub_owed") == "1"
        head = next(iter(database.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")), None)
        self.seq: int = head[0] if head else 0
        self.hash: bytes = bytes(head[1]) if head else GENESIS
        self.damage_seen: Callable[[StorageFailed], None] = lambda _error: None
        self._roll = Roll()
        self._newest: int = next(iter(database.execute("SELECT coalesce(max(number), 0) FROM transactions")))[0]
        self._unchecked = 0  # about so many pages wait in the WAL
        self.boots = 0
        self.commits = 0

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open or make the journal at `path`. Raises StorageFailed when it is damaged."""
        database = Database.open(path)
        try:
            return cls(database)
        except (sqlite3.Error, ValueError) as error:  # ValueError: one of its notes
            database.close()
            raise classify(error) or StorageFailed("the journal's own notes are damaged") from error

    # ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> State:
        """The state as it was committed: single rows, every family that has an open row, and those by which they are judged.

        What is damaged is made anew from the journal first. Raises StorageFailed where it cannot be.
        """
        with self.database.reading():
            loaded = loading.load(self.database)
            whole = loaded.is_whole(self._told_roll())
            if not whole or loaded.beside or self.note("restore_owed") == "1":
                from agent.journal.restore import restore  # seldom, and with all that a replay needs

                restore(self.database, open_is_whole=whole)
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
        note = self.note("damage")
        return msgspec.json.decode(note, type=RowsDamaged) if note else None

    def select(self, kind: type, where: str, parameters: Sequence[object]) -> list[Any]:
        """Rows of one kind. Raises StorageFailed at a damaged one, which the next start makes anew."""
        found, damaged = rows.read(self.database, kind, where, parameters)
        self._sound(damaged)
        return [stored.row for stored in found]

    def family(self, transaction: str) -> list[Row]:
        """Every row of one transaction, oldest first. Raises StorageFailed as `select` does."""
        found, damaged = loading.family(self.database, transaction)
        self._sound(damaged)
        return [stored.row for stored in found]

    def _sound(self, damaged: list[Place]) -> None:
        if damaged:
            self.take_notes(restore_owed="1")
            error = StorageFailed(f"row {damaged[0][1]} of {damaged[0][0]} is damaged: the next start makes it anew")
            self.damage_seen(error)
            raise error

    def missing(self, state: State, event: Event) -> list[Row]:
        """The closed families that this event needs and the state has forgotten."""
        return needed.rows(self, state, event)

    def named(self, terminal_id: str, batch: str, stan: str) -> list[str]:
        """The ids of the transactions that carry this key of the field: one, beside those that were not sent."""
        query = self.database.execute(
            "SELECT id FROM transactions WHERE stan = ? AND batch = ? AND terminal_id = ?", (stan, batch, terminal_id)
        )
        return [key for (key,) in query]

    # ── committing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def commit(self, steps: list[Stepped]) -> None:
        """One transaction for all; `tidy` comes after it. Raises StorageFull or StorageFailed; then nothing of it may be used."""
        seq, hash_, boots = self.seq, self.hash, self.boots
        wiped = False
        with self.database.transaction():
            roll = self._write_rows(steps)
            for stepped in steps:
                boots = next((row.boots for row in stepped.change.rows if isinstance(row, Agent)), boots)
                seq, hash_ = self._write_facts(stepped, seq, hash_, boots, roll.sum)
                for name, blob in stepped.sealed.items():
                    self.database.execute("INSERT OR REPLACE INTO vault VALUES (?, ?, ?)", (stepped.ref, name, blob))
                for ref in stepped.change.wiped:
                    self.database.execute("DELETE FROM vault WHERE ref = ?", (ref,))
                    wiped = True
                if stepped.idempotency is not None:
                    decision = stepped.change.decision
                    idempotency.write(self.database, stepped.idempotency, decision, stepped.now.wall_ms, boots)
            if wiped and not self.scrub_owed:
                self._take_notes({"scrub_owed": "1"})
        self.seq, self.hash, self.boots, self._roll = seq, hash_, boots, roll
        self.commits += 1
        self.scrub_owed = self.scrub_owed or wiped
        self._unchecked += COMMIT_PAGES + STEP_PAGES * len(steps)

    def _write_rows(self, steps: list[Stepped]) -> Roll:
        """The rows of all steps, each in its last form, and the roll with them on it."""
        roll = self._roll.copy()
        for row in {(type(row), row.id): row for stepped in steps for row in stepped.change.rows}.values():
            if isinstance(row, Transaction) and row.number > self._newest:  # nothing of it can be there yet
                self._newest = row.number
            elif (family := roll.lacks(row)) is not None:
                roll.enter(loading.family(self.database, family)[0])
            roll.put(*rows.write(self.database, row))
        return roll

    def _write_facts(self, stepped: Stepped, seq: int, hash_: bytes, boots: int, roll: int) -> tuple[int, bytes]:
        now = stepped.now
        state_input: dict[str, Any] | None = self._input(stepped)
        for fact in stepped.change.facts:
            seq += 1
            entry = Entry(
                seq=seq, type=fact.type, boot=boots, mono_ms=now.boottime_ms, wall_ms=now.wall_ms, clk=now.clk,
                transaction=fact.transaction, incident=fact.incident, data=fact.data, input=state_input,
            )
            state_input = None
            hash_ = self._write_entry(entry, hash_, roll)
        return seq, hash_

    def _write_entry(self, entry: Entry, previous: bytes, roll: int) -> bytes:
        body = canonical(entry)
        hash_ = link(previous, entry.seq, body)
        self.database.execute(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.seq, entry.type, entry.transaction, entry.incident, body, hash_, roll),
        )
        return hash_

    @staticmethod
    def _input(stepped: Stepped) -> dict[str, Any]:
        value: dict[str, Any] = {"event": stepped.event, "now": stepped.now}
        if stepped.loaded:
            value["loaded"] = [[type(row).__name__, row] for row in stepped.loaded]
        return value

    def asked_before(self, asked: Idempotency, wall_ms: int | None = None) -> tuple[bytes, Decision] | None:
        """The digest and the first answer under this key, as long as it is kept."""
        return idempotency.find(self.database, asked, wall_ms)

    # ── housekeeping ─────────────────────────────────────────────────────────────────────────────────────────────────

    def tidy(self) -> None:
        """What every commit is followed by, once its callers have their answers: a checkpoint when the WAL holds its limit."""
        if self._unchecked >= CHECKPOINT_PAGES or self.database.wal_is_too_large():
            self.checkpoint()

    def checkpoint(self) -> None:
        """Passive checkpoint, at idle or when the WAL holds its limit. With the disk full it is left for later."""
        if self._unchecked:
            with suppress(StorageFull):
                self.database.checkpoint()
            self._unchecked = 0

    def scrub(self) -> bool:
        """Clean database and WAL of wiped secrets, durably noting that it was done. False: try later."""
        try:
            if not self.database.scrub():
                return False
            self.take_notes(scrub_owed="0")
        except StorageFull:
            return False
        self.scrub_owed = False
        return True

    def append(self, type_: str, now: Now, data: dict[str, Any], input_: dict[str, Any], notes: dict[str, str]) -> None:
        """An entry of the journal's own, which no event made, and the notes that go with it, in one commit."""
        entry = Entry(
            seq=self.seq + 1, type=type_, boot=self.boots, mono_ms=now.boottime_ms, wall_ms=now.wall_ms, clk=now.clk,
            transaction=None, incident=None, data=data, input=input_,
        )
        with self.database.transaction():
            hash_ = self._write_entry(entry, self.hash, self._roll.sum)
            self._take_notes(notes)
        self.seq, self.hash = entry.seq, hash_

    def delete(self, *statements: tuple[str, Sequence[object]]) -> None:
        """Delete in one commit, and bring it into the database at once: much of it must not fill the WAL."""
        with self.database.transaction():
            for sql, parameters in statements:
                self.database.execute(sql, parameters)
        self._unchecked += 1
        self.checkpoint()

    def note(self, key: str) -> str:
        """One of the journal's own notes, "" for one that was never taken."""
        return next((value for (value,) in self.database.execute("SELECT value FROM meta WHERE key = ?", (key,))), "")

    def take_notes(self, **notes: str) -> None:
        """Change some of them in one commit."""
        with self.database.transaction():
            self._take_notes(notes)

    def _take_notes(self, notes: dict[str, str]) -> None:
        for key, value in notes.items():
            self.database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def writable(self) -> bool:
        """True when a write transaction can be begun: proof that the writer moves."""
        try:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.execute("ROLLBACK")
        except Exception:  # noqa: BLE001  (whatever it is, the writer does not move)
            return False
        return True

    def sealed(self, ref: str) -> dict[str, bytes]:
        """The sealed fields of one vault entry."""
        return {
            name: bytes(blob) for name, blob in self.database.execute("SELECT field, sealed FROM vault WHERE ref = ?", (ref,))
        }

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
        return [_ENTRY.decode(body) for (body,) in self.database.execute(query, (seq, limit))]

    def cursor(self) -> int:
        """The last entry that telemetry is done with."""
        return self._cursor

    def move(self, seq: int) -> None:
        """Everything up to `seq` was delivered. Lost at a power cut it is only sent again, and de-duplicated."""
        self.take_notes(cursor=str(seq))
        self._cursor = seq

    def skip(self, seq: int, reason: str) -> None:
        """The broker refuses this entry for good: note it, so that it does not hold back the others."""
        with self.database.transaction():
            self.database.execute("INSERT OR REPLACE INTO poison VALUES (?, ?)", (seq, reason))

    def close(self) -> None:
        """Close the connection."""
        self.database.close()
