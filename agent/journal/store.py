"""Load, commit, and read for telemetry. One commit holds events, changed rows, journal facts and the vault's changes.

Whatever the caller was told is on disk before it is told. The journal is also the outbox: telemetry moves a cursor over it.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec

from agent.core.change import Change, Decision
from agent.core.event import Event, HostReply, IncidentResolved, JobFinished, Opened
from agent.core.model import Agent, Incident, Job, Line, Now, Printer, Reversal, Row, Transaction
from agent.core.state import State
from agent.journal import schema
from agent.journal.chain import GENESIS, Entry, canonical, link
from agent.journal.database import Database, StorageFull

TABLES: dict[type, str] = {Transaction: "transactions", Reversal: "reversals", Incident: "incidents", Job: "jobs"}
SINGLES: dict[str, type] = {"agent": Agent, "line": Line, "printer": Printer}
DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (*TABLES, Agent, Line, Printer)
}
_ENTRY = msgspec.json.Decoder(Entry)
_DECISION = msgspec.json.Decoder(Decision)
# What can change of a row that is there already; the columns people search by never do.
_AGAIN = " ON CONFLICT(number) DO UPDATE SET open = excluded.open, state = excluded.state, body = excluded.body"
CHECKPOINT_STEPS = 48  # a step touches about 16 pages: the commits of so many fit into the grown WAL
IDEMPOTENCY_KEPT_MS = 86_400_000
IDEMPOTENCY_KEYS_MAX = 10_000  # several days of a busy till, and the limit of one that never knows the time


class Idempotency(msgspec.Struct, frozen=True):
    """Who asked under which key, and the digest of what was asked."""

    uid: int
    key: str
    digest: bytes


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
        self.epoch = self._meta("epoch")
        self._cursor = int(self._meta("cursor"))
        self.scrub_owed = self._meta("scrub_owed") == "1"
        head = next(iter(database.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")), None)
        self.seq: int = head[0] if head else 0
        self.hash: bytes = bytes(head[1]) if head else GENESIS
        self._unchecked = 0
        self.boots = 0

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
        wanted: Iterable[str] = ()
        if isinstance(event, Opened):
            wanted = self.named(event.terminal_id, event.batch, event.stan)
        elif isinstance(event, HostReply):  # a doubled or late one may be about a closed reversal
            wanted = [
                key
                for (key,) in self.database.execute(
                    "SELECT id FROM transactions WHERE stan = ? AND terminal_id = ?", (event.f11, event.f41)
                )
            ]
        elif isinstance(event, IncidentResolved) and event.transaction is None:
            if event.incident not in state.incidents:
                query = self.database.execute("SELECT body FROM incidents WHERE id = ?", (event.incident,))
                return [DECODERS[Incident].decode(body) for (body,) in query]
        else:
            key = getattr(event, "transaction", None)
            if key is not None and not (isinstance(event, JobFinished) and event.job in state.jobs):
                wanted = (key,)
        return [row for key in wanted if key not in state.transactions for row in self.family(key)]

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
                    self._write_idempotency(stepped, stepped.idempotency, boots)
            if wiped and not self.scrub_owed:
                self.database.execute("UPDATE meta SET value = '1' WHERE key = 'scrub_owed'")
        self.seq, self.hash, self.boots = seq, hash_, boots
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
            body = canonical(entry)
            hash_ = link(hash_, seq, body)
            self.database.execute(
                "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", (seq, fact.type, fact.transaction, fact.incident, body, hash_)
            )
        return seq, hash_

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

    def _write_idempotency(self, stepped: Stepped, asked: Idempotency, boots: int) -> None:
        now_ms = stepped.now.wall_ms or 0
        self.database.execute(  # a look at the few oldest: reading minds the age itself
            "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency ORDER BY rowid LIMIT 8) AND "
            "(at_ms BETWEEN 1 AND ? OR (at_ms = 0 AND boot < ?) OR rowid <= (SELECT max(rowid) FROM idempotency) - ?)",
            (now_ms - IDEMPOTENCY_KEPT_MS, boots - 1, IDEMPOTENCY_KEYS_MAX),
        )
        self.database.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
            (asked.uid, asked.key, asked.digest, now_ms, boots, msgspec.json.encode(stepped.change.decision)),
        )

    def asked_before(self, asked: Idempotency, wall_ms: int | None = None) -> tuple[bytes, Decision] | None:
        """The digest and the first answer under this key, if it was used in the 24 hours before `wall_ms`.

        A key that was used while the time was not known (`at_ms` 0) is kept for this boot and the next.
        """
        found = next(
            iter(
                self.database.execute(
                    "SELECT digest, decision FROM idempotency WHERE uid = ? AND key = ? AND NOT at_ms BETWEEN 1 AND ?",
                    (asked.uid, asked.key, (wall_ms or 0) - IDEMPOTENCY_KEPT_MS),
                )
            ),
            None,
        )
        return None if found is None else (bytes(found[0]), _DECISION.decode(found[1]))

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
            with self.database.transaction():
                self.database.execute("UPDATE meta SET value = '0' WHERE key = 'scrub_owed'")
        except StorageFull:
            return False
        self.scrub_owed = False
        return True

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
        with self.database.transaction():
            self.database.execute("UPDATE meta SET value = ? WHERE key = 'cursor'", (str(seq),))
        self._cursor = seq

    def skip(self, seq: int, reason: str) -> None:
        """The broker refuses this entry for good: note it, so that it does not hold back the others."""
        with self.database.transaction():
            self.database.execute("INSERT OR REPLACE INTO poison VALUES (?, ?)", (seq, reason))

    def _meta(self, key: str) -> str:
        return cast("str", next(iter(self.database.execute("SELECT value FROM meta WHERE key = ?", (key,))))[0])

    def close(self) -> None:
        """Close the connection."""
        self.database.close()

