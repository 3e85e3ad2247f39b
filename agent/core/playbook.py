"""What the cashier is told: situation → texts, as data. Every prompt is bound to its customer.

Short texts are two clauses of at most 10 Han characters (20 Latin ones), so that each fits one line of a customer display.
P codes are the playbook of the field; N codes are the ordinary moments between. `situations` says which one holds when.
"""

from typing import NamedTuple

import msgspec

from agent.core import kindtexts, nextday, payagain, printadvice, situations, undoing, verdict, walletadvice
from agent.core.calendar import text
from agent.core.kinds import RELEASES, family, name
from agent.core.model import Transaction
from agent.core.slips import yuan
from agent.core.state import State


class Row(NamedTuple):
    """One row of the playbook: short and long text in both languages."""

    zh: str
    zh_long: str
    en: str
    en_long: str


class Advice(msgspec.Struct, frozen=True):
    """What to do now about one transaction. `hold_goods` and `may_pay_again` are the two answers that protect money.

    `reason` is why it may or may not be paid again, as a stable code and in words.
    """

    code: str
    hold_goods: bool
    may_pay_again: bool
    zh: str
    zh_long: str
    en: str
    en_long: str
    amount_fen: int
    last4: str | None
    stan: str
    reason: str = ""
    reason_zh: str = ""
    reason_en: str = ""


