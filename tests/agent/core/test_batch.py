"""Settlement: what is pending goes first, by the profile's rule, and no settlement clears a record."""

import pytest

from agent.core import event as e
from agent.core import gate
from tests.agent.core.world import MINUTE, SECOND, TERMINAL, World


def exhausted(**policy: object) -> World:
    """Three sends at 0, 30 and 60 s without an answer: exhausted at 90 s, the back-off fires at 120 s."""
    world = World(**policy)
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    assert world.reversal().state == "exhausted"
    return world


def ask(world: World, batch: str = "000001", terminal_id: str = TERMINAL) -> str | None:
    return world.do(e.SettlementAsked(batch=batch, terminal_id=terminal_id)).proceed


def test_nothing_pending_lets_the_settlement_go() -> None:
    world = World()
    world.open()
    world.result("approved")
    assert ask(world) == "go"
    assert world.do(e.BatchChanged(batch="000001", what="settling")).proceed == "go"


def test_it_waits_for_one_opportunity_of_each_pending_reversal_and_no_longer() -> None:
    world = exhausted()
    world.go_to(210 * SECOND)  # exhausted again; the next would be at 180 + 120
    assert ask(world) == "wait"
    assert world.reversal().due_ms == 240 * SECOND, "as soon as the spacing allows"
    world.go_to(240 * SECOND)
    assert ask(world) == "wait", "its opportunity is running"
    world.go_to(330 * SECOND)
    assert world.reversal().state == "exhausted"
    assert ask(world) == "go", "it had its turn, and stays on record"
    assert world.states() == ("unresolved", "exhausted")


def test_the_answer_to_settling_in_mode_direct_is_the_same_and_asking_again_changes_nothing() -> None:
    world = exhausted()
    first = world.do(e.BatchChanged(batch="000001", what="settling"))
    assert (first.proceed, first.retry_after_ms) == ("wait", 1_000)
    told, due_ms = len(world.facts), world.reversal().due_ms
    assert world.do(e.BatchChanged(batch="000001", what="settling")).proceed == "wait"
    assert (len(world.facts), world.reversal().due_ms) == (told, due_ms), "a poll is no news and no new opportunity"
    world.go_to(120 * SECOND)
    world.reply("00")
    assert world.do(e.BatchChanged(batch="000001", what="settling")).proceed == "go"
    assert [fact.type for fact in world.facts if fact.type in {"settlement.held", "settlement.let_go"}] == [
        "settlement.held", "settlement.let_go",
    ]


def test_an_opportunity_that_is_running_counts() -> None:
    world = World()
    world.doubt()
    world.connect()
    assert ask(world) == "wait"
    world.go_to(90 * SECOND)
    assert (world.reversal().opportunities, ask(world)) == (1, "go")


def test_refuse_holds_it_back_as_long_as_anything_is_pending() -> None:
    world = exhausted(settlement_while_pending="refuse")
    assert ask(world) == "refuse"
    world.go_to(10 * MINUTE)
    assert ask(world) == "refuse"
    while world.reversal().state != "sending":
        assert world.next_deadline_ms is not None
        world.go_to(world.next_deadline_ms)
    world.reply("00")
    assert ask(world) == "go"


def test_pass_lets_it_go_and_what_is_pending_still_gets_its_opportunity() -> None:
    world = exhausted(settlement_while_pending="pass")
    world.go_to(210 * SECOND)
    assert ask(world) == "go"
    assert world.reversal().due_ms == 240 * SECOND


def test_what_waits_for_a_sign_in_holds_up_no_settlement() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("A0")
    assert ask(world) == "go"
    assert world.states() == ("reversing", "pending")


def test_another_terminal_id_settles_for_itself() -> None:
    world = exhausted()
    assert ask(world, terminal_id="87654321") == "go"
    assert ask(world) == "wait"


def test_with_the_line_down_for_too_long_it_may_go_with_an_incident() -> None:
    world = World()
    world.doubt()
    world.do(e.HostUnreachable())
    assert ask(world) == "wait"
    world.go_to(179_999)
    assert ask(world) == "wait"
    world.go_to(180_000)
    assert ask(world) == "go"
    assert "gate_bypassed" in world.incidents()
    assert world.states() == ("in_doubt", "pending"), "nothing is cleared by it"


def test_the_incident_of_a_settlement_that_was_let_go_keeps_its_number_to_itself() -> None:
    """Two rows of one number are one row on disk: the later incident would have taken the place of the earlier one."""
    world = World()
    world.doubt()
    world.do(e.HostUnreachable())
    ask(world)
    world.go_to(180_000)
    assert ask(world) == "go"
    world.do(e.NoiseReceived(what="unreadable"))
    numbers = [row.number for row in world.state.incidents.values()]
    assert len(set(numbers)) == len(numbers) == 3


def test_T12_asking_and_settling_clear_no_record() -> None:
    world = exhausted()
    ask(world)
    world.do(e.BatchChanged(batch="000001", what="settling"))
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert world.states() == ("unresolved", "expired")
    assert world.incident("in_doubt").open


def test_a_settlement_that_came_to_nothing_gives_the_next_one_its_own_opportunity() -> None:
    world = exhausted()
    assert ask(world) == "wait"
    world.go_to(210 * SECOND)
    assert ask(world) == "go"
    world.do(e.BatchChanged(batch="000001", what="changed"))
    assert world.state.agent.batch_state == "open"
    assert ask(world) == "wait"


@pytest.mark.parametrize("rule", ["wait", "refuse", "pass"])
def test_the_decision_alone_changes_nothing(rule: str) -> None:
    world = exhausted(settlement_while_pending=rule)
    before = world.all_rows()
    assert gate.settlement(world.state, TERMINAL) in {"go", "refuse"}
    assert world.all_rows() == before
