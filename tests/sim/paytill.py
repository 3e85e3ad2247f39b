"""A sound payment app of mode payapp: its kernel reverses, and it answers what the agent asks, over its port or by pulling.

Its steps are generators that yield how long the next one takes. It dies in the middle of them, and then reports again.
"""

import contextlib
from collections.abc import Callable, Collection, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agent.core import appevent as a
from agent.core import event as e
from agent.core.change import AskApp, AskReceipt, Decision
from agent.core.model import Original, Transaction
from device.simulator.payapp.kernel import Disk, Kernel, Record, Sale, Verdict
from tests.sim.nextday import TERMINAL, family

if TYPE_CHECKING:
    from tests.sim.payapp import PayWorld

MERCHANT = "898310148160001"
Steps = Generator[int, None, Any]
UNDONE_BY = {"sale": "void", "preauth": "preauth_void"}
UNDOES = frozenset(UNDONE_BY.values())


class Wish(NamedTuple):
    """What a customer wants; `undoes` is the transaction that is taken back."""

    kind: str
    amount_fen: int
    undoes: str | None = None


class MemoryKernel(Kernel):
    """A kernel whose disk is here; sound, but for these defects."""

    def __init__(self, defects: Collection[str] = ()) -> None:
        self._saved = b""
        super().__init__(None, defects)

    def load(self) -> None:
        self.disk = msgspec.json.decode(self._saved, type=Disk) if self._saved else Disk()

    def save(self) -> None:
        self._saved = msgspec.json.encode(self.disk)


