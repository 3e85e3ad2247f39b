"""The wallet's side of a transaction: what is, beside the rows of `model`."""

from typing import Literal

import msgspec


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """The wallet's side of a transaction: what was asked of the gateway so far, and what comes next.

    `calls` numbers the calls: an answer to an earlier one is not taken. `cancels` counts those of which a byte may have
    left, `queries` those by which an order was to be decided, `looks` those at one that is closed. `online_ms` is the time of
    asking with the gateway in reach, counted on from `since_ms` (None: out of reach).
    `trusted`: complete evidence was accepted, so no cancel may ever be asked. `late`: paid after a cancel or a close.
    `found`: our query told that it is paid, not the app. `rival`: a second order of the basket, opened at the merchant's risk.
    `owed_fen`: the wallet is being asked to refund so much of what the files show twice; `owed_asks` counts the queries.
    """

    order_no: str
    call: Literal["query", "cancel", "refund"] | None = None
    following: Literal["query", "cancel", "refund"] = "query"
    calls: int = 0
    queries: int = 0
    cancels: int = 0
    refunds: int = 0
    looks: int = 0
    rechecks: int = 0
    online_ms: int = 0
    since_ms: int | None = None
    backoff_ms: int = 0
    said: str | None = None
    refused: bool = False
    found: bool = False
    trusted: bool = False
    late: bool = False
    abnormal: bool = False
    streak: int = 0
    rival: str | None = None
    owed_fen: int = 0
    owed_asks: int = 0

    @property
    def asked(self) -> int:
        """Every query, of whatever sort."""
        return self.queries + self.looks

    @property
    def busy(self) -> bool:
        """True while an answer is awaited that may still decide, or the wallet is asked for a refund."""
        return self.call is not None or self.owed_fen > 0
