"""The technician's page: the terminal at a glance, what is open, and the story of one transaction, in words of one language.

Words come from `agent.words` and `agent.incident`, as on the command line; the page draws them as they are.
"""

import asyncio
from pathlib import Path

from agent.core import screen
from agent.core.display import READY as DISPLAY_READY
from agent.core.model import Incident, Transaction
from agent.core.playbook import advise
from agent.core.state import State
from agent.hooks import screenbody as b
from agent.hooks import web
from agent.hooks.api import HOUSE, family
from agent.hooks.body import Status
from agent.hooks.cashier import opened_at
from agent.hooks.ports import House
from agent.hooks.problems import Problem
from agent.hooks.views import status_of
from agent.incident import timeline, when
from agent.journal.chain import Entry
from agent.journal.lookup import older
from agent.journal.lookup import transaction as looked_up
from agent.journal.reader import Reader
from agent.words import Lang, amount, duration, word

TASKS_MAX = 50
ITEMS_MAX = 30
LINES_MAX = 500  # of one story: the newest

NAMES = {
    "terminal": ("终端", "Terminal"), "agent": ("程序", "Agent"), "pending": ("待冲正", "Pending reversals"),
    "doubt": ("疑账金额", "Money in doubt"), "line": ("线路", "Line"), "printer": ("打印机", "Printer"),
    "display": ("客显", "Display"),
    "batch": ("批次", "Batch"), "journal": ("日志", "Journal"),
}
_LINE = {"up": ("通", "up"), "down": ("不通", "down"), "unknown": ("未知", "unknown")}
_NONE = ("未配置", "none configured")
_AGENT = ("版本 {version},第 {boots} 次开机,模式 {mode}", "version {version}, boot {boots}, mode {mode}")
_PENDING = ("{n} 笔,最早 {age}", "{n}, the oldest for {age}")
_PRINTER = ("{fault},{paper};待打印 {jobs} 单", "{fault}, {paper}; {jobs} waiting")
_JOURNAL = ("第 {seq} 条,摘要 {hash}…", "entry {seq}, hash {hash}…")


def lang_of(request: web.Request) -> Lang:
    """The language of the answer: the query's, else the terminal's own. Raises Problem 400."""
    asked = request.query.get("lang", request.app[HOUSE].inbox.state.agent.policy.lang)
    if asked not in {"zh", "en"} or set(request.query) - {"lang"}:
        raise Problem(400, "invalid-query", "known is lang=zh|en")
    return "zh" if asked == "zh" else "en"


def _in(lang: Lang, pair: tuple[str, str], **values: object) -> str:
    return pair[lang == "en"].format(**values)


def overview(house: House, lang: Lang) -> b.Overview:
    """The terminal at a glance."""
    store = house.inbox.store
    tasks = store.incidents(only_open=True, before=2**53, limit=TASKS_MAX)
    items = older(store, 2**53, ITEMS_MAX)
    return b.Overview(
        seq=store.seq, lang=lang, facts=tuple(_facts(house, lang)), tasks=tuple(_task(house, row, lang) for row in tasks),
        transactions=tuple(_item(house, row, lang) for row in items),
    )


def _batches(status: Status, lang: Lang) -> str:
    """With several terminal ids each says whose it is."""
    if len(status.batches) < 2:
        return f"{status.batch or '-'} {word('batch', status.batch_state, lang)}"
    each = ((row.terminal_id, row.batch or "-", word("batch", row.batch_state, lang)) for row in status.batches)
    return ", ".join(f"{whose}: {number} {state}" for whose, number, state in each)


def _facts(house: House, lang: Lang) -> list[b.Fact]:
    status, policy = status_of(house), house.inbox.state.agent.policy
    said = {
        "terminal": f"{status.terminal_id} {policy.merchant_name}".strip(),
        "agent": _in(lang, _AGENT, version=status.version, boots=status.boots, mode=status.mode),
        "pending": "0" if status.oldest_pending_ms is None else _in(
            lang, _PENDING, n=status.pending_reversals, age=duration(status.oldest_pending_ms, lang)
        ),
        "doubt": amount(status.money_in_doubt_fen, lang),
        "line": _in(lang, _LINE[status.line]),
        "printer": _in(lang, _NONE) if status.printer == "disabled" else _in(
            lang, _PRINTER, fault=word("fault", status.printer, lang), paper=word("paper", status.paper, lang),
            jobs=status.jobs_waiting,
        ),
        "display": _in(lang, _NONE) if status.display == "disabled" else word("fault", status.display, lang),
        "batch": _batches(status, lang),
        "journal": _in(lang, _JOURNAL, seq=status.journal_seq, hash=status.journal_hash[:12]),
    }
    bad = {
        "pending": status.pending_reversals > 0, "doubt": status.money_in_doubt_fen > 0, "line": status.line == "down",
        "printer": status.printer not in {"none", "unknown", "disabled"},
        "display": status.display not in {*DISPLAY_READY, "disabled"},
    }
    return [b.Fact(_in(lang, NAMES[name]), text, bad.get(name, False)) for name, text in said.items()]


def _task(house: House, row: Incident, lang: Lang) -> b.Task:
    what, about = word("incident", row.code, lang), looked_up(house.inbox.store, row.transaction or "")
    if about is not None:
        what += f" · {amount(about.amount_fen, lang)} · {about.stan}"
    offset = house.inbox.state.agent.policy.utc_offset_minutes
    return b.Task(
        number=row.id[:8].upper(), what=what, owner=word("owner", row.owner, lang),
        next_action=word("next_action", row.next_action, lang), at=when(row.opened.wall_ms, row.opened.mono_ms, offset),
        transaction=row.transaction,
    )


def _title(row: Transaction, lang: Lang) -> str:
    tail = f" · …{row.last4}" if row.last4 else ""
    return f"{word('kind', row.kind, lang)} {amount(row.amount_fen, lang)} · {row.stan}{tail}"


def _item(house: House, row: Transaction, lang: Lang) -> b.Item:
    view = house.inbox.view(row.id)
    meaning = screen.meaning(advise(view, row))
    return b.Item(row.id, _title(row, lang), word("state", row.state, lang), opened_at(view, row), meaning)


async def story(house: House, key: str, lang: Lang) -> b.Story:
    """The story of one transaction. Raises Problem 404."""
    view = family(house, key)
    row = view.transactions[key]
    # A long story is read beside the payments: on a thread, over a connection of its own, in bounded pieces.
    entries = await asyncio.to_thread(_entries, house.inbox.store.database.path, row)
    return _told(view, row, entries, lang)


def _entries(path: Path, row: Transaction) -> list[Entry]:
    with Reader.open(path) as reader:
        return reader.entries(row)[-LINES_MAX:]


def _told(view: State, row: Transaction, entries: list[Entry], lang: Lang) -> b.Story:
    advice = advise(view, row)
    short, long = (advice.zh, advice.zh_long) if lang == "zh" else (advice.en, advice.en_long)
    lines = timeline(entries, lang, view.agent.policy.utc_offset_minutes)
    return b.Story(
        id=row.id, title=_title(row, lang), state=word("state", row.state, lang), advice=f"{advice.code} {short}",
        advice_long=long, reason=advice.reason_zh if lang == "zh" else advice.reason_en,
        lines=tuple(b.Line(line.at, line.text, line.transaction == row.id) for line in lines),
    )
