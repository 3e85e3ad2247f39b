"""The bodies of settlement and the next day: batches, settlement files, refunds, and what is shown of them."""

from typing import Annotated, Literal

import msgspec

from agent.core.change import Report
from agent.core.model import Proceed
from agent.core.settlementevent import Source
from agent.hooks.values import Base, FenAmount, OrderNumber, SixDigits, TerminalId, Word


class Batch(Base, frozen=True):
    """The app's settlement. `terminal_id`: whose batch it is; without it the word holds for every terminal id."""

    batch: SixDigits
    event: Literal["settling", "settled", "changed"]
    terminal_id: TerminalId | None = None


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """It is on disk. After `settling`: may the 0500 leave, and how many reversals are still pending."""

    ok: bool
    proceed: Proceed | None = None
    retry_after_ms: int | None = None
    pending_reversals: int | None = None


class TerminalBatch(msgspec.Struct, frozen=True):
    """The batch that one terminal id is in."""

    terminal_id: str
    batch: str | None
    batch_state: str


class Verdict(Base, frozen=True):
    """One line of a settlement file. It needs `rrn`, or `batch` and `stan`, or the `order_no` of a wallet's order.

    `line` is its number in the file, for reports.
    """

    date: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="settlement date")]
    amount_fen: FenAmount
    direction: Literal["debit", "credit"]
    batch: SixDigits | None = None
    stan: SixDigits | None = None
    rrn: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,12}\Z")] | None = None
    line: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None
    order_no: OrderNumber | None = None


class Statement(Base, frozen=True):
    """A settlement file of this terminal, or one part of it. `dates` are settlement dates it covers beside those of its lines.

    Parts of one `statement` come in order; the last one applies the whole. `preview` tells what it would come to. `covers` names
    whose settlement it is: the card acquirer's (when it is left out), or that of wallets; needed with order numbers.
    """

    verdicts: Annotated[tuple[Verdict, ...], msgspec.Meta(max_length=1000)]
    dates: Annotated[tuple[str, ...], msgspec.Meta(max_length=62)] = ()
    statement: Word = "-"
    terminal_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{8}\Z")] | None = None
    part: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    parts: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    preview: bool = False
    covers: Annotated[tuple[Source, ...], msgspec.Meta(min_length=1, max_length=5)] | None = None


class StatementAnswer(msgspec.Struct, frozen=True):
    """`applied` is false for a part that was only kept, and for a preview. `report` comes with the last part."""

    statement: str
    applied: bool
    report: Report | None


class RefundBody(Base, frozen=True):
    """Who confirms that no adjustment or chargeback runs (`confirmed`), and how much was refunded."""

    by: Word
    confirmed: bool = False
    amount_fen: FenAmount | None = None


class SettlementItem(msgspec.Struct, frozen=True):
    """What the settlement files say of a transaction, and what is owed because of it."""

    verdict: str
    final: bool
    case: str
    booked_fen: int


class RefundItem(msgspec.Struct, frozen=True):
    """The refund work item."""

    number: str
    state: str
    due_fen: int
    refunded_fen: int
