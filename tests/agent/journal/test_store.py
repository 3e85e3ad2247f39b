"""One commit holds everything of a step; what it does not take is as if it had never been."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from agent.core import event as e
from agent.core.accounts import Settled
from agent.core.change import Rejected
from agent.core.settlementevent import SettlementImported
from agent.journal.database import WAL_BYTES, Database, StorageFailed, StorageFull
from agent.journal.idempotency import Idempotency
from agent.journal.replay import Replay
from agent.journal.schema import JOB_BY_ID
from agent.journal.store import Store
from tests.agent.core.world import RECEIPT, SECOND, TERMINAL
from tests.agent.journal.book import Book, reopen
from tests.sim.disk import FileSystem, PowerCut


def counts(store: Store) -> dict[str, int]:
    """How many rows stand in each table."""
    tables = ("transactions", "reversals", "incidents", "jobs", "journal", "vault", "idempotency")
    return {name: next(iter(store.database.execute(f"SELECT count(*) FROM {name}")))[0] for name in tables}


def test_rows_facts_and_secrets_stand_in_one_commit(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.open()
    found = counts(book.store)
    assert (found["transactions"], found["vault"], found["journal"]) == (1, 1, book.store.seq)
    assert book.store.seq == len(book.facts)


def test_what_was_committed_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.doubt()
    rows = book.all_rows()
    again = Store.open(path).load()  # beside the first connection, as after a kill: nothing was closed
    assert again.transactions == book.state.transactions
    assert again.reversals == book.state.reversals
    assert (again.agent, again.line, again.printer) == (book.state.agent, book.state.line, book.state.printer)
    assert rows == book.all_rows()


def test_only_families_with_an_open_row_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.open("a")
    book.result("approved", "a")
    book.doubt("b", stan="000002")
    state = Store.open(path).load()
    assert set(state.transactions) == {"b"}
    assert set(state.open_incidents) == set(book.state.open_incidents)


@pytest.mark.parametrize("transaction", ["a", None])
def test_a_job_is_found_by_an_index_and_without_one_more_page_in_every_commit(tmp_path: Path, transaction: str | None) -> None:
    store = Store.open(tmp_path / "j.db")
    query = store.database.execute(f"EXPLAIN QUERY PLAN SELECT body FROM jobs WHERE {JOB_BY_ID}", (transaction, "r"))
    plan = " ".join(str(row[3]) for row in query)
    assert "USING INDEX jobs_transaction" in plan


def test_a_closed_family_is_found_again_when_an_event_needs_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.open()
    book.result("approved", receipt=RECEIPT, job="r")
    book.finish_job("r", "CONFIRMED")
    book = reopen(book, path)
    assert book.state.transactions == {}
    assert book.do(e.ReprintAsked(transaction="a", job="copy")).jobs == ("copy",)
    assert book.result("declined").conflict == "contradiction"


@pytest.mark.parametrize("restarted", [False, True])
def test_a_repeat_that_came_to_nothing_and_was_forgotten_is_not_taken_for_one_that_was_paid(
    tmp_path: Path, *, restarted: bool
) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.doubt(basket_id="7")
    book.connect()
    book.reply("30")
    book.open("b", stan="000002", basket_id="7")
    book.result("declined", "b", response_code="51")
    assert (book.transaction().repeated_by, book.transaction("b").state) == ("b", "declined")
    book.state.forget_closed(0)
    if restarted:
        book = reopen(book, tmp_path / "j.db")
    day = int(book.transaction().opened.day or 0)
    line = Settled(1, day, "debit", 100, "000001", "000001")
    for days, lines in (((day,), (line,)), ((day + 1,), ())):  # the second file is about others
        families = ("a",) if lines else ()
        book.do(SettlementImported(statement=str(days), terminal_id=TERMINAL, days=days, lines=lines, families=families))
    account = book.transaction().account
    assert account is not None
    assert (account.verdict, account.final, account.case) == ("settled", True, "contact")
    assert book.transaction().refund is None, "it was paid once"
    assert Replay(book.store.read_after(0, 1_000)).differences == []


def test_a_used_key_is_refused_also_when_its_family_was_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.open()
    book.result("approved")
    book = reopen(book, path)
    with pytest.raises(Rejected) as refused:
        book.open("b")
    assert refused.value.code == "duplicate-stan"
    assert "a" not in book.state.transactions, "what was loaded for nothing is let go"


def test_a_doubled_0410_of_a_forgotten_reversal_is_not_taken_for_a_crossed_one(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.doubt()
    book.connect()
    own = book.reversal().fields
    book.reply("00")
    book.finish_job(next(iter(book.state.jobs)), "CONFIRMED")
    book = reopen(book, path)
    assert book.state.reversals == {}
    book.do(e.HostReply(f3=own["3"], f4=own["4"], f11=own["11"], f41=own["41"], f42=own["42"], code="00", mac="good"))
    assert book.told("host.doubled_reply")
    assert book.incidents() == set()


def test_an_answer_that_comes_a_batch_late_is_that_of_a_forgotten_transaction(tmp_path: Path) -> None:
    """The STAN begins anew with each batch; the first one is closed and in no memory when its approval comes to the relay."""
    path = tmp_path / "j.db"
    book = Book(Store.open(path), mode="relay")
    book.doubt()
    book.connect()
    book.reply("00")
    book.finish_job(next(iter(book.state.jobs)), "CONFIRMED")
    book = reopen(book, path, mode="relay")
    book.open("b", batch="000002")
    assert "a" not in book.state.transactions
    row = book.transaction("b")
    said = {"f3": "000000", "f4": f"{row.amount_fen:012d}", "f11": row.stan, "f41": row.terminal_id, "f42": row.merchant_id}
    late = e.RelayAnswered(transaction="b", code="00", mac="good", auth_code="A1B2C3", f60="22000001000", **said)
    assert book.do(late).proceed == "refuse"
    assert (book.transaction("b").state, book.transaction("b").answered) == ("sent", False)
    assert [fact.transaction for fact in book.told("evidence.late_response")] == ["a"]


def test_an_incident_without_a_transaction_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.do(e.NoiseReceived(what="unasked"))
    row = book.incident("host_noise", None)
    book.do(e.IncidentResolved(incident=row.id, transaction=None, resolution="no_action", by="Li"))
    book = reopen(book, path)
    assert row.id not in book.state.incidents
    with pytest.raises(Rejected) as refused:
        book.do(e.IncidentResolved(incident=row.id, transaction=None, resolution="no_action", by="Li"))
    assert refused.value.code == "already-closed"


# ── commits that fail ────────────────────────────────────────────────────────────────────────────────────────────────


def on_disk(**policy: object) -> tuple[FileSystem, Book]:
    """A journal on a disk in memory that can run full or fail."""
    system = FileSystem()
    return system, _start(system, **policy)


def _start(system: FileSystem, **policy: object) -> Book:
    database = Database(system.connect("j.db"), Path("j.db"))
    database.configure()
    return Book(Store(database), **policy)


def full(system: FileSystem) -> None:
    """Not one byte more."""
    system.disk.room = sum(len(file.data) for file in system.disk.files.values())


def test_T4_when_the_save_fails_nothing_was_allowed_and_nothing_is_remembered() -> None:
    system, book = on_disk()
    book.open("a", ask=False)
    before, seq, head = book.all_rows(), book.store.seq, book.store.hash
    system.disk.fail_after = 0
    with pytest.raises(StorageFailed):
        book.ask("a")
    assert book.all_rows() == before
    assert (book.store.seq, book.store.hash) == (seq, head)
    system.disk.end_process()
    assert _start(system).transaction("a").state == "not_sent", "the app never got its go"


def test_T4_on_a_full_disk_the_new_sale_is_not_begun_and_what_is_pending_stays() -> None:
    system, book = on_disk()
    book.doubt("a")
    full(system)
    opened = _open_until_full(book)
    assert opened > 10, "the grown WAL is a reserve"
    assert f"s{opened}" not in book.state.transactions
    assert counts(book.store)["transactions"] == opened
    system.disk.room = None
    book.open("later", stan="999999", ask=False)
    assert book.states("a") == ("in_doubt", "pending")


def _open_until_full(book: Book) -> int:
    """The number of the sale that was refused."""
    for number in range(1, 10_000):
        try:
            book.open(f"s{number}", stan=f"{number + 1:06d}", ask=False)
        except StorageFull:
            return number
    raise AssertionError("the disk never ran full")


def test_a_full_disk_at_the_start_does_not_keep_the_agent_from_reversing() -> None:
    system, book = on_disk()
    book.doubt("a")
    system.disk.end_process()
    image = system.disk.files["j.db-wal"]
    del image.data[400_000:]  # a WAL that was cut back
    full(system)
    book = _start(system)
    book.connect()
    book.reply("00")
    assert book.states("a") == ("reversed", "accepted")


def test_a_checkpoint_that_finds_the_disk_full_takes_nothing_back() -> None:
    system, book = on_disk()
    book.doubt("a")
    full(system)
    for number in range(20):  # checkpoints want to grow the database
        book.do(e.EvidenceGiven(transaction="a", evidence=_evidence(number)) if number < 16 else e.NoiseReceived(what="unasked"))
    assert len(book.transaction("a").evidence) == 16
    system.disk.end_process()
    assert len(_start(system).transaction("a").evidence) == 16


def _evidence(number: int) -> object:
    from agent.core.model import Evidence

    return Evidence(kind="debit_sms", text=f"{number}" * 400)


def test_T6_every_point_at_which_a_sale_can_lose_power_leaves_doubt_or_proof() -> None:
    """The power goes at every single write and sync of opening a sale; before `go` there is nothing, after it a doubt."""
    for cut in range(200):
        system, book = on_disk()
        book.open("a", ask=False)
        system.disk.cut_after = cut
        went = False
        with suppress(PowerCut):
            went = book.ask("a").proceed == "go"
        system.disk.power_cut(Random(cut))
        book = _start(system)
        book.boot(new=True)
        state = book.transaction("a").state
        assert state in ({"in_doubt"} if went else {"in_doubt", "not_sent"})
        if went:
            return
    raise AssertionError("never got to the end")


def test_T8_an_acknowledged_commit_survives_every_later_power_cut() -> None:
    """The file is never rewritten in place without a sync: power cuts during later commits, checkpoints and the scrub."""
    for cut in range(0, 400, 7):
        system, book = on_disk()
        book.doubt("a")
        system.disk.cut_after = cut
        answered = False
        with suppress(PowerCut):
            book.connect()
            book.reply("00")
            answered = True
            for number in range(3):
                book.open(f"s{number}", stan=f"{number + 2:06d}", ask=False)
            book.store.scrub()
            book.store.checkpoint()
        system.disk.power_cut(Random(cut))
        again = _start(system)
        rows = again.store.family("a")
        state = {type(row).__name__: getattr(row, "state", None) for row in rows}
        assert state["Reversal"] in ({"accepted"} if answered else {"accepted", "pending"})


def test_a_power_cut_while_the_database_is_made_leaves_one_that_can_be_made() -> None:
    for cut in range(0, 1_200, 13):
        system = FileSystem()
        system.disk.cut_after = cut
        with suppress(PowerCut):
            _start(system)
        system.disk.power_cut(Random(cut))
        book = _start(system)
        book.doubt()
        assert book.states() == ("in_doubt", "pending")


# ── idempotency ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_answer_is_kept_with_its_commit(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.idempotency = Idempotency(1000, "key-1", b"digest")
    decision = book.open()
    assert book.store.asked_before(book.idempotency) == (b"digest", decision)
    assert book.store.asked_before(Idempotency(1001, "key-1", b"digest")) is None, "another user's keys are his own"
    assert Store.open(path).asked_before(book.idempotency) == (b"digest", decision)


def test_keys_are_kept_for_24_hours(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    first = book.idempotency = Idempotency(1000, "key-1", b"digest")
    book.open()
    book.at(86_400 * SECOND + 1)
    book.idempotency = Idempotency(1000, "key-2", b"digest")
    book.result("approved")
    assert book.store.asked_before(first) is None


# ── wiping, the outbox ───────────────────────────────────────────────────────────────────────────────────────────────


def test_wiped_secrets_are_gone_in_the_same_commit_and_a_scrub_is_owed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.doubt()
    assert set(book.store.sealed("vault-a")) == {"2", "14", "55"}
    book.connect()
    book.reply("00")
    assert book.store.sealed("vault-a") == {}
    assert book.store.scrub_owed
    assert Store.open(path).scrub_owed, "it is owed also after a kill"


def test_after_a_scrub_the_sealed_bytes_are_nowhere_in_database_or_wal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    store = Store.open(path)
    book = Book(store)
    sealed = []
    for number in range(60):  # far beyond one round of the WAL
        key = f"t{number}"
        book.doubt(key, stan=f"{number:06d}")
        sealed += store.sealed(f"vault-{key}").values()
        book.connect()
        book.reply("00", key)
    assert any(blob in _bytes(path) for blob in sealed), "before the scrub they are still there"
    assert store.scrub()
    assert not store.scrub_owed
    assert [blob for blob in sealed if blob in _bytes(path)] == []
    assert store.database.wal_bytes() > 0, "the reserve is kept"


def test_secrets_that_an_older_program_sealed_field_by_field_are_kept_and_can_be_wiped(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    for key, stan in (("a", "000001"), ("b", "000002")):
        book.doubt(key, stan=stan)
    sealed = {key: book.store.sealed(f"vault-{key}") for key in ("a", "b")}
    older = book.store.database
    older.execute("DROP TABLE vault")
    older.execute("CREATE TABLE vault (ref TEXT, field TEXT, sealed BLOB, PRIMARY KEY (ref, field))")
    for key, fields in sealed.items():
        for field, blob in fields.items():
            older.execute("INSERT INTO vault VALUES (?, ?, ?)", (f"vault-{key}", field, blob))
    older.execute("PRAGMA user_version = 2")
    book.store.close()
    book = reopen(book, path)
    assert {key: book.store.sealed(f"vault-{key}") for key in ("a", "b")} == sealed
    for key in ("a", "b"):
        book.connect()
        book.reply("00", key)
    assert counts(book.store)["vault"] == 0
    assert book.store.scrub()
    assert [blob for fields in sealed.values() for blob in fields.values() if blob in _bytes(path)] == []


class _Small(Database):
    reserve_bytes = 96 << 10


def test_a_scrub_reaches_the_last_byte_of_the_wal_wherever_the_secrets_stood(tmp_path: Path) -> None:
    for sales in range(1, 30, 2):
        path = tmp_path / f"j{sales}.db"
        book = Book(Store(_Small.open(path)))
        sealed = []
        for number in range(sales):
            key = f"t{number}"
            book.open(key, stan=f"{number:06d}", ask=False)
            sealed += book.store.sealed(f"vault-{key}").values()
            book.result("not_sent", key)
        assert book.store.scrub()
        assert [blob for blob in sealed if blob in _bytes(path)] == []


def _bytes(path: Path) -> bytes:
    return path.read_bytes() + Path(f"{path}-wal").read_bytes()


def test_a_scrub_that_a_reader_holds_back_stays_owed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.doubt()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM vault").fetchone()
    book.connect()
    book.reply("00")
    book.store.database.execute("PRAGMA busy_timeout=0")
    assert not book.store.scrub()
    assert book.store.scrub_owed
    reader.execute("COMMIT")
    reader.close()
    assert book.store.scrub()


def test_no_full_pan_is_ever_in_the_clear(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.doubt()
    assert b"6222021234567890128" not in _bytes(path)


def test_the_outbox_is_a_cursor_over_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    book = Book(Store.open(path))
    book.doubt()
    store = book.store
    first = store.read_after(0, 2)
    assert [entry.seq for entry in first] == [1, 2]
    store.move(2)
    store.skip(3, "refused by the broker")
    again = Store.open(path)
    assert (again.cursor(), again.read_after(again.cursor(), 1)[0].seq) == (2, 4)
    assert again.epoch == store.epoch


# ── the WAL ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_wal_does_not_grow(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    largest = 0
    for number in range(120):
        key = f"t{number}"
        book.doubt(key, stan=f"{number:06d}")
        book.connect()
        book.reply("00", key)
        largest = max(largest, book.store.database.wal_bytes())
    assert largest <= WAL_BYTES * 5 // 4


def test_the_size_of_the_wal_is_looked_at_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a file makes some file systems write its inode with the next sync: a second write for every commit."""
    looks = []
    monkeypatch.setattr(Database, "wal_is_too_large", lambda _: looks.append("looked"))
    book = Book(Store.open(tmp_path / "j.db"))
    for number in range(40):
        book.open(f"t{number}", stan=f"{number:06d}", ask=False)
    assert 0 < len(looks) <= 40 / 8


