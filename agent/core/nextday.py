"""What the cashier is told once settlement files speak: the rows of the playbook for the next day, and which one it is.

Each text goes with where the goods are and with what replaced the payment; where nobody said, it names both ways.
"""

from collections.abc import Mapping

from agent.core.model import Transaction
from agent.core.payagain import PAYABLE

# code: short zh, long zh, short en, long en. {day} is the settlement date, {date} the day on which it becomes final.
TEXTS: Mapping[str, tuple[str, str, str, str]] = {
    "P7a": (
        "已见入账,次日定论", "对账文件已有{amount}(尾号{last4})入账,冲正可能晚一日到;{date}核对后定论,暂勿退款。",
        "Booked, not final",
        "{amount} (card …{last4}) stands in the settlement file; a reversal may follow: final on {date}, do not refund yet.",
    ),
    "P7w": (
        "已见入账,次日定论", "对账文件已有{amount}(订单{last4})入账,撤销或退款可能晚一日到;{date}核对后定论,暂勿退款。",
        "Booked, not final",
        "{amount} (order …{last4}) stands in the wallet's file; a refund may follow: final on {date}, do not refund yet.",
    ),
    "P14": (
        "多收一笔,请退款", "两笔{amount}均入账,请退流水号{stan}(尾号{last4})。",
        "Paid twice, refund", "Both payments of {amount} were booked: refund STAN {stan} (card …{last4}), once.",
    ),
    "P14a": (
        "可能多收,请店长核实", "{amount}(尾号{last4})已入账,顾客后来可能又付了一笔;请店长核实是否同一笔货款,再定退款。",
        "Perhaps twice, check",
        "{amount} (card …{last4}) was booked and perhaps paid again: the manager finds out whether both were for one purchase.",
    ),
    "P14b": (
        "入账金额不符,请核实", "对账文件中流水号{stan}的净额与{amount}不符;请运营核实,勿自行退款或补收。",
        "Amounts differ, check",
        "What the settlement files hold for STAN {stan} is not {amount}. The operator looks into it; neither refund nor collect.",
    ),
    "P14c": (
        "款已到账,应退顾客", "{amount}已入账,但货已退回或已撤销;请退流水号{stan}(尾号{last4}),只退一次。",
        "Booked, refund it",
        "{amount} was booked although the goods came back or it was voided: refund STAN {stan} (card …{last4}), once.",
    ),
    "P15": (
        "款已到账,请联系顾客", "{day}的{amount}已入账;未取货请通知取货,已另付则原路退款。",
        "Paid, call customer",
        "{amount} was booked on {day}: call the customer to fetch the goods; if they were paid for in another way, refund it.",
    ),
    "P15a": (
        "款已到账,请通知取货", "{day}的{amount}已入账,货还在店;请通知顾客(尾号{last4})取货,或原路退款。",
        "Paid, goods are here",
        "{amount} was booked on {day} and the goods are still here: call the customer (card …{last4}) to fetch them, or refund.",
    ),
    "P16": (
        "未到账,请向顾客补收", "{day}的{amount}未入账且货已交付,请联系顾客补付。",
        "Not paid, collect",
        "{amount} of {day} was never booked and the goods are gone: ask the customer to pay.",
    ),
    "P16a": (
        "未到账,请核对货物", "{day}的{amount}未入账;货已交付请联系顾客补付,未交付则无需处理。",
        "Not paid, check goods",
        "{amount} of {day} was never booked. If the goods went out, ask the customer to pay; if not, nothing is owed.",
    ),
    "P16v": (
        "撤销未入账,请重办", "撤销{amount}(尾号{last4})未入账,原交易有效;应退顾客请办退货。",
        "Void not booked",
        "The void of {amount} (card …{last4}) was never booked, the original stands: if the customer is owed it, make a refund.",
    ),
    "P17": (
        "主机无此单,请打客服", "拨打{hotline},报终端号、流水号;资料单由技术员导出。",
        "Host has none, call", "Call {hotline} with terminal number and STAN; a technician has the sheet with the facts.",
    ),
    "P20": (
        "已手工退款,停止冲正", "请勿再次退款;系统次日核对这笔只退一次。",
        "Refunded by hand", "No reversal is sent any more. Do not refund again; the settlement shows that it came back once.",
    ),
    "N6a": (
        "次日对账已核清", "对账文件与本机一致,本笔无需再处理。",
        "Compared, settled", "The settlement files agree; nothing is left to do for this one.",
    ),
}


def code_of(row: Transaction) -> str | None:
    """The row of the playbook that the settlement files call for, or None when they say nothing yet."""
    account = row.account
    if account is not None and account.case != "wait":
        return _owed(row, account.case)
    if row.by_hand is not None and row.state == "unresolved":
        return "P20"
    if account is not None and account.verdict == "settled" and row.state in _UNPAID:
        return "P7a" if row.order is None else "P7w"
    return None


# Of these nothing should be booked, or nobody knows.
_UNPAID = PAYABLE | {"unresolved", "declined_uncertain", "refunded"}


def _owed(row: Transaction, case: str) -> str | None:
    goods = row.disposition.goods if row.disposition is not None else None
    match case:
        case "even":
            if row.state in PAYABLE and row.account is not None and row.account.verdict == "settled":
                return "N6" if row.resolution is not None else "N6a"  # its own words would ask for the money again
            return "N6a" if row.state == "resolved" and row.resolution is None else None
        case "refund":
            return "P14c" if goods == "returned" or row.by_hand == "voided" else "P14"
        case "contact":
            return "P15a" if goods == "held" else "P15"
        case "collect":
            return "P16" if goods == "released" or row.state in {"approved", "paid"} else "P16a"
    return {"possible": "P14a", "uneven": "P14b", "redo_void": "P16v", "call": "P17"}[case]
