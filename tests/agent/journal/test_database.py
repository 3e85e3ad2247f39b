"""The adapter to SQLite: its settings, and what an error means."""

import contextlib
import errno
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from agent.core import event as e
from agent.core.change import Change
from agent.hooks.ids import new_id
from agent.journal.database import CACHED_PAGES, PAGE_BYTES, WAL_BYTES, Database, StorageFailed, StorageFull, classify
from agent.journal.schema import VERSION
from agent.journal.store import Stepped, Store
from tests.agent.journal.book import Book


def pragma(database: Database, name: str) -> object:
    return next(iter(database.execute(f"PRAGMA {name}")))[0]


def test_the_settings_the_promises_rest_on(tmp_path: Path) -> None:
    database = Store.open(tmp_path / "j.db").database
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "synchronous") == 2
    assert pragma(database, "secure_delete") == 1
    assert pragma(database, "wal_autocheckpoint") == 0
    assert pragma(database, "user_version") == VERSION


class Crowd(Book):
    """Many callers, whose steps wait for one commit."""

    def __init__(self, store: Store) -> None:
        self.waiting: list[Stepped] = []
        super().__init__(store)

    def commit(self, event: e.Event, change: Change, loaded: list[Any]) -> None:
        self.waiting.append(Stepped(event, self.now, change, loaded))

    def flush(self) -> None:
        """Commit all."""
        self.store.commit(self.waiting)
        self.store.tidy()
        self.waiting.clear()


def test_what_sqlite_holds_is_bounded_and_a_flush_of_many_callers_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    Store.open(path).close()
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        database = Database(connection, path)
        database.configure()
        crowd = Crowd(Store(database))
        connection.status(apsw.SQLITE_DBSTATUS_CACHE_SPILL, reset=True)  # the WAL was grown by a spill
        for number in range(64 * 20):
            crowd.open(new_id(), stan=f"{number:06d}", terminal_id=f"{number % 64:08d}", vault=None)
            if number % 64 == 63:
                crowd.flush()
        assert connection.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0] < 2 * CACHED_PAGES * PAGE_BYTES
        assert connection.status(apsw.SQLITE_DBSTATUS_CACHE_SPILL)[0] == 0


def test_the_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    Store.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Path(f"{path}-wal").stat().st_mode & 0o777 == 0o600


def test_the_wal_is_grown_at_the_start_and_the_database_is_not(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    store = Store.open(path)
    assert store.database.wal_bytes() >= WAL_BYTES
    assert path.stat().st_size < WAL_BYTES // 4


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    store = Store.open(path)
    store.database.execute(f"PRAGMA user_version={VERSION + 1}")
    store.close()
    with pytest.raises(StorageFailed, match="install the newer program"):
        Store.open(path)


def test_a_file_that_is_no_database_is_storage_failed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StorageFailed):
        Store.open(path)


def test_a_damaged_page_is_storage_failed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    store = Store.open(path)
    Book(store).doubt()
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises((StorageFailed, sqlite3.DatabaseError)):
        Store.open(path).load()


CODES = [(13, StorageFull), *((code, StorageFailed) for code in (1, 10, 778, 11, 8, 14, 26)), (19, type(None))]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_sqlite_codes_are_classified_by_their_primary_part(code: int, kind: type) -> None:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    assert isinstance(classify(error), kind)
    assert classify(ValueError("x")) is None


def test_an_error_of_the_caller_inside_a_transaction_is_undone_and_passed_on(tmp_path: Path) -> None:
    database = Store.open(tmp_path / "j.db").database
    with pytest.raises(KeyError), database.transaction():
        database.execute(f"INSERT INTO meta VALUES ('x', '{dict[str, str]()['nothing']}')")
    assert list(database.execute("SELECT * FROM meta WHERE key = 'x'")) == []


WRITER = """
import errno, os, resource, sys
from pathlib import Path
from agent.journal.database import StorageFailed, StorageFull
from agent.journal.store import Store
from tests.agent.journal.book import Book

path = Path(sys.argv[1]) / "j.db"
book = Book(Store.open(path))
book.doubt("first", stan="900000")
if sys.argv[2] == "full":
    with open(path.parent / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
else:
    limit = path.stat().st_size + book.store.database.wal_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
done = 0
try:
    while done < 5_000:
        book.open(f"t{done}", stan=f"{done:06d}", ask=False)
        done += 1
except StorageFull:
    print("full", done, len(book.state.transactions))
except StorageFailed:
    print("failed", done, len(book.state.transactions))
if sys.argv[2] == "full":
    (path.parent / "ballast").unlink()
    book.open("after", stan="999998", ask=False)
    print("after", Store.open(path).load().transactions["first"].state)
"""

ROOT = Path(__file__).parents[3]


def test_a_disk_that_is_really_full_is_storage_full_with_a_reserve(tmp_path: Path) -> None:
    """A tmpfs of 4 MiB in a mount namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    shell = f'mount -t tmpfs -o size=4m tmpfs {small} && exec "$@"'
    run = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shell, "sh", sys.executable, "-c", WRITER, small, "full"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    if run.returncode != 0 and "unshare" in run.stderr:
        return  # a container may forbid it; the same, on a disk in memory, is tested beside the store
    assert run.returncode == 0, run.stderr
    (word, done, remembered), after = run.stdout.splitlines()[0].split(), run.stdout.splitlines()[1]
    assert word == "full"
    assert int(done) > 10, "the grown WAL took some more"
    assert int(remembered) == int(done) + 1
    assert after == "after in_doubt"


def test_a_write_that_the_system_refuses_is_storage_failed(tmp_path: Path) -> None:
    """A limit on the size of files: the write fails with EFBIG, which is not "full"."""
    assert errno.EFBIG
    assert resource.RLIMIT_FSIZE >= 0
    run = subprocess.run(
        [sys.executable, "-c", WRITER, tmp_path, "limit"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[0] == "failed"
