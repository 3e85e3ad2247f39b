"""The printer's thread on a printer that the test plays: a word on every job, and a state that is told once it stands."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from agent.core.change import PrintJob, WatchPrinter
from agent.core.event import Event, JobFinished, PrinterSeen
from agent.core.model import Document, DocumentLine
from agent.perform import printer as module
from agent.perform.printer import PrinterThread
from device.errors import PortUnavailable
from device.printer import Heard, Outcome, Status
from device.printer.profile import load_profile

P58 = load_profile("generic-58mm")
GOOD = Status(online=True, paper="ok", cover_open=False)
OUT = Status(online=False, paper="out")
SLIP = Document((DocumentLine("签购单"),))
LATER_S = 10.0


class Played:
    """A printer at the seam of the driver. `condition` is how it is; `error` is raised instead of printing."""

    def __init__(self) -> None:
        self.condition = GOOD
        self.error: Exception | None = None
        self.closed_because = ""
        self.is_open = False
        self.printed = 0
        self.unasked: list[Status] = []
        self._bell = threading.Event()

    def open(self) -> None:
        if self.closed_because:
            raise PortUnavailable("port x: not now", self.closed_because)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def status(self) -> Status:
        return self.condition

    def print(self, data: bytes, job_id: int) -> Outcome:
        if self.error is not None:
            raise self.error
        self.printed += 1
        return Outcome("CONFIRMED", len(data), len(data), self.condition)

    def deadline_s(self, size: int) -> float:
        return 1.0

    def resume(self) -> Status:
        return self.condition

    def clear(self) -> Status:
        return self.condition

    def wait(self, timeout_s: float | None) -> Heard:
        woken = self._bell.wait(0 if self.unasked else timeout_s)
        self._bell.clear()
        return Heard(self.unasked.pop(0) if self.unasked else None, (), woken)

    def wake(self) -> None:
        self._bell.set()

    def interrupt(self) -> None:
        self._bell.set()

    def says(self, status: Status) -> None:
        """It reports by itself."""
        self.condition = status
        self.unasked.append(status)
        self._bell.set()

    def unplug(self, because: str) -> None:
        """The port is gone, or somebody else's."""
        self.closed_because = because
        self.is_open = False
        self.condition = Status(unavailable=True)
        self.says(self.condition)


def job(number: int, document: Document = SLIP) -> PrintJob:
    return PrintJob(f"00000000-0000-4000-8000-{number:012d}", None, document, marked=False)


class Told:
    """What the thread told the core, and how to wait for more of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, holds: Callable[[list[Event]], bool]) -> None:
        async with asyncio.timeout(LATER_S):
            while not holds(self.events):
                self._changed.clear()
                await self._changed.wait()

    @property
    def faults(self) -> list[str]:
        return [event.fault for event in self.events if isinstance(event, PrinterSeen)]

    @property
    def levels(self) -> list[str]:
        return [event.level for event in self.events if isinstance(event, JobFinished)]


def play(story: Callable[[PrinterThread, Played, Told], object], played: Played | None = None, dots: int = P58.dots) -> Told:
    """Run a story with a thread that is stopped at its end."""
    told, printer = Told(), played or Played()

    async def main() -> None:
        thread = PrinterThread(printer, replace(P58, dots=dots), told)
        thread.start()
        try:
            await story(thread, printer, told)  # type: ignore[misc]
        finally:
            await asyncio.to_thread(thread.stop)

    asyncio.run(main())
    return told


def test_a_slip_that_the_printer_cannot_take_gets_its_final_word_and_the_next_one_prints() -> None:
    dense = Document((DocumentLine("x"),), qr="https://example.cn/" + "x" * 250)

    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        thread.perform(job(1, dense))
        thread.perform(job(2))
        await told.until(lambda _: told.levels == ["UNPRINTABLE", "CONFIRMED"])
        assert printer.printed == 1

    play(story, dots=100)


def test_a_defect_of_ours_in_the_middle_of_a_job_leaves_it_unknown_and_the_next_one_prints(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_S", 0.05)

    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        printer.error = ZeroDivisionError("a defect")
        thread.perform(job(1))
        await told.until(lambda _: told.levels == ["UNKNOWN"])
        printer.error = None
        thread.perform(job(2))
        await told.until(lambda _: told.levels == ["UNKNOWN", "CONFIRMED"])

    play(story)
    assert "the printer thread goes on after a defect" in caplog.text


@pytest.mark.parametrize(
    ("because", "fault"),
    [("missing", "unavailable"), ("held", "port_held"), ("permission", "port_denied"), ("wrong_device", "wrong_device")],
)
def test_a_port_that_cannot_be_opened_is_told_at_the_start_and_after_the_repair_all_is_well_without_any_job(
    because: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECOVER_S", 0.1)
    printer = Played()
    printer.closed_because = because

    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        await told.until(lambda _: told.faults == [fault])
        printer.closed_because = ""
        await told.until(lambda _: told.faults == [fault, "none"])

    play(story, printer)


def test_a_printer_unplugged_while_nothing_waits_is_told_and_so_is_its_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECOVER_S", 0.1)

    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        await told.until(lambda _: told.faults == ["none"])
        printer.unplug("missing")
        await told.until(lambda _: told.faults == ["none", "unavailable"])
        printer.closed_because, printer.condition = "", GOOD
        await told.until(lambda _: told.faults == ["none", "unavailable", "none"])

    play(story)


def test_a_connection_that_ends_when_idle_and_is_there_again_is_no_event() -> None:
    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        await told.until(lambda _: told.faults == ["none"])
        printer.unplug("")  # a network printer hangs up after a while, and takes the next connection
        printer.condition = GOOD
        thread.perform(job(1))
        await told.until(lambda _: told.levels == ["CONFIRMED"])

    assert play(story).faults == ["none"]


def test_a_cover_that_only_flutters_is_no_event_and_one_that_stays_open_is() -> None:
    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        await told.until(lambda _: told.faults == ["none"])
        printer.says(Status(online=False, cover_open=True))
        printer.says(GOOD)
        printer.says(OUT)
        await told.until(lambda _: told.faults == ["none", "paper_out"])

    play(story)


def test_a_printer_that_jobs_wait_for_is_asked_until_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCH_S", 0.05)

    async def story(thread: PrinterThread, printer: Played, told: Told) -> None:
        printer.condition = OUT
        thread.perform(WatchPrinter(wanted=True))
        await told.until(lambda _: told.faults == ["paper_out"])
        printer.condition = GOOD
        await told.until(lambda _: told.faults == ["paper_out", "none"])
        thread.perform(WatchPrinter(wanted=False))

    play(story)