class PayTill:
    """The app. `opened` are the transactions that it told the agent of; `pulls`: it has no port."""

    def __init__(self, world: "PayWorld", size: int, *, pulls: bool) -> None:
        self.world = world
        self.size = self.left = size
        self.pulls = pulls
        self.kernel = MemoryKernel()
        self.opened: list[str] = []
        self.wishes: dict[str, Wish] = {}  # of each that was opened
        self.epoch = 0
        self.alive = True
        self.lock = False
        self.answered: set[str] = set()
        self.untold: dict[str, tuple[Record, Verdict]] = {}  # what became of its 0400s, until the agent answered; on its disk

    # ── lives ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """The shop opens."""
        self.world.after(100, self._customers, self.epoch)

    def die(self, *, reboot: bool) -> None:
        """It dies and starts again; with the machine it takes longer."""
        self.world.note("app died")
        self.epoch += 1
        self.alive = self.lock = False
        self.kernel.crash()
        if self.pulls:
            self.world.machine.insist(a.PullChanged(attached=False))
        self.world.after(8_000 if reboot else 3_000, self._live, self.epoch)

    def _live(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        self.alive = True
        self._go(self._catch_up())
        self.agent_is_back()
        self.world.after(2_000, self._customers, epoch)

    def agent_is_back(self, _arg: object = None) -> None:
        """An app that pulls attaches, and reads the requests that are open."""
        machine = self.world.machine
        if not (self.pulls and self.alive and machine.up):
            return
        if isinstance(machine.submit(a.PullChanged(attached=True)), str):
            self.world.after(2_000, self.agent_is_back)
            return
        for row in machine.state.reversals_by_age():
            if row.request is not None:
                tx = machine.state.transactions[row.id]
                self.asked(AskApp(row.id, row.request, row.ask, tx.stan, tx.batch, 0))

    def _go(self, steps: Steps) -> None:
        """Run these steps as long as it lives."""
        epoch = self.epoch

        def on(_arg: object = None) -> None:
            if epoch != self.epoch:
                return
            with contextlib.suppress(StopIteration):
                self.world.after(next(steps), on)

        on()

    def _catch_up(self) -> Steps:
        """What was not answered is reported again, reversals first; a sale of which nothing is known had no answer."""
        self.lock = True
        yield from self._tell_untold()
        for name, sale in list(self.kernel.disk.sales.items()):
            batch, stan = name.split("/")
            if self.kernel.holds(batch, stan) and sale.state in {"waiting", "approved", "declined"}:
                if sale.state == "waiting":
                    sale.state = "no_answer"
                yield from self._report(batch, stan, sale.id, sale.state, sale.response_code)
        self.lock = False

    # ── customers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _customers(self, epoch: int) -> None:
        world = self.world
        if epoch != self.epoch:
            return
        if self.lock or not self.alive or not world.machine.up:
            if not world.machine.dead:
                world.after(2_000, self._customers, epoch)
        elif self.left:
            self.left -= 1
            self._go(self._settle() if world.has("batch") else self._sale())
            world.after(5_000 + int(world.chance() * 200_000), self._customers, epoch)

    def _wish(self) -> Wish:
        """A payment or a hold; sometimes the newest that stands is taken back."""
        world = self.world
        amount, chance = (100, 2_350)[int(world.chance() * 2)], world.chance()
        if chance < 0.4 and (standing := self._standing()) is not None:
            of = self.wishes[standing]
            return Wish(UNDONE_BY[of.kind], of.amount_fen, standing)
        return Wish("preauth" if chance > 0.7 else "sale", amount)

    def _standing(self) -> str | None:
        """The newest of this batch that the app calls approved, and that nobody took back or tried to."""
        tried = {wish.undoes for wish in self.wishes.values()}
        for key in reversed(self.opened):
            stan = key[1:]
            sale = self.kernel.find(self.kernel.batch, stan)
            decided = sale is not None and sale.state == "approved" and not self.kernel.holds(self.kernel.batch, stan)
            if decided and key not in tried and self.wishes[key].undoes is None:
                return key
        return None

    def _sale(self) -> Steps:
        self.lock = True
        kernel, world = self.kernel, self.world
        wish, stan = self._wish(), kernel.next_stan()
        key, batch = f"t{stan}", kernel.batch
        self.opened.append(key)
        self.wishes[key] = wish
        kernel.begin(stan, wish.amount_fen, Sale(key))  # first: the power may go between the agent's commit and its answer
        opened = world.machine.submit(
            e.Opened(
                transaction=key, rail="card", kind=wish.kind, amount_fen=wish.amount_fen, currency="156", stan=stan, batch=batch,
                terminal_id=TERMINAL, merchant_id=MERCHANT, ask=True, last4="0128",
                original=Original(batch, wish.undoes[1:], "0302") if wish.undoes else None,
            )
        )
        if not self.alive:
            yield 0  # the power went with that very commit: it does nothing any more
        if not isinstance(opened, Decision):  # nobody knows whether it was heard: not sent, and said so
            kernel.hear(stan, "not_sent", None)
            yield from self._report(batch, stan, key, "not_sent", None)
            self.lock = False
            return
        if not kernel.has("T10"):
            yield from self._reverse(stan)
        code = yield from self._exchange(lambda: world.host.book(key, wish.amount_fen, wish.undoes), late=True)
        state = "no_answer" if code is None else "approved" if code == "00" else "declined"
        kernel.hear(stan, state, code)
        yield from self._report(batch, stan, key, state, code)
        self.lock = False

    def _report(self, batch: str, stan: str, key: str, state: str, code: str | None) -> Steps:
        if self.world.has("slow"):
            yield int(self.world.chance() * 90_000)
        said = e.ResultReported(transaction=key, outcome=state, response_code=code)  # type: ignore[arg-type]
        answer = yield from self._tell(said)
        stands = isinstance(answer, Decision) and answer.conflict is None
        if stands and state == "approved":
            self.world.checks.promise(key)
        self.kernel.decide(batch, stan, state if stands else "in_doubt")

    def _tell(self, event: e.Event) -> Steps:
        """Until the agent answers; sometimes twice."""
        machine = self.world.machine
        while isinstance(answer := machine.submit(event), str):
            yield 1_000 if not machine.dead else 86_400_000
        if self.world.has("slow", 0.2):
            machine.submit(event)
        return answer

    def _settle(self) -> Steps:
        self.lock = True
        batch = self.kernel.batch
        yield from self._tell(e.BatchChanged(batch=batch, what="settling"))
        if not self.kernel.has("T12"):
            yield from self._reverse(None)
        if self.kernel.has("T12") or not self.kernel.disk.records:  # a sound app does not settle over what is pending
            self.kernel.settled()
            yield from self._tell(e.BatchChanged(batch=batch, what="settled"))
        else:
            yield from self._tell(e.BatchChanged(batch=batch, what="changed"))
        self.lock = False

    # ── the host ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _reverse(self, sending: str | None) -> Generator[int, None, set[str]]:
        world, reported = self.world, set[str]()
        for record in self.kernel.due(sending):
            sale = self.kernel.sale_of(record)
            assert sale is not None
            code = yield from self._exchange(lambda key=sale.id: world.host.undo(key))
            self.untold[sale.id] = record, self.kernel.judge(record, code, ours=True)
            yield from self._tell_untold()
            reported.add(sale.id)
        return reported

    def _tell_untold(self) -> Steps:
        """What became of its 0400s, and was not answered yet."""
        for key, (record, verdict) in list(self.untold.items()):
            yield from self._tell(a.AppReported(transaction=key, outcome=verdict.outcome, response_code=verdict.code))
            while not self.world.machine.up:
                yield 1_000
            known = [row.state for row in family(self.world, key) if isinstance(row, Transaction)]
            self.kernel.told(record, known[0] if known else "resolved")  # 404: never heard of, nothing to undo
            del self.untold[key]

    def _exchange(self, work: Callable[[], str], *, late: bool = False) -> Generator[int, None, str | None]:
        world = self.world
        if world.line.down or world.has("loss"):
            yield 20_000
            return None
        if late and world.has("late"):
            world.after(20_000 + int(world.chance() * 20_000), lambda _: work())
            yield 20_000
            return None
        yield 40
        code = work()
        if world.has("loss"):
            yield 20_000
            return None
        return code

    # ── what the agent asks ──────────────────────────────────────────────────────────────────────────────────────────

    def hand(self, _wish: AskReceipt) -> None:
        """It never hands a receipt over."""

    def asked(self, asked: AskApp) -> None:
        """A request reaches the app, over its port or through the stream."""
        world, insist = self.world, self.world.machine.insist
        if not self.alive or world.has("deaf"):
            if not self.pulls:
                insist(a.RequestFailed(transaction=asked.transaction, request=asked.request))
            return
        known = self._known(asked)
        if not self.pulls or asked.what == "transaction":
            insist(known)
            if not self.alive:  # the power went with that very commit
                return
            if asked.what == "transaction" or known.record == "gone" or known.reversal == "accepted":
                return
        can_flush = not world.faults.hand or world.chance() < 0.5
        outcome = None
        if asked.what == "flush_reversals" and not can_flush:
            outcome = "unsupported"
        elif self.lock or world.has("busy"):
            outcome = "busy"
        elif asked.what == "balance_inquiry" and world.has("hand", 0.5):
            outcome = "no_card"
        if outcome is not None:
            insist(a.AppReported(transaction=asked.transaction, outcome=outcome, request=asked.request))  # type: ignore[arg-type]
        elif asked.request not in self.answered:
            self.answered.add(asked.request)
            self._go(self._flush(asked))

    def _flush(self, asked: AskApp) -> Steps:
        self.lock = True
        if self.world.has("slow"):
            yield int(self.world.chance() * 40_000)
        yield from self._tell(a.AppReported(transaction=asked.transaction, outcome="sent", request=asked.request))
        reported = yield from self._reverse(None)
        if asked.transaction not in reported:
            record = "held" if self.kernel.holds(asked.batch, asked.stan) else "gone"
            said = a.AppReported(transaction=asked.transaction, outcome="refused", request=asked.request, record=record)  # type: ignore[arg-type]
            yield from self._tell(said)
        self.lock = False

    def _known(self, asked: AskApp) -> a.AppKnows:
        sale = self.kernel.find(asked.batch, asked.stan)
        if sale is None:
            return a.AppKnows(transaction=asked.transaction, request=asked.request, outcome="unknown", record="gone")
        held = self.kernel.holds(asked.batch, asked.stan) or sale.state == "waiting"
        return a.AppKnows(
            transaction=asked.transaction, request=asked.request, outcome=sale.state,  # type: ignore[arg-type]
            response_code=sale.response_code, record="held" if held else "gone", reversal=sale.reversal,
            reversal_code=sale.reversal_code,
        )
