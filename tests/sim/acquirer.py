"""The host with its ledger: books what it takes, reverses what it knows, and answers as hosts of different kinds do."""

from random import Random

LATER = ("68", "90", "91", "92", "96", "98", "ZZ")
PERMANENT = ("03", "13", "14", "30", "58", "64", "97")
ELSEWHERE = ("22", "94")
KEY = ("A0", "77", "99", "A7")
DECLINES = ("51", "55", "05", "91", "68", "96")
Key = tuple[str, str]


class Entry:
    """One booked transaction: +1 takes money, -1 gives it back. The same key is never booked twice."""

    __slots__ = ("amount_fen", "day", "direction", "original", "reversed")

    def __init__(self, direction: int, amount_fen: int, original: Key | None, day: int) -> None:
        self.direction = direction
        self.amount_fen = amount_fen
        self.original = original
        self.reversed = False
        self.day = day


class Acquirer:
    """One host. `repeated` is what it says to a second 0400, `unknown` to one it has no original for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.book: dict[Key, Entry] = {}
        self.closed: set[str] = set()
        self.day = 0
        self.forgets = False
        self.keys_good = True
        self.says_day = random.random() < 0.7  # F15 and F12 in its answers
        self.repeated = ("00", "00", "25", "22", "94")[int(random.random() * 5)]
        self.unknown = ("25", "12")[int(random.random() * 2)]

    def take(self, key: Key, kind: str, amount_fen: int, original: Key | None, decline: str | None) -> str:
        """A request arrives: its response code."""
        if key in self.book or key[0] in self.closed:
            return "94"
        if decline is not None:
            return decline
        if original is not None:
            sold = self.book.get(original)
            if sold is None or sold.reversed:
                return "25"
        self.book[key] = Entry(-1 if kind == "void" else 1, amount_fen, original, self.day)
        return "00"

    def reverse(self, fields: dict[str, str]) -> str:
        """An 0400 arrives: its response code."""
        if not self.keys_good:
            return "A0"
        batch, stan = fields["60"][2:8], fields["11"]
        entry = self.book.get((batch, stan))
        if entry is None or (batch in self.closed) or (self.forgets and entry.day != self.day):
            return self.unknown
        if entry.amount_fen != int(fields["4"]):
            return "64"
        if entry.reversed:
            return self.repeated
        entry.reversed = True
        return "00"

    def net(self, key: Key) -> int:
        """What this transaction has moved at the end: fen taken from the customer, negative when given back."""
        entry = self.book.get(key)
        return 0 if entry is None or entry.reversed else entry.direction * entry.amount_fen
