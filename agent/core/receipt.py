"""The spool: print jobs, one at the printer at a time, and when a job may go by itself.

Only WAITING and UNPRINTED jobs go by themselves. Once one byte of a job has left, only a person orders a copy, and the copy
is marked. Genuine receipts go first; the agent's own slips only when no sale is running.
"""

from msgspec.structs import replace

from agent.core import incidents
from agent.core.change import AskReceipt, Decision, PrintJob, Rejected, WatchPrinter
from agent.core.event import JobFinished, PrinterSeen, ReceiptGiven, ReprintAsked, TestPrintAsked
from agent.core.lifecycle import JOB, move
from agent.core.model import Document, DocumentLine, Job, Transaction
from agent.core.state import State

READY = frozenset({"none", "unknown"})
PAID = frozenset({"approved", "paid"})
# Who can do something about a printer's fault; of any other it is the cashier.
_TECHNICAL = {
    "unrecoverable": "repair_printer", "port_held": "check_printer_port", "port_denied": "check_printer_port",
    "wrong_device": "check_printer_port",
}
GENUINE = frozenset({"receipt", "test"})
FAILED = frozenset({"UNPRINTED", "UNPRINTABLE", "PARTIAL", "UNKNOWN"})
NEVER_LEFT = frozenset({"UNPRINTED", "UNPRINTABLE"})  # as far as one attempt goes
GIVEN_UP = frozenset({"EXPIRED", "UNPRINTABLE"})  # no byte left and none will: the next print is still the original
MARK = "重打印凭证/DUPLICATED"
JOBS_WAITING_MAX = 200
LINE_UM = 3750  # of paper for a printed line; QR codes, blank feed and double height are not counted


def add(
    state: State, job: str, transaction: str | None, what: str, document: Document, *, marked: bool = False
) -> None:
    """Put a job into the spool. A terminal without a printer has no spool; a full one takes no more, with an incident."""
    if not state.agent.policy.has_printer:
        return
    if is_full(state):
        incidents.open_one(state, "spool_full", transaction, "technician", "repair_printer")
        return
    state.put(
        Job(
            id=job, number=state.number(), transaction=transaction, what=what,  # type: ignore[arg-type]
            state="WAITING", document=document, marked=marked,
            due_ms=state.now.boottime_ms + state.agent.policy.job_age_max_ms,
        )
    )
    state.tell("receipt.waiting", transaction, job=job, what=what, marked=marked or None)


def is_full(state: State) -> bool:
    """True when so much waits for the printer that no more is taken."""
    return len(state.open_jobs) >= JOBS_WAITING_MAX


def given(state: State, event: ReceiptGiven, transaction: Transaction) -> Decision:
    """The app hands over the genuine receipt. The first print of a transaction is the original, every other one marked."""
    if transaction.state not in PAID:
        raise Rejected(
            409, "not-approved", f"the transaction is {transaction.state}: a receipt belongs to an approved one"
        )
    need_printer(state)
    incidents.close_one(state, "payapp", transaction.id, "receipt_given")
    printed = any(job.what == "receipt" and job.state not in GIVEN_UP for job in state.jobs_of(transaction.id))
    for key in event.jobs:
        add(state, key, transaction.id, "receipt", event.document, marked=printed)
        printed = True
    return Decision(transaction=transaction.id, jobs=event.jobs)


def reprint(state: State, event: ReprintAsked, transaction: Transaction) -> Decision:
    """A person orders a copy. While the original has not left, that one is the answer and no copy is made.

    Blank paper is only noted: the roll must be turned round first, then a person orders the copy. A genuine receipt that we
    do not hold is asked of the payment app; when it hands it over, that is the original.
    """
    need_printer(state)
    receipts = [job for job in state.jobs_of(transaction.id) if job.what == "receipt"]
    if not receipts and transaction.state in PAID and not event.blank:
        want(state, transaction)
        return Decision(transaction=transaction.id)
    if not receipts:
        raise Rejected(409, "no-receipt", "the payment app has not handed over a receipt for this transaction")
    original = next((job for job in receipts if job.state != "UNPRINTABLE"), receipts[0])
    if event.blank:
        state.put(replace(transaction, blank=True))
        state.tell("receipt.blank", transaction.id, job=receipts[-1].id)
        return Decision(transaction=transaction.id)
    if original.open:
        return Decision(transaction=transaction.id, jobs=(original.id,))
    if transaction.blank:
        state.put(replace(transaction, blank=False))
    marked = any(job.state not in GIVEN_UP for job in receipts)
    add(state, event.job, transaction.id, "receipt", original.document, marked=marked)
    return Decision(transaction=transaction.id, jobs=(event.job,))


