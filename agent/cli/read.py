"""`reversald incidents | show | tail`: what has to be done, and why everything happened, from the journal alone."""

import time
from contextlib import suppress
from typing import Any

import click

from agent.cli.base import Call, common, emit, facts, pad
from agent.core.model import Incident, Job, Now, Reversal, Transaction
from agent.core.order import Order
from agent.core.playbook import Advice, advise
from agent.core.state import State
from agent.core.verdict import booked_fen
from agent.incident import Moment, moment, timeline, when
from agent.journal.chain import Entry
from agent.journal.reader import CHUNK, Reader
from agent.words import amount, word

PAGE_MAX = 200
NUMBER_MAX = 2**53
FOLLOW_S = 0.5
_NO_STAN = "------"


@click.command(
    epilog="""\b
Examples:
  reversald incidents --open
  reversald incidents --limit 20 --before 118
"""
)
@click.option("--open", "only_open", is_flag=True, help="Only those that somebody still has to act on.")
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=50, show_default=True, help="How many at most.")
@click.option("--before", type=click.IntRange(1, NUMBER_MAX), help="Only older ones: the number that the page before ended with.")
@common
def incidents(call: Call, *, only_open: bool, limit: int, before: int | None) -> None:
    """Incidents, newest first, each with its owner and the next action."""
    with call.journal(lenient=True) as reader:
        found, following = reader.incidents(limit, before, only_open=only_open)
        reader.survey(Incident)  # an open one that a flipped bit calls closed is on no page of --open
        if call.as_json:
            emit({"items": [_item(row) for row in found], "next": following, "damaged": reader.damaged})
        else:
            _print_incidents(call, reader, found, following, only_open=only_open)
    call.own_up(reader)


def _print_incidents(call: Call, reader: Reader, found: list[Incident], following: int | None, *, only_open: bool) -> None:
    offset = reader.singles().agent.policy.utc_offset_minutes
    if not found and not reader.damaged:
        click.echo(call.say("none_open" if only_open else "none_at_all"))
    for row in found:
        _print_incident(call, row, reader.transaction(row.transaction) if row.transaction else None, offset)
    if following is not None:
        click.echo(call.say("more", option="--open " if only_open else "", number=following))


def _print_incident(call: Call, row: Incident, transaction: Transaction | None, offset: int) -> None:
    parts = [row.id[:8].upper(), call.say("open" if row.open else "closed"), word("incident", row.code, call.lang)]
    if transaction is not None:
        parts += [call.say("stan", stan=transaction.stan), amount(transaction.amount_fen, call.lang)]
    click.echo("  ".join(parts))
    click.echo(" " * 10 + _incident_course(call, row, offset))


def _incident_course(call: Call, row: Incident, offset: int) -> str:
    at = when(row.opened.wall_ms, row.opened.mono_ms, offset)
    if row.open:
        owner, following = word("owner", row.owner, call.lang), word("next_action", row.next_action, call.lang)
        return call.say("incident_next", at=at, owner=owner, next_action=following)
    closed = when(row.closed.wall_ms, row.closed.mono_ms, offset) if row.closed else "-"
    return call.say("incident_closed", at=at, closed=closed, resolution=word("resolution", row.resolution, call.lang))


def _item(row: Incident) -> dict[str, Any]:
    """The names of GET /v1/incidents."""
    return {
        "id": row.id, "transaction": row.transaction, "code": row.code, "opened_at": row.opened.wall_ms, "open": row.open,
        "owner": row.owner, "next_action": row.next_action, "number": row.number, "resolution": row.resolution,
    }


@click.command(
    epilog="""\b
Examples:
  reversald show 000123             by STAN: every transaction that had it
  reversald show 6F1C2B52           by the incident number on a slip
  reversald show 3f0c9a7e-5b1d-4c55-9a51-0d2f7c1be001
"""
)
@click.argument("which", metavar="ID|STAN")
@common
def show(call: Call, *, which: str) -> None:
    """What became of a transaction: state, advice, reversal, prints, incidents, and the whole story."""
    with call.journal(lenient=True) as reader:
        found = call.one(reader, which)
        shown = [(row, reader.state(row), reader.entries(row)) for row in found]
        sound = not reader.damaged
    if call.as_json:
        emit({"items": [_detail(call, *each, sound=sound) for each in shown], "damaged": reader.damaged})
    else:
        for number, each in enumerate(shown):
            if number:
                click.echo()
            _print_transaction(call, *each, sound=sound)
    call.own_up(reader)


