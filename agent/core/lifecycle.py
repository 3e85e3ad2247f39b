"""Which state may follow which: the life cycles as tables, {state: {cause: next state}}.

`move` is the only way a `state` changes, so a transition that is not written here cannot happen. The diagrams in
`docs/lifecycle.md` are drawn from these tables.
"""

from collections.abc import Callable, Mapping

Table = Mapping[str, Mapping[str, str]]

TRANSACTION: Table = {
    "intent": {
        "go": "sent",
        "approved": "approved",
        "declined": "declined",
        "declined_uncertain": "declined_uncertain",
        "approved_not_completed": "approved_not_completed",
        "no_answer": "in_doubt",
        "bad_mac": "in_doubt",
        "not_sent": "not_sent",
        "never_sent": "not_sent",
        "timeout": "in_doubt",
        "restart": "in_doubt",
    },
    "sent": {
        "approved": "approved",
        "declined": "declined",
        "declined_uncertain": "declined_uncertain",
        "approved_not_completed": "approved_not_completed",
        "no_answer": "in_doubt",
        "bad_mac": "in_doubt",
        "not_sent": "in_doubt",
        "timeout": "in_doubt",
        "restart": "in_doubt",
        "astray": "unresolved",
    },
    "in_doubt": {
        "reversing": "reversing",
        "accepted": "reversed",
        "not_undone": "unresolved",
        "repeat": "sent",
        "approved": "approved",
        "declined": "declined",
        "declined_uncertain": "declined_uncertain",
        "resolved": "resolved",
    },
    "approved_not_completed": {"reversing": "reversing", "not_undone": "unresolved"},
    "reversing": {
        "accepted": "reversed",
        "no_original": "no_original",
        "not_undone": "unresolved",
    },
    "unresolved": {"accepted": "reversed", "no_original": "no_original", "resolved": "resolved", "even": "resolved"},
    "no_original": {
        "late_approval": "in_doubt",
        "late_approval_after_wipe": "unresolved",
        "accepted": "reversed",
    },
    "declined_uncertain": {"resolved": "resolved", "even": "resolved"},
    "not_sent": {"approved": "approved"},
    "approved": {"app_reversed": "approved_not_completed"},
    "declined": {},
    "reversed": {},
    "resolved": {},
}

REVERSAL: Table = {
    "pending": {
        "send": "sending",
        "accepted": "accepted",
        "no_original": "no_original",
        "refused": "refused",
        "app_silent": "refused",
        "batch_closed": "expired",
        "resolved": "fenced",
    },
    "sending": {
        "accepted": "accepted",
        "no_original": "no_original",
        "refused": "refused",
        "kept": "pending",
        "used_up": "exhausted",
        "kept_exhausted": "exhausted",
        "batch_closed": "expired",
    },
    "exhausted": {
        "send": "sending",
        "accepted": "accepted",
        "no_original": "no_original",
        "refused": "refused",
        "app_silent": "refused",
        "batch_closed": "expired",
        "resolved": "fenced",
    },
    "refused": {"ordered": "pending", "accepted": "accepted", "resolved": "fenced"},
    "no_original": {"late_approval": "pending", "accepted": "accepted", "resolved": "fenced"},
    "expired": {"accepted": "accepted", "resolved": "fenced"},
    "accepted": {},
    "fenced": {"accepted": "accepted"},
}

# A wallet's order: the merchant side's query tells the truth; "closed" and "unresolved" may still learn of a late payment.
WALLET: Table = {
    "intent": {
        "go": "sent",
        "approved": "paid",
        "declined": "declined",
        "declined_uncertain": "querying",
        "approved_not_completed": "querying",
        "no_answer": "querying",
        "bad_mac": "querying",
        "not_sent": "not_sent",
        "never_sent": "not_sent",
        "timeout": "querying",
        "restart": "querying",
    },
    "sent": {
        "approved": "paid",
        "declined": "declined",
        "declined_uncertain": "querying",
        "approved_not_completed": "querying",
        "no_answer": "querying",
        "bad_mac": "querying",
        "not_sent": "querying",
        "timeout": "querying",
        "restart": "querying",
    },
    "querying": {
        "paid": "paid",
        "closed": "closed",
        "refunded": "refunded",
        "cancel": "cancelling",
        "not_undone": "unresolved",
    },
    "cancelling": {
        "closed": "closed",
        "refunded": "refunded",
        "cancel_unclear": "cancel_unknown",
        "not_left": "querying",
        "not_undone": "unresolved",
    },
    "cancel_unknown": {
        "closed": "closed",
        "refunded": "refunded",
        "cancel": "cancelling",
        "paid_late": "cancelling",
        "not_undone": "unresolved",
    },
    "closed": {"paid_late": "cancelling", "refunded": "refunded"},
    "unresolved": {
        "paid": "paid",
        "closed": "closed",
        "refunded": "refunded",
        "paid_late": "cancelling",
        "resolved": "resolved",
        "even": "resolved",
    },
    "not_sent": {"approved": "paid"},
    "paid": {"refunded": "refunded"},
    "declined": {},
    "refunded": {},
    "resolved": {},
}

JOB: Table = {
    "WAITING": {"start": "INTENT", "too_old": "EXPIRED"},
    "UNPRINTED": {"start": "INTENT", "too_old": "EXPIRED"},
    "INTENT": {
        "UNPRINTED": "UNPRINTED",
        "UNPRINTABLE": "UNPRINTABLE",
        "PARTIAL": "PARTIAL",
        "SENT_UNCONFIRMED": "SENT_UNCONFIRMED",
        "FENCED": "FENCED",
        "CONFIRMED": "CONFIRMED",
        "UNKNOWN": "UNKNOWN",
        "restart": "UNKNOWN",
    },
    "PARTIAL": {"CONFIRMED": "CONFIRMED"},
    "SENT_UNCONFIRMED": {"CONFIRMED": "CONFIRMED"},
    "FENCED": {"CONFIRMED": "CONFIRMED"},
    "UNKNOWN": {"CONFIRMED": "CONFIRMED"},
    "CONFIRMED": {},
    "EXPIRED": {},
    "UNPRINTABLE": {},
}

REFUND: Table = {
    "wanted": {"confirmed": "open", "cancelled": "cancelled"},
    "open": {"part": "open", "whole": "done", "cancelled": "cancelled"},
    "cancelled": {"wanted": "wanted"},
    "done": {},
}

# A command of the fleet. Only what is done outside the core is ever seen as "accepted"; the rest ends in the same commit.
COMMAND: Table = {
    "new": {"begun": "accepted", "done": "done", "refused": "rejected"},
    "accepted": {"done": "done", "failed": "rejected"},
    "done": {},
    "rejected": {},
}

TABLES: Mapping[str, Table] = {
    "transaction": TRANSACTION, "wallet": WALLET, "reversal": REVERSAL, "job": JOB, "refund": REFUND, "command": COMMAND,
}


# The life cycle of a transaction of this rail. Asked for every row that a step touches, so it is the look-up itself.
table_of: Callable[[str], Table] = {"card": TRANSACTION, "wallet": WALLET, "bestpay": WALLET}.__getitem__


def move(table: Table, state: str, cause: str) -> str:
    """The state that follows; a cause the table does not know is a defect of ours (AssertionError)."""
    following = table[state]
    assert cause in following, f"no transition from {state} by {cause}"
    return following[cause]
