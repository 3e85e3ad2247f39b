"""The host with its ledger: books what it takes, reverses what it knows, and answers as hosts of different kinds do."""

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sim.attempt import Attempt

LATER = ("68", "90", "91", "92", "96", "98", "ZZ")
PERMANENT = ("03", "13", "14", "30", "58", "64", "97")
ELSEWHERE = ("22", "94")
KEY = ("A0", "77", "99", "A7")
DECLINES = ("51", "55", "05", "91", "68", "96")
Key = tuple[str, str, str]  # terminal id, batch, STAN: two that share only some of these are two transactions


class Entry:
    """One booked transaction: +1 takes or holds money, -1 gives it back or lets go. The same key is never booked twice."""

    __slots__ = ("amount_fen", "asked_fen", "day", "direction", "f3", "f25", "f61", "kind", "original", "reversed", "reversible")

    def __init__(self, attempt: "Attempt", day: int) -> None:
        rules = attempt.rules
        self.kind = attempt.kind
        self.direction = rules.direction
        self.amount_fen = attempt.approved_fen
        self.asked_fen = attempt.amount_fen
        self.original = None if attempt.original is None else attempt.original.key
        self.f3, self.f25, self.f61 = rules.f3, rules.f25, attempt.f61
        self.reversible = rules.in_doubt == "reverse"
        self.reversed = False
        self.day = day


class Acquirer:
    """One host. `repeated` is what it says to a second 0400, `unknown` to one it has no original for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.book: dict[Key, Entry] = {}
        self.closed: set[tuple[str, str]] = set()  # terminal id and batch
        self.day = 0
        self.forgets = False
        self.keys_good = True
        self.says_day = random.random() < 0.7  # F15 and F12 in its answers
        self.repeated = ("00", "00", "25", "22", "94")[int(random.random() * 5)]
        self.unknown = ("25", "12")[int(random.random() * 2)]

    def take(self, attempt: "Attempt", decline: str | None, partial_fen: int = 0) -> str:
        """A request arrives: its response code. What may be repeated was taken already when it comes again."""
        key, booked = attempt.key, self.book.get(attempt.key)
        if booked is not None and attempt.rules.in_doubt == "repeat":
            return "00"
        if booked is not None or key[:2] in self.closed:
            return "94"
        if decline is not None:
            attempt.refused = True
            return decline
        if attempt.original is not None:
            sold = self.book.get(attempt.original.key)
            if sold is None or sold.reversed:
                return "25"
        attempt.approved_fen = partial_fen or attempt.amount_fen
        attempt.overtaken = attempt.refused
        self.book[key] = Entry(attempt, self.day)
        return "10" if partial_fen else "00"

    def reverse(self, fields: dict[str, str]) -> str:
        """An 0400 arrives: its response code."""
        if not self.keys_good:
            return "A0"
        key = (fields["41"], fields["60"][2:8], fields["11"])
        entry = self.book.get(key)
        if entry is None or key[:2] in self.closed or (self.forgets and entry.day != self.day):
            return self.unknown
        if (entry.f3, entry.f25, entry.f61) != (fields["3"], fields["25"], fields.get("61", "")):
            return self.unknown
        if not entry.reversible:
            return "58"
        if entry.asked_fen != int(fields["4"]):
            return "64"
        if entry.reversed:
            return self.repeated
        if any(other.original == key and not other.reversed for other in self.book.values()):
            return "22"
        entry.reversed = True
        return "00"

    def booked(self, key: Key) -> bool:
        """True when it was ever booked."""
        return key in self.book

    def net(self, key: Key) -> int:
        """What this transaction has moved at the end: fen taken or held, negative when given back or let go."""
        entry = self.book.get(key)
        return 0 if entry is None or entry.reversed else entry.direction * entry.amount_fen