def _advice(call: Call, row: Transaction, state: State) -> Advice:
    state.now, state.wording = Now(*call.now), call.config.wording
    return advise(state, row)


def _print_transaction(call: Call, row: Transaction, state: State, entries: list[Entry], *, sound: bool) -> None:
    say, lang = call.say, call.lang
    kind, money = word("kind", row.kind, lang), amount(row.amount_fen, lang)
    click.echo(say("title", kind=kind, amount=money, stan=row.stan, batch=row.batch, terminal=row.terminal_id))
    pairs = [(say("id"), row.id), (say("state"), word("state", row.state, lang))]
    if row.order is None and (row.masked_pan or row.last4):
        pairs.append((say("card"), row.masked_pan or f"****{row.last4}"))
    if row.rrn:
        pairs.append((say("rrn"), row.rrn))
    pairs += _advised(call, _advice(call, row, state)) if sound else [(say("advice"), say("advice_none"))]
    pairs += _related(call, row, state)
    facts(pairs, indent="  ")
    click.echo(f"  {say('story')}")
    for line in timeline(entries, lang, state.agent.policy.utc_offset_minutes):
        mark = " " if line.transaction == row.id else "·"
        click.echo(f"  {mark} {pad(line.at, 19)}  {line.text}")


def _advised(call: Call, advice: Advice) -> list[tuple[str, str]]:
    say = call.say
    short, long = (advice.zh, advice.zh_long) if call.lang == "zh" else (advice.en, advice.en_long)
    return [
        (say("advice"), f"{advice.code} {short}"),
        ("", long),
        (say("goods"), say("goods_held" if advice.hold_goods else "goods_free")),
        (say("again"), say("again_yes" if advice.may_pay_again else "again_no")),
    ]


def _related(call: Call, row: Transaction, state: State) -> list[tuple[str, str]]:
    """Its reversal, print jobs and incidents, a line each."""
    lang, offset = call.lang, state.agent.policy.utc_offset_minutes
    pairs: list[tuple[str, str]] = []
    reversal = state.reversals.get(row.id)
    if reversal is not None:
        said = word("reversal", reversal.state, lang)
        line = call.say("reversal_line", state=said, sends=reversal.sends, code=reversal.response_code or "--")
        pairs.append((call.say("reversal"), line))
    pairs += [*order_pair(call, row), *money_pairs(call, row)]
    for job in state.jobs_of(row.id):
        copy = f" ({word('marked', True, lang)})" if job.marked else ""
        pairs.append((call.say("job"), f"{word('what', job.what, lang)}{copy}: {word('job', job.state, lang)}"))
    for incident in state.incidents_of(row.id):
        code = f"{incident.id[:8].upper()} {word('incident', incident.code, lang)}"
        pairs.append((call.say("incident"), f"{code}; {_incident_course(call, incident, offset)}"))
    return pairs


def order_pair(call: Call, row: Transaction) -> list[tuple[str, str]]:
    """The wallet's order with what the wallet said of it last, and how often it was asked; nothing for a card."""
    if row.order is None:
        return []
    wallet, said = word("wallet", row.wallet, call.lang), word("said", row.order.said or "unknown", call.lang)
    counts = {"queries": row.order.asked, "cancels": row.order.cancels, "refunds": row.order.refunds}
    return [(call.say("order"), call.say("order_line", wallet=wallet, number=row.order.order_no, said=said, **counts))]


def money_pairs(call: Call, row: Transaction) -> list[tuple[str, str]]:
    """What the settlement files say, and the refund that came of it."""
    pairs: list[tuple[str, str]] = []
    if row.account is not None:
        booked = {
            "verdict": word("verdict", row.account.verdict, call.lang), "final": word("final", row.account.final, call.lang),
            "net": amount(booked_fen(row, row.account), call.lang), "case": word("case", row.account.case, call.lang),
        }
        pairs.append((call.say("booked"), call.say("booked_line", **booked)))
    if row.refund is not None:
        item = row.refund
        pairs.append((call.say("refund"), call.say(
            "settle_refund", number=item.number[:8].upper(), state=word("refund", item.state, call.lang),
            due=amount(item.due_fen, call.lang), refunded=amount(item.refunded_fen, call.lang),
        )))
    return pairs


