"""Bits that flip in an index: a closed row that it hides is found again, by the start itself or by the one after a look."""

from pathlib import Path

import pytest

from agent.core import event as e
from agent.core.model import Evidence
from agent.core.storageevent import RowsDamaged
from agent.journal import indexes, secrets
from agent.journal.audit import audit
from agent.journal.database import PAGE_BYTES, Damaged, StorageFailed
from agent.journal.idempotency import Idempotency
from agent.journal.indexes import GIVEN_UP, LOOK_EVERY_MS, Indexes
from agent.journal.reader import Reader
from agent.journal.store import Store
from tests.agent.core.test_receipt import RECEIPT
from tests.agent.journal.book import Book, reopen

# Of what is open and of the single rows a start reads every one; it mends these by itself.
LOOKED_UP = {
    "transactions_id", "transactions_key", "reversals_id", "incidents_id", "incidents_transaction", "jobs_transaction",
    "sqlite_autoindex_idempotency_1", "sqlite_autoindex_meta_1", "sqlite_autoindex_singles_1",
}


@pytest.fixture
def book(path: Path) -> Book:
    """A closed sale `old` with its receipt, and one in doubt, `a`, asked with a key, whose reversal waits for the line."""
    book = Book(Store.open(path))
    book.open("old", stan="000009")
    book.result("approved", "old", receipt=RECEIPT, job="r")
    book.finish_job("r", "CONFIRMED")
    book.idempotency = Idempotency(1000, "till-1", b"d" * 32)
    book.doubt(vault="va")
    book.idempotency = None
    return book


def look(book: Book) -> int:
    """A quiet while: the number of slices."""
    keeper, slices = Indexes(book.store), 1
    while keeper.go_on(book.now):
        slices += 1
    return slices


def root_of(book: Book, index: str) -> int:
    """Where in the file the root page of an index begins, which is all of it in a book this thin."""
    ((root,),) = book.store.database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,))
    return int(root - 1) * PAGE_BYTES


def spoil(book: Book, path: Path, index: str, text: bytes = b"") -> None:
    """The agent is off: a bit of this text flips in an index; without a text the page says that it is none."""
    page = root_of(book, index)
    book.store.checkpoint()
    book.store.close()
    data = bytearray(path.read_bytes())
    if text:
        data[data.index(text, page, page + PAGE_BYTES) + len(text) - 1] ^= 1
    else:
        data[page] ^= 64
    path.write_bytes(data)


