"""The calls to the wallet gateway: which rule holds for an order, what is asked now, and what is planned."""

from typing import Literal

from msgspec.structs import replace

from agent.core import incidents
from agent.core.change import AskWallet
from agent.core.lifecycle import WALLET, move
from agent.core.model import Transaction
from agent.core.order import Order
from agent.core.state import State
from agent.core.wallets import WalletRule

Call = Literal["query", "cancel", "refund"]


def rule_of(state: State, row: Transaction) -> WalletRule:
    """The wallet's rule; one that was taken out of the configuration meanwhile still ends by the defaults."""
    return state.agent.policy.wallet(row.wallet) or WalletRule(name=row.wallet or "")


def order_of(row: Transaction) -> Order:
    """The order of a wallet's transaction."""
    assert row.order is not None, "a wallet transaction without an order"
    return row.order


def call(state: State, row: Transaction, what: Call) -> None:
    """Commit the call before its bytes leave. A cancel moves the order: from here on "paid" releases nothing."""
    order, rule, now_ms = order_of(row), rule_of(state, row), state.now.boottime_ms
    after = row.state
    if what == "cancel" and after != "cancelling":
        after = move(WALLET, after, "cancel")
    order = counted(row, order, what, 1)
    order = replace(
        order, call=what, following="query", calls=order.calls + 1, since_ms=now_ms if order.since_ms is None else order.since_ms
    )
    row = state.put(replace(row, state=after, due_ms=now_ms + rule.call_timeout_ms, order=order))
    if what == "query":
        state.tell("query.asked", row.id, query=order.asked)
    elif what == "cancel":
        state.tell("wallet.cancel_asked", row.id, cancel=order.cancels, amount_fen=row.amount_fen)
    else:
        state.tell("wallet.refund_asked", row.id, refund=order.refunds, amount_fen=order.owed_fen or row.amount_fen)
    refund_no = incidents.incident_id("refund", row.id).replace("-", "") if what == "refund" else None  # the same for ever
    amount_fen = (what == "refund" and order.owed_fen) or row.amount_fen
    state.do(AskWallet(row.id, order.calls, what, order.order_no, amount_fen, refund_no))


def counted(row: Transaction, order: Order, what: Call, by: int) -> Order:
    """The order with one call more (`by` 1), or without one that never left (-1). A look at a closed order is no query."""
    if what == "cancel":
        return replace(order, cancels=order.cancels + by)
    if what == "refund":
        return replace(order, refunds=order.refunds + by)
    if row.state == "closed" and order.owed_fen == 0:
        return replace(order, looks=order.looks + by)
    return replace(order, queries=order.queries + by)


def follow(state: State, row: Transaction) -> None:
    """What was planned is due."""
    call(state, row, order_of(row).following)


def pause_ms(rule: WalletRule, times: int) -> int:
    """The wait before the same cancel or refund is asked for again: doubling, up to the slow pace."""
    return min(rule.poll_ms << max(times - 1, 0), rule.paying_poll_ms)


def plan(state: State, row: Transaction, what: Call, wait_ms: int) -> None:
    """The next call, in so long; with 0 now."""
    if wait_ms == 0:
        call(state, row, what)
    else:
        state.put(
            replace(row, due_ms=state.now.boottime_ms + wait_ms, order=replace(order_of(row), following=what))
        )
