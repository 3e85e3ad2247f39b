"""The fleet's store: every event once, marks that know a gap from a pass-over, dates for those who had none."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agent.envelope import Beat, Event, Response, Snap, State, as_event
from fleet.errors import StorageError
from fleet.sqlite import REJECTED_KEPT, SqliteStore
from fleet.store import Batch, Mark, Rejected

NOW = 1_790_000_000_000


def event(seq: int, prev: int, **changes: Any) -> Event:
    usual: dict[str, Any] = {"sn": "T1", "fleet": "demo", "epoch": "e", "boot": 1, "ts": NOW + seq, "clk": "ntp"}
    usual |= {"mono": seq, "seq": seq, "prev": prev, "type": "reversal.sent", "late": False, "d": {"n": seq}}
    return Event(**(usual | changes))


def state(word: str, session: str, **changes: Any) -> State:
    usual: dict[str, Any] = {"sn": "T1", "fleet": "demo", "epoch": "e", "boot": 1, "ts": None, "clk": "none", "mono": 5}
    return State(**(usual | {"state": word, "session": session} | changes))


def keep(store: SqliteStore, *events: Event) -> tuple[int, int]:
    """Ingest, and the mark of the journal afterwards as (hwm, highest)."""
    mark = store.ingest(Batch(NOW, events=list(events)))[0]
    return mark.hwm, mark.highest


def rows(path: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = SqliteStore(tmp_path / "fleet.db")
    yield opened
    opened.close()


def test_an_event_that_comes_again_is_kept_once(store: SqliteStore) -> None:
    first = event(3, 0, inc="i", tx="t", d={"amount_fen": 100, "text": "冲正"})
    for _ in range(3):
        assert keep(store, first, first) == (3, 3)
    assert [dated.event for dated in store.events("T1", "e")] == [first]


def test_numbers_between_that_belong_to_no_event_are_no_gap(store: SqliteStore) -> None:
    assert keep(store, event(3, 0), event(9, 3), event(10, 9)) == (10, 10)
    assert store.marks() == [Mark("demo", "T1", "e", 10, 10)]


def test_an_event_that_is_missing_stops_the_mark_until_it_comes(store: SqliteStore) -> None:
    assert keep(store, event(3, 0), event(9, 5), event(12, 9)) == (3, 12)
    assert keep(store, event(14, 12)) == (3, 14)
    assert keep(store, event(5, 3)) == (14, 14)
    assert [dated.event.seq for dated in store.events("T1", "e")] == [3, 5, 9, 12, 14]


def test_a_first_contact_in_the_middle_of_a_journal_is_a_gap(store: SqliteStore) -> None:
    assert keep(store, event(500, 498)) == (0, 500)


def test_a_repeat_that_names_an_earlier_one_before_it_closes_the_gap_that_a_skipped_row_left(store: SqliteStore) -> None:
    assert keep(store, event(1, 0), event(3, 2)) == (1, 3)
    assert keep(store, event(3, 1)) == (3, 3)
    assert keep(store, event(3, 2)) == (3, 3)


def test_each_journal_has_its_own_mark(store: SqliteStore) -> None:
    marks = store.ingest(Batch(NOW, events=[event(1, 0), event(1, 0, epoch="f"), event(1, 0, sn="T2"), event(2, 1)]))
    assert marks == [Mark("demo", "T1", "e", 2, 2), Mark("demo", "T1", "f", 1, 1), Mark("demo", "T2", "e", 1, 1)]


def test_two_journals_with_one_name_are_found_out(store: SqliteStore) -> None:
    keep(store, event(1, 0))
    keep(store, event(1, 0, type="incident.opened"))
    assert [dated.event.type for dated in store.events("T1", "e")] == ["reversal.sent"]
    assert "copies of one journal" in rows(store.path, "SELECT reason FROM rejected")[0][0]


def test_an_event_without_a_date_gets_one_when_the_clock_of_its_boot_becomes_known(store: SqliteStore) -> None:
    undated = {"ts": None, "clk": "none"}
    keep(store, event(1, 0, mono=1_000, **undated), event(2, 1, boot=2, mono=1_000, **undated))
    assert [dated.dated_ms for dated in store.events("T1", "e")] == [None, None]
    store.ingest(Batch(NOW, beats=[Beat(sn="T1", fleet="demo", epoch="e", boot=1, ts=NOW, clk="rtc", mono=61_000, session="s")]))
    assert [dated.dated_ms for dated in store.events("T1", "e")] == [NOW - 60_000, None]
    keep(store, event(3, 2, mono=71_000, ts=NOW + 20_000, clk="ntp"))
    assert next(store.events("T1", "e")).dated_ms == NOW - 50_000, "a better clock is believed more"
    keep(store, event(4, 3, mono=81_000, ts=NOW + 90_000, clk="rtc"))
    first, *_ = store.events("T1", "e")
    assert (first.dated_ms, first.event.ts) == (NOW - 50_000, None), "and what the terminal wrote stays as it was"


def test_lost_counts_only_for_the_session_that_is_there(store: SqliteStore) -> None:
    def now(*states: State) -> tuple[str, str]:
        store.ingest(Batch(NOW, states=list(states)))
        found: tuple[str, str] = rows(store.path, "SELECT state, session FROM terminals")[0]
        return found

    assert now(state("online", "s.1")) == ("online", "s.1")
    assert now(state("online", "s.2")) == ("online", "s.2")
    assert now(state("lost", "s.1")) == ("online", "s.2")
    assert now(state("lost", "s.2")) == ("lost", "s.2")
    assert now(state("online", "s.3"), state("offline", "s.3")) == ("offline", "s.3")


def test_the_latest_snap_is_kept(store: SqliteStore) -> None:
    for pending in (1, 2):
        snap = Snap(sn="T1", fleet="demo", epoch="e", boot=1, ts=NOW, clk="ntp", mono=5, d={"pending": pending})
        assert store.ingest(Batch(NOW + pending, snaps=[snap])) == []
    assert rows(store.path, "SELECT sn, snap, snap_ms, seen_ms FROM terminals") == [("T1", '{"pending":2}', NOW, NOW + 2)]


def test_what_could_not_be_used_is_listed_up_to_a_limit(store: SqliteStore) -> None:
    store.ingest(Batch(NOW, rejected=[Rejected(f"t/{n}", "wrong", 1) for n in range(REJECTED_KEPT + 5)]))
    assert rows(store.path, "SELECT count(*), min(topic), max(id) FROM rejected") == [(REJECTED_KEPT, "t/10", REJECTED_KEPT + 5)]


def test_what_was_kept_is_there_after_opening_again(tmp_path: Path) -> None:
    for _ in range(2):
        store = SqliteStore(tmp_path / "fleet.db")
        assert keep(store, event(1, 0)) == (1, 1)
        store.close()


def test_a_full_disk_keeps_nothing_of_a_batch_and_says_so(store: SqliteStore) -> None:
    keep(store, event(1, 0))
    store._connection.execute("PRAGMA max_page_count=1")  # SQLite then says what it says when the disk is full
    with pytest.raises(StorageError, match=r"fleet\.db failed: database or disk is full; nothing of it was acknowledged"):
        keep(store, event(2, 1), event(3, 2, d={"text": "x" * 60_000}))
    store._connection.execute("PRAGMA max_page_count=1000000")
    assert keep(store, event(3, 2)) == (1, 3)


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t(x)")
    other.close()
    with pytest.raises(StorageError, match="is a database of another program: name another file with --database"):
        SqliteStore(path)
    assert rows(path, "SELECT name FROM sqlite_master") == [("t",)]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    SqliteStore(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(StorageError, match="written by a newer version of this program"):
        SqliteStore(path)


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, and long enough to be looked at " * 20)
    for path in (tmp_path, tmp_path / "none" / "fleet.db", tmp_path / "text"):
        with pytest.raises(StorageError, match=r"the database .* failed: "):
            SqliteStore(path)


def response(status: str, **changes: Any) -> Response:
    usual: dict[str, Any] = {"sn": "T1", "fleet": "demo", "epoch": "e", "boot": 1, "ts": NOW, "clk": "ntp", "mono": 5}
    return Response(**(usual | {"id": "c-1", "name": "query", "status": status} | changes))


def test_the_last_word_on_a_command_stays_whatever_comes_late_or_again(store: SqliteStore) -> None:
    words = [response("accepted"), response("running", d={"entries": ["x" * 100]}), response("done", d={"result": {"a": 1}})]
    for _ in range(2):
        for word in (*words, response("running"), response("rejected", d={"why": "expired"})):
            store.ingest(Batch(NOW, responses=[word]))
    assert rows(store.path, "SELECT id, status, d FROM commands") == [("c-1", "done", '{"result":{"a":1}}')]


def test_parts_of_a_log_are_not_kept(store: SqliteStore) -> None:
    store.ingest(Batch(NOW, responses=[response("running", d={"entries": ["x"]})]))
    assert rows(store.path, "SELECT status, d FROM commands") == [("running", "{}")]


def test_a_word_on_a_command_stands_in_the_chain_of_events(store: SqliteStore) -> None:
    said = as_event(response("done", seq=5, prev=3, d={"result": {}}))
    assert said is not None
    assert keep(store, event(3, 0), said, event(6, 5)) == (6, 6)
    assert as_event(response("done")) is None, "a repeat is no entry"


def test_a_database_of_the_version_before_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    store = SqliteStore(path)
    keep(store, event(3, 0))
    store.close()
    old = sqlite3.connect(path)
    old.executescript("DROP TABLE commands; PRAGMA user_version=1")
    old.close()
    store = SqliteStore(path)
    store.ingest(Batch(NOW, responses=[response("done")]))
    assert store.marks() == [Mark("demo", "T1", "e", 3, 3)]
    store.close()


def test_terminals_are_known_by_their_terminal_id_once_they_have_said_it(store: SqliteStore) -> None:
    common: dict[str, Any] = {"epoch": "e", "boot": 1, "ts": NOW, "clk": "ntp", "mono": 5}
    said = (("T1", "demo", "11111111"), ("T2", "demo", "22222222"), ("T3", "other", "33333333"))
    snaps = [Snap(sn=sn, fleet=fleet, d={"terminal_id": name}, **common) for sn, fleet, name in said]
    store.ingest(Batch(NOW, snaps=[*snaps, Snap(sn="T4", fleet="demo", d={}, **common)]))
    assert store.terminal_ids("demo") == {"11111111": "T1", "22222222": "T2"}
