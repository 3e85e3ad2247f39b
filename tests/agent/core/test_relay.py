"""The relay's rules: approved needs the forwarding, doubt that came first stays, and one of the two reverses, not both."""

from typing import Any, Literal

import pytest

from agent.core import event as e
from agent.core.change import Decision, Rejected
from agent.core.model import Original
from agent.core.profile import Reversal
from tests.agent.core.world import MERCHANT, MINUTE, SECOND, TERMINAL, World


def relayed(**policy: Any) -> World:
    """A terminal that stands behind the relay."""
    return World(mode="relay", **policy)


def answer(world: World, code: str | None = "00", key: str = "a", *, mac: str = "good", **other: Any) -> Decision:
    """The 0210 of this transaction comes; `other` makes it somebody else's."""
    row = world.transaction(key)
    f3 = "200000" if row.kind == "void" else "000000"
    said: dict[str, Any] = {
        "f3": f3, "f4": f"{row.amount_fen:012d}", "f11": row.stan, "f41": TERMINAL, "f42": MERCHANT, "rrn": "261122000001",
        "auth_code": "A1B2C3" if code == "00" else None,
    }
    return world.do(e.RelayAnswered(transaction=key, code=code, mac=mac, **(said | other)))  # type: ignore[arg-type]


def forward(world: World, key: str = "a", *, left: bool = True) -> Decision:
    """What became of it."""
    return world.do(e.AnswerForwarded(transaction=key, left=left))


def own_0400(world: World, key: str = "a", reason: str = "98") -> None:
    """The payment app sends its own 0400."""
    world.do(e.AppReversed(transaction=key, reason=reason))


def approved(world: World, key: str = "a", **more: Any) -> None:
    """A sale that is through."""
    world.open(key, **more)
    assert answer(world, key=key).proceed == "go"
    forward(world, key)
    assert world.states(key) == ("approved", "-")


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("code", "late"), [("00", "00"), ("51", "00"), ("00", "51")])
def test_a_late_answer_to_the_same_stan_of_an_earlier_batch_decides_nothing_here(code: str, late: str) -> None:
    """The STAN begins anew with each batch; `late` answers the first one, while the terminal waits for the second one's."""
    world = relayed()
    world.doubt()
    world.connect()
    world.reply("00")
    world.open("b", batch="000002")
    assert answer(world, late, key="b", f60="22000001000").proceed == "refuse"
    assert (world.transaction("b").state, world.transaction("b").answered) == ("sent", False)
    assert [fact.transaction for fact in world.told("evidence.late_response")] == ["a"]
    assert answer(world, code, key="b", f60="22000002000").proceed == "go"
    forward(world, "b")
    assert world.transaction("b").state == ("approved" if code == "00" else "declined")


@pytest.mark.parametrize("f60", [None, "", "22000009", "22000002", "2200000200050", "22"])
def test_a_host_may_write_its_f60_as_it_likes_while_no_other_batch_has_the_number(f60: str | None) -> None:
    world = relayed()
    approved(world, "a", stan="000009")
    world.open("b", batch="000002")
    assert answer(world, key="b", f60=f60).proceed == "go"


def test_an_approval_counts_only_when_it_was_forwarded() -> None:
    world = relayed()
    assert world.open().proceed == "go"
    assert answer(world).proceed == "go"
    assert (world.transaction().state, world.transaction().answered) == ("sent", True)
    forward(world)
    row = world.transaction()
    assert (row.state, row.approved_fen, row.rrn, row.auth_code, row.vault) == ("approved", 100, "261122000001", "A1B2C3", None)
    assert world.state.reversals == {}


def test_every_answer_that_passes_by_says_the_hosts_business_day() -> None:
    """A terminal without a clock knows the day from its first sale on, and may then believe "no original"."""
    world = relayed(wall_ms=None)
    world.open()
    answer(world, day="0302", time="100130")
    forward(world)
    world.doubt("b", stan="000002")
    assert world.transaction("b").opened.day == "h0302"
    world.at(MINUTE)
    world.connect()
    world.reply("25", "b", day="0302", time="100230")
    assert world.states("b") == ("no_original", "no_original")


def test_the_answer_to_the_apps_own_0400_says_it_too() -> None:
    world = relayed(wall_ms=None)
    world.open()
    own_0400(world)
    world.reply("96", mac="bad", day="0302", time="100130")
    assert world.state.business_day() is None
    world.reply("96", day="0302", time="100130")
    assert (world.state.business_day(), world.reversal().host_day) == ("h0302", "0302")


