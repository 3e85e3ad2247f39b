"""The next day: what settlement files prove, when it is final, and what is owed because of it."""

import pytest
from msgspec.structs import replace

from agent.core import event as e
from agent.core.calendar import number
from agent.core.model import Account, Evidence, Original
from agent.core.screen import meaning
from agent.core.settlement import TERMINALS_MAX
from tests.agent.core.books import D0, bring, final, line, say, stuck
from tests.agent.core.world import DAY, MORNING_MS, SECOND, TERMINAL, World


def account(world: World, key: str = "a") -> Account:
    found = world.transaction(key).account
    assert found is not None
    return found


# ── whose line is it ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_batch_and_stan_and_amount_find_the_transaction() -> None:
    world = stuck()
    assert bring(world, line()).matched == 1
    assert [booked.amount_fen for booked in account(world).lines] == [100]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"amount_fen": 101}, "amount"), ({"stan": "000002"}, "unknown"), ({"batch": "000002"}, "unknown"),
        ({"batch": None, "stan": None, "rrn": "1"}, "unknown"),
    ],
)
def test_a_line_that_differs_is_unmatched(wrong: dict[str, object], why: str) -> None:
    world = stuck()
    report = bring(world, line(**wrong))  # type: ignore[arg-type]
    assert [found.why for found in report.unmatched] == [why]
    kept = Account(amounts_fen=(100,), other_day=D0, verdict="uneven")
    assert world.transaction().account == (kept if why == "amount" else None)
    assert world.told("settlement.unmatched")[0].data["why"] == why


@pytest.mark.parametrize("goods", ["held", "released"])
def test_a_line_of_another_amount_may_be_a_partial_approval_that_was_lost_so_a_person_compares(goods: str) -> None:
    world = stuck()
    say(world, goods=goods)
    final(world, line(amount_fen=60))
    found = account(world)
    assert (found.verdict, found.final, found.case) == ("uneven", True, "uneven"), "neither not settled nor to be collected"
    assert (world.transaction().state, world.incident("in_doubt").next_action) == ("unresolved", "compare_by_hand")


def test_a_wrong_clock_does_not_hide_the_line() -> None:
    world = stuck()
    assert bring(world, line(day=D0 - 3)).matched == 1, "batch and STAN are unique; the terminal's date may be wrong"


def test_the_rrn_goes_first_and_with_another_amount_it_is_unmatched() -> None:
    world = stuck()
    assert [found.why for found in bring(world, line(named="a", rrn="1", amount_fen=99)).unmatched] == ["amount"]
    assert bring(world, line(batch="000009", stan="000099", named="a", rrn="1")).matched == 1


def test_a_line_with_our_number_and_another_rrn_is_not_ours() -> None:
    world = World()
    world.open()
    world.result("approved", rrn="111111111111")
    assert [found.why for found in bring(world, line(rrn="222222222222")).unmatched] == ["rrn"]


def test_a_line_of_another_terminal_is_not_ours() -> None:
    world = stuck()
    event = e.SettlementImported(statement="s", terminal_id="87654321", days=(D0,), lines=(line(),), families=("a",))
    report = world.do(event).report
    assert report is not None
    assert [found.why for found in report.unmatched] == ["unknown"]


def test_only_the_files_of_its_own_terminal_say_that_a_payment_was_never_booked() -> None:
    days = (D0, D0 + 1, D0 + 2, D0 + 3, D0 + 4)
    world = stuck(World(terminal_id=TERMINAL))
    for other in ("87654321", "87654322"):
        world.do(e.SettlementImported(statement=other, terminal_id=other, days=days, lines=(), families=("a",)))
        assert (world.transaction("a").account, world.advice().code) == (None, "P5")
    bring(world, days=days)
    assert account(world).verdict == "not_settled"
    world = stuck(World(terminal_id="00000001"))  # another terminal id that this agent serves
    world.do(e.SettlementImported(statement="s", terminal_id="00000001", days=days, lines=(), families=("a",)))
    assert world.transaction("a").account is None
    bring(world, days=days)
    assert account(world).verdict == "not_settled"


def test_the_days_of_so_many_other_terminals_are_kept() -> None:
    world = World(terminal_id=TERMINAL)
    others = [f"{index:08d}" for index in range(TERMINALS_MAX + 2)]
    for other in others:
        world.do(e.SettlementImported(statement="s", terminal_id=other, days=(D0,), lines=(), families=()))
    assert list(world.state.ledger.elsewhere) == others[2:]


