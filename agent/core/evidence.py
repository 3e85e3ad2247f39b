"""What somebody shows, or a late answer said: kept, compared field by field with what we know, never believed by itself.

The merchant side's query or reversal decides; what the customer's phone shows triggers it and is kept.
"""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from agent.core.change import Rejected
from agent.core.event import ResultReported
from agent.core.model import Evidence, Transaction
from agent.core.policy import Policy
from agent.core.state import State

EVIDENCE_MAX = 16


def given(state: State, row: Transaction, evidence: Evidence) -> tuple[Transaction, dict[str, str]]:
    """Keep it; the row with it, and how it agrees. Raises Rejected when there is too much of it already."""
    if len(row.evidence) >= EVIDENCE_MAX:
        raise Rejected(409, "too-much-evidence", f"{EVIDENCE_MAX} pieces of evidence are kept for one transaction")
    agreement = compare(state.agent.policy, row, evidence)
    row = state.put(replace(row, evidence=(*row.evidence, evidence)))
    differs = [name for name, word in agreement.items() if word == "differs"]
    state.tell(
        f"evidence.{evidence.kind}", row.id, amount_fen=evidence.amount_fen, complete=is_complete(agreement) or None,
        differs=", ".join(differs) or None,
    )
    return row, agreement


def late(state: State, row: Transaction, event: ResultReported, kind: str) -> Transaction:
    """A result that came too late to decide, or contradicts: kept as evidence, once."""
    evidence = Evidence(
        kind=kind,  # type: ignore[arg-type]
        outcome=event.outcome, response_code=event.response_code, amount_fen=event.approved_fen,
    )
    if len(row.evidence) < EVIDENCE_MAX and evidence not in row.evidence:
        row = state.put(replace(row, evidence=(*row.evidence, evidence)))
    state.tell(f"evidence.{kind}", row.id, outcome=event.outcome, code=event.response_code)
    return row


def compare(policy: Policy, row: Transaction, shown: Evidence) -> dict[str, str]:
    """For each field: agrees, differs, missing (not shown), or unknown (we have nothing, or nothing readable, beside it)."""
    order_no = row.order.order_no if row.order is not None else None
    merchants = {_plain(row.merchant_id), _plain(policy.merchant_name)}
    return {
        "amount_fen": _word(shown.amount_fen, shown.amount_fen == row.amount_fen),
        "order_no": _word(shown.order_no, None if order_no is None else shown.order_no == order_no),
        "merchant": _word(shown.merchant, _plain(shown.merchant or "") in merchants),
        "at": _word(shown.at, _near(policy, row, shown.at or "")),
    }


def is_complete(agreement: dict[str, str]) -> bool:
    """Amount, order number, merchant and time are all shown, and all agree."""
    return all(word == "agrees" for word in agreement.values())


def _word(shown: object, agrees: bool | None) -> str:
    if shown is None:
        return "missing"
    return {True: "agrees", False: "differs", None: "unknown"}[agrees]


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def _near(policy: Policy, row: Transaction, shown: str) -> bool | None:
    """Within the window of our own time; None when either time is not known."""
    ours_ms = (row.sent or row.opened).wall_ms
    shown_ms = moment_ms(policy, shown)
    if ours_ms is None or shown_ms is None:
        return None
    return abs(shown_ms - ours_ms) <= policy.evidence_window_ms


def moment_ms(policy: Policy, text: str) -> int | None:
    """Milliseconds since 1970 of a time as people and phones write it (ISO 8601; without a zone the host's), or None."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("/", "-"))
    except ValueError:
        return None
    offset_ms = policy.utc_offset_minutes * 60_000 if moment.tzinfo is None else 0
    since = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1) - offset_ms
