"""The driver asks first, sends once and tells the truth, whatever the printer does."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from device.printer import JOB_BYTES_MAX, Outcome, Proof
from device.printer.profile import load_profile
from device.simulator.printer_model import PrinterModel
from tests.device.printer.world import World, setting

ALL = ("generic-58mm", "generic-80mm", "mute-58mm", "epson-tm")
ANSWERING = ("generic-58mm", "generic-80mm", "epson-tm")
LEVEL = {"generic-58mm": "FENCED", "generic-80mm": "FENCED", "mute-58mm": "SENT_UNCONFIRMED", "epson-tm": "CONFIRMED"}


@pytest.mark.parametrize("profile", ALL)
def test_a_good_printer_prints_with_the_best_proof_it_can_give(profile: str) -> None:
    world = World(profile)
    outcome = world.print(1)
    assert outcome.level == LEVEL[profile]
    assert outcome.accepted_bytes == outcome.total_bytes
    world.later()
    assert world.came_out(1)
    assert world.times_printed(1) == 1
    assert world.model.drawer_kicks == 0


def test_a_mute_printer_is_never_said_to_be_fine() -> None:
    world = World("mute-58mm")
    assert world.printer.status().fault == "unknown"
    assert world.print(1).status.fault == "unknown"


@pytest.mark.parametrize("profile", ANSWERING)
def test_paper_out_before_a_job_leaves_it_unprinted_to_the_last_byte(profile: str) -> None:
    world = World(profile, lines=0)
    outcome = world.print(1)
    assert (outcome.level, outcome.accepted_bytes, outcome.status.fault) == ("UNPRINTED", 0, "paper_out")
    world.model.paper_in(world.port.now_ms)
    assert world.later(10) == [] or profile != "generic-58mm"
    assert world.rows() == []


@pytest.mark.parametrize(
    ("condition", "fault"),
    [
        ({"cover_open": True}, "cover_open"),
        ({"broken": True}, "unrecoverable"),
        ({"hot_until_ms": 10_000_000}, "overheated"),
        ({"jam_found": True}, "cutter"),
        ({"waiting": True}, "offline"),
        ({"silent": True}, "silent"),
        ({"garbage": True}, "silent"),
        ({"powered": False}, "silent"),
        ({"stalled": True}, "silent"),
    ],
)
@pytest.mark.parametrize("profile", ANSWERING)
def test_whatever_stands_in_the_way_is_named_and_no_byte_leaves(profile: str, condition: dict[str, object], fault: str) -> None:
    world = World(profile)
    setting(**condition)(world.model, world.port.now_ms)
    outcome = world.print(1)
    assert (outcome.level, outcome.accepted_bytes, outcome.status.fault) == ("UNPRINTED", 0, fault)
    assert world.rows() == []


def paper_ends(model: PrinterModel, now_ms: int) -> None:
    model.paper_ends(now_ms, 2, mid_line=True)


def paper_back(model: PrinterModel, now_ms: int) -> None:
    model.paper_in(now_ms)


@pytest.mark.parametrize("profile", ANSWERING)
def test_paper_that_ends_in_mid_job_and_comes_back_prints_it_once_and_proves_it_late(profile: str) -> None:
    world = World(profile, events={1: paper_ends, 30_000: paper_back})
    outcome = world.print(1, lines=8)
    assert (outcome.level, outcome.status.fault) == ("SENT_UNCONFIRMED", "paper_out")
    assert not world.came_out(1, lines=8)
    proofs = [proof for heard in world.later(60) for proof in heard.proofs]
    assert [proof.level for proof in proofs] == [LEVEL[profile]]
    assert proofs[0].job_id == 1
    assert world.times_printed(1) == 1
    assert world.came_out(1, lines=8)


@pytest.mark.parametrize("profile", ["generic-80mm", "epson-tm"])
def test_a_printer_with_automatic_status_says_by_itself_that_paper_ended_and_came_back(profile: str) -> None:
    world = World(profile, events={5_000: lambda model, now: model.paper_ends(now), 9_000: paper_back})
    world.print(1)
    faults = [heard.status.fault for heard in world.later(20) if heard.status is not None]
    assert faults[-2:] == ["paper_out", "none"]


def test_automatic_status_works_again_after_every_job() -> None:
    """The reset at the beginning of a job switches it off."""
    world = World("epson-tm")
    for number in (1, 2):
        world.print(number)
        world.later(1)
    world.model.paper_ends(world.port.now_ms)
    assert [heard.status.fault for heard in world.later(1) if heard.status is not None] == ["paper_out"]


def test_two_kilobytes_at_9600_baud_take_their_two_seconds_and_stay_within_the_bound() -> None:
    world = World("generic-58mm", baud=9600)
    lines = 114
    assert 2000 < len(world.job(1, lines)) < 2100
    outcome = world.print(1, lines)
    assert outcome.level == "FENCED"
    assert world.port.now_s() >= 2 * 1024 / 960
    assert world.came_out(1, lines)


def test_a_job_longer_than_the_printers_buffer_waits_for_the_paper() -> None:
    world = World(replace(load_profile("generic-58mm"), confirm_timeout_ms=30_000))
    lines = 290
    assert len(world.job(1, lines)) > world.model.traits.buffer_bytes
    assert world.print(1, lines).level in {"FENCED", "PARTIAL"}
    assert world.model.drawer_kicks == 0


def test_a_line_that_stops_in_mid_job_is_partial_and_the_rest_never_comes() -> None:
    world = World("generic-58mm", baud=1200)
    world.print(9)
    world.after(1000, setting(stalled=True))
    world.after(60_000, setting(stalled=False))
    outcome = world.print(1, lines=20)
    assert outcome.level == "PARTIAL"
    assert 0 <= outcome.accepted_bytes < outcome.total_bytes
    assert outcome.status.fault == "silent"
    world.later(120)
    assert not world.came_out(1, lines=20)


def test_the_job_after_a_torn_one_is_whole() -> None:
    """The torn one may have left the printer in the middle of a code's data, which would swallow what comes next."""
    for profile in ("generic-58mm", "mute-58mm"):
        for stop_ms in range(100, 1500, 100):
            events = {stop_ms: setting(stalled=True), 120_000: setting(stalled=False)}
            world = World(profile, baud=9600, events=events)
            first = world.print(1, qr="https://example.cn/" + "x" * 200)
            world.later(200)
            assert world.print(2).level == LEVEL[profile]
            world.later(20)
            assert world.came_out(2), (profile, stop_ms, first)


