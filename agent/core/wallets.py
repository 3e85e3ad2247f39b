"""What each wallet's rules are: how often to ask, when to give up, when an order may be cancelled, and every bound.

Sources: the wallets' public interface documents (WeChat Pay's micropay, query and reverse; Alipay's trade.pay, query and
cancel). Their times are advice, and an acquirer may want others: all of it is a profile value (`[wallet] rules`).
"""

from typing import Annotated, Literal

import msgspec

from agent.core.profile import TimerMs, says

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


_Poll = Annotated[int, says("whole milliseconds, 1 to 86400000 (a day)", "整数毫秒，1 到 86400000(一天)", ge=1, le=DAY_MS)]
_Window = Annotated[
    int, says("whole milliseconds, 0 to 2592000000 (30 days)", "整数毫秒，0 到 2592000000(30 天)", ge=0, le=30 * DAY_MS)
]
_Times = Annotated[int, says("1 to 1000", "1 到 1000", ge=1, le=1_000)]
_Looks = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=1, le=DAY_MS)], ...],
    says("at most 5 times in milliseconds, like [60000, 600000]", "最多 5 个毫秒数，如 [60000, 600000]", max_length=5),
]


class WalletRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One wallet. Times are milliseconds; online time is counted only while the gateway is in reach.

    `cancel_after_ms` and `cancel_window_ms` run from the payment; `paying_refuses`: while the customer is asked for a
    password the wallet takes no cancel. `paying_poll_ms` is the slow pace: while the customer pays, and after giving up;
    `offline_poll_ms` the slowest while the gateway is out of reach. `settles`: a file every day, or by the acquirer's calendar.
    """

    name: str = ""
    query: bool = True
    cancel: bool = True
    paying_refuses: bool = False
    poll_ms: _Poll = 5 * SECOND_MS
    paying_poll_ms: _Poll = MINUTE_MS
    offline_poll_ms: _Poll = 5 * MINUTE_MS
    give_up_ms: TimerMs = MINUTE_MS
    cancel_after_ms: TimerMs = 0
    cancel_window_ms: _Window = DAY_MS
    call_timeout_ms: _Poll = 10 * SECOND_MS
    queries_max: _Times = 120
    online_max_ms: TimerMs = 2 * HOUR_MS
    cancels_max: _Times = 10
    refunds_max: _Times = 5
    looks_max: _Times = 60  # at a closed order, whatever was asked before
    recheck_ms: _Looks = (MINUTE_MS, 10 * MINUTE_MS)  # after closing: did a payment come late all the same?
    settles: Literal["daily", "acquirer"] = "daily"


WECHAT = WalletRule(
    name="wechat", paying_refuses=True, give_up_ms=30 * SECOND_MS, cancel_after_ms=15 * SECOND_MS, cancel_window_ms=7 * DAY_MS,
)
ALIPAY = WalletRule(name="alipay")
UNIONPAY_QR = WalletRule(name="unionpay_qr", cancel_after_ms=15 * SECOND_MS)
BESTPAY = WalletRule(name="bestpay", give_up_ms=30 * SECOND_MS, cancel_after_ms=15 * SECOND_MS)

DEFAULTS: tuple[WalletRule, ...] = (WECHAT, ALIPAY, UNIONPAY_QR, BESTPAY)