def test_the_same_file_again_changes_nothing_and_tells_nothing() -> None:
    world = stuck()
    first = bring(world, line())
    rows, told = world.all_rows(), len(world.facts)
    again = bring(world, line())
    assert (first.new, again.new, again.matched) == (1, 0, 1)
    assert world.all_rows() == rows
    assert len(world.facts) == told


def test_the_same_line_in_a_later_file_is_not_counted_again() -> None:
    world = stuck()
    bring(world, line())
    bring(world, line(), days=(D0, D0 + 1))
    assert len(account(world).lines) == 1


def test_a_line_twice_in_one_file_counts_twice_and_is_a_persons_case() -> None:
    world = stuck()
    final(world, line(), line(nth=2))
    assert (account(world).verdict, account(world).case) == ("uneven", "uneven")
    assert world.incident("in_doubt").next_action == "compare_by_hand"
    assert world.advice().code == "P14b"


def test_tips_and_adjustments_may_stand_in_the_amount() -> None:
    for kind, amount_fen in (("tip", 115), ("adjustment", 15)):
        world = World()
        world.open()
        world.result("declined", response_code="96")
        world.open("t", stan="000002", kind=kind, amount_fen=15, original=Original("000001", "000001"))
        world.result("approved", "t", response_code="00")
        assert bring(world, line(amount_fen=amount_fen)).matched == 1
        assert account(world).verdict == "settled"


def test_a_partial_approval_settles_as_what_was_approved() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="10", approved_fen=60)
    assert bring(world, line(amount_fen=60)).matched == 1
    assert [found.why for found in bring(world, line(amount_fen=100)).unmatched] == ["amount"]


# ── when is it final ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_booking_is_final_only_after_the_next_days_file() -> None:
    world = stuck()
    bring(world, line())
    assert (account(world).verdict, account(world).final, account(world).case) == ("settled", False, "wait")
    assert world.advice().code == "P7a"
    assert "03-03" in world.advice().zh_long
    bring(world, days=(D0 + 1,))
    assert (account(world).verdict, account(world).final) == ("settled", True)


def test_a_reversal_booked_a_day_later_is_netted() -> None:
    world = stuck()
    bring(world, line())
    bring(world, line(direction="credit", day=D0 + 1), days=(D0 + 1,))
    assert (account(world).verdict, account(world).final) == ("not_settled", False)
    bring(world, days=(D0 + 2,))
    assert account(world).final


def test_a_missing_line_means_nothing_before_the_grace_day() -> None:
    world = stuck()
    for day in (D0, D0 + 1, D0 + 2):
        bring(world, days=(day,))
        assert world.transaction().account is None
    bring(world, days=(D0 + 3,))
    assert (account(world).verdict, account(world).final) == ("not_settled", True)


def test_a_file_that_was_never_imported_keeps_the_question_open() -> None:
    world = stuck()
    for day in (D0, D0 + 1, D0 + 3, D0 + 4, D0 + 9):
        bring(world, days=(day,))
    assert world.transaction().account is None
    bring(world, days=(D0 + 2,))
    assert account(world).final


def test_a_line_dated_at_the_end_of_all_calendars_leaves_an_advice_that_can_be_read() -> None:
    world = stuck()
    bring(world, line(day=number("9999-12-31")))
    assert (world.advice().code, "12-31" in world.advice().zh_long) == ("P7a", True)


def test_weekends_and_holidays_are_waited_for() -> None:
    world = stuck()
    world.policy = world.policy.__class__(settles=(0, 1, 2, 3, 4), holidays=(D0 + 1,), extra_days=(D0 + 5,))
    world.boot()
    bring(world, days=(D0,))  # a Monday; the Tuesday is a holiday, the Saturday a working day
    bring(world, days=(D0 + 2, D0 + 3))
    assert world.transaction().account is None
    bring(world, days=(D0 + 4,))
    assert account(world).final


def test_kinds_that_settle_on_t_plus_2_get_a_day_more() -> None:
    world = stuck()
    world.policy = world.policy.__class__(later_kinds=("sale",))
    world.boot()
    bring(world, days=(D0, D0 + 1, D0 + 2, D0 + 3))
    assert world.transaction().account is None
    bring(world, days=(D0 + 4,))
    assert account(world).final


