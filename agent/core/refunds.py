"""The refund work item: money that the settlement files show twice goes back once, by a person, and never beside a reversal.

It is wanted when the files prove it, opens only when no 0400 can be sent any more and a person confirmed that no adjustment or
chargeback runs, and ends when what was due has been refunded. One number per transaction; a late acceptance of the 0400 ends it.
"""

from uuid import uuid5

from msgspec.structs import replace

from agent.core import incidents, reversal
from agent.core.accounts import Account, Refund
from agent.core.change import Decision, Rejected
from agent.core.incidents import NAMESPACE
from agent.core.lifecycle import REFUND, move
from agent.core.model import Transaction
from agent.core.settlementevent import RefundReported
from agent.core.state import State
from agent.core.verdict import booked_fen

WANTED_BY = frozenset({"refund", "possible"})


def follow(state: State, row: Transaction, account: Account) -> None:
    """Want, change or cancel the item as a new verdict says. What is possible only is a person's to decide."""
    item, due_fen = row.refund, booked_fen(row, account)
    if account.case in WANTED_BY and due_fen > 0:
        if item is None:
            item = Refund(number=str(uuid5(NAMESPACE, f"refund/{row.id}")), state="wanted", due_fen=due_fen)
        elif item.state == "cancelled":
            item = replace(item, state=move(REFUND, item.state, "wanted"), due_fen=due_fen)
        elif item.state == "done" or item.due_fen == due_fen or due_fen < item.refunded_fen:
            return
        else:
            item = replace(item, due_fen=due_fen)
        _put(state, row, item)
    elif item is not None and item.open:
        cancel(state, row)


def cancel(state: State, row: Transaction) -> None:
    """The money goes back another way, or never came. What was refunded before that is a second credit: somebody must look."""
    item = row.refund
    if item is None or not item.open:
        return
    _put(state, row, replace(item, state=move(REFUND, item.state, "cancelled")))
    if item.refunded_fen:
        incidents.open_one(state, "credited_twice", row.id, "operator", "compare_by_hand")


def accepted_late(state: State, row: Transaction) -> None:
    """The host took the 0400 after all: no refund any more; one that was made by hand is a second credit."""
    cancel(state, row)
    if row.by_hand is not None or (row.refund is not None and row.refund.state == "done"):
        incidents.open_one(state, "credited_twice", row.id, "operator", "compare_by_hand")


def reported(state: State, row: Transaction, event: RefundReported) -> Decision:
    """A person confirms the item, or says that so much was refunded. What was refunded never exceeds what is due."""
    item = row.refund
    if item is None or not item.open:
        raise Rejected(409, "no-refund-due", "the settlement files show no refund that is due for this transaction")
    if event.confirmed and item.state == "wanted":
        item = _confirm(state, row, item, event.by)
    if event.amount_fen is not None:
        if item.state != "open":
            raise Rejected(
                409, "refund-not-confirmed",
                "first a person confirms that no adjustment or chargeback runs for this transaction",
            )
        pay(state, state.transactions[row.id], event.amount_fen, event.by)
    return Decision(transaction=row.id)


def _confirm(state: State, row: Transaction, item: Refund, by: str) -> Refund:
    sending = state.reversals.get(row.id)
    if sending is not None and sending.state == "sending":
        raise Rejected(409, "still-reversing", "a 0400 is under way: its answer comes within half a minute; try again then")
    reversal.fence(state, row.id)
    item = replace(item, state=move(REFUND, item.state, "confirmed"), confirmed_by=by)
    _put(state, state.transactions[row.id], item, by)
    code = "in_doubt" if row.state == "unresolved" else row.state if row.state == "declined_uncertain" else "settlement"
    incidents.open_one(state, code, row.id, "operator", "make_refund")
    return item


def pay(state: State, row: Transaction, amount_fen: int, by: str) -> None:
    """So much was refunded, the rest remains."""
    item = row.refund
    assert item is not None and item.state == "open", "a refund that was not confirmed"  # noqa: PT018
    refunded_fen = item.refunded_fen + amount_fen
    if refunded_fen > item.due_fen:
        raise Rejected(
            409, "refund-too-large", f"{item.refunded_fen} of {item.due_fen} fen were refunded: {amount_fen} more is too much"
        )
    cause = "whole" if refunded_fen == item.due_fen else "part"
    _put(state, row, replace(item, state=move(REFUND, item.state, cause), refunded_fen=refunded_fen), by)


def _put(state: State, row: Transaction, item: Refund, by: str | None = None) -> None:
    state.put(replace(row, refund=item))
    state.tell(
        "settlement.refund", row.id, state=item.state, due_fen=item.due_fen, refunded_fen=item.refunded_fen, by=by,
        number=item.number,
    )
