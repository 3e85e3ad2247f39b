"""The words of the trade in both languages: what a person reads where rows, facts and answers hold a stable code.

{vocabulary: {code: (zh, en)}}. Used by timeline, command line, page and export, so that one thing has one name everywhere.
"""

from collections.abc import Mapping
from typing import Literal

from agent import commandform
from agent.core.kinds import NAMES

Lang = Literal["zh", "en"]
Words = Mapping[str, tuple[str, str]]

WORDS: Mapping[str, Words] = {
    "kind": NAMES,
    "state": {
        "intent": ("已登记,未发送", "registered, not sent"),
        "sent": ("已发送,等待应答", "sent, waiting for the host"),
        "approved": ("交易成功", "approved"),
        "approved_not_completed": ("主机批准,终端未完成", "approved by the host, not completed here"),
        "declined": ("主机拒绝", "declined"),
        "declined_uncertain": ("主机拒绝,可能已记账", "declined, but perhaps booked"),
        "not_sent": ("未发送", "not sent"),
        "in_doubt": ("状态不明", "in doubt"),
        "reversing": ("冲正中", "being reversed"),
        "reversed": ("冲正成功", "reversed"),
        "no_original": ("主机无此交易", "the host has no such transaction"),
        "unresolved": ("未能自动了结", "unresolved"),
        "resolved": ("已结案", "settled by a person"),
        "querying": ("向钱包查询中", "being asked of the wallet"),
        "paid": ("已支付", "paid"),
        "cancelling": ("撤单中", "being cancelled"),
        "cancel_unknown": ("撤单结果未知", "cancel asked for, outcome unknown"),
        "closed": ("订单已关闭", "closed"),
        "refunded": ("订单已退款", "refunded"),
    },
    "reversal": {
        "pending": ("待发送", "waiting to be sent"),
        "sending": ("已发送,等待应答", "sent, waiting for the answer"),
        "accepted": ("已受理", "accepted"),
        "no_original": ("主机无原交易", "the host has no original"),
        "refused": ("被拒绝", "refused"),
        "exhausted": ("本轮次数用完,稍后再发", "sends used up, sent again later"),
        "expired": ("批次已结,不再自动发送", "batch closed, no longer sent by itself"),
        "fenced": ("已封存,永不再发", "fenced, never sent again"),
    },
    "job": {
        "WAITING": ("等待打印", "waiting"),
        "INTENT": ("正在送打印机", "going to the printer"),
        "UNPRINTED": ("未打印,稍后自动补打", "not printed, goes again by itself"),
        "UNPRINTABLE": ("超出打印机能力,不再打印", "fits no paper of this printer, given up"),
        "PARTIAL": ("只送出一部分", "only partly sent"),
        "SENT_UNCONFIRMED": ("已送出,打印机不回报结果", "sent, the printer does not confirm"),
        "FENCED": ("打印机已处理完", "the printer worked through it"),
        "CONFIRMED": ("已打印", "printed"),
        "UNKNOWN": ("不知是否打出", "unknown whether it came out"),
        "EXPIRED": ("等待过久,不再自动打印", "waited too long, no longer printed by itself"),
    },
    "what": {
        "receipt": ("签购单", "receipt"),
        "notice": ("冲正通知", "reversal notice"),
        "fault_note": ("故障单", "fault note"),
        "guarantee": ("情况说明", "guarantee note"),
        "test": ("测试页", "test page"),
    },
    "fault": {
        "none": ("正常", "ready"),
        "unknown": ("状态未知", "state unknown"),
        "mute": ("已接通(不回报)", "connected, it never answers"),
        "paper_out": ("缺纸", "out of paper"),
        "cover_open": ("纸仓盖未合", "cover open"),
        "cutter": ("切刀故障", "cutter jammed"),
        "overheated": ("打印头过热", "print head too hot"),
        "unrecoverable": ("打印机故障,需维修", "needs repair"),
        "battery_low": ("电量不足,请充电", "battery low, charge it"),
        "offline": ("脱机", "offline"),
        "silent": ("无应答", "does not answer"),
        "unavailable": ("未连接", "not connected"),
        "port_held": ("端口被其他程序占用", "its port is held by another program"),
        "port_denied": ("无权打开端口", "no permission for its port"),
        "wrong_device": ("端口上是别的设备", "another device is on its port"),
    },
    "paper": {
        "ok": ("有纸", "paper in"),
        "near_end": ("纸将用完", "paper near its end"),
        "out": ("无纸", "no paper"),
        "unknown": ("纸况未知", "paper unknown"),
    },
    "cause": {
        "no_answer": ("主机无应答", "no answer from the host"),
        "bad_mac": ("应答校验(MAC)错误", "the answer's MAC was wrong"),
        "not_sent": ("收银程序称未发送,无法证明", "the app says not sent, which is not proved"),
        "timeout": ("等待应答超时", "the answer did not come in time"),
        "restart": ("终端重启,应答未知", "the terminal restarted before an answer"),
        "declined_uncertain": ("主机拒绝,可能已记账", "declined, but perhaps booked"),
        "approved_not_completed": ("主机批准但终端未完成", "approved, but the terminal could not complete it"),
    },
    "unsent": {
        "app": ("收银程序报告", "the payment app says so"),
        "timeout": ("无人再问,未获准发送", "nobody asked again, no permission was given"),
        "restart": ("重启前未获准发送", "no permission was given before the restart"),
    },
    "reason": {
        "98": ("98 无应答", "98 no answer"),
        "A0": ("A0 校验错", "A0 wrong MAC"),
        "96": ("96 终端未完成", "96 not completed"),
        "06": ("06 重发", "06 sent again"),
        "late_approval": ("迟到的批准", "a late approval"),
    },
    "due": {
        "online_request": ("有新的联机交易", "a new online request"),
        "settlement": ("批次要结算", "the batch is to be settled"),
    },
    "mac": {
        "good": ("MAC 正确", "MAC good"),
        "bad": ("MAC 错误", "MAC wrong"),
        "missing": ("缺少 MAC", "MAC missing"),
        "unchecked": ("MAC 未能核对", "MAC not checked"),
    },
    "outcome": {
        "approved": ("批准", "approved"),
        "declined": ("拒绝", "declined"),
        "no_answer": ("无应答", "no answer"),
        "bad_mac": ("校验错", "wrong MAC"),
        "not_sent": ("未发送", "not sent"),
        "approved_not_completed": ("批准未完成", "approved, not completed"),
    },
    "app_outcome": {
        "sent": ("冲正已发出", "its 0400 is sent"),
        "accepted": ("已受理", "accepted"),
        "refused": ("未成", "refused"),
        "no_card": ("需插卡", "needs a card"),
        "busy": ("忙", "busy"),
        "unsupported": ("不支持", "cannot do it"),
        "approved": ("批准", "approved"),
        "declined": ("拒绝", "declined"),
        "no_answer": ("无应答", "no answer"),
        "bad_mac": ("校验错", "wrong MAC"),
        "not_sent": ("未发送", "not sent"),
        "approved_not_completed": ("批准未完成", "approved, not completed"),
        "waiting": ("等待主机应答", "still waiting for the host"),
        "unknown": ("不知此笔", "knows of no such transaction"),
    },
    "asked": {
        "flush_reversals": ("请发送待冲正", "send the pending reversals"),
        "balance_inquiry": ("请做余额查询", "run a balance inquiry"),
        "transaction": ("请告知此笔结果", "say what is known of this one"),
    },
    "goods": {
        "held": ("货物留店", "goods held"),
        "released": ("货已交付", "goods released"),
        "returned": ("货已退回", "goods returned"),
    },
    "replaced_by": {"cash": ("改付现金", "paid in cash"), "none": ("未另付款", "nothing replaced it")},
    "accepts_risk": {"true": ("商户自担风险", "the merchant takes the risk")},
    "marked": {"true": ("重打印", "marked copy")},
    "new_boot": {"true": ("机器重新开机", "the machine had started too")},
    "owner": {
        "cashier": ("收银员", "cashier"),
        "technician": ("技术员", "technician"),
        "operator": ("运营", "operator"),
        "acquirer": ("收单机构", "acquirer"),
    },
    "next_action": {
        "repeat_the_same": ("用原流水号重发本笔", "send the same message again"),
        "hold_goods_and_query": ("暂勿交货,等待钱包查询结果", "hold the goods, wait for the wallet's answer"),
        "hold_goods_and_wait": ("暂勿交货,等待自动冲正", "hold the goods, wait for the reversal"),
        "compare_settlement": ("次日与对账文件核对", "compare with the next day's settlement"),
        "decide_and_compare_settlement": ("店长决定交货与否,次日对账", "manager decides; compare with settlement"),
        "call_acquirer": ("致电收单机构", "call the acquirer"),
        "check_host": ("请收单机构检查主机", "have the acquirer check its host"),
        "replace_storage": ("换存储卡或换机", "replace the storage or the terminal"),
        "check_identity": ("查明哪台设备冒用本机身份", "find out which device uses this identity too"),
        "check_payment_app": ("检查收银程序", "check the payment app"),
        "look_at_terminal": ("查看终端是否显示成功", "see whether the terminal showed success"),
        "check_printer_profile": ("检查打印机型号配置", "check the printer's profile"),
        "check_display": ("检查客显的接线、电源和端口", "check the display's cable, power and port"),
        "check_printer_port": ("检查打印机端口", "check the printer's port"),
        "check_profile": ("检查报文规范配置", "check the message profile"),
        "check_route": ("检查本机线路", "check this terminal's route"),
        "look_at_printer": ("查看打印机", "look at the printer"),
        "repair_printer": ("维修打印机", "repair the printer"),
        "check_payapp": ("检查收银程序", "look at the payment app"),
        "ask_card_balance": ("插任意一张卡查余额", "put in any card and ask its balance"),
        "sign_in": ("在终端上签到", "sign in on the terminal"),
        "see_money_back": ("确认款项已退回顾客", "see that the money went back"),
        "confirm_refund": ("确认无调账、拒付后办理退款", "confirm that no adjustment or chargeback runs, then refund"),
        "decide_refund": ("查明是否重复付款,再定退款", "find out whether it was paid twice, then decide"),
        "make_refund": ("办理退款,只退一次", "make the refund, once"),
        "contact_customer": ("联系顾客取货或退款", "call the customer: collect the goods, or refund"),
        "collect_payment": ("核对货物,已交付则请顾客补付", "look at the goods; if they went out, ask the customer to pay"),
        "redo_void": ("撤销未入账,应退则办退货", "the void was not booked: refund if it is owed"),
        "compare_by_hand": ("人工核对账目", "compare the accounts by hand"),
        "import_settlement": ("导入缺少的对账文件", "import the settlement file that is missing"),
    },
    "incident": {
        "in_doubt": ("交易状态不明", "transaction in doubt"),
        "declined_uncertain": ("拒绝但可能已记账", "declined, but perhaps booked"),
        "contradicting_result": ("前后结果矛盾", "contradicting result"),
        "sent_without_permission": ("未获准即发送", "sent without permission"),
        "gate_bypassed": ("线路不通仍放行", "let through with the line down"),
        "crossed_reply": ("收到不属于本机的应答", "a reply that is not ours"),
        "storage": ("存储出错,记录有损坏", "the storage damages records"),
        "clone": ("本机身份被冒用", "another client with this identity"),
        "host_noise": ("主机发来无法识别的数据", "unreadable data from the host"),
        "sign_in_needed": ("需要签到", "sign-in needed"),
        "unpackable": ("冲正报文无法组包", "the reversal cannot be packed"),
        "printer": ("打印机异常", "printer trouble"),
        "display": ("客显异常", "customer display trouble"),
        "spool_full": ("待打印过多", "print queue full"),
        "mac_service": ("无人计算 MAC", "nobody makes the MAC"),
        "unprintable": ("票据超出打印机能力", "a slip that this printer cannot take"),
        "payapp": ("收银程序不应答", "payment app does not answer"),
        "both_reversed": ("本机与收银程序都发了冲正", "reversed by the agent and by the payment app"),
        "relay_unreadable": ("交易报文无法识别,未转发", "a request that cannot be read was not forwarded"),
        "paid_after_cancel": ("撤单或关闭后又付款", "paid after a cancel or close"),
        "paid_beside_another": ("同一购物可能付了两次", "basket perhaps paid twice"),
        "wallet_mismatch": ("钱包金额与订单不符", "the wallet names another amount"),
        "settlement": ("对账差异", "the settlement says otherwise"),
        "credited_twice": ("可能重复退款", "perhaps credited twice"),
        "hand_needed": ("冲正需人工触发", "the reversal needs a hand"),
        "false_accept": ("收银程序误报冲正成功", "the app calls a refusal accepted"),
        "record_lost": ("收银程序丢失冲正记录", "the app lost its reversal record"),
        "not_reversed_first": ("收银程序未先冲正即交易", "the app sold before it reversed"),
        "settled_unreversed": ("收银程序未冲正即结算", "the app settled before it reversed"),
        "reversal_loops": ("收银程序反复冲正", "the app reverses without end"),
        "sales_blocked": ("待冲正阻塞新交易", "a waiting reversal blocks all sales"),
        "stan_reused": ("流水号重复使用", "a STAN was used twice"),
    },
    "resolution": {
        "reversed": ("已冲正", "reversed"),
        "no_original": ("主机无此交易", "the host has no such transaction"),
        "refunded": ("已退款", "refunded"),
        "collected": ("已补收", "collected"),
        "written_off": ("已核销", "written off"),
        "no_action": ("无需处理", "no action needed"),
        "paid": ("已支付", "paid"),
        "closed": ("订单已关闭", "order closed"),
        "even": ("对账已核清", "the settlement agrees"),
        "receipt_given": ("签购单已交来", "the receipt was handed over"),
        "host_answered": ("主机已应答", "the host answered"),
        "answered": ("收银程序已应答", "the payment app answered"),
        "not_needed": ("不再需要", "no longer needed"),
        "printed": ("已打印", "it was printed"),
        "printer_ready": ("打印机恢复", "the printer is ready again"),
        "display_back": ("客显恢复", "the display is back"),
        "mac_made": ("MAC 又可计算", "the MAC is made again"),
        "signed_in": ("已签到", "signed in"),
        "key_changed": ("密钥已更换", "keys changed"),
    },
    "verdict": {
        "awaited": ("尚未见到", "not seen yet"),
        "settled": ("已入账", "booked"),
        "not_settled": ("未入账", "not booked"),
        "uneven": ("金额不符", "amounts differ"),
    },
    "final": {"true": ("定论", "final"), "false": ("未定论", "not final yet")},
    "case": {
        "wait": ("等待对账文件", "waits for settlement files"),
        "even": ("已核清", "even"),
        "refund": ("应退款", "a refund is due"),
        "possible": ("可能应退款", "perhaps a refund is due"),
        "contact": ("应联系顾客", "the customer is to be called"),
        "collect": ("应补收", "a payment is to be collected"),
        "redo_void": ("撤销未入账", "a void was not booked"),
        "call": ("应致电客服", "the service desk is to be called"),
        "uneven": ("金额不符,应核实", "amounts differ"),
        "import": ("缺对账文件", "a settlement file is missing"),
    },
    "refund": {
        "wanted": ("应退,待确认", "wanted, to be confirmed"),
        "open": ("已确认,待退", "confirmed, to be made"),
        "done": ("已退", "made"),
        "cancelled": ("已取消", "cancelled"),
    },
    "unmatched": {
        "unknown": ("本机无此交易", "no such transaction here"),
        "amount": ("金额不符", "another amount"),
        "rrn": ("参考号不符", "another RRN"),
        "order": ("订单号不符", "another order number"),
        "ambiguous": ("对应多笔", "fits several"),
        "full": ("行数过多", "too many lines"),
    },
    "direction": {"debit": ("借记", "debit"), "credit": ("贷记", "credit")},
    "by_hand": {"refunded": ("手工退款", "refunded by hand"), "voided": ("手工撤销", "voided by hand")},
    "terminal": {
        "signed_in": ("终端已签到", "the terminal signed in"),
        "key_changed": ("终端密钥已更换", "the terminal's keys changed"),
        "rebooted": ("收银程序所在终端重启", "the terminal of the payment app restarted"),
    },
    "noise": {"unreadable": ("无法识别", "unreadable"), "unasked": ("非所请求", "not asked for")},
    "refusal": {"unreadable": ("报文无法识别", "it cannot be read"), "repeated": ("流水号重复", "its STAN is used already")},
    "held": {"wait": ("先等冲正", "reversals first"), "refuse": ("有待冲正,不予放行", "reversals are pending")},
    "gate": {"line_down": ("线路不通且有待冲正", "the line is down and a reversal waits")},
    "host": {"primary": ("主用主机", "the primary host"), "backup": ("备用主机", "the backup host")},
    "wanted": {
        "now": ("立即连接", "connect now"),
        "watch": ("定时探测", "probe now and then"),
        "none": ("不需要线路", "no line needed"),
    },
    "watched": {"true": ("持续询问打印机", "keeps asking the printer"), "false": ("停止询问打印机", "stops asking the printer")},
    "wallet": {
        "wechat": ("微信", "WeChat Pay"),
        "alipay": ("支付宝", "Alipay"),
        "unionpay_qr": ("银联二维码", "UnionPay QR"),
        "bestpay": ("翼支付", "Bestpay"),
    },
    "said": {
        "paid": ("已支付", "paid"),
        "paying": ("顾客支付中", "the customer is paying"),
        "not_paid": ("未支付", "not paid"),
        "not_found": ("无此订单", "no such order"),
        "closed": ("已关闭", "closed"),
        "refunded": ("已退款", "refunded"),
        "unknown": ("结果未知", "unknown"),
    },
    "call": {"query": ("查询", "query"), "cancel": ("撤单", "cancel"), "refund": ("退款", "refund")},
    "complete": {"true": ("四项相符", "all four agree")},
    **commandform.WORDS,
    "batch": {"open": ("开放", "open"), "settling": ("结算中", "settling"), "settled": ("已结算", "settled")},
}


