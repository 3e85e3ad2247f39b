"""What the command line says, in both languages: {key: (zh, en)}. Words for codes stand in `agent.words`."""

from collections.abc import Mapping

from agent.cli.ordertexts import ORDERS
from agent.cli.simulatetexts import SIMULATED
from agent.words import Lang

TEXTS: Mapping[str, tuple[str, str]] = {
    **ORDERS,
    **SIMULATED,
    # why the journal cannot be read
    "missing": (
        "还没有日志 {path}:程序尚未以此配置运行过;请用 --config 指明配置文件",
        "no journal at {path} yet: the agent has never run with this configuration; name the right one with --config",
    ),
    "unreadable": (
        "无法读取日志 {path}:{detail};请用 root 或程序所属用户运行",
        "cannot read the journal {path}: {detail}; run this as root or as the agent's own user",
    ),
    "damaged": (
        "日志已损坏 {path}:{detail};请先备份此文件,再运行 reversald verify",
        "the journal {path} is damaged: {detail}; keep a copy of the file, then run reversald verify",
    ),
    "advice_none": (
        "记录已损坏,不作建议:暂勿交货,勿重新收款", "none, for its record is damaged: hold the goods, and nobody pays again yet"
    ),
    "rows_damaged": (
        "有已损坏的记录,所示可能有误或不全:{rows};请先备份 {path},再运行 reversald verify",
        "damaged rows, so this may be wrong or incomplete: {rows}; keep a copy of {path}, then run reversald verify",
    ),
    "unsound": ("本机存储有损坏,本页所示可能有误或不全", "Storage is damaged: what stands here may be wrong or incomplete"),
    "unsound_rows": ("损坏的记录", "damaged rows"),
    "changing": ("日志正在变动,无法读取 {path};请稍后再试", "the journal {path} is changing hands; try again in a moment"),
    "foreign": (
        "{path} 不是本程序的日志;请检查 storage.path", "{path} is not a journal of this program; check storage.path",
    ),
    "newer": (
        "日志 {path} 由更新的版本写成({detail});请安装新版本",
        "the journal {path} was written by a newer program ({detail}); install that one",
    ),
    "no_room": (
        "临时目录空间不足,无法复制日志 {path};请设置 TMPDIR",
        "no room to copy the journal {path} for reading; point TMPDIR to a folder with space",
    ),
    # usage
    "usage": ("{message};用法见 {command} --help", "{message}; see {command} --help"),
    "no_command": ("没有此命令: {name}{near}", "no such command: {name}{near}"),
    "no_option": ("没有此选项: {name}{near}", "no such option: {name}{near}"),
    "near": (",是否为 {names}?", "; did you mean {names}?"),
    "missing_value": ("缺少 {name}", "{name} is missing"),
    "bad_value": ("{name} 不对:{reason}", "{name} is not right: {reason}"),
    "interrupted": ("已中断", "interrupted"),
    "looks_like_card": (
        "这像是卡号;请勿输入卡号,用流水号(6 位)查询", "this looks like a card number; never type one, search by STAN (6 digits)",
    ),
    "no_match": (
        "没有找到 {text};可用流水号、交易号或小票上的事件号",
        "nothing found for {text}; use a STAN, an id, or the incident number of a slip",
    ),
    "several": (
        "{text} 对应 {count} 笔交易,请用交易号:{ids}", "{text} names {count} transactions, use an id: {ids}",
    ),
    # status
    "terminal": ("终端", "terminal"),
    "daemon": ("程序", "agent"),
    "running": ("运行中", "running"),
    "silent": ("在运行但无应答", "running but not answering"),
    "stopped": ("未运行,以下为最后的记录", "not running; this is its last record"),
    "forbidden": ("无权询问,以下为最后的记录", "not allowed to ask it; this is its last record"),
    "version": ("{state},版本 {version},第 {boots} 次开机", "{state}, version {version}, boot {boots}"),
    "pending": ("待冲正", "reversals"),
    "pending_none": ("无", "none pending"),
    "pending_some": ("{count} 笔,最早 {age}", "{count} pending, the oldest for {age}"),
    "age_unknown": ("时间不明", "an unknown time"),
    "doubt": ("疑账金额", "in doubt"),
    "doubt_some": ("{amount}({count} 笔)", "{amount} (transactions: {count})"),
    "incidents": ("未结事件", "incidents"),
    "incidents_open": ("{count} 件", "{count} open"),
    "printer": ("打印机", "printer"),
    "printer_jobs": ("{fault},{paper};待打印 {jobs} 单", "{fault}, {paper}; {jobs} waiting"),
    "printer_disabled": ("未配置", "not configured"),
    "display": ("客显", "display"),
    "line": ("线路", "line"),
    "line_up": ("可达", "up"),
    "line_down": ("不通", "down"),
    "line_unknown": ("未知", "not known"),
    "batch": ("批次", "batch"),
    "journal": ("日志", "journal"),
    "journal_head": ("第 {seq} 条 {hash},已上报到第 {told} 条", "entry {seq} {hash}, reported up to {told}"),
    "commands": ("总部命令", "commands"),
    "commands_on": ("受理签名命令", "signed ones are taken"),
    "commands_off": ("未启用", "off"),
    # incidents, show, tail
    "none_open": ("没有未结事件", "no open incidents"),
    "none_at_all": ("没有事件", "no incidents"),
    "more": (
        "还有更早的:reversald incidents {option}--before {number}",
        "older ones: reversald incidents {option}--before {number}",
    ),
    "open": ("未结", "open"),
    "closed": ("已结", "closed"),
    "incident_next": (
        "{at} 起;负责 {owner},下一步:{next_action}", "since {at}; owner {owner}, next: {next_action}",
    ),
    "incident_closed": ("{at} 起,{closed} 结:{resolution}", "since {at}, closed {closed}: {resolution}"),
    "stan_short": ("流水号", "STAN"),
    "number": ("序号", "number"),
    "stan": ("流水号 {stan}", "STAN {stan}"),
    "title": (
        "{kind} {amount}  流水号 {stan}  批次 {batch}  终端 {terminal}",
        "{kind} of {amount}  STAN {stan}  batch {batch}  terminal {terminal}",
    ),
    "id": ("交易号", "id"),
    "card": ("卡号", "card"),
    "state": ("状态", "state"),
    "rrn": ("参考号", "RRN"),
    "advice": ("提示", "advice"),
    "goods": ("货物", "goods"),
    "goods_held": ("暂勿交货", "hold them"),
    "goods_free": ("可以交货", "may go"),
    "again": ("再付款", "pay again"),
    "again_no": ("不可", "no"),
    "again_yes": ("可以", "yes"),
    "reversal": ("冲正", "reversal"),
    "reversal_line": ("{state},已发送 {sends} 次,应答码 {code}", "{state}, {sends} sent, response {code}"),
    "order": ("订单", "order"),
    "order_line": (
        "{wallet} {number}:{said};查询 {queries} 次,撤单 {cancels} 次,退款 {refunds} 次",
        "{wallet} {number}: {said}; {queries} queries, {cancels} cancels, {refunds} refunds",
    ),
    "job": ("打印", "print"),
    "incident": ("事件", "incident"),
    "story": ("经过", "story"),
    # verify
    "progress_verify": ("核对日志", "checking the journal"),
    "progress_export": ("导出", "exporting"),
    "whole": (
        "日志完整:{entries} 条,{rows} 行记录与重放一致",
        "the journal is whole: {entries} entries, and replay makes the same {rows} rows",
    ),
    "head": ("头 {seq}:{hash}", "head {seq}:{hash}"),
    "keep_head": (
        "记下此头,日后可用 verify --head 证明日志未被截短",
        "note the head: later, verify --head proves that no tail was cut off",
    ),
    "found": ("日志有 {count} 处损坏", "the journal is damaged in {count} places"),
    "not_replayed": ("链条已断,未重放", "the chain is broken, so nothing was replayed"),
    "at_entry": ("第 {seq} 条", "entry {seq}"),
    "at_rows": ("记录表", "rows"),
    "bad_head": ("--head 应写成 序号:64 位校验值", "--head must be written as NUMBER:64 hexadecimal digits"),
    "f_page": ("数据库页损坏:{detail}", "a database page is damaged: {detail}"),
    "f_missing": ("此前有条目被删去:{detail}", "entries before it were cut out: {detail}"),
    "f_changed": ("本条或前一条被改动", "this entry or the one before it was changed"),
    "f_unreadable": ("无法解读:{detail}", "cannot be read: {detail}"),
    "f_index": ("索引列与内容不符:{detail}", "its search columns differ from its content: {detail}"),
    "f_cut_tail": ("日志尾部被截去:{detail}", "the tail was cut off: {detail}"),
    "f_told": ("与所给的头不符:{detail}", "it is not the head that was given: {detail}"),
    "f_replay": ("重放结果不同:{detail}", "replay comes out differently: {detail}"),
    "f_row": ("记录与重放不符:{detail}", "a row is not what replay makes of it: {detail}"),
    "f_row_missing": ("缺少记录:{detail}", "a row is missing: {detail}"),
    "f_sum": ("记录的校验和不符:{detail}", "a row is not what its check sum says: {detail}"),
    "f_column": ("索引列与记录不符:{detail}", "search columns differ from the row: {detail}"),
    # export
    "exported": ("已导出 {entries} 条到 {path}", "{entries} entries exported to {path}"),
    "exists": ("{path} 已存在;加 --force 覆盖", "{path} exists; add --force to replace it"),
    "cannot_write": ("无法写入 {path}:{detail}", "cannot write {path}: {detail}"),
    "no_stdout": ("{format} 不能写到标准输出,请给出文件名", "{format} cannot go to standard output; name a file"),
    "report": ("交易与事件报告", "Transactions and incidents"),
    "made_at": ("生成时间 {at}", "made {at}"),
    "transactions": ("交易", "Transactions"),
    "time": ("时间", "time"),
    "amount": ("金额", "amount"),
    "what": ("内容", "what happened"),
    "owner": ("负责", "owner"),
    "next": ("下一步", "next action"),
}


def say(key: str, lang: Lang, **values: object) -> str:
    """The text under `key` with its values filled in."""
    zh, en = TEXTS[key]
    return (zh if lang == "zh" else en).format_map(values)