def test_without_a_known_day_a_missing_line_is_never_a_verdict() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("94")
    bring(world, days=tuple(range(D0, D0 + 30)))
    assert world.transaction().account is None
    bring(world, line(day=D0 + 30), days=(D0 + 30, D0 + 31))
    assert (account(world).verdict, account(world).final) == ("settled", True)


def test_a_late_line_after_the_verdict_is_taken_all_the_same() -> None:
    world = stuck()
    say(world, goods="released")
    final(world)
    assert world.advice().code == "P16"
    bring(world, line(day=D0 + 6), days=(D0 + 6,))
    assert (account(world).case, world.incident("in_doubt").next_action) == ("wait", "compare_settlement")
    bring(world, days=(D0 + 7,))
    assert world.transaction().state == "resolved"
    assert world.advice().code == "N6a"


def test_a_clock_that_is_a_day_behind_calls_a_payment_never_booked_too_early_and_the_late_line_makes_it_good() -> None:
    """Nothing on the terminal shows such a clock (docs/reliability.md, "What is not promised")."""
    world = World(wall_ms=MORNING_MS - DAY)
    world.doubt()
    world.connect()
    world.reply("94")
    bring(world, days=(D0 - 1, D0, D0 + 1, D0 + 2))  # the last day on which the line of a sale of D0 - 1 may come
    assert (account(world).verdict, account(world).case) == ("not_settled", "collect")
    bring(world, line(day=D0 + 3), days=(D0 + 3, D0 + 4))  # of a sale of D0: as late as the grace allows
    assert (account(world).verdict, account(world).final, account(world).case) == ("settled", True, "contact")
    assert world.advice().code == "P15"


# ── what is owed ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "case", "code", "owner"),
    [
        ({"replaced_by": "cash"}, "refund", "P14", "operator"),
        ({"replaced_by": "a-payment-elsewhere"}, "refund", "P14", "operator"),
        ({"replaced_by": "cash", "goods": "released"}, "refund", "P14", "operator"),
        ({"goods": "returned"}, "refund", "P14c", "operator"),
        ({}, "contact", "P15", "cashier"),
        ({"replaced_by": "none"}, "contact", "P15", "cashier"),
        ({"goods": "held"}, "contact", "P15a", "cashier"),
    ],
)
def test_a_booked_payment_goes_with_the_disposition(said: dict[str, str], case: str, code: str, owner: str) -> None:
    world = stuck()
    if said:
        say(world, **said)
    final(world, line())
    assert (account(world).case, world.advice().code) == (case, code)
    assert world.incident("in_doubt").owner == owner
    assert not world.advice().may_pay_again


def test_booked_and_delivered_is_even_and_closes_the_case_by_itself() -> None:
    world = stuck()
    say(world, goods="released")
    final(world, line())
    assert world.states() == ("resolved", "fenced")
    assert world.incident("in_doubt").resolution == "even"
    assert world.transaction().vault is None
    assert world.advice().code == "N6a"


@pytest.mark.parametrize(
    ("said", "case", "code"),
    [
        ({"goods": "released"}, "collect", "P16"), ({}, "collect", "P16a"),
        ({"goods": "held"}, "even", "N6a"), ({"goods": "returned"}, "even", "N6a"),
        ({"replaced_by": "cash", "goods": "released"}, "even", "N6a"),
    ],
)
def test_a_payment_that_was_never_booked_goes_with_the_disposition(said: dict[str, str], case: str, code: str) -> None:
    world = stuck()
    if said:
        say(world, **said)
    final(world)
    assert (account(world).case, world.advice().code) == (case, code)


def test_never_booked_though_the_customer_shows_a_debit_goes_to_the_service_desk() -> None:
    world = stuck()
    world.do(e.EvidenceGiven(transaction="a", evidence=Evidence(kind="debit_sms")))
    final(world)
    assert (world.advice().code, world.incident("in_doubt").owner) == ("P17", "acquirer")


def test_the_disposition_may_come_after_the_verdict() -> None:
    world = stuck()
    final(world, line())
    assert world.advice().code == "P15"
    say(world, replaced_by="cash")
    assert world.advice().code == "P14"
    assert world.incident("in_doubt").next_action == "confirm_refund"


