"""The inbox: one commit for all that is queued, one failure for each that fails, memory that never knows more than the disk."""

import asyncio
import logging
import os
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec
import pytest

from agent import inbox as module
from agent.core import event as e
from agent.core import playbook
from agent.core.change import Decision, Effect, Internal, Overloaded, Rejected, WantLine
from agent.core.model import Disposition, Evidence, Original
from agent.core.playbook import PLAYBOOK
from agent.core.storageevent import RowsDamaged
from agent.inbox import BATCH_MAX, QUEUE_MAX, REMEMBERED_MAX
from agent.journal import store as store_module
from agent.journal.database import Damaged, StorageFailed, StorageFull
from agent.journal.idempotency import Idempotency
from agent.vault import Sealed
from tests.support.house import BATCH, MERCHANT, TERMINAL, OpenHouse, housed
from tests.support.waiting import until


def sale(number: int, **more: Any) -> e.Opened:
    """A sale whose id is its number."""
    values: dict[str, Any] = {
        "rail": "card", "kind": "sale", "amount_fen": 100, "currency": "156", "batch": BATCH, "terminal_id": TERMINAL,
        "merchant_id": MERCHANT, "entry_mode": "051", "masked_pan": "622202*********0128", "last4": "0128",
    }
    return e.Opened(transaction=f"t{number}", stan=f"{number:06d}", **(values | more))


def result(number: int, outcome: str = "declined", **more: Any) -> e.ResultReported:
    """What the host said of it."""
    return e.ResultReported(transaction=f"t{number}", outcome=outcome, **more)  # type: ignore[arg-type]


def shown(number: int, **more: Any) -> e.EvidenceGiven:
    """A debit message was shown."""
    return e.EvidenceGiven(transaction=f"t{number}", evidence=Evidence(kind="debit_sms", **more))


def everything(house: OpenHouse) -> dict[str, object]:
    """All that memory holds."""
    state = house.inbox.state
    tables = (state.transactions, state.reversals, state.incidents, state.jobs)
    rows = {key: row for table in tables for key, row in table.items()}
    return rows | {"agent": state.agent, "line": state.line, "printer": state.printer, "keys": dict(state.keys)}


async def outcome(future: "asyncio.Future[Any]") -> object:
    """The decision or the error."""
    return (await asyncio.gather(future, return_exceptions=True))[0]


# ── together ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@housed()
async def test_what_is_asked_at_once_is_committed_at_once(house: OpenHouse) -> None:
    before = house.commits
    await asyncio.gather(*(house.inbox.submit(sale(number)) for number in range(64)))
    assert house.commits == before + 1
    assert house.query("SELECT count(*) FROM transactions") == [(64,)]


@housed()
async def test_a_flush_has_a_limit_and_the_rest_follows(house: OpenHouse) -> None:
    before = house.commits
    await asyncio.gather(*(house.inbox.submit(sale(number)) for number in range(2 * BATCH_MAX + 1)))
    assert house.commits == before + 3


@housed()
async def test_events_are_stepped_in_order_each_over_the_ones_before(house: OpenHouse) -> None:
    before = house.commits
    asked = [
        house.inbox.submit(sale(1, ask=True)), house.inbox.submit(result(1, "approved")), house.inbox.submit(sale(2, ask=True)),
    ]
    decisions = await asyncio.gather(*asked)
    assert [decision.proceed for decision in decisions] == ["go", None, "go"]
    assert house.commits == before + 1


@housed()
async def test_nothing_is_answered_before_it_is_on_disk(house: OpenHouse) -> None:
    seen: list[Any] = []
    future = house.inbox.submit(sale(1))
    future.add_done_callback(lambda _: seen.append(house.on_disk("t1")))
    assert not future.done()
    await future
    assert seen == ["intent"]


@housed()
async def test_no_effect_happens_before_its_commit(house: OpenHouse) -> None:
    seen: list[Any] = []
    house.perform = lambda effect: seen.append((type(effect).__name__, house.on_disk("t1")))
    await house.do(sale(1, ask=True))
    await house.do(result(1, "no_answer"))
    assert seen == [("WantLine", "in_doubt")]


