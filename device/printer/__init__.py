"""What a receipt printer is to the rest of the house: documents in, an honest word about paper out.

A driver lives on one thread of its own. Every call blocks, but never longer than the bound it states; only `wake` and
`interrupt` may be called from another thread.
"""

from typing import Literal, Protocol

import msgspec

Level = Literal["UNPRINTED", "PARTIAL", "SENT_UNCONFIRMED", "FENCED", "CONFIRMED"]
PaperState = Literal["ok", "near_end", "out", "unknown"]
Fault = Literal[
    "none", "unknown", "paper_out", "cover_open", "cutter", "overheated", "unrecoverable", "battery_low", "offline", "silent",
    "unavailable", "port_held", "port_denied", "wrong_device",
]

# Faults that a printer may still print through; anything else keeps a job waiting.
READY: frozenset[Fault] = frozenset({"none", "unknown"})
# The longest job a driver takes. A receipt is about 1 KB; at 9600 baud this is more than half a minute of line.
JOB_BYTES_MAX = 32 * 1024


class Line(msgspec.Struct, frozen=True):
    """One line of a slip; longer text is wrapped, a newline ends it. `size` 2 is double width and height.

    With `right` the line has two ends: `text` at the left edge, `right` at the right one, and `fill` between them.
    """

    text: str
    align: Literal["left", "center", "right"] = "left"
    size: Literal[1, 2] = 1
    bold: bool = False
    right: str | None = None
    fill: Literal[" ", "-", "=", "_", "."] = " "


class Document(msgspec.Struct, frozen=True):
    """What is to be on paper, before columns and bytes. The QR code follows the lines."""

    lines: tuple[Line, ...]
    qr: str | None = None
    cut: bool = True


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a printer said of itself. None and "unknown" mean that it did not say: they never mean that all is well."""

    online: bool | None = None
    paper: PaperState = "unknown"
    cover_open: bool | None = None
    cutter_error: bool = False
    unrecoverable: bool = False
    overheated: bool = False  # recovers by itself
    recoverable_error: bool = False  # waits for a person
    battery_low: bool = False  # built-in printers print pale or not at all
    busy: bool = False
    silent: bool = False  # it should have answered and did not, or what came was no answer
    unavailable: bool = False  # the port is not open
    cause: str = ""  # why it could not be opened, as PortUnavailable names it

    @property
    def fault(self) -> Fault:
        """The one thing to tell a person, as a stable code; the most certain cause first."""
        for wrong, code in (
            (self.cause == "held", "port_held"),
            (self.cause == "permission", "port_denied"),
            (self.cause == "wrong_device", "wrong_device"),
            (self.unavailable, "unavailable"),
            (self.silent, "silent"),
            (self.unrecoverable, "unrecoverable"),
            (self.cutter_error, "cutter"),
            (self.overheated, "overheated"),
            (self.cover_open, "cover_open"),
            (self.paper == "out", "paper_out"),
            (self.battery_low, "battery_low"),
            (self.recoverable_error or self.online is False, "offline"),
            (self.online is None and self.paper == "unknown", "unknown"),
        ):
            if wrong:
                return code  # type: ignore[return-value]
        return "none"

    @property
    def ready(self) -> bool:
        """True when a job may be started: nothing stands in the way that the printer told us of."""
        return self.fault in READY


UNAVAILABLE = Status(unavailable=True)
SILENT = Status(silent=True)


class Outcome(msgspec.Struct, frozen=True):
    """How far one job came. `accepted_bytes` of `total_bytes` is what the port took, which is not what came out.

    UNPRINTED: no byte of the job left. PARTIAL: some did. SENT_UNCONFIRMED: all did, and nothing proves paper. FENCED: the
    printer worked through its buffer to the end of the job. CONFIRMED: it named this job after printing it.
    """

    level: Level
    accepted_bytes: int
    total_bytes: int
    status: Status


class Proof(msgspec.Struct, frozen=True):
    """A proof that came after `print` had returned: the job came out after all."""

    job_id: int
    level: Literal["FENCED", "CONFIRMED"]


class Heard(msgspec.Struct, frozen=True):
    """What ended a `wait`. All empty and not woken: the time was up."""

    status: Status | None = None
    proofs: tuple[Proof, ...] = ()
    woken: bool = False


class Printer(Protocol):
    """A receipt printer on its own thread."""

    def open(self) -> None:
        """Take the port. Raises PortUnavailable, which names the cause; may be tried again at any time."""
        ...

    def close(self) -> None:
        """Give the port back within a second, whatever state the line is in."""
        ...

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`, or until the device goes away."""
        ...

    def status(self) -> Status:
        """Ask the printer. A closed port is `unavailable`, no answer from one that should answer is `silent`."""
        ...

    def print(self, data: bytes, job_id: int) -> Outcome:
        """Print `data` once. Returns within `deadline_s(len(data))`; a failing device is an Outcome, not an exception."""
        ...

    def deadline_s(self, size: int) -> float:
        """The longest that `print` can take for `size` bytes."""
        ...

    def resume(self) -> Status:
        """A person has mended it: print on from the line where it stopped (`10 05 01`)."""
        ...

    def clear(self) -> Status:
        """A person gives up what the printer still holds (`10 05 02`): those jobs will not come out any more."""
        ...

    def wait(self, timeout_s: float | None) -> Heard:
        """Sleep without polling until `wake`, until the printer speaks by itself, or for `timeout_s`."""
        ...

    def wake(self) -> None:
        """End the running or the next `wait`. From any thread."""
        ...

    def interrupt(self) -> None:
        """The program stops: every running and later call returns at once, with an honest outcome. From any thread."""
        ...
