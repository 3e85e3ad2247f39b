"""The refund work item of a wallet's order: once a person confirmed it, the wallet itself refunds, under the order's one number.

Asked before every refund and after it: only a query that says "refunded" makes the item done. Where the wallet does not do
it within its bounds, or says that there is nothing to refund, a person does.
"""

from msgspec.structs import replace

from agent.core import incidents, refunds
from agent.core.change import Rejected
from agent.core.lifecycle import WALLET
from agent.core.model import Transaction
from agent.core.settlementevent import RefundReported
from agent.core.state import State
from agent.core.verdict import OWN_INCIDENT
from agent.core.walletcalls import call, order_of, pause_ms, plan, rule_of

ASKS_MAX = 30  # queries about one work item, at the wallet's slow pace
BY_WALLET = "wallet"  # who refunded, in the item's history


def check(row: Transaction) -> None:
    """Nobody refunds, confirms or closes it while the wallet is at it."""
    order = row.order
    if order is None:
        return
    if order.owed_fen:
        raise Rejected(409, "refund-under-way", "the wallet is being asked to refund it: its answer decides")
    if order.call is not None:
        raise Rejected(409, "still-reversing", "the wallet is being asked about the order: try again in a moment")


def begin(state: State, row: Transaction, event: RefundReported) -> None:
    """A person has just confirmed the item: ask the wallet, unless that person says that the money went back already."""
    order, item = row.order, row.refund
    if order is None or item is None or item.state != "open" or not event.confirmed or event.amount_fen is not None:
        return
    rule = state.agent.policy.wallet(row.wallet)
    if rule is None or not rule.query or order.refunds >= rule.refunds_max:
        return
    owed_fen = item.due_fen - item.refunded_fen
    incidents.open_one(state, OWN_INCIDENT.get(row.state, "settlement"), row.id, "operator", "see_money_back")
    row = state.put(replace(row, order=replace(order, owed_fen=owed_fen, owed_asks=0, backoff_ms=0)))
    call(state, row, "query")


def said(state: State, row: Transaction, word: str) -> bool:
    """What a query said meanwhile. True when it means to the order what it always means: the money is back."""
    order, rule, item = order_of(row), rule_of(state, row), row.refund
    asks = order.owed_asks + 1
    row = state.put(replace(row, order=replace(order, owed_asks=asks)))
    if word == "refunded":
        row = _ended(state, row)
        if item is not None and item.state == "open":
            refunds.pay(state, row, item.due_fen - item.refunded_fen, BY_WALLET)
        return "refunded" in WALLET[row.state]
    if item is None or item.state != "open":  # somebody's word or a file made it groundless: nothing more is asked
        _ended(state, row)
    elif word == "paid" and order.refunds < rule.refunds_max:
        plan(state, row, "refund", pause_ms(rule, order.refunds) if order.refunds else 0)
    elif word in {"paying", "unknown"} and asks < ASKS_MAX:
        plan(state, row, "query", rule.paying_poll_ms)
    else:
        not_back = word == "paid" or (word in {"paying", "unknown"} and order.refunds == 0)
        following = "make_refund" if not_back else "compare_by_hand"  # what may have gone back is looked for first
        row = _ended(state, row)
        incidents.open_one(state, OWN_INCIDENT.get(row.state, "settlement"), row.id, "operator", following)
    return False


def _ended(state: State, row: Transaction) -> Transaction:
    """The wallet is asked no more."""
    return state.put(replace(row, due_ms=None, order=replace(order_of(row), owed_fen=0)))
