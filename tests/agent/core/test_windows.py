"""Windows, not dates: batch, business day and boot time decide. A wrong clock loses nothing and sends nothing it must not."""

from typing import Any

import pytest
from msgspec.structs import replace

from agent.core import event as e
from agent.core.change import Rejected
from tests.agent.core.world import DAY, HOUR, MINUTE, MORNING_MS, SECOND, World, with_policy

# 2026-03-02, 10:00 in China: what a host with the right time says in F15 and F12.
DAY_SAID, TIME_SAID = "0302", "100130"


def unknown_to_the_host(
    wall_ms: int | None = MORNING_MS, day: str | None = DAY_SAID, time: str | None = TIME_SAID, **more: Any
) -> World:
    """90 s after a sale the host says that it does not know it, and what day and time it is there."""
    world = World(wall_ms=wall_ms, **more)
    world.doubt()
    world.at(90 * SECOND)
    world.connect()
    world.reply("25", day=day, time=time)
    return world


# ── the business day ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_host_that_says_the_same_day_and_time_is_believed() -> None:
    for time in (TIME_SAID, "100325", "095935", None):
        assert unknown_to_the_host(time=time).states() == ("no_original", "no_original"), time


def test_a_cut_over_between_0200_and_0400_is_seen_by_the_hosts_own_date() -> None:
    world = unknown_to_the_host(day="0303", time="100130")
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").next_action == "compare_settlement"


def test_a_cut_over_between_0200_and_0400_is_seen_by_the_clock_of_a_host_that_says_no_date() -> None:
    world = unknown_to_the_host(wall_ms=MORNING_MS + 12 * HOUR + 59 * MINUTE, day=None, time=None)
    assert world.states() == ("unresolved", "refused")


def test_a_clock_that_was_wrong_all_along_makes_no_day() -> None:
    """An hour fast: by it the sale was of the next business day already, and so is the answer."""
    world = unknown_to_the_host(wall_ms=MORNING_MS + 13 * HOUR + 10 * MINUTE, day="0303", time="231130")
    assert world.states() == ("no_original", "no_original"), "right"
    world = unknown_to_the_host(wall_ms=MORNING_MS + 13 * HOUR + 70 * MINUTE, day="0303", time="231130")
    assert world.states() == ("unresolved", "refused"), "fast"
    assert world.told("clock.host_disagrees")[0].data == {"host_day": "0303", "host_time": "231130"}


def test_a_sale_that_a_wrong_clock_dated_is_not_of_the_day_that_the_host_calls_another() -> None:
    """22:30 and an hour fast, so the sale is dated tomorrow. A new boot knows the time, and tomorrow comes."""
    world = World(wall_ms=MORNING_MS + 13 * HOUR + 30 * MINUTE)
    world.doubt()
    assert world.wall_at_zero_ms is not None
    world.wall_at_zero_ms -= HOUR
    world.boot(new=True)
    world.connect()
    for _ in range(3):
        world.reply("98", day=DAY_SAID, time="223000")
    world.at(11 * HOUR)
    world.do(e.DeadlinePassed())
    assert world.transaction().opened.day == world.state.business_day(), "by our own clocks nothing is wrong"
    world.reply("25", day="0303", time="093000")
    assert world.states() == ("unresolved", "refused")


def test_the_hosts_word_and_the_clock_must_both_say_that_the_day_still_runs() -> None:
    """A second of the day is left by the host's last word, which is rounded down or came late; by our clock it is over."""
    world = World(wall_ms=MORNING_MS + 13 * HOUR - 100 * SECOND - 400)
    world.doubt()
    world.connect()
    world.reply("96", day=DAY_SAID, time="225818")  # made a second before it came
    world.lose_line()
    world.at(100 * SECOND + 900)
    world.connect()
    world.reply("25")
    assert world.states() == ("unresolved", "refused")


def test_the_hosts_day_ends_with_the_second_that_it_named() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("96", day=DAY_SAID, time="225959")
    assert world.state.business_day() == "h0302"
    world.at(1)
    world.do(e.DeadlinePassed())
    assert world.state.business_day() is None, "up to a second was over already"


def test_a_sale_that_a_fast_clock_dated_later_than_a_new_boot_makes_it_is_not_of_today() -> None:
    """22:59, an hour fast: dated tomorrow. After the cut-over a new boot has the right time, by which the sale is yet to come."""
    world = World(wall_ms=MORNING_MS + 13 * HOUR + 59 * MINUTE)
    world.doubt()
    world.at(5 * MINUTE)
    assert world.wall_at_zero_ms is not None
    world.wall_at_zero_ms -= HOUR
    world.boot(new=True)
    world.at(5 * MINUTE)
    world.connect()
    assert world.transaction().opened.day == world.state.business_day()
    world.reply("25", day="0303", time="230900")
    assert world.states() == ("unresolved", "refused")


