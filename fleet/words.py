"""Events in words that a person at the fleet's desk reads, in both languages; what has no word shows its own name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from agent.commandform import NAMES, WHY
from agent.envelope import Event, Response, State

Lang = Literal["zh", "en"]

MAX_DETAILS: Final = 160  # characters

# By type: Chinese, English.
TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "incident.opened": ("事件:登记", "incident opened"),
    "incident.changed": ("事件:转交", "incident handed on"),
    "incident.reopened": ("事件:重开", "incident reopened"),
    "incident.closed": ("事件:关闭", "incident closed"),
    "reversal.opened": ("冲正:登记", "reversal opened"),
    "reversal.sent": ("冲正:已发送", "reversal sent"),
    "reversal.confirmed": ("冲正成功", "reversal accepted"),
    "reversal.no_original": ("主机无原交易", "the host has no original"),
    "reversal.no_original_early": ("主机称无原交易(过早,再发一次)", "no original, but too early: sent again"),
    "reversal.refused": ("冲正被拒绝", "reversal refused"),
    "reversal.key_refused": ("冲正密钥问题,等签到", "reversal: key trouble, waits for a sign-in"),
    "reversal.no_mac": ("无人计算 MAC,稍后再试", "nobody makes the MAC, tried again later"),
    "reversal.later": ("冲正未成,将再发", "reversal not taken, goes again"),
    "reversal.unanswered": ("冲正无应答", "reversal not answered"),
    "reversal.exhausted": ("冲正不成功,记录保留", "not reversed; kept and sent again later"),
    "reversal.due": ("再次安排冲正", "reversal due again"),
    "reversal.adopted": ("收银程序自行冲正", "the payment app reverses it itself"),
    "reversal.batch_closed": ("批次已结,等待应答", "batch closed, answer still awaited"),
    "reversal.closed": ("保留期满,卡资料已销毁", "kept long enough, card data wiped"),
    "reversal.not_left": ("线路不通,冲正未发出", "line down, no byte of the reversal left"),
    "reversal.expired": ("批次已结,不再自动冲正", "batch closed, reversal no longer sent by itself"),
    "reversal.ordered": ("人工下令再次冲正", "a person ordered the reversal again"),
    "reversal.reopened": ("重新冲正", "reversal reopened"),
    "reversal.fenced": ("冲正已封存,永不再发", "reversal fenced, never sent again"),
    "reversal.interrupted": ("发送中断,将原样重发", "interrupted in mid-send, the same is sent again"),
    "wallet.cancel_asked": ("钱包:请求撤单", "wallet: cancel asked for"),
    "wallet.cancel_answered": ("钱包:撤单有答复", "wallet: cancel answered"),
    "wallet.cancel_unknown": ("钱包:不知撤单是否生效", "wallet: unknown whether the cancel was heard"),
    "wallet.refund_asked": ("钱包:请求退款", "wallet: refund asked for"),
    "wallet.refund_answered": ("钱包:退款有答复", "wallet: refund answered"),
    "wallet.paid": ("钱包:确认已支付", "wallet: confirmed as paid"),
    "wallet.paid_late": ("钱包:撤单或关闭后又付款", "wallet: paid after a cancel or close"),
    "wallet.closed": ("钱包:订单已关闭", "wallet: order closed"),
    "wallet.refunded": ("钱包:订单已退款", "wallet: order refunded"),
    "wallet.evidence_accepted": ("钱包:凭证相符,不再撤单", "wallet: complete evidence, never cancelled"),
    "wallet.overridden": ("钱包:商户担风险另开一单", "wallet: another order at the merchant's risk"),
    "reversal.app_said": ("收银程序报告自身冲正", "the payment app on its own reversal"),
    "receipt.waiting": ("小票:等待打印", "receipt waiting"),
    "receipt.printing": ("小票:正在送打印机", "receipt going to the printer"),
    "receipt.unprinted": ("小票:未打印,稍后补打", "receipt not printed, goes again by itself"),
    "receipt.unprintable": ("小票:超出打印机能力,不再打印", "receipt fits no paper of this printer, given up"),
    "receipt.partial": ("小票:只送出一部分", "receipt only partly sent"),
    "receipt.sent_unconfirmed": ("小票:已送出,打印机不回报", "receipt sent, the printer does not confirm"),
    "receipt.fenced": ("小票:打印机已处理完", "the printer worked through the receipt"),
    "receipt.confirmed": ("小票:已打印", "receipt printed"),
    "receipt.expired": ("小票:等待过久,不再自动打印", "receipt waited too long"),
    "receipt.wanted": ("小票:已请收银程序提供", "the payment app is asked for the receipt"),
    "receipt.blank": ("小票:纸面空白", "the receipt was blank"),
    "receipt.unknown": ("小票:不知是否打出", "receipt: unknown whether it came out"),
    "printer.state": ("打印机状态", "printer"),
    "printer.watched": ("打印机:持续查看", "printer watched"),
    "clock.host_disagrees": ("时钟与主机不符", "the clock disagrees with the host's"),
    "settlement.settling": ("批次开始结算", "batch is settling"),
    "settlement.held": ("批次结算暂不放行", "settlement held while reversals are pending"),
    "settlement.let_go": ("批次结算可以发出", "settlement may leave"),
    "settlement.settled": ("批次已结算", "batch settled"),
    "settlement.changed": ("换批次", "new batch"),
    "settlement.imported": ("对账文件已导入", "settlement file imported"),
    "settlement.unmatched": ("对账行未匹配", "settlement line unmatched"),
    "settlement.verdict": ("对账结果", "settlement verdict"),
    "settlement.refund": ("退款单", "refund"),
    "settlement.reminder": ("对账提醒", "settlement reminder"),
    "security.clone": ("另有设备冒用本机身份连接", "another client uses this terminal's identity"),
    "security.command_refused": ("未受理来历不明的命令", "commands were not taken"),
    "command.accepted": ("命令:已受理,执行中", "command accepted, at work"),
    "command.done": ("命令:已执行", "command done"),
    "command.rejected": ("命令:未执行", "command rejected"),
}
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "online": ("终端上线", "terminal online"),
    "offline": ("终端下线", "terminal offline"),
    "lost": ("终端失联", "terminal lost"),
}
_LATE: Final = ("迟到", "late")
_TRANSACTION: Final = ("交易", "transaction")
_RUNNING: Final = ("命令:执行中", "command at work")
_COMMAND: Final = ("命令", "command")
_INCIDENT: Final = ("事件号", "incident")


def event_line(event: Event, lang: Lang) -> str:
    """One line: when, which terminal, entry number, what, and the details that came with it."""
    zh = lang == "zh"
    title = TITLES.get(event.type, (event.type, event.type))[not zh]
    parts = [_when(event.ts, event.boot, event.mono), event.sn, f"#{event.seq}", title]
    if event.late:
        parts.append(f"({_LATE[not zh]})")
    parts += [_details(event.d, zh)] if event.d else []
    for name, value in ((_TRANSACTION, event.tx), (_INCIDENT, event.inc)):
        if value:
            parts.append(f"{name[not zh]} {value[:8]}")
    return _printable("  ".join(parts))


def response_line(response: Response, lang: Lang) -> str:
    """One line: when, which terminal, how a command stands, which one, and why not or with what result."""
    zh = lang == "zh"
    parts = [_when(response.ts, response.boot, response.mono), response.sn]
    parts += [f"#{response.seq}"] if response.seq is not None else []
    name = NAMES.get(response.name, (response.name, response.name))[not zh]
    parts += [TITLES.get(f"command.{response.status}", _RUNNING)[not zh], name]
    why, result = response.d.get("why"), response.d.get("result")
    if isinstance(why, str):
        parts.append(WHY.get(why, (why, why))[not zh])
    elif isinstance(result, dict) and result:
        parts.append(_details(result, zh))
    return _printable("  ".join([*parts, f"{_COMMAND[not zh]} {response.id[:8]}"]))


def state_line(state: State, lang: Lang) -> str:
    """One line: when, which terminal, is it there."""
    when = _when(state.ts, state.boot, state.mono) if state.state != "lost" else _moment(datetime.now().astimezone())
    return _printable("  ".join([when, state.sn, STATES[state.state][lang != "zh"]]))


def _when(ts: int | None, boot: int, mono: int) -> str:
    if ts is None:  # its clock was not to be trusted: time since that boot is all there is
        seconds = mono // 1_000
        return f"boot {boot} +{seconds // 3_600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    try:
        return _moment(datetime.fromtimestamp(ts / 1_000).astimezone())
    except (ValueError, OverflowError, OSError):  # a clock beyond the year 9999
        return f"{ts} ms"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _details(data: Mapping[str, Any], zh: bool) -> str:
    shown = []
    for name, value in data.items():
        if name.endswith("_fen") and isinstance(value, int):
            shown.append(f"{value // 100}.{value % 100:02d}{'元' if zh else ' CNY'}")
        elif isinstance(value, (str, int, float)):
            shown.append(f"{name}={value}")
    text = " ".join(shown)
    return text if len(text) <= MAX_DETAILS else text[: MAX_DETAILS - 1] + "…"


def _printable(line: str) -> str:
    """What came over the network must not steer the reader's terminal."""
    return "".join(character if character.isprintable() else "�" for character in line)
