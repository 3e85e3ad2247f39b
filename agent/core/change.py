"""What to do: what one step hands back. Rows and facts go to disk in one commit; effects happen only after it."""

from typing import Any, Literal

import msgspec

from agent.core.model import Document, Proceed, Row


class Fact(msgspec.Struct, frozen=True):
    """One thing that is now true, for journal, technician, server-sent events and fleet. Masked."""

    type: str
    transaction: str | None
    incident: str | None
    data: dict[str, Any]


class WantLine(msgspec.Struct, frozen=True):
    """now: connect and hold; watch: probe slowly; none: close. Repeats are harmless."""

    wanted: Literal["now", "watch", "none"]


class SendReversal(msgspec.Struct, frozen=True):
    """Send this 0400 on the held connection; secrets (F2 F14 F55) are filled in from the vault by the performer."""

    transaction: str
    fields: dict[str, str]
    vault: str | None


class SendEcho(msgspec.Struct, frozen=True):
    """Send an 0820 on the held connection."""

    fields: dict[str, str]


class AskSignIn(msgspec.Struct, frozen=True):
    """Ask the payment app to sign in; the agent never does it itself."""


class AskReceipt(msgspec.Struct, frozen=True):
    """Ask the payment app for the genuine receipt of a transaction, where it has a port of its own."""

    transaction: str
    stan: str
    batch: str


class AskApp(msgspec.Struct, frozen=True):
    """Ask the payment app about or for a transaction, over its port or through the event stream; answered within `within_ms`."""

    transaction: str
    request: str
    what: Literal["flush_reversals", "balance_inquiry", "transaction"]
    stan: str
    batch: str
    within_ms: int


class PrintJob(msgspec.Struct, frozen=True):
    """Hand this job to the printer; its INTENT is on disk."""

    job: str
    transaction: str | None
    document: Document
    marked: bool


class WatchPrinter(msgspec.Struct, frozen=True):
    """Keep asking the printer until it can print (jobs wait for it), or stop asking."""

    wanted: bool


class ShowTest(msgspec.Struct, frozen=True):
    """Show the test pattern on the customer display for a moment; whatever a customer has to read takes its place."""


class AskWallet(msgspec.Struct, frozen=True):
    """Call the wallet gateway about an order; its end comes back as WalletAnswered with the same `number`."""

    transaction: str
    number: int
    call: Literal["query", "cancel", "refund"]
    order_no: str
    amount_fen: int
    refund_no: str | None = None


class CarryOut(msgspec.Struct, frozen=True):
    """Do what a command of the fleet orders outside the core: replay, upload-log or config; its end is CommandFinished."""

    command: str
    name: str
    args: dict[str, Any]


Effect = (
    WantLine | SendReversal | SendEcho | AskSignIn | AskReceipt | AskApp | AskWallet | PrintJob | WatchPrinter | ShowTest
    | CarryOut
)


class Unmatched(msgspec.Struct, frozen=True):
    """A line of a settlement file that is about no transaction of ours, and why: nothing fits, or not this well."""

    number: int
    why: Literal["unknown", "amount", "rrn", "order", "ambiguous", "full"]


class Report(msgspec.Struct, frozen=True):
    """What importing a settlement file came to. `new` lines were not known before; `cases` counts what is owed by code."""

    lines: int
    agreed: int
    matched: int
    new: int
    absent: int
    unmatched: tuple[Unmatched, ...]
    cases: dict[str, int]


class Decision(msgspec.Struct, frozen=True):
    """The answer to the caller. `conflict` is a stable code when the caller must show failure (HTTP 409). `told` answers a
    command of the fleet of which nothing is journaled: a repeat, or one that is not taken.
    """

    transaction: str | None = None
    proceed: Proceed | None = None
    retry_after_ms: int | None = None
    conflict: str | None = None
    detail: str = ""
    jobs: tuple[str, ...] = ()
    agreement: dict[str, str] = {}
    report: Report | None = None
    told: dict[str, Any] | None = None


class Change(msgspec.Struct):
    """All that follows from one event. `wiped` vault refs are deleted in the same commit."""

    rows: list[Row]
    facts: list[Fact]
    effects: list[Effect]
    wiped: list[str]
    decision: Decision
    next_deadline_ms: int | None


class Rejected(Exception):
    """The event was refused and nothing changed. `code` is stable; `status` is the HTTP class of the answer."""

    def __init__(self, status: Literal[400, 404, 409], code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class Overloaded(Exception):
    """The inbox is full: nothing was taken."""


class Internal(Exception):
    """A defect of ours: the event was undone whole."""
