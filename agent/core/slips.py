"""The agent's own slips, 非交易凭证: the reversal notice and the fault note. At most one per transaction by default.

"Accepted" is not "credited": every slip says that the issuer's T+1 comparison decides, and promises nothing in our name.
"""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from agent.core import receipt
from agent.core.incidents import incident_id
from agent.core.model import Document, DocumentLine, Stamp, Transaction
from agent.core.policy import Policy
from agent.core.state import State

KINDS = {"sale": "消费 SALE", "void": "撤销 VOID"}
RESULTS = {
    "reversed": "冲正已受理 ACCEPTED",
    "no_original": "主机无此交易 NO ORIGINAL",
    "unresolved": "冲正不成功 NOT REVERSED",
}


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


def yuan(amount_fen: int) -> str:
    """1234 fen → 12.34; integer arithmetic only."""
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def local_time(policy: Policy, stamp: Stamp) -> str:
    """The host's local time of a stamp, or that it is not known."""
    if stamp.wall_ms is None:
        return "时间未知 UNKNOWN"
    moment = datetime.fromtimestamp(stamp.wall_ms // 1000, UTC) + timedelta(minutes=policy.utc_offset_minutes)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