def want(state: State, transaction: Transaction) -> None:
    """Ask the payment app for the genuine receipt."""
    state.tell("receipt.wanted", transaction.id, stan=transaction.stan, batch=transaction.batch)
    state.do(AskReceipt(transaction.id, transaction.stan, transaction.batch))


def ask_failed(state: State, transaction: Transaction) -> None:
    """The payment app did not take the wish for a receipt: somebody must look at it, unless the receipt has come meanwhile."""
    if not any(job.what == "receipt" for job in state.jobs_of(transaction.id)):
        incidents.open_one(state, "payapp", transaction.id, "technician", "check_payapp")


def test_page(state: State, event: TestPrintAsked) -> Decision:
    """A technician's test page."""
    need_printer(state)
    lines = (
        DocumentLine("打印测试 PRINTER TEST", align="center", size=2),
        DocumentLine("0123456789 ABCDEFGHIJ abcdefghij"),
        DocumentLine("中文测试:消费 撤销 冲正 签购单"),
        DocumentLine("RMB 1,234.56", align="right", bold=True),
    )
    add(state, event.job, None, "test", Document(lines, qr="reversald printer test"))
    return Decision(jobs=(event.job,))


def need_printer(state: State) -> None:
    """Refuse what a terminal without a printer cannot do, and what a full spool would lose."""
    if is_full(state):
        raise Rejected(409, "spool-full", "too much waits for the printer: repair it first; nothing was taken")
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
        _count(state, job, event)
        _unprintable(state, job, event)
        state.tell(
            f"receipt.{event.level.lower()}", job.transaction, job=job.id, what=job.what, bytes=event.accepted_bytes,
            of=event.total_bytes, fault=event.fault,
        )
    if event.level == "UNPRINTABLE":
        return  # the printer was not asked
    # UNPRINTED without a named fault would be tried again at once, for ever: ask the printer first.
    fault = "unavailable" if event.level == "UNPRINTED" and event.fault in READY else event.fault
    _printer(state, fault, event.paper)


def _count(state: State, job: Job, event: JobFinished) -> None:
    """Wear and trouble, for the repair note and the fleet."""
    printer, left = state.printer, event.level not in NEVER_LEFT
    state.put(
        replace(
            printer, printed=printer.printed + left, failures=printer.failures + (event.level in FAILED),
            printed_lines=printer.printed_lines + (len(job.document.lines) if left else 0),
        )
    )


def paper_mm(lines: int) -> int:
    """Millimetres of paper for so many printed lines, estimated."""
    return lines * LINE_UM // 1000


def _unprintable(state: State, job: Job, event: JobFinished) -> None:
    """A slip that fits no paper of this printer waits for nobody; a technician must know. One that comes out closes that."""
    if event.level == "UNPRINTABLE":
        incidents.open_one(state, "unprintable", job.transaction, "technician", "check_printer_profile")
    elif event.level not in FAILED and job.transaction is not None:
        incidents.close_one(state, "unprintable", job.transaction, "printed")


def seen(state: State, event: PrinterSeen) -> None:
    """The printer says what it is like now."""
    _printer(state, event.fault, event.paper)


def _printer(state: State, fault: str, paper: str) -> None:
    printer = state.printer
    if (printer.fault, printer.paper) == (fault, paper):
        return
    state.put(replace(printer, fault=fault, paper=paper))
    state.tell("printer.state", fault=fault, paper=paper)
    if fault in _TECHNICAL:
        incidents.open_one(state, "printer", None, "technician", _TECHNICAL[fault])
    elif fault not in READY:
        incidents.open_one(state, "printer", None, "cashier", "look_at_printer")
    else:
        for row in state.incidents_by_age("printer"):
            incidents.close(state, row, "printer_ready")


def deadline(state: State, job: Job) -> None:
    """A job that waited too long stays unprinted: paper that appears unasked a day later helps nobody."""
    if "too_old" in JOB[job.state]:
        state.put(replace(job, state=move(JOB, job.state, "too_old"), due_ms=None))
        state.tell("receipt.expired", job.transaction, job=job.id, what=job.what)


def restarted(state: State, job: Job, *, new_boot: bool) -> None:
    """Nobody knows how much of a job at the printer came out: only a person orders it again."""
    if job.state == "INTENT":
        state.put(replace(job, state=move(JOB, job.state, "restart")))
        state.tell("receipt.unknown", job.transaction, job=job.id, what=job.what)
    elif new_boot:
        state.put(replace(job, due_ms=state.now.boottime_ms + state.agent.policy.job_age_max_ms))


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