def test_a_restart_in_mid_job_does_not_swallow_the_next_one() -> None:
    world = World("generic-58mm")
    torn = world.job(1, qr="https://example.cn/" + "x" * 200)
    world.port.write(torn[: torn.index(b"https") + 20], world.port.now_s() + 1)
    world.port.drain(world.port.now_s() + 1)
    world.port.close()
    again = World("generic-58mm")
    again.port.model = again.model = world.model
    again.port.now_ms = world.port.now_ms
    assert again.print(2).level == "FENCED"
    again.later()
    assert again.came_out(2)
    assert again.times_printed(1) == 1


@pytest.mark.parametrize("profile", ANSWERING)
def test_stale_answers_of_a_former_process_are_not_taken_for_answers(profile: str) -> None:
    world = World(profile, lines=0)
    world.port._arrived += b"\x12\x12\x12\x12\x00\x00" + b"7\x22abcd\x00"
    assert world.printer.status().fault == "paper_out"


@pytest.mark.parametrize("lag_ms", range(50, 2500, 50))
def test_answers_that_come_late_are_not_taken_for_those_of_other_questions(lag_ms: int) -> None:
    """Only the cover is open: a slow printer may be silent to us, but it must not seem to be without paper, or fine."""
    world = World("generic-58mm")
    world.port._lag_ms = lag_ms
    setting(cover_open=True)(world.model, 0)
    for _ in range(4):
        status = world.printer.status()
        assert status.paper in {"ok", "unknown"}
        assert status.fault in {"silent", "cover_open", "offline"}


def test_a_printer_that_leaves_one_question_unanswered_is_silent_until_its_profile_says_so() -> None:
    assert World("generic-58mm", status=(1, 2)).printer.status().fault == "silent"
    partly = World(replace(load_profile("generic-58mm"), status=(1, 2)))
    status = partly.printer.status()
    assert (status.fault, status.paper) == ("none", "unknown")


