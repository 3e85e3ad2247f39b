"""Defects of payment apps that can be noticed from outside (T1 … T16): each opens an incident, and changes nothing else.

Source: defects seen in shipped terminal apps. What only shows inside the app (a reply that was matched loosely, a file that is
rewritten in place) is noticed by what it leads to, the lost record, or by nobody; docs/payapp.md says which.
"""

from msgspec.structs import replace

from agent.core import incidents
from agent.core.event import ResultReported
from agent.core.model import Reversal, Transaction
from agent.core.state import State

REPEATS_MAX = 3  # refusals that an app goes on reporting for what is closed
UNSOLD_MAX = 3  # sales in a row that were not sent while a reversal waited
HEARD_FROM_HOST = frozenset({"approved", "declined", "declined_uncertain"})


def false_accept(state: State, key: str) -> None:
    """T1, T13, T16: the app calls accepted what the host's code says is not."""
    incidents.open_one(state, "false_accept", key, "technician", "check_payment_app")


def record_lost(state: State, key: str) -> None:
    """T2 to T6, T8, T11, T14: the app does not know a transaction that is pending, so its kernel will never reverse it."""
    incidents.open_one(state, "record_lost", key, "technician", "check_payment_app")


def refused_again(state: State, row: Reversal) -> Reversal:
    """T9: the app goes on reversing what is closed."""
    row = state.put(replace(row, repeats=row.repeats + 1))
    if row.repeats >= REPEATS_MAX:
        incidents.open_one(state, "reversal_loops", row.id, "technician", "check_payment_app")
    return row


def settled(state: State, closed: str | None, current: str | None, terminal_id: str | None = None) -> None:
    """T12: the batch is gone, and the app has let reversals of it wait. To be looked at before they expire."""
    if state.agent.policy.mode == "payapp":
        for row in state.reversals_by_age():
            gone = row.batch == closed or current not in {None, row.batch}
            if row.pending and gone and terminal_id in {None, row.terminal_id}:
                incidents.open_one(state, "settled_unreversed", row.id, "technician", "check_payment_app")


def stan_used_again(state: State, earlier: Transaction, *, retried: bool) -> bool:
    """A STAN comes twice. True when it is told as the app's defect: not when the same call may only have been repeated."""
    if state.agent.policy.mode != "payapp" or retried:
        return False
    incidents.open_one(state, "stan_reused", earlier.id, "technician", "check_payment_app")
    return True


def heard(state: State, event: ResultReported) -> None:
    """A result came in mode `payapp`: T10, the sale went ahead of a waiting reversal; T15, a waiting one blocks all sales."""
    transaction = state.transactions[event.transaction]
    waiting = [row for row in state.reversals_by_age() if row.pending and row.terminal_id == transaction.terminal_id]
    if transaction.state in HEARD_FROM_HOST:
        for row in waiting:
            if _overtaken(state, row, transaction):
                incidents.open_one(state, "not_reversed_first", row.id, "technician", "check_payment_app")
    _count_unsold(state, bool(waiting) and event.outcome == "not_sent")


def _overtaken(state: State, row: Reversal, transaction: Transaction) -> bool:
    """True when this reversal was pending before the transaction was sent, and the app has said nothing of it since."""
    sent = transaction.sent
    if sent is None or sent.boot != state.agent.boots or row.began is None or row.number >= transaction.number:
        return False
    began_ms = row.began.mono_ms if row.began.boot == sent.boot else -1
    return began_ms < sent.mono_ms and (row.said_ms is None or row.said_ms < sent.mono_ms)


def _count_unsold(state: State, unsold: bool) -> None:
    agent = state.agent
    count = agent.unsold + 1 if unsold else 0
    if count != agent.unsold:
        state.put(replace(agent, unsold=count))
    if count >= UNSOLD_MAX:
        incidents.open_one(state, "sales_blocked", None, "technician", "check_payment_app")
