"""The wallet rail: asked before anything is believed, cancelled only by its rule, queried after every cancel, bounded."""

from typing import Any

import pytest

from agent.core import event as e
from agent.core.change import AskReceipt, Rejected
from agent.core.evidence import EVIDENCE_MAX
from agent.core.lifecycle import WALLET
from agent.core.model import Disposition, Evidence
from agent.core.wallets import ALIPAY, DEFAULTS, WECHAT, WalletRule
from tests.agent.core.till import Till
from tests.agent.core.world import DAY, HOUR, MERCHANT, MINUTE, MORNING_MS, RECEIPT, SECOND

HELD = (True, False)  # hold the goods, do not pay again
HASTY = WalletRule(name="wechat", give_up_ms=0, cancel_after_ms=15 * SECOND, poll_ms=SECOND, paying_poll_ms=SECOND)


def accept(till: Till, key: str = "a") -> None:
    till.do(e.DispositionGiven(transaction=key, disposition=Disposition(accepts_risk=True)))


def show(till: Till, **other: Any) -> dict[str, str]:
    """The customer shows the wallet's own record, complete unless the test says otherwise."""
    row = till.transaction()
    assert row.order is not None
    shown: dict[str, Any] = {
        "kind": "wallet_record", "amount_fen": 100, "order_no": row.order.order_no, "merchant": MERCHANT,
        "at": "2026-03-02 10:00:30",
    } | other
    return till.do(e.EvidenceGiven(transaction="a", evidence=Evidence(**shown))).agreement


# ── opening and permission ───────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_wallet_section_the_rail_is_refused() -> None:
    till = Till(wallets=())
    with pytest.raises(Rejected) as refused:
        till.scan()
    assert (refused.value.status, refused.value.code) == (400, "rail-not-configured")


def test_only_a_sale_can_be_opened_on_a_wallet() -> None:
    with pytest.raises(Rejected) as refused:
        Till().scan(kind="refund")
    assert refused.value.code == "kind-not-supported"


def test_permission_works_as_for_a_card() -> None:
    till = Till()
    assert till.scan(ask=False).proceed is None
    assert till.word() == ("intent", "N1w", *HELD)
    assert till.ask().proceed == "go"
    assert till.word() == ("sent", "N2", *HELD)
    assert till.scan("b", stan="000002").proceed == "wait"


def test_a_pending_reversal_of_a_card_does_not_keep_a_customer_from_a_wallet() -> None:
    till = Till()
    till.doubt("c", stan="000009")
    assert till.scan().proceed == "go"


def test_the_result_of_the_app_is_the_decision() -> None:
    till = Till()
    till.scan()
    till.result("approved", receipt=RECEIPT, job="r")
    assert till.word() == ("paid", "N3", False, False)
    assert till.result("approved").conflict is None
    assert till.result("no_answer").conflict == "contradiction"
    till = Till()
    till.scan()
    till.result("declined")
    assert till.word() == ("declined", "N4", True, True)
    assert till.calls() == []


def test_an_intent_that_never_got_go_is_proved_not_sent() -> None:
    till = Till()
    till.scan(ask=False)
    till.boot()
    assert till.word() == ("not_sent", "N5", True, True)


@pytest.mark.parametrize("outcome", ["no_answer", "bad_mac", "not_sent", "approved_not_completed"])
def test_every_other_outcome_asks_the_wallet(outcome: str) -> None:
    till = Till()
    till.scan()
    till.result(outcome)
    assert till.word() == ("querying", "P8", *HELD)
    assert till.asked().call == "query"
    assert till.incidents() == {"in_doubt"}


def test_an_uncertain_decline_asks_the_wallet_too() -> None:
    till = Till()
    till.scan()
    till.result("declined", response_code="91")
    assert till.transaction().state == "querying"


def test_an_order_is_never_called_a_card() -> None:
    till = Till()
    till.scan()
    assert (till.advice().code, "(order …0001)" in till.advice().en_long) == ("N2", True)
    till.result("declined")
    assert (till.advice().code, "(order …0001)" in till.advice().en_long) == ("N4", True)
    till.scan("b", stan="000002")
    assert till.advice().en_long.startswith("Earlier customer (order …0001): ")


