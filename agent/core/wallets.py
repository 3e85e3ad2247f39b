"""What each wallet's rules are: how often to ask, when to give up, when an order may be cancelled, and every bound.

Sources: the wallets' public interface documents (WeChat Pay's micropay, query and reverse; Alipay's trade.pay, query and
cancel). Their times are advice, and an acquirer may want others: all of it is a profile value (`[wallet] rules`).
"""

import msgspec

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class WalletRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One wallet. Times are milliseconds; online time is counted only while the gateway is in reach.

    `cancel_after_ms` and `cancel_window_ms` run from the payment; `paying_refuses`: while the customer is asked for a
    password the wallet takes no cancel. `paying_poll_ms` is the slow pace: while the customer pays, and after giving up.
    """

    name: str
    query: bool = True
    cancel: bool = True
    paying_refuses: bool = False
    poll_ms: int = 5 * SECOND_MS
    paying_poll_ms: int = MINUTE_MS
    give_up_ms: int = MINUTE_MS
    cancel_after_ms: int = 0
    cancel_window_ms: int = DAY_MS
    call_timeout_ms: int = 10 * SECOND_MS
    queries_max: int = 120
    online_max_ms: int = 2 * HOUR_MS
    cancels_max: int = 10
    refunds_max: int = 5
    recheck_ms: tuple[int, ...] = (MINUTE_MS, 10 * MINUTE_MS)  # after closing: did a payment come late all the same?


WECHAT = WalletRule(
    name="wechat", paying_refuses=True, give_up_ms=30 * SECOND_MS, cancel_after_ms=15 * SECOND_MS, cancel_window_ms=7 * DAY_MS,
)
ALIPAY = WalletRule(name="alipay")
UNIONPAY_QR = WalletRule(name="unionpay_qr", cancel_after_ms=15 * SECOND_MS)
BESTPAY = WalletRule(name="bestpay", give_up_ms=30 * SECOND_MS, cancel_after_ms=15 * SECOND_MS)

DEFAULTS: tuple[WalletRule, ...] = (WECHAT, ALIPAY, UNIONPAY_QR, BESTPAY)
