"""What an answer of the wallet gateway means, and what is asked next: query, cancel by its rule, query after every cancel.

`not_paid`, `not_found`, `paying` and `unknown` are interim: they close nothing. A call that succeeded is not a payment that
succeeded: only a query moves an order to paid, closed or refunded. Bounds: online time and number of queries, cancels,
refunds, and looks at a closed order; offline time is not counted. What is left then is unresolved, for the next day's comparison.
"""

from msgspec.structs import replace

from agent.core import bestpay, incidents, moneyback, receipt, slips
from agent.core.event import WalletAnswered
from agent.core.lifecycle import WALLET, move
from agent.core.model import Transaction
from agent.core.order import Order
from agent.core.state import State
from agent.core.walletcalls import Call, call, counted, follow, order_of, pause_ms, plan, rule_of
from agent.core.wallets import DAY_MS, WalletRule

ASKING = frozenset({"querying", "cancelling", "cancel_unknown"})
LOOK_MS = 7 * DAY_MS  # so long a closed order waits for its second look while the gateway is out of reach
FOLLOWERS = 6  # while an older order tries, the others wait so many times as long: they ask when it is answered


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ask_again(state: State, row: Transaction) -> None:
    """Somebody has news: look now. Evidence is limited in number, so these queries are too.

    Of a closed order this is no substitute for its planned second look, which is planned anew.
    """
    order = order_of(row)
    if order.call is not None or row.state not in {*ASKING, "closed", "unresolved"} or not rule_of(state, row).query:
        return
    if row.state == "closed" and row.due_ms is not None:
        row = state.put(replace(row, order=replace(order, rechecks=max(0, order.rechecks - 1))))
    call(state, row, "query")


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def answered(state: State, row: Transaction, event: WalletAnswered) -> None:
    """The call under way has ended, one way or the other."""
    order, rule = order_of(row), rule_of(state, row)
    what = order.call
    if event.outcome == "not_reached":
        _not_reached(state, row, order, rule)
        return
    was_away, now_ms = order.backoff_ms > 0, state.now.boottime_ms
    order = replace(
        order, call=None, online_ms=order.online_ms + _online_ms(state, order, rule), since_ms=now_ms, backoff_ms=0,
        abnormal=order.abnormal or event.abnormal,
    )
    said = event.state if event.outcome == "answered" else "unknown"
    if said == "paid" and event.amount_fen != row.amount_fen:
        incidents.open_one(state, "wallet_mismatch", row.id, "acquirer", "call_acquirer")
        said = "unknown"
    if what == "query":
        row = state.put(replace(row, order=replace(order, said=said)))
        state.tell("query.answered", row.id, said=said)
        if order.owed_fen == 0 or moneyback.said(state, row, said):
            _MEANS[said](state, state.transactions[row.id])
    else:
        _called(state, replace(row, order=order), what or "query", said, event)
    if was_away:
        in_reach(state)


def in_reach(state: State) -> None:
    """The gateway may be reached again: what was out of reach asks at once."""
    for row in state.transactions_by_age():
        if row.order is not None and row.order.backoff_ms and row.order.call is None and row.due_ms is not None:
            follow(state, row)


def _online_ms(state: State, order: Order, rule: WalletRule) -> int:
    """Time since the last moment online; sleep in between counts no more than the wait that was planned."""
    if order.since_ms is None:
        return 0
    most_ms = (rule.paying_poll_ms if _slow(order, rule) else rule.poll_ms) + rule.call_timeout_ms
    return max(0, min(state.now.boottime_ms - order.since_ms, most_ms))


def _slow(order: Order, rule: WalletRule) -> bool:
    return order.online_ms >= rule.give_up_ms