@housed()
async def test_what_changes_nothing_is_answered_without_a_commit(house: OpenHouse) -> None:
    await house.do(sale(1))
    await house.do(result(1))
    before = house.commits
    await house.do(result(1))
    await house.do(e.DeadlinePassed())
    assert house.commits == before


@housed()
async def test_a_caller_who_has_gone_has_still_been_heard(house: OpenHouse) -> None:
    future = house.inbox.submit(sale(1))
    future.cancel()
    await house.do(sale(2))
    assert house.on_disk("t1") == "intent"


@housed()
async def test_the_queue_has_a_limit(house: OpenHouse) -> None:
    taken = [house.inbox.submit(e.DeadlinePassed()) for _ in range(QUEUE_MAX)]
    refused = house.inbox.submit(sale(1))
    assert isinstance(await outcome(refused), Overloaded)
    await asyncio.gather(*taken)
    assert house.on_disk("t1") is None
    await house.do(sale(1))


@housed()
async def test_a_turn_proves_that_it_moves_and_commits_nothing(house: OpenHouse) -> None:
    flushes, commits = house.inbox.flushes, house.commits
    house.inbox.turn()
    await asyncio.sleep(0)
    assert (house.inbox.flushes, house.commits) == (flushes + 1, commits)


@housed()
async def test_closing_flushes_what_is_queued_and_takes_nothing_more(house: OpenHouse) -> None:
    queued = [house.inbox.submit(sale(number)) for number in range(3)]
    house.inbox.close()
    assert all(future.done() for future in queued)
    assert house.on_disk("t2") == "intent"
    assert isinstance(await outcome(house.inbox.submit(sale(9))), StorageFailed)


@housed()
async def test_keys_of_two_users_in_one_flush_are_two_keys(house: OpenHouse) -> None:
    mine = house.inbox.submit(sale(1), None, Idempotency(1000, "k", b"same"))
    theirs = house.inbox.submit(sale(2), None, Idempotency(1001, "k", b"same"))
    assert [decision.transaction for decision in await asyncio.gather(mine, theirs)] == ["t1", "t2"]


# ── at once, and soon ────────────────────────────────────────────────────────────────────────────────────────────────


def left(number: int) -> e.AnswerForwarded:
    """The answer went to the terminal."""
    return e.AnswerForwarded(transaction=f"t{number}", left=True)


async def answered(house: OpenHouse, number: int) -> None:
    """A sale whose approval is on disk, and about to be forwarded."""
    await house.do(sale(number, ask=True))
    said = {"f3": "000000", "f4": "000000000100", "f11": f"{number:06d}", "f41": TERMINAL, "f42": MERCHANT}
    await house.do(e.RelayAnswered(transaction=f"t{number}", code="00", mac="good", **said))


async def begun(house: OpenHouse, number: int) -> None:
    """Its forwarding is told, stepped and written; nothing more has happened."""
    await answered(house, number)
    house.inbox.tell_soon(left(number))
    await asyncio.sleep(0)


@housed()
async def test_who_asks_alone_is_served_on_the_spot(house: OpenHouse) -> None:
    with pytest.raises(StopIteration) as served:
        house.inbox.decide(sale(1)).send(None)
    assert served.value.value.transaction == "t1"
    assert house.on_disk("t1") == "intent"


@housed()
async def test_who_asks_alone_goes_on_before_effects_happen(house: OpenHouse) -> None:
    await house.inbox.decide(sale(1, ask=True))
    await asyncio.sleep(0)
    await house.inbox.decide(result(1, "no_answer"))
    assert house.effects == []
    await asyncio.sleep(0)
    assert [type(effect).__name__ for effect in house.effects] == ["WantLine"]


@housed()
async def test_a_crowd_shares_its_commits(house: OpenHouse) -> None:
    before = house.commits
    await asyncio.gather(*(house.inbox.decide(sale(number)) for number in range(1, 33)))
    assert house.commits == before + 2, "the first did not know of the others"
    await asyncio.gather(*(house.inbox.decide(sale(number)) for number in range(101, 133)))
    assert house.commits == before + 3
    for number in range(201, 201 + module.CROWD_FLUSHES):
        await house.inbox.decide(sale(number))
    with pytest.raises(StopIteration):
        house.inbox.decide(sale(999)).send(None)
    assert house.on_disk("t999") == "intent"


