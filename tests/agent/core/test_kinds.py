"""Every kind of transaction: how its reversal names it, what a doubt means, partial approvals, and messages that are repeated."""

from pathlib import Path

import pytest

from agent import profile
from agent.core import event as e
from agent.core import slips
from agent.core.change import Rejected
from agent.core.model import Original
from agent.core.profile import UNIONPAY_KINDS
from tests.agent.core.world import DAY, HOUR, SECOND, World

ASCII = profile.load("ascii-1987", Path(), "").rules()
LAST_YEAR = Original("000001", "000001", "1231")
NEW_YEARS_MORNING_MS = 1_798_768_800_000  # 2027-01-01 10:00 in China
REVERSIBLE = [kind for kind in UNIONPAY_KINDS if kind.in_doubt == "reverse"]
REPEATED = [kind.name for kind in UNIONPAY_KINDS if kind.in_doubt == "repeat"]


def doubted(kind: str, **policy: object) -> World:
    world = World(**policy)
    world.doubt(stan="000009", kind=kind, condition=world.policy.kind(kind).condition, original=LAST_YEAR)
    return world


# ── the message ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "f3", "f25", "f60", "f61"),
    [
        ("sale", "000000", "00", "22000001000", None),
        ("void", "200000", "00", "23000001000", "000001000001"),
        ("preauth", "030000", "06", "10000001000", None),
        ("preauth_void", "200000", "06", "11000001000", "0000010000011231"),
        ("completion", "000000", "06", "20000001000", "0000010000011231"),
        ("completion_void", "200000", "06", "21000001000", "0000010000011231"),
    ],
)
def test_a_reversal_names_its_kind_and_its_original(kind: str, f3: str, f25: str, f60: str, f61: str | None) -> None:
    fields = doubted(kind).reversal().fields
    assert (fields["3"], fields["25"], fields["60"], fields.get("61")) == (f3, f25, f60, f61)
    assert (fields["4"], fields["11"]) == ("000000000100", "000009")


def test_every_kind_that_may_be_reversed_is_in_the_table_above() -> None:
    assert {kind.name for kind in REVERSIBLE} == {
        "sale", "void", "preauth", "preauth_void", "completion", "completion_void",
    }


@pytest.mark.parametrize("kind", ["preauth_void", "completion", "completion_void"])
def test_across_new_year_the_original_keeps_the_day_it_had(kind: str) -> None:
    world = World(wall_ms=NEW_YEARS_MORNING_MS)
    world.doubt(stan="000009", kind=kind, original=LAST_YEAR)
    world.connect()
    assert world.sends()[-1].fields["61"] == "0000010000011231"
    world.boot(new=True)
    world.go_to(3 * HOUR)
    assert {send.fields["61"] for send in world.sends()} == {"0000010000011231"}


def test_a_completions_reversal_carries_the_completions_amount_and_not_the_pre_authorizations() -> None:
    world = World()
    world.open("p", stan="000001", kind="preauth", amount_fen=50_000)
    world.result("approved", "p", response_code="00", auth_code="A1B2C3")
    world.doubt("c", stan="000002", kind="completion", amount_fen=43_210, original=LAST_YEAR)
    assert world.reversal("c").fields["4"] == "000000043210"
    assert "38" not in world.reversal("c").fields, "no reply with an authorization code of its own arrived"


@pytest.mark.parametrize("kind", [kind.name for kind in REVERSIBLE])
def test_the_second_decision_of_the_chip_reverses_what_the_host_approved(kind: str) -> None:
    world = World()
    world.open(kind=kind, stan="000009", original=LAST_YEAR)
    world.result("approved_not_completed", response_code="00", auth_code="A1B2C3", rrn="123456789012")
    assert world.states() == ("approved_not_completed", "pending")
    world.connect()
    fields = world.sends()[0].fields
    assert (fields["39"], fields["38"]) == ("96", "A1B2C3")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_another_profile_has_other_fields_reasons_and_codes() -> None:
    world = World(**ASCII)
    world.doubt(kind="void", original=LAST_YEAR)
    world.connect()
    fields = dict(world.sends()[0].fields)
    assert (fields["3"], fields["39"], fields["60"], fields["61"]) == ("020000", "68", "000001", "000001000001")
    assert "23" not in fields
    world.reply("21")  # accepted here, unknown to UnionPay
    assert world.states() == ("reversed", "accepted")


