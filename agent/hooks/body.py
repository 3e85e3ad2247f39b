"""What callers post and what they get, as types. The OpenAPI description is made from these; unknown fields are refused."""

from typing import Annotated, Any, Literal

import msgspec

from agent.core.model import ByHand, Disposition, Goods, Outcome, Proceed, Rail
from agent.core.playbook import Advice
from agent.hooks.settlementbody import RefundItem, SettlementItem, TerminalBatch
from agent.hooks.values import (
    Base,
    Chip,
    Code,
    Condition,
    FenAmount,
    FourDigits,
    Note,
    OrderNumber,
    SixDigits,
    TerminalId,
    ThreeDigits,
    Word,
)

IN_DOUBT = frozenset({
    "in_doubt", "reversing", "approved_not_completed", "unresolved", "querying", "cancelling", "cancel_unknown",
})


class Card(Base, frozen=True):
    """The card: a PAN, or a token with the last four digits where the agent keeps no card data."""

    pan: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{13,19}\Z")] | None = None
    token: Word | None = None
    last4: FourDigits | None = None
    expiry: FourDigits | None = None
    entry_mode: ThreeDigits | None = None
    sequence: ThreeDigits | None = None
    chip: Chip | None = None


class OriginalBody(Base, frozen=True):
    """What a void, a completion or a refund refers to; `date` is its MMDD."""

    batch: SixDigits
    stan: SixDigits
    date: FourDigits | None = None


class Open(Base, frozen=True):
    """Open a transaction; `sent: true` also asks permission to send, in the same commit."""

    rail: Rail
    kind: Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,32}\Z")]
    amount_fen: FenAmount
    stan: SixDigits
    batch: SixDigits
    terminal_id: TerminalId
    merchant_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{15}\Z")]
    currency: ThreeDigits = "156"
    basket_id: Word | None = None
    condition: Condition | None = None
    card: Card | None = None
    wallet: Literal["wechat", "alipay", "unionpay_qr"] | None = None
    order_no: OrderNumber | None = None
    customer: Word | None = None
    original: OriginalBody | None = None
    replaces: Word | None = None
    sent: bool = False


class Empty(Base, frozen=True):
    """No fields."""


class LineBody(Base, frozen=True):
    """One line of a receipt."""

    text: Annotated[str, msgspec.Meta(max_length=200)]
    align: Literal["left", "center", "right"] = "left"
    size: Literal[1, 2] = 1
    bold: bool = False


class Receipt(Base, frozen=True):
    """The genuine receipt, as the payment app made it."""

    lines: Annotated[tuple[LineBody, ...], msgspec.Meta(min_length=1, max_length=200)]
    qr: Annotated[str, msgspec.Meta(max_length=300)] | None = None
    copies: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1


class Result(Base, frozen=True):
    """What the app heard from the host."""

    outcome: Outcome
    response_code: Code | None = None
    approved_fen: FenAmount | None = None
    rrn: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,12}\Z")] | None = None
    auth_code: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{6}\Z")] | None = None
    chip: Chip | None = None
    reason: Literal["account_abnormal"] | None = None
    receipt: Receipt | None = None


AppOutcome = Literal["sent", "accepted", "refused", "no_card", "busy", "unsupported"]
Record = Annotated[
    Literal["held", "gone"], msgspec.Meta(description="does the app's kernel still hold the record its 0400 is made from?")
]


class ReversalBody(Base, frozen=True):
    """What became of the 0400 of the app's own kernel. `accepted` needs the host's code."""

    outcome: AppOutcome
    response_code: Code | None = None
    record: Record | None = None


class RequestAnswer(Base, frozen=True):
    """The answer to a request from the event stream: `outcome` of a flush or an inquiry, or `state` of a transaction."""

    outcome: AppOutcome | None = None
    state: Outcome | Literal["waiting", "unknown"] | None = None
    response_code: Code | None = None
    approved_fen: FenAmount | None = None
    rrn: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,12}\Z")] | None = None
    auth_code: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{6}\Z")] | None = None
    record: Record | None = None
    reversal: Literal["accepted", "refused"] | None = None
    reversal_code: Code | None = None


class Reprint(Base, frozen=True):
    """Order a marked copy; `blank` only reports that the paper came out with nothing on it."""

    blank: bool = False


