"""Bits that flip in a row of record: nothing is acted upon as it stands, and what the journal tells is made anew."""

from pathlib import Path
from random import Random

import msgspec
import pytest

from agent.core import event as e
from agent.core.change import Rejected, SendReversal
from agent.core.model import Evidence
from agent.core.state import State
from agent.core.storageevent import RowsDamaged
from agent.journal import checkpoint
from agent.journal.audit import audit
from agent.journal.database import PAGE_BYTES, StorageFailed
from agent.journal.loading import load
from agent.journal.pruning import DAY_MS, Pruner
from agent.journal.reader import Reader
from agent.journal.store import Store
from tests.agent.journal.book import Book, reopen

FLIPS = 25


@pytest.fixture
def book(path: Path) -> Book:
    """A closed sale `old`, and one in doubt, `a`, whose reversal waits for the line."""
    book = Book(Store.open(path))
    book.open("old", stan="000009")
    book.result("approved", "old")
    book.doubt()
    return book


def flip(book: Book, table: str, where: str, old: str, new: str) -> None:
    """Spoil a row as a flipped bit does: its sum stays what it was."""
    changed = f"UPDATE {table} SET body = CAST(replace(body, ?, ?) AS BLOB) WHERE {where}"
    book.store.database.execute(changed, (old, new))


def chapter(book: Book) -> None:
    """A checkpoint: what is closed before it stands in no step after it."""
    checkpoint.owe(book.store)
    pruner = Pruner(
        book.store, "2", 180 * DAY_MS, published=lambda _: True, delivered=lambda: None,
        forget=lambda: book.state.forget_closed(0),
    )
    while pruner.go_on(book.now):
        pass


def rows(state: State) -> list[object]:
    """All of it, to be compared."""
    return sorted(checkpoint.rows_of(state), key=lambda row: (type(row).__name__, row.id))


def findings(path: Path) -> set[str]:
    """What `reversald verify` finds."""
    with Reader.open(path) as reader:
        return {finding.kind for finding in audit(reader).findings}


def test_a_bit_in_an_open_doubt_never_spoils_a_field_of_its_0400(book: Book, path: Path) -> None:
    flip(book, "transactions", "id = 'a'", '"amount_fen":100', '"amount_fen":108')
    flip(book, "reversals", "id = 'a'", "000000000100", "000000000108")
    assert findings(path) >= {"sum"}
    book = reopen(book, path)
    assert book.store.damage() == RowsDamaged(restored=("reversals a", "transactions a"), lost=())
    assert book.transaction().amount_fen == 100
    book.connect()
    assert [effect.fields["4"] for effect in book.effects if isinstance(effect, SendReversal)] == ["000000000100"]
    assert findings(path) == set()


def load_state(path: Path) -> State:
    """What a start comes to."""
    store = Store.open(path)
    try:
        return store.load()
    finally:
        store.close()


@pytest.mark.parametrize("table", ["transactions", "reversals", "incidents"])
def test_a_row_that_a_bit_made_closed_is_missed_on_the_roll_and_comes_back(book: Book, path: Path, table: str) -> None:
    before = rows(load_state(path))
    book.store.database.execute(f"UPDATE {table} SET open = 0 WHERE open")
    book.store.close()
    assert rows(load_state(path)) == before


def test_a_row_that_a_bit_lost_comes_back(book: Book, path: Path) -> None:
    before = rows(load_state(path))
    book.store.database.execute("DELETE FROM reversals")
    book.store.database.execute("DELETE FROM singles WHERE id = 'agent'")
    assert rows(load_state(path)) == before
    assert findings(path) == set()


def test_a_spoilt_roll_or_index_is_mended_though_no_row_is_damaged(book: Book, path: Path) -> None:
    before = rows(load_state(path))
    book.store.database.execute("UPDATE journal SET roll = roll + 1")
    again = Store.open(path)
    assert rows(again.load()) == before
    assert again.damage() == RowsDamaged(restored=(), lost=())