def test_the_day_of_an_answer_whose_mac_is_wrong_is_not_heard() -> None:
    world = relayed(wall_ms=None)
    world.open()
    answer(world, mac="bad", day="0302", time="100130")
    assert world.state.business_day() is None


def test_an_approval_that_could_not_be_forwarded_is_reversed_with_96_and_its_authorization_code() -> None:
    world = relayed()
    world.connect()
    world.open()
    answer(world)
    forward(world, left=False)
    assert world.states() == ("reversing", "sending")
    assert (world.sends()[0].fields["39"], world.sends()[0].fields["38"]) == ("96", "A1B2C3")


def test_a_decline_is_final_at_once_and_forwarded() -> None:
    world = relayed()
    world.open()
    assert answer(world, "51").proceed == "go"
    assert world.states() == ("declined", "-")


@pytest.mark.parametrize("code", ["00", "51"])
def test_an_answer_with_a_wrong_mac_is_not_forwarded_and_reversed_with_a0(code: str) -> None:
    world = relayed()
    world.open()
    assert answer(world, code, mac="bad").proceed == "refuse"
    assert world.transaction().state == "in_doubt"
    assert world.reversal().reason == "A0"


@pytest.mark.parametrize("mac", ["good", "missing"])
def test_an_answer_without_a_response_code_says_nothing_and_nobody_is_told_to_pay_again(mac: str) -> None:
    world = relayed()
    world.open()
    assert answer(world, None, mac=mac).proceed == "refuse"
    assert world.states() == ("in_doubt", "pending")
    assert world.reversal().reason == "98"
    assert not world.advice().may_pay_again


def test_an_approval_without_a_mac_is_not_believed_a_decline_is() -> None:
    world = relayed()
    world.open()
    assert answer(world, mac="missing").proceed == "refuse"
    world.open("b", stan="000002", terminal_id="87654321")
    assert answer(world, "51", "b", mac="missing", f41="87654321").proceed == "go"


def test_a_host_that_makes_no_macs_is_believed_where_the_profile_says_so() -> None:
    world = relayed(require_mac=False)
    world.open()
    assert answer(world, mac="missing").proceed == "go"


def test_an_approval_whose_mac_nobody_could_check_waits_for_the_apps_own_word() -> None:
    world = relayed()
    world.open()
    assert answer(world, mac="unchecked").proceed == "go"
    forward(world)
    assert world.transaction().state == "sent"
    world.result("approved", response_code="00")
    assert world.states() == ("approved", "-")


def test_the_next_sale_waits_for_an_answer_and_not_for_the_apps_word_about_it() -> None:
    world = relayed()
    world.open()
    assert world.open("b", stan="000002").proceed == "wait"
    answer(world, mac="unchecked")
    forward(world)
    assert world.do(e.SentAsked(transaction="b")).proceed == "go"
    assert (world.transaction().state, world.transaction("b").state) == ("sent", "sent")
    world.go_to(65 * SECOND)
    assert world.states() == ("unresolved", "refused")


def test_without_that_word_it_is_a_persons_case() -> None:
    world = relayed()
    world.open()
    answer(world, mac="unchecked")
    forward(world)
    world.go_to(65 * SECOND)
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").next_action == "look_at_terminal"


@pytest.mark.parametrize("other", [{"f3": "200000"}, {"f4": "000000000101"}, {"f4": None}, {"f41": "87654321"}, {"f42": None}])
def test_T7_an_answer_that_does_not_match_is_not_an_answer(other: dict[str, Any]) -> None:
    world = relayed()
    world.open()
    assert answer(world, **other).proceed == "refuse"
    assert world.transaction().state == "sent"
    assert world.incidents() == {"crossed_reply"}


def test_a_partial_approval_may_be_of_less_and_never_of_more() -> None:
    world = relayed()
    world.open()
    assert answer(world, "10", f4="000000000101").proceed == "refuse"
    assert answer(world, "10", f4="000000000060").proceed == "go"
    forward(world)
    assert world.transaction().approved_fen == 60


def test_a_late_answer_is_evidence_and_is_not_forwarded() -> None:
    world = relayed()
    world.open()
    world.go_to(65 * SECOND)
    assert world.transaction().state == "in_doubt"
    assert answer(world).proceed == "refuse"
    assert [row.kind for row in world.transaction().evidence] == ["late_response"]
    assert answer(world, mac="bad").proceed == "refuse"
    assert answer(world, "51").proceed == "refuse"


