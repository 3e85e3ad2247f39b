"""What an answer to a 0400 means, and which answers may be believed."""

import pytest

from agent.core import event as e
from agent.core.change import AskSignIn
from tests.agent.core.world import DAY, HOUR, MINUTE, MORNING_MS, SECOND, World

LATER = ["68", "90", "91", "92", "96", "98", "05", "51", "ZZ", "", None]
PERMANENT = ["03", "13", "14", "30", "58", "64", "97"]


def sending(**policy: object) -> World:
    """One reversal on its way, sent at 0."""
    world = World(**policy)
    world.doubt()
    world.connect()
    return world


def test_00_with_a_good_mac_is_accepted() -> None:
    world = sending()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


@pytest.mark.parametrize("code", [*LATER, *PERMANENT, "12", "25", "22", "94", "A0", "77", "99", "A7", "10", "11"])
def test_T1_no_other_code_deletes_the_record(code: str | None) -> None:
    world = sending()
    world.reply(code)
    assert world.transaction().state in {"reversing", "unresolved"}
    assert world.reversal().state in {"sending", "pending", "refused"}
    assert world.reversal().vault == "vault-a"
    assert world.incident("in_doubt").open
    assert not world.advice().may_pay_again


@pytest.mark.parametrize("code", ["000", "0", "100", " 00", "00 "])
def test_T13_a_code_that_only_contains_00_is_not_accepted(code: str) -> None:
    world = sending()
    world.reply(code)
    assert world.transaction().state == "reversing"


@pytest.mark.parametrize("code", LATER)
def test_later_codes_use_up_a_send_and_three_of_them_the_opportunity(code: str | None) -> None:
    world = sending()
    for _ in range(3):
        world.reply(code)
    assert world.states() == ("unresolved", "exhausted")
    assert len(world.sends()) == 3
    assert [send.fields["39"] for send in world.sends()][1:] == (["06", "06"] if code is not None else ["98", "98"])


@pytest.mark.parametrize("code", PERMANENT)
def test_a_permanent_refusal_stops_with_an_incident_and_is_kept(code: str) -> None:
    world = sending()
    world.reply(code)
    assert world.states() == ("unresolved", "refused")
    assert (world.incident("in_doubt").owner, world.incident("in_doubt").next_action) == ("acquirer", "call_acquirer")
    world.go_to(DAY)
    assert len(world.sends()) == 1


@pytest.mark.parametrize("code", ["22", "94"])
def test_done_elsewhere_waits_for_the_settlement(code: str) -> None:
    world = sending()
    world.reply(code)
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").next_action == "compare_settlement"


# ── no original ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", ["12", "25"])
def test_no_original_is_believed_60_s_after_the_request(code: str) -> None:
    world = World()
    world.doubt()
    world.at(60 * SECOND)
    world.connect()
    world.reply(code)
    assert world.states() == ("no_original", "no_original")
    assert world.advice().code == "P4c"
    assert not world.incident("in_doubt").open
    world.go_to(60 * SECOND + 10 * MINUTE)
    assert world.state.wiped == []
    assert (world.reversal().open, world.transaction().open) == (False, False)


@pytest.mark.parametrize("code", ["12", "25"])
def test_T16_an_early_12_or_25_is_not_shown_as_undone_and_asked_again_after_60_s(code: str) -> None:
    world = sending()
    world.at(5 * SECOND)
    world.reply(code)
    assert world.states() == ("reversing", "pending")
    assert world.advice().code in {"P3", "P4a"}
    assert not world.advice().may_pay_again
    world.go_to(60 * SECOND - 1)
    assert len(world.sends()) == 1
    world.go_to(60 * SECOND)
    assert len(world.sends()) == 2
    world.reply("00")  # the late 0200 had been processed after all
    assert world.states() == ("reversed", "accepted")


def test_T16_after_a_new_boot_the_second_question_waits_until_60_s_are_proved() -> None:
    world = sending()
    world.reply("25")
    world.at(30 * SECOND)
    world.boot(new=True)  # how old the request is, is not known any more
    world.connect()
    world.go_to(60 * SECOND - 1)
    assert len(world.sends()) == 1
    world.go_to(60 * SECOND)
    world.reply("25")
    assert world.states() == ("no_original", "no_original")


def test_T16_no_original_that_may_answer_an_early_send_is_not_believed() -> None:
    world = World()
    world.connect()
    world.open()
    world.at(10 * SECOND)
    world.result("no_answer")  # sent at 10 s, before the host took the request, and answered 70 s later
    world.go_to(80 * SECOND)
    world.reply("12")
    assert world.states()[0] == "reversing"
    assert len(world.sends()) == 4
    world.reply("12")  # this one was asked for at 80 s
    assert world.states() == ("no_original", "no_original")


