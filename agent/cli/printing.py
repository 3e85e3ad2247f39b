"""`reversald print`: what the daemon does at the printer for a technician, and how it came out."""

import time
from typing import Any

import click

from agent import exits
from agent.cli.base import Call, common, emit, facts
from agent.cli.choose import one_transaction
from agent.cli.localapi import ask
from agent.cli.probing import probe
from agent.cli.repair import repair
from agent.core.model import Job, Printer
from agent.core.receipt import READY
from agent.words import word

POLL_S = 0.2
WAIT_S_MAX = 600
_CAME_OUT = frozenset({"SENT_UNCONFIRMED", "FENCED", "CONFIRMED"})
_WAITING = frozenset({"WAITING", "INTENT", "UNPRINTED"})

_wait = click.option(
    "--wait", "wait_s", type=click.IntRange(0, WAIT_S_MAX), default=15, show_default=True, metavar="SECONDS",
    help="How long to wait for the outcome; 0: do not.",
)


@click.group(
    "print",
    epilog="""\b
Examples:
  reversald print status
  reversald print test
  reversald print reprint 000123
  reversald print guarantee 000123
  reversald print repair
  reversald print probe --output printer.toml

\b
The daemon does the printing; without it these commands exit with 69, but for
repair, which reads the journal, and probe, which needs the printer for itself.
""",
)
def print_group() -> None:
    """The receipt printer: test page, status, marked copies."""


print_group.add_command(repair)
print_group.add_command(probe)


@print_group.command("status", epilog="\b\nExample:\n  reversald print status --json\n")
@common
def print_status(call: Call) -> None:
    """What the printer says now, as the daemon knows it."""
    answer = ask(call, "GET", "/v1/status")
    if call.as_json:
        emit({key: answer.get(key) for key in ("printer", "paper", "jobs_waiting")})
        return
    if answer.get("printer") == "disabled":
        raise call.fail(exits.UNAVAILABLE, "no-printer")
    said = _printer(call, str(answer.get("printer")), str(answer.get("paper")))
    click.echo(call.say("print_status", printer=said, jobs=answer.get("jobs_waiting")))


@print_group.command("test", epilog="\b\nExample:\n  reversald print test --wait 30\n")
@_wait
@common
def print_test(call: Call, *, wait_s: int) -> None:
    """Print a test page and say whether it came out."""
    _order(call, "/v1/print/test", wait_s)


@print_group.command(
    "reprint",
    epilog="""\b
Examples:
  reversald print reprint 000123
  reversald print reprint 000123 --blank
""",
)
@click.argument("which", metavar="ID|STAN")
@click.option("--blank", is_flag=True, help="Only note that the paper came out with nothing on it; turn the roll, then reprint.")
@_wait
@common
def reprint(call: Call, *, which: str, blank: bool, wait_s: int) -> None:
    """Print the receipt again, marked as a copy. While the original still waits, that one is printed."""
    target = f"/v1/transactions/{one_transaction(call, which)}/reprint"
    if not blank:
        _order(call, target, wait_s)
        return
    ask(call, "POST", target, {"blank": True})
    emit({"jobs": []}) if call.as_json else click.echo(call.say("blank_noted"))


@print_group.command(
    "guarantee",
    epilog="""\b
Examples:
  reversald print guarantee 000123
  reversald print guarantee 000123 --contact 13900000000 --copies 1
  reversald print guarantee 000123 --version provider
""",
)
@click.argument("which", metavar="ID|STAN")
@click.option("--contact", metavar="TEXT", help="How the customer can be reached; printed on the note.")
@click.option("--copies", type=click.IntRange(1, 2), default=2, show_default=True, help="Of both who sign.")
@click.option(
    "--version", type=click.Choice(["merchant", "provider"]), default="merchant", show_default=True,
    help="Whose word: the merchant's to the customer, or the provider's to the merchant.",
)
@_wait
@common
def guarantee(call: Call, *, which: str, contact: str | None, copies: int, version: str, wait_s: int) -> None:
    """Print the statement of facts of a transaction in doubt, to be signed."""
    body = {"copies": copies, "version": version} | ({"contact": contact} if contact else {})
    _order(call, f"/v1/transactions/{one_transaction(call, which)}/guarantee", wait_s, body)


def _order(call: Call, target: str, wait_s: int, body: dict[str, Any] | None = None) -> None:
    """Order a job, follow it in the journal, and leave with the exit code that says whether paper came out."""
    answer = ask(call, "POST", target, body)
    keys, transaction = [str(key) for key in answer.get("jobs", ())], answer.get("id")
    if not call.as_json:
        click.echo(call.say("queued", printer=_printer(call, str(answer.get("printer")), str(answer.get("paper")))))
    if not keys:  # a genuine receipt that the agent does not hold
        emit({"jobs": []}) if call.as_json else click.echo(call.say("receipt_wanted"))
        click.get_current_context().exit(exits.TRY_LATER)
    jobs, printer = _followed(call, transaction, keys, wait_s)
    if not jobs:
        raise call.fail(exits.TRY_LATER, "not_taken")
    if call.as_json:
        listed = [{"id": job.id, "what": job.what, "state": job.state, "marked": job.marked} for job in jobs]
        emit({"jobs": listed, "printer": printer.fault, "paper": printer.paper})
    elif wait_s:
        facts((word("what", job.what, call.lang), _outcome(call, job, printer)) for job in jobs)
    states = {job.state for job in jobs} if wait_s else set()
    if states - _CAME_OUT - _WAITING:
        click.get_current_context().exit(exits.UNAVAILABLE)
    if states & _WAITING:
        click.get_current_context().exit(exits.TRY_LATER)


def _outcome(call: Call, job: Job, printer: Printer) -> str:
    """How the job stands, and for one that waits, what it waits for."""
    state = word("job", job.state, call.lang)
    if job.state in _WAITING and printer.fault not in READY:
        return f"{state} ({word('fault', printer.fault, call.lang)})"
    return state


def _followed(call: Call, transaction: str | None, keys: list[str], wait_s: int) -> tuple[list[Job], Printer]:
    """The jobs once all are done, or as they stand when the time is up or the printer cannot go on; and the printer."""
    deadline = time.monotonic() + wait_s
    while True:
        with call.journal() as reader:
            jobs = [job for key in keys if (job := reader.job(transaction, key)) is not None]
            printer = reader.singles().printer
        going = [job for job in jobs if job.state in _WAITING]
        stuck = printer.fault not in READY and all(job.state != "INTENT" for job in going)
        if not going or stuck or time.monotonic() >= deadline:
            return jobs, printer
        time.sleep(POLL_S)


def _printer(call: Call, fault: str, paper: str) -> str:
    return f"{word('fault', fault, call.lang)}, {word('paper', paper, call.lang)}"