def test_a_doubled_answer_passes_again_only_when_it_says_the_same() -> None:
    world = relayed()
    world.open()
    answer(world)
    assert answer(world).proceed == "refuse"
    forward(world)
    assert answer(world).proceed == "go"
    assert answer(world, "51").proceed == "refuse"
    forward(world)
    assert world.states() == ("approved", "-")


def test_T13_codes_are_compared_whole() -> None:
    world = relayed()
    world.open()
    assert answer(world, "0").proceed == "go"
    assert world.transaction().state == "declined"


# ── stopped in the middle ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("new", [False, True])
def test_an_agent_that_was_stopped_while_it_forwarded_asks_a_person(new: bool) -> None:
    world = relayed()
    world.open()
    answer(world)
    world.boot(new=new)
    world.connect()
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").next_action == "look_at_terminal"
    assert world.sends() == []
    world.do(e.ReversalOrdered(transaction="a", by="manager"))
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_the_apps_own_0400_settles_what_went_astray() -> None:
    world = relayed()
    world.open()
    answer(world)
    world.boot()
    own_0400(world)
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert world.advice().code == "P21"


@pytest.mark.parametrize("rule", ["requested", "approved"])
@pytest.mark.parametrize("amount_fen", [60, 100])
def test_the_apps_own_0400_of_a_partial_approval_may_name_either_amount(
    rule: Literal["requested", "approved"], amount_fen: int
) -> None:
    """Its answer repeats its F4, whatever ours would have been."""
    world = relayed(reversal=Reversal(amount=rule))
    world.open()
    answer(world, "10", f4="000000000060")
    forward(world)
    world.do(e.AppReversed(transaction="a", reason="96", amount_fen=amount_fen))
    world.reply("00", f4=f"{amount_fen:012d}")
    assert world.states() == ("reversed", "accepted")
    assert "crossed_reply" not in world.incidents()


def test_T6_what_the_relay_held_is_proved_not_sent_whatever_the_app_can_report() -> None:
    world = relayed(sent_reporting=False)
    world.doubt("a")
    assert world.open("b", stan="000002").proceed == "wait"
    world.boot()
    assert world.states("b") == ("not_sent", "-")


@pytest.mark.parametrize("new", [False, True])
def test_a_request_whose_connections_ended_with_the_agent_is_in_doubt_at_once(new: bool) -> None:
    world = relayed()
    world.open()
    world.boot(new=new)
    assert world.transaction().state == "in_doubt"


def test_a_forwarding_that_is_never_told_is_a_persons_case_after_the_answer_time() -> None:
    world = relayed()
    world.open()
    answer(world)
    world.go_to(MINUTE + 5 * SECOND)
    assert world.states() == ("unresolved", "refused")
    forward(world)
    assert world.states() == ("unresolved", "refused")


# ── the app's own 0400 ───────────────────────────────────────────────────────────────────────────────────────────────


def test_P21_the_apps_own_0400_is_adopted_and_the_agent_sends_none() -> None:
    world = relayed()
    world.connect()
    world.open()
    own_0400(world)
    assert world.states() == ("reversing", "pending")
    assert world.open("b", stan="000002").proceed == "wait"
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert world.sends() == []
    assert (world.advice().code, world.advice().may_pay_again) == ("P21", True)
    assert world.incidents() == set()


@pytest.mark.parametrize(("reason", "own"), [("98", "98"), ("A0", "A0"), ("96", "96"), ("06", "98")])
def test_the_doubt_has_the_reason_that_the_app_gives(reason: str, own: str) -> None:
    world = relayed()
    world.open()
    own_0400(world, reason=reason)
    assert world.reversal().reason == own


def test_the_app_undoes_an_approval_that_it_could_not_complete() -> None:
    world = relayed()
    approved(world)
    own_0400(world, reason="96")
    assert world.states() == ("reversing", "pending")
    assert world.advice().hold_goods
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_an_own_0400_for_what_the_relay_holds_ends_the_holding() -> None:
    world = relayed()
    world.doubt("a")
    assert world.open("b", stan="000002").proceed == "wait"
    own_0400(world, "b")
    assert world.states("b") == ("not_sent", "-")
    with pytest.raises(Rejected, match="not_sent"):
        world.ask("b")