def test_in_doubt_then_cash_then_booked_is_a_refund_and_never_collected() -> None:
    world = stuck()
    say(world, replaced_by="cash", goods="released")
    final(world, line())
    refund = world.transaction().refund
    assert refund is not None
    assert (refund.state, refund.due_fen) == ("wanted", 100)


def test_a_repeat_in_the_basket_while_in_doubt_is_a_double() -> None:
    world = World()
    world.doubt(basket_id="b1")
    world.connect()
    world.reply("94")
    world.open("b", stan="000002", basket_id="b1")
    world.result("approved", "b")
    assert world.transaction().repeated_by == "b"
    final(world, line())
    assert (account(world).case, world.advice().code) == ("refund", "P14")


@pytest.mark.parametrize(("outcome", "case", "code"), [("approved", "contact", "P15"), ("declined", "refund", "P14")])
def test_a_repeat_that_was_voided_replaced_nothing(outcome: str, case: str, code: str) -> None:
    world = stuck(basket_id="b1")
    world.open("b", stan="000002", basket_id="b1")
    world.result("approved", "b", response_code="00")
    world.open("v", stan="000003", kind="void", original=Original("000001", "000002"))
    world.result(outcome, "v", response_code="00" if outcome == "approved" else "51")
    final(world, line(), *(line("000002", kind) for kind in ("debit", "credit") if outcome == "approved"))
    assert (account(world).case, world.advice().code) == (case, code), "it went back already: who refunds the first pays twice"


def test_a_repeat_that_was_declined_replaced_nothing() -> None:
    world = stuck(basket_id="b1")
    world.open("b", stan="000002", basket_id="b1")
    world.result("declined", "b", response_code="51")
    final(world, line())
    assert account(world).case == "contact"


def test_the_same_card_and_amount_is_only_perhaps_a_repeat_and_a_person_decides() -> None:
    world = stuck()
    world.open("b", stan="000002")
    world.result("approved", "b")
    final(world, line())
    assert (account(world).case, world.advice().code) == ("possible", "P14a")
    assert world.incident("in_doubt").next_action == "decide_refund"


def test_a_one_fen_trigger_is_never_the_repeat() -> None:
    world = stuck(basket_id="b1")
    world.open("b", stan="000002", basket_id="b1", amount_fen=1, replaces="a")
    world.result("approved", "b")
    assert world.transaction().repeated_by is None


def test_an_accepted_reversal_that_the_files_do_not_show_is_told() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    final(world, line())
    assert world.incident("settlement").open
    assert world.advice().code == "P15"
    world.open("b", stan="000002", replaces="a")
    world.result("approved", "b")
    say(world)
    assert world.advice().code == "P14"


def test_an_accepted_reversal_that_is_booked_a_day_later_opens_nothing() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("00")
    bring(world, line())
    assert world.transaction().open, "it is looked at again tomorrow"
    bring(world, line(direction="credit", day=D0 + 1), days=(D0 + 1,))
    bring(world, days=(D0 + 2,))
    assert (account(world).case, world.transaction().open) == ("even", False)
    assert "settlement" not in world.incidents()


def test_an_approved_sale_that_no_file_has_is_collected_after_the_grace_day() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="00")
    bring(world, absent=("a",))
    assert world.transaction().open
    assert world.incidents() == set()
    bring(world, days=(D0 + 1, D0 + 2, D0 + 3))
    assert (world.advice().code, world.incident("settlement").next_action) == ("P16", "collect_payment")
    bring(world, line(day=D0 + 4), days=(D0 + 4, D0 + 5))
    assert (account(world).case, world.incident("settlement").resolution) == ("even", "even")


def test_a_declined_sale_that_was_booked_all_the_same_is_told() -> None:
    world = World()
    world.open()
    world.result("declined", response_code="51")
    final(world, line())
    assert world.incident("settlement").next_action == "contact_customer"


def _ended(state: str) -> World:
    """A sale of which nothing should be booked."""
    world = World()
    world.open(ask=state != "not_sent")
    if state == "declined":
        world.result("declined", response_code="51")
    elif state == "not_sent":
        world.result("not_sent")
    else:
        world.result("no_answer")
        world.at(60 * SECOND)
        world.connect()
        world.reply("00" if state == "reversed" else "25")
    assert world.transaction().state == state
    return world


