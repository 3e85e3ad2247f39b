"""`reversald gate`: may the terminal be updated, settled, signed off or sent away now? Read from the journal."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from agent import exits
from agent.cli.base import Call, common, emit
from agent.cli.localapi import Daemon, probe
from agent.core.model import Job, Transaction
from agent.journal.reader import Reader
from agent.words import amount, word

POLL_S = 0.5
WAIT_S_MAX = 86_400
LISTED_MAX = 20  # transactions and jobs that are named one by one

# What stands in the way of each. An update keeps the queue, so paper and reports may wait for the new version; a settlement
# or a sign-off ends the batch or the keys that a pending reversal, or an advice to be sent again, needs; a terminal that goes
# away takes everything with it.
BARRIERS: Mapping[str, tuple[str, ...]] = {
    "upgrade": ("running", "pending", "printing"),
    "settlement": ("running", "pending", "repeating"),
    "signoff": ("running", "pending", "repeating"),
    "repair": ("running", "pending", "doubtful", "waiting", "untold"),
}


class Barrier(NamedTuple):
    """One reason for "not yet": its stable code, how many, and what they are."""

    code: str
    number: int
    transactions: tuple[Transaction, ...] = ()
    jobs: tuple[Job, ...] = ()


@click.command(
    epilog="""\b
Examples:
  reversald gate upgrade && apt-get install reversald
  reversald gate settlement --wait 120
  reversald gate repair --json --lang en
"""
)
@click.argument("what", type=click.Choice(list(BARRIERS)), metavar="upgrade|settlement|signoff|repair")
@click.option(
    "--wait", "wait_s", type=click.IntRange(0, WAIT_S_MAX), default=0, metavar="SECONDS", help="Wait so long for it to come free."
)
@common
def gate(call: Call, what: str, wait_s: int) -> None:
    """May it be done now? Exit code 0: nothing is pending; 75: not yet, with the reasons; 74: rows are damaged."""
    deadline = time.monotonic() + wait_s
    while True:
        with call.journal(lenient=True) as reader:
            found = barriers(reader, what, reports=call.config.mqtt is not None)
        if not found or reader.damaged or time.monotonic() >= deadline:  # damage does not mend by waiting
            break
        time.sleep(POLL_S)
    daemon = probe(call.config.hook.socket)
    if call.as_json:
        emit(_plain(call, what, found, daemon, reader.damaged))
    else:
        _show(call, what, found, daemon)
    call.own_up(reader)
    click.get_current_context().exit(exits.TRY_LATER if found else exits.DONE)


def barriers(reader: Reader, what: str, *, reports: bool) -> list[Barrier]:
    """What stands in the way, nothing when it may be done. `reports`: events go to a fleet, and must all be there.

    The reader is a lenient one: a damaged row stands in the way of everything, last in the list. Before anything is let through,
    what is open is held against the roll: what a flipped bit calls closed is not among the open ones.
    """
    summary, transactions, jobs = reader.summary(), reader.open_transactions(), reader.open_jobs()
    pending = {row.id for row in reader.pending()}
    doubtful = tuple(row for row in reader.doubtful() if row.id not in pending)
    running = tuple(row for row in transactions if row.state == "sent")
    repeating = tuple(row for row in doubtful if row.repeats and row.state == "in_doubt")
    waiting, printing = tuple(jobs), tuple(job for job in jobs if job.state == "INTENT")
    untold = summary.head.seq - summary.acknowledged_seq if reports else 0
    every = {
        "running": Barrier("running", len(running), running),
        "pending": Barrier("pending", len(pending), tuple(row for row in transactions if row.id in pending)),
        "repeating": Barrier("repeating", len(repeating), repeating),
        "doubtful": Barrier("doubtful", len(doubtful), doubtful),
        "printing": Barrier("printing", len(printing), jobs=printing),
        "waiting": Barrier("waiting", len(waiting), jobs=waiting),
        "untold": Barrier("untold", untold),
    }
    found = [every[code] for code in BARRIERS[what] if every[code].number]
    if not found:
        reader.survey()
    return [*found, Barrier("damaged", len(reader.damaged))] if reader.damaged else found


def _plain(call: Call, what: str, found: list[Barrier], daemon: Daemon, damaged: list[str]) -> dict[str, Any]:
    """For programs."""
    return {
        "gate": what, "open": not found, "daemon": daemon,
        "reasons": [
            {
                "code": row.code, "count": row.number, "text": call.say(f"gate_{row.code}", count=row.number),
                "transactions": [
                    {"id": one.id, "stan": one.stan, "batch": one.batch, "amount_fen": one.amount_fen, "state": one.state}
                    for one in row.transactions[:LISTED_MAX]
                ],
                "jobs": [{"id": job.id, "what": job.what, "state": job.state} for job in row.jobs[:LISTED_MAX]],
            }
            for row in found
        ],
        "damaged": damaged,
    }


def _show(call: Call, what: str, found: list[Barrier], daemon: Daemon) -> None:
    """For a person."""
    action = call.say(f"gate_{what}")
    click.echo(call.say("gate_no" if found else "gate_yes", action=action))
    for row in found:
        click.echo(f"  {call.say(f'gate_{row.code}', count=row.number)}")
        for one in row.transactions[:LISTED_MAX]:
            stan, state = call.say("stan", stan=one.stan), word("state", one.state, call.lang)
            click.echo(f"    {stan}  {amount(one.amount_fen, call.lang)}  {state}")
        for job in row.jobs[:LISTED_MAX]:
            click.echo(f"    {word('what', job.what, call.lang)}: {word('job', job.state, call.lang)}")
    if found and daemon != "running":
        click.echo(f"  {call.say('gate_' + daemon)}")
