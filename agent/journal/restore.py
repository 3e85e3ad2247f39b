"""Damaged rows are made anew from the journal, which tells all of them; what it no longer tells is set aside.

It happens at a start, in one commit, and only when the journal itself proves whole: its chain holds, stepping it again tells the
same facts, and it comes to every row that is not damaged. A row that was closed before the newest checkpoint stands in no step
after it: it is moved out of its table, so that it is never acted upon, and is then as one that was pruned.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec

from agent.core.model import Row
from agent.core.state import State
from agent.core.storageevent import RowsDamaged
from agent.journal import checkpoint
from agent.journal.chain import GENESIS, Entry, verify
from agent.journal.database import Database, StorageFailed, StorageFull
from agent.journal.indexes import GIVEN_UP
from agent.journal.loading import load
from agent.journal.reindex import make_anew, schema_as_on_disk, unreadable
from agent.journal.replay import Replay
from agent.journal.rows import COLUMNS, SELECT, SINGLES, TABLES, Place, family_of, opened, parent_column, table_of, write

NAMED_MAX = 20  # rows that are told by table and number
ASIDE_MAX = 100  # rows that are kept for whoever looks into it

_ENTRY = msgspec.json.Decoder(Entry)


class _OtherRow(StorageFailed):
    """The journal comes to another row than one whose sum holds: neither can be believed."""


class _Scan(NamedTuple):
    """Every row on disk: what is sound, by kind and id, and what is damaged, with the id that its column says."""

    sound: set[tuple[type, str]]
    damaged: dict[Place, str]


def restore(database: Database, *, open_is_whole: bool, can_wait: bool) -> bool:
    """Put every row in its place again. With `open_is_whole` only closed rows are damaged: then nothing needs the journal's word.
    With `can_wait` nothing open is judged by these either: what cannot be mended stays as it is, so that reversals go out.

    False: the disk is full, a later start must do it. Raises StorageFailed when something open is damaged and the journal cannot
    vouch for what it was, StorageFull when it could.
    """
    try:
        state = _made(database)
    except StorageFailed:
        if not open_is_whole:
            raise
        state = None
    spoilt = unreadable(database)
    try:
        with schema_as_on_disk(database), database.transaction():
            _note(database, _repair(database, state, spoilt), "0")
    except StorageFull:
        if not can_wait:
            raise
        return False
    except _OtherRow:
        raise
    except Exception as error:
        if not can_wait:
            raise StorageFailed(f"damaged rows cannot be made anew ({type(error).__name__}): {_ADVICE}") from error
        return _gave_up(database)
    return True


def _gave_up(database: Database) -> bool:
    try:
        with database.transaction():
            _note(database, RowsDamaged(restored=(), lost=()), GIVEN_UP)
    except StorageFull:
        return False
    return True


_ADVICE = "`reversald verify` names the damage, and a technician must replace the storage"


def _repair(database: Database, state: State | None, spoilt: list[str]) -> RowsDamaged:
    make_anew(database, spoilt)
    scan = _scan(database, state)
    families = {place: _family_at(database, *place) for place in scan.damaged}
    _set_aside(database, scan.damaged)
    restored = [] if state is None else list(_missing(state, scan))
    for row in restored:
        write(database, row)
    places = {_place(row) for row in restored}
    lost = [place for place, key in scan.damaged.items() if (place[0], key) not in places]
    lost += _set_aside(database, [each for name in {families[place] for place in lost} for each in _closed(database, name)])
    loaded = load(database)
    if loaded.damaged:
        raise StorageFailed(f"damaged rows cannot be made anew: {_ADVICE}")
    database.execute("UPDATE journal SET roll = ? WHERE seq = (SELECT max(seq) FROM journal)", (loaded.roll.sum,))
    named = (" ".join(place) for place in sorted(places)[:NAMED_MAX])
    return RowsDamaged(restored=tuple(named), lost=tuple(f"{table} {rowid}" for table, rowid in lost[:NAMED_MAX]))


def _set_aside(database: Database, places: Collection[Place]) -> Collection[Place]:
    for table, rowid in places:
        database.execute(
            f"INSERT INTO damaged SELECT NULL, ?, rowid, CAST(body AS BLOB) FROM {table} WHERE rowid = ?",  # noqa: S608
            (table, rowid),
        )
        database.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608
    database.execute("DELETE FROM damaged WHERE number <= (SELECT max(number) FROM damaged) - ?", (ASIDE_MAX,))
    return places


def _family_at(database: Database, table: str, rowid: int) -> bytes | None:
    """The transaction to which a damaged row belongs, as its column says."""
    kind = next((kind for kind, name in TABLES.items() if name == table), None)
    if kind is None:
        return None
    ((name,),) = database.execute(f"SELECT CAST({parent_column(kind)} AS BLOB) FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608
    return name  # type: ignore[no-any-return]


def _closed(database: Database, name: bytes | None) -> list[Place]:
    """What is left of a closed family of which a row is lost. Without that row it would tell another story than it was."""
    left: list[Place] = []
    for kind, table in TABLES.items() if name is not None else ():
        query = f"SELECT rowid, open FROM {table} WHERE {parent_column(kind)} = CAST(? AS TEXT)"  # noqa: S608
        for rowid, is_open in database.execute(query, (name,)):
            if is_open:
                return []
            left.append((table, rowid))
    return left


def _note(database: Database, repaired: RowsDamaged, owed: str) -> None:
    """What was done is told once the agent runs; a checkpoint that counted what is lost is made anew."""
    notes = {"restore_owed": owed, "damage": msgspec.json.encode(repaired).decode()}
    database.take_notes(notes | ({"checkpoint_owed": "1"} if repaired.lost else {}))


def _scan(database: Database, state: State | None) -> _Scan:
    """Look at every row. Raises StorageFailed where the journal comes to another row."""
    scan = _Scan(set(), {})
    for table in COLUMNS:
        kind = next((kind for kind, name in TABLES.items() if name == table), None)
        for values in database.execute(f"{SELECT[table]} FROM {table} r ORDER BY r.rowid"):
            stored = opened(table, kind, values)
            if stored is None:
                key = values[1 if table == "singles" else 2]
                scan.damaged[table, values[0]] = key.decode(errors="replace") if isinstance(key, bytes) else ""
                continue
            row = stored.row
            scan.sound.add((type(row), row.id))
            if state is not None and state.known(row) != row and not (state.known(row) is None and not row.open):
                raise _OtherRow(f"the journal comes to another {type(row).__name__} {row.id}: {_ADVICE}")
    return scan


def _missing(state: State, scan: _Scan) -> Iterator[Row]:
    """What the journal makes and the disk does not have: all that is open, with its families, and what was damaged."""
    every = checkpoint.rows_of(state)
    families = {family_of(row) for row in every if row.open} - {None}
    damaged = {(table, key) for (table, _), key in scan.damaged.items()} | set(scan.damaged)
    for row in every:
        if (type(row), row.id) in scan.sound or (table_of(row) == "singles" and _is_fresh(row)):
            continue
        number = getattr(row, "number", 0)
        if row.open or family_of(row) in families or {(table_of(row), row.id), (table_of(row), number)} & damaged:
            yield row


def _is_fresh(row: Row) -> bool:
    """A single row that nothing was ever written into."""
    return any(row == kind() for kind in SINGLES.values())


def _place(row: Row) -> tuple[str, str]:
    return table_of(row), row.id


def _made(database: Database) -> State:
    """What the journal comes to, from its newest checkpoint on. Raises StorageFailed when it is not whole."""
    begin = checkpoint.newest_seq(database) or 1
    before = next(iter(database.execute("SELECT hash FROM journal WHERE seq = ?", (begin - 1,))), None)
    previous = bytes(before[0]) if before is not None else (GENESIS if begin == 1 else None)
    query = "SELECT seq, CAST(body AS BLOB), CAST(hash AS BLOB) FROM journal WHERE seq >= ? ORDER BY seq"
    broken = next(verify(database.execute(query, (begin,)), previous, begin - 1), None)
    if broken is not None:
        raise StorageFailed(f"rows are damaged, and so is the journal at entry {broken.seq}: {_ADVICE}")
    try:
        replay = Replay(_ENTRY.decode(body) for _, body, _ in database.execute(query, (begin,)))
    except Exception as error:
        raise StorageFailed(f"rows are damaged, and the journal cannot be stepped again: {_ADVICE}") from error
    if replay.differences:
        raise StorageFailed(f"rows are damaged, and the journal tells another story: {_ADVICE}")
    return replay.state
