"""The field map of a 0400, as UnionPay terminals build it, without the secrets that stand in the vault.

Keys are field numbers. F2, F14 and F55 are filled in by the performer, F39 at each send, F64 by the MAC service.
F26 F35 F36 F37 F52 F53 and F12 F13 F32 are never sent in a reversal.
"""

from agent.core.model import Transaction
from agent.core.policy import Policy


def reversal_fields(policy: Policy, transaction: Transaction) -> dict[str, str]:
    """What every send of this reversal has in common. The STAN is the original's, never a new one."""
    f3, f60_1 = next((f3, f60) for kind, f3, f60 in policy.reversible if kind == transaction.kind)
    fields = {
        "3": f3,
        "4": f"{transaction.amount_fen:012d}",
        "11": transaction.stan,
        "25": transaction.condition,
        "41": transaction.terminal_id,
        "42": transaction.merchant_id,
        "49": transaction.currency,
        "60": f60_1 + transaction.batch + policy.network,
    }
    if transaction.entry_mode is not None:
        fields["22"] = transaction.entry_mode
    if transaction.sequence is not None:
        fields["23"] = transaction.sequence
    if transaction.auth_code is not None:
        fields["38"] = transaction.auth_code
    if transaction.kind == "void" and transaction.original is not None:
        fields["61"] = transaction.original.batch + transaction.original.stan
    return fields


def echo_fields(*, terminal_id: str, merchant_id: str, batch: str) -> dict[str, str]:
    """An 0820 echo test (F60.3 = 301): it has no STAN, so none is invented."""
    return {"41": terminal_id, "42": merchant_id, "60": "00" + batch + "301"}


def is_reversible(policy: Policy, kind: str) -> bool:
    """True for kinds that a 0400 may undo; the others are watched and reported only."""
    return any(kind == known for known, _, _ in policy.reversible)


# A reply answers a request only when all of these are equal: a crossed reply must not close another reversal.
MATCHED = ("3", "4", "11", "41", "42")
