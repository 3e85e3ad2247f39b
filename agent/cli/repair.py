"""`reversald print repair`: what goes with a terminal to the workshop, read from the journal while the printer is broken."""

from typing import Any

import click

from agent.cli.base import Call, common, emit, facts
from agent.cli.gate import barriers
from agent.core.model import Job, Printer, Transaction
from agent.core.receipt import READY, paper_mm
from agent.incident import when
from agent.journal.chain import Entry
from agent.journal.reader import Reader, Summary
from agent.words import amount, word

FAULTS_SEEN_MAX = 100  # of the printer's last reports
LISTED_MAX = 20  # transactions and jobs that are named one by one


@click.command(
    "repair",
    epilog="""\b
Examples:
  reversald print repair
  reversald print repair --lang en
  reversald print repair --json > repair.json
""",
)
@common
def repair(call: Call) -> None:
    """The repair note: serial number, the printer's wear and last fault, and what is still pending on this terminal."""
    with call.journal(lenient=True) as reader:
        note = _note(call, reader)
    if call.as_json:
        emit(note.plain() | {"damaged": reader.damaged})
    else:
        note.show()
    call.own_up(reader)


class _Note:
    """What the journal says on the day of the repair."""

    def __init__(
        self, call: Call, printer: Printer, has_printer: bool, offset: int, summary: Summary, fault: Entry | None,
        transactions: list[Transaction], jobs: list[Job], may_be_sent: bool,
    ) -> None:
        self._call, self._printer, self._has_printer, self._offset = call, printer, has_printer, offset
        self._summary, self._fault = summary, fault
        self._transactions, self._jobs, self._may_be_sent = transactions, jobs, may_be_sent

    @property
    def _untold(self) -> int:
        return self._summary.head.seq - self._summary.acknowledged_seq if self._call.config.mqtt else 0

    def plain(self) -> dict[str, Any]:
        """For programs."""
        terminal, printer, summary = self._call.config.terminal, self._printer, self._summary
        return {
            "sn": terminal.sn, "terminal_id": terminal.terminal_id, "merchant_id": terminal.merchant_id,
            "printer": printer.fault if self._has_printer else "disabled", "paper": printer.paper, "printed": printer.printed,
            "printed_lines": printer.printed_lines, "paper_mm": paper_mm(printer.printed_lines),
            "print_failures": printer.failures,
            "last_fault": None if self._fault is None else {"fault": self._fault.data["fault"], "at": self._fault.wall_ms},
            "pending_reversals": summary.pending_reversals, "money_in_doubt_fen": summary.money_in_doubt_fen,
            "open_incidents": summary.open_incidents, "jobs_waiting": len(self._jobs), "events_untold": self._untold,
            "transactions": [
                {"id": row.id, "stan": row.stan, "batch": row.batch, "amount_fen": row.amount_fen, "state": row.state}
                for row in self._transactions
            ],
            "jobs": [{"id": job.id, "transaction": job.transaction, "what": job.what, "state": job.state} for job in self._jobs],
            "may_be_sent": self._may_be_sent,
        }

    def show(self) -> None:
        """For a person."""
        say, lang, printer, summary = self._call.say, self._call.lang, self._printer, self._summary
        terminal = self._call.config.terminal
        click.echo(say("repair_note"))
        millimetres = paper_mm(printer.printed_lines)
        metres = f"{millimetres // 1000}.{millimetres % 1000 // 100}"
        state = f"{word('fault', printer.fault, lang)}, {word('paper', printer.paper, lang)}"
        money = amount(summary.money_in_doubt_fen, lang)
        facts(
            [
                (say("repair_sn"), terminal.sn),
                (say("terminal"), f"{terminal.terminal_id} {terminal.merchant_name}"),
                (say("printer"), state if self._has_printer else say("printer_disabled")),
                (say("repair_fault"), self._last_fault()),
                (say("repair_printed"), say("repair_wear", jobs=printer.printed, lines=printer.printed_lines, metres=metres)),
                (say("repair_failures"), str(printer.failures)),
                (say("pending"), str(summary.pending_reversals)),
                (say("doubt"), say("doubt_some", amount=money, count=summary.doubtful)),
                *(("", self._one(row)) for row in self._transactions[:LISTED_MAX]),
                (say("repair_jobs"), str(len(self._jobs))),
                *(("", self._job(job)) for job in self._jobs[:LISTED_MAX]),
                (say("incidents"), say("incidents_open", count=summary.open_incidents)),
                (say("repair_untold"), str(self._untold)),
            ],
            indent="  ",
        )
        click.echo(say("repair_go" if self._may_be_sent else "repair_stay"))

    def _last_fault(self) -> str:
        if self._fault is None:
            return self._call.say("repair_no_fault")
        at = when(self._fault.wall_ms, self._fault.mono_ms, self._offset)
        return f"{at}  {word('fault', str(self._fault.data['fault']), self._call.lang)}"

    def _one(self, row: Transaction) -> str:
        lang = self._call.lang
        stan, state = self._call.say("stan", stan=row.stan), word("state", row.state, lang)
        return f"{stan}  {amount(row.amount_fen, lang)}  {state}"

    def _job(self, job: Job) -> str:
        return f"{word('what', job.what, self._call.lang)}: {word('job', job.state, self._call.lang)}"


def _note(call: Call, reader: Reader) -> _Note:
    state = reader.singles()
    reader.survey()
    reports = reader.latest("printer.state", FAULTS_SEEN_MAX)
    fault = next((entry for entry in reports if entry.data.get("fault") not in READY), None)
    policy = state.agent.policy
    return _Note(
        call, state.printer, policy.has_printer, policy.utc_offset_minutes, reader.summary(), fault, reader.doubtful(),
        reader.open_jobs(), not barriers(reader, "repair", reports=call.config.mqtt is not None),
    )
