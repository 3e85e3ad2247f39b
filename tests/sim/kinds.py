"""The kinds of transactions as the host and the checks know them: written down once more, asked of nobody.

What each moves, how it stands on the line, and what a doubt about it must lead to.
"""

from typing import Literal, NamedTuple


class Kind(NamedTuple):
    """`direction` +1 takes or holds, -1 gives back or lets go; `dated`: F61 has the day of its original; `goods` go for it."""

    mti: str
    f3: str
    f25: str
    type: str
    direction: int
    in_doubt: Literal["reverse", "repeat", "watch"] = "reverse"
    of: tuple[str, ...] = ()
    dated: bool = False
    goods: bool = False
    holds: bool = False  # no settlement file has a line of it


KINDS = {
    "sale": Kind("0200", "000000", "00", "22", +1, goods=True),
    "void": Kind("0200", "200000", "00", "23", -1, of=("sale",)),
    "preauth": Kind("0100", "030000", "06", "10", +1, goods=True, holds=True),
    "preauth_void": Kind("0100", "200000", "06", "11", -1, of=("preauth",), dated=True, holds=True),
    "completion": Kind("0200", "000000", "06", "20", +1, of=("preauth",), dated=True, goods=True),
    "completion_void": Kind("0200", "200000", "06", "21", -1, of=("completion",), dated=True),
    "refund": Kind("0220", "200000", "00", "25", -1, "repeat", of=("sale", "completion"), dated=True),
    "offline": Kind("0220", "000000", "00", "36", +1, "repeat", goods=True),
    "instalment": Kind("0200", "000000", "00", "54", +1, "watch", goods=True),
}
FRESH = ("preauth", "preauth", "offline", "instalment")  # what needs no original
APPROVALS = ("00", "10")


def f61(kind: str, original: tuple[str, ...], date: str) -> str:
    """What the request and its reversal say of the original (its batch and STAN, its MMDD)."""
    return "".join(original) + (date if KINDS[kind].dated else "") if KINDS[kind].of else ""
