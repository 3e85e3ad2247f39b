"""Is every row found where the indexes say? A start looks at the newest ones, the others follow in slices while nothing happens.

What is open stands on the roll, which a start looks at too. A closed row is only ever looked up, and a flipped bit in an index
hides it without a word: its own sum holds, and nobody reads it. So each row is looked for as a question would look for it.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

from agent.core.model import Now
from agent.journal.database import Damaged, Database, StorageFailed

if TYPE_CHECKING:
    from agent.journal.store import Store

SLICE_ROWS = 500  # of one table: a millisecond or two
LOOK_EVERY_MS = 24 * 3_600_000
GIVEN_UP = "given up"  # of the note `restore_owed`: it was tried, what is open is whole, and a technician is told


class Indexes:
    """All indexes of one journal, from the oldest row to the newest: after each start, and each day that it then runs."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._work: Generator[None, None, None] | None = None
        self._looked_ms: int | None = None

    def go_on(self, now: Now) -> bool:
        """One slice, if it is time. True: call again soon.

        Raises Damaged where an index hides a row or is no index any more: the next start makes all of them anew.
        """
        if self._work is None and not self._due(now):
            return False
        work, self._work = self._work or self._all(), None
        try:
            with self._store.settled.reading():
                for _ in work:
                    self._work = work
                    break
        except StorageFailed as error:
            self._store.failed(error)
            raise
        if self._work is None:
            self._looked_ms = now.boottime_ms
        return self._work is not None

    def _due(self, now: Now) -> bool:
        if self._looked_ms is not None and now.boottime_ms - self._looked_ms < LOOK_EVERY_MS:
            return False
        return not self._store.restore_waits and self._store.note("restore_owed") != GIVEN_UP

    def _all(self) -> Generator[None, None, None]:
        database = self._store.settled
        for table in _tables(database):
            after = 0
            upto = f'SELECT max(n) FROM (SELECT rowid AS n FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT ?)'  # noqa: S608
            while (last := next(iter(database.execute(upto, (after, SLICE_ROWS))))[0]) is not None:
                _look(database, table, after, last)
                after = last
                yield


def hide_nothing_new(database: Database) -> bool:
    """Are the newest rows of every table found? These are asked for most: an app that resends, a void of today's sale."""
    try:
        with database.reading():
            for table in _tables(database):
                newest = f'SELECT min(n), max(n) FROM (SELECT rowid AS n FROM "{table}" ORDER BY rowid DESC LIMIT ?)'  # noqa: S608
                ((first, last),) = database.execute(newest, (SLICE_ROWS,))
                _look(database, table, (first or 0) - 1, last or 0)
    except StorageFailed:
        return False
    return True


def _tables(database: Database) -> list[str]:
    """Those that have an index."""
    query = "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'index' ORDER BY rootpage"
    return [table for (table,) in list(database.execute(query))]


def _look(database: Database, table: str, after: int, last: int) -> None:
    """Look for each row after one number and up to another. Raises Damaged at the first that an index hides."""
    for index, partial in list(database.execute("SELECT name, partial FROM pragma_index_list(?)", (table,))):
        columns = database.execute("SELECT name FROM pragma_index_info(?)", (index,))
        same = " AND ".join(f'i."{name}" IS r."{name}"' for (name,) in columns)
        of_rows, of_index = (" AND r.open", " AND i.open") if partial else ("", "")  # partial ones are of what is open
        hidden = (
            f'SELECT min(r.rowid) FROM "{table}" r NOT INDEXED WHERE r.rowid > ? AND r.rowid <= ?{of_rows} AND NOT EXISTS '  # noqa: S608
            f'(SELECT 1 FROM "{table}" i INDEXED BY "{index}" WHERE {same} AND i.rowid = r.rowid{of_index})'
        )
        ((number,),) = database.execute(hidden, (after, last))
        if number is not None:
            raise Damaged(f"row {number} of {table} is not found by {index}: the next start mends it")
