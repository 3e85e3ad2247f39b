"""The wallet rail up to the doubt and at its end: opening, results, and what becomes of an order.

The app's result is the decision as it is for cards; without one the merchant side's query decides (`orders`). Money that
may have moved is never guessed at: paid, closed and refunded are only what the gateway itself says of the order.
"""

from msgspec.structs import replace

from agent.core import bestpay, evidence, incidents, orders, walletcalls
from agent.core.change import Decision, Rejected
from agent.core.event import Opened, ResultReported, WalletAnswered
from agent.core.lifecycle import WALLET, move
from agent.core.model import Transaction
from agent.core.order import Order
from agent.core.state import State

# While one of these stands in a basket, a second code could take the money twice.
OPEN = frozenset({"intent", "sent", "querying", "cancelling", "cancel_unknown", "unresolved"})
AGREES_WITH_DOUBT = frozenset({"no_answer", "bad_mac", "not_sent"})


def check_opened(state: State, event: Opened) -> None:
    """Refuse what this terminal cannot follow up: another wallet, another kind, a code while the basket's order is open."""
    if event.order_no is None or state.agent.policy.wallet(event.wallet) is None:
        raise Rejected(400, "rail-not-configured", f"rail {event.rail} is not configured on this terminal")
    if event.kind != "sale":
        raise Rejected(400, "kind-not-supported", f"a {event.kind} cannot be opened on rail {event.rail}; only a sale can")
    for row in _open_orders(state):
        if row.order is not None and row.order.order_no == event.order_no:
            raise Rejected(409, "duplicate-order", f"order …{event.order_no[-4:]} is open as {row.id}; take a new order number")
    beside = open_beside(state, event.transaction, event.basket_id)
    if beside is not None:
        raise Rejected(
            409, "basket-open",
            f"order …{beside.last4} of this basket is {beside.state} ({beside.id}): scan no new code; "
            "the cashier overrides with `accepts_risk` in its disposition",
        )


def open_beside(state: State, key: str, basket_id: str | None) -> Transaction | None:
    """Another order of this basket that may yet take the money, unless the merchant took that risk."""
    beside = (row for row in _open_orders(state) if row.id != key and row.basket_id == basket_id is not None)
    return next((row for row in beside if not _accepted(row)), None)


def _open_orders(state: State) -> list[Transaction]:
    return [row for row in state.open_transactions.values() if row.order is not None and row.state in OPEN]


def _accepted(row: Transaction) -> bool:
    return row.disposition is not None and row.disposition.accepts_risk


def order_of(event: Opened) -> Order | None:
    """The order of an opened transaction; a card has none."""
    return None if event.order_no is None else Order(event.order_no)


def note_rival(state: State, opened: Transaction) -> None:
    """The merchant took the risk of a second order in the basket: the first one remembers it, should both be paid."""
    for row in state.transactions_by_age():
        if row.order is not None and row.state in OPEN and row.basket_id == opened.basket_id is not None and row.id != opened.id:
            state.put(replace(row, order=replace(row.order, rival=opened.id)))
            state.tell("wallet.overridden", row.id, by=opened.id)


def doubt(state: State, row: Transaction, cause: str, event: ResultReported | None = None) -> None:
    """Commit the doubt and ask the gateway; a wallet without a query is for the next day's comparison."""
    order = row.order
    assert order is not None, "a wallet transaction without an order"
    row = state.put(
        replace(
            row, state=move(WALLET, row.state, cause), doubt=cause, rrn=event.rrn if event else None,
            response_code=event.response_code if event else None,
            due_ms=state.now.boottime_ms, order=replace(order, abnormal=order.abnormal or (event is not None and event.abnormal)),
        )
    )
    state.tell("transaction.in_doubt", row.id, cause=cause, amount_fen=row.amount_fen)
    incidents.open_one(state, "in_doubt", row.id, "cashier", "hold_goods_and_query")
    if walletcalls.rule_of(state, row).query:
        walletcalls.call(state, row, "query")
    else:
        orders.give_up(state, row)


def ended(state: State, row: Transaction) -> None:
    """The app's result was the decision: paid or declined."""
    if row.state == "paid":
        bestpay.succeeded(state, row)
        orders.beside_rival(state, row)
    elif row.state == "declined":
        bestpay.failed(state, row)


def again(state: State, row: Transaction, event: ResultReported, cause: str) -> Decision | None:
    """A result after the doubt. Agreement is 200, anything else is evidence and 409; None: there never was a doubt."""
    if row.doubt is None or row.state == "not_sent":
        return None
    if cause in AGREES_WITH_DOUBT or cause == row.doubt or (cause == "approved" and row.state == "paid"):
        return Decision(transaction=row.id)
    row = evidence.late(state, row, event, "late_response")
    if row.state == "paid":
        return Decision(
            transaction=row.id, conflict="contradiction",
            detail="the wallet itself says that the order is paid; this result is kept as evidence",
        )
    orders.ask_again(state, row)
    return Decision(
        transaction=row.id, conflict="in-doubt",
        detail="the doubt was committed first: show failure; the agent asks the wallet what became of the order",
    )


def evidence_given(state: State, row: Transaction, agreement: dict[str, str]) -> None:
    """What the customer shows triggers a query. Complete, it may forbid a cancel for ever, where the policy lets it."""
    order = row.order
    if order is None:
        return
    untouched = order.cancels == 0 and row.state in {"querying", "unresolved"}
    shown = row.evidence[-1].kind == "wallet_record" and evidence.is_complete(agreement)
    if shown and untouched and not order.trusted and state.agent.policy.release_on_evidence:
        row = state.put(replace(row, order=replace(order, trusted=True)))
        state.tell("wallet.evidence_accepted", row.id)
    orders.ask_again(state, row)


def answered(state: State, event: WalletAnswered) -> None:
    """The gateway's answer; one to an earlier call, or to an order that nobody asks about any more, is no news."""
    row = state.transactions.get(event.transaction)
    if row is not None and row.order is not None and row.order.call is not None and row.order.calls == event.number:
        orders.answered(state, row, event)


def network_changed(state: State) -> None:
    """What could not reach the gateway tries again at once."""
    orders.in_reach(state)


def deadline(state: State, row: Transaction) -> None:
    """Time for the next call, or the call under way has no answer."""
    assert row.order is not None, "only wallets come here"
    if row.order.call is None:
        walletcalls.follow(state, row)
    else:
        orders.answered(state, row, WalletAnswered(transaction=row.id, number=row.order.calls, outcome="unknown"))


def restarted(state: State, row: Transaction, *, new_boot: bool) -> None:
    """A call that the restart cut off may have had its effect: a query is asked again, after a cancel comes a query first."""
    order = row.order
    if order is None or row.due_ms is None:
        return
    cut, now_ms = order.call, state.now.boottime_ms
    due_ms = now_ms if cut is not None or new_boot else row.due_ms
    if row.state == "closed" and due_ms == now_ms:
        due_ms += orders.look_ms(state, row)  # the second look keeps its distance
    following = "query" if cut is not None else order.following
    row = state.put(
        replace(
            row, due_ms=due_ms,
            order=replace(order, call=None, following=following, since_ms=None, backoff_ms=0 if new_boot else order.backoff_ms),
        )
    )
    if cut is not None:
        state.tell("query.interrupted", row.id, call=cut)
    if cut == "cancel" and row.state == "cancelling":
        orders.unclear(state, row)