def test_a_code_means_what_its_profile_says() -> None:
    for rules, states in (({}, ("in_doubt", "pending")), (ASCII, ("unresolved", "refused"))):
        world = World(**rules)
        world.doubt()
        world.connect()
        world.reply("12")  # early: UnionPay asks again, the other host says that it never will
        assert world.states() == (states if states[0] == "unresolved" else ("reversing", "pending"))


# ── partial and special approvals ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", ["00", "11", "16", "A2", "A4", "A5", "A6"])
def test_a_special_approval_is_an_approval(code: str) -> None:
    world = World()
    world.open()
    world.result("approved", response_code=code)
    assert world.transaction().state == "approved"
    assert not world.advice().hold_goods
    assert world.advice().code == ("N12" if code.startswith("A") else "N3")


def test_a_partial_approval_is_worth_the_replys_amount() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="10", approved_fen=60)
    assert (world.transaction().approved_fen, world.advice().code) == (60, "N11")
    assert not world.state.reversals


def test_a_partial_approval_without_its_amount_is_refused_and_changes_nothing() -> None:
    world = World()
    world.open()
    with pytest.raises(Rejected, match="partial approval") as caught:
        world.result("approved", response_code="10")
    assert (caught.value.status, caught.value.code) == (400, "amount-missing")
    assert world.transaction().state == "sent"


@pytest.mark.parametrize("outcome", ["approved", "approved_not_completed"])
def test_no_approval_is_worth_more_than_was_asked_for(outcome: str) -> None:
    world = World()
    world.open()
    with pytest.raises(Rejected, match="more than the 100") as caught:
        world.result(outcome, response_code="00", approved_fen=101)
    assert (caught.value.status, caught.value.code) == (400, "amount-too-high")


@pytest.mark.parametrize(("amount", "f4"), [("requested", "000000000100"), ("approved", "000000000060")])
def test_a_partial_approval_that_was_not_completed_is_reversed_with_the_profiles_amount(amount: str, f4: str) -> None:
    world = World(reversal=replace_amount(amount))
    world.open()
    world.result("approved_not_completed", response_code="10", approved_fen=60, auth_code="A1B2C3")
    world.connect()
    assert (world.sends()[0].fields["4"], world.sends()[0].fields["39"]) == (f4, "96")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def replace_amount(amount: str) -> object:
    from agent.core.profile import Reversal

    return Reversal(amount=amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "mode", "said"),
    [
        ("sale", "direct", "the agent reverses"), ("sale", "payapp", "keep its record"),
        ("instalment", "direct", "never reversed"), ("instalment", "payapp", "never reversed"),
    ],
)
def test_an_approval_after_the_doubt_is_told_who_takes_it_back_if_anybody_does(kind: str, mode: str, said: str) -> None:
    world = World(mode=mode)
    world.doubt(kind=kind)
    decision = world.result("approved", response_code="00")
    assert decision.conflict == "in-doubt"
    assert "show failure" in decision.detail
    assert said in decision.detail


# ── messages that are repeated ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", REPEATED)
def test_what_is_repeated_is_never_reversed(kind: str) -> None:
    world = doubted(kind)
    world.connect()
    world.go_to(2 * DAY)
    assert world.states() == ("in_doubt", "-")
    assert not world.sends()
    incident = world.incident("in_doubt")
    assert (incident.open, incident.owner, incident.next_action) == (True, "cashier", "repeat_the_same")
    assert (world.advice().code, world.advice().hold_goods, world.advice().may_pay_again) == ("P3r", True, False)


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_message_goes_again_when_the_gate_says_so_and_its_answer_decides(kind: str) -> None:
    world = doubted(kind)
    assert world.ask().proceed == "go"
    assert world.transaction().state == "sent"
    world.result("no_answer")
    assert world.transaction().state == "in_doubt"
    assert world.ask().proceed == "go"
    decision = world.result("approved", response_code="00", rrn="123456789012")
    assert decision.conflict is None
    assert world.states() == ("approved", "-")
    assert not world.incidents()


