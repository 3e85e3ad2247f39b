"""Requests to the payment app: each has a name, a fact in the event stream, and a limit in time; it is answered once.

A request is named after its transaction and its ordinal there, so that an answer is attributed however late it comes. What is
open stands in the rows, and is therefore as durable as they are.
"""

from msgspec.structs import replace

from agent.core.change import AskApp
from agent.core.model import Reversal, Transaction
from agent.core.state import State


def can_ask(state: State) -> bool:
    """True when the app has a port, or listens for our requests."""
    return state.agent.policy.asks_app or state.agent.pulls


def ask(state: State, transaction: Transaction, what: str, within_ms: int) -> str:
    """Name the request, tell it, and have it carried to the app; the name."""
    number = transaction.asks + 1
    request = f"{transaction.id}.{number}"
    state.put(replace(transaction, asks=number))
    state.tell(
        "request.opened", transaction.id, request=request, what=what, stan=transaction.stan, batch=transaction.batch,
        within_ms=within_ms,
    )
    _carry(state, transaction, request, what, within_ms)
    return request


def _carry(state: State, transaction: Transaction, request: str, what: str, within_ms: int) -> None:
    state.do(
        AskApp(transaction.id, request, what, transaction.stan, transaction.batch, within_ms)  # type: ignore[arg-type]
    )


def was_made(transaction: Transaction, request: str) -> bool:
    """True for the name of a request that was made about this transaction."""
    key, dot, number = request.rpartition(".")
    known = len(number) <= len(str(transaction.asks)) and number.isascii() and number.isdigit()
    return bool(dot) and key == transaction.id and known and 1 <= int(number) <= transaction.asks


def transaction_of(request: str) -> str:
    """The transaction that a request's name speaks of."""
    return request.rpartition(".")[0]


def repeat(state: State, row: Reversal, *, new_boot: bool) -> None:
    """The agent started again with this request open: the same one goes to the app again. A new boot gives it its time anew."""
    now_ms = state.now.boottime_ms
    if new_boot:
        row = state.put(replace(row, due_ms=now_ms + state.agent.policy.reply_timeout_ms, last_send_ms=now_ms, said_ms=None))
    assert row.request is not None, "only an open request is repeated"
    assert row.due_ms is not None, "a request without a limit"
    state.tell("request.repeated", row.id, request=row.request)
    _carry(state, state.transactions[row.id], row.request, row.ask, max(0, row.due_ms - now_ms))


def window_ms(state: State, transaction: Transaction) -> int:
    """How long before the answer timer ends the app is asked: the timer itself never grows. A gateway is asked instead."""
    policy = state.agent.policy
    return min(policy.ask_before_ms, policy.answer_timeout_ms // 4) if can_ask(state) and transaction.order is None else 0


def before_doubt(state: State, transaction: Transaction) -> bool:
    """Ask the app what it knows, once, before the doubt of this `sent` transaction; False when its time is over."""
    policy, sent = state.agent.policy, transaction.sent
    if transaction.asks or sent is None or sent.boot != state.agent.boots or not window_ms(state, transaction):
        return False
    due_ms = sent.mono_ms + policy.answer_timeout_ms
    left_ms = due_ms - state.now.boottime_ms
    if left_ms <= 0:
        return False
    request = ask(state, transaction, "transaction", left_ms)
    state.put(replace(state.transactions[transaction.id], request=request, due_ms=due_ms))
    return True