def test_both_having_sent_is_an_incident_and_one_reversal_in_the_ledger() -> None:
    world = relayed()
    world.connect()
    world.doubt()
    assert world.states() == ("reversing", "sending")
    own_0400(world)
    assert "both_reversed" in world.incidents()
    world.go_to(30 * SECOND)  # our own stays unanswered: the app's counts now
    assert (world.states(), len(world.sends())) == (("reversing", "pending"), 1)
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_an_own_0400_after_ours_was_accepted_is_an_incident() -> None:
    world = relayed()
    world.connect()
    world.doubt()
    world.reply("00")
    own_0400(world)
    assert world.incidents() == {"both_reversed"}


def test_T3_an_adopted_reversal_without_an_answer_is_a_persons_case_and_blocks_nobody() -> None:
    world = relayed()
    world.connect()
    world.open()
    own_0400(world)
    world.go_to(30 * SECOND)
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").owner == "operator"
    assert world.open("b", stan="000002").proceed == "go"
    assert world.sends() == []
    own_0400(world)  # it tries again ahead of its next sale
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


@pytest.mark.parametrize(
    ("answered", "states"),
    [
        ("00", ("reversed", "accepted")), ("94", ("unresolved", "refused")), ("25", ("no_original", "no_original")),
        (None, ("unresolved", "refused")),
    ],
)
def test_the_app_takes_over_a_reversal_that_has_used_up_its_turn(answered: str | None, states: tuple[str, str]) -> None:
    world = relayed()
    world.connect()
    world.doubt()
    world.go_to(90 * SECOND)
    assert world.states() == ("unresolved", "exhausted")
    own_0400(world)
    assert world.open("b", stan="000002").proceed == "go"
    if answered is None:
        world.go_to(120 * SECOND)
    else:
        world.reply(answered)
    assert (world.states(), len(world.sends())) == (states, 3)


def test_T1_only_00_settles_what_the_app_reverses() -> None:
    world = relayed()
    world.open()
    own_0400(world)
    for code in ("96", "A0"):
        world.reply(code)
        assert world.states() == ("reversing", "pending")
    world.reply("00", mac="bad")
    assert world.states() == ("reversing", "pending")
    world.reply("94")
    assert world.states() == ("unresolved", "refused")


@pytest.mark.parametrize(("after_ms", "state"), [(61 * SECOND, "no_original"), (SECOND, "unresolved")])
def test_T16_no_original_to_the_apps_own_0400_is_believed_by_the_same_rules(after_ms: int, state: str) -> None:
    world = relayed()
    world.open()
    world.at(after_ms)
    own_0400(world)
    world.reply("25")
    assert world.transaction().state == state


def test_what_the_app_reverses_after_a_person_closed_the_case_opens_it_no_more() -> None:
    world = relayed()
    world.open()
    own_0400(world)
    world.go_to(30 * SECOND)
    incident = world.incident("in_doubt")
    world.do(e.IncidentResolved(incident=incident.id, transaction="a", resolution="refunded", by="manager"))
    assert world.states() == ("resolved", "fenced")
    own_0400(world)
    world.reply("00")
    assert world.states() == ("resolved", "fenced")


def test_T12_a_batch_that_closes_does_not_lose_what_the_app_reverses() -> None:
    world = relayed()
    world.open()
    own_0400(world)
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert world.states() == ("unresolved", "expired")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_a_restart_leaves_the_app_the_time_of_an_answer() -> None:
    world = relayed()
    world.open()
    own_0400(world)
    world.boot(new=True)
    world.connect()
    assert (world.states(), world.sends()) == (("reversing", "pending"), [])
    world.go_to(30 * SECOND)
    assert world.states() == ("unresolved", "refused")


@pytest.mark.parametrize("outcome", ["declined", "not_sent"])
def test_an_own_0400_for_what_needs_none_changes_nothing(outcome: str) -> None:
    world = relayed()
    world.open(ask=outcome == "declined")
    world.result(outcome)
    own_0400(world)
    assert world.states() == (outcome, "-")
    assert len(world.told("relay.app_reversed")) == 1


def test_only_a_reversal_whose_card_is_still_kept_can_be_ordered() -> None:
    world = relayed()
    approved(world)
    own_0400(world)
    with pytest.raises(Rejected, match="no reversal that could be sent"):
        world.do(e.ReversalOrdered(transaction="a", by="manager"))
    world.go_to(world.now_ms + 30 * SECOND)
    with pytest.raises(Rejected, match="no reversal that could be sent"):
        world.do(e.ReversalOrdered(transaction="a", by="manager"))


# ── the gate, and what is not forwarded ──────────────────────────────────────────────────────────────────────────────