class Guarantee(Base, frozen=True):
    """Order the guarantee note: the merchant's word to the customer, or with `version` the provider's to the merchant."""

    version: Literal["merchant", "provider"] = "merchant"
    contact: Word | None = None
    copies: Annotated[int, msgspec.Meta(ge=1, le=2)] = 2


class EvidenceBody(Base, frozen=True):
    """What the customer shows."""

    kind: Literal["debit_sms", "refund_sms", "wallet_record"]
    amount_fen: FenAmount | None = None
    order_no: Word | None = None
    merchant: Word | None = None
    at: Word | None = None
    text: Note | None = None


class DispositionBody(Base, frozen=True):
    """Where goods and money went."""

    goods: Goods | None = None
    replaced_by: Word | None = None
    accepts_risk: bool = False
    contact: Word | None = None
    by_hand: ByHand | None = None


class TerminalBody(Base, frozen=True):
    """The app's sign-in, key change or reboot."""

    event: Literal["signed_in", "key_changed", "rebooted"]


class Link(Base, frozen=True):
    """What a platform that hides the network reports."""

    state: Literal["up", "down"]


class Resolve(Base, frozen=True, rename={"resolution": "as"}):
    """How a person closes a case."""

    resolution: Literal["refunded", "collected", "written_off", "no_action"]
    by: Word
    note: Note = ""


class Recover(Base, frozen=True):
    """Who orders the reversal to be sent again."""

    by: Word


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transaction as it stands."""

    id: str
    state: str
    advice: Advice
    proceed: Proceed | None = None
    retry_after_ms: int | None = None
    agreement: dict[str, str] = {}


class JobAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job that was taken, and how the printer is."""

    jobs: tuple[str, ...]
    printer: str
    paper: str
    id: str | None = None


class IncidentItem(msgspec.Struct, frozen=True):
    """One incident. `opened_at` is milliseconds since 1970, null when the time was not known."""

    id: str
    transaction: str | None
    code: str
    opened_at: int | None
    open: bool
    owner: str
    next_action: str
    number: int
    resolution: str | None


class Page(msgspec.Struct, frozen=True):
    """A page of incidents; `next` goes into `before` for the page after it."""

    items: list[IncidentItem]
    next: int | None


class ReversalItem(msgspec.Struct, frozen=True):
    """The reversal of a transaction, for people."""

    state: str
    reason: str
    sends: int
    response_code: str | None


class OrderItem(msgspec.Struct, frozen=True):
    """The wallet's order of a transaction, for people; `said` is what the gateway said last."""

    wallet: str
    order_no: str
    said: str | None
    queries: int
    cancels: int
    refunds: int


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything about one transaction."""

    id: str
    state: str
    advice: Advice
    kind: str
    amount_fen: int
    stan: str
    batch: str
    terminal_id: str
    card: str | None
    rrn: str | None
    response_code: str | None
    reversal: ReversalItem | None
    jobs: list[dict[str, Any]]
    incidents: list[IncidentItem]
    order: OrderItem | None = None
    disposition: Disposition | None = None
    settlement: SettlementItem | None = None
    refund: RefundItem | None = None


class Status(msgspec.Struct, frozen=True):
    """How the agent is.

    `batch` is that of `terminal_id`, or of the one last heard of where that was never; `batches` are those of all of them.
    """

    version: str
    mode: str
    terminal_id: str
    boots: int
    batch: str | None
    batch_state: str
    batches: list[TerminalBatch]
    pending_reversals: int
    oldest_pending_ms: int | None
    money_in_doubt_fen: int
    open_incidents: int
    line: str
    printer: str
    paper: str
    jobs_waiting: int
    printed: int
    printed_lines: int
    printed_mm: int
    print_failures: int
    display: str
    journal_seq: int
    journal_hash: str
    scrub_owed: bool


class Ready(msgspec.Struct, frozen=True):
    """May the app begin a sale?"""

    can_sell: bool
    reasons: list[str]


class Health(msgspec.Struct, frozen=True):
    """It answers; `seq` is the journal's head."""

    ok: bool
    version: str
    seq: int


class Done(msgspec.Struct, frozen=True):
    """It is on disk."""

    ok: bool = True


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem+json. `type` is stable; `state` and `advice` say how the transaction stands."""

    type: str
    title: str
    status: int
    detail: str
    state: str | None = None
    advice: Advice | None = None
    id: str | None = None
