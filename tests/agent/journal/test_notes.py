"""Bits that flip in the journal's own notes: the agent starts all the same, and does what is safe whatever the note had said."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.core.event import IncidentResolved
from agent.core.storageevent import RowsDamaged
from agent.journal import checkpoint
from agent.journal.audit import audit
from agent.journal.database import PAGE_BYTES
from agent.journal.indexes import GIVEN_UP
from agent.journal.pruning import DAY_MS, Pruner
from agent.journal.reader import Reader
from agent.journal.store import Store
from tests.agent.journal.book import Book, reopen

KEEP_MS = 10 * DAY_MS
NO_TEXT = b"4\xff2"


@pytest.fixture
def book(path: Path) -> Book:
    """One in doubt, whose reversal waits for the line; telemetry is done with all but the last entry."""
    book = Book(Store.open(path))
    book.doubt()
    book.store.move(book.store.seq - 1)
    return book


def spoil(book: Book, key: str, value: object) -> None:
    """Another value in a note, which is written as text whatever bytes it is."""
    book.store.database.execute("UPDATE meta SET value = CAST(? AS TEXT) WHERE key = ?", (value, key))


def rename(book: Book, key: str, other: str) -> None:
    """A bit in the name of a note: it is found no more."""
    book.store.database.execute("UPDATE meta SET key = ? WHERE key = ?", (other, key))


def on_disk(path: Path, key: str) -> list[Any]:
    """What the note says to everybody else."""
    with closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM meta WHERE key = ?", (key,))]


def findings(path: Path) -> list[tuple[str, str]]:
    """What `reversald verify` finds."""
    with Reader.open(path) as reader:
        return [(finding.kind, finding.detail) for finding in audit(reader).findings]


# ── the cursor ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["", "x", "4x", "-1", "1.5", " 4", "٤", "9" * 40, "\ufffd", NO_TEXT, "900"])
def test_a_cursor_that_cannot_be_read_begins_again_and_the_reversal_goes_out(
    book: Book, path: Path, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(book, "cursor", value)
    with caplog.at_level(logging.WARNING):
        book = reopen(book, path)
    assert [(record.name, record.levelname) for record in caplog.records] == [("reversald.journal", "WARNING")]
    assert "cursor" in caplog.text
    assert book.store.cursor() == 0
    assert [entry.seq for entry in book.store.read_after(book.store.cursor(), 3)] == [1, 2, 3]
    book.connect()
    book.reply("00")
    assert book.states() == ("reversed", "accepted")


def test_so_does_one_that_is_not_there(book: Book, path: Path) -> None:
    rename(book, "cursor", "cursos")
    assert reopen(book, path).store.cursor() == 0


@pytest.mark.parametrize(("value", "said"), [("0", 0), ("3", 3)])
def test_a_cursor_that_can_be_read_is_believed_without_a_word(
    book: Book, path: Path, value: str, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(book, "cursor", value)
    assert Store.open(path).cursor() == said
    assert Store.open(path).cursor() == said
    spoil(book, "cursor", str(book.store.seq))
    assert Store.open(path).cursor() == book.store.seq, "all of it, and not one more"
    assert caplog.records == []


@pytest.mark.parametrize("value", ["x", "-1", NO_TEXT])
def test_a_spoilt_cursor_is_said_once_and_the_next_start_has_nothing_to_say(
    book: Book, path: Path, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(book, "cursor", value)
    Store.open(path).close()
    caplog.clear()
    assert Store.open(path).cursor() == 0
    assert caplog.records == []
    assert findings(path) == []


@pytest.mark.parametrize(("value", "said"), [("x", 0), ("-1", 0), (NO_TEXT, 0), ("900", 0), ("3", 3)])
def test_whoever_reads_the_terminal_takes_a_spoilt_cursor_for_the_beginning(
    book: Book, path: Path, value: object, said: int
) -> None:
    spoil(book, "cursor", value)
    with Reader.open(path) as reader:
        assert reader.summary().acknowledged_seq == said


@pytest.mark.parametrize("value", ["x", "-1", NO_TEXT])
def test_verify_names_a_spoilt_cursor_and_goes_on(book: Book, path: Path, value: object) -> None:
    spoil(book, "cursor", value)
    assert findings(path) == [("unreadable", "meta cursor")]


def test_a_cursor_beyond_the_head_still_shows_a_tail_that_was_cut_off(book: Book, path: Path) -> None:
    head = book.store.seq
    spoil(book, "cursor", "900")
    Store.open(path).close()  # also after a start: the note is proof, until telemetry writes another
    assert findings(path) == [("cut_tail", f"{head} < 900")]


# ── the others ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["x", "", "2", NO_TEXT])
def test_a_scrub_of_which_nothing_is_known_is_owed(book: Book, path: Path, value: object) -> None:
    spoil(book, "scrub_owed", value)
    with Reader.open(path) as reader:
        assert reader.summary().scrub_owed
    store = Store.open(path)
    assert store.scrub_owed
    assert store.scrub()
    assert on_disk(path, "scrub_owed") == ["0"]
    assert not Store.open(path).scrub_owed


def test_so_is_one_whose_note_is_not_there(book: Book, path: Path) -> None:
    rename(book, "scrub_owed", "scrub_owee")
    with Reader.open(path) as reader:
        assert reader.summary().scrub_owed
    assert Store.open(path).scrub_owed


@pytest.mark.parametrize("value", ["", "3f0c9a7e", "3f0c9a7e-5b1d-4c55-9a51-0d2f7c1bE001", NO_TEXT])
def test_with_a_spoilt_epoch_a_new_life_of_the_journal_begins_and_all_of_it_is_told(
    book: Book, path: Path, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    before = book.store.epoch
    spoil(book, "epoch", value)
    again = Store.open(path)
    assert again.epoch not in {"", before, value}
    assert again.cursor() == 0, "a fleet takes an epoch that it does not know as a journal that begins"
    assert "epoch" in caplog.text
    assert Store.open(path).epoch == again.epoch, "it is the same with every later start"
    assert on_disk(path, "epoch") == [again.epoch]


def test_an_index_that_hides_the_notes_begins_nothing_anew(book: Book, path: Path) -> None:
    epoch, cursor = book.store.epoch, book.store.cursor()
    ((root,),) = book.store.database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_meta_1'")
    book.store.checkpoint()
    book.store.close()
    data = bytearray(path.read_bytes())
    count = (root - 1) * PAGE_BYTES + 3
    assert data[count : count + 2] == b"\0\3"
    data[count : count + 2] = b"\0\0"  # how many entries the page has
    path.write_bytes(data)
    book = reopen(book, path)
    assert (book.store.epoch, book.store.cursor(), book.store.scrub_owed) == (epoch, cursor, False)
    assert findings(path) == []


@pytest.mark.parametrize("value", ["x", "2", NO_TEXT])
def test_a_restore_of_which_nothing_is_known_is_owed(book: Book, path: Path, value: object) -> None:
    book.store.take_notes(restore_owed="0")
    spoil(book, "restore_owed", value)
    book = reopen(book, path)
    assert on_disk(path, "restore_owed") == ["0"]
    assert book.store.damage() == RowsDamaged(restored=(), lost=())
    assert book.states() == ("in_doubt", "pending")


@pytest.mark.parametrize("value", ["", "0", GIVEN_UP])
def test_a_restore_that_is_not_owed_is_not_made(book: Book, path: Path, value: str) -> None:
    book.store.take_notes(restore_owed=value)
    assert reopen(book, path).store.damage() is None


@pytest.mark.parametrize("value", ["x", "{}", '{"restored":["transactions a"],"lost":3}', NO_TEXT])
def test_a_damage_that_is_spoilt_itself_is_told_as_bits_that_flipped(book: Book, value: object) -> None:
    book.store.take_notes(damage="{}")
    spoil(book, "damage", value)
    told = book.store.damage()
    assert told == RowsDamaged(restored=(), lost=())
    book.do(told)
    row = book.incident("storage", None)
    book.do(IncidentResolved(incident=row.id, transaction=None, resolution="no_action", by="Li"))


# ── the housekeeping's ───────────────────────────────────────────────────────────────────────────────────────────────


def pruner(book: Book) -> Pruner:
    """Ten days are kept."""
    return Pruner(
        book.store, "2", KEEP_MS, published=lambda _: True, delivered=lambda: None,
        forget=lambda: book.state.forget_closed(0),
    )


def trade(book: Book, *days: int) -> None:
    """An approved sale on each of these days."""
    for day in days:
        book.go_to(day * DAY_MS)
        book.open(f"sale{day}", stan=f"{day + 1:06d}")
        book.result("approved", f"sale{day}")


def prune(book: Book) -> None:
    """Everything that is to be done."""
    keeper = pruner(book)
    while keeper.go_on(book.now):
        pass


def entries(book: Book) -> list[int]:
    """The numbers of those that are kept."""
    return [seq for (seq,) in book.store.database.execute("SELECT seq FROM journal ORDER BY seq")]


@pytest.fixture
def old(path: Path) -> Book:
    """Thirty days of trade, of which the first twenty were pruned."""
    book = Book(Store.open(path))
    trade(book, *range(30))
    prune(book)
    assert entries(book)[0] > 1
    return book


@pytest.mark.parametrize("value", ["x", "2", NO_TEXT])
def test_a_checkpoint_of_which_nothing_is_known_is_owed(old: Book, path: Path, value: object) -> None:
    spoil(old, "checkpoint_owed", value)
    head = old.store.seq
    prune(old)
    assert old.store.seq == head + 1
    assert not checkpoint.is_owed(old.store)
    assert findings(path) == []


@pytest.mark.parametrize("value", ["x", "", "-7", "1", "9" * 17, "9" * 40, NO_TEXT])
def test_the_newest_checkpoint_is_found_though_the_note_that_says_where_is_spoilt(
    old: Book, path: Path, value: object
) -> None:
    first = entries(old)[0]
    spoil(old, "checkpoint", value)
    found = checkpoint.newest(old.store)
    assert found is not None
    assert found.first == first
    trade(old, *range(30, 33))
    prune(old)
    assert entries(old)[0] > first
    assert findings(path) == []


def test_the_newest_checkpoint_is_found_though_that_note_names_an_entry_of_another_kind(old: Book) -> None:
    spoil(old, "checkpoint", str(old.store.seq - 1))
    found = checkpoint.newest(old.store)
    assert found is not None
    assert found.first == entries(old)[0]


def test_so_is_one_before_which_nothing_was_deleted(path: Path) -> None:
    book = Book(Store.open(path))
    trade(book, *range(3))
    checkpoint.owe(book.store)
    prune(book)
    assert entries(book)[0] == 1
    spoil(book, "checkpoint", "x")
    assert checkpoint.newest(book.store) is not None


@pytest.mark.parametrize("value", ["x", "90", "9000:9000", "1:1", NO_TEXT])
def test_no_more_is_deleted_than_the_checkpoint_allows_whatever_the_note_says(
    old: Book, path: Path, value: object
) -> None:
    kept = entries(old)
    rows = list(old.store.database.execute("SELECT id FROM transactions"))
    spoil(old, "pruning", value)
    prune(old)
    assert entries(old) == kept
    assert list(old.store.database.execute("SELECT id FROM transactions")) == rows
    assert old.store.note("pruning") == ""
    assert findings(path) == []