@pytest.fixture
def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start looks at so few of the newest rows that what was spoilt is none of them."""
    monkeypatch.setattr(indexes, "SLICE_ROWS", 1)


def test_a_closed_payment_that_a_flipped_bit_hides_is_there_after_the_start(book: Book, path: Path) -> None:
    spoil(book, path, "transactions_id", b"old")
    book = reopen(book, path)
    assert book.store.damage() == RowsDamaged(restored=(), lost=())
    book.do(e.EvidenceGiven(transaction="old", evidence=Evidence(kind="debit_sms")))
    assert book.transaction("old").state == "approved"
    book = reopen(book, path)
    assert book.store.named("12345678", "000001", "000009") == ["old"]


@pytest.mark.usefixtures("long_ago")
def test_one_of_long_ago_is_missed_while_idle_and_found_after_the_next_start(book: Book, path: Path) -> None:
    spoil(book, path, "transactions_key", b"000009")
    book = reopen(book, path)
    assert book.store.damage() is None
    assert book.store.named("12345678", "000001", "000009") == []
    with pytest.raises(Damaged, match="row 1 of transactions is not found by transactions_key"):
        look(book)
    book = reopen(book, path)
    assert book.store.damage() == RowsDamaged(restored=(), lost=())
    assert book.store.named("12345678", "000001", "000009") == ["old"]
    look(book)


def test_verify_names_the_row_that_an_index_hides(book: Book, path: Path) -> None:
    spoil(book, path, "transactions_key", b"000009")
    assert findings(path) == [("page", "row 1 missing from index transactions_key")]


def findings(path: Path) -> list[tuple[str, str]]:
    """What `reversald verify` finds."""
    with Reader.open(path) as reader:
        return [(finding.kind, finding.detail) for finding in audit(reader).findings]


@pytest.mark.usefixtures("long_ago")
def test_a_row_of_another_payment_to_which_a_spoilt_index_leads_is_not_taken(book: Book, path: Path) -> None:
    spoil(book, path, "transactions_id", b"old")
    book = reopen(book, path)
    with pytest.raises(Damaged, match="row 1 of transactions is damaged"):
        book.store.family("ole")
    assert [row.id for row in reopen(book, path).store.family("ole")] == []


def test_every_index_by_which_something_is_looked_up_is_looked_at(book: Book) -> None:
    query = "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE '%_open'"
    assert {name for (name,) in book.store.database.execute(query)} == LOOKED_UP
    for name in LOOKED_UP:
        assert _missed(book, name), name


def _missed(book: Book, index: str) -> bool:
    """Are all its entries missed when they are gone? A page of an index is emptied by its count of entries."""
    at, whole = root_of(book, index) + 4, book.store.database.path
    book.store.checkpoint()
    other = whole.with_name(f"{index}.db")
    data = bytearray(whole.read_bytes())
    assert data[at], f"{index} has no entry: the book is too thin"
    data[at] = 0
    other.write_bytes(data)
    try:
        store = Store.open(other)
    except StorageFailed:  # the journal's notes are read at once
        return True
    keeper = Indexes(store)
    try:
        while keeper.go_on(book.now):
            pass
    except StorageFailed as error:
        return index in str(error)
    finally:
        store.close()
    return False


def test_a_long_journal_is_looked_at_in_slices(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "SLICE_ROWS", 3)
    before = look(book)
    for number in range(10):
        book.open(f"b{number}", stan=f"1{number:05d}", ask=False)
        book.result("declined", f"b{number}")
    assert look(book) >= before + 3


def test_a_commit_between_two_slices_is_no_damage(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "SLICE_ROWS", 1)
    keeper, number = Indexes(book.store), 0
    while keeper.go_on(book.now):
        number += 1
        if number < 5:
            book.open(f"b{number}", stan=f"1{number:05d}", ask=False)
            book.result("declined", f"b{number}")
    assert number > 5


def test_it_is_looked_for_after_each_start_and_once_a_day(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "SLICE_ROWS", 1)
    keeper = Indexes(book.store)
    assert keeper.go_on(book.now)
    while keeper.go_on(book.now):
        pass
    assert not keeper.go_on(book.now)
    book.now_ms += LOOK_EVERY_MS
    assert keeper.go_on(book.now)


# ── what is harder to mend ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_single_row_that_an_index_hides_is_found_by_the_start_before_anything_is_written_into_it(
    book: Book, path: Path
) -> None:
    spoil(book, path, "sqlite_autoindex_singles_1", b"line")
    book = reopen(book, path)
    book.connect()
    book.lose_line()
    store = Store.open(path)
    assert store.load().line == book.state.line
    store.close()
    assert findings(path) == []


def test_secrets_are_wiped_though_a_bit_flipped_in_the_name_beside_them(book: Book, path: Path) -> None:
    for ref in ("vpz", "vp"):
        with book.store.database.transaction():
            secrets.keep(book.store.database, ref, {"2": b"sealed"})
    spoil(book, path, "vault", b"vp")  # it stands in the middle, and says now that the last one is not behind it
    store = Store.open(path)
    every = "SELECT ref FROM vault ORDER BY +ref"
    assert list(store.database.execute(every)) == [("va",), ("vpz",), ("vq",)]
    with store.database.transaction():
        secrets.wipe(store.database, "vpz")
    assert list(store.database.execute(every)) == [("va",), ("vq",)]
    store.close()


@pytest.mark.usefixtures("long_ago")
def test_an_answer_that_was_kept_again_because_an_index_hid_it_is_there_once(book: Book, path: Path) -> None:
    asked = Idempotency(1000, "till-1", b"d" * 32)
    book.idempotency = Idempotency(1000, "till-2", b"e" * 32)
    book.open("c", stan="000003")
    spoil(book, path, "sqlite_autoindex_idempotency_1", b"till-1")
    book = reopen(book, path)
    assert book.store.asked_before(asked) is None
    book.idempotency = asked
    book.open("b", stan="000002")
    assert _kept(book.store) == ["till-1", "till-2", "till-1"]
    with pytest.raises(Damaged):
        look(book)
    store = Store.open(path)
    store.load()
    assert sorted(_kept(store)) == ["till-1", "till-2"]
    found = store.asked_before(asked)
    assert found is not None
    assert found[1].transaction == "b"
    store.close()
    assert findings(path) == []


def _kept(store: Store) -> list[str]:
    return [key for (key,) in store.database.execute("SELECT key FROM idempotency NOT INDEXED ORDER BY rowid")]


def test_an_index_whose_page_is_none_any_more_is_made_anew_beside_it(book: Book, path: Path) -> None:
    spoil(book, path, "transactions_key")
    book = reopen(book, path)
    assert book.store.damage() == RowsDamaged(restored=(), lost=())
    assert book.store.named("12345678", "000001", "000009") == ["old"]
    book.connect()
    book.reply("00")
    assert book.states() == ("reversed", "accepted")
    look(book)
    assert [detail.split()[-3:] for _, detail in findings(path)] == [["is", "never", "used"]], "the old page"


def test_what_cannot_be_mended_keeps_no_reversal_from_going_out_and_is_told_once(book: Book, path: Path) -> None:
    spoil(book, path, "sqlite_autoindex_idempotency_1")
    book = reopen(book, path)
    assert book.store.note("restore_owed") == GIVEN_UP
    damage = book.store.damage()
    assert damage is not None
    book.do(damage)
    assert book.incident("storage", None).next_action == "replace_storage"
    book.store.take_notes(damage="")
    assert look(book) == 1, "nobody can do more about it here"
    book.connect()
    book.reply("00")
    assert book.states() == ("reversed", "accepted")
    assert reopen(book, path).store.damage() is None


def test_with_a_full_disk_the_mending_waits_and_the_reversals_do_not(book: Book, path: Path) -> None:
    spoil(book, path, "transactions_key")
    store = Store.open(path)
    ((pages,),) = store.database.execute("PRAGMA page_count")
    store.database.execute(f"PRAGMA max_page_count={pages}")
    assert [row.id for row in store.load().open_reversals.values()] == ["a"]
    assert store.restore_waits
    assert not Indexes(store).go_on(book.now), "it is known, and stopping for it mends nothing"
    store.database.execute("PRAGMA max_page_count=1000000")
    store.load()
    assert not store.restore_waits
    assert store.named("12345678", "000001", "000009") == ["old"]
    store.close()
