"""The first decision point: go, wait or refuse, as a new sale meets what is pending."""

import pytest

from agent.core import event as e
from tests.agent.core.world import MINUTE, SECOND, World


def used_up() -> World:
    """A reversal whose three sends were not answered: exhausted at 90 s."""
    world = World()
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    assert world.reversal().state == "exhausted"
    return world


def test_nothing_pending_is_go() -> None:
    assert World().open().proceed == "go"


def test_T10_a_first_opportunity_that_is_due_goes_before_a_new_sale() -> None:
    world = World()
    world.doubt()
    decision = world.open("b", stan="000002")
    assert (decision.proceed, decision.retry_after_ms) == ("wait", 1_000)
    world.connect()
    assert world.ask("b").proceed == "wait", "it is running"
    world.reply("00")
    assert world.ask("b").proceed == "go"


def test_T10_an_online_request_opens_an_opportunity_of_what_is_pending() -> None:
    world = used_up()
    world.go_to(120 * SECOND)
    world.go_to(210 * SECOND)  # exhausted again; the next would be at 180 + 120
    assert (world.reversal().state, world.reversal().due_ms) == ("exhausted", 300 * SECOND)
    world.at(215 * SECOND)
    assert world.open("b", stan="000002").proceed == "go"
    assert world.reversal().due_ms == 240 * SECOND, "as soon as the spacing allows"


def test_T15_a_reversal_that_failed_blocks_no_later_sale() -> None:
    world = used_up()
    assert world.open("b", stan="000002").proceed == "go"
    world.result("approved", "b")
    world.go_to(119 * SECOND)
    assert world.open("c", stan="000003").proceed == "go"
    world.go_to(120 * SECOND)
    assert world.reversal().state == "sending", "it is retried beside the new sale"
    assert world.transaction("c").state == "sent"


def test_an_exhausted_reversal_in_flight_makes_no_sale_wait() -> None:
    world = used_up()
    world.go_to(120 * SECOND)
    assert world.reversal().state == "sending"
    assert world.open("b", stan="000002").proceed == "go"


def test_a_reversal_that_waits_for_a_sign_in_makes_no_sale_wait() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("A0")
    assert world.reversal().waiting_sign_in
    assert world.open("b", stan="000002").proceed == "go"


def test_another_transaction_of_the_terminal_is_sent_so_wait() -> None:
    world = World()
    world.open()
    assert world.open("b", stan="000002").proceed == "wait"
    assert world.open("c", stan="000003", terminal_id="87654321").proceed == "go", "another terminal id is another queue"


def test_wait_and_refuse_leave_the_intent_and_the_app_asks_again() -> None:
    world = World()
    world.doubt()
    world.open("b", stan="000002")
    assert world.transaction("b").state == "intent"
    world.connect()
    world.reply("00")
    world.ask("b")
    assert world.transaction("b").state == "sent"


def test_refuse_while_the_batch_is_settling() -> None:
    world = World()
    world.open(ask=False)
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert world.ask().proceed == "refuse"
    world.do(e.BatchChanged(batch="000001", what="settled"))
    world.do(e.BatchChanged(batch="000002", what="changed"))
    assert world.open("b", batch="000002").proceed == "go"


@pytest.mark.parametrize("kind", ["offline", "tip"])
def test_stored_advice_is_uploaded_while_the_batch_is_settling(kind: str) -> None:
    world = World()
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert world.open(kind=kind).proceed == "go"
    world.result("no_answer")
    assert world.ask().proceed == "go", "the same message again"
    world.result("approved")
    assert world.open("b", stan="000002").proceed == "refuse", "a new customer still waits for the next batch"


def test_a_new_refund_waits_for_the_next_batch_and_one_in_doubt_goes_ahead_of_the_settlement() -> None:
    world = World()
    world.open(kind="refund")
    world.result("no_answer")
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert world.ask().proceed == "go"
    world.result("approved")
    assert world.open("b", stan="000002", kind="refund").proceed == "refuse"


def test_advice_of_a_settling_batch_waits_for_pending_reversals_like_everybody() -> None:
    world = World()
    world.doubt()
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert world.open("b", stan="000002", kind="offline").proceed == "wait"


def test_refuse_while_reversals_wait_and_the_line_is_proved_down() -> None:
    world = World()
    world.doubt()
    assert world.open("b", stan="000002", line_down=True).proceed == "refuse"
    assert world.advice("b", "refuse").code == "P19"


def test_a_line_that_is_down_with_nothing_pending_refuses_nobody() -> None:
    assert World().open(line_down=True).proceed == "go"


def test_after_180_s_of_unbroken_refusals_it_is_go_with_an_incident() -> None:
    world = World()
    world.doubt()
    world.open("b", stan="000002", line_down=True)
    world.at(179_999)
    assert world.ask("b", line_down=True).proceed == "refuse"
    assert "gate_bypassed" not in world.incidents()
    world.at(180_000)
    assert world.ask("b", line_down=True).proceed == "go"
    assert "gate_bypassed" in world.incidents()


def test_a_host_that_was_reached_breaks_the_streak_of_refusals() -> None:
    world = World()
    world.doubt()
    world.open("b", stan="000002", line_down=True)
    world.at(100 * SECOND)
    world.connect()
    world.lose_line()
    world.at(185 * SECOND)
    assert world.ask("b", line_down=True).proceed == "refuse"
    world.at(MINUTE * 5)
    assert world.ask("b", line_down=True).proceed == "refuse"
    world.at(185 * SECOND + 180 * SECOND)
    assert world.ask("b", line_down=True).proceed == "go"


@pytest.mark.parametrize("new", [False, True])
def test_the_streak_survives_a_restart_of_the_agent_but_not_of_the_machine(*, new: bool) -> None:
    world = World()
    world.doubt()
    world.open("b", stan="000002", line_down=True)
    world.at(179_000)
    world.boot(new=new)
    assert (world.state.agent.refused_since_ms is None) == new


def test_in_mode_payapp_it_is_always_go_and_the_agent_sends_nothing() -> None:
    world = World(mode="payapp")
    world.doubt()
    assert world.states() == ("reversing", "sending"), "asked of the app"
    assert world.open("b", stan="000002", line_down=True).proceed == "go"
    world.connect()
    assert not world.sends()