def test_T16_no_original_may_answer_an_early_send_though_a_later_one_was_answered_meanwhile() -> None:
    world = World()
    world.connect()
    world.open()
    world.at(40 * SECOND)
    world.result("no_answer")  # sent at 40 s, before the host took the request, and answered late
    world.go_to(71 * SECOND)
    world.reply("92")  # to the second send, or to the first: an answer does not say which
    world.go_to(80 * SECOND)
    world.reply("12")
    assert world.states()[0] == "reversing"
    world.reply("12")
    assert world.states() == ("no_original", "no_original")


def test_T16_no_original_is_not_believed_against_a_late_approval() -> None:
    world = World()
    world.doubt()
    world.at(70 * SECOND)
    world.connect()
    world.result("approved", response_code="00")  # the 0210 came late, and the app reported it
    world.reply("25")  # the 0400 had overtaken its 0200
    assert world.states() == ("reversing", "sending"), "asked again at once"
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_T16_no_original_is_not_believed_of_what_the_host_had_approved() -> None:
    world = World()
    world.open()
    world.result("approved_not_completed", response_code="00")
    world.at(70 * SECOND)
    world.connect()
    world.reply("25")
    world.reply("25")
    assert world.states() == ("unresolved", "refused")


def test_T16_no_original_after_a_batch_change_is_never_believed() -> None:
    world = sending()
    world.do(e.BatchChanged(batch="000002", what="changed"))
    world.at(70 * SECOND)
    world.reply("25")
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").open


