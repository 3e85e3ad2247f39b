"""Is it safe to pay again? Yes only when this attempt can no longer take money; here is why, for every state."""

from collections.abc import Mapping

from agent.core.kinds import PAYS_NOTHING, family
from agent.core.model import Transaction

PAYABLE = frozenset({"declined", "not_sent", "reversed", "no_original", "closed"})

# code: zh, en
REASONS: Mapping[str, tuple[str, str]] = {
    "declined": ("主机拒绝,未扣款", "the host declined it: nothing was taken"),
    "not_sent": ("没有发到主机,未扣款", "it never reached the host: nothing was taken"),
    "reversed": ("冲正已受理,原交易不再有效", "its reversal was accepted: it no longer counts"),
    "no_original": ("主机没有这笔交易", "the host has no such payment"),
    "disputed": ("银行说已扣款,主机没有这笔", "the bank says debited, the host has no such payment: compared the next day"),
    "closed": ("订单已关闭,不会再扣款", "the order is closed: it takes no money any more"),
    "risk": ("商户已确认自担风险", "the merchant took the risk"),
    "running": ("还在处理,结果未出", "it is still running"),
    "undone": ("已另做撤销或退货,以那笔为准", "it was voided or refunded: the result of that one counts"),
    "paid": ("款已收到,再付就是重复", "it was paid: paying again would be twice"),
    "reversing": ("可能已扣款,冲正尚未完成", "it may have been taken, and its reversal is not through"),
    "unresolved": ("可能已扣款,次日对账才有定论", "it may have been taken: only the settlement tells"),
    "case_closed": ("已结案,以结案处理为准", "the case is closed: what was decided there counts"),
    "repeated": ("同一笔原样重发,不另收款", "the same message goes again: it is not paid anew"),
    "booked": ("对账文件有这笔入账", "the settlement files have it booked"),
    "not_a_payment": ("这不是收款交易", "this is no payment"),
}

_BY_STATE: Mapping[str, str] = {
    "intent": "running", "sent": "running", "querying": "running", "cancelling": "running", "cancel_unknown": "unresolved",
    "no_original": "disputed", "approved": "paid", "paid": "paid", "refunded": "case_closed", "resolved": "case_closed",
    "in_doubt": "reversing", "reversing": "reversing", "approved_not_completed": "reversing",
    "unresolved": "unresolved", "declined_uncertain": "unresolved",
}
NO_RISK = frozenset({"approved", "paid", "sent", "intent"})  # there is nothing yet, or nothing any more, to take a risk on


def is_disputed(row: Transaction) -> bool:
    """True when the customer shows a debit of which the host knows nothing, until the settlement files have said who is right."""
    final = row.account is not None and row.account.final
    return row.state == "no_original" and not final and debit_shown(row)


def debit_shown(row: Transaction) -> bool:
    """True when the customer showed a debit message."""
    return bool(row.evidence) and any(evidence.kind == "debit_sms" for evidence in row.evidence)


def judged(row: Transaction) -> tuple[bool, str]:
    """(may it be paid again, the code of the reason)."""
    kind = family(row.kind)
    if kind in PAYS_NOTHING or row.trigger:
        return False, "not_a_payment"
    if kind == "advice" and row.state != "declined":
        return False, "repeated" if row.repeats and row.state == "in_doubt" else _BY_STATE.get(row.state, "repeated")
    if row.account is not None and row.account.verdict == "settled" and row.state in PAYABLE:
        return False, "booked"
    if row.state in PAYABLE and not is_disputed(row):
        return True, row.state
    if row.disposition is not None and row.disposition.accepts_risk and row.state not in NO_RISK:
        return True, "risk"
    if row.repeats and row.state == "in_doubt":
        return False, "repeated"
    return False, _BY_STATE.get(row.state, "running")
