"""Load, commit, and read for telemetry. One commit holds events, changed rows, journal facts and the vault's changes.

Whatever the caller was told is on disk before it is told. The journal is also the outbox: telemetry moves a cursor over it.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from agent.core.accounts import Ledger
from agent.core.change import Change, Decision
from agent.core.commandbook import CommandBook
from agent.core.event import Event
from agent.core.model import Agent, Display, Incident, Job, Line, Now, Printer, Reversal, Row, Streaks, Transaction
from agent.core.state import State
from agent.journal import idempotency, needed, schema
from agent.journal.chain import GENESIS, Entry, canonical, link
from agent.journal.database import Database, StorageFull
from agent.journal.idempotency import Idempotency

TABLES: dict[type, str] = {Transaction: "transactions", Reversal: "reversals", Incident: "incidents", Job: "jobs"}
SINGLES: dict[str, type] = {
    "agent": Agent, "line": Line, "printer": Printer, "display": Display, "streaks": Streaks, "ledger": Ledger,
    "commands": CommandBook,
}
DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (*TABLES, *SINGLES.values())
}
_ENTRY = msgspec.json.Decoder(Entry)
# What can change of a row that is there already; the columns people search by never do.
_AGAIN = " ON CONFLICT(number) DO UPDATE SET open = excluded.open, state = excluded.state, body = excluded.body"
CHECKPOINT_STEPS = 48  # a step touches about 16 pages: the commits of so many fit into the grown WAL


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
        self._unchecked = 0
        self.boots = 0
        self.commits = 0

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open or make the journal at `path`."""
        return cls(Database.open(path))

    # ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> State:
        """The state as it was committed: single rows, and every family that has an open row."""
        rows: list[Row] = [
            DECODERS[SINGLES[key]].decode(body) for key, body in self.database.execute("SELECT id, body FROM singles")
        ]
        state = State(rows)
        self.boots = state.agent.boots
        families: dict[str, None] = {}
        for table in TABLES.values():
            column = "id" if table in {"transactions", "reversals"} else '"transaction"'
            for key, body in self.database.execute(
                f"SELECT {column}, body FROM {table} WHERE open ORDER BY number"  # noqa: S608
            ):
                if key is None:
                    kind = next(kind for kind, name in TABLES.items() if name == table)
                    state.absorb([DECODERS[kind].decode(body)])
                else:
                    families[key] = None
        for key in sorted(families, key=self._number):
            state.absorb(self.family(key))
        return state

    def _number(self, transaction: str) -> int:
        found = next(iter(self.database.execute("SELECT number FROM transactions WHERE id = ?", (transaction,))), None)
        return found[0] if found else 0

    def family(self, transaction: str) -> list[Row]:
        """Every row of one transaction, oldest first."""
        rows: list[Row] = []
        for kind, table in TABLES.items():
            column = "id" if kind in {Transaction, Reversal} else '"transaction"'
            rows += [
                DECODERS[kind].decode(body)
                for (body,) in self.database.execute(
                    f"SELECT body FROM {table} WHERE {column} = ? ORDER BY number", (transaction,)  # noqa: S608
                )
            ]
        return rows

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
        """One transaction for all of them. Raises StorageFull or StorageFailed; then nothing of it may be used."""
        seq, hash_, boots = self.seq, self.hash, self.boots
        wiped = False
        with self.database.transaction():
            for stepped in steps:
                boots = next((row.boots for row in stepped.change.rows if isinstance(row, Agent)), boots)
                seq, hash_ = self._write_facts(stepped, seq, hash_, boots)
                for row in stepped.change.rows:
                    self._write_row(row)
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
        self.seq, self.hash, self.boots = seq, hash_, boots
        self.commits += 1
        self.scrub_owed = self.scrub_owed or wiped
        self._unchecked += len(steps)
        if self._unchecked >= CHECKPOINT_STEPS or self.database.wal_is_too_large():
            self.checkpoint()

    def _write_facts(self, stepped: Stepped, seq: int, hash_: bytes, boots: int) -> tuple[int, bytes]:
        now = stepped.now
        state_input: dict[str, Any] | None = self._input(stepped)
        for fact in stepped.change.facts:
            seq += 1
            entry = Entry(
                seq=seq, type=fact.type, boot=boots, mono_ms=now.boottime_ms, wall_ms=now.wall_ms, clk=now.clk,
                transaction=fact.transaction, incident=fact.incident, data=fact.data, input=state_input,
            )
            state_input = None
            hash_ = self._write_entry(entry, hash_)
        return seq, hash_

    def _write_entry(self, entry: Entry, previous: bytes) -> bytes:
        body = canonical(entry)
        hash_ = link(previous, entry.seq, body)
        self.database.execute(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)",
            (entry.seq, entry.type, entry.transaction, entry.incident, body, hash_),
        )
        return hash_

    @staticmethod
    def _input(stepped: Stepped) -> dict[str, Any]:
        value: dict[str, Any] = {"event": stepped.event, "now": stepped.now}
        if stepped.loaded:
            value["loaded"] = [[type(row).__name__, row] for row in stepped.loaded]
        return value

    def _write_row(self, row: Row) -> None:
        body = msgspec.json.encode(row)
        match row:
            case Transaction():
                self.database.execute(
                    "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)" + _AGAIN,  # noqa: S608  (a constant)
                    (row.number, row.id, row.open, row.state, row.terminal_id, row.batch, row.stan, row.amount_fen, body),
                )
            case Reversal():
                self.database.execute(
                    "INSERT INTO reversals VALUES (?, ?, ?, ?, ?, ?)" + _AGAIN,  # noqa: S608  (a constant)
                    (row.number, row.id, row.open, row.state, row.id, body),
                )
            case Incident():
                self.database.execute(
                    "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?)" + _AGAIN,  # noqa: S608  (a constant)
                    (row.number, row.id, row.open, "open" if row.open else "closed", row.transaction, row.code, body),
                )
            case Job():
                self.database.execute(
                    "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?)" + _AGAIN,  # noqa: S608  (a constant)
                    (row.number, row.id, row.open, row.state, row.transaction, body),
                )
            case _:
                self.database.execute("INSERT OR REPLACE INTO singles VALUES (?, ?)", (row.id, body))

    def asked_before(self, asked: Idempotency, wall_ms: int | None = None) -> tuple[bytes, Decision] | None:
        """The digest and the first answer under this key, as long as it is kept."""
        return idempotency.find(self.database, asked, wall_ms)

    # ── housekeeping ─────────────────────────────────────────────────────────────────────────────────────────────────

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
            hash_ = self._write_entry(entry, self.hash)
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
        query = self.database.execute("SELECT body FROM incidents WHERE id = ?", (key,))
        return next((DECODERS[Incident].decode(body) for (body,) in query), None)

    def incidents(self, *, only_open: bool, before: int, limit: int) -> list[Incident]:
        """Incidents with a smaller number than `before`, newest first."""
        query = self.database.execute(
            "SELECT body FROM incidents WHERE number < ? AND open >= ? ORDER BY number DESC LIMIT ?", (before, only_open, limit)
        )
        return [DECODERS[Incident].decode(body) for (body,) in query]

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