@pytest.mark.parametrize(("day", "time"), [("0303", "011000"), (None, None)])
def test_a_request_older_than_the_hosts_day_is_of_an_earlier_one_after_every_boot(day: str | None, time: str | None) -> None:
    """The same sale; five minutes later the host names its day and time. What our clocks say after that does not count."""
    world = World(wall_ms=MORNING_MS + 13 * HOUR + 59 * MINUTE)
    world.doubt()
    world.at(5 * MINUTE)
    world.connect()
    for _ in range(3):
        world.reply("98", day="0303", time="230400")
    world.lose_line()
    assert world.wall_at_zero_ms is not None
    world.wall_at_zero_ms += HOUR
    world.boot(new=True)
    world.at(5 * MINUTE)
    world.connect()
    world.reply("25", day=day, time=time)
    assert world.states() == ("unresolved", "refused")


def test_a_terminal_without_a_clock_believes_the_host_once_it_has_heard_its_date() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("00", day=DAY_SAID, time=TIME_SAID)
    world.at(10 * MINUTE)
    world.open("b", stan="000002")
    world.go_to(12 * MINUTE)
    world.reply("25", "b", day=DAY_SAID, time="101330")
    assert world.states("b") == ("no_original", "no_original")


def test_without_a_clock_the_hosts_word_ends_with_its_day() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("00", day=DAY_SAID, time="225930")
    world.at(MINUTE)  # 23:00:30 there, the day is another
    world.doubt("b", stan="000002")
    assert world.transaction("b").opened.day is None
    world.go_to(3 * MINUTE)
    world.reply("25", "b", day="0303", time="230230")
    assert world.states("b") == ("unresolved", "refused")


def test_the_hosts_word_does_not_outlive_the_boot_in_which_it_was_heard() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("00", day=DAY_SAID, time=TIME_SAID)
    world.boot(new=True)
    world.open("b", stan="000002")
    assert world.transaction("b").opened.day is None


@pytest.mark.parametrize("day", ["", "9999", "31", "030", "ab12", "１２０１"])
def test_what_is_no_date_is_not_heard(day: str) -> None:
    world = unknown_to_the_host(day=day)
    assert world.state.agent.host_day is None
    assert world.states() == ("no_original", "no_original"), "the clock decides, as without it"


def test_a_date_that_nobody_signed_or_an_acquirer_uses_otherwise_is_not_heard() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("00", mac="bad", day="0303", time=TIME_SAID)
    assert world.state.agent.host_day is None
    world = unknown_to_the_host(day="0303", host_day=False)
    assert world.states() == ("no_original", "no_original")


def test_new_year_is_a_day_like_any_other() -> None:
    eve_ms = 1_798_711_200_000  # 2026-12-31 18:00 in China
    world = unknown_to_the_host(wall_ms=eve_ms, day="1231", time="180130")
    assert world.states() == ("no_original", "no_original")
    world = unknown_to_the_host(wall_ms=eve_ms + 5 * HOUR, day="0101", time="230130")  # after the cut-off
    assert world.states() == ("no_original", "no_original")


def test_an_echo_says_the_day_too() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("00")
    world.do(e.EchoReply(code="00", day=DAY_SAID, time=TIME_SAID))
    assert world.state.business_day() == "h0302"


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


STEPS = [-DAY, -HOUR, HOUR, DAY, 300 * DAY, -MORNING_MS, None]


@pytest.mark.parametrize("step_ms", STEPS)
@pytest.mark.parametrize("when", ["sent", "in doubt", "sending", "exhausted"])
def test_a_step_of_the_wall_clock_moves_no_deadline_and_loses_nothing(when: str, step_ms: int | None) -> None:
    """NTP, 1970, a lost RTC: the same sends at the same moments as without it."""

    def story(step: bool) -> World:
        world = World()
        world.open()
        for moment in ("sent", "in doubt", "sending", "exhausted"):
            if moment == "in doubt":
                world.result("no_answer")
            elif moment == "sending":
                world.connect()
            elif moment == "exhausted":
                world.go_to(90 * SECOND)
            if step and moment == when:
                world.wall_at_zero_ms = None if step_ms is None else MORNING_MS + step_ms
        world.go_to(130 * SECOND)
        world.reply("00")
        return world

    assert story(True).sends_at() == story(False).sends_at()
    assert story(True).states() == ("reversed", "accepted")


