"""The printer's own thread: prints a job when told, asks for the printer's state while jobs wait, sleeps otherwise.

The core decides what is printed and what is never printed twice; here is only the honest word on how far a job came.
"""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Literal
from uuid import UUID

from agent.core.change import PrintJob, WatchPrinter
from agent.core.event import Event, JobFinished, PrinterSeen
from agent.core.model import Document
from agent.perform.devicethread import DeviceThread
from agent.perform.steady import Steady
from device import printer as device
from device.printer.encoder import DocumentSizeError, encode
from device.printer.profile import PrinterProfile

log = logging.getLogger("reversald.printer")

Level = Literal[device.Level, "UNPRINTABLE", "UNKNOWN"]

WATCH_S = 1.0  # how often a printer that jobs wait for is asked,
RECOVER_S = 5.0  # and one that nothing waits for, until its fault has gone
PROVABLE_MAX = 32  # jobs whose late proof is still understood


class PrinterThread(DeviceThread):
    """One thread, one port. `tell` is called on the event loop."""

    def __init__(self, printer: device.Printer, profile: PrinterProfile, tell: Callable[[Event], None]) -> None:
        super().__init__("printer", printer, tell)
        self._printer = printer
        self._profile = profile
        self._jobs: deque[PrintJob] = deque()
        self._watched = False
        self._asked_at_s: float | None = None
        self._steady = Steady(device.READY)
        self._provable: OrderedDict[int, tuple[PrintJob, int]] = OrderedDict()

    def perform(self, effect: PrintJob | WatchPrinter) -> None:
        """Take an effect of the core's; returns at once."""
        if isinstance(effect, PrintJob):
            self._jobs.append(effect)
        else:
            self._watched = effect.wanted
        self._printer.wake()

    def _turn(self) -> None:
        """One thing at a time: a job, else a look when one is due, else sleep until something happens."""
        if self._jobs:
            self._take(self._jobs.popleft())
            return
        due_s = self._look_due_s()
        if due_s is not None and time.monotonic() >= due_s:
            self._look()
            return
        heard = self._printer.wait(None if due_s is None else max(0.0, due_s - time.monotonic()))
        for proof in heard.proofs:
            self._prove(proof)
        if heard.status is not None:
            self._say(heard.status)

    def _look_due_s(self) -> float | None:
        """When to look next: at the start, while jobs wait, until a fault has gone, and to see whether a new state stands."""
        if self._asked_at_s is None:
            return 0.0
        moments = [] if self._steady.due_s is None else [self._steady.due_s]
        if self._watched:
            moments.append(self._asked_at_s + WATCH_S)
        elif self._steady.told is not None and self._steady.told[0] not in device.READY:
            moments.append(self._asked_at_s + RECOVER_S)
        return min(moments, default=None)

    def _open(self) -> device.Status | None:
        """None when the port is open, else why it is not."""
        closed = self._closed()
        if closed is not None:
            return device.Status(unavailable=True, cause=closed.cause)
        self._trouble = ""
        return None

    def _look(self) -> None:
        """Ask for the state. An unreachable port is a state like any other."""
        self._asked_at_s = time.monotonic()
        self._say(self._open() or self._printer.status())

    def _say(self, status: device.Status) -> None:
        if self._steady.saw((status.fault, status.paper), time.monotonic()):
            self._tell(PrinterSeen(fault=status.fault, paper=status.paper))

    def _take(self, effect: PrintJob) -> None:
        """Print it, and whatever happens say how it went: a job without a word holds up every one behind it."""
        try:
            data = encode(paper_of(effect.document), self._profile)
        except DocumentSizeError as error:
            log.error("a slip cannot be printed: %s", error)  # noqa: TRY400  (the reader needs the reason, no trace)
            self._tell(_finished(effect, "UNPRINTABLE", 0, 0, device.Status()))  # nothing is said of the printer by this
            return
        try:
            self._print(effect, data)
        except Exception:
            self._finish(effect, "UNKNOWN", 0, len(data), device.UNAVAILABLE)
            raise

    def _print(self, effect: PrintJob, data: bytes) -> None:
        number = UUID(effect.job).int & 0xFFFFFFFF
        closed = self._open()
        outcome = device.Outcome("UNPRINTED", 0, len(data), closed) if closed else self._printer.print(data, number)
        self._provable[number] = (effect, len(data))
        while len(self._provable) > PROVABLE_MAX:
            self._provable.popitem(last=False)
        self._finish(effect, outcome.level, outcome.accepted_bytes, outcome.total_bytes, outcome.status)

    def _prove(self, proof: device.Proof) -> None:
        """A proof that came after the job was reported: the paper is out after all."""
        found = self._provable.pop(proof.job_id, None)
        if found is not None:
            effect, size = found
            self._finish(effect, proof.level, size, size, self._printer.status())

    def _finish(self, effect: PrintJob, level: Level, accepted: int, total: int, status: device.Status) -> None:
        """The word on a job; what the printer is like comes with it."""
        self._steady.tell((status.fault, status.paper), time.monotonic())
        self._tell(_finished(effect, level, accepted, total, status))


def paper_of(document: Document) -> device.Document:
    """A document of the core's as the printer's encoder takes it."""
    lines = (device.Line(line.text, line.align, line.size, line.bold, line.right, line.fill) for line in document.lines)
    return device.Document(tuple(lines), qr=document.qr)


def _finished(effect: PrintJob, level: Level, accepted: int, total: int, status: device.Status) -> JobFinished:
    return JobFinished(
        job=effect.job,
        transaction=effect.transaction,
        level=level,
        accepted_bytes=accepted,
        total_bytes=total,
        fault=status.fault,
        paper=status.paper,
    )
