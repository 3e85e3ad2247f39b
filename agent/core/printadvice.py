"""The advice for what is paid, as paper and printer let it be handed over."""

from agent.core.model import Job, Transaction
from agent.core.state import State

_PAPER = frozenset({"paper_out", "cover_open"})
_NOT_OUT = frozenset({"PARTIAL", "UNKNOWN", "UNPRINTED", "UNPRINTABLE", "EXPIRED"})
_READY = frozenset({"none", "unknown"})


def approved(state: State, row: Transaction) -> str:
    """N3 unless paper or printer stand between the customer and the receipt."""
    if not state.agent.policy.has_printer:
        return "P23" if row.kind != "void" else "N3"
    if row.blank:
        return "P24"
    job, fault = state.last_receipt(row.id), state.printer.fault
    if job is None:
        return "N3"
    if fault == "unrecoverable" and job.state not in {"CONFIRMED", "FENCED"}:
        return "P18"
    if fault in _PAPER and (job.state in {"WAITING", "UNPRINTED", "PARTIAL"} or _is_last_at_printer(state, job)):
        return "P1"
    if job.state in _NOT_OUT or (job.state == "WAITING" and fault not in _READY):
        return "P2"
    return "N3"


def _is_last_at_printer(state: State, job: Job) -> bool:
    """True for the job in whose middle the paper may have run out: the printer still holds its rest."""
    unproved = job.state in {"SENT_UNCONFIRMED", "UNKNOWN"}
    return unproved and not any(other.number > job.number and other.accepted_bytes for other in state.jobs.values())
