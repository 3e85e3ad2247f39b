"""A journal that lives for years: checkpoints, what is deleted, what stays, and that the proof still holds afterwards."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import event as e
from agent.core.change import Rejected
from agent.core.model import Evidence, Now
from agent.journal import checkpoint, pruning
from agent.journal.audit import audit
from agent.journal.pruning import DAY_MS, Pruner
from agent.journal.reader import Reader
from agent.journal.store import Store
from tests.agent.core.test_step import _do, events
from tests.agent.core.world import HOUR
from tests.agent.journal.book import Book, reopen

KEEP_MS = 10 * DAY_MS


def pruner(book: Book, delivered: int | None = None) -> Pruner:
    """The housekeeping of this book's journal, as the daemon has it; facts of incidents and reversals are published."""
    return Pruner(
        book.store, "2", KEEP_MS, published=lambda type_: type_.startswith(("incident.", "reversal.")),
        delivered=lambda: delivered, forget=lambda: book.state.forget_closed(0),
    )


def prune(book: Book, delivered: int | None = None) -> None:
    """All of it."""
    keeper = pruner(book, delivered)
    while keeper.go_on(book.now):
        pass


def findings(path: Path) -> list[Any]:
    """What the audit finds."""
    with Reader.open(path) as reader:
        return audit(reader).findings


def numbers(book: Book, table: str) -> list[int]:
    """The numbers of what is on disk."""
    column = "seq" if table == "journal" else "number"
    return [number for (number,) in book.store.database.execute(f"SELECT {column} FROM {table} ORDER BY {column}")]


def trading(path: Path, days: int = 30) -> Book:
    """One approved sale a day; on the second day one is in doubt and reversed."""
    book = Book(Store.open(path))
    for day in range(days):
        book.go_to(day * DAY_MS)
        book.open(f"sale{day}", stan=f"{day + 1:06d}")
        book.result("approved", f"sale{day}")
        if day == 1:
            book.doubt("lost", stan="900001")
            book.connect()
            book.reply("00", "lost")
            book.lose_line()
            for job in list(book.state.open_jobs):
                book.finish_job(job, "CONFIRMED")
    return book


def test_what_is_older_than_the_retention_goes_and_the_rest_still_proves_itself(path: Path) -> None:
    book = trading(path)
    prune(book)
    kept = {key for (key,) in book.store.database.execute("SELECT id FROM transactions")}
    assert kept == {f"sale{day}" for day in range(19, 30)}
    oldest = next(iter(book.store.entries_after(0, 1)))
    assert oldest.wall_ms is not None
    assert book.now.wall_ms is not None
    assert oldest.wall_ms >= book.now.wall_ms - KEEP_MS
    assert findings(path) == []


def test_the_next_day_is_pruned_from_where_the_last_one_ended(path: Path) -> None:
    book = trading(path)
    prune(book)
    first = numbers(book, "journal")[0]
    for day in range(30, 33):
        book.go_to(day * DAY_MS)
        book.open(f"sale{day}", stan=f"{day + 1:06d}")
        book.result("approved", f"sale{day}")
    prune(book)
    assert numbers(book, "journal")[0] > first
    assert findings(path) == []


def test_nothing_is_done_before_something_is_a_day_past_its_time(path: Path) -> None:
    book = trading(path, days=11)
    seq = book.store.seq
    prune(book)
    assert book.store.seq == seq


def test_the_repeat_of_an_open_doubt_is_kept_as_long_as_that(path: Path) -> None:
    book = Book(Store.open(path))
    book.doubt("lost", stan="900001", basket_id="7")
    book.connect()
    book.reply("30", "lost")
    book.open("again", stan="900002", basket_id="7")
    book.result("declined", "again", response_code="51")
    for day in range(30):
        book.go_to((day + 1) * DAY_MS)
        book.open(f"sale{day}", stan=f"{day + 1:06d}", amount_fen=200)
        book.result("approved", f"sale{day}")
    prune(book)
    kept = {key for (key,) in book.store.database.execute("SELECT id FROM transactions")}
    assert {"lost", "again"} < kept
    assert "sale1" not in kept
    assert findings(path) == []
    book = reopen(book, path)
    assert book.transaction("again").state == "declined", "known to whoever judges the first one"
    assert findings(path) == []


def test_an_open_doubt_keeps_its_rows_for_ever_and_its_story_twice_as_long(path: Path) -> None:
    book = Book(Store.open(path))
    book.doubt("open", stan="900000")
    for day in range(1, 31):
        book.go_to(day * DAY_MS)
        book.open(f"sale{day}", stan=f"{day:06d}")
        book.result("approved", f"sale{day}")
        if day == 15:
            prune(book)
            assert "open" in {entry.transaction for entry in book.store.entries_after(0, 1_000)}
    prune(book)
    assert "open" not in {entry.transaction for entry in book.store.entries_after(0, 1_000)}
    assert book.store.family("open")
    assert findings(path) == []
    book = reopen(book, path)
    book.connect()
    book.reply("00", "open")
    assert book.states("open") == ("reversed", "accepted")
    assert findings(path) == []


def test_what_was_closed_long_ago_and_is_needed_again_stays_proved(path: Path) -> None:
    book = trading(path)
    prune(book)
    book.do(e.EvidenceGiven(transaction="sale25", evidence=Evidence(kind="debit_sms", amount_fen=100)))
    assert book.store.family("sale25")[0].evidence  # type: ignore[union-attr]
    assert findings(path) == []