def word(vocabulary: str, code: object, lang: Lang) -> str:
    """The word for a code; a code without one (from a newer program) is shown as it is."""
    key = str(code).lower() if isinstance(code, bool) else str(code)
    found = WORDS[vocabulary].get(key)
    return key if found is None else found[0] if lang == "zh" else found[1]


def amount(fen: int, lang: Lang) -> str:
    """100 fen → 1.00元 or CNY 1.00; integer arithmetic only."""
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    text = f"{sign}{fen // 100}.{fen % 100:02d}"
    return f"{text}元" if lang == "zh" else f"CNY {text}"


def duration(elapsed_ms: int, lang: Lang) -> str:
    """A time span in its two largest units: 12分30秒, 12 min 30 s."""
    seconds = max(0, elapsed_ms) // 1000
    units = (("天", "d", 86_400), ("小时", "h", 3_600), ("分", "min", 60), ("秒", "s", 1))
    first = next((index for index, unit in enumerate(units) if seconds >= unit[2]), len(units) - 1)
    parts: list[str] = []
    for zh, en, size in units[first : first + 2]:
        count, seconds = divmod(seconds, size)
        if count or not parts:
            parts.append(f"{count}{zh}" if lang == "zh" else f"{count} {en}")
    return ("" if lang == "zh" else " ").join(parts)
