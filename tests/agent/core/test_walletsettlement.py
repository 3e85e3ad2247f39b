"""The next day of a wallet's order: found by its order number, final by the wallet's own files, refunded by the wallet itself."""

from typing import Any

import pytest

from agent.core import event as e
from agent.core.accounts import Account, Settled
from agent.core.change import AskWallet, Rejected, Report
from agent.core.model import Disposition, Evidence, Refund
from agent.core.wallets import DEFAULTS, WalletRule
from tests.agent.core.books import D0, bring, line, say
from tests.agent.core.till import ORDER_NO, Till
from tests.agent.core.world import DAY, HOUR, SECOND

WALLET = ("wechat",)
LATER = tuple(range(D0 - 1, D0 + 5))  # every day that may still bring its line


def scanned(key: str = "000001", direction: str = "debit", amount_fen: int = 100, *, day: int = D0, **more: Any) -> Settled:
    """A line of the wallet's own file: it knows the order number, and neither batch nor STAN."""
    values = {"stan": None, "batch": None, "order_no": ORDER_NO + key} | more
    return line(direction=direction, amount_fen=amount_fen, day=day, **values)


def final(till: Till, *lines: Settled, covers: tuple[str, ...] = WALLET) -> Report:
    """The wallet's file of the day, and one of each day after it."""
    bring(till, *lines, days=(D0,), covers=covers)
    return bring(till, days=LATER, covers=covers)


def account(till: Till) -> Account:
    found = till.transaction().account
    assert found is not None
    return found


def item(till: Till) -> Refund:
    found = till.transaction().refund
    assert found is not None
    return found


def given_up(wallet: str = "wechat", **policy: Any) -> Till:
    """An order that could not be cleared up: the gateway said nothing that helps, no cancel was asked for."""
    rules = tuple(WalletRule(name=rule.name, cancel=False, queries_max=1) for rule in DEFAULTS)
    till = Till(wallet, **{"wallets": rules} | policy)
    till.lose()
    till.says("unknown")
    assert till.transaction().state == "unresolved"
    return till


def cancelled(said: str = "closed") -> Till:
    """A WeChat order that was cancelled and closed, and looked at for the last time."""
    till = Till()
    till.lose()
    till.kinds("not_paid", 31 * SECOND)
    for _ in till.keep_saying(said, HOUR):
        pass
    assert till.transaction().state == said
    return till


def paid() -> Till:
    till = Till()
    till.scan()
    till.result("approved")
    return till


# ── whose line is it ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_order_number_and_amount_find_the_order() -> None:
    till = given_up()
    assert bring(till, scanned(), covers=WALLET).matched == 1
    assert [booked.amount_fen for booked in account(till).lines] == [100]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"amount_fen": 101}, "amount"), ({"order_no": "another"}, "unknown"), ({"order_no": None}, "unknown"),
        ({"order_no": "another", "batch": "000001", "stan": "000001"}, "order"),
    ],
)
def test_a_line_that_differs_is_unmatched(wrong: dict[str, Any], why: str) -> None:
    till = given_up()
    report = bring(till, scanned(**wrong), covers=WALLET)
    assert [found.why for found in report.unmatched] == [why]
    assert (till.transaction().account is None) == (why != "amount"), "another amount is a person's to compare"
    assert till.told("settlement.unmatched")[0].data["why"] == why


def test_the_order_number_goes_before_batch_and_stan() -> None:
    till = given_up()
    till.open("c", stan="000009")
    till.result("approved", "c")
    assert bring(till, scanned(batch="000001", stan="000009"), covers=WALLET).matched == 1
    assert account(till).lines != ()
    assert till.transaction("c").account is None


def test_an_acquirers_own_order_number_says_nothing_of_a_card() -> None:
    till = Till()
    till.doubt()
    assert bring(till, line(order_no="acquirer-77")).matched == 1


def test_a_number_that_was_opened_again_after_it_never_left_means_the_one_that_did() -> None:
    till = Till()
    till.scan(ask=False)
    till.boot()
    assert till.transaction().state == "not_sent"
    till.scan("b", stan="000002", order_no=ORDER_NO + "000001")
    till.result("approved", "b")
    assert bring(till, scanned(), scanned(direction="credit"), covers=WALLET).matched == 2
    assert (till.transaction().account, till.transaction("b").account is None) == (None, False)


