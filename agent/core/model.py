"""What is: the rows of record. Every row is a frozen struct with an `id`; a change is a new struct with the same `id`.

Money is integer fen, time integer milliseconds. `*_ms` deadlines are CLOCK_BOOTTIME of the boot named in `Agent.boot_id`;
they are re-based when a new boot begins. Nothing here holds a full PAN, an expiry or chip data: those stand sealed in the
vault under `vault`, and only there.
"""

from typing import Literal

import msgspec

from agent.core.accounts import Account, Ledger, Refund
from agent.core.commandbook import CommandBook
from agent.core.moment import Now as Now
from agent.core.moment import Stamp as Stamp
from agent.core.order import Order
from agent.core.policy import Policy

Rail = Literal["card", "wallet", "bestpay"]
BatchState = Literal["open", "settling", "settled"]
Outcome = Literal["approved", "declined", "no_answer", "bad_mac", "not_sent", "approved_not_completed"]
Proceed = Literal["go", "wait", "refuse"]
Owner = Literal["cashier", "technician", "operator", "acquirer"]
Goods = Literal["held", "released", "returned"]
ByHand = Literal["refunded", "voided"]
Ask = Literal["flush_reversals", "balance_inquiry"]


class Original(msgspec.Struct, frozen=True, omit_defaults=True):
    """The transaction that a void or a completion refers to (F61)."""

    batch: str
    stan: str
    date: str | None = None


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person showed or a late answer said. It starts questions; it never decides."""

    kind: Literal["debit_sms", "refund_sms", "wallet_record", "late_response", "contradiction"]
    outcome: str | None = None
    response_code: str | None = None
    amount_fen: int | None = None
    order_no: str | None = None
    merchant: str | None = None
    at: str | None = None
    text: str | None = None


class Disposition(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the goods went and what replaced the payment (货款去向)."""

    goods: Goods | None = None
    replaced_by: str | None = None
    accepts_risk: bool = False
    contact: str | None = None


class Transaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt to move money, keyed in the field by (terminal, batch, STAN). `number` orders them by age."""

    id: str
    number: int
    rail: Rail
    kind: str
    state: str
    amount_fen: int
    currency: str
    stan: str
    batch: str
    terminal_id: str
    merchant_id: str
    opened: Stamp
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
    sent: Stamp | None = None
    go_until_ms: int | None = None
    due_ms: int | None = None
    doubt: str | None = None
    repeats: bool = False  # its doubt is met by the same message again, never by a 0400
    answered: bool = False  # relay: the host's approval is on disk, and not yet known to have been forwarded
    unproved: bool = False  # and nobody here could check its MAC: only the payment app's own word makes it approved
    response_code: str | None = None
    approved_fen: int | None = None
    rrn: str | None = None
    auth_code: str | None = None
    evidence: tuple[Evidence, ...] = ()
    disposition: Disposition | None = None
    slips: int = 0
    blank: bool = False
    wallet: str | None = None
    order: Order | None = None
    customer: str | None = None
    repeated_by: str | None = None
    perhaps_repeated_by: str | None = None
    by_hand: ByHand | None = None
    undone_by: str | None = None
    undoings: tuple[str, ...] = ()  # voids and refunds that name it, whatever became of them
    resolution: str | None = None
    account: Account | None = None
    refund: Refund | None = None
    acknowledged: str | None = None  # the advice that a person has read once the day was over
    asks: int = 0  # requests made of the payment app about it: the last one's ordinal
    request: str | None = None  # the question that is open at the app before the doubt is committed
    trigger: bool = False  # a sale of one fen that only set the app's reversal off (P22): it replaces nothing

    @property
    def partial(self) -> bool:
        """True when the host approved less than was asked for."""
        return self.approved_fen is not None and self.approved_fen < self.amount_fen

    @property
    def open(self) -> bool:
        """True while something about it can still change by itself or is somebody's to decide."""
        return self.state not in CLOSED or self.due_ms is not None or self.owes

    @property
    def owes(self) -> bool:
        """True while the settlement files leave something to wait for or to do."""
        return (self.account is not None and self.account.case != "even") or (self.refund is not None and self.refund.open)

    @property
    def links(self) -> tuple[str, ...]:
        """The transactions by which it is judged: repeats, replacements, and what undid it or was to undo it."""
        replaced_by = self.disposition.replaced_by if self.disposition is not None else None
        return (*filter(None, (self.repeated_by, self.perhaps_repeated_by, self.undone_by, replaced_by)), *self.undoings)


CLOSED = frozenset({"approved", "declined", "not_sent", "reversed", "no_original", "paid", "closed", "refunded", "resolved"})


