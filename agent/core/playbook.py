"""What the cashier is told: situation → texts, as data. Every prompt is bound to its customer.

Short texts are two clauses of at most 10 Han characters (20 Latin ones), so that each fits one line of a customer display.
P codes are the playbook of the field; N codes are the ordinary moments between.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from agent.core.model import Job, Transaction
from agent.core.slips import yuan
from agent.core.state import State


class Row(NamedTuple):
    """One row of the playbook: short and long text in both languages."""

    zh: str
    zh_long: str
    en: str
    en_long: str


class Advice(msgspec.Struct, frozen=True):
    """What to do now about one transaction. `hold_goods` and `may_pay_again` are the two answers that protect money."""

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


PLAYBOOK: Mapping[str, Row] = {
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
    "N7": Row(
        "上笔处理中,请稍候", "上一笔正在冲正或等待应答,马上轮到本笔。",
        "Earlier one first", "An earlier transaction is being settled; this one is next.",
    ),
}

_PAPER = frozenset({"paper_out", "cover_open"})
_READY = frozenset({"none", "unknown"})
_UNSETTLED = frozenset({"sent", "in_doubt", "reversing", "approved_not_completed", "unresolved", "declined_uncertain"})
_PAYABLE = frozenset({"declined", "not_sent", "reversed", "no_original"})
_UNDONE = frozenset({"declined", "not_sent", "reversed", "no_original"})


def judge(state: State, transaction: Transaction, proceed: str | None = None) -> tuple[str, bool, bool]:
    """(code, hold_goods, may_pay_again): the advice without its words."""
    return _code(state, transaction, proceed), _hold_goods(state, transaction), _may_pay_again(transaction)


def advise(state: State, transaction: Transaction, proceed: str | None = None) -> Advice:
    """The advice for one transaction as things stand; `proceed` is the gate's answer when it was just asked."""
    code, hold_goods, may_pay_again = judge(state, transaction, proceed)
    row = PLAYBOOK[code]
    values = {
        "amount": yuan(transaction.amount_fen) + "元", "last4": transaction.last4 or "----",
        "rrn": transaction.rrn or transaction.stan, "date": _tomorrow(state),
        "n": sum(row.state in _UNSETTLED for row in state.open_transactions.values()),
    }
    english = values | {"amount": "CNY " + yuan(transaction.amount_fen)}
    earlier = transaction.number < state.agent.newest
    return Advice(
        code=code, hold_goods=hold_goods, may_pay_again=may_pay_again,
        zh=row.zh, en=row.en,
        zh_long=(f"上一位顾客(尾号{values['last4']}):" if earlier else "") + row.zh_long.format_map(values),
        en_long=(f"Earlier customer (card …{values['last4']}): " if earlier else "") + row.en_long.format_map(english),
        amount_fen=transaction.amount_fen, last4=transaction.last4, stan=transaction.stan,
    )


def _code(state: State, row: Transaction, proceed: str | None) -> str:
    void = "v" if row.kind == "void" else ""
    if row.state == "intent":
        return {"wait": "N7", "refuse": "P19"}.get(proceed or "", "N1")
    if row.state in {"in_doubt", "approved_not_completed", "reversing"}:
        if _debit_shown(row):
            return "P6"
        reversing = row.state == "reversing" and state.line.up is not False
        return "P4a" if reversing else "P3" + void
    if row.state == "unresolved":
        return "P7" if _debit_shown(row) else "P5" + void
    if row.state == "reversed":
        if void:
            return "P4d"
        own = state.reversals.get(row.id)
        return "P21" if own is not None and own.adopted else "P4b"
    if row.state == "no_original":
        return "P4d" if void else "P7" if _debit_shown(row) else "P4c"
    if row.state == "approved":
        code = _approved(state, row)
        return code + void if code + void in PLAYBOOK else code
    return {"sent": "N2", "declined": "N4" + void, "declined_uncertain": "P6", "not_sent": "N5", "resolved": "N6"}[
        row.state
    ]


def _approved(state: State, row: Transaction) -> str:
    """N3 unless paper or printer stand between the customer and the receipt."""
    if not state.agent.policy.has_printer:
        return "P23" if row.kind != "void" else "N3"
    if row.blank:
        return "P24"
    receipts = [job for job in state.jobs_of(row.id) if job.what == "receipt"]
    if not receipts:
        return "N3"
    if state.printer.fault == "unrecoverable" and receipts[-1].state not in {"CONFIRMED", "FENCED"}:
        return "P18"
    job: Job = receipts[-1]
    fault = state.printer.fault
    if fault in _PAPER and (job.state in {"WAITING", "UNPRINTED", "PARTIAL"} or _is_last_at_printer(state, job)):
        return "P1"
    if job.state in {"PARTIAL", "UNKNOWN", "UNPRINTED", "EXPIRED"} or (job.state == "WAITING" and fault not in _READY):
        return "P2"
    return "N3"


def _is_last_at_printer(state: State, job: Job) -> bool:
    """True for the job in whose middle the paper may have run out: the printer still holds its rest."""
    unproved = job.state in {"SENT_UNCONFIRMED", "UNKNOWN"}
    return unproved and not any(other.number > job.number and other.accepted_bytes for other in state.jobs.values())


def _debit_shown(row: Transaction) -> bool:
    return any(evidence.kind == "debit_sms" for evidence in row.evidence)


def _hold_goods(state: State, row: Transaction) -> bool:
    """False only when the money is surely the merchant's. For a void that came to nothing, the original decides."""
    if row.kind != "void":
        return row.state != "approved"
    if row.state not in _UNDONE or row.original is None:
        return True
    keys = state.keys.get((row.terminal_id, row.original.batch, row.original.stan), ())
    return not any(state.transactions[key].state == "approved" for key in keys)


def _may_pay_again(row: Transaction) -> bool:
    """True only when this attempt can no longer take money, or the merchant took the risk. Never because of a void."""
    accepted = row.disposition is not None and row.disposition.accepts_risk
    return row.kind != "void" and (row.state in _PAYABLE or (accepted and row.state not in {"approved", "sent", "intent"}))


def _tomorrow(state: State) -> str:
    if state.now.wall_ms is None:
        return "次日"
    policy = state.agent.policy
    moment = datetime.fromtimestamp(state.now.wall_ms // 1000, UTC) + timedelta(minutes=policy.utc_offset_minutes, days=1)
    return moment.isoformat()[5:10]
