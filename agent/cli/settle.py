"""`reversald settle`: settlement files into the daemon, and refunds that the files show to be due."""

import hashlib
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from agent import exits, statementfile
from agent import statementlayout as layouts
from agent.cli.base import Call, Failure, common, emit
from agent.cli.choose import one_transaction
from agent.cli.localapi import ask
from agent.cli.progress import Progress
from agent.hooks.masking import masked
from agent.words import amount, word

PART_LINES = 250  # of at most 240 bytes each: well inside the 64 KiB that the daemon takes at once
PARTS_MAX = 1000
SOURCES = get_args(layouts.Source)
UNMATCHED_SHOWN_MAX = 50


@click.group(
    epilog="""\b
Examples:
  reversald settle import 20260302.csv --preview
  reversald settle import 20260302.txt --layout acquirer.toml
  reversald settle import wechat.csv --layout wechat.toml --covers wechat
  reversald settle refund 000123 --by Li --confirm
"""
)
def settle() -> None:
    """Settlement files of the acquirer (T+1), and the refunds they lead to."""


@settle.command(
    "import",
    epilog="""\b
Examples:
  reversald settle import 20260302.csv --preview
  reversald settle import 20260302.csv --column date=清算日期 --column amount=金额 --column stan=流水号 --column batch=批次号
  reversald settle import 20260302.txt --layout acquirer.toml --date 2026-03-02

\b
A line that cannot be read is named by its number, and then nothing is imported.
Importing a file again changes nothing.
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--layout", "layout_file", type=click.Path(path_type=Path), metavar="FILE", help="TOML description of the file.")
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column means what; may be repeated.")
@click.option("--encoding", type=click.Choice(["auto", "utf-8", "gbk"]), help="The file's encoding; found out by default.")
@click.option(
    "--covers", multiple=True, type=click.Choice(SOURCES),
    help="Whose settlement it is; may be repeated. By default the layout's, else the card acquirer's.",
)
@click.option("--date", "dates", multiple=True, metavar="DATE", help="A settlement date it covers, for a file without lines.")
@click.option("--terminal", metavar="ID", help="Terminal id (F41); the configuration's own by default.")
@click.option("--preview", is_flag=True, help="Only say what it would come to.")
@common
def import_file(
    call: Call, *, file: Path, layout_file: Path | None, columns: tuple[str, ...], encoding: str | None,
    covers: tuple[str, ...], dates: tuple[str, ...], terminal: str | None, preview: bool,
) -> None:
    """Import one settlement file: whole, or not at all."""
    try:
        layout = layouts.load(layout_file, columns, encoding, call.lang)
    except layouts.LayoutError as error:
        raise Failure(exits.USAGE, str(error)) from None
    content = _content(call, file, layout, terminal or call.config.terminal.terminal_id)
    covers = covers or content.covers
    if not covers and content.has_orders:
        raise call.fail(exits.USAGE, "settle_covers")
    if content.others and not content.bookings and not dates:  # the neighbour's file would make a day of ours look empty
        raise call.fail(
            exits.USAGE, "settle_not_ours", others=content.others, terminal=terminal or call.config.terminal.terminal_id
        )
    body: dict[str, Any] = {"dates": sorted({*content.dates, *dates}), "preview": preview}
    body |= ({"terminal_id": terminal} if terminal else {}) | ({"covers": covers} if covers else {})
    report = _send(call, content, body)
    if call.as_json:
        emit({"preview": preview, "other_terminals": content.others, "ignored": content.ignored, **report})
    else:
        _print(call, content, report, preview=preview)


def _content(call: Call, file: Path, layout: layouts.Layout, terminal_id: str) -> statementfile.Content:
    try:
        content = statementfile.read(file, layout, terminal_id)
    except statementfile.BadFile as error:
        raise Failure(exits.USAGE, f"{file}: {error.zh if call.lang == 'zh' else error.en}") from None
    except OSError as error:
        raise Failure(exits.USAGE, f"{file}: {error.strerror}") from None
    if content.bad:
        shown = [
            call.say("settle_bad_line", file=file, line=bad.line, why=bad.zh if call.lang == "zh" else bad.en)
            for bad in content.bad[: statementfile.BAD_TOLD_MAX]
        ]
        raise Failure(exits.USAGE, "\nreversald: ".join([*shown, call.say("settle_nothing", count=len(content.bad))]))
    return content


def _send(call: Call, content: statementfile.Content, more: dict[str, Any]) -> dict[str, Any]:
    """All parts, one after the other; the daemon applies the whole with the last one. The report."""
    lines = [msgspec.to_builtins(booking) for booking in content.bookings]
    parts = [lines[at : at + PART_LINES] for at in range(0, len(lines), PART_LINES)] or [[]]
    if len(parts) > PARTS_MAX:
        raise call.fail(exits.USAGE, "settle_too_long", count=len(lines))
    plain = [{name: value for name, value in line.items() if name != "line"} for line in lines]
    name = hashlib.sha256(msgspec.json.encode([plain, more["dates"], more.get("covers")])).hexdigest()[:16]
    progress, answer = Progress(call.say("progress_settle")), dict[str, Any]()
    for number, part in enumerate(parts, start=1):
        body = {"statement": name, "part": number, "parts": len(parts), "verdicts": part}
        answer = ask(call, "POST", "/v1/settlements", body | (more if number == len(parts) else {}))
        progress(number, len(parts))
    progress.finish()
    report: dict[str, Any] = answer["report"]
    return {"statement": name, "applied": answer["applied"], **report}


def _print(call: Call, content: statementfile.Content, report: dict[str, Any], *, preview: bool) -> None:
    key = "settle_preview" if preview else "settle_again" if report["new"] == 0 and report["matched"] else "settle_done"
    click.echo(
        call.say(key, lines=report["lines"], agreed=report["agreed"], matched=report["matched"], absent=report["absent"])
    )
    if content.others or content.ignored:
        click.echo(call.say("settle_others", others=content.others, ignored=content.ignored))
    lines = {booking.line: booking for booking in content.bookings}
    for item in report["unmatched"][:UNMATCHED_SHOWN_MAX]:
        booking = lines.get(item["number"])
        what = "" if booking is None else _said(call, booking)
        click.echo(
            call.say("settle_unmatched", line=item["number"], what=what, why=word("unmatched", item["why"], call.lang))
        )
    surplus = len(report["unmatched"]) - UNMATCHED_SHOWN_MAX
    if surplus > 0:
        click.echo(call.say("settle_more", count=surplus))
    for case, count in report["cases"].items():
        click.echo(call.say("settle_case", case=word("case", case, call.lang), count=count))


def _said(call: Call, line: statementfile.Booking) -> str:
    """A line for a person."""
    parts = [
        line.date, line.batch, line.stan, line.rrn, line.order_no and masked(line.order_no),
        word("direction", line.direction, call.lang), amount(line.amount_fen, call.lang),
    ]
    return " ".join(part for part in parts if part)


@settle.command(
    "refund",
    epilog="""\b
Examples:
  reversald settle refund 000123 --by Li --confirm
  reversald settle refund 000123 --by Li --amount 12.00
""",
)
@click.argument("which", metavar="ID|STAN")
@click.option("--by", required=True, metavar="NAME", help="Who says so.")
@click.option("--confirm", is_flag=True, help="No adjustment and no chargeback runs: the refund may be made.")
@click.option("--amount", "yuan", metavar="YUAN", help="So much was refunded now, like 12.00.")
@common
def refund(call: Call, *, which: str, by: str, confirm: bool, yuan: str | None) -> None:
    """Confirm a refund that the settlement files show to be due, or say that it was made."""
    body: dict[str, Any] = {"by": by, "confirmed": confirm}
    if yuan is not None:
        try:
            body["amount_fen"] = statementfile.fen_of(yuan)
        except ValueError:
            raise call.fail(exits.USAGE, "settle_amount") from None
    if not confirm and yuan is None:
        raise call.fail(exits.USAGE, "settle_what")
    key = one_transaction(call, which)
    ask(call, "POST", f"/v1/transactions/{key}/refund", body)
    detail = ask(call, "GET", f"/v1/transactions/{key}")
    item = detail["refund"]
    if call.as_json:
        emit({"id": key, "state": detail["state"], "refund": item})
        return
    click.echo(
        call.say(
            "settle_refund", number=item["number"][:8].upper(), state=word("refund", item["state"], call.lang),
            due=amount(item["due_fen"], call.lang), refunded=amount(item["refunded_fen"], call.lang),
        )
    )
