"""What the customer reads on the pole display: one line for each advice of the playbook, as data, zh and en.

The playbook's short texts are orders to the cashier; these are words to the customer. Each is one line of 20 columns (a Han
character takes two) and stands above the customer's own amount and last four digits.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Line(NamedTuple):
    """One row. The last two are the only words that ask for money again; they are used only while `may_pay_again` is true."""

    zh: str
    en: str
    again_zh: str = ""
    again_en: str = ""


_WAIT = Line("处理中,请稍候", "Processing, wait")
_PAID = Line("交易成功,谢谢", "Paid, thank you")
_PAID_LATER = Line("交易成功,小票稍后", "Paid, receipt later")
_HELD = Line("待冲正,请勿重复付款", "Wait, do not pay now")
_VOIDED = Line("撤销成功", "Voided")
_CASHIER = Line("未完成,请听店员安排", "Ask the cashier")
_CHECKED = Line("次日核对,请听店员", "Checked next day")
_REVERSED = Line("冲正成功,请稍候", "Reversed, wait", "冲正成功,请重新刷卡", "Reversed, pay again")
_ASKING = Line("查询中,请勿重复付款", "Checking, don't pay")
_UNSENT = Line("交易未发出", "Not sent", "未发出,请重新操作", "Not sent, try again")

# None: it is nothing that is read while the customer stands there, so the display shows the merchant's name.
CUSTOMER: Mapping[str, Line | None] = {
    # ── going on ──
    "N1": Line("请按提示操作", "Follow the terminal"),
    "N1w": Line("请按提示操作", "Follow the terminal"),
    "N2": _WAIT,
    "N7": Line("请稍候", "Please wait"),
    "N13": Line("结算中,请稍候", "Settling, wait"),
    "P19": Line("线路故障,请稍候", "Line down, wait"),
    # ── in doubt ──
    "P3": _HELD,
    "P3o": _HELD,
    "P3r": _WAIT,
    "P3v": Line("撤销处理中,请稍候", "Void pending, wait"),
    "N10": _HELD,
    "P6": Line("结果核实中,请稍候", "Being checked, wait"),
    "P6p": Line("结果核实中,请稍候", "Being checked, wait"),
    "P4a": Line("冲正中,请勿再刷卡", "Reversing, don't pay"),
    "P4ao": Line("冲正中,请稍候", "Reversing, wait"),
    "P4av": Line("撤销冲正中,请稍候", "Undoing void, wait"),
    # ── taken back ──
    "P4b": _REVERSED,
    "P21": _REVERSED,
    "P4bo": Line("冲正成功,请稍候", "Reversed, wait", "冲正成功,请重新操作", "Reversed, try again"),
    "P4c": Line("主机无此交易,请稍候", "No such sale, wait", "主机无此交易,请重刷", "No such sale, repay"),
    "P4co": Line("主机无此交易,请稍候", "Host has none, wait", "主机无此交易,请重做", "Host has none, redo"),
    "P4d": Line("撤销未成,原交易有效", "Void undone"),
    # ── not cleared up ──
    "P5": _CASHIER,
    "P5p": _CASHIER,
    "P5w": _CASHIER,
    "P11": _CASHIER,
    "P5v": _CHECKED,
    "P5k": _CHECKED,
    "P5r": _CHECKED,
    "P7": _CHECKED,
    # ── paid ──
    "N3": _PAID,
    "P9": _PAID,
    "N3o": Line("交易成功,谢谢", "Done, thank you"),
    "N3v": _VOIDED,
    "N12": Line("成功,请向发卡行确认", "Paid, ask issuer"),
    "P1": _PAID_LATER,
    "P2": _PAID_LATER,
    "P18": _PAID_LATER,
    "P24": _PAID_LATER,
    "P1o": Line("交易成功,小票稍后", "Done, receipt later"),
    "P2o": Line("交易成功,小票稍后", "Done, receipt later"),
    "P1v": _VOIDED,
    "P2v": _VOIDED,
    "P23": Line("交易成功,请扫码取票", "Paid, scan for slip"),
    "P22": Line("试刷完成,不是付款", "Test, not a payment"),
    "N14": Line("请听店员安排", "Ask the cashier"),
    "N11": Line("部分付款,请补足差额", "Part paid, rest due"),
    "N11o": Line("部分批准,请核对金额", "In part, check sum"),
    # ── not paid ──
    "N4": Line("交易未成功", "Declined", "交易未成功,可重试", "Declined, may retry"),
    "N4o": Line("交易未成功", "Declined", "交易未成功,可重试", "Declined, may retry"),
    "N4v": Line("撤销未成功", "Void declined"),
    "N5": _UNSENT,
    "N5o": _UNSENT,
    # ── wallets ──
    "P8": _ASKING,
    "N8": _ASKING,
    "N9": Line("此单退款,请问店员", "Refund, ask cashier"),
    "P10": Line("未收款,请稍候", "Not paid, wait", "未收款,请重新扫码", "Not paid, scan again"),
    "P12": Line("未付款,请稍候", "Not paid, wait", "未付款,请重新支付", "Not paid, pay again"),
    "P13": Line("支付未成功", "Not paid", "未付款,请换方式支付", "Pay by other means"),
    "P25": Line("支付未成功", "Not paid", "未付款,请换方式支付", "Pay by other means"),
    # ── the next day, or a closed case ──
    "N6": None,
    "N6a": None,
    "P7a": None,
    "P7w": None,
    "P14": None,
    "P14a": None,
    "P14b": None,
    "P14c": None,
    "P15": None,
    "P15a": None,
    "P16": None,
    "P16a": None,
    "P16v": None,
    "P17": None,
    "P20": None,
}
