"""What the customer in front of the till is shown, from the state as it was committed: of the newest transaction, or nothing.

Never an earlier customer's advice once another transaction has opened (invariant 14); never words that ask for money again
while it is not safe; never more of a card than its last four digits.
"""

import msgspec

from agent.core.customertexts import CUSTOMER
from agent.core.playbook import judge
from agent.core.slips import yuan
from agent.core.state import State

COLUMNS = 20  # of a line; a Han character takes two

# While one of these lasts, so does what is shown. Anything else is an end: it is read for a while, then the name comes back.
_LASTING = frozenset({
    "intent", "sent", "in_doubt", "reversing", "approved_not_completed", "querying", "cancelling", "cancel_unknown",
})


class Shown(msgspec.Struct, frozen=True):
    """Two lines in both languages. `code` is the advice that they follow from; `lasting` that the matter goes on."""

    transaction: str
    code: str
    lasting: bool
    zh: tuple[str, str]
    en: tuple[str, str]


def shown(state: State) -> Shown | None:
    """What stands on the customer display now; None is the merchant's name."""
    newest = state.agent.newest
    row = next((row for row in reversed(state.transactions.values()) if row.number == newest), None)
    if row is None:
        return None  # closed and forgotten: its customer has left
    code, _, may_pay_again = judge(state, row)
    line = CUSTOMER[code]
    if line is None:
        return None
    again = may_pay_again and line.again_zh
    amount, card = yuan(row.amount_fen), f"*{row.last4}" if row.last4 else ""
    return Shown(
        transaction=row.id, code=code, lasting=row.state in _LASTING,
        zh=(line.again_zh if again else line.zh, _ends("", amount, "元", card)),
        en=(line.again_en if again else line.en, _ends("RMB ", amount, "", card)),
    )


def _ends(before: str, amount: str, after: str, card: str) -> str:
    """Amount and last four digits, at the two ends of a line. Where they are too wide, the currency goes. `after` is Han."""
    wide = len(before) + len(amount) + 2 * len(after) + len(card)
    if wide > COLUMNS:
        return amount.ljust(COLUMNS - len(card)) + card
    return before + amount + after + " " * (COLUMNS - wide) + card