def test_silence_of_the_app_asks_the_wallet_at_the_deadline() -> None:
    till = Till()
    till.scan()
    till.go_to(65 * SECOND)
    assert till.asked().call == "query"
    case = till.incident("in_doubt")
    assert (case.owner, case.next_action) == ("cashier", "hold_goods_and_query"), "a wallet has no reversal to wait for"


# ── the query decides ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_paid_by_the_query_releases_the_goods_and_asks_for_the_receipt() -> None:
    till = Till()
    till.lose()
    till.says("paid")
    assert till.word() == ("paid", "P9", False, False)
    assert till.incidents() == set()
    assert [effect for effect in till.effects if isinstance(effect, AskReceipt)] != []
    assert till.result("no_answer").conflict is None
    assert till.result("declined").conflict == "contradiction"
    till.do(e.ReceiptGiven(transaction="a", jobs=("r",), document=RECEIPT))
    assert len(till.printed()) == 1


@pytest.mark.parametrize("amount_fen", [99, 101, None])
def test_paid_with_another_amount_is_not_paid(amount_fen: int | None) -> None:
    till = Till()
    till.lose()
    till.says("paid", amount_fen=amount_fen)
    assert till.word() == ("querying", "P8", *HELD)
    assert "wallet_mismatch" in till.incidents()


@pytest.mark.parametrize("state", ["not_paid", "not_found", "paying", "unknown"])
def test_interim_answers_decide_nothing(state: str) -> None:
    till = Till()
    till.lose()
    till.says(state)
    assert till.word() == ("querying", "P8", *HELD)
    till.go_to(5 * SECOND)
    assert till.asked().call == "query"


def test_an_answer_to_an_earlier_call_is_no_news() -> None:
    till = Till()
    number = till.lose().number
    till.fails("unknown")
    till.go_to(5 * SECOND)
    till.do(e.WalletAnswered(transaction="a", number=number, outcome="answered", state="paid", amount_fen=100))
    assert till.transaction().state == "querying"


def test_an_order_that_the_wallet_closed_by_itself_is_closed() -> None:
    till = Till()
    till.lose()
    till.says("closed")
    assert till.word() == ("closed", "P10", True, True)
    assert till.incidents() == set()
    assert till.order().cancels == 0


# ── cancelled only by the rule ───────────────────────────────────────────────────────────────────────────────────────────


def test_wechat_is_asked_for_30_seconds_then_cancelled_then_asked_again() -> None:
    till = Till()
    till.scan()
    till.result("no_answer")
    assert till.kinds("not_paid", 30 * SECOND) == [
        (0, "query"), (5, "query"), (10, "query"), (15, "query"), (20, "query"), (25, "query"), (30, "query"),
        (30, "cancel"), (30, "query"),
    ]
    assert till.word() == ("cancelling", "P8", *HELD)


def test_alipay_is_asked_for_60_seconds_and_cancelled_at_once_after_the_last_query() -> None:
    till = Till("alipay")
    till.scan()
    till.result("no_answer")
    seen = till.kinds("paying", 60 * SECOND)
    assert seen[-3:] == [(60, "query"), (60, "cancel"), (60, "query")]
    assert all(kind == "query" for _, kind in seen[:-2])


def test_a_paying_wechat_customer_is_not_cancelled_but_asked_slower() -> None:
    till = Till()
    till.scan()
    till.result("no_answer")
    assert till.kinds("paying", 3 * MINUTE) == [
        (second, "query") for second in (0, 5, 10, 15, 20, 25, 30, 90, 150)
    ]


def test_wechat_is_never_cancelled_in_the_first_15_seconds_after_the_payment() -> None:
    till = Till(wallets=(HASTY,))
    till.scan()
    till.result("no_answer")
    first = next(second for second, kind in till.kinds("not_paid", MINUTE) if kind == "cancel")
    assert first == 15


def test_a_new_boot_proves_no_age_so_wechat_waits_again() -> None:
    till = Till(wallets=(HASTY,))
    till.lose()
    till.fails("not_reached")
    till.at(14 * SECOND)
    till.boot(new=True)
    till.seen = len(till.calls())
    first = next(second for second, kind in till.kinds("not_paid", MINUTE) if kind == "cancel")
    assert first == 15


