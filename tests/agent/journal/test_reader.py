"""Reading the journal in whatever state its daemon left it, never writing beside it; and proving that it is whole."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.core import event as e
from agent.journal import notes
from agent.journal.audit import audit
from agent.journal.chain import canonical, link
from agent.journal.reader import Head, Reader
from agent.journal.readonly import ReadOnly, Unreadable
from agent.journal.schema import VERSION
from tests.support.story import LOST, PAID, PAN, RECEIPT, Story, everyday, recovered

NOBODY = 65_534


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Story]:
    """A journal whose daemon holds it open: most of it stands in the WAL."""
    folder = tmp_path / "live"
    folder.mkdir()
    story = recovered(folder)
    yield story
    story.close()


def killed(story: Story, *, shm: bool = True) -> Path:
    """The folder as a kill leaves it."""
    folder = story.folder.parent / "killed"
    folder.mkdir()
    for file in story.folder.iterdir():
        if shm or not file.name.endswith("-shm"):
            shutil.copy2(file, folder)
    assert Path(f"{folder / 'reversald.db'}-wal").stat().st_size > 0
    return folder / "reversald.db"


def stopped(story: Story) -> Path:
    """The file as an orderly end leaves it: no WAL."""
    story.settle_wal()
    return story.path


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file with the hash of its content and its time."""
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) for file in folder.iterdir()
    }


def everything(path: Path) -> list[object]:
    """All that a reader can be asked."""
    with Reader.open(path) as reader:
        transaction = reader.transaction(LOST)
        assert transaction is not None
        return [
            reader.summary(), reader.head(), reader.singles().agent, reader.incidents(10), reader.family(LOST),
            reader.entries(transaction), list(reader.walk()), reader.newest(3), reader.job(LOST, "receipt-1"),
            reader.transactions(9),
        ]


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Nobody's rights, in a folder that may only be read."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach (pytest's own are private)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_way_of_opening_reads_the_same_and_writes_nothing(live):
    cases: dict[str, Path] = {"shared": live.path, "copy": killed(live, shm=False)}
    read = {}
    for how, path in cases.items():
        before = contents(path.parent)
        with ReadOnly(path) as database:
            assert database.how == how
        read[how] = everything(path)
        after = contents(path.parent)
        # Within one process SQLite shares the daemon's writable mapping of -shm; as a process of its own see test_read.
        assert {name: content for name, content in after.items() if how == "copy" or "-shm" not in name} == {
            name: content for name, content in before.items() if how == "copy" or "-shm" not in name
        }
    path = stopped(live)
    before = contents(path.parent)
    with ReadOnly(path) as database:
        assert database.how == "immutable"
    read["immutable"] = everything(path)
    assert contents(path.parent) == before
    assert read["shared"] == read["copy"] == read["immutable"]


def test_a_daemon_that_was_killed_leaves_its_shared_memory_and_nothing_of_it_is_touched(live):
    path = killed(live)
    before = contents(path.parent)
    with ReadOnly(path) as database:
        assert database.how == "shared"
    assert everything(path) == everything(live.path)
    assert contents(path.parent) == before


def test_an_empty_wal_is_as_good_as_none(live):
    path = stopped(live)
    Path(f"{path}-wal").touch()
    with ReadOnly(path) as database:
        assert database.how == "immutable"


@pytest.mark.parametrize("shm", [True, False])
def test_a_folder_that_may_only_be_read_is_read_by_an_ordinary_user(live, open_folder, shm):
    expected = everything(live.path)
    path = killed(live, shm=shm)
    for file in path.parent.iterdir():
        shutil.copy2(file, open_folder)
    before = contents(open_folder)
    with unprivileged(open_folder):
        assert everything(open_folder / "reversald.db") == expected
    assert {name: content[0] for name, content in contents(open_folder).items()} == {
        name: content[0] for name, content in before.items()
    }


def test_the_private_copy_is_private_and_goes_away(live, tmp_path, monkeypatch):
    private = tmp_path / "tmp"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    path = killed(live, shm=False)
    with ReadOnly(path) as database:
        (folder,) = private.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert database.all("SELECT count(*) FROM journal")[0][0] > 0
    assert list(private.iterdir()) == []


