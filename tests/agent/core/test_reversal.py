"""The life of a reversal: its record stays until an answer that may be believed, a person, or the end of its batch."""

import pytest

from agent.core import event as e
from agent.core.change import Rejected
from tests.agent.core.world import DAY, HOUR, MINUTE, SECOND, World, evidence


def exhausted(**policy: object) -> World:
    """Three sends at 0, 30 and 60 s without an answer: exhausted at 90 s."""
    world = World(**policy)
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    return world


def test_every_resend_has_the_same_identity_and_the_original_stan() -> None:
    world = exhausted()
    world.go_to(HOUR)
    maps = [{key: text for key, text in send.fields.items() if key != "39"} for send in world.sends()]
    assert len(maps) > 6
    assert all(fields == maps[0] for fields in maps)
    assert maps[0] == {
        "3": "000000", "4": "000000000100", "11": "000001", "22": "051", "23": "001", "25": "00", "41": "12345678",
        "42": "898310148160001", "49": "156", "60": "22000001000",
    }


def test_the_reversal_of_a_void_names_its_original_in_f61() -> None:
    world = World()
    world.void()
    world.result("no_answer", "v")
    world.connect()
    fields = world.sends()[0].fields
    assert (fields["3"], fields["60"], fields["61"]) == ("200000", "23000001000", "000001000001")


def test_T3_the_record_stays_after_the_retry_limit_with_an_incident() -> None:
    world = exhausted()
    assert world.states() == ("unresolved", "exhausted")
    assert world.reversal().vault == "vault-a", "its secrets are kept for the next send"
    incident = world.incident("in_doubt")
    assert (incident.open, incident.owner, bool(incident.next_action)) == (True, "operator", True)
    assert [job.what for job in world.state.jobs.values()] == ["fault_note"]
    world.go_to(5 * HOUR)
    assert world.reversal().state in {"exhausted", "sending"}
    assert world.reversal().opportunities > 10


def test_T2_a_record_of_another_calendar_day_is_kept_and_sent() -> None:
    world = World()
    world.doubt()
    world.go_to(2 * DAY)
    world.connect()
    assert world.sends()[0].fields["11"] == "000001"
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


@pytest.mark.parametrize("wall_ms", [None, 0, 4_102_444_800_000])
def test_T2_a_wrong_clock_drops_nothing(wall_ms: int | None) -> None:
    world = World()
    world.doubt()
    world.boot(new=True)
    world.wall_at_zero_ms = wall_ms
    world.boot(new=True)
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_T5_a_new_doubt_takes_nothing_from_the_earlier_one() -> None:
    world = exhausted()
    world.doubt("b", stan="000002")
    assert set(world.state.reversals) == {"a", "b"}
    assert world.reversal("b").state == "sending"
    world.reply("00", "b")
    assert world.states() == ("unresolved", "exhausted")
    world.go_to(120 * SECOND)
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_T9_no_original_does_not_loop_for_ever() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("25")  # too early to be believed
    world.go_to(60 * SECOND)
    world.connect()
    world.reply("25")
    assert world.states() == ("no_original", "no_original")
    assert len(world.sends()) == 2
    world.go_to(DAY)
    assert len(world.sends()) == 2


def test_T11_a_record_that_cannot_be_packed_is_kept_with_an_incident() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.do(e.SendFailed(transaction="a", why="unpackable"))
    assert world.states() == ("unresolved", "refused")
    assert world.incidents() == {"in_doubt", "unpackable"}
    assert world.reversal().vault == "vault-a"
    assert world.reversal().sends == 0, "no byte left"


def test_T12_settlement_clears_no_record() -> None:
    world = exhausted()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert world.states() == ("unresolved", "expired")
    assert world.incident("in_doubt").open
    count = len(world.sends())
    world.go_to(DAY)
    world.connect()
    assert len(world.sends()) == count, "no automatic 0400 after the batch"


def test_T14_an_update_keeps_the_queue() -> None:
    world = World()
    world.doubt()
    world.do(e.Booted(version="2", policy=world.policy))
    assert world.states() == ("in_doubt", "pending")
    world.connect()
    assert len(world.sends()) == 1


def test_settling_opens_an_opportunity_of_its_batch() -> None:
    world = exhausted()
    world.go_to(210 * SECOND)
    assert world.reversal().due_ms == 300 * SECOND
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert world.reversal().due_ms == 240 * SECOND
    assert world.state.agent.batch_state == "settling"


def test_a_batch_change_expires_what_belongs_to_the_old_one() -> None:
    world = exhausted()
    world.do(e.BatchChanged(batch="000002", what="changed"))
    assert world.states() == ("unresolved", "expired")


def test_a_sale_in_a_new_batch_shows_that_the_old_one_is_closed() -> None:
    world = exhausted()
    assert world.open("b", stan="000002", batch="000002").proceed == "go"
    assert world.states() == ("unresolved", "expired")


def test_a_send_in_flight_is_awaited_when_its_batch_closes() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert world.states() == ("reversing", "sending")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


@pytest.mark.parametrize("how", ["timeout", "96", "A0", "25", "line", "not_left", "restart", "boot"])
def test_a_send_in_flight_that_fails_after_its_batch_closed_is_not_repeated(how: str) -> None:
    world = World()
    world.doubt()
    world.connect()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    match how:
        case "timeout":
            world.go_to(30 * SECOND)
        case "line":
            world.do(e.LineLost())
        case "not_left":
            world.do(e.SendFailed(transaction="a"))
        case "restart" | "boot":
            world.boot(new=how == "boot")
        case code:
            world.reply(code)
    world.go_to(HOUR)
    world.connect()
    assert len(world.sends()) == 1
    assert world.transaction().state == "unresolved"
    assert world.reversal().state in {"expired", "refused"}
    assert world.incident("in_doubt").open