def test_bits_that_empty_the_indexes_of_what_is_open_forget_nothing(book: Book, path: Path) -> None:
    before = rows(load_state(path))
    query = "SELECT rootpage FROM sqlite_master WHERE name IN ('transactions_open', 'reversals_open', 'incidents_open')"
    counts = [(root - 1) * PAGE_BYTES + 4 for (root,) in book.store.database.execute(query)]
    book.store.checkpoint()
    book.store.close()
    data = bytearray(path.read_bytes())
    for at in counts:  # how many entries the page has: one
        assert data[at] == 1
        data[at] ^= 1
    path.write_bytes(data)
    assert rows(load_state(path)) == before
    assert findings(path) == set()


def test_it_is_told_once_with_an_incident_for_a_technician(book: Book, path: Path) -> None:
    flip(book, "transactions", "id = 'a'", "000001", "000003")
    book = reopen(book, path)
    damage = book.store.damage()
    assert damage is not None
    book.do(damage)
    assert ((found := book.incident("storage", None)).owner, found.next_action) == ("technician", "replace_storage")
    assert book.told("storage.damaged")[0].data == {"restored": "transactions a"}


@pytest.mark.parametrize("seed", range(12))
def test_a_bit_that_flips_anywhere_in_the_file_is_mended_or_noticed_at_the_start(book: Book, path: Path, seed: int) -> None:
    before = rows(load_state(path))
    book.store.checkpoint()
    book.store.close()
    whole, random, noticed = path.read_bytes(), Random(seed), 0
    for number in range(FLIPS):
        at = random.randrange(len(whole))
        other = path.with_name(f"{number}.db")  # SQLite knows a file again, whatever was written over it
        other.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << random.randrange(8)]) + whole[at + 1 :])
        try:
            assert rows(load_state(other)) == before, f"byte {at}"
        except StorageFailed:
            noticed += 1
    assert noticed < FLIPS // 2, "most bits are in no use, or in rows that the journal tells"


# ── what the journal cannot vouch for ────────────────────────────────────────────────────────────────────────────────


def test_with_a_broken_chain_a_damaged_doubt_stops_the_agent_and_says_what_to_do(book: Book, path: Path) -> None:
    flip(book, "transactions", "id = 'a'", '"amount_fen":100', '"amount_fen":108')
    flip(book, "journal", "seq = 3", "a", "b")
    with pytest.raises(StorageFailed, match=r"entry 3: `reversald verify` names the damage"):
        Store.open(path).load()


def test_a_journal_that_is_whole_and_tells_another_story_is_not_believed(book: Book, path: Path) -> None:
    book.store.append("line.up", book.now, {}, {"event": {"type": "DeadlinePassed"}, "now": book.now}, {})
    flip(book, "transactions", "id = 'a'", '"amount_fen":100', '"amount_fen":108')
    with pytest.raises(StorageFailed, match="tells another story"):
        Store.open(path).load()


def test_a_journal_that_comes_to_another_row_than_a_sound_one_is_not_believed(book: Book, path: Path) -> None:
    flip(book, "incidents", "code = 'in_doubt'", "in_doubt", "in_dobut")
    body = msgspec.json.encode(msgspec.structs.replace(book.transaction(), state="approved"))
    database = book.store.database
    database.execute("UPDATE transactions SET body = ?, crc = NULL WHERE id = 'a'", (body,))  # sound, as far as it can tell
    with pytest.raises(StorageFailed, match="another Transaction a"):
        Store.open(path).load()


def test_a_closed_row_of_an_older_chapter_is_set_aside_and_no_event_acts_upon_it(book: Book, path: Path) -> None:
    chapter(book)
    flip(book, "transactions", "id = 'old'", '"amount_fen":100', '"amount_fen":900')
    with pytest.raises(StorageFailed, match="is damaged: the next start makes it anew"):
        book.do(e.EvidenceGiven(transaction="old", evidence=Evidence(kind="debit_sms")))
    book = reopen(book, path)
    damage = book.store.damage()
    assert damage is not None
    assert (damage.restored, len(damage.lost)) == ((), 1)
    assert [row for row in book.store.family("old") if row.id == "old"] == []
    assert next(iter(book.store.database.execute('SELECT "table", body FROM damaged')))[0] == "transactions"
    assert book.states() == ("in_doubt", "pending")
    assert checkpoint.is_owed(book.store)
    chapter(book)
    assert findings(path) == set(), "the next checkpoint counts what is there"


