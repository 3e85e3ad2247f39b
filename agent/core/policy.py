"""The rules' values: everything an acquirer may want otherwise. Comes from configuration, travels in `Booted`.

Sources: the 2002 UnionPay POS field document and the interchange response-code annex; `docs/card-rail.md` explains each.
"""

from typing import Literal

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Defaults are UnionPay's. Codes are whole two-character F39 values, compared whole, never as substrings."""

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
    job_age_max_ms: int = 86_400_000  # a slip that waited longer must not come out of the printer unasked
    wait_retry_ms: int = 1_000
    refuse_retry_ms: int = 3_000

    sends_per_opportunity: int = 3
    key_answers_max: int = 3
    settlement_while_pending: Literal["wait", "refuse", "pass"] = "wait"  # what an 0500 does while reversals are pending
    require_mac: bool = True  # an 0410 with 00 must carry F64

    # Which kinds a 0400 may undo, with their processing code F3 and message type F60.1.
    reversible: tuple[tuple[str, str, str], ...] = (("sale", "000000", "22"), ("void", "200000", "23"))
    network: str = "000"  # F60.3

    approval: tuple[str, ...] = ("00", "10", "11", "16", "A2", "A4", "A5", "A6")
    uncertain: tuple[str, ...] = ("68", "91", "96", "98")
    accepted: tuple[str, ...] = ("00",)
    no_original: tuple[str, ...] = ("12", "25")
    key: tuple[str, ...] = ("A0", "77", "99", "A7")
    done_elsewhere: tuple[str, ...] = ("22", "94")
    permanent: tuple[str, ...] = ("03", "13", "14", "30", "58", "64", "97")

    # The business day: the host's date begins at the cut-off. China keeps one time zone.
    cutoff_minute: int = 1_380
    utc_offset_minutes: int = 480

    terminal_id: str = ""
    merchant_name: str = ""
    hotline: str = ""
    lang: Literal["zh", "en"] = "zh"
    has_printer: bool = True
