"""What happened: everything that can reach the core. Events are journaled as they stand, so none holds a secret.

Ids of new things are drawn at the way in and carried here; the core draws nothing.
"""

from typing import Literal

from agent.core.appevent import AppEvent
from agent.core.displayevent import DisplayEvent
from agent.core.fleetevent import FleetEvent
from agent.core.happening import Happening as _Event
from agent.core.model import ByHand, Disposition, Document, Evidence, Original, Outcome, Rail
from agent.core.policy import Policy
from agent.core.settlementevent import Acknowledged, RefundReported, SettlementImported
from agent.core.storageevent import RowsDamaged


class Booted(_Event, frozen=True):
    """The agent started. A `boot_id` other than the last one means that the machine started too."""

    version: str
    policy: Policy


class DeadlinePassed(_Event, frozen=True):
    """Some row's `due_ms` has come."""


class Opened(_Event, frozen=True):
    """The payment app opens a transaction; with `ask` it asks permission to send in the same commit."""

    transaction: str
    rail: Rail
    kind: str
    amount_fen: int
    currency: str
    stan: str
    batch: str
    terminal_id: str
    merchant_id: str
    ask: bool = False
    line_down: bool = False
    basket_id: str | None = None
    condition: str = "00"
    entry_mode: str | None = None
    sequence: str | None = None
    masked_pan: str | None = None
    last4: str | None = None
    card_hmac: str | None = None
    vault: str | None = None
    original: Original | None = None
    replaces: str | None = None
    wallet: str | None = None
    order_no: str | None = None
    customer: str | None = None


class SentAsked(_Event, frozen=True):
    """The app asks whether the first byte may leave. `line_down`: a fresh connect (≤ 3 s ago) proved the line down."""

    transaction: str
    line_down: bool = False


class ResultReported(_Event, frozen=True):
    """What the app heard from the host. `job` is drawn for the receipt, if one comes with it."""

    transaction: str
    outcome: Outcome
    response_code: str | None = None
    approved_fen: int | None = None
    rrn: str | None = None
    auth_code: str | None = None
    receipt: Document | None = None
    job: str | None = None
    abnormal: bool = False


class ReceiptGiven(_Event, frozen=True):
    """The app hands over the genuine receipt; one job id per copy."""

    transaction: str
    jobs: tuple[str, ...]
    document: Document


class ReprintAsked(_Event, frozen=True):
    """A person orders another copy, or with `blank` reports that the paper came out with nothing on it."""

    transaction: str
    job: str
    blank: bool = False


class ReceiptAskFailed(_Event, frozen=True):
    """The payment app was asked for a receipt over its own port and did not take the request."""

    transaction: str


class GuaranteeAsked(_Event, frozen=True):
    """A person orders the guarantee note (情况说明/退款承诺): the merchant's word to the customer, or the provider's to it."""

    transaction: str
    jobs: tuple[str, ...]
    contact: str | None = None
    version: Literal["merchant", "provider"] = "merchant"


class EvidenceGiven(_Event, frozen=True):
    """Somebody shows something."""

    transaction: str
    evidence: Evidence


class DispositionGiven(_Event, frozen=True):
    """Where goods and money went, as a person says; `by_hand`: the payment was refunded or voided past the agent."""

    transaction: str
    disposition: Disposition
    by_hand: ByHand | None = None


class BatchChanged(_Event, frozen=True):
    """The app reports its settlement. `terminal_id`: whose it is, where somebody says so; None: of all (see `batches`)."""

    batch: str
    what: Literal["settling", "settled", "changed"]
    terminal_id: str | None = None


class SettlementAsked(_Event, frozen=True):
    """An 0500 of this terminal wants to leave (seen in the relay): may it? Asked again while it is held."""

    batch: str
    terminal_id: str


class TerminalChanged(_Event, frozen=True):
    """The app signed in, its keys changed, or it rebooted."""

    what: Literal["signed_in", "key_changed", "rebooted"]


class ReversalOrdered(_Event, frozen=True):
    """An operator orders an opportunity, also for a refused reversal."""

    transaction: str
    by: str


class IncidentResolved(_Event, frozen=True):
    """A person closes a case."""

    incident: str
    transaction: str | None
    resolution: Literal["refunded", "collected", "written_off", "no_action"]
    by: str
    note: str = ""


class HostReachable(_Event, frozen=True):
    """A connection to the host stands and is held for our sends. `after_failure`: the attempt before it failed."""

    after_failure: bool = False
    host: Literal["primary", "backup"] = "primary"


class HostUnreachable(_Event, frozen=True):
    """A connect to the host failed, or the payment app did not lend its line."""


class LineLost(_Event, frozen=True):
    """The held connection ended after bytes of ours may have left."""


class SendFailed(_Event, frozen=True):
    """A send did not happen: no byte of it left. `why`: line, mac (nobody made one), unpackable."""

    transaction: str
    why: str = "line"