def test_a_crash_in_mid_send_repeats_that_send_unchanged() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(30 * SECOND)
    world.boot()
    world.connect()
    first, second, third = world.sends()
    assert (world.reversal().sends, world.reversal().opportunities) == (2, 1)
    assert first == second == third


def test_the_spacing_runs_from_a_send_that_a_crash_interrupted() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.at(20 * SECOND)
    world.boot()
    world.do(e.SendFailed(transaction="a", why="unpackable"))  # the repetition is never made
    world.do(e.ReversalOrdered(transaction="a", by="ops"))
    world.go_to(59 * SECOND)
    assert world.reversal().state == "pending", "the first one may have left at 0"
    world.go_to(60 * SECOND)
    assert world.reversal().state == "sending"


def test_a_new_boot_makes_everything_pending_due_at_once() -> None:
    world = exhausted()
    world.boot(new=True)
    world.at(5 * SECOND)
    world.connect()
    assert len(world.sends()) == 4


def test_accepted_wipes_the_secrets_in_the_same_change_and_closes_the_incident() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("00")
    assert (world.transaction().vault, world.reversal().vault) == (None, None)
    assert not world.incident("in_doubt").open
    assert [job.what for job in world.state.jobs.values()] == ["notice"]


def test_an_operator_sends_a_refused_reversal_again_and_nobody_else() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("94")
    world.go_to(HOUR)
    world.connect(after_failure=True)
    world.do(e.TerminalChanged(what="signed_in"))
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert len(world.sends()) == 1
    world.do(e.ReversalOrdered(transaction="a", by="ops"))
    assert (world.states(), len(world.sends())) == (("unresolved", "sending"), 2)
    assert world.sends()[1].fields["39"] == "06"
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_an_order_after_the_batch_closed_sends_once_and_no_oftener() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("94")
    world.do(e.BatchChanged(batch="000002", what="changed"))
    assert world.states() == ("unresolved", "refused")
    world.go_to(MINUTE)
    world.do(e.ReversalOrdered(transaction="a", by="ops"))
    assert len(world.sends()) == 2
    world.reply("96")
    assert world.states() == ("unresolved", "expired")
    world.go_to(DAY)
    assert len(world.sends()) == 2


@pytest.mark.parametrize("settled_by", ["accepted", "expired", "nothing"])
def test_an_order_for_what_cannot_be_sent_is_409(settled_by: str) -> None:
    world = World()
    if settled_by == "nothing":
        world.open()
        world.result("approved")
    else:
        world.doubt()
        world.connect()
        world.reply("00" if settled_by == "accepted" else "96")
        world.do(e.BatchChanged(batch="000002", what="changed"))
        world.reply("96")
    with pytest.raises(Rejected) as refused:
        world.do(e.ReversalOrdered(transaction="a", by="ops"))
    assert refused.value.status == 409


def believed_no_original() -> World:
    world = World()
    world.doubt()
    world.at(60 * SECOND)
    world.connect()
    world.reply("12")
    assert world.states() == ("no_original", "no_original")
    return world


def test_a_late_approval_within_ten_minutes_reopens_after_no_original() -> None:
    world = believed_no_original()
    world.go_to(60 * SECOND + 599_999)
    assert world.result("approved", response_code="00").conflict == "in-doubt"
    world.connect()
    assert world.states() == ("reversing", "sending")
    assert world.incident("in_doubt").open
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert not world.incident("in_doubt").open


def test_a_late_approval_after_ten_minutes_is_unresolved() -> None:
    world = believed_no_original()
    world.go_to(60 * SECOND + 600 * SECOND)
    assert (world.reversal().vault, world.transaction().vault) == (None, None)
    world.result("approved", response_code="00")
    assert world.transaction().state == "unresolved"
    assert world.incident("in_doubt").open
    world.go_to(DAY)
    assert len(world.sends()) == 1


def test_a_late_approval_after_the_batch_closed_waits_for_the_settlement() -> None:
    world = believed_no_original()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    world.result("approved", response_code="00")
    world.connect()
    assert world.states() == ("unresolved", "expired")
    assert len(world.sends()) == 1
    assert world.incident("in_doubt").open


def test_evidence_from_a_person_reopens_nothing() -> None:
    world = believed_no_original()
    world.do(evidence())
    assert world.states() == ("no_original", "no_original")


def test_a_late_acceptance_settles_a_reversal_that_was_refused_or_expired() -> None:
    for ending in ("refused", "expired"):
        world = World()
        world.doubt()
        world.connect()
        world.go_to(30 * SECOND)
        if ending == "refused":
            world.reply("94")  # to the second send; the first one's answer is still on its way
        else:
            world.do(e.BatchChanged(batch="000001", what="settled"))
            world.reply("96")
        assert world.states() == ("unresolved", ending)
        world.reply("00")
        assert world.states() == ("reversed", "accepted")
        assert not world.incident("in_doubt").open


def test_the_cashier_is_told_at_every_stage() -> None:
    world = World()
    world.doubt()
    assert world.advice().code == "P3"
    world.connect()
    assert world.advice().code == "P4a"
    world.go_to(90 * SECOND)
    assert world.advice().code == "P5"
    world.go_to(120 * SECOND)
    world.connect()
    world.reply("00")
    assert (world.advice().code, world.advice().may_pay_again) == ("P4b", True)


def test_minutes_are_enough_for_a_host_that_answers() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("00")
    world.go_to(MINUTE)
    assert world.next_deadline_ms is None