def test_a_printer_that_knows_no_fence_still_prints_and_promises_less() -> None:
    world = World("generic-58mm", fence=False)
    assert world.print(1).level == "SENT_UNCONFIRMED"
    assert world.print(2).level == "SENT_UNCONFIRMED"
    world.later()
    assert world.times_printed(1) == world.times_printed(2) == 1


def test_the_answer_to_an_older_fence_is_not_taken_for_that_of_a_job_behind_it() -> None:
    """The paper is slow: while the first job is still being printed, the second one is sent."""
    world = World(replace(load_profile("generic-58mm"), confirm_timeout_ms=500), lines_per_s=2)
    assert world.print(1, lines=12).level == "SENT_UNCONFIRMED"
    assert world.print(2, lines=12).level == "SENT_UNCONFIRMED"
    while not world.came_out(2, lines=12):
        assert not any(proof.job_id == 2 for heard in world.later(0.5) for proof in heard.proofs)
    world.later(10)
    assert world.print(3).level in {"FENCED", "SENT_UNCONFIRMED"}


def test_fences_that_were_lost_again_and_again_are_given_up_after_a_while() -> None:
    profile = replace(load_profile("generic-58mm"), confirm_timeout_ms=500)
    world = World(profile, lines_per_s=2)
    for number in range(8):
        world.print(number, lines=12)
    world.model.power(world.port.now_ms, on=False)
    world.model.power(world.port.now_ms, on=True)
    world.later(5)
    assert world.print(20, lines=1).level == "SENT_UNCONFIRMED"
    assert world.later(125) == []
    world.print(21, lines=1)
    assert [proof.job_id for heard in world.later(10) for proof in heard.proofs] == [21]


def saying(world: World, change: Callable[[bytes], bytes]) -> World:
    """The printer's answers, changed on their way."""
    say = world.model.voice.say
    world.model.voice.say = lambda data: say(change(data))  # type: ignore[method-assign]
    return world


def test_good_answers_among_noise_are_not_believed() -> None:
    assert saying(World(), lambda data: b"\xff" + data).printer.status().fault == "silent"
    assert saying(World(), lambda data: data + b"\xff").printer.status().fault == "silent"


def test_two_answers_to_one_question_are_not_believed() -> None:
    assert saying(World(), lambda data: data + data).printer.status().fault == "silent"


def test_garbage_in_place_of_an_answer_does_not_pass_for_a_fences() -> None:
    """A fence is owed and the printer, without paper, answers a question with a byte that looks like the fence's answer."""
    world = World("generic-58mm", events={1: paper_ends})
    assert world.print(1, lines=8).level == "SENT_UNCONFIRMED"
    said = iter((b"\x6b",))
    saying(world, lambda _data: next(said, b""))
    assert world.printer.status().fault == "silent"
    assert world.later(1) == []


def test_a_report_from_before_the_job_does_not_end_the_wait_for_its_proof() -> None:
    world = World("epson-tm", lines_per_s=5)
    world.later(1)
    world.port._arrived += b"\x18\x00\x0c\x0f"  # paper out; it is in again, and the printer was asked since
    assert world.print(1).level == "CONFIRMED"


def test_a_stray_xoff_does_not_hold_a_printer_that_knows_no_flow_control() -> None:
    world = World("mute-58mm")
    world.port._arrived += b"\x13"
    assert world.print(1).level == "SENT_UNCONFIRMED"


def test_a_fault_in_mid_job_is_told_long_before_the_proof_would_be_overdue() -> None:
    world = World("generic-58mm", events={1: paper_ends})
    assert world.print(1, lines=8).status.fault == "paper_out"
    assert world.port.now_s() < world.profile.confirm_timeout_ms / 1000 / 2


