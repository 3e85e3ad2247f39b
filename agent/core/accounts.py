"""What settlement files leave behind: their lines, what they prove of a transaction, and the refund that follows from it."""

from typing import Literal

import msgspec


class Settled(msgspec.Struct, frozen=True, array_like=True):
    """One line of a settlement file. `number` is its line in the file; `named` is ours with its RRN, found at the way in.

    `order_no` is kept as it is where it is one of ours, else masked.
    """

    number: int
    day: int
    direction: Literal["debit", "credit"]
    amount_fen: int
    batch: str | None = None
    stan: str | None = None
    rrn: str | None = None
    nth: int = 1
    named: str | None = None
    order_no: str | None = None


class BookedLine(msgspec.Struct, frozen=True, array_like=True):
    """One line of a settlement file that is about a transaction. `day` is the settlement date in days since 1970.

    `nth` tells equal lines of one file apart, so that the same line in a later file is not counted again.
    """

    day: int
    direction: Literal["debit", "credit"]
    amount_fen: int
    rrn: str | None = None
    nth: int = 1


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the settlement files say of one transaction, and what is owed because of it (`case`, see `verdict`).

    `amounts_fen` may stand in a file (with tips and adjustments); `undone_fen` is what was booked for its undoing by hand;
    `other_day`: of the last line that has its number and an amount that nobody here knows of, as after a partial approval that
    was lost.
    """

    lines: tuple[BookedLine, ...] = ()
    amounts_fen: tuple[int, ...] = ()
    undone_fen: int = 0
    other_day: int | None = None
    verdict: Literal["awaited", "settled", "not_settled", "uneven"] = "awaited"
    final: bool = False
    case: str = "wait"


class Refund(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The refund work item of one transaction: there is one at most, with one number, and never more than was booked."""

    number: str
    state: str
    due_fen: int
    refunded_fen: int = 0
    confirmed_by: str | None = None

    @property
    def open(self) -> bool:
        """True while a person has to do something about it."""
        return self.state in {"wanted", "open"}


class Ledger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which settlement dates (days since 1970) and files were imported, newest last; when people were last reminded.

    `days` are those of the card acquirer; each wallet has its own, by its name. A file of another terminal than the configured
    one says nothing of this one: its days stand `elsewhere`, by terminal and source.
    """

    id: str = "ledger"
    days: tuple[int, ...] = ()
    statements: tuple[str, ...] = ()
    reminded: int | None = None
    wallet_days: dict[str, tuple[int, ...]] = {}
    elsewhere: dict[str, dict[str, tuple[int, ...]]] = {}
    open: bool = True

    def covered(self, wallet: str | None, other: str | None = None) -> tuple[int, ...]:
        """The settlement dates whose files were imported: of this wallet, or of the card acquirer; of the `other` terminal."""
        if other is not None:
            return self.elsewhere.get(other, {}).get(wallet or "card", ())
        return self.days if wallet is None else self.wallet_days.get(wallet, ())