class Reversal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The 0400 of one transaction (same `id`). `fields` is committed once: every resend differs only in F39 and F64.

    `sends` counts all sends, `sends_left` those of the open opportunity; `due_ms` is the reply deadline while `sending`,
    else the moment from which the next opportunity may open; `silent_since_ms` is the earliest send
    that the next answer may belong to. `adopted`: the payment app sends this one itself, seen in the
    relay, and the agent does not; `due_ms` is then how long its answer is awaited. `waiting_sign_in`: it waits for keys and
    holds up nobody; with `mac_gone` for whoever makes the MAC, and then whatever opens an opportunity tries again. A
    settlement that was asked for waits until `settle_at` opportunities were used. In mode
    `payapp` a send is a request to the app: `request` is the one that is open, `ask` what is asked for, `hand` why a person is
    needed, `began` when it was opened, `said_ms` when the app last said anything about it, `repeats` how often it spoke of
    it after its end, `unasked` that its kernel reversed by itself. `host_day` is the day (MMDD) that the host named first in
    an answer to it, or `earlier` when the request is older than that day.
    """

    id: str
    number: int
    state: str
    terminal_id: str
    batch: str
    reason: str
    fields: dict[str, str]
    vault: str | None
    sends: int = 0
    sends_left: int = 0
    key_answers: int = 0
    opportunities: int = 0
    last_send_ms: int | None = None
    earlier_send_ms: int | None = None
    silent_since_ms: int | None = None
    backoff_ms: int = 0
    due_ms: int | None = None
    first_used: bool = False
    waiting_sign_in: bool = False
    mac_gone: bool = False
    asked_again: bool = False
    batch_closed: bool = False
    response_code: str | None = None
    settle_at: int | None = None
    request: str | None = None
    ask: Ask = "flush_reversals"
    hand: str | None = None
    began: Stamp | None = None
    said_ms: int | None = None
    repeats: int = 0
    unasked: bool = False
    adopted: bool = False
    host_day: str | None = None

    @property
    def open(self) -> bool:
        """True while a 0400 may still be sent for it by itself, or its vault is still kept for one."""
        return self.state in PENDING or self.vault is not None or self.due_ms is not None

    @property
    def pending(self) -> bool:
        """True while the agent itself goes on sending it."""
        return self.state in PENDING

    @property
    def blocks(self) -> bool:
        """True while a new online transaction must let it go first: its first opportunity is running or due."""
        return self.state in PENDING and not self.first_used and not self.waiting_sign_in

    @property
    def holds_settlement(self) -> bool:
        """True while a settlement that was asked for must let it go first; what waits for a sign-in holds up nothing."""
        if self.state not in PENDING or self.waiting_sign_in or self.settle_at is None:
            return False
        return self.opportunities < self.settle_at or self.state == "sending" or self.sends_left > 0


PENDING = frozenset({"pending", "sending", "exhausted"})


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a person may have to act on: it always names an owner and a next action while it is open."""

    id: str
    number: int
    code: str
    transaction: str | None
    opened: Stamp
    open: bool
    owner: Owner
    next_action: str
    closed: Stamp | None = None
    resolution: str | None = None


class DocumentLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One printed line; `size` 2 is double width and height. `right` stands at the right edge, `fill` before it."""

    text: str
    align: Literal["left", "center", "right"] = "left"
    size: Literal[1, 2] = 1
    bold: bool = False
    right: str | None = None
    fill: Literal[" ", "-", "=", "_", "."] = " "


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be printed, before columns and bytes."""

    lines: tuple[DocumentLine, ...]
    qr: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One print job of the spool. `marked` jobs are copies and say 重打印凭证/DUPLICATED."""

    id: str
    number: int
    transaction: str | None
    what: Literal["receipt", "notice", "fault_note", "guarantee", "test"]
    state: str
    document: Document
    marked: bool = False
    due_ms: int | None = None
    accepted_bytes: int = 0
    total_bytes: int = 0

    @property
    def open(self) -> bool:
        """True while it may still print by itself, or is at the printer."""
        return self.state in {"WAITING", "UNPRINTED", "INTENT"}


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The batch that a terminal id is in (None: of all that have none of their own), and how far its settlement is.

    `number` None: not known. `held_since_ms`: since when its settlement is not let go, in one streak.
    """

    terminal_id: str | None
    number: str | None = None
    state: BatchState = "open"
    held_since_ms: int | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The agent's own row: which boot this is, the policy in force, the batches, the gate. There is one, id "agent".

    `batches` are those of terminal ids, oldest news first; for every other one `batch` and what goes with it hold.
    """

    id: str = "agent"
    boot_id: str = ""
    boots: int = 0
    version: str = ""
    policy: Policy = Policy()
    batch: str | None = None
    batch_state: BatchState = "open"
    batches: tuple[Batch, ...] = ()
    next_number: int = 1
    newest: int = 0
    refused_since_ms: int | None = None
    settlement_since_ms: int | None = None
    host_day: str | None = None
    host_day_until_ms: int = 0
    pulls: bool = False  # a payment app without a port listens for our requests
    unsold: int = 0  # sales in a row that the app did not send while a reversal waited
    open: bool = True


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The agent's own line to the host. `up` None = not known; `connected` = a session is open for our sends, with `host`."""

    id: str = "line"
    up: bool | None = None
    connected: bool = False
    host: Literal["primary", "backup"] = "primary"
    wanted: Literal["now", "watch", "none"] = "none"
    echo: Literal["none", "owed", "sent"] = "none"
    due_ms: int | None = None
    open: bool = True


class Printer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the printer last said. `fault` is "none", "unknown" or a stable code; `watched` = being asked again.

    The counters are of this journal's life: jobs of which bytes left, their lines, and jobs that did not come out whole.
    """

    id: str = "printer"
    fault: str = "unknown"
    paper: Literal["ok", "near_end", "out", "unknown"] = "unknown"
    watched: bool = False
    printed: int = 0
    printed_lines: int = 0
    failures: int = 0
    open: bool = True


class Display(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the customer display can be written to. `fault` is "unknown", "mute" (it can) or a stable code."""

    id: str = "display"
    fault: str = "unknown"
    open: bool = True


class Streaks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Proven failures in a row per customer, newest last: (keyed hash of the customer's token, how many)."""

    id: str = "streaks"
    failures: tuple[tuple[str, int], ...] = ()
    open: bool = True


Row = Transaction | Reversal | Incident | Job | Agent | Line | Printer | Display | Streaks | Ledger | CommandBook