@pytest.mark.parametrize("state", ["declined", "not_sent", "reversed", "no_original"])
def test_no_words_ask_for_money_again_that_the_files_have(state: str) -> None:
    world = _ended(state)
    bring(world, line())
    assert (world.advice().code, world.advice().reason) == ("P7a", "booked"), "a credit may follow"
    say(world, goods="released")
    final(world, line())
    assert (account(world).case, world.advice().code, world.advice().reason) == ("even", "N6a", "booked")
    assert meaning(world.advice()) == "done"
    other = _ended(state)
    final(other, line())
    assert (account(other).case, other.advice().code) == ("contact", "P15")
    incident = other.incident("settlement")
    other.do(e.IncidentResolved(incident=incident.id, transaction="a", resolution="no_action", by="Li"))
    assert (account(other).case, other.advice().code, meaning(other.advice())) == ("even", "N6", "done")


def test_a_reversal_that_is_accepted_after_the_files_were_final_asks_for_nothing_before_its_credit_is_there() -> None:
    world = World()
    world.doubt()
    final(world, line())
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert (world.advice().code, world.advice().may_pay_again) == ("P7a", False)
    bring(world, line(direction="credit", day=D0 + 5), days=(D0 + 5, D0 + 6))
    assert (account(world).verdict, account(world).case) == ("not_settled", "even")
    assert (world.advice().code, world.advice().may_pay_again) == ("P4b", True)


def test_an_uncertain_decline_that_was_never_booked_closes_by_itself() -> None:
    world = World()
    world.open()
    world.result("declined", response_code="96")
    final(world)
    assert world.transaction().state == "resolved"
    assert world.incident("declined_uncertain").resolution == "even"


def test_a_void_in_doubt_is_even_when_its_credit_was_booked() -> None:
    world = _stuck_void()
    final(world, line(), line("000002", "credit"))
    assert world.transaction("v").state == "resolved"


def test_a_void_in_doubt_that_was_never_booked_must_be_made_again() -> None:
    world = _stuck_void()
    final(world, line())
    assert world.advice("v").code == "P16v"
    assert world.incident("in_doubt", "v").next_action == "redo_void"


def test_a_declined_void_that_was_booked_all_the_same_is_somebodys() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="00")
    world.void()
    world.result("declined", "v", response_code="51")
    final(world, line("000002", "credit"))
    assert world.incident("settlement", "v").next_action == "compare_by_hand"


def _stuck_void() -> World:
    world = World()
    world.open()
    world.result("approved", response_code="00")
    world.void()
    world.result("no_answer", "v")
    world.connect()
    world.reply("94", "v")
    return world


def test_an_even_case_waits_for_the_0400_under_way() -> None:
    world = World(sends_per_opportunity=1)
    world.doubt()
    world.connect()
    world.go_to(31 * SECOND)
    say(world, goods="held")
    world.go_to(61 * SECOND)
    assert world.states() == ("unresolved", "sending")
    final(world)
    assert world.states() == ("unresolved", "sending")
    world.go_to(91 * SECOND)
    assert world.states() == ("resolved", "fenced")


# ── people close it ──────────────────────────────────────────────────────────────────────────────────────────────────


def close(world: World, resolution: str, code: str = "in_doubt") -> None:
    row = world.incident(code)
    world.do(e.IncidentResolved(incident=row.id, transaction="a", resolution=resolution, by="Li"))  # type: ignore[arg-type]


def test_what_a_person_closed_stays_closed_until_the_files_say_something_else() -> None:
    world = stuck()
    final(world, line())
    close(world, "no_action")
    bring(world, line(), days=(D0, D0 + 5))
    assert (world.transaction().state, world.transaction().open) == ("resolved", False)


def test_collected_by_a_person_and_booked_after_all_is_a_refund() -> None:
    world = stuck()
    final(world)
    close(world, "collected")
    bring(world, line(day=D0 + 6), days=(D0 + 6, D0 + 7))
    assert account(world).case == "refund"
    assert world.incident("settlement").next_action == "confirm_refund"
    assert world.advice().code == "P14"


def test_refunded_by_a_person_before_the_files_came_is_even_either_way() -> None:
    world = stuck()
    close(world, "refunded")
    final(world, line())
    assert (account(world).case, world.transaction().refund) == ("even", None)


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_undone_by_hand_while_in_doubt_fences_the_reversal() -> None:
    world = World()
    world.doubt()
    say(world, by_hand="refunded")
    assert world.states() == ("unresolved", "fenced")
    assert (world.advice().code, world.advice().may_pay_again) == ("P20", False)
    world.connect()
    assert world.sends() == []


