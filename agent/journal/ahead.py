"""A transaction ahead of its commit: what is written into it, and the head of the journal and the roll that it will leave."""

from typing import Any

import msgspec

from agent.core.change import Change
from agent.core.event import Event, Opened
from agent.core.model import Agent, Now, Row, Transaction
from agent.journal import idempotency, loading, rows, secrets
from agent.journal.chain import Entry, canonical, link
from agent.journal.database import Database
from agent.journal.idempotency import Idempotency
from agent.journal.roll import Roll, name_of


class Stepped(msgspec.Struct):
    """One stepped event, ready to be committed: `sealed` fields go into the vault under `ref`."""

    event: Event
    now: Now
    change: Change
    loaded: list[Row]
    ref: str | None = None
    sealed: dict[str, bytes] = {}
    idempotency: Idempotency | None = None


class Ahead(msgspec.Struct):
    """How far it is: `newest` is the number of the newest transaction on disk, `scrub_owed` whether wiped secrets are left."""

    seq: int
    hash: bytes
    boots: int
    roll: Roll
    newest: int
    scrub_owed: bool
    steps: int = 0

    def write(self, database: Database, steps: list[Stepped]) -> None:
        """Write these into the transaction; the first ones open it."""
        if not self.steps:
            database.execute("BEGIN IMMEDIATE")
            self.roll = self.roll.copy()
        self.steps += len(steps)
        self._write_rows(database, steps)
        for stepped in steps:
            for row in stepped.change.rows:
                if type(row) is Agent:
                    self.boots = row.boots
            self._write_facts(database, stepped)
            if stepped.ref is not None:
                keep = secrets.keep if isinstance(stepped.event, Opened) else secrets.add
                keep(database, stepped.ref, stepped.sealed)
            for ref in stepped.change.wiped:
                secrets.wipe(database, ref)
                if not self.scrub_owed:
                    self.scrub_owed = True
                    database.take_notes({"scrub_owed": "1"})
            if stepped.idempotency is not None:
                idempotency.write(database, stepped.idempotency, stepped.change.decision, stepped.now.wall_ms, self.boots)

    def _write_rows(self, database: Database, steps: list[Stepped]) -> None:
        """The rows of all steps, each in its last form, and the roll with them on it."""
        roll = self.roll
        for row in {(type(row), row.id): row for stepped in steps for row in stepped.change.rows}.values():
            name = name_of(row)
            if not roll.has(name):
                if isinstance(row, Transaction) and row.number > self.newest:  # nothing of it can be there yet
                    self.newest = row.number
                elif row.open and (family := rows.family_of(row)) is not None:
                    roll.enter(loading.family(database, family)[0])
            roll.put(name, row, rows.write(database, row, was_open=roll.was_open(name, row)))

    def _write_facts(self, database: Database, stepped: Stepped) -> None:
        now = stepped.now
        loaded = {"loaded": [[type(row).__name__, row] for row in stepped.loaded]} if stepped.loaded else {}
        input_: dict[str, Any] | None = {"event": stepped.event, "now": now, **loaded}
        for fact in stepped.change.facts:
            entry = Entry(
                seq=self.seq + 1, type=fact.type, boot=self.boots, mono_ms=now.boottime_ms, wall_ms=now.wall_ms, clk=now.clk,
                transaction=fact.transaction, incident=fact.incident, data=fact.data, input=input_,
            )
            input_ = None
            self.append(database, entry)

    def append(self, database: Database, entry: Entry) -> None:
        """Write the next entry of the journal."""
        body = canonical(entry)
        self.seq, self.hash = entry.seq, link(self.hash, entry.seq, body)
        database.execute(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.seq, entry.type, entry.transaction, entry.incident, body, self.hash, self.roll.sum),
        )
