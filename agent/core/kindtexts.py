"""What the cashier is told about kinds other than a sale and its void, and about approvals that are not the usual one.

`o` is any other kind, by its own name; `p` a pre-authorization, `r` what is never reversed, `k` what is only watched.
"""

# code: short zh, long zh, short en, long en.
TEXTS: dict[str, tuple[str, str, str, str]] = {
    "P1o": (
        "交易成功,缺纸请装纸", '这笔{kind}已成功;装纸后自动补打,未出票请按"重打印",切勿重复操作。',
        "Done, load paper", "This {kind} succeeded. The slip prints by itself once paper is in; do not repeat it.",
    ),
    "P2o": (
        "交易成功,打印机异常", "这笔{kind}已成功;请抄参考号{rrn}给顾客,修好后补打。",
        "Done, printer fault", "This {kind} succeeded. Write down reference {rrn} for the customer; reprint later.",
    ),
    "P3o": (
        "结果未知,请稍候", "网络恢复后自动冲正这笔{kind}{amount}(尾号{last4});请稍候,勿重复操作。",
        "Unknown, please wait", ("This {kind} of {amount} (card …{last4}) is reversed by itself once the line is back. "
        "Wait, do not repeat it."),
    ),
    "P3r": (
        "结果未知,请重发本笔", "请用原流水号{stan}重发这笔{kind}{amount}(尾号{last4}),直到有应答;此类交易不冲正,勿另做一笔。",
        "Unknown, send again", ("Send this {kind} of {amount} (card …{last4}) again under its own STAN {stan} until it is "
        "answered. It is never reversed; do not start another one."),
    ),
    "P4ao": (
        "冲正中,请稍候", "正在撤回这笔{kind}{amount}(尾号{last4}),请勿重复操作。",
        "Reversing, wait", "Taking back this {kind} of {amount} (card …{last4}); do not repeat it.",
    ),
    "P4av": (
        "撤销冲正中,请稍候", "正在撤回撤销{amount}(尾号{last4}),原交易仍有效,请勿重复撤销。",
        "Undoing void, wait", "Taking back the void of {amount} (card …{last4}); the original stands. Do not repeat it.",
    ),
    "P4bo": (
        "冲正成功,请重做本笔", "这笔{kind}{amount}(尾号{last4})冲正已受理,到账以发卡行为准。",
        "Reversed, redo it", ("The reversal of this {kind} of {amount} (card …{last4}) was accepted; when it is credited is up "
        "to the issuer."),
    ),
    "P4co": (
        "主机无此交易,请重做", "主机无这笔{kind}({amount},尾号{last4});次日对账再核。",
        "Host has none, redo", "The host has no such {kind} ({amount}, card …{last4}). It is checked tomorrow.",
    ),
    "P5k": (
        "结果不明,次日核对", "此类交易不冲正;{kind}{amount}(尾号{last4})是否入账由次日对账核实,如何处理由店长决定。",
        "Unclear, checked T+1",
        ("This {kind} of {amount} (card …{last4}) cannot be reversed. Tomorrow's settlement shows whether "
        "it was booked; the manager decides what to do meanwhile."),
    ),
    "P5p": (
        "冲正不成功,请店长决定", "预授权{amount}(尾号{last4})可能仍冻结额度;店长确认后可换卡或收押金,请收单机构核实解冻。",
        "Not reversed, manager",
        ("{amount} (card …{last4}) may still be held on the card. The manager decides on another card or a deposit; "
        "the acquirer says whether the hold must be lifted."),
    ),
    "P5r": (
        "结果不明,次日核对", "{kind}{amount}(尾号{last4})是否入账由次日对账核实,请勿重复操作。",
        "Unclear, checked T+1", ("Tomorrow's settlement shows whether this {kind} of {amount} (card …{last4}) was booked. "
        "Do not repeat it."),
    ),
    "P6p": (
        "冻结短信不算授权成功", "以本机冲正结果或收单机构答复为准,请勿凭短信办理{amount}(尾号{last4})。",
        "Message is no proof", ("A message about a hold of {amount} (card …{last4}) is no pre-authorization: this terminal's "
        "reversal or the acquirer's word decides."),
    ),
    "N3o": (
        "交易成功,请取小票", "这笔{kind}{amount}(尾号{last4})已成功。",
        "Done, take receipt", "This {kind} of {amount} (card …{last4}) succeeded.",
    ),
    "N4o": (
        "交易未成功,可重试", "主机未批准这笔{kind}{amount}(尾号{last4})。",
        "Declined, may retry", "The host declined this {kind} of {amount} (card …{last4}).",
    ),
    "N5o": (
        "交易未发出,请重新发送", "这笔{kind}{amount}(尾号{last4})未发送到主机,请重新发送。",
        "Not sent, send it", "This {kind} of {amount} (card …{last4}) has not been sent to the host; send it again.",
    ),
    "N11": (
        "部分批准,请补收差额", "仅批准{approved}(应收{amount},尾号{last4}),请用其他方式补收{rest},收齐才算付清。",
        "Part paid, get rest", ("Only {approved} of {amount} (card …{last4}) was approved. Collect {rest} by other means before "
        "anything goes out."),
    ),
    "N11o": (
        "部分批准,请核对金额", "这笔{kind}仅批准{approved}(申请{amount},尾号{last4}),请核对差额{rest}。",
        "In part, check sum", ("Only {approved} of {amount} was approved for this {kind} (card …{last4}); look into the rest, "
        "{rest}."),
    ),
    "N14": (
        "已做撤销或退货,勿交货", "{amount}(尾号{last4})已另做撤销或退货,以那笔的结果为准;请勿交货,勿再收款。",
        "See void, hold goods", ("A void or refund of {amount} (card …{last4}) was made: its own result counts. Hand nothing "
        "over, charge nothing for it."),
    ),
    "N12": (
        "交易成功,请发卡行确认", "{amount}(尾号{last4})已批准;请顾客向发卡行确认入账,小票请交顾客。",
        "Paid, ask issuer", "{amount} (card …{last4}) was approved; ask the customer to have the issuer confirm it.",
    ),
}
