"""Rows of record on disk: their tables, and the check sum under which each is written and read again.

The sum is a CRC-32 over the table's name and all that stands in the row. In a row of up to 11 KB it misses no three flipped
bits, of any other damage one in four thousand million, and it costs four bytes. It is held against flash that wears out, not
against people: for them there is the chain.
"""

import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from agent.core.accounts import Ledger
from agent.core.commandbook import CommandBook
from agent.core.model import Agent, Display, Incident, Job, Line, Printer, Reversal, Row, Streaks, Transaction
from agent.journal.database import Database

TABLES: dict[type, str] = {Transaction: "transactions", Reversal: "reversals", Incident: "incidents", Job: "jobs"}
SINGLES: dict[str, type] = {
    "agent": Agent, "line": Line, "printer": Printer, "display": Display, "streaks": Streaks, "ledger": Ledger,
    "commands": CommandBook,
}
DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (*TABLES, *SINGLES.values())
}
# The columns people search by, which say what the row says. Body and sum stand behind them.
COLUMNS: dict[str, tuple[str, ...]] = {
    "transactions": ("number", "id", "open", "state", "terminal_id", "batch", "stan", "amount_fen"),
    "reversals": ("number", "id", "open", "state", "transaction"),
    "incidents": ("number", "id", "open", "state", "transaction", "code"),
    "jobs": ("number", "id", "open", "state", "transaction"),
    "singles": ("id",),
}
Place = tuple[str, int]  # table, rowid
_encode = msgspec.json.Encoder().encode


def _select(names: Sequence[str]) -> str:
    """Text is read as bytes: spoilt text is damage that is found by its sum, and not an error of the reading."""
    return "SELECT r.rowid, " + ", ".join(f'CAST(r."{name}" AS BLOB)' for name in (*names, "body")) + ", r.crc"


def select(table: str, *, summed: bool = True) -> str:
    """What `opened` takes, up to the FROM. `summed` False: the file is of a version that had no sums yet."""
    return SELECT[table] if summed else SELECT[table].removesuffix("r.crc") + "NULL"


def _insert(table: str, names: Sequence[str]) -> str:
    """What can change of a row that is there already is written over; no index but that of what is open is touched."""
    marks = ", ".join("?" * (len(names) + 2))
    changing = [name for name in ("open", "state", "body", "crc") if name in {*names, "body", "crc"}]
    again = ", ".join(f"{name} = excluded.{name}" for name in changing)
    return f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT({names[0]}) DO UPDATE SET {again}"  # noqa: S608  (constants)


def _update(names: Sequence[str]) -> str:
    """The same where it is there and stays open or closed: what an index holds is not named, so that no index is touched."""
    changing = [name for name in ("state", "body", "crc") if name in {*names, "body", "crc"}]
    return "SET " + ", ".join(f"{name} = ?" for name in changing) + f" WHERE {names[0]} = ?"


SELECT = {table: _select(names) for table, names in COLUMNS.items()}
_HEADS = {table: table.encode() for table in COLUMNS}
_WRITE = {table: _insert(table, names) for table, names in COLUMNS.items()}
_AGAIN = {table: f"UPDATE {table} {_update(names)}" for table, names in COLUMNS.items()}


class Readable(Protocol):
    """Where rows can be asked for: the writer's database, or a reader's."""

    @property
    def execute(self) -> Callable[..., Any]:
        """Run one question; iterate over what comes back."""

    def reading(self) -> AbstractContextManager[None]:
        """Around questions: raises its own error where the file itself is damaged."""


class Stored(NamedTuple):
    """A row as it stands on disk, and its sum."""

    row: Row
    crc: int


def table_of(row: Row) -> str:
    """The table it stands in."""
    return TABLES.get(type(row), "singles")


def family_of(row: Row) -> str | None:
    """The id of the transaction this row belongs to."""
    if isinstance(row, Incident | Job):
        return row.transaction
    return row.id if isinstance(row, Transaction | Reversal) else None


def parent_column(kind: type) -> str:
    """The column that holds it."""
    return "id" if kind in {Transaction, Reversal} else '"transaction"'


def columns_of(row: Row) -> tuple[str | int | None, ...]:
    """What stands in the columns people search by."""
    values = _VALUES.get(type(row))
    return (row.id,) if values is None else values(row)


_VALUES: dict[type, Callable[[Any], tuple[str | int | None, ...]]] = {
    Transaction: attrgetter(*COLUMNS["transactions"]),
    Reversal: lambda row: (row.number, row.id, row.open, row.state, row.id),
    Incident: lambda row: (row.number, row.id, row.open, "open" if row.open else "closed", row.transaction, row.code),
    Job: attrgetter(*COLUMNS["jobs"]),
}


def write(database: Database, row: Row, *, was_open: bool | None = None) -> int:
    """Write one row; its sum. `was_open` says how it stands on disk, as the roll has it; None where it may not be there."""
    table, body = table_of(row), _encode(row)
    columns = columns_of(row)
    crc = crc_of(table, (*columns, body))
    if was_open is row.open:
        database.execute(_AGAIN[table], (*columns[3:4], body, crc, columns[0]))  # the state, where there is one
    else:
        database.execute(_WRITE[table], (*columns, body, crc))
    return crc


def crc_of(table: str, values: Sequence[bytes | str | int | None]) -> int:
    """The sum of what stands in a row, as it was written or as it was read."""
    return zlib.crc32(b"\0".join([_HEADS[table], *[_PLAIN[type(value)](value) for value in values]]))


# By type, and not by a chain of questions: this is asked of every value of every row that is written.
_PLAIN: dict[type, Callable[[Any], bytes]] = {
    bytes: bytes, str: str.encode, int: b"%d".__mod__, bool: b"%d".__mod__, type(None): lambda _: b"\xff",
}


def read(
    database: Readable, kind: type | None, where: str = "", parameters: Sequence[object] = ()
) -> tuple[list[Stored], list[Place]]:
    """The rows of one kind (None: the single ones) that `where` finds, and the places of those that are damaged.

    Raises StorageFailed where the file itself is.
    """
    table = "singles" if kind is None else TABLES[kind]
    found: list[Stored] = []
    damaged: list[Place] = []
    with database.reading():
        every = list(database.execute(f"{SELECT[table]} FROM {table} r {where}", parameters))
    for values in every:
        stored = opened(table, kind, values)
        if stored is None:
            damaged.append((table, values[0]))
        else:
            found.append(stored)
    return found, damaged


def opened(table: str, kind: type | None, values: Sequence[Any]) -> Stored | None:
    """What `SELECT` brought, or None where it is damaged. A row without a sum was written before there were any."""
    _, *columns, body, crc = values
    found = crc_of(table, (*columns, body))
    kind = kind or SINGLES.get(_text(columns[0]))
    if kind is None or crc not in {None, found}:
        return None
    try:
        return Stored(DECODERS[kind].decode(body), found)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
        return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
