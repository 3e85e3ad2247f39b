"""The simulated acquirer's books: what each transaction debited and credited, which is the truth of a test."""

from collections.abc import Iterator

import msgspec

ENTRIES_MAX = 1_000_000

Key = tuple[str, str, str]  # terminal, batch, STAN


class Entry(msgspec.Struct):
    """One transaction. Not frozen: it is an account, and a simulated world books millions of times."""

    terminal_id: str
    merchant_id: str
    batch: str
    stan: str
    kind: str
    amount_fen: int  # what was approved
    asked_fen: int  # what was asked for
    direction: int = 0  # +1 takes from the customer, -1 gives back
    holds: bool = False  # the amount is only kept back
    f25: str = ""
    f61: str = ""
    date: str = ""  # the host's date, MMDD
    authorisations: int = 0
    debits_fen: int = 0
    credits_fen: int = 0
    reversals: int = 0  # accepted ones; a repeated one counts and books nothing
    repeats: int = 0  # the same message that came again and was answered again
    reversed: bool = False
    voided: bool = False
    completed: bool = False
    refunded_fen: int = 0
    original: Key | None = None

    @property
    def net_debit_fen(self) -> int:
        """What the customer has paid by this transaction alone; negative for a void that stands."""
        return self.debits_fen - self.credits_fen

    @property
    def held_fen(self) -> int:
        """What is kept back from the customer and not taken yet."""
        return 0 if self.reversed or self.voided or self.completed or not self.holds else self.amount_fen

    def book(self, direction: int) -> None:
        """Take the amount from the customer (+1) or give it back (-1)."""
        if direction > 0:
            self.debits_fen += self.amount_fen
        elif direction < 0:
            self.credits_fen += self.amount_fen


class Ledger:
    """All transactions by (terminal, batch, STAN), in the order of their arrival."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._settled: set[tuple[str, str]] = set()
        self.changes = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, terminal_id: str, batch: str, stan: str) -> Entry | None:
        """The transaction of that name, if it was ever booked."""
        return self._entries.get((terminal_id, batch, stan))

    def open(self, entry: Entry) -> bool:
        """Authorise and book a new transaction. False, and nothing booked, when the books are full."""
        if len(self._entries) >= ENTRIES_MAX:
            return False
        self._entries[entry.terminal_id, entry.batch, entry.stan] = entry
        entry.authorisations = 1
        entry.book(entry.direction)
        self.changes += 1
        return True

    def reverse(self, entry: Entry) -> None:
        """Undo a transaction; only the first time books."""
        if not entry.reversed:
            entry.reversed = True
            entry.book(-entry.direction)
        entry.reversals += 1
        self.changes += 1

    def repeat(self, entry: Entry) -> None:
        """The same message came again: it was taken already, and books nothing."""
        entry.repeats += 1
        self.changes += 1

    def settle(self, terminal_id: str, batch: str) -> tuple[int, int, int, int]:
        """Close a batch. Debits in fen, their number, credits in fen, their number; what was undone does not count."""
        self._settled.add((terminal_id, batch))
        self.changes += 1
        standing = [
            entry for entry in self
            if (entry.terminal_id, entry.batch) == (terminal_id, batch) and not entry.reversed
        ]
        debits = [entry.amount_fen for entry in standing if entry.direction > 0]
        credits_ = [entry.amount_fen for entry in standing if entry.direction < 0]
        return sum(debits), len(debits), sum(credits_), len(credits_)

    def is_settled(self, terminal_id: str, batch: str) -> bool:
        """True when the batch is closed: nothing in it can be undone any more."""
        return (terminal_id, batch) in self._settled

    def rows(self) -> list[dict[str, object]]:
        """The books as plain data, one row per transaction, for files and for comparing with a journal."""
        return [
            {
                "terminal_id": entry.terminal_id, "merchant_id": entry.merchant_id, "batch": entry.batch,
                "stan": entry.stan, "kind": entry.kind, "date": entry.date, "amount_fen": entry.amount_fen,
                "authorisations": entry.authorisations, "debits_fen": entry.debits_fen,
                "credits_fen": entry.credits_fen, "reversals": entry.reversals, "repeats": entry.repeats,
                "net_debit_fen": entry.net_debit_fen, "held_fen": entry.held_fen,
            }
            for entry in self
        ]