def test_with_a_lost_row_of_an_older_chapter_its_whole_payment_is_set_aside(book: Book, path: Path) -> None:
    book.connect()
    book.reply("00")
    assert book.states() == ("reversed", "accepted")
    for job in list(book.state.open_jobs):
        book.finish_job(job, "CONFIRMED")
    chapter(book)
    flip(book, "reversals", "id = 'a'", '"response_code":"00"', '"response_code":"08"')
    with pytest.raises(StorageFailed):
        book.store.family("a")
    book = reopen(book, path)
    damage = book.store.damage()
    assert damage is not None
    assert {place.split()[0] for place in damage.lost} == {"transactions", "reversals", "incidents", "jobs"}
    with pytest.raises(Rejected, match="no transaction"):
        book.do(e.EvidenceGiven(transaction="a", evidence=Evidence(kind="debit_sms")))
    chapter(book)
    assert findings(path) == set()


def test_a_closed_row_of_this_chapter_is_made_anew_when_it_is_needed_again(book: Book, path: Path) -> None:
    book.state.forget_closed(0)
    flip(book, "transactions", "id = 'old'", '"amount_fen":100', '"amount_fen":900')
    with pytest.raises(StorageFailed):
        book.do(e.EvidenceGiven(transaction="old", evidence=Evidence(kind="debit_sms")))
    book = reopen(book, path)
    book.do(e.EvidenceGiven(transaction="old", evidence=Evidence(kind="debit_sms")))
    assert book.transaction("old").amount_fen == 100


def test_a_damaged_row_by_which_an_open_one_is_judged_is_made_anew_at_the_start(book: Book, path: Path) -> None:
    book.open("b", stan="000002", replaces="a", ask=False)
    book.result("not_sent", "b")
    flip(book, "transactions", "id = 'b'", '"not_sent"', '"approved"')
    book = reopen(book, path)
    assert book.store.damage() == RowsDamaged(restored=("transactions b",), lost=())
    assert book.transaction("b").state == "not_sent"


def test_a_damaged_closed_row_never_keeps_the_agent_from_its_reversals(book: Book, path: Path) -> None:
    book.state.forget_closed(0)
    flip(book, "transactions", "id = 'old'", '"amount_fen":100', '"amount_fen":900')
    flip(book, "journal", "seq = 3", "a", "b")
    with pytest.raises(StorageFailed):
        book.do(e.EvidenceGiven(transaction="old", evidence=Evidence(kind="debit_sms")))
    book = reopen(book, path)
    book.connect()
    assert book.states() == ("reversing", "sending")


def test_a_checkpoint_never_counts_a_damaged_row(book: Book, path: Path) -> None:
    flip(book, "transactions", "id = 'old'", '"amount_fen":100', '"amount_fen":900')
    with pytest.raises(StorageFailed):
        chapter(book)
    book = reopen(book, path)
    chapter(book)
    assert findings(path) == set()


def test_rows_of_an_older_program_have_no_sum_until_they_change(book: Book, path: Path) -> None:
    database = book.store.database
    for table in ("transactions", "reversals", "incidents", "jobs", "singles"):
        database.execute(f"ALTER TABLE {table} DROP COLUMN crc")
    database.execute("ALTER TABLE journal DROP COLUMN roll")
    database.execute("DROP TABLE damaged")
    database.execute("DROP TABLE vault")
    database.execute("CREATE TABLE vault (ref TEXT, field TEXT, sealed BLOB, PRIMARY KEY (ref, field))")
    database.execute("PRAGMA user_version = 1")
    before = rows(book.state)
    book.store.close()
    book = reopen(book, path)
    assert {row.id for row in checkpoint.rows_of(book.state)} <= {row.id for row in before}  # type: ignore[attr-defined]
    sums = dict(book.store.database.execute("SELECT id, crc IS NULL FROM transactions"))
    assert sums == {"old": 1, "a": 1}
    (told,) = next(iter(book.store.database.execute("SELECT roll FROM journal ORDER BY seq DESC")))
    assert load(book.store.database).is_whole(told)
    book.connect()
    assert dict(book.store.database.execute("SELECT id, crc IS NULL FROM transactions")) == {"old": 1, "a": 0}
    assert findings(path) == set()
