"""Export as one page of HTML that needs nothing else: to read in any browser, to print, to send to the acquirer."""

import io
from collections import deque
from collections.abc import Iterable
from html import escape
from typing import BinaryIO, TextIO

from agent.cli.base import named
from agent.cli.exportjob import Job
from agent.core.model import Incident, Transaction
from agent.incident import moment, when
from agent.words import amount, word

STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC","WenQuanYi Micro Hei",sans-serif;color:#222}
body{margin:2em auto;max-width:72em;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #ddd;vertical-align:top}
th{background:#f4f4f4}td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
code{font-size:.85em;overflow-wrap:anywhere}tr.open td{background:#fff6e0}
@media print{body{margin:0;font-size:11px}}
"""


def html(job: Job, file: BinaryIO) -> int:
    """Head, what is damaged, incidents, transactions, and the whole timeline. Everything that people typed is escaped."""
    text, say = io.TextIOWrapper(file, encoding="utf-8"), job.call.say
    _head(job, text)
    _unsound(job, text)
    _table(text, say("incidents"), _incident_titles(job), (_incident(job, row) for row in job.reader.rows(Incident)))
    transactions = (_transaction(job, row) for row in job.reader.rows(Transaction))
    _table(text, say("transactions"), _transaction_titles(job), transactions)
    count = _timeline(job, text)
    text.write("</body></html>\n")
    text.flush()
    text.detach()  # the stream stays its owner's
    return count


def _head(job: Job, file: TextIO) -> None:
    call, agent = job.call, job.state.agent
    title = escape(f"{call.say('report')} {agent.policy.terminal_id or call.config.terminal.terminal_id}")
    made = when(call.now.wall_ms, call.now.boottime_ms, job.offset)
    file.write(
        f'<!doctype html><html lang="{call.lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style></head><body>\n'
        f"<h1>{title}</h1><p>{escape(call.config.terminal.merchant_name)} · {escape(call.say('made_at', at=made))}<br>"
        f"<code>{escape(call.say('head', seq=job.head.seq, hash=job.head.hash))}</code></p>\n"
    )


def _unsound(job: Job, file: TextIO) -> None:
    """Whoever gets the page reads first which of its rows may be wrong, or are missing: so they are read once for that alone."""
    deque(job.reader.rows(Incident), maxlen=0)
    deque(job.reader.rows(Transaction), maxlen=0)
    if job.reader.damaged:
        say = job.call.say
        file.write(f"<h2>{escape(say('unsound'))}</h2>\n<p>{escape(say('unsound_rows'))}: {escape(named(job.reader))}</p>\n")


def _table(file: TextIO, title: str, columns: Iterable[str], rows: Iterable[tuple[str, list[str]]]) -> None:
    """A heading and a table; each row is (class, cells)."""
    heads = "".join(f"<th>{escape(column)}</th>" for column in columns)
    file.write(f"<h2>{escape(title)}</h2>\n<table><thead><tr>{heads}</tr></thead><tbody>\n")
    for style, cells in rows:
        marked = f' class="{style}"' if style else ""
        file.write(f"<tr{marked}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>\n")
    file.write("</tbody></table>\n")


def _incident_titles(job: Job) -> list[str]:
    return [job.call.say(key) for key in ("incident", "time", "what", "state", "owner", "next")]


def _incident(job: Job, row: Incident) -> tuple[str, list[str]]:
    lang, say = job.call.lang, job.call.say
    state = say("open") if row.open else word("resolution", row.resolution, lang)
    cells = [
        row.id[:8].upper(), when(row.opened.wall_ms, row.opened.mono_ms, job.offset), word("incident", row.code, lang), state,
        word("owner", row.owner, lang), word("next_action", row.next_action, lang) if row.open else "",
    ]
    return "open" if row.open else "", cells


def _transaction_titles(job: Job) -> list[str]:
    return [job.call.say(key) for key in ("time", "what", "amount", "stan_short", "batch", "card", "state", "rrn", "id")]


def _transaction(job: Job, row: Transaction) -> tuple[str, list[str]]:
    lang = job.call.lang
    cells = [
        when(row.opened.wall_ms, row.opened.mono_ms, job.offset), word("kind", row.kind, lang), amount(row.amount_fen, lang),
        row.stan, row.batch, row.masked_pan or row.last4 or "", word("state", row.state, lang), row.rrn or "", row.id,
    ]
    return "open" if row.open else "", cells


def _timeline(job: Job, file: TextIO) -> int:
    say, count = job.call.say, 0
    heads = "".join(f"<th>{escape(say(key))}</th>" for key in ("number", "time", "what", "id"))
    file.write(f"<h2>{escape(say('story'))}</h2>\n<table><thead><tr>{heads}</tr></thead><tbody>\n")
    for entry, _, _ in job.entries():
        said = moment(entry, job.call.lang, job.offset)
        file.write(
            f'<tr><td class="n">{entry.seq}</td><td class="n">{escape(said.at)}</td><td>{escape(said.text)}</td>'
            f"<td><code>{escape((entry.transaction or '')[-8:])}</code></td></tr>\n"
        )
        count += 1
    file.write("</tbody></table>\n")
    return count
