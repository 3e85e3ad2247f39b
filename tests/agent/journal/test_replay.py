"""The journal tells the whole story: stepping it again comes to the same facts and rows."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import event as e
from agent.core.change import Rejected
from agent.core.model import Row
from agent.journal.replay import Replay
from agent.journal.rows import TABLES, read, write
from agent.journal.store import Store
from tests.agent.core.test_step import _do, events
from tests.agent.core.world import RECEIPT
from tests.agent.journal.book import Book, reopen


def disk_rows(store: Store) -> list[Row]:
    """Every row of record as it stands on disk."""
    return [row for kind in (None, *TABLES) for row, _ in read(store.database, kind)[0]]


def differences(store: Store) -> list[Any]:
    """What replay and rows do not agree on."""
    replay = Replay(store.read_after(0, 1_000_000))
    return [*replay.differences, *replay.compare(disk_rows(store))]


def test_a_reversal_with_a_reboot_in_its_middle_replays(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.open("z", stan="000009")
    book.result("approved", "z", receipt=RECEIPT, job="r")
    book.finish_job("r", "CONFIRMED")
    book.doubt()
    book = reopen(book, path)
    book.boot(new=True)
    book.connect()
    book.reply("00")
    book.do(e.ReprintAsked(transaction="z", job="copy"))
    assert differences(book.store) == []


@given(st.lists(events(), max_size=25), st.sets(st.integers(0, 25), max_size=3))
@settings(max_examples=60)
def test_any_story_replays_also_with_restarts(tmp_path_factory: Any, script: list[tuple[str, Any]], restarts: set[int]) -> None:
    path = tmp_path_factory.mktemp("replay") / "j.db"
    book = Book(Store.open(path))
    for number, (what, value) in enumerate(script):
        if number in restarts:
            book.store.close()
            book = reopen(book, path)
        with suppress(Rejected):
            _do(book, what, value)
        book.state.forget_closed(keep=1)
    assert differences(book.store) == []
    book.store.close()


def test_a_row_that_was_changed_by_hand_is_seen(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.doubt()
    row = msgspec.structs.replace(book.transaction(), state="approved")
    write(book.store.database, row)  # by somebody who makes the check sum anew, too
    assert [found.seq for found in differences(book.store)] == [0]


def test_a_fact_that_was_changed_by_hand_is_seen(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.doubt()
    entry = book.store.read_after(2, 1)[0]
    body = msgspec.json.encode(msgspec.structs.replace(entry, data={"amount_fen": 1}))
    book.store.database.execute("UPDATE journal SET body = ? WHERE seq = 3", (body,))
    assert 3 in {found.seq for found in differences(book.store)}


def test_an_invented_or_a_missing_fact_is_seen(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.doubt()
    entries = book.store.read_after(0, 100)
    extra = msgspec.structs.replace(entries[-1], type="reversal.confirmed", input=None)
    assert Replay([*entries, extra]).differences
    lost = [entry for entry in entries if entry.input is not None or entry.type != "reversal.opened"]
    assert Replay(lost).differences
