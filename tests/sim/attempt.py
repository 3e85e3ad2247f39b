"""One payment that the app tries: what it asked, did, heard, reported and showed."""

from tests.sim.acquirer import Key


class Attempt:
    """`released`: the cashier gave the goods away. `unheard`: nobody will ever report the host's answer.

    In the relay: `life` of the agent that has its connection, `hung_at` when that ended, `own`: the app reverses it itself.
    """

    __slots__ = (
        "amount_fen", "answer", "asked_at", "basket", "contradicted", "eager", "go_at", "heard", "hung_at", "id", "key", "kind",
        "life", "opened", "original", "own", "own_done", "released", "replaces", "reported", "shown", "stan", "tardy", "tries",
        "unheard",
    )

    def __init__(self, basket: int, kind: str, amount_fen: int, original: "Attempt | None", replaces: str | None) -> None:
        self.basket = basket
        self.kind = kind
        self.amount_fen = amount_fen
        self.original = original
        self.replaces = replaces
        self.id = self.stan = ""
        self.key: Key = ("", "")
        self.opened = self.eager = self.tardy = self.released = self.reported = self.contradicted = self.unheard = False
        self.asked_at: int | None = None
        self.go_at: int | None = None
        self.answer = self.heard = self.shown = None  # type: str | None
        self.tries = 0
        self.life: int | None = None
        self.hung_at: int | None = None
        self.own = self.own_done = False
