"""One payment that the app tries: what it asked, did, heard, reported and showed."""

from tests.sim.acquirer import Key
from tests.sim.kinds import KINDS, Kind, f61


class Attempt:
    """`released`: the cashier gave the goods away. `unheard`: nobody will ever report the host's answer.

    `approved_fen` is what the host approved, as far as it did. `repeats`: how often the same message went again; `overtaken`: the
    host booked one of them after it `refused` another.

    In the relay: `life` of the agent that has its `connection`, `hung_at` when that ended, `own`: the app reverses it itself.
    """

    __slots__ = (
        "amount_fen", "answer", "approved_fen", "asked_at", "basket", "batch", "connection", "contradicted", "eager", "go_at",
        "heard", "hung_at", "id", "key", "kind", "last4", "life", "opened", "original", "overtaken", "own", "own_done",
        "refused", "released", "repeats", "replaces", "reported", "rules", "said", "shown", "stan", "tardy", "terminal", "tries",
        "unheard",
    )

    def __init__(self, basket: int, kind: str, amount_fen: int, original: "Attempt | None", replaces: str | None) -> None:
        self.basket = basket
        self.kind = kind
        self.rules: Kind = KINDS[kind]
        self.amount_fen = amount_fen
        self.original = original
        self.replaces = replaces
        self.id = self.terminal = self.batch = self.stan = self.last4 = ""
        self.key: Key = ("", "", "")
        self.opened = self.eager = self.tardy = self.released = self.reported = self.contradicted = self.unheard = False
        self.asked_at: int | None = None
        self.go_at: int | None = None
        self.answer = self.heard = self.shown = None  # type: str | None
        self.said: tuple[str | None, str | None] = (None, None)  # the host's day and time in its answer
        self.tries = 0
        self.life: int | None = None
        self.connection = 0
        self.hung_at: int | None = None
        self.own = self.own_done = self.refused = self.overtaken = False
        self.approved_fen = amount_fen
        self.repeats = 0

    @property
    def date(self) -> str:
        """The day that its answer says (F13, MMDD): each has its own, so that nobody can work it out."""
        number = int(self.stan)
        return f"{1 + number % 12:02d}{1 + number % 28:02d}"

    @property
    def f60(self) -> str:
        """Its type and batch, as request, reversal and answers say them."""
        return f"{self.rules.type}{self.batch}000"

    @property
    def f61(self) -> str:
        """What it says of its original."""
        return "" if self.original is None else f61(self.kind, self.original.key[1:], self.original.date)

    @property
    def full_fen(self) -> int:
        """What it moves when the host booked it: fen taken or held, negative when given back or let go."""
        return self.rules.direction * self.approved_fen

    def reversal(self) -> dict[str, str]:
        """The fields of its 0400 that name it."""
        fields = {
            "3": self.rules.f3, "4": f"{self.amount_fen:012d}", "11": self.stan, "25": self.rules.f25,
            "41": self.terminal, "42": "898310148160001", "60": self.f60,
        }
        return fields | ({"61": self.f61} if self.f61 else {})
