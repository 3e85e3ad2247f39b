"""The field map of a 0400, as the profile has it, without the secrets that stand in the vault.

Keys are field numbers. F2, F14 and F55 are filled in by the performer, F39 at each send, F64 by the MAC service.
F26 F35 F36 F37 F52 F53 and F12 F13 F32 are never sent in a reversal.
"""

from agent.core.model import Transaction
from agent.core.policy import Policy


def reversal_fields(policy: Policy, transaction: Transaction) -> dict[str, str]:
    """What every send of this reversal has in common. The STAN is the original's, never a new one."""
    kind = policy.kind(transaction.kind)
    known = {
        "3": kind.f3,
        "4": f"{reversal_amount_fen(policy, transaction):012d}",
        "11": transaction.stan,
        "22": transaction.entry_mode,
        "23": transaction.sequence,
        "25": transaction.condition,
        "38": transaction.auth_code,
        "41": transaction.terminal_id,
        "42": transaction.merchant_id,
        "49": transaction.currency,
        "60": f60_of(policy, transaction),
        "61": _original(kind.f61, transaction),
    }
    return {number: text for number, text in known.items() if text and int(number) in policy.reversal.fields}


def f60_of(policy: Policy, transaction: Transaction) -> str:
    """Its type and its batch, as its messages carry them."""
    return policy.reversal.f60.format(type=policy.kind(transaction.kind).type, batch=transaction.batch)


def names(f60: str | None, own: str) -> bool:
    """True when the F60 of an answer is `own`, as far as it goes: where a STAN came round, only the batch tells two apart."""
    return f60 is not None and f60 != "" and (own.startswith(f60) or f60.startswith(own))


def reversal_amount_fen(policy: Policy, transaction: Transaction) -> int:
    """F4 of the 0400: the amount that was asked for, or, where the profile says so, the one that was approved."""
    if policy.reversal.amount == "approved" and transaction.approved_fen is not None:
        return transaction.approved_fen
    return transaction.amount_fen


def _original(f61: str, transaction: Transaction) -> str:
    """F61 as the request had it. The date is copied, never worked out: an original of last year keeps its own day."""
    original = transaction.original
    return f61.format(batch=original.batch, stan=original.stan, date=original.date or "") if original else ""


def echo_fields(policy: Policy, *, terminal_id: str, merchant_id: str, batch: str) -> dict[str, str]:
    """An echo test: it has no STAN, so none is invented."""
    messages = policy.messages
    fields = {"3": messages.echo_f3, "41": terminal_id, "42": merchant_id, "60": messages.echo_f60.format(batch=batch)}
    return {number: text for number, text in fields.items() if text}


def is_reversible(policy: Policy, kind: str) -> bool:
    """True for kinds that a 0400 may undo; the others are repeated, or watched and reported only."""
    return policy.kind(kind).in_doubt == "reverse"


# A reply answers a request only when all of these are equal: a crossed reply must not close another reversal.
MATCHED = ("3", "4", "11", "41", "42")