def test_a_fence_lost_with_the_power_does_not_prove_the_next_job() -> None:
    world = World("generic-58mm", events={1: paper_ends})
    assert world.print(1, lines=12).level == "SENT_UNCONFIRMED"
    world.model.power(world.port.now_ms, on=False)
    world.model.power(world.port.now_ms, on=True)
    world.model.paper_in(world.port.now_ms)
    assert world.print(2).level == "FENCED"
    heard = world.later()
    assert all(proof.job_id != 1 for one in heard for proof in one.proofs)
    assert not world.came_out(1, lines=12)
    assert world.came_out(2)


def test_xoff_holds_the_job_and_xon_lets_it_go() -> None:
    profile = replace(load_profile("mute-58mm"), flow="xonxoff")
    world = World(profile, events={1: lambda model, _now: model.voice.interject(b"\x13")})
    outcome = world.print(1)
    assert outcome.level == "UNPRINTED"
    assert outcome.status.busy
    world.port._arrived += b"\x11"
    assert world.print(1).level == "SENT_UNCONFIRMED"


def test_a_plug_pulled_in_mid_job_is_partial_and_the_port_is_unavailable_until_it_is_back() -> None:
    world = World("generic-58mm", baud=1200)
    world.print(9)
    world.after(1000, lambda _model, _now: world.port.unplug())
    outcome = world.print(1, lines=40)
    assert (outcome.level, outcome.status.fault) == ("PARTIAL", "unavailable")
    assert not world.printer.is_open
    assert world.printer.status().fault == "unavailable"
    assert world.print(2).level == "UNPRINTED"
    world.port.plug_in()
    world.printer.open()
    world.later(60)
    assert world.print(2).level == "FENCED"
    world.later()
    assert world.came_out(2)


def test_resume_goes_on_from_the_line_where_it_stopped() -> None:
    world = World("epson-tm", events={1: paper_ends}, resumes_by_itself=False)
    world.print(1, lines=8)
    world.model.paper_in(world.port.now_ms)
    assert world.printer.status().fault == "offline"
    assert world.printer.resume().fault == "none"
    assert Proof(1, "CONFIRMED") in [proof for heard in world.later() for proof in heard.proofs]
    assert world.times_printed(1) == 1
    assert world.came_out(1, lines=8)


def test_clear_gives_up_what_the_printer_holds() -> None:
    world = World("epson-tm", events={1: paper_ends})
    world.print(1, lines=8)
    assert world.printer.clear().fault == "paper_out"
    world.model.paper_in(world.port.now_ms)
    assert not [proof for heard in world.later() for proof in heard.proofs]
    assert not world.came_out(1, lines=8)
    assert world.print(2).level == "CONFIRMED"
    assert world.came_out(2)


def test_an_interrupted_driver_prints_nothing_more() -> None:
    world = World("generic-58mm")
    world.printer.interrupt()
    began_ms = world.port.now_ms
    assert world.print(1).level == "UNPRINTED"
    assert world.port.now_ms - began_ms <= 1000
    assert world.rows() == []


def test_a_job_of_no_bytes_or_too_many_is_the_callers_fault() -> None:
    world = World("generic-58mm")
    for size in (0, JOB_BYTES_MAX + 1):
        with pytest.raises(ValueError, match="a job has 1 to"):
            world.printer.print(bytes(size), 1)


def test_a_wake_ends_a_wait_and_one_before_it_too() -> None:
    world = World("generic-58mm")
    world.printer.wake()
    assert world.printer.wait(1000).woken
    assert world.port.now_s() < 1000


def test_a_babbling_line_is_silence_and_bounded() -> None:
    world = World("generic-58mm")
    advance = world.model.advance

    def babble(now_ms: int) -> None:
        advance(now_ms)
        world.model.voice.interject(b"\x12\xff")

    world.model.advance = babble  # type: ignore[method-assign]
    outcome = world.print(1)
    assert (outcome.level, outcome.status.fault) == ("UNPRINTED", "silent")


def test_a_late_proof_is_told_to_whoever_waits_and_only_once() -> None:
    world = World("epson-tm", events={1: paper_ends, 30_000: paper_back})
    outcome: Outcome = world.print(1, lines=8)
    assert outcome.level == "SENT_UNCONFIRMED"
    proofs = [proof for heard in world.later(100) for proof in heard.proofs]
    assert proofs == [Proof(1, "CONFIRMED")]