@pytest.mark.parametrize(("writes", "readable"), [(1, True), (4, True), (1_000, False)])
def test_a_copy_during_which_somebody_wrote_is_made_again_and_not_for_ever(live, monkeypatch, writes, readable):
    path = killed(live, shm=False)
    expected = everything(live.path)
    copy = shutil.copyfile
    left = [writes]

    def copied_beside_a_writer(source: Path, target: Path) -> None:
        copy(source, target)
        if left[0] > 0 and not str(source).endswith("-wal"):
            left[0] -= 1
            os.utime(source, ns=(0, left[0]))

    monkeypatch.setattr(shutil, "copyfile", copied_beside_a_writer)
    if readable:
        with Reader.open(path) as reader:
            assert reader.summary() == expected[0]
        assert left == [0]
    else:
        with pytest.raises(Unreadable, match="changing"):
            Reader.open(path)


def test_a_running_daemon_is_read_while_it_writes_and_is_not_held_up(live):
    with Reader.open(live.path) as reader:
        before = reader.head().seq
        live.open("fresh", stan="000200")
        assert reader.head().seq > before
        assert [row.id for row in reader.by_stan("000200")] == ["fresh"]
        assert live.store.database.checkpoint("RESTART"), "a reader between two questions holds nothing back"
        live.result("declined", "fresh", response_code="51")
        row = reader.transaction("fresh")
        assert row is not None
        assert row.state == "declined"


def test_a_daemon_that_starts_while_a_settled_journal_is_being_read_is_noticed(live):
    path = stopped(live)
    with Reader.open(path) as reader:
        assert reader.database.how == "immutable"
        before = reader.head().seq
        again = Story(live.folder)
        again.open("fresh", stan="000200")
        assert reader.head().seq > before
        assert reader.database.how == "shared"
        again.close()


def test_writers_in_another_process_never_tear_what_is_read(live):
    """A second process commits as fast as it can; every answer is one whole moment."""
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from agent.journal.store import Store\n"
        "from pathlib import Path\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "for seq in range(1, 301): store.move(seq % 7); store.skip(seq, 'x')\n"
        "store.close()\n"
    )
    live.close()
    writer = subprocess.Popen([sys.executable, "-c", script, str(live.path)])
    seen = set()
    try:
        while writer.poll() is None:
            with Reader.open(live.path) as reader, reader.database.snapshot():
                poison = reader.database.all("SELECT max(seq) FROM poison")[0][0] or 0
                cursor = notes.cursor(reader.database)
                assert cursor in {poison % 7, (poison + 1) % 7}
                seen.add(poison)
    finally:
        writer.wait(30)
    assert writer.returncode == 0
    assert seen


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.mkdir(), "unreadable"),
        (lambda path: path.write_bytes(b"no database at all" * 100), "damaged"),
        (lambda path: path.write_bytes(b""), "foreign"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE other(a)").connection.close(), "foreign"),
        (lambda path: sqlite3.connect(path).execute(f"PRAGMA user_version={VERSION + 1}").connection.close(), "newer"),
    ],
)
def test_what_is_not_a_journal_is_refused_with_the_reason(tmp_path, make: Callable[[Path], None], why):
    path = tmp_path / "it.db"
    make(path)
    with pytest.raises(Unreadable) as raised:
        Reader.open(path)
    assert raised.value.why == why
    assert str(path) in str(raised.value)


def test_a_journal_that_may_not_be_read_is_refused_with_the_reason(live, open_folder):
    path = open_folder / "reversald.db"
    shutil.copy2(stopped(live), path)
    if os.geteuid() != 0:
        path.chmod(0)
        with pytest.raises(Unreadable, match="unreadable"):
            Reader.open(path)
        return
    path.chmod(0o600)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(Unreadable, match="unreadable"):
            Reader.open(path)
    finally:
        os.seteuid(0)


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_summary_counts_what_is_open(tmp_path):
    story = everyday(tmp_path)
    with Reader.open(story.path) as reader:
        summary = reader.summary()
    assert (summary.pending_reversals, summary.doubtful, summary.money_in_doubt_fen) == (1, 1, 100)
    assert summary.oldest == story.transaction(LOST).opened
    assert (summary.open_incidents, summary.jobs_waiting, summary.acknowledged_seq) == (1, 0, 0)
    assert summary.head == Head(story.store.seq, story.store.hash.hex())
    story.close()


def test_a_transaction_is_found_by_stan_id_part_of_an_id_incident_and_slip(live):
    slip = f"RV1:{live.incident('in_doubt', LOST).id[:8].upper()}:12345678:000001:000123"
    with Reader.open(live.path) as reader:
        by_incident = live.incident("in_doubt", LOST).id
        for text in ("123", "000123", LOST, LOST.upper(), by_incident[:8].upper(), by_incident, slip):
            assert [row.id for row in reader.find(text)] == [LOST], text
        assert {row.id for row in reader.find("3f0c9a7e")} == {PAID, LOST}
        for text in ("999999", "", "3f0c", "nothing", "%", f"{LOST}x", "00000000-0000-0000-0000-000000000000", PAN):
            assert reader.find(text) == [], text