@housed(mode="relay")
async def test_what_is_told_soon_shares_the_commit_of_what_comes_next(house: OpenHouse) -> None:
    await begun(house, 1)
    before, head = house.commits, house.head()
    assert house.head() == head, "no other program sees it"
    await house.inbox.decide(sale(2))
    assert (house.on_disk("t1"), house.on_disk("t2")) == ("approved", "intent")
    await asyncio.sleep(0)
    assert house.commits == before + 1


@housed(mode="relay")
async def test_what_is_told_soon_is_on_disk_soon_when_nothing_follows(house: OpenHouse) -> None:
    await begun(house, 1)
    assert house.on_disk("t1") == "sent"
    await until_state(house, "t1", "approved")


@housed(mode="relay")
async def test_nobody_sees_what_is_begun_before_it_is_on_disk(house: OpenHouse) -> None:
    looks: list[Callable[[int], object]] = [
        lambda number: house.inbox.state.transactions[f"t{number}"],
        lambda number: house.inbox.view(f"t{number}"),
        lambda _: house.inbox.current(),
        lambda _: house.store.read_after(0, 1000),
        lambda number: house.store.family(f"t{number}"),
        lambda _: house.store.writable(),
        lambda _: house.store.take_notes(cursor="1"),
        lambda _: house.store.checkpoint(),
    ]
    for number, look in enumerate(looks, start=1):
        await begun(house, number)
        assert house.on_disk(f"t{number}") == "sent"
        look(number)
        assert house.on_disk(f"t{number}") == "approved"
        await asyncio.sleep(0)