PLAYBOOK: dict[str, Row] = {
    "P1": Row(
        "交易成功,缺纸请装纸", '款已收到;装纸后自动补打,未出票请按"重打印",切勿重复收款。',
        "Paid, load paper", "Payment received. The receipt prints by itself once paper is in; do not charge again.",
    ),
    "P1v": Row(
        "撤销成功,缺纸请装纸", '撤销已成功;装纸后自动补打,未出票请按"重打印"。',
        "Voided, load paper", "The void succeeded. The slip prints by itself once paper is in.",
    ),
    "P2": Row(
        "交易成功,打印机异常", "款已收到,可交货;请抄参考号{rrn}给顾客,修好后补打。",
        "Paid, printer fault", "Payment received, goods may go. Write down reference {rrn} for the customer; reprint later.",
    ),
    "P2v": Row(
        "撤销成功,打印机异常", "撤销已成功;请抄参考号{rrn}给顾客,修好后补打。",
        "Voided, printer fault", "The void succeeded. Write down reference {rrn} for the customer; reprint later.",
    ),
    "P3": Row(
        "结果未知,暂勿交货", "网络恢复后自动冲正{amount}(尾号{last4});请稍候勿重复付款,急离店由店长决定。",
        "Unknown, hold goods",
        "{amount} (card …{last4}) is reversed by itself once the line is back. Wait, do not pay again; "
        "if the customer must leave, the manager decides.",
    ),
    "P3v": Row(
        "撤销结果未知,请稍候", "网络恢复后自动处理撤销{amount}(尾号{last4});请稍候,勿重复撤销。",
        "Void unknown, wait", "The void of {amount} (card …{last4}) is settled once the line is back. Do not repeat it.",
    ),
    "P4a": Row(
        "冲正中,请勿再刷卡", "正在撤回{amount}(尾号{last4}),请顾客稍等。",
        "Reversing, do not pay", "Taking back {amount} (card …{last4}); please ask the customer to wait.",
    ),
    "P4b": Row(
        "冲正成功,请重新刷卡", "原交易{amount}(尾号{last4})冲正已受理,到账以发卡行为准。",
        "Reversed, pay again", "The reversal of {amount} (card …{last4}) was accepted; when it is credited is up to the issuer.",
    ),
    "P4c": Row(
        "主机无此交易,请重刷", "主机无原交易;若顾客收到扣款短信,次日核对。",
        "No such sale, repay", "The host has no such sale ({amount}, card …{last4}). "
        "If a debit message came, it is checked tomorrow.",
    ),
    "P4d": Row(
        "撤销未成,原交易有效", "原交易仍有效,请重新撤销。",
        "Void undone, redo it", "The original sale still stands; void it again if it should be undone.",
    ),
    "P5": Row(
        "冲正不成功,请店长决定", "店长确认后可换卡或收现金,并打印情况说明;次日核实多扣则原路退回。",
        "Not reversed, manager",
        "{amount} (card …{last4}) could not be reversed. The manager decides on another card or cash; "
        "tomorrow's settlement shows whether a refund is due.",
    ),
    "P5v": Row(
        "撤销不明,次日核对", "撤销{amount}(尾号{last4})结果不明,次日对账核对,请勿重复撤销。",
        "Void unclear, T+1", "Whether the void of {amount} (card …{last4}) worked shows in tomorrow's settlement. "
        "Do not repeat it.",
    ),
    "P6": Row(
        "扣款短信不算收款成功", "以本机冲正结果或次日对账为准,请勿凭短信交货。",
        "Message is no proof", "A debit message is no payment: this terminal's reversal or tomorrow's settlement decides. "
        "Hold the goods.",
    ),
    "P7": Row(
        "今日查不清,明日核对", "银行与收单方说法不一;系统{date}自动核对并提示。",
        "Unclear, checked T+1", "Bank and acquirer disagree; it is compared on {date} and you are told.",
    ),
    "P5w": Row(
        "结果不明,请店长决定", "订单(尾号{last4}){amount}今日查不清;店长确认后可换方式收款并打印情况说明;次日核实多扣则退回。",
        "Unclear, manager",
        "Order …{last4} of {amount} could not be cleared up today. The manager decides on other means, with a note; "
        "tomorrow's settlement shows whether a refund is due.",
    ),
    "P8": Row(
        "查询中,请勿再次扫码", "正在核实{amount}订单(尾号{last4}),最长{seconds}秒,请顾客不要再付。",
        "Checking, do not scan", "Asking the wallet about the order of {amount} (…{last4}), at most {seconds} s; "
        "the customer must not pay again.",
    ),
    "P9": Row(
        "已收款,可以交货", "订单(尾号{last4}){amount}已支付,小票补打中,请勿再次收款。",
        "Paid, hand over goods", "The order of {amount} (…{last4}) is paid. The receipt follows; do not charge again.",
    ),
    "P10": Row(
        "未收款,请重新扫码", "订单(尾号{last4}){amount}已关闭;若顾客显示已扣,以退款通知为准,请用新付款码。",
        "Not paid, scan again", "The order of {amount} (…{last4}) is closed. If the customer shows a debit, the wallet's refund "
        "message counts; take a new payment code.",
    ),
    "P11": Row(
        "凭证相符,请店长决定", "金额{amount}、商户、单号(尾号{last4})、时间一致但尚未查到入账;明日核对,已留底。",
        "Proof agrees, manager", "Amount {amount}, merchant, order (…{last4}) and time agree, but the payment is not booked yet. "
        "Compared tomorrow; the evidence is kept.",
    ),
    "P12": Row(
        "支付未成功,请重新支付", "已确认{amount}未扣款(尾号{last4}),请重新支付或换其他方式。",
        "Not paid, pay again", "It is certain that {amount} (…{last4}) was not taken; pay again or by other means.",
    ),
    "P13": Row(
        "连续失败,请换方式支付", "{amount}(尾号{last4})未扣款;请用银行卡或现金;顾客可带手机卡到翼支付营业厅检测。",
        "Failing, other means", "{amount} (…{last4}) was not taken, for the third time. Take a card or cash; "
        "the operator's shop can check the customer's SIM card.",
    ),
    "P25": Row(
        "账户异常,请换方式支付", "{amount}(尾号{last4})未扣款;请顾客到翼支付营业厅检查账户。",
        "Account, other means", "{amount} (…{last4}) was not taken. The operator's shop can check the customer's account.",
    ),
    "P22": Row(
        "试刷不算重新付款", "试刷({amount},流水号{stan})只用于触发冲正;原交易冲正成功后,再按原金额收款。",
        "Trigger, no payment",
        "This sale of {amount} (STAN {stan}) only set the reversal off; charge the original amount once that is done.",
    ),
    "P18": Row(
        "打印机损坏,请报修", "仍可收款,小票已存;本机{n}笔未结,处理完再寄修。",
        "Printer is broken",
        "You can still take payments, receipts are kept. {n} transactions are open on this terminal: settle them before repair.",
    ),
    "P21": Row(
        "冲正成功,请重新刷卡", "收银程序已完成冲正,到账以发卡行为准。",
        "Reversed, pay again", "The payment app's own reversal was accepted; when it is credited is up to the issuer.",
    ),
    "P23": Row(
        "无打印机,请扫码取票", "款已收到;请顾客扫码取电子小票。",
        "No printer, scan code", "Payment received; the customer scans the code for an electronic receipt.",
    ),
    "P24": Row(
        "小票空白,请翻转纸卷", '热敏面朝外重新装纸,再按"重打印"。',
        "Blank, turn the roll", "Put the roll in with its thermal side out, then order a reprint.",
    ),
    "P19": Row(
        "线路故障,非操作问题", "断点:收单线路;上笔待冲正,请用现金或其他方式收款。",
        "Line down, not you", "The line to the acquirer is down and an earlier reversal waits. Take cash or other means.",
    ),
    "N1": Row(
        "请刷卡,按提示操作", "交易已登记,尚未发送。",
        "Follow the screen", "Registered; nothing has been sent yet.",
    ),
    "N1w": Row(
        "请扫码,按提示操作", "订单(尾号{last4})已登记,尚未发送。",
        "Scan, follow screen", "The order (…{last4}) is registered; nothing has been sent yet.",
    ),
    "N2": Row(
        "交易中,请稍候", "{amount}(尾号{last4})已发送,等待主机应答。",
        "Sent, please wait", "{amount} (card …{last4}) was sent; waiting for the host.",
    ),
    "N3": Row(
        "交易成功,请取小票", "{amount}(尾号{last4})款已收到。",
        "Paid, take receipt", "{amount} (card …{last4}) was received.",
    ),
    "N3v": Row(
        "撤销成功,请取小票", "{amount}(尾号{last4})已撤销。",
        "Voided, take slip", "{amount} (card …{last4}) was voided.",
    ),
    "N4": Row(
        "交易未成功,可重试", "主机未批准{amount}(尾号{last4}),未扣款。",
        "Declined, may retry", "The host declined {amount} (card …{last4}).",
    ),
    "N4v": Row(
        "撤销未成功,可重试", "主机未批准撤销,原交易仍有效。",
        "Void declined", "The host declined the void; the original sale still stands.",
    ),
    "N5": Row(
        "交易未发出,请重新操作", "这笔未发送到主机,未扣款。",
        "Not sent, start again", "Nothing was sent to the host for this one.",
    ),
    "N6": Row(
        "本笔已结案", "店长或运营已确认处理结果。",
        "Case closed", "A person has settled this case.",
    ),
    "N10": Row(
        "请插卡查余额,触发冲正", "{amount}(尾号{last4})待冲正,需人工:请插任意一张卡查余额(顾客或店员的均可),勿收款、勿交货。",
        "Ask a card's balance",
        "The reversal of {amount} (card …{last4}) needs a hand: put in any card, the customer's or your own, and ask its "
        "balance. Do not charge, hold the goods.",
    ),
    "N7": Row(
        "上笔处理中,请稍候", "上一笔正在冲正或等待应答,马上轮到本笔。",
        "Earlier one first", "An earlier transaction is being settled; this one is next.",
    ),
    "N13": Row(
        "结算中,请稍候", "本批次正在结算,这笔没有发出;请等结算完成。",
        "Settling, wait", "The batch is being settled and this payment was not sent; wait until the settlement is over.",
    ),
    "N8": Row(
        "网络中断,请勿再扫码", "网络恢复后自动核实{amount}订单(尾号{last4}),请顾客不要再付;急离店由店长决定。",
        "Offline, do not scan", "The order of {amount} (…{last4}) is checked once the network is back; the customer must not pay "
        "again. If they must leave, the manager decides.",
    ),
    "N9": Row(
        "此单退款,请勿交货", "订单(尾号{last4})撤销或关闭后又显示已付,{amount}退回顾客,到账以钱包通知为准,请勿凭此单交货。",
        "Money back, no goods", "The order (…{last4}) showed as paid after it was cancelled or closed: {amount} goes back to the "
        "customer, as the wallet's message will say. Hand nothing over for it.",
    ),
}