@pytest.mark.parametrize(("rule", "window_ms"), [(WECHAT, 7 * DAY), (ALIPAY, DAY)])
def test_after_its_window_an_order_is_not_cancelled_but_left_to_the_settlement(rule: WalletRule, window_ms: int) -> None:
    assert rule.cancel_window_ms == window_ms
    till = Till(rule.name)
    till.lose()
    till.fails("not_reached")
    till.boot_id = "later"
    assert till.wall_at_zero_ms is not None
    till.wall_at_zero_ms += window_ms + MINUTE
    till.seen = len(till.calls())
    till.boot()
    seen = till.kinds("not_paid", HOUR)
    assert {kind for _, kind in seen} == {"query"}
    assert till.word() == ("unresolved", "P5w", *HELD)


def test_a_wallet_that_cannot_be_cancelled_is_asked_slowly_until_the_bound() -> None:
    till = Till(wallets=(WalletRule(name="wechat", cancel=False, queries_max=20),))
    till.scan()
    till.result("no_answer")
    assert {kind for _, kind in till.kinds("not_paid", DAY)} == {"query"}
    assert till.order().queries == 20
    assert till.transaction().state == "unresolved"


# ── after the cancel ─────────────────────────────────────────────────────────────────────────────────────────────────────


def cancelled(wallet: str = "wechat", **policy: Any) -> Till:
    """The cancel is under way."""
    till = Till(wallet, **policy)
    till.scan()
    till.result("no_answer")
    for call in till.keep_saying("not_paid", HOUR):
        if call.call == "cancel":
            break
    return till


def test_a_cancel_that_was_answered_is_believed_only_after_a_query() -> None:
    till = cancelled()
    till.says("closed", retry=False)
    assert till.asked().call == "query"
    assert till.word() == ("cancelling", "P8", *HELD)
    till.says("closed")
    assert till.word() == ("closed", "P10", True, True)
    assert till.incidents() == set()


def test_a_cancel_without_an_answer_is_unknown_and_the_same_cancel_is_repeated() -> None:
    till = cancelled()
    till.fails("unknown")
    assert till.transaction().state == "cancel_unknown"
    assert till.asked().call == "query"
    till.says("not_paid")
    till.go_to(till.now_ms + 5 * SECOND)
    assert till.asked().call == "cancel"
    assert till.word() == ("cancelling", "P8", *HELD)
    till.says("closed")
    till.asked()
    till.says("closed")
    assert till.transaction().state == "closed"
    assert till.order().cancels == 2


def test_a_lying_gateway_is_cancelled_at_most_ten_times_each_with_a_query_then_left_to_the_settlement() -> None:
    till = Till()
    till.scan()
    till.result("no_answer")
    seen = [kind for _, kind in till.kinds("not_paid", DAY, cancel="closed")]
    assert seen.count("cancel") == WECHAT.cancels_max
    for index, kind in enumerate(seen):
        assert kind == "query" or seen[index + 1] == "query"
    assert till.word() == ("unresolved", "P5w", *HELD)
    assert till.incident("in_doubt").owner == "operator"
    assert till.next_deadline_ms is None or till.next_deadline_ms > till.now_ms


def test_a_refused_cancel_is_not_repeated() -> None:
    till = cancelled()
    till.says("not_paid", retry=False)
    assert till.asked().call == "query"
    assert {kind for _, kind in till.kinds("not_paid", DAY)} == {"query"}
    assert till.transaction().state == "unresolved"


def test_paid_after_a_cancel_is_never_a_release_but_cancelled_again() -> None:
    till = cancelled()
    till.says("closed")
    till.asked()
    till.says("paid")
    assert till.word() == ("cancelling", "N9", *HELD)
    assert "paid_after_cancel" in till.incidents()
    assert till.asked().call == "cancel"
    till.says("refunded")
    till.asked()
    till.says("refunded")
    assert till.word() == ("refunded", "N9", True, False)
    assert till.incidents() == set()


def test_where_no_cancel_is_taken_any_more_it_is_refunded_once_under_one_number() -> None:
    till = cancelled()
    till.says("not_paid", retry=False)
    till.asked()
    till.says("paid")
    refund = till.asked()
    assert (refund.call, refund.amount_fen) == ("refund", 100)
    till.fails("unknown")
    till.asked()
    till.says("paid")
    till.go_to(till.now_ms + 5 * SECOND)
    again = till.asked()
    assert (again.call, again.refund_no) == ("refund", refund.refund_no)
    till.says("refunded")
    till.asked()
    till.says("refunded")
    assert till.transaction().state == "refunded"