def test_a_wal_that_a_great_commit_made_too_large_is_found(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.store.checkpoint()
    with book.store.database.transaction():
        book.store.database.execute("INSERT INTO spill(filler) VALUES (zeroblob(?))", (2 * WAL_BYTES,))
    assert book.store.database.wal_bytes() > WAL_BYTES * 5 // 4
    for number in range(20):
        book.open(f"t{number}", stan=f"{number:06d}", ask=False)
    assert book.store.database.wal_bytes() == WAL_BYTES


def test_one_fdatasync_a_commit() -> None:
    system, book = on_disk()
    book.store.checkpoint()
    book.do(e.NoiseReceived(what="unasked"))  # the WAL begins anew: one more
    before = system.disk.syncs
    for number in range(10):
        book.open(f"t{number}", stan=f"{number:06d}", ask=False)
    assert system.disk.syncs - before == 10


def test_an_entry_that_no_broker_takes_is_left_out_for_telemetry_and_for_nobody_else(tmp_path: Path) -> None:
    book = Book(Store.open(tmp_path / "j.db"))
    book.open()
    book.store.skip(2, "refused")
    assert 2 not in [entry.seq for entry in book.store.read_after(0, 100)]
    assert 2 in [entry.seq for entry in book.store.entries_after(0, 100)]
