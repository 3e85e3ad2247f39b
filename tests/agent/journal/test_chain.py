"""The hash chain shows every change inside it."""

from pathlib import Path

from agent.journal.chain import GENESIS, canonical, link, verify
from agent.journal.store import Store
from tests.agent.journal.book import Book


def rows(path: Path) -> list[tuple[int, bytes, bytes]]:
    book = Book(Store.open(path))
    book.doubt()
    book.connect()
    book.reply("00")
    return [
        (seq, bytes(body), bytes(hash_))
        for seq, body, hash_ in book.store.database.execute("SELECT seq, body, hash FROM journal ORDER BY seq")
    ]


def test_an_untouched_chain_holds(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    assert len(found) > 8
    assert list(verify(found)) == []


def test_the_link_is_sha_256_over_previous_seq_and_body() -> None:
    import hashlib

    body = canonical({"b": 1, "a": "中"})
    assert body == '{"a":"中","b":1}'.encode()
    assert link(GENESIS, 1, body) == hashlib.sha256(bytes(32) + bytes(7) + b"\x01" + body).digest()


def test_a_changed_entry_is_seen(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    seq, body, hash_ = found[4]
    found[4] = (seq, body.replace(b'"', b"'", 1), hash_)
    assert [broken.seq for broken in verify(found)] == [seq]


def test_a_changed_hash_is_seen_here_and_at_the_next_entry(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    seq, body, _ = found[4]
    found[4] = (seq, body, bytes(32))
    assert [broken.seq for broken in verify(found)] == [seq, seq + 1]


def test_a_missing_entry_is_seen(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    del found[4]
    assert "5–5 are missing" in next(iter(verify(found))).reason


def test_two_exchanged_entries_are_seen(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    found[3], found[4] = found[4], found[3]
    assert list(verify(found))


def test_a_later_part_is_verified_from_where_it_begins(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    assert list(verify(found[4:], previous=found[3][2], after=4)) == []


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    rows(path)
    book = Book(Store.open(path))
    book.open("b", stan="000002")
    query = book.store.database.execute("SELECT seq, body, hash FROM journal ORDER BY seq")
    assert list(verify((seq, bytes(body), bytes(hash_)) for seq, body, hash_ in query)) == []


def test_a_cut_tail_is_seen_by_the_head_that_was_told(tmp_path: Path) -> None:
    found = rows(tmp_path / "j.db")
    assert list(verify(found[:-1])) == [], "the chain alone cannot see it"
    assert found[-2][2] != found[-1][2]
