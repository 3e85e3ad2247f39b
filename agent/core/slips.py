"""The agent's own slips, 非交易凭证: the reversal notice and the fault note. At most one per transaction by default.

"Accepted" is not "credited": every slip says that the issuer's T+1 comparison decides, and promises nothing in our name.
"""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from agent.core import receipt
from agent.core.change import Decision, Rejected
from agent.core.event import GuaranteeAsked
from agent.core.incidents import incident_id
from agent.core.model import Document, DocumentLine, Stamp, Transaction
from agent.core.policy import Policy
from agent.core.state import State

KINDS = {"sale": "消费 SALE", "void": "撤销 VOID"}
RESULTS = {
    "reversed": "冲正已受理 ACCEPTED",
    "no_original": "主机无此交易 NO ORIGINAL",
    "unresolved": "冲正不成功 NOT REVERSED",
    "in_doubt": "结果未知 UNKNOWN",
    "reversing": "冲正中 REVERSING",
    "approved_not_completed": "冲正中 REVERSING",
}


GUARANTEED = frozenset({"in_doubt", "reversing", "approved_not_completed", "unresolved", "reversed", "no_original"})
SHOWN = {"debit_sms": "扣款短信", "refund_sms": "退款短信", "wallet_record": "钱包账单"}


def notice(state: State, transaction: Transaction) -> None:
    """Reversal notice (冲正通知)."""
    _add(state, transaction, "notice", "冲正通知", "REVERSAL NOTICE")


def fault_note(state: State, transaction: Transaction) -> None:
    """Fault note (故障单)."""
    _add(state, transaction, "fault_note", "故障单", "FAULT NOTE")


def _add(state: State, transaction: Transaction, what: str, title: str, english: str) -> None:
    policy = state.agent.policy
    if not policy.slips or not policy.has_printer or transaction.slips >= policy.slips_per_transaction:
        return
    row = state.put(replace(state.transactions[transaction.id], slips=transaction.slips + 1))
    key = incident_id(f"slip/{transaction.slips}", transaction.id)
    receipt.add(state, key, transaction.id, what, _slip(state, row, title, english))


def _slip(state: State, row: Transaction, title: str, english: str) -> Document:
    policy = state.agent.policy
    sent = row.sent or row.opened
    incident = incident_id("in_doubt", row.id)[:8].upper()
    reversal = state.reversals.get(row.id)
    texts = [
        f"商户 {policy.merchant_name}" if policy.merchant_name else None,
        f"商户号 {row.merchant_id}",
        f"终端号 {row.terminal_id}",
        f"类型 {KINDS.get(row.kind, row.kind)}",
        f"卡号 {row.masked_pan or '****' + (row.last4 or '')}",
        f"批次号 {row.batch}  凭证号 {row.stan}",
        f"参考号 {row.rrn}" if row.rrn else None,
        f"时间 {local_time(policy, sent)}",
        f"金额 RMB {yuan(row.amount_fen)}",
        f"结果 {RESULTS.get(row.state, row.state)}",
        f"应答码 {reversal.response_code or '--'}  次数 {reversal.sends}" if reversal else None,
        "以发卡行 T+1 对账结果为准",
        "SUBJECT TO ISSUER T+1 SETTLEMENT",
        f"事件号 {incident}",
        f"客服 {policy.hotline}" if policy.hotline else None,
    ]
    lines = (
        DocumentLine(title, align="center", size=2, bold=True),
        DocumentLine(english, align="center"),
        DocumentLine("非交易凭证 NOT A RECEIPT", align="center"),
        *(DocumentLine(text) for text in texts if text is not None),
    )
    return Document(lines, qr=f"RV1:{incident}:{row.terminal_id}:{row.batch}:{row.stan}")


def guarantee(state: State, event: GuaranteeAsked, row: Transaction) -> Decision:
    """Guarantee note (情况说明/退款承诺): the merchant's word, to be signed, in two copies. We promise nothing ourselves.

    Only while the outcome is open or was only accepted: for an approved or declined one there is nothing to promise.
    """
    receipt.need_printer(state)
    if row.state not in GUARANTEED:
        raise Rejected(409, "nothing-in-doubt", f"the transaction is {row.state}: a guarantee note belongs to one in doubt")
    for number, key in enumerate(event.jobs):
        copy = "顾客联 CUSTOMER COPY" if number == 0 else "商户联 MERCHANT COPY"
        receipt.add(state, key, row.id, "guarantee", _guarantee(state, row, copy, event.contact))
    return Decision(transaction=row.id, jobs=event.jobs)


def _guarantee(state: State, row: Transaction, copy: str, contact: str | None) -> Document:
    slip = _slip(state, row, "情况说明", "STATEMENT OF FACTS")
    shown = [evidence for evidence in row.evidence if evidence.kind in SHOWN]
    texts = [
        copy,
        f"顾客出示 {'、'.join(dict.fromkeys(SHOWN[evidence.kind] for evidence in shown)) or '无'}",
        f"联系方式 {contact or '______________'}",
        "如经对账确认重复入账,商户承诺于____个工作日内原路退款。",
        "本说明不影响持卡人向发卡行查询及申诉的权利。",
        "商户签章 ______________",
        "顾客签名 ______________",
        "日期 ______________",
    ]
    return Document((*slip.lines, *(DocumentLine(text) for text in texts)), qr=slip.qr)


def yuan(amount_fen: int) -> str:
    """1234 fen → 12.34; integer arithmetic only."""
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def local_time(policy: Policy, stamp: Stamp) -> str:
    """The host's local time of a stamp, or that it is not known."""
    if stamp.wall_ms is None:
        return "时间未知 UNKNOWN"
    moment = datetime.fromtimestamp(stamp.wall_ms // 1000, UTC) + timedelta(minutes=policy.utc_offset_minutes)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