def test_T16_no_original_after_the_settlement_of_its_batch_is_never_believed() -> None:
    world = World()
    world.open()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    world.result("no_answer")
    world.at(70 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("unresolved", "refused")


def test_T16_no_original_on_another_business_day_is_never_believed() -> None:
    world = World(wall_ms=MORNING_MS + 12 * HOUR + 59 * MINUTE)  # 22:59, the host's day ends at 23:00
    world.doubt()
    world.at(90 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("unresolved", "refused")


def test_midnight_is_not_the_end_of_the_business_day() -> None:
    world = World(wall_ms=MORNING_MS + 13 * HOUR + 59 * MINUTE)  # 23:59
    world.doubt()
    world.at(90 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("no_original", "no_original")


def test_without_a_trusted_time_no_original_is_never_believed() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.at(90 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("unresolved", "refused")


def test_T16_after_a_step_of_the_clock_no_original_is_not_believed() -> None:
    for step_ms in (-HOUR, HOUR, 24 * HOUR):
        world = World()
        world.doubt()
        world.at(90 * SECOND)
        assert world.wall_at_zero_ms is not None
        world.wall_at_zero_ms += step_ms
        world.connect()
        world.reply("25")
        assert world.states() == ("unresolved", "refused")


def test_T16_no_original_while_the_batch_is_settling_is_not_believed() -> None:
    world = World()
    world.doubt()
    world.do(e.BatchChanged(batch="000001", what="settling"))
    world.at(90 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("unresolved", "refused")


def test_after_a_new_boot_only_the_time_since_it_counts() -> None:
    world = World()
    world.doubt()
    world.at(HOUR)
    world.boot(new=True)
    world.at(59 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("reversing", "pending")
    world.go_to(60 * SECOND)
    world.reply("25")
    assert world.states() == ("no_original", "no_original")


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "mac"),
    [("A0", "good"), ("77", "missing"), ("99", "good"), ("A7", "good"), ("00", "bad"), ("00", "missing"), ("96", "bad")],
)
def test_the_key_class_asks_for_a_sign_in_and_keeps_the_stan(code: str, mac: str) -> None:
    world = sending()
    world.reply(code, mac=mac)
    assert world.states() == ("reversing", "pending")
    assert AskSignIn() in world.effects
    assert "sign_in_needed" in world.incidents()
    world.at(5 * SECOND)
    world.do(e.TerminalChanged(what="signed_in"))
    assert len(world.sends()) == 2
    assert world.sends()[1].fields == world.sends()[0].fields
    assert (world.reversal().opportunities, world.reversal().sends_left) == (1, 2), "not counted"
    assert "sign_in_needed" not in world.incidents()


def test_an_00_without_a_mac_is_accepted_where_the_profile_says_so() -> None:
    world = sending(require_mac=False)
    world.reply("00", mac="missing")
    assert world.states() == ("reversed", "accepted")
    world = sending(require_mac=False)
    world.reply("00", mac="bad")
    assert world.states() == ("reversing", "pending")


def test_without_a_sign_in_it_is_tried_again_after_the_back_off() -> None:
    world = sending()
    world.reply("A0")
    world.go_to(60 * SECOND)
    assert len(world.sends()) == 2


@pytest.mark.parametrize("what", ["restart", "early 25"])
def test_a_send_without_a_sign_in_that_is_repeated_is_the_same_opportunity(what: str) -> None:
    world = sending(no_original_after_ms=100_000)
    world.reply("A0")
    world.go_to(60 * SECOND)
    assert (world.reversal().opportunities, world.reversal().sends_left) == (2, 2)
    if what == "restart":
        world.boot()
        world.connect()
    else:
        world.reply("25")
        world.go_to(100 * SECOND)
    assert len(world.sends()) == 3
    assert world.reversal().opportunities == 2


def test_no_original_ends_the_waiting_for_a_sign_in_also_for_a_reversal_that_is_reopened() -> None:
    world = sending()
    world.reply("A0")
    world.go_to(60 * SECOND)
    world.reply("25")
    assert world.states() == ("no_original", "no_original")
    world.result("approved")
    world.at(70 * SECOND)
    world.do(e.TerminalChanged(what="signed_in"))
    assert len(world.sends()) == 2, "the spacing holds"
    world.go_to(120 * SECOND)
    assert len(world.sends()) == 3


def test_after_three_key_answers_in_an_opportunity_it_is_a_later_answer() -> None:
    world = sending()
    for _ in range(3):
        world.reply("A0")
        world.do(e.TerminalChanged(what="signed_in"))
    assert len(world.sends()) == 4
    for _ in range(3):
        world.reply("A0")
    assert world.states() == ("unresolved", "exhausted")
    assert len(world.sends()) == 6


def test_an_acceptance_ends_the_call_for_a_sign_in() -> None:
    world = sending()
    world.reply("A0")
    world.go_to(60 * SECOND)
    world.reply("00")
    assert world.incidents() == set()


# ── whose answer is it ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("field", ["f3", "f4", "f11", "f41", "f42"])
@pytest.mark.parametrize("other", [None, "999999"])
def test_T7_a_reply_whose_identity_does_not_match_settles_nothing(field: str, other: str | None) -> None:
    world = sending()
    world.reply("00", **{field: other})
    assert world.states() == ("reversing", "sending")
    assert "crossed_reply" in world.incidents()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_T7_a_reply_to_another_pending_reversal_does_not_settle_this_one() -> None:
    world = World()
    world.doubt("a")
    world.doubt("b", stan="000002", ask=False)
    world.connect()
    world.reply("00", "b")  # never sent yet: it can answer nothing of ours
    assert world.states("a") == ("reversing", "sending")
    assert world.states("b") == ("in_doubt", "pending")


def test_a_doubled_0410_is_not_an_answer_to_the_next_one() -> None:
    world = World()
    world.doubt("a")
    world.doubt("b", stan="000002", ask=False)
    world.connect()
    world.reply("00", "a")
    world.reply("00", "a")
    assert world.states("b") == ("reversing", "sending")
    assert world.told("host.doubled_reply")


def test_a_late_0410_to_an_earlier_send_is_accepted() -> None:
    world = World()
    world.doubt()
    world.connect()
    for _ in range(3):
        world.go_to(world.now_ms + 30 * SECOND)
    assert world.states() == ("unresolved", "exhausted")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_a_late_refusal_to_an_earlier_send_is_not_news() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    world.reply("94")
    assert world.states() == ("unresolved", "exhausted")


def test_the_stan_of_an_earlier_batch_does_not_answer_for_a_later_one() -> None:
    world = World()
    world.doubt("a")
    world.connect()
    world.go_to(90 * SECOND)
    world.doubt("b", batch="000002")  # same STAN, next batch
    assert world.states("a") == ("unresolved", "expired")
    assert world.reversal("b").state == "sending"
    world.reply("00", "b")
    assert world.states("b") == ("reversed", "accepted")
    assert world.states("a") == ("unresolved", "expired")


@pytest.mark.parametrize("code", ["00", "25"])
def test_nothing_is_sent_after_acceptance(code: str) -> None:
    world = sending()
    world.reply("00")
    world.reply(code)
    world.go_to(DAY)
    world.boot(new=True)
    world.connect()
    assert world.states() == ("reversed", "accepted")
    assert len(world.sends()) == 1


def test_noise_is_never_an_answer() -> None:
    world = sending()
    world.do(e.NoiseReceived(what="unreadable"))
    assert world.states() == ("reversing", "sending")
    assert "host_noise" in world.incidents()
