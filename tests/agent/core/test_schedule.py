"""When a 0400 goes: the worked example of the rules, opportunities, spacing, back-off, the line and the echo test."""

import pytest

from agent.core import event as e
from agent.core.change import SendEcho, WantLine
from tests.agent.core.world import HOUR, MINUTE, SECOND, World


def sent_at(world: World) -> list[tuple[int, str]]:
    """(second, F39) of every send so far."""
    return [(at_ms // SECOND, send.fields["39"]) for at_ms, send in world.sends_at()]


@pytest.mark.parametrize("up_at", [0, 300])
def test_the_worked_example(up_at: int) -> None:
    """Doubt at 0; the answers are silence, 96, 00: sends at 0 (98), 30 (98), 30 (06). Line down until 300: the same then."""
    world = World()
    world.doubt()
    world.at(up_at * SECOND)
    world.connect()
    world.go_to((up_at + 30) * SECOND)
    world.reply("96")
    world.reply("00")
    assert sent_at(world) == [(up_at, "98"), (up_at + 30, "98"), (up_at + 30, "06")]
    assert world.states() == ("reversed", "accepted")


def test_three_silences_exhaust_at_90_and_the_next_opportunity_is_at_120() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND - 1)
    assert world.states() == ("reversing", "sending")
    world.go_to(90 * SECOND)
    assert world.states() == ("unresolved", "exhausted")
    world.go_to(120 * SECOND)
    assert sent_at(world) == [(0, "98"), (30, "98"), (60, "98"), (120, "98")]


def test_after_a_refused_attempt_every_resend_says_06() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("96")
    world.go_to(10 * MINUTE)
    assert [reason for _, reason in sent_at(world)][:4] == ["98", "06", "06", "06"]


def test_the_back_off_doubles_to_30_minutes_and_no_further() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(6 * HOUR)
    firsts = [second for second, _ in sent_at(world)][::3]
    lasts = [second for second, _ in sent_at(world)][2::3]
    waits = [first - last for last, first in zip(lasts, firsts[1:], strict=False)]
    assert waits[:8] == [60, 120, 240, 480, 960, 1_800, 1_800, 1_800]


def test_an_opportunity_keeps_the_spacing_after_the_last_send() -> None:
    world = World()
    world.doubt()
    world.connect()
    for code in ("96", "96", "96"):
        world.reply(code)
    assert world.reversal().state == "exhausted"
    world.at(59_999)
    world.do(e.TerminalChanged(what="signed_in"))
    assert len(world.sends()) == 3
    world.go_to(60_000)
    assert len(world.sends()) == 4


@pytest.mark.parametrize("what", ["reachable", "online", "signed_in", "settling", "order", "boot"])
def test_every_kind_of_opportunity_sends_again(what: str) -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(210 * SECOND)  # two opportunities used up; the back-off would fire at 300
    count = len(world.sends())
    world.at(245 * SECOND)  # past the spacing
    match what:
        case "reachable":
            world.do(e.HostUnreachable())
            world.connect()
        case "online":
            world.open("b", stan="000002")
        case "signed_in":
            world.do(e.TerminalChanged(what="signed_in"))
        case "settling":
            world.do(e.BatchChanged(batch="000001", what="settling"))
        case "order":
            world.do(e.ReversalOrdered(transaction="a", by="ops"))
        case "boot":
            world.boot(new=True)
    assert len(world.sends()) == count + 1


def test_oldest_first_and_one_in_flight() -> None:
    world = World()
    world.doubt("a")
    world.doubt("b", stan="000002", ask=False)
    world.doubt("c", stan="000003", ask=False)
    world.connect()
    assert [send.transaction for send in world.sends()] == ["a"]
    world.reply("00", "a")
    world.reply("00", "b")
    world.reply("00", "c")
    assert [send.transaction for send in world.sends()] == ["a", "b", "c"]


def test_a_failed_connect_uses_up_neither_a_send_nor_the_spacing() -> None:
    world = World()
    world.doubt()
    for second in range(5):
        world.at(second * SECOND)
        world.do(e.HostUnreachable())
    world.connect(after_failure=True)
    assert sent_at(world) == [(4, "98")]
    assert world.reversal().sends == 1
    assert world.told("line.down")[1:] == [], "only the first failure is news"


def test_a_send_of_which_no_byte_left_is_not_counted() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(30 * SECOND)
    world.host_up = False
    world.do(e.SendFailed(transaction="a"))
    row = world.reversal()
    assert (row.state, row.sends, row.sends_left, row.last_send_ms) == ("pending", 1, 2, 0)
    world.at(31 * SECOND)
    world.connect()
    assert (world.reversal().sends, world.reversal().opportunities) == (2, 1)


def test_a_closed_line_uses_up_the_send_and_the_next_connection_repeats_it_at_once() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.lose_line(down=False)
    assert [second for second, _ in sent_at(world)] == [0, 0]
    world.lose_line(down=False)
    world.lose_line(down=False)
    assert world.states() == ("unresolved", "exhausted")


def test_a_host_that_is_unreachable_while_a_send_waits_is_a_lost_line() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.host_up = False
    world.do(e.HostUnreachable())
    assert (world.reversal().state, world.reversal().sends_left) == ("pending", 2)
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert world.states() == ("unresolved", "expired")


def test_a_send_failure_of_nothing_in_flight_is_not_news() -> None:
    world = World()
    world.doubt()
    world.do(e.SendFailed(transaction="a"))
    world.do(e.SendFailed(transaction="nobody"))
    assert world.reversal().sends == 0


def test_the_line_is_wanted_only_as_long_as_there_is_a_reason() -> None:
    world = World()
    assert not any(isinstance(effect, WantLine) for effect in world.effects)
    world.doubt()
    world.connect()
    world.reply("00")
    world.do(e.EchoReply(code="00"))
    assert [effect.wanted for effect in world.effects if isinstance(effect, WantLine)] == ["now", "none"]
    assert not world.state.line.connected


def test_between_opportunities_the_line_is_only_watched() -> None:
    world = World()
    world.doubt()
    world.connect()
    for _ in range(3):
        world.reply("96")
    world.do(e.EchoReply(code="00"))
    assert world.state.line.wanted == "watch"
    world.go_to(60 * SECOND)
    assert world.state.line.wanted == "now"


def test_after_the_reversals_an_echo_test_proves_the_line_and_settles_nothing() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.do(e.EchoReply(code="00"))
    assert world.states() == ("reversing", "sending"), "an echo settles no reversal"
    assert not world.told("recovery.link_ok")
    world.reply("00")
    assert SendEcho({"41": "12345678", "42": "898310148160001", "60": "00000001301"}) in world.effects
    world.do(e.EchoReply(code="00"))
    assert world.told("recovery.link_ok")


def test_an_unanswered_echo_ends_after_its_timeout() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("00")
    world.go_to(30 * SECOND)
    assert world.told("recovery.echo_unanswered")
    assert (world.state.line.wanted, world.next_deadline_ms) == ("none", None)


def test_a_restart_asks_for_the_line_again() -> None:
    world = World()
    world.doubt()
    world.effects.clear()
    world.boot()
    assert world.effects == [WantLine("now")]