def _detail(call: Call, row: Transaction, state: State, entries: list[Entry], *, sound: bool) -> dict[str, Any]:
    """The names of GET /v1/transactions/{id}, and the story. Of rows that may be wrong nothing is advised."""
    reversal, offset = state.reversals.get(row.id), state.agent.policy.utc_offset_minutes
    return {
        "id": row.id, "state": row.state, "advice": _advice(call, row, state) if sound else None, "kind": row.kind,
        "amount_fen": row.amount_fen, "stan": row.stan, "batch": row.batch, "terminal_id": row.terminal_id,
        "card": (row.masked_pan or row.last4) if row.order is None else None,
        "rrn": row.rrn, "response_code": row.response_code, "opened_at": row.opened.wall_ms,
        "reversal": _reversal(reversal) if reversal else None,
        "order": _order(row, row.order) if row.order is not None else None,
        "jobs": [_job(job) for job in state.jobs_of(row.id)],
        "incidents": [_item(incident) for incident in state.incidents_of(row.id)],
        "disposition": row.disposition, "settlement": _settlement(row), "refund": _refund(row),
        "timeline": timeline(entries, call.lang, offset),
    }


def _settlement(row: Transaction) -> dict[str, Any] | None:
    account = row.account
    if account is None:
        return None
    net_fen = booked_fen(row, account)
    return {"verdict": account.verdict, "final": account.final, "case": account.case, "booked_fen": net_fen}


def _refund(row: Transaction) -> dict[str, Any] | None:
    item = row.refund
    if item is None:
        return None
    return {"number": item.number, "state": item.state, "due_fen": item.due_fen, "refunded_fen": item.refunded_fen}


def _reversal(row: Reversal) -> dict[str, Any]:
    return {"state": row.state, "reason": row.reason, "sends": row.sends, "response_code": row.response_code}


def _order(row: Transaction, order: Order) -> dict[str, Any]:
    return {
        "wallet": row.wallet, "order_no": order.order_no, "said": order.said, "queries": order.asked,
        "cancels": order.cancels, "refunds": order.refunds,
    }


def _job(row: Job) -> dict[str, Any]:
    return {"id": row.id, "what": row.what, "state": row.state, "marked": row.marked}


@click.command(
    epilog="""\b
Examples:
  reversald tail -n 50
  reversald tail -f                 until Ctrl-C
  reversald tail -f --json
"""
)
@click.option("-n", "--lines", type=click.IntRange(0, 10_000), default=20, show_default=True, help="How many entries.")
@click.option("-f", "--follow", is_flag=True, help="Go on as they come, until Ctrl-C.")
@common
def tail(call: Call, *, lines: int, follow: bool) -> None:
    """The newest journal entries as sentences; with --json one object a line."""
    with call.journal(lenient=True) as reader:
        offset = reader.singles().agent.policy.utc_offset_minutes
        stans: dict[str, str] = {}
        newest = reader.newest(lines)
        after = newest[-1].seq if newest else reader.head().seq
        for entry in newest:
            _print_moment(call, reader, moment(entry, call.lang, offset), stans)
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(FOLLOW_S)
                for entry in reader.walk(after):
                    _print_moment(call, reader, moment(entry, call.lang, offset), stans)
                    after = entry.seq
    call.own_up(reader)


def _print_moment(call: Call, reader: Reader, line: Moment, stans: dict[str, str]) -> None:
    if call.as_json:
        emit(line)
        return
    stan = _NO_STAN
    if line.transaction is not None:
        if line.transaction not in stans:
            if len(stans) >= CHUNK:
                stans.clear()
            row = reader.transaction(line.transaction)
            stans[line.transaction] = row.stan if row else _NO_STAN
        stan = stans[line.transaction]
    click.echo(f"{pad(line.at, 19)}  {stan}  {line.text}")
