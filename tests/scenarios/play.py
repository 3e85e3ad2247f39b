"""Plays a scenario in a shop: each fact is brought about over the real wires, then what it says is seen is waited for.

Nothing sleeps for a stated time: every look is repeated until it is as written, at most SEEN_WITHIN_S.
"""

from collections.abc import Iterable
from typing import Any

from agent.envelope import PUBLISHED
from tests.scenarios.kernel import FRAMES, Wire
from tests.scenarios.script import ADVICE, Fact, Opening, Passing, Scenario, See
from tests.scenarios.shop import Shop
from tests.scenarios.times import agrees, filled
from tests.support.app import MERCHANT, TERMINAL, receipt, until
from tests.support.terminal import UNIONPAY
from tests.support.wallet import Wallet

SEEN_WITHIN_S = 60.0
ANSWER_MS = 10_000
NOTHING_MS = 50
STORY_LINES_MAX = 60
BATCH = "000001"


class Play:
    """One scenario in one shop."""

    def __init__(self, shop: Shop, scenario: Scenario) -> None:
        self.shop = shop
        self.scenario = scenario
        self.app = shop.agent.app
        self.ids: dict[str, str] = {}
        self.openings: dict[str, Opening] = {}
        self.wire: Wire | None = None
        self.answer: dict[str, Any] = {}
        self.problem: str | None = None
        self.slips_seen = len(shop.slips())
        self.began_after = self.head()

    def run(self) -> None:
        """Every fact, then what must hold after all of them: no further slip, and the broker has heard everything."""
        for number, fact in enumerate(self.scenario.fact, 1):
            try:
                self.play(fact)
            except AssertionError as error:
                self.hang_up()
                raise AssertionError(f"fact {number}, {fact.says!r}: {error}\n{self.story()}") from None
        self.hang_up()
        until(lambda: not self.app.get("/v1/status")["jobs_waiting"], SEEN_WITHIN_S)
        assert self.shop.slips()[self.slips_seen :] == [], "a slip that no fact names"
        self.told_everything()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def play(self, fact: Fact) -> None:
        """Bring the fact about, then look."""
        self.problem = None
        after = self.head()
        if fact.host is not None:
            self.shop.host.order(**fact.host)
        if fact.wallet is not None:
            self.wallet.order(**fact.wallet)
        if fact.printer is not None:
            assert self.shop.paper is not None, "this shop has no printer"
            assert self.shop.paper.order(**fact.printer)["ok"]
        if fact.restart:
            self.shop.restart()
        if fact.open is not None:
            self.open(fact.open)
        for passing in fact.kernel:
            self.pass_through(passing)
        if fact.host_answers is not None:
            self.transact(fact)
        if fact.customer_pays is not None:
            paid = self.openings[fact.of if fact.open is None else fact.open.name]
            self.wallet.pay(paid.order_no or "", paid.amount_fen, fact.customer_pays)
        for what in ("result", "reversal", "evidence", "disposition", "refund", "receipt", "reprint", "guarantee"):
            body = getattr(fact, what)
            if body is not None:
                self.post(f"/v1/transactions/{self.ids[fact.of]}/{what}", self.body(what, fact, body))
        if fact.settlement is not None:
            self.post("/v1/settlements", filled(fact.settlement))
        if fact.resolve is not None:
            self.resolve(fact, fact.resolve)
        assert self.problem == fact.see.problem, f"refused with {self.problem}: {self.answer}"
        self.look(fact.see, after)

    def open(self, opening: Opening) -> None:
        """The app opens a transaction of its terminal."""
        more: dict[str, Any] = {"kind": opening.kind, "batch": BATCH, "sent": opening.asks} | opening.more
        if opening.undoes is not None:
            more["original"] = {"batch": BATCH, "stan": self.openings[opening.undoes].stan, "date": filled("{mmdd}")}
        self.openings[opening.name] = opening
        if opening.wallet is None:
            self.note(*self.app.open(opening.stan, opening.amount_fen, **more))
        else:
            self.post("/v1/transactions", self.order_of(opening) | more)
        self.ids[opening.name] = self.answer.get("id", "")

    def order_of(self, opening: Opening) -> dict[str, Any]:
        """What the app posts after it has scanned a customer's code."""
        rail = {"rail": "bestpay"} if opening.wallet == "bestpay" else {"rail": "wallet", "wallet": opening.wallet}
        identity = {"terminal_id": TERMINAL, "merchant_id": MERCHANT}
        return {"amount_fen": opening.amount_fen, "stan": opening.stan, "order_no": opening.order_no} | rail | identity

    def transact(self, fact: Fact) -> None:
        """The terminal's own line: its request to the host, and what came back."""
        opening = self.openings[fact.of if fact.open is None else fact.open.name]
        original = "" if opening.undoes is None else self.openings[opening.undoes].stan
        patience_ms = NOTHING_MS if fact.host_answers == "nothing" else ANSWER_MS
        port, kind, today = self.shop.host.port, opening.kind, filled("{mmdd}")
        reply = UNIONPAY.transact(
            port, kind, opening.stan, opening.amount_fen, original, date=today, timeout_ms=patience_ms
        )
        heard = "nothing" if reply is None else reply.fields.get(39)
        assert heard == fact.host_answers, f"the host answered {heard}"
        mti = UNIONPAY.kind(kind).mti
        self.same(True, lambda: any(line["stan"] == opening.stan for line in self.shop.host.requests(mti)))

    def pass_through(self, passing: Passing) -> None:
        """The kernel sends a message, on the one connection that it holds."""
        if self.wire is None:
            self.wire = Wire(self.shop.relay_port or self.shop.host.port)
        self.wire.send(FRAMES[passing.message](passing))
        if passing.hears == "nothing":
            mti = "0400" if passing.message == "own_reversal" else "0200"
            self.same(True, lambda: any(line["stan"] == passing.stan for line in self.shop.host.requests(mti)))
        else:
            assert (heard := self.wire.hears()) == passing.hears, f"the terminal heard {heard}"
        if passing.message == "sale" and passing.name not in self.ids:
            self.openings[passing.name] = Opening(stan=passing.stan, amount_fen=passing.amount_fen, name=passing.name)
            lines = [line for line in self.shop.agent.journal(self.began_after) if line["type"] == "transaction.opened"]
            self.ids[passing.name] = next(line["transaction"] for line in lines if line["data"]["stan"] == passing.stan)

    def body(self, what: str, fact: Fact, words: dict[str, Any]) -> dict[str, Any]:
        """What is posted: as written, times filled in. A receipt is a whole one over the amount."""
        fen = self.openings[fact.of].amount_fen
        genuine = receipt(f"{fen // 100}.{fen % 100:02d}")
        named = {name: self.ids.get(str(value)[1:-1], value) for name, value in words.items()}  # {trigger}: its id
        told = (genuine if what == "receipt" else {}) | filled(named)
        return told | {"receipt": genuine} if told.get("receipt") is True else told

    def resolve(self, fact: Fact, words: dict[str, Any]) -> None:
        """A person closes the one open incident of the transaction."""
        incident = next(item["id"] for item in self.detail(fact.of)["incidents"] if item["open"])
        self.post(f"/v1/incidents/{incident}/resolve", words)

    def post(self, path: str, body: dict[str, Any]) -> None:
        """One call of the local API."""
        self.note(*self.app.call("POST", path, body))

    def note(self, status: int, answer: dict[str, Any]) -> None:
        """Remember what the call was answered with."""
        self.answer = answer
        self.problem = None if status < 300 else str(answer["type"]).rpartition(":")[2]

    # ── what is seen ─────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, see: See, after: int) -> None:
        """Wait for everything that is written; AssertionError with what is there instead."""
        if see.proceed is not None:
            assert self.answer.get("proceed") == see.proceed, self.answer
        advice = {name: getattr(see, name) for name in ADVICE if getattr(see, name) is not None}
        if see.code is not None and see.proceed is not None:
            self.equal(filled(advice), self.answer["advice"])  # the gate's answer of this moment
        elif advice or see.state is not None:
            self.wait_for_advice(see, filled(advice))
        if see.jobs is not None:
            self.same(list(see.jobs), lambda: [job["state"] for job in self.detail(see.of)["jobs"]])
        if see.incidents is not None:
            self.same(list(see.incidents), lambda: self.open_incidents(see.of))
        if see.booked_fen is not None:
            self.same(see.booked_fen, lambda: self.booked_fen(self.openings[see.of]))
        if see.cancels is not None:
            self.same(see.cancels, lambda: self.wallet.ledger()[self.openings[see.of].order_no]["cancels"])
        if see.reversals is not None:
            self.same(see.reversals, lambda: self.reversals(see.of))
        if see.cannot_sell is not None:
            self.same(list(see.cannot_sell), lambda: self.app.get("/v1/ready")["reasons"])
        self.wait_for_facts(see, after)
        self.wait_for_slips(see.slips)

    def wait_for_advice(self, see: See, advice: dict[str, Any]) -> None:
        """The state and the code come in time; the words with them are the row's own."""
        wanted = (see.state, see.code)
        self.same(wanted, lambda: self.standing(see))
        self.equal(advice, self.detail(see.of)["advice"])

    def standing(self, see: See) -> tuple[str | None, str | None]:
        """State and advice, as far as they are written."""
        detail = self.detail(see.of)
        return detail["state"] if see.state else None, detail["advice"]["code"] if see.code else None

    def wait_for_facts(self, see: See, after: int) -> None:
        """The journal's facts of the transaction in the order written; others may stand between them."""
        wanted = list(see.facts)

        def missing() -> list[str]:
            told = iter([line["type"] for line in self.entries(see.of, after)])
            return [fact for fact in wanted if fact not in told]

        self.same([], missing)

    def wait_for_slips(self, slips: Iterable[tuple[str, ...]]) -> None:
        """The next slips on the paper, each with its pieces in their order."""
        for pieces in slips:
            until(lambda: len(self.shop.slips()) > self.slips_seen, SEEN_WITHIN_S)
            text = self.shop.slips()[self.slips_seen]
            self.slips_seen += 1
            place = 0
            for piece in pieces:
                found = text.find(piece, place)
                assert found >= 0, f"{piece!r} is not where it belongs on the slip:\n{text}"
                place = found + len(piece)

    def told_everything(self) -> None:
        """What belongs to the fleet has reached the broker in the journal's order; after a kill some of it twice."""
        listener = self.shop.listener
        if listener is None:
            return
        lines = self.shop.agent.journal(self.began_after)
        wanted = [(line["seq"], line["type"]) for line in lines if line["type"].split(".")[0] in PUBLISHED]
        self.same(wanted, lambda: [each for each in dict.fromkeys(listener.heard()) if each[0] > self.began_after])

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def same(self, wanted: Any, look: Any) -> None:
        """The look gives what is wanted, within the bound."""
        seen: list[Any] = [None]

        def ask() -> bool:
            seen[0] = look()
            return bool(seen[0] == wanted)

        try:
            until(ask, SEEN_WITHIN_S)
        except AssertionError:
            raise AssertionError(f"wanted {wanted!r}, seen {seen[0]!r} after {SEEN_WITHIN_S:.0f} s") from None

    def equal(self, wanted: dict[str, Any], seen: dict[str, Any]) -> None:
        """Each wanted word as it is written."""
        wrong = {name: seen[name] for name, value in wanted.items() if not agrees(value, seen[name])}
        assert not wrong, "\n".join(f"{name}: written {wanted[name]!r}, seen {value!r}" for name, value in wrong.items())

    def detail(self, name: str) -> dict[str, Any]:
        """Everything about a transaction."""
        found: dict[str, Any] = self.app.get(f"/v1/transactions/{self.ids[name]}")
        return found

    def open_incidents(self, name: str) -> list[str]:
        """Codes of its open incidents."""
        return [item["code"] for item in self.detail(name)["incidents"] if item["open"]]

    def booked_fen(self, opening: Opening) -> int:
        """What the customer has paid, by the wallet's books or the host's."""
        if opening.order_no is not None:
            return int(self.wallet.ledger()[opening.order_no]["net_debit_fen"])
        return self.shop.host.net_debit_fen(opening.stan)

    @property
    def wallet(self) -> Wallet:
        """The wallet's gateway."""
        assert self.shop.wallet is not None, "this shop takes no wallets"
        return self.shop.wallet

    def reversals(self, name: str) -> int:
        """0400 of its STAN that have reached the host."""
        return sum(line["stan"] == self.openings[name].stan for line in self.shop.host.requests("0400"))

    def entries(self, name: str, after: int) -> list[dict[str, Any]]:
        """Journal entries of a transaction."""
        return [line for line in self.shop.agent.journal(after) if line["transaction"] == self.ids.get(name)]

    def hang_up(self) -> None:
        """The kernel ends its connection, if it has one."""
        if self.wire is not None:
            self.wire.close()

    def head(self) -> int:
        """The journal's newest sequence number."""
        return int(self.app.get("/v1/status")["journal_seq"])

    def story(self) -> str:
        """What the journal told since the scenario began, for a failure."""
        lines = self.shop.agent.journal(self.began_after)[-STORY_LINES_MAX:]
        return "\n".join(f"  {line['seq']} {line['type']} {line['data']}" for line in lines)
