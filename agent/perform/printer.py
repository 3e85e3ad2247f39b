"""The printer's own thread: prints a job when told, asks for the printer's state while jobs wait, sleeps otherwise.

The core decides what is printed and what is never printed twice; here is only the honest word on how far a job came.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from uuid import UUID

from agent.core.change import PrintJob, WatchPrinter
from agent.core.event import Event, JobFinished, PrinterSeen
from agent.core.model import Document
from device import printer as device
from device.errors import PortError
from device.printer.encoder import encode
from device.printer.profile import PrinterProfile

log = logging.getLogger("reversald.printer")

WATCH_S = 1.0  # how often a printer that jobs wait for is asked
PROVABLE_MAX = 32  # jobs whose late proof is still understood
STOP_S = 2.0


class PrinterThread:
    """One thread, one port. `tell` is called on the event loop."""

    def __init__(self, printer: device.Printer, profile: PrinterProfile, tell: Callable[[Event], None]) -> None:
        self._printer = printer
        self._profile = profile
        self._tell_on_loop = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: deque[PrintJob] = deque()
        self._watched = False
        self._stopping = False
        self._asked_at_s = 0.0
        self._trouble = ""  # why the port did not open, told once
        self._seen: tuple[str, str] | None = None
        self._provable: OrderedDict[int, tuple[PrintJob, int]] = OrderedDict()
        self._thread = threading.Thread(target=self._main, name="printer", daemon=True)

    def start(self) -> None:
        """Start the thread; call on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def perform(self, effect: PrintJob | WatchPrinter) -> None:
        """Take an effect of the core's; returns at once."""
        if isinstance(effect, PrintJob):
            self._jobs.append(effect)
        else:
            self._watched = effect.wanted
        self._printer.wake()

    def stop(self) -> None:
        """End the thread within STOP_S; a job at the printer is left as it is (its INTENT is on disk)."""
        self._stopping = True
        self._printer.interrupt()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _main(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except PortError as error:
                log.warning("printer: %s", error)
                self._printer.close()
                time.sleep(WATCH_S)
            except Exception:
                log.exception("the printer thread goes on after a defect")
                time.sleep(WATCH_S)
        self._printer.close()

    def _turn(self) -> None:
        """One thing at a time: a job, else a look while watched, else sleep until something happens."""
        if self._jobs:
            self._print(self._jobs.popleft())
            return
        due_s = self._asked_at_s + WATCH_S
        if self._watched and time.monotonic() >= due_s:
            self._look()
            return
        timeout_s = max(0.0, due_s - time.monotonic()) if self._watched else None
        if not self._watched:
            self._open()
        heard = self._printer.wait(timeout_s)
        for proof in heard.proofs:
            self._prove(proof)
        if heard.status is not None:
            self._say(heard.status)

    def _open(self) -> bool:
        if self._printer.is_open:
            return True
        try:
            self._printer.open()
        except PortError as error:
            if str(error) != self._trouble:
                log.warning("printer: %s", error)
            self._trouble = str(error)
            return False
        self._trouble = ""
        return True

    def _look(self) -> None:
        """Ask for the state. An unreachable port is a state like any other."""
        self._asked_at_s = time.monotonic()
        self._say(self._printer.status() if self._open() else device.UNAVAILABLE)

    def _say(self, status: device.Status) -> None:
        now = (status.fault, status.paper)
        if now != self._seen:
            self._seen = now
            self._tell(PrinterSeen(fault=status.fault, paper=status.paper))

    def _print(self, effect: PrintJob) -> None:
        data = encode(paper_of(effect.document), self._profile)
        number = UUID(effect.job).int & 0xFFFFFFFF
        if self._open():
            outcome = self._printer.print(data, number)
        else:
            outcome = device.Outcome("UNPRINTED", 0, len(data), device.UNAVAILABLE)
        self._provable[number] = (effect, len(data))
        while len(self._provable) > PROVABLE_MAX:
            self._provable.popitem(last=False)
        self._seen = (outcome.status.fault, outcome.status.paper)
        self._tell(_finished(effect, outcome.level, outcome.accepted_bytes, outcome.total_bytes, outcome.status))

    def _prove(self, proof: device.Proof) -> None:
        """A proof that came after the job was reported: the paper is out after all."""
        found = self._provable.pop(proof.job_id, None)
        if found is not None:
            effect, size = found
            self._tell(_finished(effect, proof.level, size, size, self._printer.status()))

    def _tell(self, event: Event) -> None:
        if self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(self._tell_on_loop, event)


def paper_of(document: Document) -> device.Document:
    """A document of the core's as the printer's encoder takes it."""
    lines = (device.Line(line.text, line.align, line.size, line.bold, line.right, line.fill) for line in document.lines)
    return device.Document(tuple(lines), qr=document.qr)


def _finished(effect: PrintJob, level: device.Level, accepted: int, total: int, status: device.Status) -> JobFinished:
    return JobFinished(
        job=effect.job,
        transaction=effect.transaction,
        level=level,
        accepted_bytes=accepted,
        total_bytes=total,
        fault=status.fault,
        paper=status.paper,
    )
