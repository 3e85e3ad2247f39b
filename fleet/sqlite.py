"""The fleet's store in one SQLite file: enough for a few thousand terminals, and readable with any SQLite tool."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from agent.envelope import Beat, Event, Response, Snap, State
from fleet.errors import StorageError
from fleet.store import Batch, Dated, Mark

APPLICATION_ID: Final = 0x72766664  # "rvfd"
VERSION: Final = 2
BUSY_S: Final = 5.0
REJECTED_KEPT: Final = 1_000

_SCHEMA: Final = """
CREATE TABLE events(
    sn TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, prev INTEGER NOT NULL, fleet TEXT NOT NULL,
    boot INTEGER NOT NULL, type TEXT NOT NULL, ts INTEGER, clk TEXT NOT NULL, mono INTEGER NOT NULL,
    late INTEGER NOT NULL, inc TEXT, tx TEXT, d TEXT NOT NULL, received_ms INTEGER NOT NULL,
    PRIMARY KEY (sn, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_inc ON events(inc) WHERE inc IS NOT NULL;
CREATE INDEX events_tx ON events(tx) WHERE tx IS NOT NULL;
CREATE INDEX events_received ON events(received_ms);
CREATE TABLE marks(
    sn TEXT NOT NULL, epoch TEXT NOT NULL, fleet TEXT NOT NULL, hwm INTEGER NOT NULL, highest INTEGER NOT NULL,
    PRIMARY KEY (sn, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE boots(
    sn TEXT NOT NULL, epoch TEXT NOT NULL, boot INTEGER NOT NULL, offset_ms INTEGER NOT NULL, trust INTEGER NOT NULL,
    PRIMARY KEY (sn, epoch, boot)
) STRICT, WITHOUT ROWID;
CREATE TABLE terminals(
    sn TEXT PRIMARY KEY, fleet TEXT NOT NULL, epoch TEXT NOT NULL, boot INTEGER NOT NULL,
    state TEXT, session TEXT, since_ms INTEGER, snap TEXT, snap_ms INTEGER, seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rejected(
    id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
    size_bytes INTEGER NOT NULL
) STRICT;
CREATE VIEW dated AS
    SELECT events.*, coalesce(events.ts, events.mono + boots.offset_ms) AS dated_ms
    FROM events LEFT JOIN boots USING (sn, epoch, boot);
"""

_COMMANDS: Final = """
CREATE TABLE commands(
    sn TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, d TEXT NOT NULL, ts INTEGER,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (sn, id)
) STRICT, WITHOUT ROWID;
"""
_STEPS: Final = (_SCHEMA, _COMMANDS)
assert len(_STEPS) == VERSION, "every version has its step"

# How far a clock can be trusted, for dating the entries of the same boot that had none.
_TRUST: Final = {"none": 0, "rtc": 1, "ntp": 2, "net": 3}

_EVENT: Final = """
INSERT INTO events VALUES(:sn, :epoch, :seq, :prev, :fleet, :boot, :type, :ts, :clk, :mono, :late, :inc, :tx, :d, :now)
ON CONFLICT DO UPDATE SET prev = min(prev, excluded.prev) WHERE excluded.prev < prev
"""
# A terminal's last word on a command stays; what comes late or again changes nothing.
_RESPONSE: Final = """
INSERT INTO commands VALUES(:sn, :id, :name, :status, :d, :ts, :now)
ON CONFLICT DO UPDATE SET status = excluded.status, d = excluded.d, ts = excluded.ts, received_ms = excluded.received_ms
WHERE status NOT IN ('done', 'rejected') AND (excluded.status <> 'running' OR status = 'running')
"""
_BOOT: Final = """
INSERT INTO boots VALUES(:sn, :epoch, :boot, :offset_ms, :trust)
ON CONFLICT DO UPDATE SET offset_ms = excluded.offset_ms, trust = excluded.trust WHERE excluded.trust > trust
"""
_SEEN: Final = """
INSERT INTO terminals(sn, fleet, epoch, boot, seen_ms) VALUES(:sn, :fleet, :epoch, :boot, :now)
ON CONFLICT DO UPDATE SET fleet = excluded.fleet, epoch = excluded.epoch, boot = excluded.boot, seen_ms = excluded.seen_ms
"""
# A Will can come late: `lost` counts only for the session that is known to be there.
_STATE: Final = """
UPDATE terminals SET state = :state, session = :session, since_ms = coalesce(:ts, :now)
WHERE sn = :sn AND (:state <> 'lost' OR session IS NULL OR session = :session)
"""


class SqliteStore:
    """Keeps what `fleet.store.Store` promises. One writer; readers may open the file at the same time."""

    def __init__(self, path: Path) -> None:
        """Open the file, made when missing. Raises StorageError."""
        self.path = path
        try:
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._failed(error) from None
        except StorageError:
            self._connection.close()
            raise

    def ingest(self, batch: Batch) -> list[Mark]:
        """One commit, on disk when it returns."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            marks = self._write(batch)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from None
        finally:
            if self._connection.in_transaction:  # a full disk has rolled back by itself
                self._connection.execute("ROLLBACK")
        return marks

    def marks(self) -> list[Mark]:
        """All of them, by terminal."""
        return [Mark(*row) for row in self._read("SELECT fleet, sn, epoch, hwm, highest FROM marks ORDER BY sn, epoch")]

    def events(self, sn: str, epoch: str) -> Iterator[Dated]:
        """In the order of the journal."""
        query = "SELECT * FROM dated WHERE sn = ? AND epoch = ? ORDER BY seq"
        for row in self._read(query, (sn, epoch)):
            values = dict(zip(_COLUMNS, row, strict=True))
            dated_ms = values.pop("dated_ms")
            del values["received_ms"]
            values |= {"late": bool(values["late"]), "d": json.loads(values["d"])}
            yield Dated(Event(**values), dated_ms)

    def terminal_ids(self, fleet: str) -> dict[str, str]:
        """As their last `snap` says."""
        query = (
            "SELECT json_extract(snap, '$.terminal_id') AS terminal_id, sn FROM terminals "
            "WHERE fleet = ? AND terminal_id IS NOT NULL ORDER BY snap_ms"
        )
        return {str(terminal_id): sn for terminal_id, sn in self._read(query, (fleet,))}

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _prepare(self) -> None:
        def one(pragma: str) -> int:
            return int(self._connection.execute(f"PRAGMA {pragma}").fetchone()[0])

        if one("application_id") not in (0, APPLICATION_ID) or (not one("application_id") and one("schema_version")):
            raise StorageError(f"{self.path} is a database of another program: name another file with --database")
        if one("user_version") > VERSION:
            raise StorageError(f"{self.path} was written by a newer version of this program: install that one")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")  # what is acknowledged must survive a power cut
        for number, step in enumerate(_STEPS[one("user_version") :], start=one("user_version") + 1):
            stamp = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
            self._connection.executescript(f"BEGIN IMMEDIATE; {step} {stamp} COMMIT")

    def _write(self, batch: Batch) -> list[Mark]:
        now = batch.received_ms
        self._run("INSERT INTO rejected(received_ms, topic, reason, size_bytes) VALUES(?, ?, ?, ?)",
                  [(now, each.topic, each.reason, each.size_bytes) for each in batch.rejected])  # fmt: skip
        for event in batch.events:
            self._keep(event, now)
        for state in batch.states:
            self._saw(state, now)
            self._run(_STATE, [msgspec.structs.asdict(state) | {"now": now}])
        for beat in batch.beats:
            self._saw(beat, now)
        for snap in batch.snaps:
            self._saw(snap, now)
            self._run("UPDATE terminals SET snap = ?, snap_ms = ? WHERE sn = ?",
                      [(_json(snap.d), snap.ts or now, snap.sn)])  # fmt: skip
        for response in batch.responses:
            self._saw(response, now)
            said = {} if response.status == "running" else response.d  # parts of a log are for whoever asked, not for keeps
            self._run(_RESPONSE, [msgspec.structs.asdict(response) | {"d": _json(said), "now": now}])
        if batch.rejected:
            self._run("DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", [(REJECTED_KEPT,)])
        return [self._advance(*journal) for journal in sorted({(each.sn, each.epoch, each.fleet) for each in batch.events})]

    def _keep(self, event: Event, now: int) -> None:
        known = self._connection.execute(
            "SELECT type, boot, mono FROM events WHERE sn = ? AND epoch = ? AND seq = ?", (event.sn, event.epoch, event.seq)
        ).fetchone()
        if known is not None and known != (event.type, event.boot, event.mono):
            reason = f"entry {event.seq} differs from the one kept: do two terminals have copies of one journal?"
            topic = f"{event.fleet}/{event.sn}"
            self._run("INSERT INTO rejected(received_ms, topic, reason, size_bytes) VALUES(?, ?, ?, 0)", [(now, topic, reason)])
            return
        self._run(_EVENT, [msgspec.structs.asdict(event) | {"d": _json(event.d), "now": now}])
        self._date(event)

    def _saw(self, body: State | Beat | Snap | Response, now: int) -> None:
        self._run(_SEEN, [msgspec.structs.asdict(body) | {"now": now}])
        self._date(body)

    def _date(self, body: Event | State | Beat | Snap | Response) -> None:
        """What is known of one moment of a boot dates all its other moments."""
        if body.ts is not None and _TRUST[body.clk]:
            offset = {"offset_ms": body.ts - body.mono, "trust": _TRUST[body.clk]}
            self._run(_BOOT, [msgspec.structs.asdict(body) | offset])

    def _advance(self, sn: str, epoch: str, fleet: str) -> Mark:
        """Move the mark over every event whose `prev` it has reached: the numbers between belong to no event."""
        found = self._connection.execute("SELECT hwm FROM marks WHERE sn = ? AND epoch = ?", (sn, epoch)).fetchone()
        hwm = cast("int", found[0]) if found else 0
        query = "SELECT seq, prev FROM events WHERE sn = ? AND epoch = ? AND seq > ? ORDER BY seq"
        for seq, prev in self._connection.execute(query, (sn, epoch, hwm)):
            if prev > hwm:
                break  # the entry `prev` has not come: a gap
            hwm = seq
        query = "SELECT max(seq) FROM events WHERE sn = ? AND epoch = ?"
        highest = self._connection.execute(query, (sn, epoch)).fetchone()[0] or hwm
        mark = Mark(fleet, sn, epoch, hwm, highest)
        self._run("INSERT INTO marks VALUES(:sn, :epoch, :fleet, :hwm, :highest) ON CONFLICT DO UPDATE SET "
                  "fleet = :fleet, hwm = :hwm, highest = :highest", [msgspec.structs.asdict(mark)])  # fmt: skip
        return mark

    def _run(self, sql: str, rows: Iterable[Any]) -> None:
        self._connection.executemany(sql, rows)

    def _read(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error) -> StorageError:
        return StorageError(f"the database {self.path} failed: {error}; nothing of it was acknowledged")


_COLUMNS: Final = ("sn", "epoch", "seq", "prev", "fleet", "boot", "type", "ts", "clk", "mono", "late", "inc", "tx", "d",
                   "received_ms", "dated_ms")  # fmt: skip


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
