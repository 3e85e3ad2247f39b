"""What a kind of transaction is to people: its family, its name in both languages, and what an approval means for goods.

How a kind stands on the line, and what a doubt about it means, is the profile's (`Policy.kind`).
"""

from collections.abc import Callable, Mapping
from typing import Literal

Family = Literal["sale", "undo", "preauth", "completion", "refund", "advice", "inquiry", "watched"]

UNLISTED = "other"  # what passes by in the relay and is of no kind that the profile lists

# 中文, English. A kind that is not here is called by its own name.
NAMES: Mapping[str, tuple[str, str]] = {
    "sale": ("消费", "sale"),
    "void": ("撤销", "void"),
    "preauth": ("预授权", "pre-authorization"),
    "preauth_void": ("预授权撤销", "void of a pre-authorization"),
    "completion": ("预授权完成", "completion"),
    "completion_void": ("预授权完成撤销", "void of a completion"),
    "refund": ("退货", "refund"),
    "offline": ("离线消费", "offline sale"),
    "tip": ("小费调整", "tip adjustment"),
    "instalment": ("分期", "instalment sale"),
    "dcc": ("外币结算", "currency conversion sale"),
    "balance": ("余额查询", "balance inquiry"),
    UNLISTED: ("其他交易", "transaction of another kind"),
}


class _Families(dict[str, Family]):
    """By kind; what nobody knows is only watched."""

    def __missing__(self, _kind: str) -> Family:
        return "watched"


# Which texts and rules a kind shares with others. Asked several times for every row that a step touches, so it is the look-up
# itself and no function around it.
family: Callable[[str], Family] = _Families({
    "sale": "sale", "void": "undo", "preauth": "preauth", "preauth_void": "undo", "completion": "completion",
    "completion_void": "undo", "refund": "refund", "offline": "advice", "tip": "advice", "balance": "inquiry",
}).__getitem__
# These only hold and let go: no settlement file ever has a line of them, so a missing one proves nothing.
MONEYLESS = frozenset({"preauth", "preauth_void", "balance"})
# An approval of these means that money, or a hold on it, is the merchant's: goods may go.
RELEASES = frozenset({"sale", "preauth", "completion", "advice", "watched"})
# These bring the merchant nothing, whatever becomes of them: they are not paid again, and pay for nothing else.
PAYS_NOTHING = frozenset({"undo", "refund", "inquiry"})


def checked_by(kind: str) -> str:
    """The next action where only the acquirer's side can tell what became of it."""
    return "call_acquirer" if kind in MONEYLESS else "compare_settlement"


def name(kind: str) -> tuple[str, str]:
    """中文, English."""
    return NAMES.get(kind, (kind, kind))
