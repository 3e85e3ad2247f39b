"""Worlds of mode payapp: a sound payment app whose kernel reverses, an agent that asks it to, and everything that can go wrong.

`python -m tests.sim.payapp --seeds N [--seed S]`. The app's steps are generators that yield how long the next one takes. The
host's books are the truth; whoever watches here has eyes of its own.
"""

import argparse
import contextlib
import secrets
import sys
from collections.abc import Callable, Generator
from heapq import heappop, heappush
from random import Random
from typing import Any, Literal

import msgspec

from agent.core import appevent as a
from agent.core import event as e
from agent.core import playbook
from agent.core.change import AskApp, Change, Decision, Rejected, SendEcho, SendReversal, WantLine
from agent.core.model import Now
from agent.core.policy import Policy
from agent.core.state import State
from agent.core.step import step
from device.simulator.payapp.kernel import Disk, Kernel, Record
from tests.sim.checks import Violation

FAULTS = (
    "loss",  # messages to and from the host are lost
    "late",  # the host books a sale only a while after the app gave it up
    "codes",  # the host refuses a reversal for a while
    "down",  # the line is down for a while, and the platform may say so
    "kill",  # kill -9 of the agent, before or after a commit
    "power",  # both start anew, with another boot
    "crash",  # the app dies in the middle of what it does
    "deaf",  # the app's port does not answer
    "busy",  # the app says busy
    "hand",  # nobody puts in a card, or it knows no flush
    "slow",  # reports come late, or twice
    "settle",  # the batch is settled in between
)
DEFECTS = frozenset({
    "record_lost", "false_accept", "not_reversed_first", "settled_unreversed", "reversal_loops", "sales_blocked", "stan_reused",
    "contradicting_result",
})  # fmt: skip
FINAL = frozenset({"approved", "declined", "not_sent", "reversed", "no_original", "unresolved"})
TERMINAL, MERCHANT = "12345678", "898310148160001"
MINUTE = 60_000
BOUND_MS = 95 * MINUTE  # the longest back-off and what follows it, twice: an answer may ask for one more
WALL_MS = 1_772_416_800_000
Steps = Generator[int, None, Any]


class MemoryKernel(Kernel):
    """A sound kernel whose disk is here."""

    def __init__(self) -> None:
        self._saved = b""
        super().__init__(None)

    def load(self) -> None:
        self.disk = msgspec.json.decode(self._saved, type=Disk) if self._saved else Disk()

    def save(self) -> None:
        self._saved = msgspec.json.encode(self.disk)