def test_a_refund_that_never_comes_about_ends_with_a_person() -> None:
    till = cancelled()
    till.says("not_paid", retry=False)
    till.asked()
    till.says("paid")
    seen = [kind for _, kind in till.kinds("paid", DAY)]
    assert seen.count("refund") == WECHAT.refunds_max
    assert "cancel" not in seen
    assert till.transaction().state == "unresolved"
    assert till.incident("paid_after_cancel").open


def test_a_payment_that_comes_after_the_close_is_sent_back() -> None:
    till = cancelled()
    till.says("closed")
    till.asked()
    till.says("closed")
    assert till.advice().may_pay_again
    till.go_to(till.now_ms + MINUTE)
    till.asked()
    till.says("paid")
    assert till.word() == ("cancelling", "N9", *HELD)
    assert till.incidents() == {"in_doubt", "paid_after_cancel"}


def test_a_close_without_our_cancel_that_turns_out_paid_is_refunded_not_released() -> None:
    till = Till()
    till.lose()
    till.says("closed")
    till.go_to(till.now_ms + MINUTE)
    till.asked()
    till.says("paid")
    assert till.asked().call == "refund"
    assert till.word() == ("cancelling", "N9", *HELD)


def test_a_closed_order_is_looked_at_twice_more_and_then_left_in_peace() -> None:
    till = Till()
    till.scan()
    till.result("no_answer")
    seen = till.kinds("closed", DAY)
    assert seen == [(0, "query"), (60, "query"), (660, "query")]
    assert till.next_deadline_ms is None
    assert not till.transaction().open


def test_a_second_look_that_saw_nothing_is_made_again() -> None:
    till = Till()
    till.lose()
    till.says("closed")
    till.go_to(till.now_ms + MINUTE)
    till.asked()
    till.fails("unknown")
    till.go_to(till.now_ms + MINUTE)
    till.asked()
    till.says("paid")
    assert till.transaction().state == "cancelling"


ONCE = WalletRule(name="wechat", cancel=False, queries_max=1, looks_max=5)


def closed_by_its_last_query() -> Till:
    """The one query that may be asked says closed."""
    till = Till(wallets=(ONCE,))
    till.lose()
    till.says("closed")
    assert (till.transaction().state, till.order().queries) == ("closed", ONCE.queries_max)
    return till


def test_the_looks_at_a_closed_order_have_a_limit_of_their_own_whatever_was_asked_before() -> None:
    till = closed_by_its_last_query()
    looks = 0
    while till.next_deadline_ms is not None and looks < 20:
        till.go_to(till.next_deadline_ms)
        till.asked()
        till.fails("unknown")
        looks += 1
    assert (looks, till.order().looks, till.order().queries) == (5, 5, 1)
    assert not till.transaction().open


def test_a_look_that_never_left_is_none() -> None:
    till = closed_by_its_last_query()
    till.go_to(till.now_ms + MINUTE)
    for _ in range(3):
        till.asked()
        till.fails("not_reached")
        assert till.next_deadline_ms is not None
        till.go_to(till.next_deadline_ms)
    assert (till.order().looks, till.order().asked, till.order().queries) == (1, 2, 1), "only the one under way"


def test_a_payment_that_the_last_look_finds_is_still_given_back() -> None:
    till = closed_by_its_last_query()
    for _ in range(ONCE.looks_max):
        assert till.next_deadline_ms is not None
        till.go_to(till.next_deadline_ms)
        till.asked()
        if till.order().looks < ONCE.looks_max:
            till.fails("unknown")
    till.says("paid")
    assert (till.transaction().state, till.asked().call) == ("cancelling", "refund")


def test_out_of_reach_a_closed_order_waits_a_week_for_its_second_look() -> None:
    till = Till("alipay")
    till.lose()
    till.says("closed")
    till.go_to(till.now_ms + MINUTE)
    while till.next_deadline_ms is not None:
        assert till.now_ms <= 7 * DAY + HOUR
        till.fails("not_reached")
        if till.next_deadline_ms is not None:
            till.go_to(till.next_deadline_ms)
    assert till.now_ms >= 7 * DAY
    assert till.transaction().state == "closed"


def test_evidence_on_a_closed_order_takes_no_second_look_away() -> None:
    till = Till()
    till.lose()
    till.says("closed")
    for _ in range(3):
        show(till)
        till.asked()
        till.says("closed")
    assert [kind for _, kind in till.kinds("closed", DAY)] == ["query", "query"]


