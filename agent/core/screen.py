"""What a screen at the till makes of an advice: its meaning in one word, a sentence for the customer, and what may be pressed.

Screens show this and judge nothing by themselves. A meaning is one of MEANINGS; it follows from the two answers that protect
money, and only where both say "hold" does the code tell waiting from deciding. The sentences keep to what is known: nothing is
promised in the agent's name, "accepted" is not "credited".
"""

from collections.abc import Mapping
from typing import Literal

from agent.core import payagain, verdict
from agent.core.kinds import PAYS_NOTHING, family
from agent.core.model import CLOSED, Transaction
from agent.core.playbook import Advice
from agent.core.slips import yuan
from agent.core.state import State

Meaning = Literal["release", "again", "wait", "hold", "done"]
Press = Literal["goods", "replaced", "evidence", "risk", "reprint", "guarantee"]

# meaning: zh, en; the largest words on the screen, never longer than 5 Han characters.
MEANINGS: Mapping[Meaning, tuple[str, str]] = {
    "release": ("可以交货", "GOODS MAY GO"),
    "again": ("可再付款", "PAY AGAIN"),
    "wait": ("请稍候", "PLEASE WAIT"),
    "hold": ("暂勿交货", "HOLD GOODS"),
    "done": ("已完成", "DONE"),
}
# The agent or the host is at it, and nobody has to decide anything.
WAITING = frozenset({"N1", "N1w", "N2", "N7", "N13", "P4a", "P4ao", "P4av", "P8"})
# Nothing of it is left to hold or to hand over: it undid something, paid something back, or a person closed it.
OVER = frozenset({"N3o", "N3v", "N6", "N6a", "P1o", "P1v", "P2o", "P2v"})

# What the customer is told, by meaning; beneath it by code, where the meaning alone would say too little.
_SAID: Mapping[Meaning, tuple[str, str]] = {
    "release": ("您的{amount}已付款成功,请不要再付。", "Your payment of {amount} was received. Please do not pay again."),
    "again": (
        "刚才的{amount}没有付成,请重新付款或换一种方式。",
        "The payment of {amount} did not go through. Please pay again, or in another way.",
    ),
    "wait": ("正在核实您的{amount},请稍等,先不要再付款。", "We are checking your {amount}. Please wait and do not pay again."),
    "hold": (
        "您的{amount}还没有结果,请稍等,先不要再付款;如有扣款短信请保留。",
        "There is no result for your {amount} yet. Please wait and do not pay again; keep any debit message.",
    ),
    "done": ("您的{amount}这笔已办理完毕。", "This transaction of {amount} is complete."),
}
_REVERSED = (
    "刚才的{amount}冲正已受理,到账以发卡行为准;请重新付款。",
    "The reversal of your {amount} was accepted; your bank decides when it is credited. Please pay again.",
)
_SAID_BY_CODE: Mapping[str, tuple[str, str]] = {
    "P4b": _REVERSED, "P21": _REVERSED,
    "P4c": (
        "银行没有刚才这笔{amount},请重新付款;如有扣款短信请保留,次日核对。",
        "The bank has no such payment of {amount}. Please pay again; keep any debit message, it is compared tomorrow.",
    ),
    "N9": (
        "刚才的{amount}正在退回,到账以钱包通知为准。", "Your {amount} is being returned; the wallet's own message will tell you.",
    ),
    "N11": ("刚才付成了{approved},还差{rest}。", "{approved} was paid; {rest} is still to be paid."),
    "N12": (
        "您的{amount}已批准,请向发卡行确认入账;请不要再付。",
        "Your {amount} was approved; please ask your bank to confirm it. Do not pay again.",
    ),
    "N14": (
        "您的{amount}已另做撤销或退货,以那笔的结果为准。", "Your {amount} was voided or refunded; the result of that one counts.",
    ),
    "P4d": ("撤销没有办成,原来的{amount}仍然有效。", "The void did not go through; your payment of {amount} still stands."),
    "N4v": ("撤销没有办成,原来的{amount}仍然有效。", "The void did not go through; your payment of {amount} still stands."),
}
_RISK = (
    "刚才的{amount}次日对账核实;经店长同意,请换一种方式付款。",
    "Your {amount} is compared with tomorrow's settlement. With the manager's consent, please pay in another way.",
)
_REPRINT = frozenset({"P1", "P1o", "P1v", "P2", "P2o", "P2v", "P18", "P24"})
_NOTE = frozenset({"P3", "P5", "P5k", "P5p", "P5w", "P7", "N8"})


def meaning(advice: Advice) -> Meaning:
    """The one word for an advice."""
    if not advice.hold_goods:
        return "release"
    if advice.may_pay_again:
        return "again"
    if advice.code in WAITING:
        return "wait"
    return "done" if advice.code in OVER else "hold"


def for_customer(row: Transaction, advice: Advice) -> tuple[str, str]:
    """The sentence for the customer: zh, en."""
    zh, en = _RISK if advice.reason == "risk" else _SAID_BY_CODE.get(advice.code) or _SAID[meaning(advice)]
    approved_fen = row.amount_fen if row.approved_fen is None else row.approved_fen
    sums = {"amount": row.amount_fen, "approved": approved_fen, "rest": row.amount_fen - approved_fen}
    return (
        zh.format_map({name: yuan(fen) + "元" for name, fen in sums.items()}),
        en.format_map({name: "CNY " + yuan(fen) for name, fen in sums.items()}),
    )


def presses(state: State, row: Transaction, advice: Advice) -> tuple[Press, ...]:
    """What may be pressed for it now. Goods, replacement and evidence are always there: people know more than machines."""
    pays = family(row.kind) not in PAYS_NOTHING
    offered: dict[Press, bool] = {
        "risk": pays and not advice.may_pay_again and row.state not in payagain.NO_RISK and row.state not in CLOSED,
        "reprint": advice.code in _REPRINT and state.agent.policy.has_printer,
        "guarantee": advice.code in _NOTE and state.agent.policy.has_printer,
    }
    return ("goods", "replaced", "evidence", *(press for press, holds in offered.items() if holds))


def of_yesterday(state: State, row: Transaction) -> bool:
    """True for what the end of its business day left open: a case of the settlement files, or a doubt nobody resolved."""
    if row.owes and row.account is not None and row.account.case != "wait":
        return True
    if row.state not in verdict.OWN_INCIDENT:
        return False
    # Where nothing tells the day, what was opened since the machine started is of today.
    return row.opened.boot != state.agent.boots if state.business_day() is None else not state.is_today(row.opened)
