"""All indexes made anew from the rows that are there, also those at which SQLite's own REINDEX would give up."""

from collections.abc import Iterator
from contextlib import contextmanager

from agent.journal.database import Database, StorageFailed

_KEYS = {"idempotency": "uid, key", "meta": "key"}  # by which rows are written over; all others are found by their number


def unreadable(database: Database) -> list[str]:
    """The indexes that SQLite cannot even empty. Asked before the transaction: one that meets such a page takes no write."""
    query = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    return [name for table, name, sql in list(database.execute(query)) if not _is_readable(database, table, name, sql)]


@contextmanager
def schema_as_on_disk(database: Database) -> Iterator[None]:
    """Around the transaction: when it is undone, SQLite reads again which indexes there are, and keeps none out of its writes."""
    try:
        yield
    except Exception:
        database.execute("PRAGMA writable_schema=RESET")
        raise


def make_anew(database: Database, spoilt: list[str]) -> None:
    """All of them, in the caller's transaction; `spoilt` are the unreadable ones. Raises SQLite's error where one cannot be."""
    for table, key in _KEYS.items():
        _undouble(database, table, key)
    for name in spoilt:
        _leave_behind(database, name)
    database.execute("REINDEX")


def _undouble(database: Database, table: str, key: str) -> None:
    """Of rows with the same key the newest counts: the index hid the others when it was written.

    They leave with the whole table, whose index is emptied unseen: one by one SQLite misses their entries and gives up.
    """
    doubled = f"SELECT 1 FROM {table} NOT INDEXED GROUP BY {key} HAVING count(*) > 1"  # noqa: S608
    if next(iter(database.execute(doubled)), None) is not None:
        database.execute(f"CREATE TEMP TABLE once AS SELECT * FROM {table} NOT INDEXED ORDER BY rowid")  # noqa: S608
        database.execute(f"DELETE FROM {table}")  # noqa: S608
        database.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM once ORDER BY rowid")  # noqa: S608
        database.execute("DROP TABLE once")


def _is_readable(database: Database, table: str, name: str, sql: str) -> bool:
    names = database.execute("SELECT name FROM pragma_index_info(?)", (name,))
    columns = ", ".join(f'CAST("{column}" AS BLOB)' for (column,) in names)
    where = "WHERE open" if "WHERE" in sql else ""
    try:
        with database.reading():
            for _ in database.execute(f'SELECT {columns} FROM "{table}" INDEXED BY "{name}" {where}'):  # noqa: S608
                pass
    except StorageFailed:
        return False
    return True


def _leave_behind(database: Database, name: str) -> None:
    """Make it anew beside its old pages. They stay in the file, in no use, as `reversald verify` then says."""
    ((sql,),) = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,))
    database.execute("PRAGMA writable_schema=ON")
    try:
        database.execute("DELETE FROM sqlite_master WHERE type = 'index' AND name = ?", (name,))
    finally:
        database.execute("PRAGMA writable_schema=RESET")
    database.execute(sql)