def test_T10_what_is_not_watched_waits_for_pending_reversals_too() -> None:
    world = relayed()
    assert world.do(e.OnlineAsked(terminal_id=TERMINAL)).proceed == "go"
    world.doubt()
    assert world.do(e.OnlineAsked(terminal_id=TERMINAL)).proceed == "wait"
    assert world.do(e.OnlineAsked(terminal_id="87654321")).proceed == "go"
    world.connect()
    world.reply("00")
    assert world.do(e.OnlineAsked(terminal_id=TERMINAL)).proceed == "go"


def test_a_request_that_cannot_be_read_is_told_to_the_technician_a_repeated_one_is_only_told() -> None:
    world = relayed()
    world.do(e.RelayRefused(why="repeated", stan="000001"))
    assert world.incidents() == set()
    world.do(e.RelayRefused(why="unreadable", stan="000001"))
    assert world.incidents() == {"relay_unreadable"}
    assert [fact.data["why"] for fact in world.told("relay.refused")] == ["repeated", "unreadable"]


# ── what is never reversed ───────────────────────────────────────────────────────────────────────────────────────────


def passed(kind: str) -> World:
    """A request of that kind that passed and waits for its answer."""
    world = relayed()
    world.open(kind=kind, original=Original("000001", "000000", "1231"))
    return world


@pytest.mark.parametrize(("kind", "state"), [("refund", "approved"), ("other", "unresolved")])
def test_an_approval_that_nobody_heard_stands_where_a_repeat_will_hear_it(kind: str, state: str) -> None:
    world = passed(kind)
    assert answer(world, f3=world.policy.kind(kind).f3).proceed == "go"
    forward(world, left=False)
    assert world.states() == (state, "-")
    assert world.sends() == []


@pytest.mark.parametrize("how", ["restart", "time"])
@pytest.mark.parametrize(("kind", "mac", "state"), [
    ("refund", "good", "approved"), ("refund", "unchecked", "unresolved"), ("other", "good", "unresolved"),
])
def test_an_agent_that_stopped_while_it_forwarded_believes_the_host_where_nothing_can_be_undone(
    kind: str, mac: str, state: str, how: str
) -> None:
    world = passed(kind)
    answer(world, f3=world.policy.kind(kind).f3, mac=mac)
    if how == "restart":
        world.boot()
    else:
        world.go_to(MINUTE + 5 * SECOND)
    assert world.states() == (state, "-")


@pytest.mark.parametrize("kind", ["refund", "other"])
def test_a_wrong_mac_leaves_a_doubt_and_the_answer_passes(kind: str) -> None:
    world = passed(kind)
    assert answer(world, f3=world.policy.kind(kind).f3, mac="bad").proceed == "go"
    assert world.transaction().state == ("in_doubt" if kind == "refund" else "unresolved")
    assert answer(world, f3=world.policy.kind(kind).f3).proceed == "go", "the second one is the right one"
    assert world.transaction().state == ("approved" if kind == "refund" else "unresolved")


@pytest.mark.parametrize(("kind", "type_"), [("refund", "25"), ("other", "54")])
def test_a_late_answer_to_the_same_stan_of_an_earlier_batch_says_nothing_of_what_is_never_reversed_either(
    kind: str, type_: str
) -> None:
    world = relayed()
    world.open(kind=kind, original=Original("000001", "000000", "1231"))
    world.go_to(MINUTE + 5 * SECOND)
    world.open("b", kind=kind, batch="000002", original=Original("000001", "000000", "1231"))
    rules = world.policy.kind(kind)
    assert answer(world, key="b", f3=rules.f3, f60=f"{type_}000001000").proceed == "refuse"
    assert (world.transaction("b").state, world.transaction("b").answered) == ("sent", False)
    assert answer(world, key="b", f3=rules.f3, f60=f"{type_}000002000").proceed == "go"
    forward(world, "b")
    assert world.transaction("b").state == "approved"


def test_a_crossed_answer_to_a_repeat_is_dropped_and_to_what_is_only_watched_there_is_none() -> None:
    world = passed("refund")
    assert answer(world, f3="000000").proceed == "refuse"
    assert world.incidents() == {"crossed_reply"}
    other = passed("other")
    assert answer(other, f3="190000", f4="000000099999", f42=None).proceed == "go"
    forward(other)
    assert (other.transaction().state, other.transaction().approved_fen) == ("approved", 100)
    assert other.incidents() == set()
