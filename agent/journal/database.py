"""The one thin adapter to SQLite: open, grow the WAL, commit, checkpoint, scrub.

WAL with synchronous=FULL: one fdatasync a commit, and the last acknowledged commit survives a power cut. The WAL is grown
once and re-used, because a growing file costs a second metadata write each time; grown, it is also the reserve that still
takes results and reversals when the disk is full.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAL_BYTES = 1 << 20
FREE_BYTES_MIN = 4 << 20  # below this, new intents are refused while results and reversals still go
PAGE_BYTES = 1024
CACHED_PAGES = 256  # a flush of 64 callers fits in; SQLite's own 2 MB would only fill up with the past, month by month
SPILL_CACHED_PAGES = 16  # SQLite keeps the last pages of a spill in its cache of 8, and a few more

# Primary result codes of SQLite. After any of the second kind nothing is known of the commit, or nothing can be written.
_FULL = 13
# Our statements are constants: one that cannot be prepared (_ERROR) means that the schema was spoilt.
_ERROR, _READONLY, _IOERR, _CORRUPT, _CANTOPEN, _NOTADB = 1, 8, 10, 11, 14, 26
_FAILED = frozenset({_ERROR, _READONLY, _IOERR, _CORRUPT, _CANTOPEN, _NOTADB})


class StorageError(Exception):
    """Storage failed."""


class StorageFull(StorageError):
    """No room: SQLite has rolled the commit back, nothing of it is on disk."""


class StorageFailed(StorageError):
    """The outcome of a commit is unknown (I/O error), or the file is damaged: stop, and load anew from disk."""


class Damaged(StorageFailed):
    """What is on disk is not what was written there. The next start makes anew what it can: rows, and all indexes."""


def classify(error: Exception) -> StorageError | None:
    """Our error for an error of SQLite's, by its primary result code; None when it is not about storage."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        code = getattr(error, "extendedresult", None)
    if code is None:  # text that is none is no error of SQLite's, but of its Python side
        spoilt = isinstance(error, UnicodeDecodeError | sqlite3.OperationalError)
        return StorageFailed("text in the database is spoilt") if spoilt else None
    primary = code & 0xFF
    if primary == _FULL:
        return StorageFull("the disk is full")
    if primary in _FAILED:
        return (Damaged if primary == _CORRUPT else StorageFailed)(f"SQLite reports {error.__class__.__name__}, code {code}")
    return None


class Database:
    """One writing connection. `connection` may be any object with SQLite's `execute(sql, parameters)`."""

    reserve_bytes = WAL_BYTES

    def __init__(self, connection: Any, path: Path) -> None:
        self._connection = connection
        # Run one statement; iterate over what comes back. The connection's own: asked a dozen times for every commit.
        self.execute: Callable[..., Any] = connection.execute
        self.path = path
        self._wal = f"{path}-wal"
        self._folder = str(path.parent)

    @classmethod
    def open(cls, path: Path) -> "Database":
        """Open or make the database, private to its owner. Raises StorageFailed when the file is damaged."""
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=2.0, cached_statements=256)
        database = cls(connection, path)
        try:
            database.configure()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            connection.close()
            raise classify(error) or error from error
        return database

    def configure(self) -> None:
        """The settings the promises rest on."""
        for pragma in (
            f"page_size={PAGE_BYTES}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=0",
            f"journal_size_limit={self.reserve_bytes}",
            f"cache_size={CACHED_PAGES}",
            "secure_delete=ON",
            "temp_store=MEMORY",
            "trusted_schema=OFF",
        ):
            self.execute(f"PRAGMA {pragma}")

    @property
    def connection(self) -> Any:
        """The raw connection, for migrations."""
        return self._connection

    def take_notes(self, notes: Mapping[str, str]) -> None:
        """Change some of the journal's own notes, in a transaction that is open."""
        for key, value in notes.items():
            self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """BEGIN IMMEDIATE … COMMIT. Raises StorageFull (rolled back) or StorageFailed (outcome unknown)."""
        try:
            self.execute("BEGIN IMMEDIATE")
            yield
            self.execute("COMMIT")
        except Exception as error:
            raise self.undone(error) from error

    def undone(self, error: Exception) -> Exception:
        """Roll back what failed with this error; what is to be raised for it."""
        self.roll_back()
        return classify(error) or error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Questions that raise StorageFailed where the file itself is damaged."""
        try:
            yield
        except Exception as error:
            raise classify(error) or error from error

    def roll_back(self) -> None:
        """Undo what was written since BEGIN. Raises StorageFailed when that fails."""
        if getattr(self._connection, "in_transaction", True):
            try:
                self.execute("ROLLBACK")
            except Exception as error:
                if classify(error) is not None:
                    raise StorageFailed("the transaction could not be rolled back") from error

    def grow_wal(self) -> None:
        """Grow the WAL to its working size without growing the database: spill frames, then roll back."""
        if self.wal_bytes() < self.reserve_bytes:
            self._spill(self.reserve_bytes)

    def wal_is_too_large(self) -> bool:
        """True when it must be checkpointed at once; the next commit then cuts it back."""
        return self.wal_bytes() > self.reserve_bytes + self.reserve_bytes // 4

    def wal_bytes(self) -> int:
        """The size of the WAL file."""
        try:
            return os.stat(self._wal).st_size  # noqa: PTH116  (asked at every commit: a Path costs more than the question)
        except FileNotFoundError:
            return 0

    def _spill(self, size: int) -> None:
        """Write `size` bytes of zeros as frames from where the WAL stands, and roll back. The last pages stay in the cache."""
        cache = next(iter(self.execute("PRAGMA cache_size")))[0]
        self.execute("PRAGMA cache_size=8")
        try:
            self.execute("BEGIN IMMEDIATE")
            self.execute("INSERT INTO spill(filler) VALUES (zeroblob(?))", (size + SPILL_CACHED_PAGES * PAGE_BYTES,))
            self.execute("ROLLBACK")
        except Exception as error:
            self.roll_back()
            raise classify(error) or error from error
        finally:
            self.execute(f"PRAGMA cache_size={cache}")

    def checkpoint(self, mode: str = "PASSIVE") -> bool:
        """Copy the WAL into the database. True when all frames are there; a reader may hold some back.

        Raises StorageFull or StorageFailed; what was committed stays committed.
        """
        try:
            busy, frames, done = next(iter(self.execute(f"PRAGMA wal_checkpoint({mode})")))
        except Exception as error:
            raise classify(error) or error from error
        return not busy and frames == done

    def scrub(self) -> bool:
        """Overwrite what wiped rows left in the WAL (`secure_delete` has zeroed the pages). False: a reader is in the way."""
        if not self.checkpoint("RESTART"):
            return False
        self._spill(self.wal_bytes())  # all of it, also where it had grown beyond its reserve
        return True

    def short_of_space(self) -> bool:
        """True when new intents should be refused, so that what is left serves results and reversals."""
        space = os.statvfs(self._folder)
        return space.f_bavail * space.f_frsize < FREE_BYTES_MIN

    def close(self) -> None:
        """Close. The last connection's close also checkpoints; nothing depends on it: after a kill the WAL is read instead."""
        self._connection.close()
