"""The spool: print jobs, one at the printer at a time, and when a job may go by itself.

Only WAITING and UNPRINTED jobs go by themselves. Once one byte of a job has left, only a person orders a copy, and the copy
is marked. Genuine receipts go first; the agent's own slips only when no sale is running.
"""

from msgspec.structs import replace

from agent.core import incidents
from agent.core.change import Decision, PrintJob, Rejected, WatchPrinter
from agent.core.event import JobFinished, PrinterSeen, ReceiptGiven, ReprintAsked, TestPrintAsked
from agent.core.lifecycle import JOB, move
from agent.core.model import Document, DocumentLine, Job, Transaction
from agent.core.state import State

READY = frozenset({"none", "unknown"})
GENUINE = frozenset({"receipt", "test"})
LEFT = frozenset({"PARTIAL", "SENT_UNCONFIRMED", "FENCED", "CONFIRMED", "UNKNOWN"})
MARK = "重打印凭证/DUPLICATED"
JOBS_WAITING_MAX = 200


def add(
    state: State, job: str, transaction: str | None, what: str, document: Document, *, marked: bool = False
) -> None:
    """Put a job into the spool. A terminal without a printer has no spool; a full one refuses."""
    if not state.agent.policy.has_printer:
        return
    if len(state.open_jobs) >= JOBS_WAITING_MAX:
        incidents.open_one(state, "spool_full", transaction, "technician", "repair_printer")
        return
    state.put(
        Job(
            id=job, number=state.number(), transaction=transaction, what=what,  # type: ignore[arg-type]
            state="WAITING", document=document, marked=marked,
        )
    )
    state.tell("receipt.waiting", transaction, job=job, what=what, marked=marked or None)


def given(state: State, event: ReceiptGiven, transaction: Transaction) -> Decision:
    """The app hands over the genuine receipt. The first print of a transaction is the original, every other one marked."""
    if transaction.state != "approved":
        raise Rejected(
            409, "not-approved", f"the transaction is {transaction.state}: a receipt belongs to an approved one"
        )
    _need_printer(state)
    printed = any(job.what == "receipt" for job in state.jobs_of(transaction.id))
    for key in event.jobs:
        add(state, key, transaction.id, "receipt", event.document, marked=printed)
        printed = True
    return Decision(transaction=transaction.id, jobs=event.jobs)


def reprint(state: State, event: ReprintAsked, transaction: Transaction) -> Decision:
    """A person orders a copy. While the original has not left, that one is the answer and no copy is made."""
    _need_printer(state)
    receipts = [job for job in state.jobs_of(transaction.id) if job.what == "receipt"]
    if not receipts:
        raise Rejected(409, "no-receipt", "the payment app has not handed over a receipt for this transaction")
    original = receipts[0]
    if original.open:
        return Decision(transaction=transaction.id, jobs=(original.id,))
    add(state, event.job, transaction.id, "receipt", original.document, marked=True)
    return Decision(transaction=transaction.id, jobs=(event.job,))


def test_page(state: State, event: TestPrintAsked) -> Decision:
    """A technician's test page."""
    _need_printer(state)
    lines = (
        DocumentLine("打印测试 PRINTER TEST", align="center", size=2),
        DocumentLine("0123456789 ABCDEFGHIJ abcdefghij"),
        DocumentLine("中文测试:消费 撤销 冲正 签购单"),
        DocumentLine("RMB 1,234.56", align="right", bold=True),
    )
    add(state, event.job, None, "test", Document(lines, qr="reversald printer test"))
    return Decision(jobs=(event.job,))


def _need_printer(state: State) -> None:
    if not state.agent.policy.has_printer:
        raise Rejected(409, "no-printer", "this terminal has no printer; hand the customer an electronic receipt")


def finished(state: State, event: JobFinished) -> None:
    """The driver's word on one job; a late confirmation is welcome, anything else late is not news."""
    job = state.jobs.get(event.job)
    if job is not None and event.level in JOB[job.state]:
        state.put(
            replace(
                job, state=move(JOB, job.state, event.level), accepted_bytes=event.accepted_bytes,
                total_bytes=event.total_bytes,
            )
        )
        state.tell(
            f"receipt.{event.level.lower()}", job.transaction, job=job.id, what=job.what, bytes=event.accepted_bytes,
            of=event.total_bytes, fault=event.fault,
        )
    # UNPRINTED without a named fault would be tried again at once, for ever: ask the printer first.
    fault = "unavailable" if event.level == "UNPRINTED" and event.fault in READY else event.fault
    _printer(state, fault, event.paper)


def seen(state: State, event: PrinterSeen) -> None:
    """The printer says what it is like now."""
    _printer(state, event.fault, event.paper)


def _printer(state: State, fault: str, paper: str) -> None:
    printer = state.printer
    if (printer.fault, printer.paper) == (fault, paper):
        return
    state.put(replace(printer, fault=fault, paper=paper))
    state.tell("printer.state", fault=fault, paper=paper)
    if fault not in READY and printer.fault in READY:
        incidents.open_one(state, "printer", None, "cashier", "look_at_printer")
    elif fault in READY:
        for row in state.incidents_by_age("printer"):
            incidents.close(state, row, "printer_ready")


def restarted(state: State, job: Job) -> None:
    """Nobody knows how much of a job at the printer came out: only a person orders it again."""
    if job.state == "INTENT":
        state.put(replace(job, state=move(JOB, job.state, "restart")))
        state.tell("receipt.unknown", job.transaction, job=job.id, what=job.what)


def run(state: State) -> None:
    """At the end of every step: the next job goes to the printer, or the printer is asked until it is ready."""
    if not state.open_jobs and not state.printer.watched:
        return
    waiting = [job for job in state.open_jobs.values() if job.state != "INTENT"]
    ready = state.printer.fault in READY
    _watch(state, wanted=bool(waiting) and not ready)
    if ready and waiting and len(waiting) == len(state.open_jobs):
        job = min(waiting, key=_order)
        if job.what in GENUINE or not _sale_running(state):
            state.put(replace(job, state=move(JOB, job.state, "start")))
            state.tell("receipt.printing", job.transaction, job=job.id, what=job.what)
            state.do(PrintJob(job.id, job.transaction, marked(job.document) if job.marked else job.document, job.marked))


def _order(job: Job) -> tuple[bool, int]:
    return job.what not in GENUINE, job.number


def _sale_running(state: State) -> bool:
    return any(row.state == "sent" for row in state.open_transactions.values())


def _watch(state: State, *, wanted: bool) -> None:
    if wanted != state.printer.watched:
        state.put(replace(state.printer, watched=wanted))
        state.do(WatchPrinter(wanted))
        if not state.facts:
            state.tell("printer.watched", wanted=wanted)


def marked(document: Document) -> Document:
    """The copy: says so at its head and its foot."""
    mark = DocumentLine(MARK, align="center", bold=True)
    return replace(document, lines=(mark, *document.lines, mark))
