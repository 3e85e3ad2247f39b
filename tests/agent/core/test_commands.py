"""Commands of the fleet in the core: once, in time, in one commit with what they order; repeats get the stored answer."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from agent.core import commands
from agent.core.accounts import Settled
from agent.core.change import CarryOut, Decision, Rejected
from agent.core.commandbook import KEPT_MAX, OPEN_MAX
from agent.core.fleetevent import Commanded, CommandFinished, CommandRefused
from agent.core.settlementevent import SettlementImported
from agent.core.state import State
from tests.agent.core.world import DAY, MINUTE, MORNING_MS, RECEIPT, SECOND, TERMINAL, World

HOUR_MS = 3_600_000


def order(world: World, name: str = "query", key: str = "c-1", **fields: Any) -> Commanded:
    """A command that was signed a moment ago and is valid for ten minutes."""
    said_ms = MORNING_MS + world.now_ms
    usual: dict[str, Any] = {
        "command": key, "name": name, "digest": f"d-{key}", "not_before_ms": said_ms - SECOND,
        "expires_ms": said_ms + 10 * MINUTE, "by": "k1",
    }
    more: dict[str, Any] = {"answer": {"ok": True}} if name == "query" else {}
    return Commanded(**(usual | more | fields))


def why(decision: Decision) -> str | None:
    """Why it was not taken, None when it was."""
    return None if decision.told is None else decision.told.get("why")


def refused_world() -> World:
    """Transaction `a`, whose reversal the host refused."""
    world = World()
    world.doubt()
    world.connect()
    world.reply("30")
    assert world.states() == ("unresolved", "refused")
    world.go_to(2 * MINUTE)  # past the spacing
    return world


def test_an_order_to_reverse_goes_the_way_of_a_person_at_the_terminal_once() -> None:
    world = refused_world()
    sends = len(world.sends())
    event = order(world, "recover", transaction="a")
    assert world.do(event).told is None
    assert [fact.data["by"] for fact in world.told("reversal.ordered")] == ["fleet k1"]
    assert len(world.sends()) == sends + 1
    for _ in range(3):
        assert world.do(event).told == {"status": "done", "result": {"state": "unresolved", "reversal": "pending"}}
    assert len(world.told("reversal.ordered")) == len(world.told("command.done")) == 1
    assert len(world.sends()) == sends + 1


def test_what_the_order_itself_meets_is_its_stored_end_and_undoes_what_it_began() -> None:
    world = World()
    world.open()
    world.result("approved", rrn="123456789012", receipt=RECEIPT, job="r")
    event = order(world, "recover", transaction="a")
    assert world.do(event).told is None
    assert [fact.data["why"] for fact in world.told("command.rejected")] == ["not-reversible"]
    assert world.do(event).told == {"status": "rejected", "why": "not-reversible"}
    assert world.told("reversal.ordered") == []


def test_a_repeat_in_whose_step_something_else_falls_due_is_answered_and_orders_nothing() -> None:
    world = refused_world()
    event = order(world, "recover", transaction="a")
    world.do(event)
    world.reply("96")
    world.reply("96")
    world.reply("96")
    assert world.states() == ("unresolved", "exhausted")
    world.lose_line()
    assert world.next_deadline_ms is not None
    facts, sends = len(world.facts), len(world.sends())
    world.at(world.next_deadline_ms + MINUTE)  # it slept over its deadline, and the command comes before it
    assert world.do(event).told == {"status": "done", "result": {"state": "unresolved", "reversal": "pending"}}
    assert [fact.type for fact in world.facts[facts:]] == ["line.wanted"], "only what was due by itself"
    assert len(world.sends()) == sends


def test_a_copy_that_is_ordered_is_marked_and_another_order_makes_another() -> None:
    world = World()
    world.open()
    world.result("approved", rrn="123456789012", receipt=RECEIPT, job="r")
    world.finish_job("r", "CONFIRMED")
    event = order(world, "reprint", transaction="a", job="copy-1")
    world.do(event)
    world.do(order(world, "reprint", transaction="a", job="copy-2"))  # the same command, prepared again
    assert [(job.job, job.marked) for job in world.printed()] == [("r", False), ("copy-1", True)]
    assert world.do(event).told == {"status": "done", "result": {"jobs": ["copy-1"]}}


def test_verdicts_are_judged_as_those_of_a_file_at_the_terminal() -> None:
    world = refused_world()
    day = int(world.transaction().opened.day or 0)
    lines = (Settled(1, day, "debit", 100, "000001", "000001"), Settled(2, day, "debit", 5, "000001", "000099"))
    file = SettlementImported(statement="s", terminal_id=TERMINAL, days=(day, day + 1), lines=lines, families=("a",))
    part = order(world, "settle", "p-1", answer={"applied": False, "part": 1, "parts": 2})
    world.do(part)
    assert world.transaction().account is None, "a part alone changes nothing"
    whole = order(world, "settle", "p-2", statement=file)
    world.do(whole)
    assert world.transaction().account is not None
    told = world.do(whole).told
    assert told is not None
    assert (told["result"]["matched"], told["result"]["unmatched"]) == (1, 1)
    assert told["result"]["first_unmatched"] == [{"line": 2, "why": "unknown"}]
    assert len(world.told("settlement.imported")) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"expires_ms": MORNING_MS}, "expired"),
        ({"expires_ms": MORNING_MS + 1}, None),
        ({"not_before_ms": MORNING_MS + commands.SKEW_MS, "expires_ms": MORNING_MS + HOUR_MS}, None),
        ({"not_before_ms": MORNING_MS + commands.SKEW_MS + 1, "expires_ms": MORNING_MS + HOUR_MS}, "not-yet-valid"),
        ({"not_before_ms": MORNING_MS - 1, "expires_ms": MORNING_MS - 1 + DAY}, None),
        ({"not_before_ms": MORNING_MS - 1, "expires_ms": MORNING_MS + DAY}, "bad-window"),
        ({"not_before_ms": MORNING_MS + 9, "expires_ms": MORNING_MS + 9}, "bad-window"),
    ],
)
def test_a_command_is_taken_in_its_time_and_at_no_other(fields: dict[str, int], reason: str | None) -> None:
    world = World()
    facts = len(world.facts)
    assert why(world.do(order(world, **fields))) == reason
    assert (len(world.facts) == facts) == (reason is not None), "what is not taken leaves no trace"


@pytest.mark.parametrize("name", ["recover", "settle", "config"])
def test_under_a_clock_that_is_not_to_be_trusted_nothing_moves_money(name: str) -> None:
    world = World(wall_ms=None)
    world.doubt()
    event = order(world, name, transaction="a", args={"version": 1, "set": {}})
    assert why(world.do(event)) == "clock-untrusted"
    assert world.told("reversal.ordered") == []
    assert why(world.do(order(world, "query", "c-2"))) is None, "a question moves none"


def test_another_command_under_an_id_that_was_used_is_refused() -> None:
    world = refused_world()
    world.do(order(world))
    assert why(world.do(order(world, "recover", transaction="a", digest="another"))) == "id-reused"
    assert world.told("reversal.ordered") == []


def test_an_id_is_remembered_until_its_command_has_expired_and_an_old_one_finds_no_door_when_the_clock_goes_back() -> None:
    world = refused_world()
    first = order(world, "recover", transaction="a")
    world.do(first)
    world.at(world.now_ms + 11 * MINUTE)
    assert world.do(first).told is not None, "still remembered: nothing has taken its place"
    world.do(order(world, key="c-2"))
    assert world.state.commands.find("c-1") is None
    assert why(world.do(first)) == "expired"
    assert world.wall_at_zero_ms is not None
    world.wall_at_zero_ms -= 10 * MINUTE  # the clock says that it is valid again
    assert why(world.do(first)) == "expired"
    world.wall_at_zero_ms = None
    assert why(world.do(msgspec.structs.replace(first, name="query", answer={}))) == "expired", "without a clock as well"
    assert len(world.told("reversal.ordered")) == 1


def test_a_clock_that_ran_ahead_for_a_while_made_nobody_forget_what_may_come_again() -> None:
    world = refused_world()
    first = order(world, "recover", transaction="a")
    world.do(first)
    assert world.wall_at_zero_ms is not None
    world.wall_at_zero_ms += HOUR_MS
    world.do(order(world, key="c-2", expires_ms=first.expires_ms + 2 * HOUR_MS))  # by the right clock from the same moment
    assert world.state.commands.find("c-1") is None, "it has expired by the clock that is wrong"
    world.wall_at_zero_ms -= HOUR_MS
    assert why(world.do(first)) == "expired"
    assert len(world.told("reversal.ordered")) == 1


def test_what_an_order_had_changed_before_it_failed_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(state: State, event: Commanded) -> dict[str, Any]:
        state.put(replace(state.agent, batch="000009"))
        state.tell("batch.changed", batch="000009")
        raise Rejected(409, "not-reversible", "in the middle of it")

    monkeypatch.setitem(commands._ACTS, "recover", half)
    world = refused_world()
    batch = world.state.agent.batch
    world.do(order(world, "recover", transaction="a"))
    assert world.state.agent.batch == batch
    assert [fact.type for fact in world.facts[-1:]] == ["command.rejected"]
    assert world.told("batch.changed") == []


def test_no_more_commands_are_taken_than_are_remembered() -> None:
    world = World()
    for number in range(KEPT_MAX):
        assert why(world.do(order(world, key=f"k-{number}"))) is None
    assert why(world.do(order(world, key="one-more"))) == "too-many"
    world.at(11 * MINUTE)
    assert why(world.do(order(world, key="one-more"))) is None
    assert len(world.state.commands.taken) == 1


def test_without_a_clock_room_is_made_by_what_later_commands_prove() -> None:
    world = World()
    world.do(order(world))
    later = world.now_ms + HOUR_MS
    world.at(later)
    world.do(order(world, key="c-2"))
    world.wall_at_zero_ms = None
    assert why(world.do(order(world, key="c-3", not_before_ms=MORNING_MS, expires_ms=MORNING_MS + 30 * MINUTE))) == "expired"


def test_work_outside_the_core_is_begun_after_the_commit_and_ends_once() -> None:
    world = World()
    event = order(world, "replay", args={"from_seq": 3})
    world.do(event)
    assert [effect for effect in world.effects if isinstance(effect, CarryOut)] == [CarryOut("c-1", "replay", {"from_seq": 3})]
    assert [fact.type for fact in world.facts[-1:]] == ["command.accepted"]
    assert world.do(event).told == {"status": "running"}
    world.do(CommandFinished(command="c-1", result={"from_seq": 3, "to_seq": 9}))
    world.do(CommandFinished(command="c-1", why="too-far-back"))
    world.do(CommandFinished(command="stranger"))
    assert world.do(event).told == {"status": "done", "result": {"from_seq": 3, "to_seq": 9}}
    assert (len(world.told("command.done")), len(world.told("command.rejected"))) == (1, 0)


def test_only_a_few_are_at_work_at_once_and_questions_need_not_wait_for_them() -> None:
    world = World()
    for number in range(OPEN_MAX):
        world.do(order(world, "replay", f"k-{number}", args={"from_seq": 1}))
    assert why(world.do(order(world, "replay", "one-more", args={"from_seq": 1}))) == "too-many"
    assert why(world.do(order(world, "query", "question"))) is None


def test_a_configuration_is_only_followed_by_a_newer_one() -> None:
    world = World()
    world.do(order(world, "config", args={"version": 7, "set": {"terminal.lang": "en"}}))
    assert world.state.commands.config_version == 0, "not in force yet"
    world.do(CommandFinished(command="c-1", result={"version": 7}))
    assert world.state.commands.config_version == 7
    for version in (6, 7):
        assert why(world.do(order(world, "config", f"v-{version}", args={"version": version, "set": {}}))) == "old-version"
    world.do(order(world, "config", "v-8", args={"version": 8, "set": {}}))
    world.do(CommandFinished(command="v-8", why="bad-value"))
    assert world.state.commands.config_version == 7


def test_a_large_answer_is_not_kept() -> None:
    world = World()
    event = order(world, answer={"text": "x" * commands.RESULT_BYTES_MAX})
    world.do(event)
    assert world.do(event).told == {"status": "done", "result": {"cut": True}}


def test_forged_ones_are_counted_and_no_row_is_made_for_them() -> None:
    world = World()
    before = world.all_rows()
    world.do(CommandRefused(why="bad-signature", count=12))
    assert world.told("security.command_refused")[0].data == {"why": "bad-signature", "count": 12}
    assert world.all_rows() == before