def test_a_late_word_of_the_app_on_a_closed_order_is_evidence_that_asks_again() -> None:
    till = Till()
    till.lose()
    till.says("closed")
    assert till.result("approved").conflict == "in-doubt"
    till.asked()
    till.says("paid")
    assert till.transaction().state == "cancelling"


# ── offline, bounds, restarts ────────────────────────────────────────────────────────────────────────────────────────────


def test_offline_time_is_not_counted_and_no_call_that_did_not_leave() -> None:
    till = Till()
    till.lose()
    for _ in range(100):
        till.fails("not_reached")
        assert till.next_deadline_ms is not None
        till.go_to(till.next_deadline_ms)
        till.asked()
    assert (till.order().online_ms, till.order().queries) == (0, 1)
    assert till.word() == ("querying", "N8", *HELD)
    till.says("paid")
    assert till.transaction().state == "paid"


def test_offline_it_is_tried_slower_and_at_once_when_the_network_changes() -> None:
    till = Till()
    till.lose()
    waits = []
    for _ in range(8):
        till.fails("not_reached")
        assert till.next_deadline_ms is not None
        waits.append((till.next_deadline_ms - till.now_ms) // SECOND)
        till.go_to(till.next_deadline_ms)
        till.asked()
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    till.fails("not_reached")
    till.do(e.NetworkChanged())
    assert till.asked().call == "query"


def test_of_several_orders_out_of_reach_the_oldest_tries_for_all() -> None:
    till = Till()
    till.lose()
    till.fails("not_reached")
    till.lose("b", stan="000002")
    till.fails("not_reached", "b")
    till.go_to(5 * SECOND)
    assert till.asked().transaction == "a"
    till.says("not_paid")
    assert till.asked().transaction == "b"


def test_a_cancel_of_which_no_byte_left_was_never_asked_for() -> None:
    till = cancelled()
    till.fails("not_reached")
    assert (till.transaction().state, till.order().cancels) == ("querying", 0)
    till.go_to(till.now_ms + 5 * SECOND)
    till.asked()
    till.says("paid")
    assert till.word() == ("paid", "P9", False, False)


def test_a_silent_gateway_is_online_and_the_order_is_cancelled_in_time() -> None:
    till = Till()
    till.lose()
    while till.transaction().state == "querying":
        assert till.next_deadline_ms is not None
        till.go_to(till.next_deadline_ms)
    assert till.now_ms <= MINUTE
    assert till.calls()[-1].call == "cancel"


def test_queries_and_online_time_have_their_bounds() -> None:
    till = Till()
    till.scan()
    till.result("no_answer")
    seen = till.kinds("paying", 7 * DAY)
    assert till.transaction().state == "unresolved"
    assert len(seen) <= WECHAT.queries_max
    assert till.order().online_ms <= WECHAT.online_max_ms + MINUTE


def test_sleep_does_not_count_as_asking() -> None:
    till = Till()
    till.lose()
    till.says("not_paid")
    till.at(6 * HOUR)
    till.do(e.DeadlinePassed())
    till.asked()
    till.says("not_paid")
    assert till.order().online_ms <= 15 * SECOND
    assert till.transaction().state == "querying"


@pytest.mark.parametrize("new", [False, True])
def test_a_restart_in_mid_query_asks_again(new: bool) -> None:
    till = Till()
    till.lose()
    till.boot(new=new)
    till.go_to(till.now_ms + 1)
    assert till.asked().call == "query"
    assert till.word() == ("querying", "P8", *HELD)


@pytest.mark.parametrize("new", [False, True])
def test_a_restart_in_mid_cancel_asks_first_and_then_cancels_the_same(new: bool) -> None:
    till = cancelled()
    till.boot(new=new)
    assert till.transaction().state == "cancel_unknown"
    till.go_to(till.now_ms + 1)
    assert till.asked().call == "query"
    till.says("paid")
    assert till.word() == ("cancelling", "N9", *HELD)


def test_a_new_boot_puts_a_sent_order_in_doubt_at_once() -> None:
    till = Till()
    till.scan()
    till.boot(new=True)
    assert till.transaction().state == "querying"
    assert till.asked().call == "query"


def test_a_restart_keeps_a_closed_orders_second_look() -> None:
    till = Till()
    till.lose()
    till.says("closed")
    till.boot(new=True)
    till.go_to(till.now_ms + MINUTE)
    assert till.asked().call == "query"
    till.says("closed")
    till.go_to(till.now_ms + 9 * MINUTE)
    till.boot(new=True)
    assert till.next_deadline_ms == 10 * MINUTE, "a new boot proves no time: the wait begins anew"
    till.go_to(10 * MINUTE)
    till.asked()
    till.boot()
    assert till.next_deadline_ms == 20 * MINUTE, "it was cut off: it saw nothing"


# ── the basket ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_while_an_order_of_the_basket_is_open_no_new_code_is_taken() -> None:
    till = Till()
    till.lose(basket_id="b1")
    with pytest.raises(Rejected) as refused:
        till.scan("b", stan="000002", basket_id="b1")
    assert (refused.value.status, refused.value.code) == (409, "basket-open")
    till.scan("c", stan="000003", basket_id="b2")


def test_the_order_number_of_an_open_order_is_single_use() -> None:
    till = Till()
    till.lose()
    with pytest.raises(Rejected) as refused:
        till.scan("b", stan="000002", order_no=till.order().order_no)
    assert refused.value.code == "duplicate-order"


def test_closed_orders_do_not_hold_up_their_basket() -> None:
    till = Till()
    till.lose(basket_id="b1")
    till.says("closed")
    till.scan("b", stan="000002", basket_id="b1")


@pytest.mark.parametrize("asked", [True, False])
def test_a_go_is_not_given_again_once_an_order_of_its_basket_was_paid_late(*, asked: bool) -> None:
    till = Till()
    till.lose(basket_id="b1")
    till.says("closed")
    till.scan("b", stan="000002", basket_id="b1", ask=asked)
    till.go_to(till.now_ms + SECOND)
    show(till)
    till.asked()
    till.says("paid")
    assert till.transaction().state == "cancelling"
    assert till.ask("b").proceed == ("refuse" if asked else "wait")
    accept(till)
    assert till.ask("b").proceed == "go", "the merchant took the risk"


def test_two_paid_orders_of_one_basket_are_an_incident() -> None:
    till = Till()
    till.lose(basket_id="b1")
    till.says("not_paid")
    accept(till)
    till.scan("b", stan="000002", basket_id="b1")
    till.result("approved", "b")
    till.go_to(5 * SECOND)
    till.asked()
    till.says("paid")
    assert till.transaction().state == till.transaction("b").state == "paid"
    assert till.incidents() == {"paid_beside_another"}


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_evidence_is_compared_field_by_field_and_triggers_a_query() -> None:
    till = Till()
    till.lose()
    till.says("not_paid")
    assert show(till) == {"amount_fen": "agrees", "order_no": "agrees", "merchant": "agrees", "at": "agrees"}
    assert till.asked().call == "query"
    assert till.word() == ("querying", "P8", *HELD)
    till.says("not_paid")
    assert show(till, amount_fen=99, order_no="1", merchant="别家", at="2026-03-02 12:00") == dict.fromkeys(
        ("amount_fen", "order_no", "merchant", "at"), "differs"
    )
    assert show(till, amount_fen=None, order_no=None, merchant=None, at="yesterday") == {
        "amount_fen": "missing", "order_no": "missing", "merchant": "missing", "at": "unknown",
    }


def test_an_unknown_clock_makes_the_time_unknown() -> None:
    till = Till(wall_ms=None)
    till.lose()
    assert show(till)["at"] == "unknown"


def test_evidence_on_an_unresolved_order_asks_once_more_and_may_find_it_paid() -> None:
    till = Till(wallets=(WalletRule(name="wechat", cancel=False, queries_max=1),))
    till.lose()
    till.says("not_paid")
    assert till.transaction().state == "unresolved"
    show(till)
    till.asked()
    till.says("not_paid")
    assert till.transaction().state == "unresolved"
    show(till)
    till.asked()
    till.says("paid")
    assert till.word() == ("paid", "P9", False, False)


def test_without_the_policy_complete_evidence_changes_nothing() -> None:
    till = Till()
    till.lose()
    till.says("not_paid")
    show(till)
    assert not till.order().trusted
    assert "cancel" in {kind for _, kind in till.kinds("not_paid", MINUTE)}


def test_by_policy_complete_evidence_shows_p11_and_forbids_a_cancel_for_ever() -> None:
    till = Till(release_on_evidence=True)
    till.lose()
    till.says("not_paid")
    show(till)
    assert till.word() == ("querying", "P11", *HELD)
    assert {kind for _, kind in till.kinds("not_paid", 7 * DAY)} == {"query"}
    assert till.word() == ("unresolved", "P11", *HELD)
    till.boot(new=True)
    show(till)
    till.asked()
    till.says("paid")
    assert till.transaction().state == "paid"


@pytest.mark.parametrize("wrong", [{"amount_fen": 99}, {"order_no": None}, {"at": None}, {"merchant": "别家"},
                                   {"kind": "debit_sms"}])
def test_incomplete_evidence_is_never_trusted(wrong: dict[str, Any]) -> None:
    till = Till(release_on_evidence=True)
    till.lose()
    till.says("not_paid")
    show(till, **wrong)
    assert not till.order().trusted


def test_after_a_cancel_was_asked_for_evidence_is_never_trusted() -> None:
    till = cancelled(release_on_evidence=True)
    till.says("closed")
    show(till)
    assert not till.order().trusted


def test_evidence_on_a_wallet_has_a_limit_and_so_have_its_queries() -> None:
    till = Till()
    till.lose()
    for _ in range(EVIDENCE_MAX):
        till.says("paying")
        show(till)
    with pytest.raises(Rejected):
        show(till)


# ── closing a case ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_closes_an_unresolved_order_and_nothing_is_asked_any_more() -> None:
    till = Till(wallets=(WalletRule(name="wechat", cancel=False, queries_max=1),))
    till.lose()
    incident = till.incident("in_doubt").id
    resolve = e.IncidentResolved(incident=incident, transaction="a", resolution="refunded", by="Li")
    with pytest.raises(Rejected):
        till.do(resolve)
    till.says("not_paid")
    till.do(resolve)
    assert till.word() == ("resolved", "N6", *HELD)
    calls = len(till.calls())
    show(till)
    till.go_to(DAY)
    assert len(till.calls()) == calls


# ── Bestpay ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def bestpay(**policy: Any) -> Till:
    return Till("bestpay", **policy)


def fail(till: Till, number: int, *, by: str = "closed", **more: Any) -> str:
    key = f"t{number}"
    till.scan(key, stan=f"{number:06d}", customer=more.pop("customer", "c1"))
    if by == "closed":
        till.result("no_answer", key)
        till.says("closed", key, **more)
    else:
        till.result(by, key, **more)
    return till.advice(key).code


def test_P12_a_proven_failure_may_be_paid_again() -> None:
    till = bestpay()
    assert fail(till, 1) == "P12"
    assert till.word("t1") == ("closed", "P12", True, True)
    assert fail(till, 2, by="declined") == "P12"


def test_P13_three_proven_failures_in_a_row_of_one_customer() -> None:
    till = bestpay()
    assert [fail(till, 1), fail(till, 2, by="declined")] == ["P12", "P12"]
    assert fail(till, 3, customer="c2") == "P12"
    till.boot(new=True)
    assert fail(till, 4) == "P13"
    assert till.advice("t2").code == "P12"


def test_P13_a_success_ends_the_streak_and_doubt_counts_as_nothing() -> None:
    till = bestpay()
    fail(till, 1)
    fail(till, 2)
    till.scan("p", stan="000008", customer="c1")
    till.result("approved", "p")
    assert fail(till, 3) == "P12"
    till.scan("q", stan="000009", customer="c1")
    till.result("no_answer", "q")
    assert [fail(till, 4), fail(till, 5)] == ["P12", "P13"]


def test_P25_an_abnormal_account_goes_before_the_streak() -> None:
    till = bestpay()
    assert fail(till, 1, abnormal=True) == "P25"
    assert fail(till, 2, by="declined", abnormal=True) == "P25"
    assert till.word("t2") == ("declined", "P25", True, True)


def test_bestpay_without_a_query_is_left_to_the_settlement_with_a_note() -> None:
    rules = tuple(rule for rule in DEFAULTS if rule.name != "bestpay")
    till = bestpay(wallets=(*rules, WalletRule(name="bestpay", query=False)))
    till.scan()
    till.result("no_answer")
    assert till.word() == ("unresolved", "P5w", *HELD)
    assert till.calls() == []
    assert [job.what for job in till.state.jobs_of("a")] == ["fault_note"]
    show(till)
    assert till.calls() == []


def test_a_customer_without_a_token_has_no_streak() -> None:
    till = bestpay()
    for number in range(1, 5):
        assert fail(till, number, customer=None) == "P12"
    assert till.state.streaks.failures == ()


def test_times_are_read_as_phones_write_them() -> None:
    till = Till()
    till.lose()
    for text in ("2026-03-02 10:05", "2026/03/02 10:05:30", "2026-03-02T02:05:00+00:00"):
        assert show(till, at=text)["at"] == "agrees"
    assert MORNING_MS == 1_772_416_800_000


@pytest.mark.parametrize("offset", [480, -480])
@pytest.mark.parametrize("at", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_time_at_the_end_of_all_calendars_is_only_another_time(at: str, offset: int) -> None:
    till = Till(utc_offset_minutes=offset)
    till.lose()
    assert show(till, at=at)["at"] == "differs"


# ── the rest of the table ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "outcome", ["approved", "declined", "approved_not_completed", "no_answer", "bad_mac", "not_sent", "declined_uncertain"]
)
@pytest.mark.parametrize("asked", [False, True])
def test_an_app_that_cannot_ask_reports_from_the_start(outcome: str, asked: bool) -> None:
    till = Till(sent_reporting=False)
    till.scan(ask=asked)
    if outcome == "declined_uncertain":
        till.result("declined", response_code="96")
    else:
        till.result(outcome)
    assert till.transaction().state == WALLET["sent" if asked else "intent"][outcome]


@pytest.mark.parametrize("how", ["timeout", "restart"])
def test_an_order_of_an_app_that_cannot_ask_is_in_doubt_when_it_is_left(how: str) -> None:
    till = Till(sent_reporting=False)
    till.scan(ask=False)
    till.go_to(HOUR) if how == "timeout" else till.boot()
    assert till.transaction().doubt == how


def test_an_approval_of_what_was_proved_not_sent_is_paid_with_an_incident() -> None:
    till = Till()
    till.scan(ask=False)
    till.boot()
    assert till.transaction().state == "not_sent"
    till.result("approved")
    assert (till.transaction().state, till.incidents()) == ("paid", {"sent_without_permission"})


def test_an_approval_of_what_the_app_called_not_sent_contradicts() -> None:
    till = Till()
    till.scan(ask=False)
    till.result("not_sent")
    assert till.result("approved").conflict == "contradiction"
    assert (till.transaction().state, till.incidents()) == ("not_sent", {"contradicting_result"})


def test_an_order_that_somebody_refunded_by_hand_is_refunded() -> None:
    till = Till()
    till.lose()
    till.says("refunded")
    assert till.word() == ("refunded", "N9", True, False)
    till = Till()
    till.lose()
    till.says("closed")
    till.go_to(till.now_ms + MINUTE)
    till.asked()
    till.says("refunded")
    assert till.transaction().state == "refunded"


def test_a_cancel_that_is_never_answered_is_left_to_the_settlement() -> None:
    till = cancelled()
    while till.transaction().state != "unresolved":
        till.fails("unknown")
        if till.order().call is None and till.next_deadline_ms is not None:
            till.go_to(till.next_deadline_ms)
    assert till.order().cancels == WECHAT.cancels_max
    assert till.word() == ("unresolved", "P5w", *HELD)


@pytest.mark.parametrize(("cancel", "said", "then"), [
    (False, "closed", "closed"), (False, "refunded", "refunded"), (False, "paid", "paid"), (True, "paid", "cancelling"),
    (True, "closed", "closed"), (True, "refunded", "refunded"),
])
def test_what_an_order_that_was_given_up_turns_out_to_be(cancel: bool, said: str, then: str) -> None:
    till = Till(wallets=(WalletRule(name="wechat", cancel=cancel, cancels_max=1, give_up_ms=0, queries_max=5),))
    till.scan()
    till.result("no_answer")
    till.kinds("not_paid", HOUR)
    assert till.transaction().state == "unresolved"
    assert (till.order().cancels > 0) == cancel
    show(till)
    till.asked()
    till.says(said)
    assert till.transaction().state == then
    assert till.advice().hold_goods == (then != "paid")
