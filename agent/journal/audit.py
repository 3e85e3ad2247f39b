"""Is the journal whole, and do the rows follow from it? Every place where they do not is a finding.

The chain shows what was changed or cut out; stepping the journal again shows rows that were changed; a head that somebody
else holds (the fleet, a technician's note) shows a tail that was cut off.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from agent.core.accounts import Ledger
from agent.core.change import Rejected
from agent.core.commandbook import CommandBook
from agent.core.model import Agent, Display, Line, Printer, Row, Streaks
from agent.core.state import State
from agent.journal import checkpoint, notes
from agent.journal.chain import GENESIS, Entry, verify
from agent.journal.checkpoint import Checkpoint
from agent.journal.reader import Head, Reader
from agent.journal.readonly import Unreadable
from agent.journal.replay import Replay
from agent.journal.rows import COLUMNS, SINGLES, TABLES, columns_of, crc_of

FINDINGS_MAX = 100

Kind = Literal[
    "page", "missing", "changed", "unreadable", "index", "cut_tail", "told", "replay", "row", "row_missing", "column", "sum"
]


class Finding(msgspec.Struct, frozen=True):
    """One damage. `seq` is the journal entry it stands in, 0 for rows and pages; `detail` names row or reason."""

    kind: Kind
    seq: int
    detail: str


class Audit(msgspec.Struct, frozen=True):
    """What was looked at, and what was found. `replayed` is false when a broken chain made replaying pointless."""

    head: Head
    entries: int
    rows: int
    replayed: bool
    findings: list[Finding]


Watcher = Callable[[int, int], None]


def audit(reader: Reader, known: Head | None = None, watch: Watcher = lambda _done, _all: None) -> Audit:
    """Pages, chain, replay and rows. `known` is an older head from elsewhere; `watch` is told (entries done, of all)."""
    findings: list[Finding] = []
    head, count, rows, replayed = Head(0, GENESIS.hex()), 0, list[Row](), False
    try:
        findings += _pages(reader)
        with reader.database.snapshot():
            head = reader.head()
            rows, wrong = _rows(reader)
        findings += wrong + _tail(reader, head, known)
        broken, count = _chain(reader, head, known, lambda done: watch(done, 2 * head.seq))
        findings += broken
        if not broken:
            replayed = True
            findings += _replayed(reader, head, rows, lambda done: watch(head.seq + done, 2 * head.seq))
    except Unreadable as error:
        if error.why != "damaged":
            raise
        findings.append(Finding("page", 0, error.detail))
    watch(2 * head.seq, 2 * head.seq)
    return Audit(head=head, entries=count, rows=len(rows), replayed=replayed, findings=findings[:FINDINGS_MAX])


def _pages(reader: Reader) -> list[Finding]:
    """SQLite's own check of the file, with all its indexes."""
    words = [row[0] for row in reader.database.all(f"PRAGMA integrity_check({FINDINGS_MAX})")]
    return [Finding("page", 0, word) for word in words if word != "ok"]


def _rows(reader: Reader) -> tuple[list[Row], list[Finding]]:
    """All rows of record, and those that cannot be read or whose search columns say something else than the row."""
    rows: list[Row] = []
    findings: list[Finding] = []
    kinds = {table: kind for kind, table in TABLES.items()}
    for table, names in COLUMNS.items():
        columns_there = ", ".join([*(f'"{name}"' for name in names), "body", "crc" if reader.checked.summed else "NULL"])
        for *columns, body, crc in reader.database.all(f"SELECT {columns_there} FROM {table}"):  # noqa: S608
            kind = kinds.get(table) or SINGLES.get(str(columns[0]), Agent)
            row = _decoded(reader, kind, body, findings, columns[0])
            if row is None:
                continue
            rows.append(row)
            name = f"{kind.__name__} {row.id}"
            if columns_of(row) != tuple(columns):
                findings.append(Finding("column", 0, name))
            elif crc not in {None, crc_of(table, (*columns, body))}:
                findings.append(Finding("sum", 0, name))
    return rows, findings


def _decoded(reader: Reader, kind: type, body: bytes, findings: list[Finding], key: object) -> Any:
    try:
        return reader.checked.row(kind, body)
    except Unreadable:
        findings.append(Finding("unreadable", 0, f"{kind.__name__} {key}"))
        return None