def test_an_approved_void_of_a_sale_in_doubt_fences_its_reversal() -> None:
    world = World(sends_per_opportunity=1)
    world.doubt()
    world.connect()
    world.go_to(31 * SECOND)
    world.void()
    world.result("approved", "v")
    assert world.states() == ("unresolved", "fenced")
    assert world.transaction().undone_by == "v"
    final(world, line(), line("000002", "credit"))
    assert (account(world).case, world.transaction().state) == ("even", "resolved")


@pytest.mark.parametrize(("kind", "undo"), [("preauth", "preauth_void"), ("completion", "completion_void")])
def test_an_approved_void_of_the_pre_authorization_family_fences_the_reversal_of_what_it_undid(kind: str, undo: str) -> None:
    world = World(sends_per_opportunity=1)
    world.doubt(kind=kind, original=Original("000001", "000000", "1231"))
    world.connect()
    world.go_to(31 * SECOND)
    world.open("v", stan="000002", kind=undo, original=Original("000001", "000001", "0302"))
    world.result("approved", "v")
    assert world.states() == ("unresolved", "fenced"), "one credit only"
    assert (world.transaction().undone_by, world.advice().code) == ("v", "P20")


@pytest.mark.parametrize("goods", [None, "held", "released"])
@pytest.mark.parametrize("kind", ["preauth", "preauth_void"])
def test_no_file_says_anything_about_a_hold_so_it_stays_somebodys_until_a_person_closes_it(kind: str, goods: str | None) -> None:
    world = World()
    world.doubt(kind=kind, original=Original("000001", "000000", "1231"))
    world.connect()
    world.reply("94")
    if goods is not None:
        say(world, goods=goods)
    final(world)
    world.go_to(30 * DAY)
    assert world.states() == ("unresolved", "refused")
    incident = world.incident("in_doubt")
    assert (incident.open, incident.owner, incident.next_action) == (True, "operator", "call_acquirer")
    assert not world.told("settlement.reminder"), "no file is missing"
    close(world, "no_action")
    assert world.transaction().state == "resolved"


def test_a_void_by_hand_that_was_not_booked_is_a_refund() -> None:
    world = World(sends_per_opportunity=1)
    world.doubt()
    world.connect()
    world.go_to(31 * SECOND)
    world.void()
    world.result("approved", "v")
    final(world, line())
    assert (account(world).case, world.advice().code) == ("refund", "P14c")


def test_undone_by_hand_with_a_0400_under_way_is_fenced_with_its_answer() -> None:
    world = World()
    world.doubt()
    world.connect()
    say(world, by_hand="voided")
    assert world.states() == ("reversing", "sending")
    world.reply("96")
    assert world.states() == ("unresolved", "fenced")
    assert len(world.sends()) == 1


def test_a_0400_accepted_beside_a_refund_by_hand_is_a_second_credit() -> None:
    world = World()
    world.doubt()
    world.connect()
    say(world, by_hand="refunded")
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert "credited_twice" in world.incidents()


def test_what_is_not_in_doubt_cannot_be_undone_by_hand() -> None:
    world = World()
    world.open()
    world.result("approved")
    with pytest.raises(Exception, match="nothing of it is left"):
        say(world, by_hand="refunded")


# ── reminders ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_once_a_day_people_are_reminded_of_what_waits_for_them() -> None:
    world = stuck()
    final(world, line())
    count = len(world.told("settlement.reminder"))
    world.at(DAY)
    world.open("b", stan="000002", card_hmac="11" * 8)
    world.result("approved", "b")
    told = world.told("settlement.reminder")[count:]
    assert [(fact.transaction, fact.data["case"]) for fact in told] == [("a", "contact")]


def test_a_file_that_did_not_come_is_asked_for() -> None:
    world = stuck()
    world.at(5 * DAY)
    world.boot()
    assert world.told("settlement.reminder")[-1].data["case"] == "import"
    assert world.incident("in_doubt").next_action == "import_settlement"


def test_a_day_that_only_the_host_named_is_no_date_to_count_from() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("94")
    row = world.transaction()
    world.state.absorb([replace(row, sent=replace(row.opened, day="h0302"))])
    bring(world, days=tuple(range(D0 - 2, D0)))
    assert bring(world, line(), days=(D0, D0 + 1)).matched == 1