def test_a_new_version_begins_a_chapter_of_its_own(path: Path) -> None:
    book = trading(path, days=3)
    count = len(numbers(book, "journal"))
    checkpoint.owe(book.store)
    prune(book)
    assert len(numbers(book, "journal")) == count + 1
    found = checkpoint.newest(book.store)
    assert found is not None
    assert (found.version, found.first, found.number) == ("2", 1, 0)
    assert not checkpoint.is_owed(book.store)
    assert findings(path) == []
    changed = "UPDATE journal SET body = ? WHERE seq = 2"  # an old entry is not stepped any more, but the chain holds it
    book.store.database.execute(changed, (b"{}",))
    assert [finding.kind for finding in findings(path)] == ["changed"]


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE transactions SET body = CAST(replace(body, 'card', 'wallet') AS BLOB) WHERE id = 'sale20'", {"row"}),
        ("DELETE FROM transactions WHERE id = 'sale20'", {"row"}),
        ("DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)", {"missing"}),
    ],
)
def test_damage_to_what_was_closed_before_the_checkpoint_is_seen(path: Path, damage: str, kinds: set[str]) -> None:
    book = trading(path)
    prune(book)
    book.store.database.execute(damage)
    assert {finding.kind for finding in findings(path)} & kinds


def test_a_kill_between_any_two_slices_leaves_a_whole_journal_that_is_pruned_later(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_ROWS", 12)
    monkeypatch.setattr(pruning, "SLICE_ROWS", 8)
    trading(path, days=18).store.close()
    whole = path.read_bytes()
    slices, more = 0, True
    while more:
        other = tmp_path / f"{slices}.db"
        other.write_bytes(whole)
        book = Book(Store.open(other), 17 * DAY_MS)
        keeper = pruner(book)
        more = all(keeper.go_on(book.now) for _ in range(slices))
        book.store.close()
        assert findings(other) == [], f"after {slices} slices"
        book = reopen(book, other)
        prune(book)
        assert findings(other) == [], f"after {slices} slices and the rest"
        assert "sale5" not in {key for (key,) in book.store.database.execute("SELECT id FROM transactions")}
        book.store.close()
        slices += 1
    assert slices > 10, slices


def test_a_commit_in_between_begins_the_counting_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SLICE_ROWS", 5)
    book = trading(path)
    keeper = pruner(book)
    for _ in range(10):
        assert keeper.go_on(book.now)
    book.open("new", stan="900009")
    book.result("approved", "new")
    while keeper.go_on(book.now):
        pass
    assert findings(path) == []


def test_what_was_not_delivered_stays_and_so_does_the_last_that_was(path: Path) -> None:
    book = trading(path)
    confirmed = next(entry.seq for entry in book.store.entries_after(0, 1_000) if entry.type == "reversal.confirmed")
    prune(book, delivered=confirmed - 1)
    assert confirmed in numbers(book, "journal")
    prune(reopen(book, path), delivered=book.store.seq)
    assert any(entry.type.startswith(("incident.", "reversal.")) for entry in book.store.entries_after(0, 1_000))
    assert findings(path) == []


def test_without_a_time_that_can_be_trusted_nothing_is_deleted(path: Path) -> None:
    book = trading(path)
    before = numbers(book, "journal")
    checkpoint.owe(book.store)
    keeper = pruner(book)
    while keeper.go_on(Now("boot-1", book.now_ms, None, "none")):
        pass
    assert numbers(book, "journal")[: len(before)] == before
    assert findings(path) == []


def test_an_entry_from_the_future_does_not_hold_up_the_pruning(path: Path) -> None:
    book = Book(Store.open(path))
    assert book.wall_at_zero_ms is not None
    right = book.wall_at_zero_ms
    book.wall_at_zero_ms = right + 70 * 365 * DAY_MS
    book.open("wrong", stan="000001")
    book.result("approved", "wrong")
    book.wall_at_zero_ms = right
    for day in range(1, 31):
        book.go_to(day * DAY_MS)
        book.open(f"sale{day}", stan=f"{day + 1:06d}")
        book.result("approved", f"sale{day}")
    prune(book)
    assert "wrong" not in {key for (key,) in book.store.database.execute("SELECT id FROM transactions")}
    assert findings(path) == []


def test_one_checkpoint_deletes_no_more_than_its_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "ENTRIES_MAX", 7)
    book = trading(path)
    prune(book)
    assert numbers(book, "journal")[0] == 8


@given(st.lists(events(), max_size=25), st.sets(st.integers(0, 25), max_size=4), st.sets(st.integers(0, 25), max_size=2))
@settings(max_examples=30)
def test_any_story_with_pruning_and_restarts_proves_itself(
    tmp_path_factory: Any, script: list[tuple[str, Any]], prunings: set[int], restarts: set[int]
) -> None:
    path = tmp_path_factory.mktemp("pruning") / "j.db"
    book = Book(Store.open(path))
    keep: Callable[[Book], Pruner] = lambda book: Pruner(  # noqa: E731
        book.store, "2", HOUR, published=lambda _: False, delivered=lambda: None, forget=lambda: book.state.forget_closed(0)
    )
    for number, (what, value) in enumerate(script):
        if number in restarts:
            book.store.close()
            book = reopen(book, path)
        if number in prunings:
            checkpoint.owe(book.store)
            keeper = keep(book)
            while keeper.go_on(book.now):
                pass
        with suppress(Rejected):
            _do(book, what, value)
        book.state.forget_closed(keep=1)
    book.store.close()
    assert findings(path) == [], msgspec.json.encode(findings(path))