# ── when is it final ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_card_acquirers_files_say_nothing_of_a_wallet_and_the_other_way_round() -> None:
    till = given_up()
    till.open("c", stan="000009")
    till.result("declined", "c", response_code="96")
    bring(till, days=LATER, covers=("card",))
    assert till.transaction().account is None
    assert till.transaction("c").state == "resolved"
    bring(till, days=LATER, covers=("alipay",))
    assert till.transaction().account is None
    bring(till, days=LATER, covers=WALLET)
    assert (account(till).verdict, account(till).final) == ("not_settled", True)


def test_a_booking_is_final_only_after_that_wallets_next_file() -> None:
    till = given_up()
    bring(till, scanned(), covers=WALLET)
    bring(till, days=(D0 + 1,), covers=("card", "alipay"))
    assert (account(till).verdict, account(till).final, till.advice().code) == ("settled", False, "P7w")
    bring(till, days=(D0 + 1,), covers=WALLET)
    assert (account(till).final, till.advice().code) == (True, "P15")


def test_a_wallet_settles_on_weekends_and_holidays_too_unless_it_says_otherwise() -> None:
    for settles, final_at in (("daily", False), ("acquirer", True)):
        rules = tuple(WalletRule(name=rule.name, cancel=False, queries_max=1, settles=settles) for rule in DEFAULTS)  # type: ignore[arg-type]
        till = given_up(wallets=rules, holidays=(D0 + 1, D0 + 2))
        bring(till, days=(D0 - 1, D0, D0 + 3, D0 + 4, D0 + 5), covers=WALLET)
        assert (till.transaction().account is not None) is final_at
        bring(till, days=(D0 + 1, D0 + 2), covers=WALLET)
        assert account(till).final


def test_a_missing_line_means_nothing_while_the_file_of_the_evening_before_is_missing() -> None:
    till = given_up()
    bring(till, days=LATER[1:], covers=WALLET)  # its day ends at midnight, the host's business day at 23:00
    assert till.transaction().account is None
    bring(till, days=LATER[:1], covers=WALLET)
    assert account(till).final


def test_an_order_before_midnight_stands_in_the_wallets_file_of_that_date() -> None:
    till = given_up()
    bring(till, days=LATER[1:], covers=WALLET)
    bring(till, scanned(day=D0 - 1), days=(D0 - 1,), covers=WALLET)
    assert (account(till).verdict, account(till).final) == ("settled", True)


def test_what_waits_for_a_wallets_file_is_asked_for_by_its_own_calendar() -> None:
    till = given_up(holidays=(D0 + 1, D0 + 2, D0 + 3, D0 + 4))
    till.at(5 * DAY)
    till.boot()
    assert till.incident("in_doubt").next_action == "import_settlement"


# ── what is owed ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "lines", "case", "code"),
    [
        ({}, 1, "contact", "P15"), ({"goods": "held"}, 1, "contact", "P15a"), ({"goods": "released"}, 1, "even", "N6a"),
        ({"replaced_by": "cash"}, 1, "refund", "P14"), ({"goods": "returned"}, 1, "refund", "P14c"),
        ({}, 0, "collect", "P16a"), ({"goods": "released"}, 0, "collect", "P16"), ({"goods": "held"}, 0, "even", "N6a"),
        ({"replaced_by": "cash", "goods": "released"}, 0, "even", "N6a"),
    ],
)
def test_a_doubt_goes_with_the_disposition_as_a_cards_does(said: dict[str, Any], lines: int, case: str, code: str) -> None:
    till = given_up()
    if said:
        say(till, **said)
    final(till, *[scanned()] * lines)
    assert (account(till).case, till.advice().code) == (case, code)
    assert not till.advice().may_pay_again


def test_a_cancel_that_is_booked_late_is_netted_and_nothing_is_owed() -> None:
    till = cancelled()
    bring(till, scanned(), covers=WALLET)
    assert (till.advice().code, till.advice().may_pay_again) == ("P7w", False)
    bring(till, scanned(direction="credit", day=D0 + 1), days=(D0 + 1,), covers=WALLET)
    bring(till, days=(D0 + 2,), covers=WALLET)
    assert (account(till).verdict, account(till).case, till.transaction().open) == ("not_settled", "even", False)
    assert till.advice().code == "P10"
    assert "settlement" not in till.incidents()


@pytest.mark.parametrize("said", ["closed", "refunded"])
def test_booked_though_the_wallet_said_closed_or_refunded_is_compared_by_hand_and_nobody_pays(said: str) -> None:
    till = cancelled(said)
    final(till, scanned())
    assert (account(till).case, till.advice().code, till.transaction().refund) == ("uneven", "P14b", None)
    assert till.incident("settlement").next_action == "compare_by_hand"


