"""One masked timeline: a sentence for every fact of the journal, the same for command line, page, export and MQTT.

The sentences are data. `{field}` stands for a value of the fact, `{field:vocabulary}` for its word in `agent.words`
(`fen` and `ms` are amounts and time spans), and `[…]` for a part that is left out when one of its values is not there.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agent.journal.chain import Entry
from agent.words import WORDS, Lang, amount, duration, word

UTC_OFFSET_MINUTES = 480  # China keeps one time zone; the policy may say otherwise

_PART = re.compile(r"\[([^\[\]]*)\]")
_LONG_DIGITS = re.compile(r"(?<!\d)\d{13,19}(?!\d)")
_VALUE = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline. `at` is local time, or the time since that boot where the wall clock was not known."""

    seq: int
    at: str
    text: str
    type: str
    transaction: str | None
    incident: str | None
    boot: int
    mono_ms: int
    wall_ms: int | None


FACTS: Mapping[str, tuple[str, str]] = {
    "agent.started": ("程序启动,版本 {version}[({new_boot:new_boot})]", "Agent {version} started[ ({new_boot:new_boot})]"),
    "journal.checkpoint": (
        "日志检查点,版本 {version},保留自第 {first} 条", "Checkpoint, version {version}, entries kept from {first} on"
    ),
    "agent.configured": ("重新读取配置", "The configuration was read again"),
    "transaction.opened": (
        "登记{kind:kind} {amount_fen:fen},流水号 {stan},批次 {batch}[,卡号 {card}][,{wallet:wallet}订单尾号 {order}]",
        "Registered: {kind:kind} of {amount_fen:fen}, STAN {stan}, batch {batch}[, card {card}][, {wallet:wallet} …{order}]",
    ),
    "transaction.sent": ("准许发送,等待主机应答", "Permission to send; waiting for the host"),
    "transaction.approved": (
        "主机批准 {approved_fen:fen}[,应答码 {code}][,参考号 {rrn}]",
        "Approved: {approved_fen:fen}[, response {code}][, RRN {rrn}]",
    ),
    "transaction.declined": ("主机拒绝[,应答码 {code}]", "Declined[, response {code}]"),
    "transaction.declined_uncertain": (
        "主机拒绝[,应答码 {code}],但可能已记账,次日核对",
        "Declined[, response {code}], but perhaps booked: compare with the settlement",
    ),
    "transaction.not_sent": ("未发送到主机({by:unsent})", "Not sent to the host ({by:unsent})"),
    "transaction.in_doubt": ("状态不明:{cause:cause},金额 {amount_fen:fen}", "In doubt: {cause:cause}, {amount_fen:fen}"),
    "transaction.unresolved": (
        "未能自动了结,下一步:{next_action:next_action}", "Not resolved by itself; next: {next_action:next_action}",
    ),
    "transaction.disposition": (
        "货款去向[:{goods:goods}][;替代付款 {replaced_by:replaced_by}][;{accepts_risk:accepts_risk}]",
        "Goods and payment[: {goods:goods}][; replaced by: {replaced_by:replaced_by}][; {accepts_risk:accepts_risk}]",
    ),
    "transaction.acknowledged": ("{by} 已阅提示 {code}", "{by} has read {code}"),
    "transaction.resolved": ("结案:{resolution:resolution},经办 {by}", "Settled by {by}: {resolution:resolution}"),
    "transaction.repeated": ("顾客又付一笔(交易号 {by})", "The customer paid again (transaction {by})"),
    "transaction.undone_by_hand": (
        "已在别处处理:{how:by_hand}[,交易号 {by}];停止冲正",
        "Undone elsewhere: {how:by_hand}[, transaction {by}]; no reversal is sent any more",
    ),
    "reversal.opened": (
        "开始冲正 {amount_fen:fen},原因 {reason:reason}", "Reversal of {amount_fen:fen} opened, reason {reason:reason}",
    ),
    "reversal.sent": ("第 {send} 次发送冲正,原因 {reason:reason}", "Reversal sent, number {send}, reason {reason:reason}"),
    "reversal.confirmed": (
        "冲正已受理 {amount_fen:fen}[,应答码 {code}],共发送 {sends} 次",
        "Reversal of {amount_fen:fen} accepted[, response {code}], after {sends} sent",
    ),
    "reversal.no_original": (
        "主机无原交易[,应答码 {code}],共发送 {sends} 次", "The host has no original[, response {code}], after {sends} sent",
    ),
    "reversal.no_original_early": (
        "主机答无原交易[,应答码 {code}],距请求仅 {age_ms:ms},稍后再问一次",
        "The host says no original[, response {code}] only {age_ms:ms} after the request: asked once more",
    ),
    "reversal.refused": (
        "冲正被拒绝[,应答码 {code}],下一步:{next_action:next_action}",
        "Reversal refused[, response {code}]; next: {next_action:next_action}",
    ),
    "reversal.key_refused": (
        "冲正密钥问题[,应答码 {code}][,{mac:mac}],请签到后重发",
        "Reversal: key trouble[, response {code}][, {mac:mac}]; sent again after a sign-in",
    ),
    "reversal.no_mac": (
        "无人计算或核对 MAC,本轮结束(已发送 {sends} 次),稍后再试",
        "Nobody makes or checks the MAC: this opportunity is over ({sends} sent), tried again later",
    ),
    "reversal.later": (
        "冲正未成[,应答码 {code}],已发送 {sends} 次,将再发", "Reversal not taken[, response {code}], {sends} sent, goes again",
    ),
    "reversal.unanswered": ("冲正无应答,已发送 {sends} 次", "No answer to the reversal, {sends} sent"),
    "reversal.exhausted": (
        "冲正不成功:第 {opportunities} 轮用完,共发送 {sends} 次;记录保留,稍后再发",
        "Not reversed: opportunity {opportunities} used up, {sends} sent; kept, and sent again later",
    ),
    "reversal.due": ("再次安排冲正:{by:due}", "The reversal is due again: {by:due}"),
    "reversal.batch_closed": ("批次 {batch} 已结,等待应答", "Batch {batch} is closed; the answer is still awaited"),
    "reversal.closed": ("保留期满,卡资料已销毁", "Kept long enough; card data wiped"),
    "reversal.not_left": ("线路不通,冲正一个字节也未发出", "Line down: no byte of the reversal left"),
    "reversal.expired": ("批次已结,不再自动冲正(已发送 {sends} 次)", "Batch closed: no longer sent by itself ({sends} sent)"),
    "reversal.ordered": ("{by} 下令再次冲正", "{by} ordered the reversal to be sent again"),
    "reversal.reopened": ("重新冲正:{reason:reason}", "Reversal reopened: {reason:reason}"),
    "reversal.fenced": ("冲正已封存,永不再发", "Reversal fenced, never sent again"),
    "reversal.interrupted": ("发送中断,将原样重发", "Interrupted in mid-send; the same is sent again"),
    "reversal.adopted": (
        "收银程序自行冲正[,原因 {reason:reason}],本机不再发送",
        "The payment app reverses it itself[, reason {reason:reason}]; we yield",
    ),
    "relay.answered": ("主机应答 {code},已记账于本机,正在转发", "The host answered {code}; on record, being forwarded"),
    "relay.unproved": (
        "应答已转发,MAC 未能核对,等收银程序确认", "Forwarded with its MAC unchecked: the payment app has to confirm it",
    ),
    "relay.app_reversed": (
        "收银程序发出冲正[,原因 {reason:reason}]", "The payment app sent a reversal[, reason {reason:reason}]",
    ),
    "relay.refused": ("请求未转发:{why:refusal}[,流水号 {stan}]", "A request was not forwarded: {why:refusal}[, STAN {stan}]"),
    "reversal.app_said": (
        "收银程序报告自身冲正:{outcome:app_outcome}[,应答码 {code}]",
        "The payment app on its own reversal: {outcome:app_outcome}[, response {code}]",
    ),
    "request.opened": (
        "请求收银程序:{what:asked}(流水号 {stan},{within_ms:ms}内)",
        "Asked of the payment app: {what:asked} (STAN {stan}, within {within_ms:ms})",
    ),
    "request.repeated": ("程序重启,再次请求收银程序", "Asked of the payment app again after a restart"),
    "request.answered": (
        "收银程序答复:{outcome:app_outcome}[,应答码 {code}]", "The payment app answers: {outcome:app_outcome}[, response {code}]",
    ),
    "request.known": (
        "收银程序所知:{outcome:app_outcome}[,应答码 {code}]", "The payment app knows: {outcome:app_outcome}[, response {code}]",
    ),
    "request.late": (
        "收银程序迟到的答复:{outcome:app_outcome}[,应答码 {code}](仅作凭据)",
        "Late answer of the payment app: {outcome:app_outcome}[, response {code}] (evidence only)",
    ),
    "request.unanswered": ("收银程序未答复", "The payment app did not answer"),
    "request.failed": ("请求未送达收银程序", "The request did not reach the payment app"),
    "payapp.attached": ("收银程序开始接收请求", "The payment app listens for requests"),
    "payapp.detached": ("收银程序不再接收请求", "The payment app listens no longer"),
    "host.crossed_reply": (
        "收到不属于本机的应答[,应答码 {code}][,流水号 {stan}]", "A reply that is not ours[, response {code}][, STAN {stan}]",
    ),
    "host.doubled_reply": ("收到重复应答[,应答码 {code}]", "A repeated reply[, response {code}]"),
    "host.noise": ("主机发来的数据{what:noise}", "Data from the host: {what:noise}"),
    "line.up": ("线路恢复,主机可达", "Line up: the host can be reached"),
    "line.down": ("线路不通,主机不可达", "Line down: the host cannot be reached"),
    "line.host": ("改用{host:host}", "Connected to {host:host}"),
    "line.connected": ("已连接主机", "Connected to the host"),
    "line.lost": ("与主机的连接中断", "The connection to the host was lost"),
    "line.wanted": ("线路需求:{wanted:wanted}", "Line: {wanted:wanted}"),
    "recovery.link_ok": ("回响测试成功[,应答码 {code}]", "Echo test answered[, response {code}]"),
    "recovery.echo_sent": ("发送回响测试", "Echo test sent"),
    "recovery.echo_unanswered": ("回响测试无应答", "Echo test not answered"),
    "gate.refused": ("拒绝新交易:{reason:gate}", "New transaction refused: {reason:gate}"),
    "gate.reopened": ("恢复接受新交易", "New transactions are taken again"),
    "incident.opened": (
        "事件:{code:incident};负责 {owner:owner},下一步:{next_action:next_action}",
        "Incident: {code:incident}; owner {owner:owner}, next: {next_action:next_action}",
    ),
    "incident.changed": (
        "事件转交:{code:incident};负责 {owner:owner},下一步:{next_action:next_action}",
        "Incident handed on: {code:incident}; owner {owner:owner}, next: {next_action:next_action}",
    ),
    "incident.reopened": (
        "事件重开:{code:incident};负责 {owner:owner},下一步:{next_action:next_action}",
        "Incident reopened: {code:incident}; owner {owner:owner}, next: {next_action:next_action}",
    ),
    "incident.closed": (
        "事件关闭:{code:incident},{resolution:resolution}[,经办 {by}][,备注 {note}]",
        "Incident closed: {code:incident}, {resolution:resolution}[, by {by}][, note: {note}]",
    ),
    "evidence.debit_sms": (
        "顾客出示扣款短信[ {amount_fen:fen}](仅作凭据)[,不符:{differs}]",
        "Customer shows a debit message[ of {amount_fen:fen}] (evidence only)[; differs: {differs}]",
    ),
    "evidence.refund_sms": (
        "顾客出示退款短信[ {amount_fen:fen}](仅作凭据)[,不符:{differs}]",
        "Customer shows a refund message[ of {amount_fen:fen}] (evidence only)[; differs: {differs}]",
    ),
    "evidence.wallet_record": (
        "顾客出示钱包记录[ {amount_fen:fen}](仅作凭据)[,{complete:complete}][,不符:{differs}]",
        "Customer shows a wallet record[ of {amount_fen:fen}] (evidence only)[; {complete:complete}][; differs: {differs}]",
    ),
    "evidence.late_response": (
        "迟到的结果:{outcome:outcome}[,应答码 {code}](先已定为不明,仅作凭据)",
        "Late result: {outcome:outcome}[, response {code}] (the doubt came first; evidence only)",
    ),
    "evidence.contradiction": (
        "矛盾的结果:{outcome:outcome}[,应答码 {code}](以先记录的为准)",
        "Contradicting result: {outcome:outcome}[, response {code}] (the first one stands)",
    ),
    "query.asked": ("第 {query} 次向钱包查询", "Asked the wallet, query {query}"),
    "query.answered": ("钱包答复:{said:said}", "The wallet says: {said:said}"),
    "query.not_reached": ("钱包网关不通,{call:call}一个字节也未发出", "Gateway out of reach: no byte of the {call:call} left"),
    "query.interrupted": ("{call:call}被重启打断,先再查询", "The {call:call} was cut off by a restart; a query goes first"),
    "wallet.cancel_asked": ("第 {cancel} 次请求撤单 {amount_fen:fen}", "Cancel of {amount_fen:fen} asked for, number {cancel}"),
    "wallet.cancel_answered": (
        "撤单请求答复:{said:said};以随后查询为准", "The cancel was answered: {said:said}; the query after it decides",
    ),
    "wallet.cancel_unknown": ("不知撤单是否生效,将重复同一撤单", "Whether the cancel was heard is unknown; it is repeated"),
    "wallet.refund_asked": (
        "第 {refund} 次请求退款 {amount_fen:fen}(同一退款单号)",
        "Refund of {amount_fen:fen} asked for, number {refund}, same refund number",
    ),
    "wallet.refund_answered": (
        "退款请求答复:{said:said};以随后查询为准", "The refund was answered: {said:said}; the query after it decides",
    ),
    "wallet.paid": ("钱包确认已支付 {amount_fen:fen}", "The wallet confirms {amount_fen:fen} as paid"),
    "wallet.paid_late": (
        "撤单或关闭后又显示已付 {amount_fen:fen}:退回,勿交货",
        "Paid {amount_fen:fen} after a cancel or close: the money goes back",
    ),
    "wallet.closed": ("钱包确认订单已关闭 {amount_fen:fen}", "The wallet confirms the order of {amount_fen:fen} as closed"),
    "wallet.refunded": ("钱包确认已退款 {amount_fen:fen}", "The wallet confirms {amount_fen:fen} as refunded"),
    "wallet.evidence_accepted": ("凭证相符:不再撤单,由店长决定", "Complete evidence: never cancelled now; the manager decides"),
    "wallet.overridden": ("商户担风险,同一购物另开一单 {by}", "At the merchant's risk another order was opened: {by}"),
    "bestpay.failed": ("翼支付确认未成功,连续第 {streak} 次", "Bestpay: proven failure, {streak} in a row"),
    "bestpay.succeeded": ("翼支付成功,连续失败清零", "Bestpay: success ends the streak"),
    "receipt.waiting": ("{what:what}等待打印[({marked:marked})]", "Print queued: {what:what}[ ({marked:marked})]"),
    "receipt.printing": ("{what:what}正在送打印机", "Going to the printer: {what:what}"),
    "receipt.unprinted": (
        "{what:what}未打印[:{fault:fault}],稍后自动补打",
        "Not printed: {what:what}[ ({fault:fault})]; goes again by itself",
    ),
    "receipt.unprintable": ("打印:{what}超出打印机能力,不再打印", "{what} fits no paper of this printer, given up"),
    "receipt.partial": (
        "{what:what}只送出一部分 {bytes}/{of} 字节[:{fault:fault}];补打须人工下令",
        "Only partly sent: {what:what}, {bytes} of {of} bytes[ ({fault:fault})]; a copy must be ordered",
    ),
    "receipt.sent_unconfirmed": ("{what:what}已送出,打印机不回报结果", "Sent: {what:what}; the printer does not confirm"),
    "receipt.fenced": ("{what:what}打印机已处理完", "The printer worked through it: {what:what}"),
    "receipt.confirmed": ("{what:what}已打印", "Printed: {what:what}"),
    "receipt.unknown": (
        "{what:what}不知是否打出;补打须人工下令",
        "Unknown whether it came out: {what:what}; a copy must be ordered",
    ),
    "receipt.expired": (
        "{what:what}等待过久,不再自动打印",
        "Waited too long, no longer printed by itself: {what:what}",
    ),
    "receipt.wanted": (
        "本机没有这笔的签购单,已请收银程序提供(流水号 {stan},批次 {batch})",
        "The receipt is not here: the payment app is asked for it (STAN {stan}, batch {batch})",
    ),
    "receipt.blank": ("小票空白:请翻转纸卷后重打印", "The paper was blank: turn the roll, then order a copy"),
    "printer.state": ("打印机:{fault:fault},{paper:paper}", "Printer: {fault:fault}, {paper:paper}"),
    "display.state": ("客显:{fault:fault}", "Customer display: {fault:fault}"),
    "display.test": ("客显测试", "Test of the customer display"),
    "printer.watched": ("打印机:{wanted:watched}", "Printer: {wanted:watched}"),
    "clock.host_disagrees": (
        "本机时钟与主机不符,以主机为准:营业日 {host_day}[,时间 {host_time}]",
        "The clock disagrees with the host, whose word counts: business day {host_day}[, time {host_time}]",
    ),
    "settlement.settling": ("批次 {batch}[({terminal_id})] 开始结算", "Batch {batch}[ ({terminal_id})] is settling"),
    "settlement.held": ("批次 {batch}[({terminal_id})] 暂不结算:{proceed:held}", "{batch}[ ({terminal_id})]: {proceed:held}"),
    "settlement.let_go": ("批次 {batch}[({terminal_id})] 结算可以发出", "Batch {batch}[ ({terminal_id})] may leave to settle"),
    "settlement.settled": ("批次 {batch}[({terminal_id})] 已结算", "Batch {batch}[ ({terminal_id})] is settled"),
    "settlement.changed": ("换批次,新批次 {batch}[({terminal_id})]", "New batch {batch}[ ({terminal_id})]"),
    "settlement.imported": (
        "导入对账文件 {statement}:共 {lines} 行,相符 {agreed},涉及疑账 {matched},未匹配 {unmatched}",
        "Settlement file {statement} imported: {lines} lines, {agreed} agree, {matched} about open cases, {unmatched} unmatched",
    ),
    "settlement.unmatched": (
        "未匹配({why:unmatched}):{date}{direction:direction}{amount_fen:fen}[,批次 {batch}][,流水号 {stan}][,{rrn}][,{order_no}]",
        "Unmatched ({why:unmatched}): {date} {direction:direction} {amount_fen:fen}[, {batch}/{stan}][, {rrn}][, {order_no}]",
    ),
    "settlement.verdict": (
        "对账结果:{verdict:verdict}({final:final}),净额 {booked_fen:fen}",
        "Settlement: {verdict:verdict} ({final:final}), net {booked_fen:fen}",
    ),
    "settlement.refund": (
        "退款单 {number}:{state:refund},应退 {due_fen:fen},已退 {refunded_fen:fen}[,经办 {by}]",
        "Refund {number}: {state:refund}, {due_fen:fen} due, {refunded_fen:fen} made[, by {by}]",
    ),
    "settlement.reminder": ("提醒:{case:case},金额 {amount_fen:fen}", "Reminder: {case:case}, {amount_fen:fen}"),
    "terminal.changed": ("{what:terminal}", "Told by the app: {what:terminal}"),
    "security.command_refused": ("未受理的命令 {count} 条:{why:command_why}", "{count} commands not taken: {why:command_why}"),
    "command.accepted": ("总部命令:{name:command_name},执行中", "Command of the fleet: {name:command_name}, at work"),
    "command.done": ("总部命令:{name:command_name},已执行", "Command of the fleet: {name:command_name}, done"),
    "command.rejected": ("总部命令未执行:{why:command_why}", "Command of the fleet not carried out: {why:command_why}"),
    "display.message": ("总部留言:{zh} / {en}", "Message of the fleet: {zh} / {en}"),
    "storage.damaged": ("存储有位翻转[,恢复 {restored}][,弃置 {lost}]", "Bits flipped[, restored: {restored}][, lost: {lost}]"),
    "security.clone": ("另有设备冒用本机身份连接", "Another client uses this terminal's identity at the broker"),
}


