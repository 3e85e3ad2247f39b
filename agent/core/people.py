"""What people add: evidence, where the goods went, that they read it, closing a case. None of it turns doubt into success."""

from msgspec.structs import replace

from agent.core import evidence, incidents, moneyback, refunds, reversal, settlement, verdict, wallet
from agent.core.change import Decision, Rejected
from agent.core.event import DispositionGiven, EvidenceGiven, IncidentResolved
from agent.core.kinds import PAYS_NOTHING, family
from agent.core.lifecycle import move, table_of
from agent.core.model import Reversal, Transaction
from agent.core.playbook import judge
from agent.core.settlementevent import Acknowledged
from agent.core.state import State, find


def evidence_given(state: State, event: EvidenceGiven) -> Decision:
    """Kept, masked, and compared field by field; of a wallet's order the gateway is asked anew."""
    row, agreement = evidence.given(state, find(state, event.transaction), event.evidence)
    wallet.evidence_given(state, row, agreement)
    return Decision(transaction=row.id, agreement=agreement)


def disposition_given(state: State, event: DispositionGiven) -> Decision:
    """Where goods and money went. What is not said keeps what was said before; a risk once accepted stays accepted."""
    row = find(state, event.transaction)
    paid = state.transactions.get(event.disposition.replaced_by or "")
    if paid is not None and paid.trigger:
        raise Rejected(
            409, "trigger-sale", f"{paid.id} is a sale of one fen that only set the reversal off: name the payment of the amount"
        )
    if event.disposition.replaced_by == row.id:
        raise Rejected(409, "no-replacement", "nothing replaces itself: name the other payment, cash, or none")
    if paid is not None and family(paid.kind) in PAYS_NOTHING:
        raise Rejected(409, "no-replacement", f"{paid.id} is a {paid.kind}: it pays for nothing")
    if row.partial and paid is not None and paid.state not in {"approved", "paid"}:
        raise Rejected(409, "no-replacement", f"{paid.id} is {paid.state}: it has not paid the rest")
    before, said = row.disposition, event.disposition
    if before is not None:
        said = replace(
            said, goods=said.goods or before.goods, replaced_by=said.replaced_by or before.replaced_by,
            accepts_risk=said.accepts_risk or before.accepts_risk, contact=said.contact or before.contact,
        )
    row = state.put(replace(row, disposition=said))
    state.tell(
        "transaction.disposition", row.id, goods=said.goods, replaced_by=said.replaced_by,
        accepts_risk=said.accepts_risk or None,
    )
    if event.by_hand is not None and row.by_hand is None:
        if row.state not in settlement.DOUBTFUL:
            raise Rejected(409, "nothing-in-doubt", f"the transaction is {row.state}: nothing of it is left to be undone by hand")
        settlement.undone_by_hand(state, row, event.by_hand)
    if row.account is not None:
        settlement.judge(state, state.transactions[row.id])
    return Decision(transaction=row.id)


def acknowledged(state: State, event: Acknowledged) -> Decision:
    """A person has read what is left to do: it is not shown to them again unless it changes. The case stays as open as it was."""
    row = find(state, event.transaction)
    if row.state not in verdict.OWN_INCIDENT and not row.owes:
        raise Rejected(409, "nothing-left-open", f"the transaction is {row.state}: there is nothing to acknowledge")
    code = judge(state, row)[0]
    if event.code != code:
        raise Rejected(409, "advice-changed", f"the advice is {code} now: read it, then acknowledge that")
    if row.acknowledged != code:
        state.put(replace(row, acknowledged=code))
        state.tell("transaction.acknowledged", row.id, code=code, by=event.by)
    return Decision(transaction=row.id)


def resolved(state: State, event: IncidentResolved) -> Decision:
    """A person closes a case. While the agent itself is still busy with it, it cannot be closed."""
    incident = state.incidents.get(event.incident)
    if incident is None:
        raise Rejected(404, "no-such-incident", f"no incident {event.incident}")
    if not incident.open:
        raise Rejected(409, "already-closed", f"the incident was closed as {incident.resolution}")
    row = state.transactions.get(incident.transaction or "")
    if row is not None and incident.code in {"in_doubt", "declined_uncertain", "settlement"}:
        row = _refund_ended(state, row, event)
    if row is not None and incident.code == "settlement" and row.account is not None:
        state.put(replace(row, resolution=event.resolution, account=replace(row.account, case="even")))
    if row is not None and incident.code in {"in_doubt", "declined_uncertain"}:
        sending = state.reversals.get(row.id)
        waits = row.state in {"unresolved", "declined_uncertain"} or (row.repeats and row.state == "in_doubt")
        if not waits or _is_busy(sending, row):
            raise Rejected(409, "still-reversing", f"the transaction is {row.state}; the agent is still busy with it")
        reversal.fence(state, row.id)
        account = row.account and replace(row.account, case="even")
        state.put(
            replace(
                state.transactions[row.id], state=move(table_of(row.rail), row.state, "resolved"), vault=None, due_ms=None,
                resolution=event.resolution, account=account,
            )
        )
        state.tell("transaction.resolved", row.id, resolution=event.resolution, by=event.by)
        if sending is None:
            reversal.wipe(state, row.vault)
    incidents.close(state, incident, event.resolution, event.by, event.note)
    return Decision(transaction=incident.transaction)


def _is_busy(sending: Reversal | None, row: Transaction) -> bool:
    """An answer is awaited that may still decide."""
    asking = row.order is not None and row.order.busy
    return asking or (sending is not None and sending.state == "sending")
def _refund_ended(state: State, row: Transaction, event: IncidentResolved) -> Transaction:
    """"Refunded" needs a confirmed item and pays what is left of it; every other end means that no refund is made."""
    item = row.refund
    if item is None or not item.open:
        return row
    moneyback.check(row)
    if event.resolution != "refunded":
        refunds.cancel(state, row)
    elif item.state != "open":
        raise Rejected(
            409, "refund-not-confirmed",
            "first a person confirms that no adjustment or chargeback runs for this transaction",
        )
    else:
        refunds.pay(state, row, item.due_fen - item.refunded_fen, event.by)
    return state.transactions[row.id]