PLAYBOOK |= {code: Row(*texts) for code, texts in {**nextday.TEXTS, **kindtexts.TEXTS}.items()}

_UNSETTLED = frozenset({
    "sent", "in_doubt", "reversing", "approved_not_completed", "unresolved", "declined_uncertain",
    "querying", "cancelling", "cancel_unknown",
})


def judge(state: State, transaction: Transaction, proceed: str | None = None) -> tuple[str, bool, bool]:
    """(code, hold_goods, may_pay_again): the advice without its words."""
    return _code(state, transaction, proceed), _hold_goods(state, transaction), payagain.judged(transaction)[0]


def protects(state: State, transaction: Transaction) -> tuple[bool, bool]:
    """(hold_goods, may_pay_again): the two answers that protect money."""
    return _hold_goods(state, transaction), payagain.judged(transaction)[0]


def advise(state: State, transaction: Transaction, proceed: str | None = None) -> Advice:
    """The advice for one transaction as things stand; `proceed` is the gate's answer when it was just asked."""
    code, hold_goods = _code(state, transaction, proceed), _hold_goods(state, transaction)
    may_pay_again, reason = payagain.judged(transaction)
    if reason == "paid" and undoing.is_undone(state, transaction):
        reason = "undone"
    row = state.wording.get(code) or PLAYBOOK[code]
    said_zh, said_en = payagain.REASONS[reason]
    final, booked = verdict.next_check(state, transaction), _booked_day(transaction)
    approved_fen = transaction.amount_fen if transaction.approved_fen is None else transaction.approved_fen
    amount, approved, rest = yuan(transaction.amount_fen), yuan(approved_fen), yuan(transaction.amount_fen - approved_fen)
    kind, english_kind = name(transaction.kind)
    values = {
        "amount": amount + "元", "approved": approved + "元", "rest": rest + "元", "kind": kind,
        "last4": transaction.last4 or "----", "rrn": transaction.rrn or transaction.stan, "stan": transaction.stan,
        "date": "次日" if final is None else text(final)[5:],
        "day": text(booked)[5:] if booked is not None else "当日", "hotline": state.agent.policy.hotline or "收单客服",
        "n": sum(row.state in _UNSETTLED for row in state.open_transactions.values()),
    }
    values["seconds"] = walletadvice.seconds_left(state.agent.policy, transaction)
    english = values | {
        "amount": "CNY " + amount, "approved": "CNY " + approved, "rest": "CNY " + rest, "kind": english_kind,
        "date": "the next day" if final is None else text(final)[5:],
        "day": text(booked)[5:] if booked is not None else "that day",
        "hotline": state.agent.policy.hotline or "the acquirer",
    }
    earlier = transaction.number < state.agent.newest
    means = "card" if transaction.order is None else "order"  # one text serves both
    en_long = row.en_long.replace("card …", f"{means} …").format_map(english)
    return Advice(
        code=code, hold_goods=hold_goods, may_pay_again=may_pay_again,
        zh=row.zh, en=row.en,
        zh_long=(f"上一位顾客(尾号{values['last4']}):" if earlier else "") + row.zh_long.format_map(values),
        en_long=(f"Earlier customer ({means} …{values['last4']}): " if earlier else "") + en_long,
        amount_fen=transaction.amount_fen, last4=transaction.last4, stan=transaction.stan,
        reason=reason, reason_zh=said_zh, reason_en=said_en,
    )