def test_a_stan_that_came_round_again_gives_every_transaction_newest_first(live):
    live.open("later", stan="000123", batch="000002")
    with Reader.open(live.path) as reader:
        assert [row.id for row in reader.find("000123")] == ["later", LOST]


def test_the_story_of_a_transaction_holds_what_happened_around_it_and_nothing_of_others(live):
    with Reader.open(live.path) as reader:
        row = reader.transaction(LOST)
        assert row is not None
        entries = reader.entries(row)
    assert entries[0].type == "transaction.opened"
    assert {entry.transaction for entry in entries} == {LOST, None}
    around = [entry.type for entry in entries if entry.transaction is None]
    assert around == ["line.down", "agent.started", "line.up"]
    assert [entry.seq for entry in entries] == sorted(entry.seq for entry in entries)


@pytest.mark.parametrize("scan", [3, 20_000])
def test_the_story_of_an_old_transaction_is_found_in_a_long_journal(tmp_path, monkeypatch, scan):
    monkeypatch.setattr("agent.journal.reader.SCAN", scan)
    monkeypatch.setattr("agent.journal.reader.CHUNK", scan)
    story = Story(tmp_path)
    story.do(e.PrinterSeen(fault="none", paper="ok"))
    for number in range(1, 181):
        story.pass_(1_000)
        story.open(f"id-{number}", stan=f"{number:06d}")
        if number % 60 == 0:
            story.boot(new=True)
        else:
            story.result("approved", f"id-{number}", response_code="00", receipt=RECEIPT, job=f"job-{number}")
            story.print_next()
    with Reader.open(story.path) as reader:
        assert reader.head().seq > 1_000
        for number in (1, 59, 61, 119, 180):
            (row,) = reader.by_stan(f"{number:06d}")
            entries = reader.entries(row)
            own = [entry for entry in entries if entry.transaction == row.id]
            expected = [entry for entry in reader.walk() if entry.transaction == row.id]
            assert own == expected
            assert own
    story.close()


def test_incidents_come_in_pages_newest_first(tmp_path):
    story = Story(tmp_path)
    for number in range(5):
        story.open(f"id-{number}", stan=f"{number + 1:06d}")
        story.result("declined", f"id-{number}", response_code="68")
    with Reader.open(story.path) as reader:
        first, following = reader.incidents(2)
        second, further = reader.incidents(2, following)
        third, none = reader.incidents(2, further)
        assert [len(page) for page in (first, second, third)] == [2, 2, 1]
        assert none is None
        numbers = [row.number for page in (first, second, third) for row in page]
        assert numbers == sorted(numbers, reverse=True)
        assert len(set(numbers)) == 5
    story.close()


def test_only_open_incidents_when_those_are_asked_for(live):
    with Reader.open(live.path) as reader:
        assert {row.code for row in reader.incidents(9)[0]} == {"in_doubt", "printer"}
        assert {row.code for row in reader.incidents(9, only_open=True)[0]} == {"printer"}


# ── proof ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def findings(path: Path, known: Head | None = None) -> list[tuple[str, int]]:
    """What is wrong with the journal, and where."""
    with Reader.open(path) as reader:
        return [(finding.kind, finding.seq) for finding in audit(reader, known).findings]


def by_hand(path: Path, *sql: str) -> None:
    """Somebody with a database tool."""
    connection = sqlite3.connect(path)
    for statement in sql:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_whole_journal_is_whole_in_every_state_of_its_daemon(live):
    assert findings(live.path) == []
    assert findings(killed(live)) == []
    assert findings(stopped(live)) == []


def test_a_daemon_that_goes_on_during_the_proof_does_not_disturb_it(live):
    def write(done: int, _all: int) -> None:
        if done == 5:
            live.open("meanwhile", stan="000777")

    with Reader.open(live.path) as reader:
        result = audit(reader, None, write)
    assert result.findings == []
    assert result.head.seq < live.store.seq


def test_one_changed_byte_of_an_entry_is_found_where_it_is(live):
    path = stopped(live)
    data = path.read_bytes()
    place = data.index(b'"amount_fen":100,"batch"')
    path.write_bytes(data[: place + 13] + b"9" + data[place + 14 :])
    with Reader.open(path) as reader:
        changed = next(entry.seq for entry in reader.walk() if entry.data.get("amount_fen") == 900)
    assert ("changed", changed) in findings(path)


