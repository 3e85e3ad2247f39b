"""The rules' values: everything an acquirer may want otherwise. Comes from configuration and profile, travels in `Booted`.

`docs/card-rail.md` explains each; `docs/profiles.md` shows them for both profiles that come with the program.
"""

from typing import Literal

import msgspec

from agent.core.profile import UNIONPAY_KINDS, Answers, Kind, Messages, Reasons, Reversal
from agent.core.wallets import WalletRule


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Defaults are UnionPay's. The sections are those of a profile file."""

    mode: Literal["direct", "relay", "payapp"] = "direct"
    sent_reporting: bool = True
    line_leased: bool = False  # the host takes one session a terminal: ours and the payment app's never at the same time
    slips: bool = True
    slips_per_transaction: int = 1

    # Times, milliseconds.
    intent_timeout_ms: int = 600_000  # an intent nobody asked about any more; it never got `go`
    answer_timeout_ms: int = 65_000
    go_valid_ms: int = 10_000
    reply_timeout_ms: int = 30_000
    echo_timeout_ms: int = 30_000
    spacing_ms: int = 60_000
    backoff_min_ms: int = 60_000
    backoff_max_ms: int = 1_800_000
    no_original_after_ms: int = 60_000
    no_original_keep_ms: int = 600_000
    bypass_after_ms: int = 180_000
    ask_before_ms: int = 5_000  # so long before the answer timer ends the payment app is asked what it knows
    asks_app: bool = False  # the payment app has a port of its own
    job_age_max_ms: int = 86_400_000  # a slip that waited longer must not come out of the printer unasked
    wait_retry_ms: int = 1_000
    refuse_retry_ms: int = 3_000

    sends_per_opportunity: int = 3
    key_answers_max: int = 3
    settlement_while_pending: Literal["wait", "refuse", "pass"] = "wait"  # what an 0500 does while reversals are pending
    pending_after: Literal["expire", "send"] = "expire"  # what is still pending when its batch is closed
    host_day: bool = True  # F15 of an answer is the business day; false where an acquirer puts something else there
    require_mac: bool = True  # an 0410 with 00 must carry F64

    kinds: tuple[Kind, ...] = UNIONPAY_KINDS
    messages: Messages = Messages()
    reversal: Reversal = Reversal()
    reasons: Reasons = Reasons()
    answers: Answers = Answers()

    # Wallets: without a rule a wallet is not taken on this terminal.
    wallets: tuple[WalletRule, ...] = ()
    release_on_evidence: bool = False  # complete evidence lets the manager release goods, and forbids a cancel for ever
    evidence_window_ms: int = 600_000  # how far the time that a customer shows may be from ours

    # The business day: the host's date begins at the cut-off. China keeps one time zone.
    cutoff_minute: int = 1_380
    utc_offset_minutes: int = 480

    # The settlement calendar: weekdays (Monday is 0) and single days (since 1970) on which the acquirer settles or does not.
    settles: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    holidays: tuple[int, ...] = ()
    extra_days: tuple[int, ...] = ()
    grace_days: int = 2  # settlement days after the D+1 file before a missing line means "not settled"
    later_kinds: tuple[str, ...] = ()  # kinds that settle a day later than the others (T+2)

    terminal_id: str = ""
    merchant_name: str = ""
    hotline: str = ""
    lang: Literal["zh", "en"] = "zh"
    has_printer: bool = True
    has_display: bool = False

    @property
    def asked_first(self) -> bool:
        """True when nothing is sent without a `go`: in the relay the agent itself forwards, whatever the app can do."""
        return self.sent_reporting or self.mode == "relay"

    def kind(self, name: str) -> Kind:
        """The rules of this kind; those of a kind that is only watched when the profile does not list it."""
        for kind in self.kinds:
            if kind.name == name:
                return kind
        return _WATCHED

    def wallet(self, name: str | None) -> WalletRule | None:
        """The rule of this wallet, or None where it is not configured."""
        for rule in self.wallets:
            if rule.name == name:
                return rule
        return None


_WATCHED = Kind()