class World:
    """Everything follows from the seed; `only` chooses the faults."""

    def __init__(self, seed: int, only: tuple[str, ...] | None = None) -> None:
        self.random = random = Random(seed)
        self.chance = random.random
        drawn = tuple(name for name in FAULTS if self.chance() < 0.4)
        self.faults: frozenset[str] = frozenset(drawn if only is None else only)
        self.policy = Policy(mode="payapp", asks_app=self.chance() < 0.7)
        self.pulls = not self.policy.asks_app
        self.now = 0
        self.heap: list[tuple[int, int, Callable[..., None], Any]] = []
        self.count = 0
        self.state = State()
        self.up = False
        self.boots = 0
        self.boot_at = 0
        self.token = 0
        self.steps: list[tuple[e.Event, Now]] = []
        self.log: list[tuple[Any, ...]] = []
        self.told: set[str] = set()  # transactions that the app was told are approved
        self.booked: dict[str, int] = {}
        self.reversed: dict[str, int] = {}
        self.refusing = False
        self.line_down = False
        self.kernel = MemoryKernel()
        self.epoch = 0
        self.alive = True
        self.lock = False
        self.answered: set[str] = set()
        self.sales_left = 1 + int(self.chance() * 4)
        self.calm = False

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def after(self, ms: int, act: Callable[..., None], arg: Any = None) -> None:
        """Something happens in `ms`."""
        self.count += 1
        heappush(self.heap, (self.now + ms, self.count, act, arg))

    def has(self, fault: str, chance: float = 0.3) -> bool:
        """Does this fault strike now?"""
        return fault in self.faults and self.chance() < chance

    def run(self) -> None:
        """Play it. Raises Violation."""
        self._boot(new=True)
        self.after(100, self._customers)
        for fault in ("kill", "power", "crash", "down", "codes"):
            if fault in self.faults:
                for _ in range(1 + int(self.chance() * 2)):
                    self.after(int(self.chance() * 400_000), getattr(self, "_" + fault))
        self.after(600_000 + int(self.chance() * 1_200_000), self._calm)
        end = None
        while self.heap:
            at, _, act, arg = heappop(self.heap)
            if self.calm and end is None:
                end = self.now + BOUND_MS
            if end is not None and at > end:
                break
            self.now = at
            act(arg)
        self._end()

    def _kill(self, _arg: object) -> None:
        if "kill" in self.faults and self.up:
            self._die()

    def _power(self, _arg: object) -> None:
        if "power" in self.faults and self.up:
            self.up = False
            self._app_dies()
            self.after(30_000, lambda _: self._boot(new=True))

    def _crash(self, _arg: object) -> None:
        if "crash" in self.faults:
            self._app_dies()

    def _down(self, _arg: object) -> None:
        if "down" in self.faults:
            self.line_down = True
            if self.chance() < 0.5:
                self.submit(a.LinkReported(up=False))
            self.after(int(self.chance() * 900_000), self._line_back)

    def _line_back(self, _arg: object = None) -> None:
        self.line_down = False
        if self.chance() < 0.5 or self.calm:
            self.submit(a.LinkReported(up=True))

    def _codes(self, _arg: object) -> None:
        self.refusing = "codes" in self.faults
        self.after(int(self.chance() * 400_000), self._reasonable)

    def _reasonable(self, _arg: object) -> None:
        self.refusing = False

    def _calm(self, _arg: object) -> None:
        """No more faults: from here on everything must come right."""
        self.faults, self.refusing, self.calm = frozenset(), False, True
        self.log.append((self.now, "calm"))
        self._line_back()

    # ── the agent ────────────────────────────────────────────────────────────────────────────────────────────────────

    def clock(self) -> Now:
        """The three times."""
        return Now(f"boot-{self.boots}", self.now - self.boot_at, WALL_MS + self.now, "ntp")

    def _boot(self, *, new: bool) -> None:
        if new:
            self.boots += 1
            self.boot_at = self.now
        old = self.state
        rows = [old.agent, old.line, old.printer, *old.transactions.values(), *old.reversals.values(), *old.incidents.values()]
        self.state = State([*rows, *old.jobs.values()])
        self.up = True
        self.submit(e.Booted(version="1", policy=self.policy))
        if self.pulls and self.alive:
            self.after(500, self._attach)

    def _attach(self, _arg: object = None) -> None:
        self.submit(a.PullChanged(attached=True))
        for row in self.state.reversals_by_age():
            if row.request is not None:
                tx = self.state.transactions[row.id]
                self._asked(AskApp(row.id, row.request, row.ask, tx.stan, tx.batch, 0))

    def _die(self) -> None:
        self.log.append((self.now, "agent killed"))
        self.up = False
        self.token += 1
        self.after(300 + int(self.chance() * 5_000), lambda _: self._boot(new=False))

    def submit(self, event: e.Event) -> Decision | Rejected | Literal["down"]:
        """Step, commit, answer, act."""
        if not self.up:
            return "down"
        now = self.clock()
        try:
            change = step(self.state, event, now)
        except Rejected as refusal:
            self.state.rollback()
            return refusal
        except AssertionError as broken:
            raise Violation("invariant", f"{type(event).__name__}: {broken}") from broken
        if self.has("kill", 0.01):
            self.state.rollback()
            self._die()
            return "down"
        self.state.settle()
        if change.facts:
            self.steps.append((event, now))
        self._committed(event, change)
        if self.has("kill", 0.01):
            self._die()
            return "down"
        for effect in change.effects:
            if isinstance(effect, AskApp):
                self.after(10, self._asked, effect)
        self._arm(change.next_deadline_ms)
        return change.decision

    def _arm(self, due_ms: int | None) -> None:
        self.token += 1
        if due_ms is not None:
            self.after(max(0, due_ms + self.boot_at - self.now), self._due, self.token)

    def _due(self, token: int) -> None:
        if token == self.token:
            self.submit(e.DeadlinePassed())

    # ── the app ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _go(self, steps: Steps) -> None:
        """Run these steps of the app as long as it lives."""
        epoch = self.epoch

        def on(_arg: object = None) -> None:
            if epoch != self.epoch:
                return
            with contextlib.suppress(StopIteration):
                self.after(next(steps), on)

        on()

    def _app_dies(self) -> None:
        self.log.append((self.now, "app died"))
        self.epoch += 1
        self.alive = self.lock = False
        self.kernel.crash()
        if self.pulls:
            self.submit(a.PullChanged(attached=False))
        self.after(3_000, self._app_lives, self.epoch)

    def _app_lives(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        self.alive = True
        if self.pulls:
            self._attach()
        self._go(self._catch_up())
        self.after(2_000, self._customers)

    def _catch_up(self) -> Steps:
        """Every result that was not answered is reported again; what nothing is known of had no answer."""
        self.lock = True
        for name, sale in list(self.kernel.disk.sales.items()):
            batch, stan = name.split("/")
            if self.kernel.holds(batch, stan) and sale.state in {"waiting", "approved", "declined"}:
                if sale.state == "waiting":
                    sale.state = "no_answer"
                yield from self._report(batch, stan, sale.id, sale.state, sale.response_code)
        self.lock = False

    def _customers(self, _arg: object = None) -> None:
        if self.lock or not self.alive or not self.up:
            self.after(2_000, self._customers)
        elif self.sales_left:
            self.sales_left -= 1
            self._go(self._settle() if self.has("settle") else self._sale())
            self.after(5_000 + int(self.chance() * 200_000), self._customers)

    def _sale(self) -> Steps:
        self.lock = True
        kernel, stan, amount = self.kernel, self.kernel.next_stan(), (100, 2_350)[int(self.chance() * 2)]
        key, batch = f"t{stan}", self.kernel.batch
        opened = self.submit(
            e.Opened(
                transaction=key, rail="card", kind="sale", amount_fen=amount, currency="156", stan=stan, batch=batch,
                terminal_id=TERMINAL, merchant_id=MERCHANT, ask=True, last4="0128",
            )
        )
        kernel.begin(stan, key, amount)
        if not isinstance(opened, Decision):  # nobody knows whether it was heard: not sent, and said so
            kernel.hear(stan, "not_sent", None)
            yield from self._report(batch, stan, key, "not_sent", None)
            self.lock = False
            return
        yield from self._reverse(stan)
        code = yield from self._exchange(lambda: self._book(key, amount), late=True)
        state = "no_answer" if code is None else "approved" if code == "00" else "declined"
        kernel.hear(stan, state, code)
        yield from self._report(batch, stan, key, state, code)
        self.lock = False

    def _report(self, batch: str, stan: str, key: str, state: str, code: str | None) -> Steps:
        if self.has("slow"):
            yield int(self.chance() * 90_000)
        said = e.ResultReported(transaction=key, outcome=state, response_code=code)  # type: ignore[arg-type]
        answer = yield from self._tell(said)
        stands = isinstance(answer, Decision) and answer.conflict is None
        if stands and state == "approved":
            self.told.add(key)
        self.kernel.decide(batch, stan, state if stands else "in_doubt")

    def _tell(self, event: e.Event) -> Steps:
        """Until the agent answers; sometimes twice."""
        while (answer := self.submit(event)) == "down":
            yield 1_000
        if self.has("slow", 0.2):
            self.submit(event)
        return answer

    def _settle(self) -> Steps:
        self.lock = True
        batch = self.kernel.batch
        yield from self._tell(e.BatchChanged(batch=batch, what="settling"))
        yield from self._reverse(None)
        if not self.kernel.disk.records:  # a sound app does not settle over what is pending
            self.kernel.settled()
            yield from self._tell(e.BatchChanged(batch=batch, what="settled"))
        else:
            yield from self._tell(e.BatchChanged(batch=batch, what="changed"))
        self.lock = False

    def _reverse(self, sending: str | None) -> Generator[int, None, set[str]]:
        reported: set[str] = set()
        for record in self.kernel.due(sending):
            sale = self.kernel.sale_of(record)
            assert sale is not None
            code = yield from self._exchange(lambda record=record, key=sale.id: self._undo(record, key))
            verdict = self.kernel.judge(record, code, ours=True)
            yield from self._tell(a.AppReported(transaction=sale.id, outcome=verdict.outcome, response_code=verdict.code))
            known = self.state.transactions.get(sale.id)
            self.kernel.told(record, "resolved" if known is None else known.state)  # 404: never heard of, nothing to undo
            reported.add(sale.id)
        return reported

    def _exchange(self, work: Callable[[], str], *, late: bool = False) -> Generator[int, None, str | None]:
        if self.line_down or self.has("loss"):
            yield 20_000
            return None
        if late and self.has("late"):
            self.after(20_000 + int(self.chance() * 20_000), lambda _: work())
            yield 20_000
            return None
        yield 40
        code = work()
        if self.has("loss"):
            yield 20_000
            return None
        return code

    def _book(self, key: str, amount: int) -> str:
        if self.has("codes", 0.2):
            return "51"
        self.booked[key] = amount
        return "00"

    def _undo(self, _record: Record, key: str) -> str:
        if self.refusing:
            return "96"
        if key not in self.booked:
            return "25"
        self.reversed[key] = self.reversed.get(key, 0) + 1
        return "00"

    def _asked(self, asked: AskApp) -> None:
        """A request reaches the app, over its port or through the stream."""
        if not self.alive or self.has("deaf"):
            if not self.pulls:
                self.submit(a.RequestFailed(transaction=asked.transaction, request=asked.request))
            return
        known = self._known(asked)
        if not self.pulls or asked.what == "transaction":
            self.submit(known)
            if asked.what == "transaction" or known.record == "gone" or known.reversal == "accepted":
                return
        can_flush = "hand" not in self.faults or self.chance() < 0.5
        outcome = None
        if asked.what == "flush_reversals" and not can_flush:
            outcome = "unsupported"
        elif self.lock or self.has("busy"):
            outcome = "busy"
        elif asked.what == "balance_inquiry" and self.has("hand", 0.5):
            outcome = "no_card"
        if outcome is not None:
            self.submit(a.AppReported(transaction=asked.transaction, outcome=outcome, request=asked.request))  # type: ignore[arg-type]
        elif asked.request not in self.answered:
            self.answered.add(asked.request)
            self._go(self._flush(asked))

    def _flush(self, asked: AskApp) -> Steps:
        self.lock = True
        if self.has("slow"):
            yield int(self.chance() * 40_000)
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

    # ── what is promised ─────────────────────────────────────────────────────────────────────────────────────────────

    def _committed(self, event: e.Event, change: Change) -> None:
        for fact in change.facts:
            self.log.append((self.now, fact.type, fact.transaction, fact.data.get("code"), fact.data.get("outcome")))
        for effect in change.effects:
            if isinstance(effect, SendReversal | SendEcho | WantLine):
                raise Violation("payapp", f"{type(effect).__name__}: the agent wants to send in mode payapp")
            if isinstance(effect, AskApp) and effect.what != "transaction" and not isinstance(event, e.Booted):
                self._ask(effect)
        for incident in self.state.open_incidents.values():
            if incident.code in DEFECTS:
                raise Violation("payapp", f"a sound app is accused of {incident.code}")
        for key in self.told:
            if self.state.transactions[key].state != "approved":
                raise Violation("2", f"{key} was told approved and is {self.state.transactions[key].state}")

    def _ask(self, effect: AskApp) -> None:
        open_ = [row.id for row in self.state.open_reversals.values() if row.request is not None]
        if open_ != [effect.transaction]:
            raise Violation("3", f"requests are open for {open_} while {effect.transaction} is asked for")
        running = [row.id for row in self.state.open_transactions.values() if row.state in {"intent", "sent"}]
        if running:
            raise Violation("payapp", f"{effect.transaction} is asked for during {running}")

    def _end(self) -> None:
        for row in self.state.transactions.values():
            net = self.booked.get(row.id, 0) if not self.reversed.get(row.id) else 0
            owed = row.amount_fen if row.state == "approved" else 0
            open_ = [incident for incident in self.state.incidents_of(row.id) if incident.open]
            if row.state not in FINAL:
                raise Violation("8", f"{row.id} is still {row.state}")
            if row.state == "unresolved" and not any(incident.owner and incident.next_action for incident in open_):
                raise Violation("8", f"{row.id} is unresolved and nobody's case")
            if row.state != "unresolved" and net != owed:
                raise Violation("9", f"{row.id} is {row.state}, and the host's books say {net}")
            if playbook.judge(self.state, row)[2] and net:
                raise Violation("7", f"{row.id} may be paid again, and {net} stand in the books")
            if row.state == "unresolved" and not self.state.reversals[row.id].batch_closed and not self._by_rule(row.id):
                raise Violation("8", f"{row.id} is unresolved though the app could have reversed it")
        again = State()
        for event, now in self.steps:
            step(again, event, now)
            again.settle()
        if again.transactions != self.state.transactions or again.reversals != self.state.reversals:
            raise Violation("5", "replaying the events makes other rows")

    def _by_rule(self, key: str) -> bool:
        """Refused by the host's own words, or its batch is gone: then only the settlement can tell."""
        row = self.state.reversals[key]
        return row.state == "expired" or (row.state == "refused" and bool(row.response_code))


def play(seed: int, only: tuple[str, ...] | None = None) -> tuple[World, Violation | None]:
    """One world, and the promise it broke."""
    world = World(seed, only)
    try:
        world.run()
    except Violation as broken:
        return world, broken
    return world, None


def main(arguments: list[str] | None = None) -> int:
    """0: no promise was broken; 1: one was, told with its seed and its last lines."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.payapp")
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    first = options.seed if options.seed is not None else secrets.randbits(31)
    print(f"{options.seeds} worlds of mode payapp from seed {first}", flush=True)
    for seed in range(first, first + options.seeds):
        world, broken = play(seed)
        if broken is not None:
            print(f"seed {seed}: {broken}", *(f"  {line}" for line in world.log[-60:]), sep="\n")
            return 1
    print("no promise broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
