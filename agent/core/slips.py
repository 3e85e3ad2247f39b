"""The agent's own slips, 非交易凭证: the reversal notice and the fault note. At most one per transaction by default.

"Accepted" is not "credited": every slip says that the issuer's T+1 comparison decides, and promises nothing in our name.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from agent.core import kinds, receipt
from agent.core.change import Decision, Rejected
from agent.core.event import GuaranteeAsked
from agent.core.incidents import incident_id
from agent.core.model import Document, DocumentLine, Reversal, Stamp, Transaction
from agent.core.policy import Policy
from agent.core.state import State

RESULTS = {
    "reversed": "冲正已受理 ACCEPTED",
    "no_original": "主机无此交易 NO ORIGINAL",
    "unresolved": "冲正不成功 NOT REVERSED",
    "in_doubt": "结果未知 UNKNOWN",
    "reversing": "冲正中 REVERSING",
    "approved_not_completed": "冲正中 REVERSING",
    "querying": "查询中 CHECKING",
    "cancelling": "撤单中 CANCELLING",
    "cancel_unknown": "撤单结果未知 UNKNOWN",
    "closed": "订单已关闭 CLOSED",
    "refunded": "订单已退款 REFUNDED",
}
UNCLEAR = "结果不明 UNRESOLVED"  # where there is no reversal

RULE = DocumentLine("", right="", fill="-")
BLANK = DocumentLine("")
GUARANTEED = frozenset({
    "in_doubt", "reversing", "approved_not_completed", "unresolved", "reversed", "no_original",
    "querying", "cancelling", "cancel_unknown", "closed", "refunded",
})
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
    incident = incident_id("in_doubt", row.id)[:8].upper()
    reversal = state.reversals.get(row.id)
    answer = _pair("应答码 CODE", reversal.response_code or "--") if reversal else None
    lines = [
        DocumentLine(title, align="center", size=2, bold=True),
        DocumentLine(english, align="center"),
        DocumentLine("非交易凭证 NOT A RECEIPT", align="center"),
        RULE,
        _pair("商户", policy.merchant_name),
        _pair("商户号 MERCHANT", row.merchant_id),
        _pair("终端号 TERMINAL", row.terminal_id),
        RULE,
        _pair("类型", " ".join(kinds.name(row.kind)).upper()),
        _pair("卡号", row.masked_pan or "****" + (row.last4 or "")) if row.order is None else None,
        _pair("订单号", row.order.order_no) if row.order is not None else None,
        _pair("批次号 BATCH", row.batch),
        _pair("凭证号 STAN", row.stan),
        _pair("参考号 RRN", row.rrn),
        _pair("时间", local_time(policy, row.sent or row.opened)),
        _pair("金额", f"RMB {yuan(row.amount_fen)}", bold=True),
        _pair("批准金额 APPROVED", f"RMB {yuan(row.approved_fen)}" if row.approved_fen and row.partial else None),
        RULE,
        _pair("结果", _result(row, reversal), bold=True),
        answer,
        _pair("冲正次数 SENT", str(reversal.sends)) if reversal else None,
        RULE,
        DocumentLine("以发卡行 T+1 对账结果为准", align="center"),
        DocumentLine("SUBJECT TO ISSUER T+1 SETTLEMENT", align="center"),
        RULE,
        _pair("事件号 INCIDENT", incident),
        _pair("客服 HOTLINE", policy.hotline),
    ]
    return Document(tuple(filter(None, lines)), qr=f"RV1:{incident}:{row.terminal_id}:{row.batch}:{row.stan}")


def _result(row: Transaction, reversal: Reversal | None) -> str:
    """What became of it; without a reversal nothing was undone, and nothing says so."""
    unclear = row.state == "unresolved" and (row.order is not None or reversal is None)
    return UNCLEAR if unclear else RESULTS.get(row.state, row.state)


def _pair(label: str, value: str | None, *, bold: bool = False) -> DocumentLine | None:
    """Label and value at the two edges; nothing without a value."""
    return DocumentLine(label, right=value, bold=bold) if value else None


def guarantee(state: State, event: GuaranteeAsked, row: Transaction) -> Decision:
    """Guarantee note (情况说明/退款承诺): somebody's word, to be signed, in two copies. We promise nothing ourselves.

    Only while the outcome is open or was only accepted: for an approved or declined one there is nothing to promise.
    """
    receipt.need_printer(state)
    if row.state not in GUARANTEED:
        raise Rejected(409, "nothing-in-doubt", f"the transaction is {row.state}: a guarantee note belongs to one in doubt")
    for copy, key in zip(VERSIONS[event.version].copies, event.jobs, strict=False):
        receipt.add(state, key, row.id, "guarantee", _guarantee(state, row, VERSIONS[event.version], copy, event.contact))
    return Decision(transaction=row.id, jobs=event.jobs)


class Version(NamedTuple):
    """One version of the guarantee note: whose word it is, who signs, and who gets a copy."""

    english: str
    promises: tuple[str, ...]
    signed: tuple[str, ...]
    copies: tuple[str, ...]


VERSIONS = {
    "merchant": Version(
        "STATEMENT OF FACTS", ("如经对账确认重复入账,商户承诺于____个工作日内原路退款。",), ("商户签章", "顾客签名", "日期"),
        ("顾客联 CUSTOMER COPY", "商户联 MERCHANT COPY"),
    ),
    "provider": Version(
        "STATEMENT FOR THE MERCHANT",
        ("如经对账确认重复入账,服务商承诺于____个工作日内协助商户原路退款。", "如经对账确认未入账,服务商承诺协助商户查询。"),
        ("服务商签章", "商户签章", "日期"), ("商户联 MERCHANT COPY", "服务商联 PROVIDER COPY"),
    ),
}


def _guarantee(state: State, row: Transaction, version: Version, copy: str, contact: str | None) -> Document:
    slip = _slip(state, row, "情况说明", version.english)
    shown = [evidence for evidence in row.evidence if evidence.kind in SHOWN]
    lines = (
        RULE,
        _pair("顾客出示", "、".join(dict.fromkeys(SHOWN[evidence.kind] for evidence in shown)) or "无"),
        DocumentLine("联系方式 ", right=contact or "", fill=" " if contact else "_"),
        BLANK,
        *(DocumentLine(text) for text in version.promises),
        DocumentLine("本说明不影响持卡人向发卡行查询及申诉的权利。"),
        *(line for label in version.signed for line in (BLANK, DocumentLine(label + " ", right="", fill="_"))),
        BLANK,
        DocumentLine(copy, align="center", bold=True),
    )
    return Document((*slip.lines, *(line for line in lines if line is not None)), qr=slip.qr)


def yuan(amount_fen: int) -> str:
    """1234 fen → 12.34; integer arithmetic only."""
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def local_time(policy: Policy, stamp: Stamp) -> str:
    """The host's local time of a stamp, or that it is not known."""
    if stamp.wall_ms is None:
        return "时间未知 UNKNOWN"
    moment = datetime.fromtimestamp(stamp.wall_ms // 1000, UTC) + timedelta(minutes=policy.utc_offset_minutes)
    return moment.isoformat(" ")[:19]