@housed(mode="relay")
async def test_what_is_begun_is_undone_with_a_commit_that_finds_the_disk_full_and_told_again(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    await begun(house, 1)
    shut(house)
    asked = [house.inbox.submit(sale(number)) for number in range(100, 200)]
    assert {type(await outcome(future)) for future in asked} == {StorageFull}
    assert house.inbox.state.transactions["t1"].state == house.on_disk("t1") == "sent"
    house.store.database.execute("PRAGMA max_page_count=1000000")
    await until_state(house, "t1", "approved")


@housed(mode="relay")
async def test_what_is_begun_stays_when_another_event_cannot_be_written(house: OpenHouse) -> None:
    await begun(house, 1)
    with pytest.raises(Internal):
        await house.inbox.decide(shown(1, text="\ud800"))
    assert house.on_disk("t1") == "approved"


@housed(mode="relay")
async def test_damage_that_is_found_while_something_is_begun_is_noted_and_nothing_of_it_is_committed(house: OpenHouse) -> None:
    await house.do(sale(2, ask=True))
    await house.do(result(2))
    house.inbox.forget_closed()
    house.store.database.execute("UPDATE transactions SET crc = crc + 1 WHERE id = 't2'")
    await begun(house, 1)
    assert isinstance(await outcome(house.inbox.submit(e.SentAsked(transaction="t2"))), StorageFailed)
    assert house.on_disk("t1") == "sent"
    assert house.query("SELECT value FROM meta WHERE key = 'restore_owed'") == [("1",)]
    assert house.broken


@housed(mode="relay")
async def test_closing_commits_what_is_begun(house: OpenHouse) -> None:
    await begun(house, 1)
    house.inbox.close()
    assert house.on_disk("t1") == "approved"


# ── each for itself ──────────────────────────────────────────────────────────────────────────────────────────────────


@housed()
async def test_a_refused_event_refuses_only_itself(house: OpenHouse) -> None:
    await house.do(sale(1))
    before = house.commits
    asked = [house.inbox.submit(event) for event in (sale(2), sale(1, amount_fen=7), result(99), sale(3))]
    got = [await outcome(future) for future in asked]
    assert [type(item).__name__ for item in got] == ["Decision", "Rejected", "Rejected", "Decision"]
    assert house.commits == before + 1
    assert sorted(house.inbox.state.transactions) == ["t1", "t2", "t3"]
    assert house.inbox.state.transactions["t1"].amount_fen == 100


@housed()
async def test_an_event_that_breaks_an_invariant_is_undone_whole_and_alone(
    house: OpenHouse, caplog: pytest.LogCaptureFixture
) -> None:
    before = everything(house)
    number = house.inbox.state.agent.next_number
    asked = [house.inbox.submit(event) for event in (sale(1, amount_fen=0), sale(2))]
    broken, fine = [await outcome(future) for future in asked]
    assert isinstance(broken, Internal)
    assert "AssertionError" in str(broken)
    assert not isinstance(fine, Exception)
    assert house.inbox.state.transactions["t2"].number == number, "not even a number was used up"
    assert set(everything(house)) == {*before, "t2"}
    assert "the step of a Opened was undone" in caplog.text


@housed()
async def test_an_event_that_cannot_be_written_fails_alone(house: OpenHouse) -> None:
    await house.do(sale(1))
    asked = [house.inbox.submit(event) for event in (sale(2), shown(1, text="\ud800"), sale(3))]
    gone = house.inbox.submit(sale(4))
    gone.cancel()
    got = [await outcome(future) for future in asked]
    assert [type(item).__name__ for item in got] == ["Decision", "Internal", "Decision"]
    assert house.inbox.state.transactions["t1"].evidence == ()
    assert [house.on_disk(f"t{number}") for number in (2, 3, 4)] == ["intent"] * 3


@housed()
async def test_an_effect_that_fails_takes_neither_answers_nor_other_effects_with_it(
    house: OpenHouse, caplog: pytest.LogCaptureFixture
) -> None:
    def clumsy(effect: Effect) -> None:
        house.effects.append(effect)
        raise OSError("no such device")

    house.perform = clumsy
    await house.doubt()
    await house.do(e.HostReachable())
    assert [type(effect).__name__ for effect in house.effects] == ["WantLine", "SendReversal"]
    assert "a SendReversal was not performed" in caplog.text
    await house.pass_time(30_000)
    assert len(house.sends()) == 2, "its deadline asks again"


# ── storage ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def shut(house: OpenHouse) -> None:
    """No further page for the database."""
    (pages,) = next(iter(house.store.database.execute("PRAGMA page_count")))
    house.store.database.execute(f"PRAGMA max_page_count={pages}")


@housed()
async def test_a_full_disk_undoes_the_whole_commit_in_memory_too_and_answers_everybody(house: OpenHouse) -> None:
    await many_closed(house, first=1000)
    await house.do(sale(0))
    shut(house)
    before, head = everything(house), house.head()
    asked = [house.inbox.submit(sale(number)) for number in range(1, 101)]
    asked += [house.inbox.submit(event) for event in (result(0, "no_answer"), shown(1000))]
    assert {type(await outcome(future)) for future in asked} == {StorageFull}
    assert everything(house) == before
    assert house.head() == head
    assert house.broken == []
    house.store.database.execute("PRAGMA max_page_count=1000000")
    await asyncio.gather(*(house.inbox.submit(sale(number)) for number in range(1, 101)))


@housed()
async def test_what_a_start_mended_keeps_no_agent_with_a_full_disk_from_starting_and_is_told_later(house: OpenHouse) -> None:
    mended = RowsDamaged(restored=tuple(f"transactions t{number:064d}" for number in range(20)), lost=())
    house.store.take_notes(damage=msgspec.json.encode(mended).decode())
    shut(house)
    await house.inbox.tell_damage()
    assert house.store.damage() == mended
    house.store.database.execute("PRAGMA max_page_count=1000000")
    await house.inbox.tell_damage()
    assert house.store.damage() is None
    assert [incident.code for incident in house.inbox.state.open_incidents.values()] == ["storage"]


@housed(answer_timeout_ms=1_000)
async def test_a_deadline_that_finds_the_disk_full_is_not_tried_in_a_circle(house: OpenHouse) -> None:
    await house.do(sale(0, ask=True))
    filler = [house.inbox.submit(sale(number)) for number in range(1, 30)]
    await asyncio.gather(*filler)
    shut(house)
    house.clock.pass_ms(1_000)
    events: list[e.Event] = [e.DeadlinePassed(), *(sale(number) for number in range(100, 200))]
    failed = [house.inbox.submit(event) for event in events]
    assert {type(await outcome(future)) for future in failed} == {StorageFull}
    await asyncio.sleep(0)  # the timer is set behind the answers
    timer = house.inbox._timer
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() > module.RETRY_S / 2
    house.store.database.execute("PRAGMA max_page_count=1000000")
    await house.do(e.DeadlinePassed())
    assert house.on_disk("t0") == "in_doubt"


@housed()
async def test_a_lock_of_another_program_is_a_try_again(house: OpenHouse) -> None:
    house.store.database.execute("PRAGMA busy_timeout=1")
    with closing(sqlite3.connect(house.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = [house.inbox.submit(sale(number)) for number in range(3)]
        assert {type(await outcome(future)) for future in asked} == {Overloaded}
        other.execute("ROLLBACK")
    assert house.inbox.state.transactions == {}
    await house.do(sale(1))


@housed()
async def test_a_journal_that_cannot_be_read_stops_the_agent(house: OpenHouse) -> None:
    await many_closed(house)
    await house.restart()
    house.store.database.checkpoint("TRUNCATE")
    os.truncate(house.database, 8_192)
    house.store.database.execute("PRAGMA shrink_memory")
    asked = [house.inbox.submit(event) for event in (sale(900), e.SentAsked(transaction="t0"), sale(901))]
    assert {type(await outcome(future)) for future in asked} == {Damaged}
    assert "cannot be read" in str(house.broken[0])
    assert isinstance(await outcome(house.inbox.submit(sale(902))), StorageFailed)
    reading = await house.call("GET", "/v1/transactions/t1")
    assert (reading.status, reading.code) == (503, "unavailable")


@housed()
async def test_nobody_waits_for_the_checkpoint_that_his_commit_makes_due(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CHECKPOINT_PAGES", 1)
    before = house.database.read_bytes()
    await house.do(sale(1))
    assert house.database.read_bytes() == before
    await asyncio.sleep(0)
    assert b"t1" in house.database.read_bytes().removeprefix(before)


@housed()
async def test_a_checkpoint_that_fails_stops_the_agent_and_takes_no_answer_back(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many_closed(house)
    house.store.checkpoint()
    monkeypatch.setattr(store_module, "CHECKPOINT_PAGES", 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (house.database.stat().st_size, limits[1]))
    try:
        answered = [house.inbox.submit(sale(number)) for number in range(900, 920)]
        assert await asyncio.gather(*answered) == [Decision(transaction=f"t{number}") for number in range(900, 920)]
        await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "SQLite reports" in str(house.broken[0])
    assert isinstance(await outcome(house.inbox.submit(sale(999))), StorageFailed)
    await house.restart()
    assert house.on_disk("t919") == "not_sent"  # it is there, and ended as a start ends what was never permitted


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def many_closed(house: OpenHouse, first: int = 0, count: int = 3 * REMEMBERED_MAX) -> None:
    """Sales that came and went."""
    numbers = range(first, first + count)
    await asyncio.gather(*(house.inbox.submit(event) for number in numbers for event in (sale(number, ask=True), result(number))))


@housed(slips=False)
async def test_closed_families_are_forgotten_and_read_again_when_they_are_needed(house: OpenHouse) -> None:
    await house.do(sale(1000, ask=True))
    await house.do(result(1000, "no_answer"))
    await house.do(e.HostReachable())
    await house.host_answers("t1000", "00")
    await many_closed(house)
    state = house.inbox.state
    assert len(state.transactions) <= 2 * REMEMBERED_MAX
    assert "t0" not in state.transactions
    assert "t1000" not in state.reversals

    assert (await house.do(result(0, "approved"))).conflict == "contradiction"
    assert (await house.do(result(1000, "approved"))).conflict == "in-doubt"
    await house.do(shown(1))
    assert state.transactions["t1"].evidence
    (incident,) = [item for item in state.open_incidents.values() if item.transaction == "t0"]
    await many_closed(house, first=2000)
    assert "t1" not in state.transactions
    await house.do(e.IncidentResolved(incident=incident.id, transaction="t0", resolution="no_action", by="w"))
    assert house.differences() == []


@housed()
async def test_what_is_read_for_nothing_is_forgotten_at_once(house: OpenHouse) -> None:
    await many_closed(house)
    before = everything(house)
    commits = house.commits
    await house.do(result(0))
    assert isinstance(await outcome(house.inbox.submit(sale(1))), Rejected)
    assert isinstance(await outcome(house.inbox.submit(e.SentAsked(transaction="t2"))), Rejected)
    key = Idempotency(0, "k", b"d")
    await house.inbox.submit(result(3), None, key)
    assert everything(house) == before
    assert house.commits == commits + 1, "only the key was written"
    await house.do(result(3, "approved"))
    assert house.told("evidence.contradiction")[0].input is not None
    loaded = house.told("evidence.contradiction")[0].input
    assert loaded is not None
    assert [kind for kind, _ in loaded["loaded"]] == ["Transaction"], "the journal has all that replaying needs"


@housed()
async def test_a_forgotten_payment_and_its_forgotten_void_are_seen_together(house: OpenHouse) -> None:
    named = {"kind": "void", "original": Original(BATCH, "001000")}
    for number, outcome, more in ((1000, "approved", {}), (1001, "declined", named), (1002, "approved", named)):
        if number == 1001:
            await many_closed(house)
        await house.do(sale(number, ask=True, **more))
        await house.do(result(number, outcome))
    await many_closed(house, first=2000)
    for key in ("t1000", "t1001"):
        assert key not in house.inbox.state.transactions
        view = house.inbox.view(key)
        assert playbook.judge(view, view.transactions[key]) == ("N14", True, False)
    assert house.differences() == []


@housed()
async def test_a_forgotten_partial_approval_is_seen_with_what_paid_its_rest_and_what_took_that_back(house: OpenHouse) -> None:
    await house.do(sale(1000, ask=True))
    await house.do(result(1000, "approved", response_code="10", approved_fen=40))
    await house.do(sale(1001, ask=True, amount_fen=60))
    await house.do(result(1001, "approved"))
    await house.do(e.DispositionGiven(transaction="t1000", disposition=Disposition(replaced_by="t1001")))
    await house.do(sale(1002, ask=True, kind="void", amount_fen=60, original=Original(BATCH, "001001")))
    await house.do(result(1002, "approved"))
    await many_closed(house)
    assert "t1000" not in house.inbox.state.transactions
    view = house.inbox.view("t1000")
    assert playbook.judge(view, view.transactions["t1000"]) == ("N11", True, False)


@housed()
async def test_what_took_back_a_replacement_is_there_after_a_start_and_whenever_it_is_judged(house: OpenHouse) -> None:
    await house.do(sale(1000, ask=True, basket_id="b"))
    await house.do(result(1000, "no_answer"))
    await house.do(sale(1001, basket_id="b"))
    await house.do(result(1001, "not_sent"))
    await house.do(sale(1002, kind="void", original=Original(BATCH, "001001")))
    await house.do(result(1002, "not_sent"))
    await many_closed(house)
    assert {"t1000", "t1001", "t1002"} <= house.inbox.store.load().transactions.keys()
    assert {"t1000", "t1001", "t1002"} <= house.inbox.state.transactions.keys()
    assert house.differences() == []


@housed()
async def test_looking_remembers_nothing(house: OpenHouse) -> None:
    await many_closed(house)
    before = everything(house)
    house.inbox.state.wording = {"N4": PLAYBOOK["N4"]}
    assert house.inbox.view("t0").transactions["t0"].state == "declined"
    assert house.inbox.view("t0").wording == {"N4": PLAYBOOK["N4"]}
    assert house.inbox.view("nothing").transactions == {}
    assert everything(house) == before


@housed()
async def test_the_answer_of_a_doubled_reply_to_a_forgotten_reversal_is_the_same_in_the_replay(house: OpenHouse) -> None:
    await house.do(sale(5000, ask=True))
    await house.do(result(5000, "no_answer"))
    await house.do(e.HostReachable())
    await house.host_answers("t5000", "00")
    house.inbox.state.forget_closed(0)
    await many_closed(house)
    await house.host_answers("t5000", "00")
    assert house.told("host.doubled_reply")
    assert house.differences() == []


@housed()
async def test_secrets_that_no_row_refers_to_are_not_written(house: OpenHouse) -> None:
    await house.do(sale(1))
    await house.inbox.submit(result(1), Sealed("nowhere", {"55": b"sealed"}))
    assert house.query("SELECT count(*) FROM vault") == [(0,)]
    await house.inbox.submit(sale(2, vault="ref"), Sealed("ref", {"2": b"sealed"}))
    assert house.query("SELECT ref FROM vault") == [("ref",)]
    await house.do(result(2))
    assert house.query("SELECT count(*) FROM vault") == [(0,)]


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def until_state(house: OpenHouse, key: str, state: str) -> None:
    """Wait for what happens by itself."""
    for _ in range(10_000):
        if house.on_disk(key) == state:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{key} did not become {state}")


@housed()
async def test_a_deadline_comes_by_itself(house: OpenHouse) -> None:
    await house.do(sale(1, ask=True))
    house.clock.pass_ms(64_999)
    house.inbox.turn()
    await asyncio.sleep(0)
    timer = house.inbox._timer
    assert timer is not None
    house.clock.pass_ms(1)
    await until_state(house, "t1", "in_doubt")


@housed()
async def test_a_long_suspend_is_noticed_though_the_loops_clock_stood_still(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLEEP_MAX_S", 0.01)
    await house.do(sale(1, ask=True))
    house.clock.pass_ms(8 * 3_600_000)
    await until_state(house, "t1", "in_doubt")


@housed()
async def test_with_nothing_due_nobody_is_woken(house: OpenHouse) -> None:
    armed = []
    for event in (e.TerminalChanged(what="rebooted"), sale(1, ask=True), result(1)):
        await house.do(event)
        await asyncio.sleep(0)  # the timer is set behind the answers
        armed.append(house.inbox._timer is not None)
    assert armed == [False, True, False]


@housed()
async def test_what_nobody_waits_for_is_logged_when_it_fails(house: OpenHouse, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "reversald.inbox"):
        house.inbox.tell(sale(1, rail="wallet"))
        await house.do(e.DeadlinePassed())
        await asyncio.sleep(0)
    assert "rail wallet is not configured" in caplog.text


@housed()
async def test_closed_jobs_and_incidents_of_no_transaction_leave_the_memory(house: OpenHouse) -> None:
    for number in range(2 * REMEMBERED_MAX):
        await house.do(e.TestPrintAsked(job=f"p{number}"))
        await house.do(finished(f"p{number}", "SENT_UNCONFIRMED", "cutter" if number % 2 else "none"))
        await house.do(e.PrinterSeen(fault="none"))
    state = house.inbox.state
    assert len(state.jobs) + len(state.incidents) <= 2 * REMEMBERED_MAX
    assert house.query("SELECT count(*) FROM jobs") == [(2 * REMEMBERED_MAX,)], "on disk they stay"
    assert house.differences() == []


@housed()
async def test_a_late_proof_of_a_forgotten_test_page_is_accepted_and_the_replay_says_the_same(house: OpenHouse) -> None:
    await house.do(e.TestPrintAsked(job="early"))
    await house.do(finished("early", "SENT_UNCONFIRMED"))
    house.inbox.state.forget_closed(0)
    assert "early" not in house.inbox.state.jobs
    await house.do(finished("early", "CONFIRMED"))
    assert house.query("SELECT state FROM jobs WHERE id = 'early'") == [("CONFIRMED",)]
    assert house.differences() == []


def finished(job: str, level: str, fault: str = "none") -> e.JobFinished:
    """The driver's word on a test page."""
    return e.JobFinished(job=job, transaction=None, level=level, accepted_bytes=9, total_bytes=9, fault=fault)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["while a commit is written", "before an event that is refused"])
@housed()
async def test_what_becomes_due_between_two_looks_is_not_overlooked(house: OpenHouse, how: str) -> None:
    """A reversal that waits for its next opportunity: its time comes, or a suspend passes it, after the clock was read."""
    key = await house.doubt()
    await house.do(e.HostReachable())
    for _ in range(3):
        await house.host_answers(key, "96")
    await house.do(e.EchoReply(code="00"))
    wanted = [effect.wanted for effect in house.effects if isinstance(effect, WantLine)]
    assert wanted[-1] == "watch"
    if how == "while a commit is written":
        house.heard = lambda: house.clock.pass_ms(60_000)
        await house.open("000124")
        house.heard = lambda: None
    else:
        house.clock.pass_ms(60_000)
        with pytest.raises(Rejected):
            await house.do(e.SentAsked(transaction="nobody's"))
    await until(lambda: [effect.wanted for effect in house.effects if isinstance(effect, WantLine)] == [*wanted, "now"])
