"""Which advice belongs to which kind in which situation: one table, every pair of it written down on purpose.

A situation is a state, seen with what else the cashier has to know: the gate's word, a message that was shown, paper. The
first row of the table is the sale's; the other families say only where theirs is another.
"""

from collections.abc import Mapping

from agent.core import batches, printadvice, undoing
from agent.core.kinds import Family, family
from agent.core.model import Transaction
from agent.core.payagain import PAYABLE, debit_shown, is_disputed
from agent.core.state import State

MEANING: Mapping[str, str] = {
    "intent": "registered, not sent",
    "intent_wait": "the gate says wait",
    "intent_refuse": "the gate says refuse",
    "intent_settling": "the same, because the batch is settling",
    "sent": "sent, no answer yet",
    "in_doubt": "in doubt, to be reversed; the line may be down",
    "in_doubt_shown": "the same, and a debit message was shown",
    "by_hand": "in doubt, and the payment app cannot reverse it without a hand",
    "repeat": "in doubt, and never reversed: the same message goes again",
    "reversing": "the 0400 is on its way, the line is up",
    "reversed": "the host accepted the 0400",
    "reversed_by_app": "the payment app's own 0400 was accepted",
    "no_original": "the host has no such transaction",
    "no_original_shown": "the same, and a debit message was shown",
    "unresolved": "the 0400 was refused, used up or too late",
    "unresolved_shown": "unresolved, and a debit message was shown",
    "unresolved_watched": "unresolved without any 0400: only watched",
    "approved": "approved; the receipt is out, or no receipt came",
    "approved_paper": "approved; no paper",
    "approved_fault": "approved; the receipt may be missing",
    "approved_broken": "approved; the printer is lost for good",
    "approved_blank": "approved; the paper came out blank",
    "approved_no_printer": "approved; a terminal without a printer",
    "trigger": "a one-fen sale that only triggered a reversal, however it ended",
    "approved_partial": "approved for less than was asked for",
    "approved_confirm": "approved by a code that asks the issuer's word (A2 A4 A5 A6)",
    "undone": "a void or refund of it was made, or another one of what it was to undo",
    "declined": "declined",
    "declined_uncertain": "declined by a code that may hide a booking (68 91 96 98)",
    "not_sent": "proved not sent",
    "resolved": "a person closed the case",
}

_SALE: dict[str, str] = {
    "intent": "N1", "intent_wait": "N7", "intent_refuse": "P19", "intent_settling": "N13",
    "sent": "N2", "in_doubt": "P3", "in_doubt_shown": "P6",
    "by_hand": "N10", "repeat": "P3r", "reversing": "P4a", "reversed": "P4b", "reversed_by_app": "P21", "no_original": "P4c",
    "no_original_shown": "P7", "unresolved": "P5", "unresolved_shown": "P7", "unresolved_watched": "P5k", "approved": "N3",
    "approved_paper": "P1", "approved_fault": "P2", "approved_broken": "P18", "approved_blank": "P24",
    "approved_no_printer": "P23", "trigger": "P22", "approved_partial": "N11", "approved_confirm": "N12",
    "undone": "N14", "declined": "N4", "declined_uncertain": "P6", "not_sent": "N5", "resolved": "N6",
}
# Another word than "pay": what was taken back may be done again under its own name.
_OTHER: dict[str, str] = _SALE | {
    "in_doubt": "P3o", "reversing": "P4ao", "reversed": "P4bo", "no_original": "P4co", "approved": "N3o", "declined": "N4o",
}
_NO_PAYMENT: dict[str, str] = _OTHER | {
    "in_doubt_shown": "P3o", "reversed_by_app": "P4bo", "no_original_shown": "P4co", "unresolved": "P5r",
    "unresolved_shown": "P5r", "unresolved_watched": "P5r", "approved_paper": "P1o", "approved_fault": "P2o",
    "approved_no_printer": "N3o", "approved_partial": "N11o", "declined_uncertain": "P5r", "not_sent": "N5o",
}
ADVICE: Mapping[Family, Mapping[str, str]] = {
    "sale": _SALE,
    "undo": _SALE | {
        "in_doubt": "P3v", "in_doubt_shown": "P3v", "reversing": "P4av", "reversed": "P4d", "reversed_by_app": "P4d",
        "no_original": "P4d", "no_original_shown": "P4d", "unresolved": "P5v", "unresolved_watched": "P5v", "approved": "N3v",
        "approved_paper": "P1v", "approved_fault": "P2v", "approved_no_printer": "N3v", "approved_partial": "N11o",
        "approved_confirm": "N3v", "declined": "N4v", "declined_uncertain": "P5v",
    },
    "preauth": _OTHER | {
        "in_doubt_shown": "P6p", "unresolved": "P5p", "approved_paper": "P1o", "approved_fault": "P2o",
        "approved_no_printer": "N3o", "declined_uncertain": "P6p",
    },
    "completion": _OTHER,
    "refund": _NO_PAYMENT | {"approved_confirm": "N3o"},
    "advice": _NO_PAYMENT,
    "inquiry": _NO_PAYMENT | {"approved_confirm": "N3o"},
    "watched": _OTHER | {"approved": "N3", "declined": "N4"},
}

# What printadvice calls it, and the situation that is.
_PRINTED: Mapping[str, str] = {
    "N3": "approved", "P1": "approved_paper", "P2": "approved_fault", "P18": "approved_broken",
    "P23": "approved_no_printer", "P24": "approved_blank",
}


def code(state: State, row: Transaction, proceed: str | None) -> str:
    """The advice for this card transaction as things stand; `proceed` is the gate's answer when it was just asked."""
    return ADVICE[family(row.kind)][situation(state, row, proceed)]


def situation(state: State, row: Transaction, proceed: str | None) -> str:
    """One word of `MEANING`."""
    if row.trigger and (row.state == "approved" or row.state in PAYABLE):
        return "trigger"
    if undoing.by_another(state, row):
        return "undone"
    if row.state == "approved":
        return _approved(state, row)
    if row.state == "intent":
        refused = "intent_settling" if batches.settles_without(state.agent, row) else "intent_refuse"
        return {"wait": "intent_wait", "refuse": refused}.get(proceed or "", "intent")
    own = state.reversals.get(row.id)
    if row.state == "in_doubt" and row.repeats:
        return "repeat"
    if row.state in {"in_doubt", "approved_not_completed", "reversing"}:
        if own is not None and own.hand is not None:
            return "by_hand"
        if debit_shown(row):
            return "in_doubt_shown"
        return "reversing" if row.state == "reversing" and state.line.up is not False else "in_doubt"
    if row.state == "unresolved":
        if debit_shown(row):
            return "unresolved_shown"
        return "unresolved_watched" if own is None else "unresolved"
    if row.state == "reversed":
        return "reversed_by_app" if own is not None and (own.adopted or own.unasked) else "reversed"
    if row.state == "no_original":
        return "no_original_shown" if is_disputed(row) else "no_original"
    return row.state


def _approved(state: State, row: Transaction) -> str:
    """Money first: gone again, less than was asked for, the issuer's word wanted; then what stands before the receipt."""
    if undoing.is_undone(state, row):
        return "undone"
    if row.partial:
        return "approved_partial"
    paper = _PRINTED[printadvice.approved(state, row)]
    wanted = row.response_code in state.agent.policy.answers.confirm
    return "approved_confirm" if paper == "approved" and wanted else paper