def _code(state: State, row: Transaction, proceed: str | None) -> str:
    if (row.account is not None or row.by_hand is not None) and (settled := nextday.code_of(row)) is not None:
        return settled
    if row.order is None:
        return situations.code(state, row, proceed)
    if row.state == "intent":
        return {"wait": "N7", "refuse": "P19"}.get(proceed or "", "N1w")
    if row.state != "paid":
        return walletadvice.code(row, row.order, debit_shown=payagain.debit_shown(row))
    code = printadvice.approved(state, row)
    return "P9" if code == "N3" and row.order.found else code


def _hold_goods(state: State, row: Transaction) -> bool:
    """False only when the money is surely the merchant's. What undoes leaves it to its original, when it failed."""
    if family(row.kind) == "undo":
        return row.state not in undoing.NOTHING or not any(_has_money(state, each) for each in undoing.originals(state, row))
    return not _has_money(state, row)


def _has_money(state: State, row: Transaction) -> bool:
    """True when what was asked for is the merchant's, all of it, and nothing has taken it back or may have."""
    if family(row.kind) not in RELEASES or row.trigger or undoing.is_undone(state, row):
        return False
    if row.state not in {"approved", "paid"}:
        return False
    rest = row.disposition.replaced_by if row.disposition is not None else None
    paid = state.transactions.get(rest or "")  # unknown are cash, and what was paid elsewhere
    return not row.partial or (rest not in {None, "none"} and (paid is None or not undoing.is_undone(state, paid)))


def _booked_day(row: Transaction) -> int | None:
    """The settlement date that the files have for it, else its own business day."""
    if row.account is not None and row.account.lines:
        return verdict.newest_day(row.account.lines)
    return verdict.day_of(row)
