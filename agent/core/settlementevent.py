"""What happens on the next day: a settlement file is imported, a person speaks of a refund, or has read what it came to."""

from typing import Literal

from agent.core.accounts import Settled
from agent.core.happening import Happening

Source = Literal["card", "wechat", "alipay", "unionpay_qr", "bestpay"]


class SettlementImported(Happening, frozen=True):
    """One settlement file of this terminal, whole: `days` are the settlement dates it covers.

    The way in leaves out what is plainly right (`agreed` counts it) and names every transaction that the rest may be about
    (`families`), so that what the core decides follows from the event alone. `absent` are approved transactions of these
    days that the file does not have. `statement` names the file's content; `terminal_id` is F41. `covers`: whose files of
    these days it is, because a card acquirer and every wallet settle by themselves: only there a missing line means something.
    """

    statement: str
    terminal_id: str
    days: tuple[int, ...]
    lines: tuple[Settled, ...]
    families: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    agreed: int = 0
    covers: tuple[Source, ...] = ("card",)


class RefundReported(Happening, frozen=True):
    """A person speaks of the refund work item: with `confirmed` that no adjustment or chargeback runs; with an amount
    that so much was refunded.
    """

    transaction: str
    by: str
    confirmed: bool = False
    amount_fen: int | None = None


class Acknowledged(Happening, frozen=True):
    """A person has read what was left open: `code` is the advice they read, `by` their name or number."""

    transaction: str
    code: str
    by: str