def timeline(entries: Iterable[Entry], lang: Lang, utc_offset_minutes: int = UTC_OFFSET_MINUTES) -> list[Moment]:
    """The moments of these entries, in their order."""
    return [moment(entry, lang, utc_offset_minutes) for entry in entries]


def moment(entry: Entry, lang: Lang, utc_offset_minutes: int = UTC_OFFSET_MINUTES) -> Moment:
    """One entry as a person reads it."""
    return Moment(
        seq=entry.seq, at=when(entry.wall_ms, entry.mono_ms, utc_offset_minutes), text=sentence(entry, lang), type=entry.type,
        transaction=entry.transaction, incident=entry.incident, boot=entry.boot, mono_ms=entry.mono_ms, wall_ms=entry.wall_ms,
    )


def when(wall_ms: int | None, mono_ms: int, utc_offset_minutes: int = UTC_OFFSET_MINUTES) -> str:
    """Local time of the host's country, or `boot+12.3s` where the wall clock was not known."""
    if wall_ms is None:
        return f"boot+{mono_ms // 1000}.{mono_ms % 1000 // 100}s"
    local = datetime.fromtimestamp(wall_ms // 1000, UTC) + timedelta(minutes=utc_offset_minutes)
    return local.strftime("%Y-%m-%d %H:%M:%S")


def sentence(entry: Entry, lang: Lang) -> str:
    """The sentence for one fact. A type from a newer program is shown with its plain values."""
    row = FACTS.get(entry.type)
    if row is None:
        return " ".join((entry.type, *(f"{key}={printable(str(value))}" for key, value in sorted(entry.data.items()))))
    template = row[0] if lang == "zh" else row[1]
    kept = _PART.sub(lambda part: part[1] if _complete(part[1], entry.data) else "", template)
    return _VALUE.sub(lambda value: _said(entry.data.get(value[1]), value[2], lang), kept)


def _complete(part: str, data: Mapping[str, Any]) -> bool:
    return all(data.get(name) not in (None, False, "") for name, _ in _VALUE.findall(part))


def _said(value: Any, vocabulary: str | None, lang: Lang) -> str:
    if value is None:
        return "--"
    if vocabulary == "fen" and isinstance(value, int):
        return amount(value, lang)
    if vocabulary == "ms" and isinstance(value, int):
        return duration(value, lang)
    if vocabulary is not None and vocabulary in WORDS:
        return word(vocabulary, value, lang)
    return printable(str(value))


def printable(text: str) -> str:
    """Text that a person typed, fit for a screen: no control characters, and no digits that could be a card number."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return _LONG_DIGITS.sub(lambda digits: f"{digits[0][:6]}{'*' * (len(digits[0]) - 10)}{digits[0][-4:]}", shown)
