"""What people add: evidence, where the goods went, and closing a case. None of it turns doubt into success."""

from msgspec.structs import replace

from agent.core import incidents, reversal
from agent.core.card import EVIDENCE_MAX, find
from agent.core.change import Decision, Rejected
from agent.core.event import DispositionGiven, EvidenceGiven, IncidentResolved
from agent.core.lifecycle import TRANSACTION, move
from agent.core.state import State


def evidence_given(state: State, event: EvidenceGiven) -> Decision:
    """Kept, masked, at most sixteen per transaction."""
    row = find(state, event.transaction)
    if len(row.evidence) >= EVIDENCE_MAX:
        raise Rejected(409, "too-much-evidence", f"{EVIDENCE_MAX} pieces of evidence are kept for one transaction")
    state.put(replace(row, evidence=(*row.evidence, event.evidence)))
    state.tell(f"evidence.{event.evidence.kind}", row.id, amount_fen=event.evidence.amount_fen)
    return Decision(transaction=row.id)


def disposition_given(state: State, event: DispositionGiven) -> Decision:
    """Where goods and money went. What is not said keeps what was said before; a risk once accepted stays accepted."""
    row = find(state, event.transaction)
    before, said = row.disposition, event.disposition
    if before is not None:
        said = replace(
            said, goods=said.goods or before.goods, replaced_by=said.replaced_by or before.replaced_by,
            accepts_risk=said.accepts_risk or before.accepts_risk, contact=said.contact or before.contact,
        )
    state.put(replace(row, disposition=said))
    state.tell(
        "transaction.disposition", row.id, goods=said.goods, replaced_by=said.replaced_by,
        accepts_risk=said.accepts_risk or None,
    )
    return Decision(transaction=row.id)


def resolved(state: State, event: IncidentResolved) -> Decision:
    """A person closes a case. While the agent itself is still busy with it, it cannot be closed."""
    incident = state.incidents.get(event.incident)
    if incident is None:
        raise Rejected(404, "no-such-incident", f"no incident {event.incident}")
    if not incident.open:
        raise Rejected(409, "already-closed", f"the incident was closed as {incident.resolution}")
    row = state.transactions.get(incident.transaction or "")
    if row is not None and incident.code in {"in_doubt", "declined_uncertain"}:
        sending = state.reversals.get(row.id)
        if row.state not in {"unresolved", "declined_uncertain"} or (sending is not None and sending.state == "sending"):
            raise Rejected(409, "still-reversing", f"the transaction is {row.state}; the agent is still busy with it")
        reversal.fence(state, row.id)
        state.put(replace(state.transactions[row.id], state=move(TRANSACTION, row.state, "resolved"), vault=None))
        state.tell("transaction.resolved", row.id, resolution=event.resolution, by=event.by)
        if sending is None:
            reversal.wipe(state, row.vault)
    incidents.close(state, incident, event.resolution, event.by, event.note)
    return Decision(transaction=incident.transaction)
