"""Which transaction a line of a settlement file is about.

Matching key: the RRN or the order number first, then batch and STAN; the amount must be one that may stand there. A line whose
RRN or order number is ours and whose amount is not is unmatched; a credit of an order may be a part, since it names the order.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from agent.core.accounts import Settled
from agent.core.model import Transaction
from agent.core.verdict import amounts, day_of

DATE_SLACK_DAYS = 31  # a STAN comes round again: a line so long after, or a day before, is about another transaction


class Match(NamedTuple):
    """What a line is about, or why it is about nothing of ours."""

    row: Transaction | None
    why: Literal["unknown", "amount", "rrn", "order", "ambiguous", "full"] = "unknown"
    numbered: Transaction | None = None  # the one whose number it has, when only the amount is another


class Families:
    """The transactions of `keys` that a file may be about, as they are in `current` at each question.

    They are listed by their number once, so that a file of ten thousand lines is not held ten thousand times against all of them.
    """

    def __init__(self, current: Mapping[str, Transaction], keys: Iterable[str], terminal_id: str) -> None:
        self._current = current
        self._mine: set[str] = set()
        self._keyed: dict[tuple[str | None, str | None], list[str]] = {}
        self._ordered: dict[str, list[str]] = {}
        self._added: dict[tuple[str, str, str], list[Transaction]] = {}
        for key in keys:
            row = current.get(key)
            if row is None:
                continue
            if row.terminal_id == terminal_id:
                self._mine.add(row.id)
                self._keyed.setdefault((row.batch, row.stan), []).append(row.id)
                if row.order is not None:
                    self._ordered.setdefault(row.order.order_no, []).append(row.id)
            if row.original is not None:
                self._added.setdefault((row.terminal_id, row.original.batch, row.original.stan), []).append(row)

    def match(self, line: Settled) -> Match:
        """The transaction that a line is about."""
        if line.named is not None and line.named in self._mine:
            row = self._current[line.named]
            return Match(row) if line.amount_fen in self.amounts(row) else Match(None, "amount", row)
        own = self._ordered.get(line.order_no or "", [])
        keyed = [self._current[key] for key in own or self._keyed.get((line.batch, line.stan), [])]
        if len(keyed) > 1:
            keyed = [row for row in keyed if row.state != "not_sent"] or keyed[-1:]
        if len(keyed) > 1:  # a clock may have been wrong, so the date only decides between several
            keyed = [row for row in keyed if _near(row, line.day)] or keyed
        if not keyed:
            return Match(None, "unknown")
        if len(keyed) > 1:
            return Match(None, "ambiguous")
        row = keyed[0]
        if line.rrn is not None and row.rrn is not None and line.rrn != row.rrn:
            return Match(None, "rrn")
        if not own and line.order_no is not None and row.order is not None:
            return Match(None, "order")
        may = self.amounts(row)
        part = bool(own) and line.direction == "credit" and line.amount_fen < max(may)
        return Match(row) if line.amount_fen in may or part else Match(None, "amount", row)

    def amounts(self, row: Transaction) -> tuple[int, ...]:
        """The amounts that may stand in a file for it, with the tips and adjustments among these families."""
        known = row.account.amounts_fen if row.account is not None else ()
        return known or amounts(row, self._added.get((row.terminal_id, row.batch, row.stan), ()))


def order_no(row: Transaction) -> str | None:
    """The merchant's own number of a wallet's order; a card has none."""
    return row.order.order_no if row.order is not None else None


def _near(row: Transaction, day: int) -> bool:
    """True when a line of this settlement date may be about it; with an unknown day nothing speaks against it."""
    mine = day_of(row)
    return mine is None or -1 <= day - mine <= DATE_SLACK_DAYS


def agrees(line: Settled, row: Transaction) -> bool:
    """True for what is plainly right: the one debit of an approved sale, in its own day's file, with nothing else about it."""
    return (
        row.state in {"approved", "paid"} and row.kind == "sale" and row.account is None and row.refund is None and not row.links
        and row.by_hand is None and line.direction == "debit" and line.nth == 1
        and line.amount_fen in amounts(row) and day_of(row) == line.day and line.order_no in {None, order_no(row)}
    )