def _not_reached(state: State, row: Transaction, order: Order, rule: WalletRule) -> None:
    """No byte left: nothing was asked, and the time does not count. Tried again, slower and slower; the oldest tries for all."""
    what = order.call
    backoff_ms = min(2 * order.backoff_ms or rule.poll_ms, rule.offline_poll_ms)
    if any(other.number < row.number and other.order and other.order.backoff_ms for other in state.open_transactions.values()):
        backoff_ms = FOLLOWERS * rule.offline_poll_ms
    if what is not None:
        order = counted(row, order, what, -1)
    order = replace(order, call=None, following=what or "query", since_ms=None, backoff_ms=backoff_ms)
    following: int | None = state.now.boottime_ms + backoff_ms
    if row.state == "unresolved" and order.owed_fen == 0:
        following = None
    row = state.put(replace(row, due_ms=following, order=order))
    state.tell("query.not_reached", row.id, call=what)
    if what == "cancel" and row.state == "cancelling" and not order.late:
        if order.cancels == 0:
            row = state.put(
                replace(row, state=move(WALLET, row.state, "not_left"), order=replace(order, following="query"))
            )
        else:
            unclear(state, row)
    if row.state in ASKING and _over(state, row, rule):
        give_up(state, row)
    elif row.state == "closed" and order.owed_fen == 0 and state.age_most_ms(row.sent or row.opened) > LOOK_MS:
        state.put(replace(row, due_ms=None))


def _called(state: State, row: Transaction, what: Call, said: str, event: WalletAnswered) -> None:
    """A cancel or refund was answered, or may have been heard. Whatever it says, the query after it decides."""
    order = order_of(row)
    clear = event.outcome == "answered" and said != "unknown"
    refused = order.refused or (what == "cancel" and clear and not event.retry and said not in {"closed", "refunded"})
    row = state.put(replace(row, order=replace(order, refused=refused)))
    if what == "cancel":
        state.tell("wallet.cancel_answered", row.id, said=said)
        if not clear and row.state == "cancelling":
            row = unclear(state, row)
    else:
        state.tell("wallet.refund_answered", row.id, said=said)
    call(state, row, "query")


def unclear(state: State, row: Transaction) -> Transaction:
    """Whether the cancel was heard is not known: the same cancel is repeated in its window."""
    row = state.put(replace(row, state=move(WALLET, row.state, "cancel_unclear")))
    state.tell("wallet.cancel_unknown", row.id)
    return row


# ── what a query means ───────────────────────────────────────────────────────────────────────────────────────────────────


def _paid(state: State, row: Transaction) -> None:
    order = order_of(row)
    if order.cancels or order.late or row.state == "closed":
        _paid_late(state, row, order)
        return
    row = state.put(replace(row, state=move(WALLET, row.state, "paid"), due_ms=None, order=replace(order, found=True)))
    state.tell("wallet.paid", row.id, amount_fen=row.amount_fen)
    incidents.close_one(state, "in_doubt", row.id, "paid")
    incidents.close_one(state, "wallet_mismatch", row.id, "paid")
    bestpay.succeeded(state, row)
    beside_rival(state, row)
    receipt.want(state, row)


def beside_rival(state: State, row: Transaction) -> None:
    """It is paid although a second order of its basket was opened at the merchant's risk: somebody must look at both."""
    if row.order is not None and row.order.rival is not None:
        incidents.open_one(state, "paid_beside_another", row.id, "operator", "compare_settlement")


def _paid_late(state: State, row: Transaction, order: Order) -> None:
    """Paid after a cancel, or after closing: the money goes back, never the goods out. Cancel again, else refund once."""
    rule = rule_of(state, row)
    first = not order.late
    after = row.state if row.state == "cancelling" else move(WALLET, row.state, "paid_late")
    row = state.put(replace(row, state=after, order=replace(order, late=True)))
    incidents.open_one(state, "paid_after_cancel", row.id, "operator", "see_money_back")
    incidents.open_one(state, "in_doubt", row.id, "cashier", "hold_goods_and_query")
    if first:
        state.tell("wallet.paid_late", row.id, amount_fen=row.amount_fen)
    if order.cancels and order.refunds == 0 and _may_cancel(state, row, rule):
        plan(state, row, "cancel", 0 if first else pause_ms(rule, order.cancels))
    elif order.refunds < rule.refunds_max:
        plan(state, row, "refund", 0 if order.refunds == 0 else pause_ms(rule, order.refunds))
    else:
        give_up(state, row)


def _closed(state: State, row: Transaction) -> None:
    """No money moved, or it went back by the cancel. Looked at again for a while: a payment may still come late."""
    order, rule = order_of(row), rule_of(state, row)
    if row.state == "closed":
        _recheck(state, row, order, rule)
        return
    row = state.put(replace(row, state=move(WALLET, row.state, "closed"), due_ms=None))
    state.tell("wallet.closed", row.id, amount_fen=row.amount_fen)
    _settled(state, row, "closed")
    row = bestpay.failed(state, row)
    _recheck(state, row, order_of(row), rule)