def test_closed_and_booked_all_the_same_and_paid_again_is_a_refund() -> None:
    till = cancelled()
    say(till, replaced_by="cash")
    final(till, scanned())
    assert (account(till).case, till.advice().code) == ("refund", "P14")


def test_two_orders_of_a_basket_that_are_both_booked_are_a_double() -> None:
    till = Till(wallets=tuple(WalletRule(name=rule.name, cancel=False, queries_max=1) for rule in DEFAULTS))
    till.lose(basket_id="b1")
    till.says("unknown")
    till.do(e.DispositionGiven(transaction="a", disposition=Disposition(accepts_risk=True)))
    till.scan("b", stan="000002", basket_id="b1")
    till.result("approved", "b")
    final(till, scanned(), scanned("000002"))
    assert (account(till).case, till.advice().code) == ("refund", "P14")


def test_a_paid_order_that_no_file_has_is_collected_after_the_grace_day() -> None:
    till = paid()
    bring(till, absent=("a",), covers=WALLET)
    assert till.transaction().open
    bring(till, days=LATER, covers=WALLET)
    assert (till.advice().code, till.incident("settlement").next_action) == ("P16", "collect_payment")


@pytest.mark.parametrize(
    ("credits_fen", "case"), [((100,), "even"), ((40,), "even"), ((40, 60), "even"), ((70, 70), "uneven"), ((40, 70), "uneven")]
)
def test_what_the_merchant_refunded_himself_is_no_case(credits_fen: tuple[int, ...], case: str) -> None:
    till = paid()
    parts = [scanned(direction="credit", amount_fen=fen, nth=nth) for nth, fen in enumerate(credits_fen, 1)]
    final(till, scanned(), *parts)
    assert account(till).case == case


def test_more_than_the_order_was_never_refunded_by_one_line() -> None:
    till = paid()
    report = bring(till, scanned(direction="credit", amount_fen=101), covers=WALLET)
    assert [found.why for found in report.unmatched] == ["amount"]


def test_a_refunded_part_beside_another_payment_is_somebodys() -> None:
    till = paid()
    say(till, replaced_by="cash")
    final(till, scanned(), scanned(direction="credit", amount_fen=40))
    assert account(till).case == "uneven"


def test_the_wallet_is_heard_while_the_files_come_and_the_case_follows() -> None:
    till = given_up()
    final(till, scanned())
    assert till.advice().code == "P15"
    till.do(e.EvidenceGiven(transaction="a", evidence=Evidence(kind="wallet_record")))
    till.asked()
    say(till, goods="released")
    assert till.transaction().state == "unresolved", "an answer is awaited"
    till.says("paid")
    assert (till.transaction().state, account(till).case, till.incidents()) == ("paid", "even", set())


def test_an_even_case_waits_for_the_call_under_way() -> None:
    till = given_up()
    till.do(e.EvidenceGiven(transaction="a", evidence=Evidence(kind="wallet_record")))
    till.asked()
    say(till, goods="held")
    final(till)
    assert (till.transaction().state, account(till).case) == ("unresolved", "even")
    till.says("unknown")
    assert till.transaction().state == "resolved"


# ── the refund goes through the wallet ───────────────────────────────────────────────────────────────────────────────


def due() -> Till:
    """An order whose doubt was paid in cash, and which the files show as booked."""
    till = given_up()
    say(till, replaced_by="cash")
    final(till, scanned())
    assert item(till).state == "wanted"
    return till


def confirm(till: Till, **more: Any) -> None:
    till.do(e.RefundReported(transaction="a", by="Li", confirmed=True, **more))


def test_nothing_is_refunded_before_a_person_confirmed_it() -> None:
    till = due()
    till.go_to(DAY)
    assert [call.call for call in till.calls()] == ["query"]


def test_a_confirmed_refund_is_asked_of_the_wallet_once_and_closes_the_case() -> None:
    till = due()
    confirm(till)
    assert (till.asked().call, till.incident("in_doubt").next_action) == ("query", "see_money_back")
    till.says("paid")
    asked = till.asked()
    assert (asked.call, asked.amount_fen, asked.refund_no) == ("refund", 100, item(till).number.replace("-", ""))
    till.says("refunded")
    assert till.asked().call == "query", "a call that succeeded is not money that came back"
    till.says("refunded")
    assert (item(till).state, item(till).refunded_fen) == ("done", 100)
    assert (till.transaction().state, account(till).case, till.incidents()) == ("refunded", "even", set())
    bring(till, scanned(direction="credit", day=D0 + 6), days=(D0 + 6, D0 + 7), covers=WALLET)
    assert (account(till).case, till.transaction().open) == ("even", False)