def test_suspend_counts_deadlines_that_passed_in_it_fire_at_once_and_in_order() -> None:
    world = World()
    world.open()
    world.at(3 * HOUR)  # the lid was closed; boot time goes on
    world.do(e.DeadlinePassed())
    assert world.states() == ("in_doubt", "pending")
    world.connect()
    world.at(6 * HOUR)
    world.do(e.DeadlinePassed())
    assert (world.reversal().sends, world.reversal().state) == (2, "sending"), "one silence is one send, however long"


def test_midnight_drops_and_changes_nothing() -> None:
    world = World(wall_ms=MORNING_MS + 13 * HOUR + 59 * MINUTE)  # 23:59
    world.doubt()
    world.go_to(5 * MINUTE)
    assert world.states() == ("in_doubt", "pending")
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_a_boot_without_a_trusted_time_leaves_the_age_unknown_and_sends_all_the_same() -> None:
    world = World()
    world.doubt()
    world.wall_at_zero_ms = None
    world.boot(new=True)
    world.at(5 * SECOND)
    world.connect()
    assert len(world.sends()) == 1
    world.reply("25")
    assert world.states() == ("unresolved", "refused"), "never believed"


# ── numbers, ids and keys ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stan_that_comes_round_in_the_same_batch_is_refused_while_its_first_use_is_open() -> None:
    world = World()
    world.doubt(stan="999999")
    with pytest.raises(Rejected, match="take the next STAN"):
        world.open("b", stan="999999")
    assert world.open("c", stan="000001").proceed == "wait", "after the wrap the reversal still goes first"


def test_no_0400_goes_for_a_key_that_a_later_transaction_uses() -> None:
    """In the next batch the same STAN is another transaction; the old one's reversal is of the old batch, and has ended."""
    world = World()
    world.doubt()
    world.open("b", stan="000001", batch="000002")
    assert world.states() == ("unresolved", "expired")
    world.result("no_answer", "b")
    world.connect()
    assert [send.transaction for send in world.sends()] == ["b"]
    world.reply("00", "b")
    world.go_to(DAY)
    assert [send.transaction for send in world.sends()] == ["b"]
    assert world.incident("in_doubt").open


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_with_the_identity_of_two_is_to_the_one_whose_batch_it_repeats(*, whole: bool) -> None:
    """The STAN begins anew with the batch. The first one's 00 comes when the second one's 0400 is on the line."""
    world = World()
    world.doubt()
    world.connect()
    said = world.reversal().fields["60"]
    world.go_to(90 * SECOND)
    world.doubt("b", batch="000002")
    assert (world.reversal().state, world.reversal("b").state) == ("expired", "sending")
    world.reply("00", f60=said if whole else said[:8])  # some hosts leave the network code out
    assert world.states() == ("reversed", "accepted")
    assert world.states("b") == ("reversing", "sending"), "its debit still stands"
    world.reply("00", "b", f60=world.reversal("b").fields["60"])
    assert world.states("b") == ("reversed", "accepted")


def test_where_the_acquirer_takes_it_a_reversal_goes_on_after_its_batch_closed() -> None:
    world = World(pending_after="send")
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    world.do(e.BatchChanged(batch="000001", what="settled"))
    world.do(e.BatchChanged(batch="000002", what="changed"))
    assert world.states() == ("unresolved", "exhausted")
    world.go_to(120 * SECOND)
    world.reply("25")
    assert world.states() == ("unresolved", "refused"), "which is never believed of a closed batch"
    world.do(e.ReversalOrdered(transaction="a", by="ops"))
    world.go_to(180 * SECOND)
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_another_terminal_id_has_its_own_gate_and_the_old_ones_reversal_keeps_its_own_fields() -> None:
    world = World(terminal_id="12345678")
    world.doubt()
    with_policy(world, terminal_id="87654321")
    assert world.open("b", stan="000002", terminal_id="87654321").proceed == "go"
    world.connect()
    assert (world.sends()[0].transaction, world.sends()[0].fields["41"]) == ("a", "12345678")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


@pytest.mark.parametrize("how", ["start", "reload"])
def test_a_change_of_the_rules_while_a_reversal_is_pending_changes_no_field_of_it(how: str) -> None:
    """Fewer sends in an opportunity than the open one still has: the agent starts all the same."""
    world = World()
    world.doubt()
    world.connect()
    if how == "start":
        with_policy(world, sends_per_opportunity=1, spacing_ms=0)
    else:
        world.do(e.Configured(policy=replace(world.policy, sends_per_opportunity=1)))
        world.reply("96")
    assert world.reversal().sends_left <= 1
    world.connect()
    first, second = world.sends()
    assert first.fields | {"39": ""} == second.fields | {"39": ""}


def test_T14_an_older_version_keeps_the_queue_too() -> None:
    world = World()
    world.doubt()
    for version in ("2", "1"):
        world.do(e.Booted(version=version, policy=world.policy))
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