class HostReply(_Event, frozen=True):
    """An 0410 arrived on our line; the core decides whether it answers anything (F3 F4 F11 F41 F42 must match).

    `mac` unchecked: it has an F64, and the service that could check it did not answer.
    """

    f3: str | None
    f4: str | None
    f11: str | None
    f41: str | None
    f42: str | None
    code: str | None
    mac: Literal["good", "bad", "missing", "unchecked"]
    day: str | None = None  # F15, the host's business day
    time: str | None = None  # F12, its time of day
    f60: str | None = None  # says which of two it answers that have these fields alike, by its batch


class OnlineAsked(_Event, frozen=True):
    """A request that the agent does not watch (a balance inquiry, an advice) waits in the relay: may it go on?"""

    terminal_id: str


class RelayAnswered(_Event, frozen=True):
    """An 0210 or 0110 arrived in the relay for this transaction; the core decides whether it may be forwarded."""

    transaction: str
    f3: str | None
    f4: str | None
    f11: str | None
    f41: str | None
    f42: str | None
    code: str | None
    mac: Literal["good", "bad", "missing", "unchecked"]
    rrn: str | None = None
    auth_code: str | None = None
    day: str | None = None  # F15, F12
    time: str | None = None
    f60: str | None = None


class AnswerForwarded(_Event, frozen=True):
    """What became of an approval that was let through: `left` when its bytes went to the terminal's connection."""

    transaction: str
    left: bool


class AppReversed(_Event, frozen=True):
    """The payment app's own 0400 for this transaction came through the relay; `reason` is its F39, the amount its F4."""

    transaction: str
    reason: str | None = None
    amount_fen: int | None = None


class RelayRefused(_Event, frozen=True):
    """The relay closed a connection instead of forwarding a request: it could not be reversed, or it was a repeated one."""

    why: Literal["unreadable", "repeated"]
    stan: str | None = None


class EchoReply(_Event, frozen=True):
    """An 0830 arrived: the line is proved, nothing is settled by it."""

    code: str | None
    day: str | None = None  # F15, F12
    time: str | None = None


class NoiseReceived(_Event, frozen=True):
    """The host sent something that is not a message, or one nobody asked for. It is never an answer."""

    what: Literal["unreadable", "unasked"]


class WalletAnswered(_Event, frozen=True):
    """How a call to the wallet gateway ended; `number` names the call.

    answered: `state` is what the gateway says of the order; unknown: bytes left and no usable answer came; not_reached: no
    byte left. `retry` (cancel, refund): the same call may be made again. `abnormal`: the customer's account is at fault.
    """

    transaction: str
    number: int
    outcome: Literal["answered", "unknown", "not_reached"]
    state: Literal["paid", "paying", "not_paid", "not_found", "closed", "refunded", "unknown"] = "unknown"
    amount_fen: int | None = None
    retry: bool = True
    abnormal: bool = False


class NetworkChanged(_Event, frozen=True):
    """Something about the network changed: what waits for the wallet gateway asks again at once."""


class JobFinished(_Event, frozen=True):
    """The printer driver's honest word on one job."""

    job: str
    transaction: str | None
    level: Literal["UNPRINTED", "UNPRINTABLE", "PARTIAL", "SENT_UNCONFIRMED", "FENCED", "CONFIRMED", "UNKNOWN"]
    accepted_bytes: int
    total_bytes: int
    fault: str
    paper: Literal["ok", "near_end", "out", "unknown"] = "unknown"


class PrinterSeen(_Event, frozen=True):
    """What the printer says of itself, when it changed."""

    fault: str
    paper: Literal["ok", "near_end", "out", "unknown"] = "unknown"


class TestPrintAsked(_Event, frozen=True):
    """A technician asks for a test page."""

    job: str


class Configured(_Event, frozen=True):
    """The configuration was read again while running."""

    policy: Policy


Event = (
    Booted
    | DeadlinePassed
    | Opened
    | SentAsked
    | ResultReported
    | ReceiptGiven
    | ReprintAsked
    | ReceiptAskFailed
    | AppEvent
    | GuaranteeAsked
    | EvidenceGiven
    | DispositionGiven
    | SettlementImported | RefundReported | Acknowledged
    | BatchChanged
    | SettlementAsked
    | TerminalChanged
    | ReversalOrdered
    | IncidentResolved
    | HostReachable | HostUnreachable
    | LineLost
    | SendFailed
    | HostReply
    | OnlineAsked
    | RelayAnswered
    | AnswerForwarded
    | AppReversed
    | RelayRefused
    | EchoReply
    | NoiseReceived
    | WalletAnswered
    | NetworkChanged
    | JobFinished | PrinterSeen | TestPrintAsked | DisplayEvent
    | Configured
    | FleetEvent
    | RowsDamaged
)
