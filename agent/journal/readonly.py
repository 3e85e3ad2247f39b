"""Opening the journal to read it, whatever state it is in, without ever writing into its folder.

Three ways, in this order: with no or an empty WAL the file is taken as it stands (`immutable`); beside a running daemon,
or after one that left its shared memory file, through SQLite with that file read-only (`shared`); else database and WAL
are copied to a private temporary folder and read there (`copy`). No way ever checkpoints.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from agent.journal.schema import VERSION

How = Literal["immutable", "shared", "copy"]
Why = Literal["missing", "unreadable", "damaged", "changing", "foreign", "newer", "no_room"]
COPIES_MAX = 5  # tries to copy a journal that is being written
ATTEMPTS_MAX = 5  # openings for one question, when the journal changes hands meanwhile
BUSY_TIMEOUT_S = 2.0

# Not a damage: a daemon started, stopped or recovered while we looked. Opening anew helps.
_PASSING = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_SCHEMA"})


class Unreadable(Exception):
    """The journal cannot be read. `why` is stable; `detail` is the system's word on it."""

    def __init__(self, why: Why, path: Path, detail: str = "") -> None:
        super().__init__(f"{path}: {why}{f' ({detail})' if detail else ''}")
        self.why = why
        self.path = path
        self.detail = detail


class ReadOnly:
    """A reading connection. `how` says which of the three ways was taken."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._folder: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._signature: tuple[object, ...] = ()
        self._within = False
        self.how: How = "immutable"
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close, and remove the private copy if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def execute(self) -> Callable[..., Any]:
        """As `all`: what the writer's own questions are asked of."""
        return self.all

    def reading(self) -> AbstractContextManager[None]:
        """Nothing more to do: every question raises Unreadable."""
        return nullcontext()

    def all(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """Every row of one short question. Opens anew when the journal changed hands meanwhile. Raises Unreadable."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                if not self._within and self.how != "shared" and self._signature != self._look():
                    self._reopen()
                assert self._connection is not None, "closed"
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                name = _name(error)
                taken_over = self.how != "shared" and self._signature != self._look()
                last = attempt == ATTEMPTS_MAX - 1
                if self._within or last or not (name in _PASSING or taken_over):
                    raise self._unreadable(error) from None
                self._reopen()
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All questions inside see one moment. Keep it short: it holds back the daemon's WAL."""
        self.all("BEGIN")
        self._within = True
        try:
            yield
        finally:
            self._within = False
            if self._connection is not None and self._connection.in_transaction:
                with suppress(sqlite3.Error):  # on a damaged file even this fails, and was told already
                    self._connection.execute("ROLLBACK")

    # ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _reopen(self) -> None:
        self.close()
        self._open()

    def _open(self) -> None:
        try:
            with self.path.open("rb"):
                pass
            self._signature = self._look()
            if not _wal_bytes(self.path):
                self._connect("immutable", self.path, "immutable=1")
            elif not self._shared():
                self._copied()
        except FileNotFoundError:
            raise Unreadable("missing", self.path) from None
        except sqlite3.Error as error:
            self.close()
            raise self._unreadable(error) from None
        except OSError as error:
            self.close()
            no_room = error.errno in {28, 122}  # ENOSPC, EDQUOT
            raise Unreadable("no_room" if no_room else "unreadable", self.path, error.strerror or "") from None
        except Unreadable:
            self.close()
            raise

    def _connect(self, how: How, path: Path, mode: str) -> None:
        self.how = how
        self._connection = sqlite3.connect(
            f"file:{quote(str(path))}?{mode}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S
        )
        self._connection.execute("PRAGMA trusted_schema=OFF")
        self._connection.execute("PRAGMA query_only=ON")
        self._check_version()

    def _shared(self) -> bool:
        """Beside the daemon, or with the shared memory file it left: SQLite then keeps its own index in memory."""
        try:
            self._connect("shared", self.path, "mode=ro&readonly_shm=1")
        except sqlite3.Error as error:
            if _name(error) not in _PASSING:
                raise
            self.close()
            return False
        return True

    def _copied(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="reversald-"))  # private: mode 0700
        wal = Path(f"{self.path}-wal")
        copy = self._folder / "journal.db"
        for _ in range(COPIES_MAX):
            before = self._look()
            shutil.copyfile(self.path, copy)
            with suppress(FileNotFoundError):  # a checkpoint at the daemon's end may take it away
                shutil.copyfile(wal, f"{copy}-wal")
            if self._look() == before:
                self._connect("copy", copy, "mode=ro")
                return
        raise Unreadable("changing", self.path)

    def _check_version(self) -> None:
        assert self._connection is not None
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise Unreadable("newer", self.path, f"{version} > {VERSION}")
        if version < 1 or not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'journal'").fetchall():
            raise Unreadable("foreign", self.path)

    def _look(self) -> tuple[object, ...]:
        """What changes when somebody writes: size and time of database and WAL."""
        parts: list[object] = []
        for path in (self.path, Path(f"{self.path}-wal")):
            try:
                stat = path.stat()
                parts += [stat.st_ino, stat.st_size, stat.st_mtime_ns]
            except FileNotFoundError:
                parts.append(None)
        return tuple(parts)

    def _unreadable(self, error: sqlite3.Error) -> Unreadable:
        name = _name(error)
        why: Why = "changing" if name in _PASSING else "damaged"
        return Unreadable(why, self.path, str(error))


def _wal_bytes(path: Path) -> int:
    try:
        return Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _name(error: sqlite3.Error) -> str:
    """The primary result's name: SQLITE_READONLY_CANTINIT → SQLITE_READONLY."""
    return "_".join(str(getattr(error, "sqlite_errorname", "")).split("_")[:2])