@pytest.mark.parametrize(("code", "state"), [("51", "declined"), ("91", "declined_uncertain")])
def test_a_declined_repeat_ends_it_too(code: str, state: str) -> None:
    world = doubted("refund")
    world.ask()
    world.result("declined", response_code=code)
    assert world.transaction().state == state
    assert world.incidents() == ({"declined_uncertain"} if state == "declined_uncertain" else set())


@pytest.mark.parametrize("kind", REPEATED)
@pytest.mark.parametrize("code", ["22", "94"])
def test_a_repeat_of_which_the_host_says_that_it_has_it_already_may_be_booked(kind: str, code: str) -> None:
    world = doubted(kind)
    world.ask()
    world.result("declined", response_code=code)
    assert world.transaction().state == "declined_uncertain"
    assert (world.advice().code, world.advice().hold_goods, world.advice().may_pay_again) == ("P5r", True, False)
    assert world.incident("declined_uncertain").next_action == "compare_settlement"
    first = World()
    first.open(kind=kind)
    first.result("declined", response_code=code)
    assert first.transaction().state == "declined", "it was never sent before, so that nothing of it can be there"


def test_a_late_answer_to_what_is_repeated_decides_since_nothing_was_undone() -> None:
    world = doubted("offline")
    assert world.result("approved", response_code="00").conflict is None
    assert world.transaction().state == "approved"


def test_a_repeat_waits_for_its_turn_like_every_request() -> None:
    world = doubted("refund")
    world.doubt("b", stan="000010")
    assert world.ask().proceed == "wait"
    assert world.transaction().state == "in_doubt"


def test_a_repeat_that_is_not_answered_in_time_or_cut_by_a_restart_is_in_doubt_again() -> None:
    world = doubted("tip")
    world.ask()
    world.go_to(70 * SECOND)
    assert world.transaction().state == "in_doubt"
    world.ask()
    world.boot(new=True)
    assert world.states() == ("in_doubt", "-")


def test_an_approval_that_the_terminal_could_not_finish_is_an_approval_where_nothing_can_be_undone() -> None:
    world = World()
    world.open(kind="refund", original=LAST_YEAR)
    world.result("approved_not_completed", response_code="00")
    assert world.states() == ("approved", "-")


@pytest.mark.parametrize("how", ["settled", "changed", "opened"])
def test_when_its_batch_is_closed_it_is_not_repeated_any_more_and_the_settlement_tells(how: str) -> None:
    world = doubted("refund")
    if how == "settled":
        world.do(e.BatchChanged(batch="000001", what="settled"))
    elif how == "changed":
        world.do(e.BatchChanged(batch="000002", what="changed"))
    else:
        world.open("b", stan="000010", batch="000002")
    assert world.states() == ("unresolved", "-")
    incident = world.incident("in_doubt")
    assert (incident.owner, incident.next_action) == ("operator", "compare_settlement")
    with pytest.raises(Rejected):
        world.ask()


def test_a_repeat_that_runs_while_its_batch_closes_is_the_settlements_afterwards() -> None:
    world = doubted("refund")
    world.ask()
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert world.transaction().state == "sent"
    world.result("no_answer")
    assert world.states() == ("unresolved", "-")


def test_a_person_may_close_the_case_of_what_is_repeated() -> None:
    world = doubted("refund")
    row = world.incident("in_doubt")
    world.do(e.IncidentResolved(incident=row.id, transaction="a", resolution="refunded", by="Li"))
    assert world.transaction().state == "resolved"


@pytest.mark.parametrize("kind", ["instalment", "dcc", "lottery"])
def test_a_kind_that_the_profile_does_not_list_is_watched_and_reported_and_never_reversed(kind: str) -> None:
    world = World()
    world.open(kind=kind)
    world.connect()
    world.result("no_answer")
    world.go_to(2 * DAY)
    assert world.states() == ("unresolved", "-")
    assert not world.sends()
    incident = world.incident("in_doubt")
    assert (incident.open, incident.owner, incident.next_action) == (True, "operator", "compare_settlement")
    assert slips.UNCLEAR in str(world.jobs("fault_note")[0].document), "nothing was undone, and the slip does not say so"
