"""`reversald bundle`: one page with all that an acquirer's service desk asks about a transaction, masked, from the journal."""

import io
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import click

from agent.cli.base import Call, common, emit, named, pad, width
from agent.cli.choose import the_one
from agent.cli.export import whole_file
from agent.cli.exporthtml import STYLE
from agent.cli.read import money_pairs, order_pair
from agent.core.model import Disposition, Evidence, Incident, Now, Transaction
from agent.core.playbook import advise
from agent.core.state import State
from agent.incident import printable, timeline, when
from agent.journal.chain import Entry
from agent.words import amount, word

Pairs = list[tuple[str, str]]
ENTRIES_SHOWN_MAX = 200


class Page(NamedTuple):
    """Its title, the sections of label and value, and the story line by line."""

    title: str
    sections: list[tuple[str, Pairs]]
    story: list[tuple[str, str]]


@click.command(
    epilog="""\b
Examples:
  reversald bundle 000123 --format html --output case.html
  reversald bundle 000123 --format text --output -
"""
)
@click.argument("which", metavar="ID|STAN")
@click.option(
    "--format", "format_", type=click.Choice(["html", "text"]), default="html", show_default=True, help="To send, or to read out."
)
@click.option("--output", metavar="PATH", required=True, help="The file, or - for standard output.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@common
def bundle(call: Call, *, which: str, format_: str, output: str, force: bool) -> None:
    """One page about one transaction for the acquirer's service desk. Works with the daemon dead."""
    with call.journal(lenient=True) as reader:
        row = the_one(call, reader, which)
        head, state, entries = reader.head(), reader.state(row), reader.entries(row)[-ENTRIES_SHOWN_MAX:]
        page = _page(call, row, state, entries, f"{head.seq}:{head.hash}", damaged=named(reader))
    data = (_html(call, page) if format_ == "html" else _text(page)).encode()
    if output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        with whole_file(call, Path(output), force=force) as draft:
            draft.write_bytes(data)
        if call.as_json:
            emit({
                "transaction": row.id, "path": str(Path(output).absolute()), "format": format_, "damaged": reader.damaged,
            })
        else:
            click.echo(call.say("bundled", path=output))
    call.own_up(reader)


def _page(call: Call, row: Transaction, state: State, entries: list[Entry], head: str, *, damaged: str) -> Page:
    say = call.say
    sections = [
        (say("unsound"), [(say("unsound_rows"), damaged)] if damaged else []),
        (say("terminal"), _terminal(call, row, state, head)),
        (say("transaction"), _transaction(call, row, state, sound=not damaged)),
        (say("host_side"), _host(call, row, state, entries)), (say("next_day"), _next_day(call, row, state)),
    ]
    moments = timeline(entries, call.lang, state.agent.policy.utc_offset_minutes)
    return Page(
        say("bundle_title", stan=row.stan, terminal=row.terminal_id), [part for part in sections if part[1]],
        [(line.at, line.text) for line in moments],
    )


def _terminal(call: Call, row: Transaction, state: State, head: str) -> Pairs:
    say, lang, policy = call.say, call.lang, state.agent.policy
    line = say({None: "line_unknown", True: "line_up", False: "line_down"}[state.line.up])
    printer = f"{word('fault', state.printer.fault, lang)}, {word('paper', state.printer.paper, lang)}"
    return [
        (say("terminal_id"), row.terminal_id), (say("merchant_id"), row.merchant_id),
        (say("merchant"), printable(policy.merchant_name) or "-"), (say("repair_sn"), call.config.terminal.sn),
        (say("hotline"), printable(policy.hotline) or "-"), (say("program"), f"reversald {state.agent.version}, {policy.mode}"),
        (say("line"), line), (say("printer"), printer if policy.has_printer else say("printer_disabled")),
        (say("journal"), head), (say("made"), when(call.now.wall_ms, call.now.boottime_ms, policy.utc_offset_minutes)),
    ]


def _transaction(call: Call, row: Transaction, state: State, *, sound: bool) -> Pairs:
    say, lang, offset = call.say, call.lang, state.agent.policy.utc_offset_minutes
    stamps = [(say("opened_at"), row.opened), (say("sent_at"), row.sent)]
    pairs = [
        (say("kind_label"), word("kind", row.kind, lang)), (say("amount"), amount(row.amount_fen, lang)),
        _means(call, row), (say("batch"), row.batch), (say("stan_short"), row.stan),
        (say("rrn"), row.rrn or "-"), (say("auth_code"), row.auth_code or "-"), (say("id"), row.id),
        *((label, when(stamp.wall_ms, stamp.mono_ms, offset)) for label, stamp in stamps if stamp is not None),
        (say("state"), word("state", row.state, lang)),
        (say("advice"), _advice(call, row, state) if sound else say("advice_none")),
    ]
    pairs += [(say("evidence"), _evidence(call, row, shown)) for shown in row.evidence]
    if row.disposition is not None:
        pairs.append((say("disposition"), _disposition(call, row.disposition)))
    return pairs


def _advice(call: Call, row: Transaction, state: State) -> str:
    state.now, state.wording = Now(*call.now), call.config.wording
    advice = advise(state, row)
    return f"{advice.code} {advice.zh if call.lang == 'zh' else advice.en}"


def _means(call: Call, row: Transaction) -> tuple[str, str]:
    """The card, masked; or the order, by whose number the wallet's desk finds it."""
    if row.order is not None:
        return call.say("order"), f"{word('wallet', row.wallet, call.lang)} {row.order.order_no}"
    return call.say("card"), row.masked_pan or f"****{row.last4 or ''}"


def _evidence(call: Call, row: Transaction, shown: Evidence) -> str:
    ours = row.order is not None and shown.order_no == row.order.order_no
    parts = [
        call.say(shown.kind), shown.outcome and word("outcome", shown.outcome, call.lang),
        shown.response_code and f"F39={shown.response_code}",
        None if shown.amount_fen is None else amount(shown.amount_fen, call.lang), printable(shown.at or ""),
        shown.order_no if ours else printable(shown.order_no or ""), printable(shown.merchant or ""),
    ]
    return " ".join(filter(None, parts))


def _disposition(call: Call, said: Disposition) -> str:
    parts = [
        said.goods and word("goods", said.goods, call.lang),
        said.replaced_by and word("replaced_by", printable(said.replaced_by), call.lang),
        word("accepts_risk", True, call.lang) if said.accepts_risk else None,
    ]
    return ", ".join(filter(None, parts)) or "-"


def _host(call: Call, row: Transaction, state: State, entries: list[Entry]) -> Pairs:
    """What the host was asked and what it answered: every attempt with its time and code."""
    say, lang, offset = call.say, call.lang, state.agent.policy.utc_offset_minutes
    pairs = [(say("response"), row.response_code or "-"), *order_pair(call, row)]
    if row.doubt is not None and row.doubt in CAUSES_SAID:
        pairs.append((say("why_doubt"), word("cause", row.doubt, lang)))
    sending = state.reversals.get(row.id)
    if sending is not None:
        code = sending.response_code or "--"
        said = say("reversal_line", state=word("reversal", sending.state, lang), sends=sending.sends, code=code)
        pairs.append((say("reversal"), said))
    for entry in entries:
        if entry.transaction == row.id and entry.type.startswith("reversal."):
            at = when(entry.wall_ms, entry.mono_ms, offset)
            code = f"  F39={entry.data['code']}" if entry.data.get("code") else ""
            pairs.append((say("attempt"), f"{at}  {entry.type.removeprefix('reversal.')}{code}"))
    return pairs


CAUSES_SAID = frozenset({"no_answer", "bad_mac", "not_sent", "timeout", "restart", "approved_not_completed"})


def _next_day(call: Call, row: Transaction, state: State) -> Pairs:
    say, offset = call.say, state.agent.policy.utc_offset_minutes
    pairs: Pairs = money_pairs(call, row)
    for incident in state.incidents_of(row.id):
        pairs.append((say("incident"), _incident(call, incident, offset)))
    return pairs


def _incident(call: Call, row: Incident, offset: int) -> str:
    at = when(row.opened.wall_ms, row.opened.mono_ms, offset)
    standing = word("next_action", row.next_action, call.lang) if row.open else word("resolution", row.resolution, call.lang)
    return f"{row.id[:8].upper()}  {at}  {word('incident', row.code, call.lang)}: {standing}"


def _text(page: Page) -> str:
    out = io.StringIO()
    out.write(f"{page.title}\n")
    for title, pairs in page.sections:
        out.write(f"\n{title}\n")
        columns = max(width(label) for label, _ in pairs) + 2
        out.writelines(f"  {pad(label, columns)}{value}\n" for label, value in pairs)
    out.write("\n")
    out.writelines(f"  {pad(at, 19)}  {text}\n" for at, text in page.story)
    return out.getvalue()


def _html(call: Call, page: Page) -> str:
    return "".join(_markup(call, page))


def _markup(call: Call, page: Page) -> Iterator[str]:
    title = escape(page.title)
    yield f'<!doctype html><html lang="{call.lang}"><head><meta charset="utf-8">'
    yield f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style></head><body>\n'
    yield f"<h1>{title}</h1>\n"
    for heading, pairs in page.sections:
        yield f"<h2>{escape(heading)}</h2>\n<table><tbody>\n"
        yield from (f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>\n" for label, value in pairs)
        yield "</tbody></table>\n"
    yield f"<h2>{escape(call.say('story'))}</h2>\n<table><tbody>\n"
    yield from (f'<tr><td class="n">{escape(at)}</td><td>{escape(text)}</td></tr>\n' for at, text in page.story)
    yield "</tbody></table></body></html>\n"
