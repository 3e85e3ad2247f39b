"""The vault's table: what one transaction sealed stands in one row, under its reference, until it is wiped."""

import msgspec

from agent.journal.database import Database

_SEALED = msgspec.msgpack.Decoder(dict[str, bytes])


def pack(sealed: dict[str, bytes]) -> bytes:
    """Sealed fields, by their number, as they stand in a row."""
    return msgspec.msgpack.encode(sealed)


def keep(database: Database, ref: str, sealed: dict[str, bytes]) -> None:
    """Keep these, under a reference that is new."""
    database.execute("INSERT OR REPLACE INTO vault VALUES (?, ?)", (ref, pack(sealed)))


def add(database: Database, ref: str, sealed: dict[str, bytes]) -> None:
    """Keep these too; they take the place of fields of the same number."""
    keep(database, ref, find(database, ref) | sealed)


def find(database: Database, ref: str) -> dict[str, bytes]:
    """The sealed fields under this reference, none after it was wiped."""
    return next((_SEALED.decode(row) for (row,) in database.execute("SELECT sealed FROM vault WHERE ref = ?", (ref,))), {})


def wipe(database: Database, ref: str) -> None:
    """Delete them; `secure_delete` overwrites what they were. Every row is looked at: a spoilt neighbour must not hide one."""
    database.execute("DELETE FROM vault WHERE +ref = ?", (ref,))
