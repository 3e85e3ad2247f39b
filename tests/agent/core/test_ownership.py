"""What the agent does not own: the MAC, the line, the keys, and which of two hosts it speaks to."""

import pytest

from agent.core import event as e
from agent.core.change import AskSignIn, WantLine
from tests.agent.core.world import HOUR, MINUTE, SECOND, World


def sending(**policy: object) -> World:
    """A reversal whose first send was asked for at 0 s."""
    world = World(**policy)
    world.doubt()
    world.connect()
    return world


# ── the MAC ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def without_mac(**policy: object) -> World:
    """Nobody made the MAC of the first send."""
    world = sending(**policy)
    world.do(e.SendFailed(transaction="a", why="mac"))
    return world


def test_without_a_mac_service_the_turn_is_over_and_no_send_is_used_up() -> None:
    world = without_mac()
    row = world.reversal()
    assert (row.state, row.sends, row.last_send_ms) == ("pending", 0, None)
    assert world.incidents() == {"in_doubt", "mac_service"}
    assert AskSignIn() not in world.effects, "a sign-in does not bring a PIN pad back"
    world.go_to(59 * SECOND)
    assert len(world.sends()) == 1
    world.go_to(60 * SECOND)
    assert len(world.sends()) == 2, "the back-off"
    assert world.sends()[1] == world.sends()[0]
    assert world.reversal().sends_left == 2, "of a whole opportunity"


def test_without_a_mac_service_no_new_sale_waits_and_each_one_tries_again() -> None:
    world = without_mac()
    world.at(SECOND)
    assert world.open("b", stan="000002").proceed == "go"
    assert len(world.sends()) == 2, "the app asks, so it may be back"
    world.do(e.SendFailed(transaction="a", why="mac"))
    world.result("approved", "b")
    assert world.open("c", stan="000003").proceed == "go"
    assert world.reversal().sends == 1
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert world.incidents() == set()


@pytest.mark.parametrize("what", ["rebooted", "signed_in", "key_changed"])
def test_an_app_that_comes_back_is_asked_for_a_mac_at_once(what: str) -> None:
    world = without_mac()
    world.at(5 * SECOND)
    world.do(e.TerminalChanged(what=what))  # type: ignore[arg-type]
    assert len(world.sends()) == 2


def test_a_reboot_of_the_app_brings_no_keys_to_what_waits_for_a_sign_in() -> None:
    world = sending()
    world.reply("A0")
    world.at(5 * SECOND)
    world.do(e.TerminalChanged(what="rebooted"))
    assert len(world.sends()) == 1


def test_a_sign_in_after_a_turn_without_a_mac_keeps_the_spacing() -> None:
    world = sending()
    world.reply("96")
    world.do(e.SendFailed(transaction="a", why="mac"))
    world.at(10 * SECOND)
    world.do(e.TerminalChanged(what="signed_in"))
    world.go_to(59 * SECOND)
    assert world.reversal().state == "pending"
    world.go_to(60 * SECOND)
    assert (world.reversal().state, world.reversal().opportunities) == ("sending", 2)


def test_an_answer_whose_mac_nobody_could_check_settles_nothing() -> None:
    for code in ("00", "25", "96", "94"):
        world = sending()
        world.reply(code, mac="unchecked")
        assert world.states() == ("reversing", "pending"), code
        assert world.reversal().sends == 1, "its bytes have left"
        assert "mac_service" in world.incidents()
        world.go_to(MINUTE)
        world.reply("00")
        assert world.states() == ("reversed", "accepted")
        assert world.incidents() == set()


def test_after_its_batch_closed_a_send_without_a_mac_is_not_tried_again() -> None:
    world = sending()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    world.do(e.SendFailed(transaction="a", why="mac"))
    assert world.states() == ("unresolved", "expired")
    world.go_to(HOUR)
    assert len(world.sends()) == 1


def test_a_power_cut_forgets_nothing_of_it() -> None:
    world = without_mac()
    world.boot(new=True)
    world.at(SECOND)
    world.connect()
    assert len(world.sends()) == 2
    assert world.reversal().sends == 1


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_change_in_mid_flight_A0_then_sign_in_then_the_same_stan() -> None:
    world = sending()
    world.do(e.TerminalChanged(what="key_changed"))  # while the answer is awaited
    assert len(world.sends()) == 1
    world.reply("A0")
    assert AskSignIn() in world.effects
    assert world.states() == ("reversing", "pending")
    world.at(20 * SECOND)
    world.do(e.TerminalChanged(what="signed_in"))
    first, second = world.sends()
    assert first == second, "the performer makes the new MAC; everything else is the same"
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


# ── a leased line ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_on_a_leased_line_nothing_is_sent_beside_a_transaction_of_the_app() -> None:
    world = sending(line_leased=True)
    world.go_to(90 * SECOND)
    assert world.reversal().state == "exhausted"
    assert world.open("b", stan="000002").proceed == "go"
    world.go_to(125 * SECOND)
    assert world.reversal().state == "exhausted", "it is due, and waits for the line"
    assert world.state.line.wanted == "watch"
    world.result("approved", "b")
    assert WantLine("now") in world.effects
    assert world.reversal().state == "sending"


def test_on_a_leased_line_a_new_sale_waits_for_the_send_in_flight() -> None:
    world = sending(line_leased=True)
    world.go_to(120 * SECOND)
    assert (world.reversal().state, world.reversal().first_used) == ("sending", True)
    assert world.open("b", stan="000002").proceed == "wait"
    world.reply("00")
    assert world.ask("b").proceed == "go"


def test_on_its_own_line_the_agent_sends_beside_new_sales() -> None:
    world = sending()
    world.go_to(120 * SECOND)
    assert world.open("b", stan="000002").proceed == "go"


def test_a_refused_lease_is_a_line_that_is_down() -> None:
    world = World(line_leased=True)
    world.doubt()
    world.do(e.HostUnreachable())
    assert world.states() == ("in_doubt", "pending")
    assert (world.reversal().sends, world.state.line.up) == (0, False)
    world.connect(after_failure=True)
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


# ── two hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fail_over_in_mid_reversal_sends_the_same_message_to_the_other_host() -> None:
    world = World()
    world.doubt()
    world.do(e.HostReachable())
    world.do(e.LineLost())  # the primary takes the 0400 and dies
    world.do(e.HostReachable(host="backup"))
    first, second = world.sends()
    assert first == second
    assert world.reversal().sends == 2
    assert world.state.line.host == "backup"
    assert [fact.data for fact in world.told("line.host")] == [{"host": "backup"}]
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_what_the_other_host_says_of_a_reversal_that_is_settled_is_only_doubled() -> None:
    world = World()
    world.doubt()
    world.do(e.HostReachable())
    world.do(e.LineLost())
    world.do(e.HostReachable(host="backup"))
    world.reply("00")
    world.reply("25")
    assert world.states() == ("reversed", "accepted")
    assert world.told("host.doubled_reply")


def test_the_return_to_the_primary_is_told_once() -> None:
    world = World()
    world.doubt()
    world.do(e.HostReachable(host="backup"))
    world.do(e.LineLost())
    for _ in range(3):
        world.do(e.HostReachable(host="primary"))
    assert [fact.data["host"] for fact in world.told("line.host")] == ["backup", "primary"]
