"""The real driver over a simulated wire: a printer's day in a few milliseconds."""

from collections.abc import Callable
from functools import lru_cache

from msgspec.structs import replace

from device.printer import Document, Heard, Line, Outcome
from device.printer.encoder import encode
from device.printer.escpos import EscPosPrinter
from device.printer.profile import PrinterProfile, load_profile
from device.simulator.paper import Row
from device.simulator.printer import traits_of
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_port import VirtualPort

Event = Callable[[PrinterModel, int], None]


class World:
    """One printer, its line and its driver."""

    def __init__(
        self, profile: str | PrinterProfile = "generic-58mm", *, baud: int = 115_200, events: dict[int, Event] | None = None,
        lines: int = 4000, **traits: object,
    ) -> None:  # fmt: skip
        self.profile = load_profile(profile) if isinstance(profile, str) else profile
        self.model = PrinterModel(replace(traits_of(self.profile), **traits), lines=lines)
        self.port = VirtualPort(self.model, baud, list((events or {}).items()))
        self.printer = EscPosPrinter(self.port, self.profile)
        self.printer.open()

    def job(self, number: int, lines: int = 4, qr: str | None = None) -> bytes:
        """A slip that names its job on its first line only."""
        return slip(self.profile, number, lines, qr)

    def print(self, number: int, lines: int = 4, qr: str | None = None) -> Outcome:
        """Print a job and check what must always hold: it was over within the time that the driver promised."""
        data = self.job(number, lines, qr)
        began_s = self.port.now_s()
        outcome = self.printer.print(data, number)
        assert self.port.now_s() - began_s <= self.printer.deadline_s(len(data))
        assert outcome.total_bytes == len(data)
        return outcome

    def after(self, delay_ms: int, event: Event) -> None:
        """Let this happen so much later."""
        self.port.schedule(self.port.now_ms + delay_ms, event)

    def later(self, seconds: float = 10.0) -> list[Heard]:
        """Sleep for so long in all, and what was heard meanwhile."""
        heard = []
        until_s = self.port.now_s() + seconds
        while (left_s := until_s - self.port.now_s()) > 0:
            heard.append(self.printer.wait(left_s))
        return [one for one in heard if one.status is not None or one.proofs]

    def rows(self) -> list[Row]:
        """Everything on paper."""
        return [row for slip in self.model.slips for row in slip.rows] + self.model.rows

    def times_printed(self, number: int) -> int:
        """How often the whole first line of the job is on paper; a torn line is none."""
        return sum(mark(number) in row.text and row.torn == 100 for row in self.rows())

    def came_out(self, number: int, lines: int = 4) -> bool:
        """True when every line of the job is on paper, in order."""
        texts = [row.text for row in self.rows() if row.torn == 100]
        if mark(number) not in texts:
            return False
        start = texts.index(mark(number))
        return texts[start + 1 : start + lines] == [f"第{line}行 冲正已受理" for line in range(1, lines)]


@lru_cache(maxsize=256)
def slip(profile: PrinterProfile, number: int, lines: int, qr: str | None) -> bytes:
    """The bytes of a job."""
    rest = tuple(Line(f"第{line}行 冲正已受理") for line in range(1, lines))
    return encode(Document((Line(mark(number)), *rest), qr), profile)


def mark(number: int) -> str:
    """The line that a job is known by."""
    return f"JOB <{number}>"


def setting(**values: object) -> Event:
    """An event that changes the printer's condition."""

    def act(model: PrinterModel, now_ms: int) -> None:
        for name, value in values.items():
            setattr(model.condition, name, value)
        model.changed(now_ms)

    return act