def _recheck(state: State, row: Transaction, order: Order, rule: WalletRule) -> None:
    if order.rechecks >= len(rule.recheck_ms) or order.looks >= rule.looks_max:
        state.put(replace(row, due_ms=None))
        return
    row = state.put(replace(row, order=replace(order, rechecks=order.rechecks + 1, following="query")))
    state.put(replace(row, due_ms=state.now.boottime_ms + look_ms(state, row)))


def look_ms(state: State, row: Transaction) -> int:
    """The wait before the second look at a closed order that is planned now."""
    waits = rule_of(state, row).recheck_ms
    return waits[min(max(order_of(row).rechecks, 1), len(waits)) - 1] if waits else 0


def _refunded(state: State, row: Transaction) -> None:
    row = state.put(replace(row, state=move(WALLET, row.state, "refunded"), due_ms=None))
    state.tell("wallet.refunded", row.id, amount_fen=row.amount_fen)
    _settled(state, row, "refunded")


def _settled(state: State, row: Transaction, resolution: str) -> None:
    for code in ("in_doubt", "paid_after_cancel", "wallet_mismatch"):
        incidents.close_one(state, code, row.id, resolution)


def _interim(state: State, row: Transaction) -> None:
    """Nothing is sure yet: ask on, cancel where the rule allows it, or stop at the bound."""
    order, rule = order_of(row), rule_of(state, row)
    if row.state == "closed" and order.said == "unknown" and order.looks < rule.looks_max:
        plan(state, row, "query", rule.paying_poll_ms)  # nothing was seen: that was no second look
    elif row.state == "closed":
        _recheck(state, row, order, rule)
    elif row.state == "unresolved":
        state.put(replace(row, due_ms=None))
    elif _over(state, row, rule):
        give_up(state, row)
    elif row.state == "querying":
        gave_up = order.online_ms >= rule.give_up_ms
        if gave_up and _may_cancel(state, row, rule):
            call(state, row, "cancel")
        else:
            plan(state, row, "query", rule.paying_poll_ms if gave_up else rule.poll_ms)
    elif order.late and order.refunds:
        plan(state, row, "refund" if order.refunds < rule.refunds_max else "query", pause_ms(rule, order.refunds))
    elif _may_cancel(state, row, rule):
        plan(state, row, "cancel", pause_ms(rule, order.cancels))
    else:
        plan(state, row, "query", rule.paying_poll_ms)


def _may_cancel(state: State, row: Transaction, rule: WalletRule) -> bool:
    """The wallet's own rule. A query has always gone before; complete evidence forbids it for ever."""
    order, sent = order_of(row), row.sent or row.opened
    return (
        rule.cancel
        and not order.trusted
        and not order.refused
        and order.cancels < rule.cancels_max
        and not (rule.paying_refuses and order.said == "paying")
        and state.age_ms(sent) >= rule.cancel_after_ms
        and state.age_most_ms(sent) <= rule.cancel_window_ms
    )


def _over(state: State, row: Transaction, rule: WalletRule) -> bool:
    """A bound is reached: nothing more is asked by itself."""
    order = order_of(row)
    return (
        order.queries >= rule.queries_max
        or order.online_ms >= rule.online_max_ms
        or (order.cancels >= rule.cancels_max and not order.late)
        or state.age_most_ms(row.sent or row.opened) > rule.cancel_window_ms
    )


def give_up(state: State, row: Transaction) -> None:
    """The next day's comparison decides; nothing is asked by itself any more."""
    row = state.put(replace(row, state=move(WALLET, row.state, "not_undone"), due_ms=None))
    state.tell("transaction.unresolved", row.id, next_action="compare_settlement")
    slips.fault_note(state, row)
    incidents.open_one(state, "in_doubt", row.id, "operator", "compare_settlement")


_MEANS = {
    "paid": _paid, "closed": _closed, "refunded": _refunded,
    "paying": _interim, "not_paid": _interim, "not_found": _interim, "unknown": _interim,
}