def test_what_the_wallet_has_refunded_already_is_not_refunded_again() -> None:
    till = due()
    confirm(till)
    till.says("refunded")
    assert [call.call for call in till.calls()] == ["query", "query"]
    assert item(till).state == "done"


def test_a_refund_whose_answer_was_lost_is_repeated_under_the_same_number() -> None:
    till = due()
    confirm(till)
    till.says("paid")
    till.fails("unknown")
    till.says("paid")
    till.go_to(till.now_ms + HOUR)
    numbers = [call.refund_no for call in till.calls() if call.call == "refund"]
    assert len(numbers) >= 2
    assert len(set(numbers)) == 1


def test_a_restart_in_the_middle_of_the_refund_asks_first() -> None:
    till = due()
    confirm(till)
    till.says("paid")
    till.boot(new=True)
    till.go_to(till.now_ms + SECOND)
    assert till.calls()[-1].call == "query"
    till.says("refunded")
    assert item(till).state == "done"


def test_a_gateway_out_of_reach_is_tried_again() -> None:
    till = due()
    confirm(till)
    till.fails("not_reached")
    assert till.transaction().due_ms is not None
    till.do(e.NetworkChanged())
    till.says("paid")
    till.fails("not_reached")
    assert till.order().refunds == 0
    till.do(e.NetworkChanged())
    assert till.calls()[-1].call == "refund"


@pytest.mark.parametrize(
    ("said", "following"), [("paid", "make_refund"), ("closed", "compare_by_hand"), ("unknown", "make_refund")]
)
def test_where_the_wallet_does_not_refund_a_person_does(said: str, following: str) -> None:
    till = due()
    confirm(till)
    for _ in till.keep_saying(said, 2 * DAY):
        pass
    assert (item(till).state, till.order().owed_fen, till.transaction().due_ms) == ("open", 0, None)
    assert till.incident("in_doubt").next_action == following
    till.do(e.RefundReported(transaction="a", by="Li", amount_fen=100))
    assert (item(till).state, till.transaction().state) == ("done", "resolved")


def test_where_it_is_not_known_whether_the_wallet_refunded_a_person_looks_before_paying() -> None:
    till = due()
    confirm(till)
    till.says("paid")
    for _ in till.keep_saying("unknown", 2 * DAY):
        pass
    assert till.incident("in_doubt").next_action == "compare_by_hand"


def test_while_the_wallet_refunds_nobody_else_may() -> None:
    till = due()
    confirm(till)
    for event in (
        e.RefundReported(transaction="a", by="Li", amount_fen=100),
        e.IncidentResolved(incident=till.incident("in_doubt").id, transaction="a", resolution="refunded", by="Li"),
    ):
        with pytest.raises(Rejected) as refused:
            till.do(event)
        assert refused.value.code == "refund-under-way"


def test_an_amount_beside_the_confirmation_says_that_a_person_made_it() -> None:
    till = due()
    confirm(till, amount_fen=100)
    assert [call.call for call in till.calls()] == ["query"]
    assert item(till).state == "done"


def test_without_the_wallets_rules_a_person_refunds() -> None:
    till = due()
    till.do(e.Configured(policy=till.policy.__class__()))
    confirm(till)
    assert [call.call for call in till.calls()] == ["query"]
    assert till.incident("in_doubt").next_action == "make_refund"


def test_a_paid_order_that_is_refunded_as_a_double_releases_nothing_any_more() -> None:
    till = paid()
    say(till, goods="returned")
    final(till, scanned())
    assert item(till).state == "wanted"
    confirm(till)
    till.says("paid")
    till.says("refunded")
    till.says("refunded")
    assert till.word()[:3] == ("refunded", "N9", True)


def test_a_call_under_way_is_waited_for_before_a_refund_is_confirmed() -> None:
    till = due()
    till.do(e.EvidenceGiven(transaction="a", evidence=Evidence(kind="wallet_record")))
    with pytest.raises(Rejected) as refused:
        confirm(till)
    assert refused.value.code == "still-reversing"
    assert isinstance(till.calls()[-1], AskWallet)