def _tail(reader: Reader, head: Head, known: Head | None) -> list[Finding]:
    """An unkeyed chain cannot see its own cut tail: those who were told of it can."""
    cursor = notes.cursor(reader.database)
    findings = [Finding("unreadable", 0, "meta cursor")] if cursor is None else []
    told = max(cursor or 0, known.seq if known is not None else 0)
    return findings + ([Finding("cut_tail", told, f"{head.seq} < {told}")] if told > head.seq else [])


def _chain(reader: Reader, head: Head, known: Head | None, watch: Callable[[int], None]) -> tuple[list[Finding], int]:
    """Every place where the chain does not hold, and the number of entries."""
    findings: list[Finding] = []
    count = 0

    base = _base(reader)
    previous, after = _start(reader, base)

    def counted() -> Iterator[tuple[int, bytes, bytes]]:
        nonlocal count
        for seq, body, hash_ in reader.raw(0, head.seq):
            if base is not None and seq == base.first - 1 and hash_.hex() != base.first_hash:
                findings.append(Finding("changed", seq, "the checkpoint knows another hash"))
            if known is not None and seq == known.seq and hash_.hex() != known.hash:
                findings.append(Finding("told", seq, known.hash))
            count += 1
            watch(count)
            yield seq, body, hash_

    for broken in verify(counted(), previous, after):
        if any(finding.seq == broken.seq and finding.kind == "missing" for finding in findings):
            continue  # after a gap the link cannot hold: one finding is enough
        missing = "missing" in broken.reason
        findings.append(Finding("missing" if missing else "changed", broken.seq, broken.reason))
        if len(findings) >= FINDINGS_MAX:
            break
    return findings, count


def _base(reader: Reader) -> Checkpoint | None:
    """The newest checkpoint, which says where the journal begins."""
    for entry in reader.latest(checkpoint.TYPE, 1):
        try:
            return checkpoint.of(entry)
        except (LookupError, TypeError, ValueError):
            return None
    return None


def _start(reader: Reader, base: Checkpoint | None) -> tuple[bytes | None, int]:
    """The hash before the oldest entry (None: not known, its deletion was interrupted), and the number before it."""
    first = reader.first()
    if base is None or first <= 1 or first > base.first:
        return GENESIS, 0
    return (bytes.fromhex(base.first_hash) if first == base.first else None), first - 1


def _replayed(reader: Reader, head: Head, rows: list[Row], watch: Callable[[int], None]) -> list[Finding]:
    """Step the journal again: it must tell the same facts and come to the same rows."""
    findings: list[Finding] = []
    at = 0
    begin = next((entry.seq for entry in reader.latest(checkpoint.TYPE, 1)), 0)

    def watched() -> Iterator[Entry]:
        nonlocal at
        for entry, columns in reader.with_columns(head.seq):
            at = entry.seq
            if columns != (entry.seq, entry.type, entry.transaction, entry.incident):
                findings.append(Finding("index", entry.seq, entry.type))
            watch(at)
            if at >= begin:
                yield entry

    try:
        replay = Replay(watched())
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, Rejected, Unreadable) as error:
        # A chain that was made anew over a made-up story: the core refuses to live through it.
        return [*findings, Finding("replay", at, type(error).__name__)]
    findings += [Finding("replay", difference.seq, difference.what) for difference in replay.differences]
    findings += [Finding("row", 0, difference.what) for difference in replay.compare(rows)]
    return findings + _missing(replay.state, rows)


def _missing(state: State, rows: list[Row]) -> list[Finding]:
    """Rows that the journal made and the disk does not have."""
    there = {(type(row), row.id) for row in rows}
    made: list[Row] = [*state.transactions.values(), *state.reversals.values(), *state.incidents.values(), *state.jobs.values()]
    singles: tuple[tuple[Row, Row], ...] = (
        (state.agent, Agent()), (state.line, Line()), (state.printer, Printer()), (state.display, Display()),
        (state.streaks, Streaks()), (state.ledger, Ledger()), (state.commands, CommandBook()),
    )
    made += [row for row, fresh in singles if row != fresh]
    return [Finding("row_missing", 0, f"{type(row).__name__} {row.id}") for row in made if (type(row), row.id) not in there]