@pytest.mark.parametrize("place", range(16))
def test_a_changed_byte_anywhere_in_the_journal_is_found(live, place):
    path = stopped(live)
    connection = sqlite3.connect(path)
    bodies = connection.execute("SELECT seq, body FROM journal ORDER BY seq").fetchall()
    seq, body = bodies[place * len(bodies) // 16]
    at = place * len(body) // 16
    connection.execute("UPDATE journal SET body = ? WHERE seq = ?", (body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], seq))
    connection.commit()
    connection.close()
    assert findings(path)[0] == ("changed", seq)


def test_a_middle_that_was_cut_out_is_found(live):
    path = stopped(live)
    by_hand(path, "DELETE FROM journal WHERE seq BETWEEN 7 AND 9")
    assert findings(path) == [("missing", 10)]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("UPDATE transactions SET body = replace(body, '\"reversed\"', '\"approved\"') WHERE stan = '000123'", "row"),
        ("UPDATE transactions SET state = 'approved' WHERE stan = '000123'", "column"),
        ("UPDATE transactions SET body = 'x' WHERE stan = '000123'", "unreadable"),
        ("DELETE FROM incidents WHERE code = 'in_doubt'", "row_missing"),
        ("DELETE FROM singles WHERE id = 'printer'", "row_missing"),
        ("UPDATE singles SET body = replace(body, '12345678', '87654321') WHERE id = 'agent'", "row"),
        ("UPDATE journal SET type = 'line.up' WHERE seq = 8", "index"),
        ("UPDATE meta SET value = '900' WHERE key = 'cursor'", "cut_tail"),
    ],
)
def test_a_row_changed_by_hand_is_found(live, sql, kind):
    path = stopped(live)
    by_hand(path, sql)
    assert kind in {found for found, _ in findings(path)}


def test_a_tail_that_was_cut_off_is_found_by_who_noted_the_head(live):
    path = stopped(live)
    with Reader.open(path) as reader:
        head = reader.head()
    by_hand(path, f"DELETE FROM journal WHERE seq > {head.seq - 3}")
    assert ("cut_tail", head.seq) in findings(path, head)


def test_a_chain_made_anew_is_found_by_who_noted_a_head(live):
    path = stopped(live)
    with Reader.open(path) as reader:
        head = reader.head()
    forge(path)
    assert [kind for kind, _ in findings(path)] != [], "the story no longer follows from its events"
    assert ("told", head.seq) in findings(path, head)


def forge(path: Path) -> None:
    """Somebody changes an amount and computes every hash again."""
    with Reader.open(path) as reader:
        entries = list(reader.walk())
    connection = sqlite3.connect(path)
    previous = bytes(32)
    for entry in entries:
        body = canonical(entry).replace(b'"amount_fen":2350', b'"amount_fen":235')
        previous = link(previous, entry.seq, body)
        connection.execute("UPDATE journal SET body = ?, hash = ? WHERE seq = ?", (body, previous, entry.seq))
    connection.commit()
    connection.close()


def test_a_forged_story_that_the_core_refuses_to_live_through_is_a_finding_not_a_crash(live):
    path = stopped(live)
    with Reader.open(path) as reader:
        entries = list(reader.walk())
    connection = sqlite3.connect(path)
    previous = bytes(32)
    for entry in entries:
        body = canonical(entry).replace(b'"type":"ResultReported"', b'"type":"Nonsense"')
        previous = link(previous, entry.seq, body)
        connection.execute("UPDATE journal SET body = ?, hash = ? WHERE seq = ?", (body, previous, entry.seq))
    connection.commit()
    connection.close()
    assert "replay" in {kind for kind, _ in findings(path)}


def test_pages_that_were_torn_are_found_and_never_a_crash(live):
    """Every page in turn overwritten with noise: either the journal cannot be opened, or something is found."""
    path = stopped(live)
    whole = path.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    used = 0
    for start in range(0, len(whole), size):
        if not any(whole[start : start + size]):
            continue
        used += 1
        path.write_bytes(whole[:start] + b"\xa5" * size + whole[start + size :])
        assert noticed(path), f"page {start // size + 1}"
    assert used > 5


def noticed(path: Path) -> bool:
    """True when the damage stops the opening with the right word, or is among the findings."""
    try:
        return bool(findings(path))
    except Unreadable as error:
        return error.why in {"damaged", "foreign"}


def test_readers_in_many_threads_do_not_disturb_each_other(live):
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(everything(live.path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
