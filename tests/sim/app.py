"""The payment app and the people at the till: asks permission, sends, reports until answered, prints only after `approved`."""

from collections import deque
from typing import TYPE_CHECKING

from agent.core.change import AskReceipt, Decision, Rejected
from agent.core.event import Opened, ReceiptAskFailed, ReceiptGiven, ResultReported, SentAsked
from agent.core.model import Document, DocumentLine, Original
from tests.sim.acquirer import DECLINES
from tests.sim.attempt import Attempt
from tests.sim.kinds import APPROVALS, FRESH, KINDS
from tests.sim.tills import Tills

if TYPE_CHECKING:
    from tests.sim.world import World

MERCHANT = "898310148160001"
RECEIPT = Document((DocumentLine("x"),))
ANSWER_MS = 60_000  # the app's own time-out, shorter than the agent's
GIVE_UP_MS = 400_000
ATTEMPTS_MAX = 3  # payments tried for one basket
UNANSWERED = frozenset({"no_answer", "bad_mac"})
REPEATS_MAX = 4  # while things go wrong


class App:
    """`epoch` counts its lives: what an earlier one was waiting for does not reach this one."""

    def __init__(self, world: "World", size: int) -> None:
        self.world = world
        self.size = size
        self.answer_ms = ANSWER_MS
        self.epoch = 0
        self.alive = True
        self.serial = 0
        self.tills = Tills(self)
        self.queue: deque[Attempt] = deque()
        self.attempts: list[Attempt] = []
        self.current: Attempt | None = None
        self.begun = 0
        self.handed = 0  # receipts that were handed over
        self.waiting = 0  # baskets whose customer waits for a word
        self.done = False

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """The day begins."""
        if self.world.faults.batch:
            self.tills.plan()
        self.world.mine(100, self._next, 0)
        if self.world.faults.people:
            self.world.people.start()
            self.world.orders.start()

    def die(self, *, reboot: bool) -> None:
        """It forgets what it was at; another customer comes when it is back."""
        self.world.note("app died")
        self.epoch += 1
        self.alive = False
        if self.current is not None:
            self._left(self.current)
            self.current = None
        self.world.mine(70_000 if reboot else 3_000 + int(self.world.chance() * 60_000), self._back, self.epoch)

    def _back(self, epoch: int) -> None:
        if epoch == self.epoch:
            self.alive = True
            self.tills.go_on()
            self._next(epoch)

    def _next(self, epoch: int) -> None:
        """The next customer, or the end of the day."""
        if epoch != self.epoch or self.current is not None or not self.alive:
            return
        if self.world.machine.dead:
            self._end()
        elif self.queue:
            self._begin(self.queue.popleft())
        elif self.begun < self.size:
            self.begun += 1
            self._begin(self._basket())
        elif self.waiting == 0:
            self._end()

    def _end(self) -> None:
        if not self.done:
            self.done = True
            self.world.app_is_done()

    def _basket(self) -> Attempt:
        chance = self.world.chance
        if self.world.faults.kinds and chance() < 0.7:
            return self._other()
        paid = [attempt for attempt in self.attempts if attempt.kind == "sale" and attempt.shown == "approved"]
        sold = [attempt for attempt in paid if attempt.batch == self.tills.batch_no(attempt.terminal)]
        if sold and chance() < 0.3:
            original = sold[int(chance() * len(sold))]
            if not any(a.original is original for a in self.attempts):
                return Attempt(-self.begun, "void", original.approved_fen, original, None)
        amount_fen = (100, 100, 1, 12_345)[int(chance() * 4)]
        return Attempt(self.begun, "sale", 100 if self.tills.alike else amount_fen, None, None)

    def _other(self) -> Attempt:
        """Any kind, or something about what was approved before; nothing is referred to twice."""
        chance = self.world.chance
        used = [attempt.original for attempt in self.attempts if attempt.original is not None]
        free = [attempt for attempt in self.attempts if attempt.shown == "approved" and attempt not in used]
        about = [(kind, each) for each in free for kind, rules in KINDS.items() if each.kind in rules.of and kind != "void"]
        if about and chance() < 0.7:
            kind, original = about[int(chance() * len(about))]
            amount_fen = {"completion": 480, "refund": max(1, original.approved_fen // 2)}.get(kind, original.approved_fen)
            return Attempt(-self.begun, kind, amount_fen, original, None)
        return Attempt(-self.begun, FRESH[int(chance() * len(FRESH))], (500, 100)[int(chance() * 2)], None, None)

    def find(self, key: str) -> Attempt:
        """The attempt of this id."""
        return next(attempt for attempt in self.attempts if attempt.id == key)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, attempt: Attempt) -> None:
        self.current = attempt
        attempt.asked_at = self.world.now
        self.attempts.append(attempt)
        self._name(attempt)
        self._ask((self.epoch, attempt))

    def _name(self, attempt: Attempt) -> None:
        """A new number; the agent draws its id at the way in."""
        self.serial += 1
        self.tills.take(attempt, self.serial)
        attempt.id, attempt.last4 = f"t{self.serial}", f"{self.serial:04d}"
        attempt.opened = False

    def _ask(self, value: tuple[int, Attempt]) -> None:
        epoch, attempt = value
        if epoch != self.epoch:
            return
        world = self.world
        if attempt.batch != self.tills.batch_no(attempt.terminal):  # settled meanwhile: a new number in the new batch
            if attempt.opened:
                self._report(attempt, "not_sent", None)
            elif attempt.tries:  # asked, and the answer was lost with the agent, which may hold it as sent
                self._anew(attempt)
            else:
                self._name(attempt)
                world.mine(100, self._ask, value)
            return
        answer = world.machine.submit(self._question(attempt))
        if isinstance(answer, Decision):
            attempt.opened = True
            world.log.append((world.now, "asked", attempt.id, answer.proceed))
            world.checks.answered(attempt, answer)
            if answer.proceed == "go":
                self._go(attempt)
            else:
                self._wait(attempt, min(15_000, (answer.retry_after_ms or 1_000) << min(attempt.tries, 4)))
        elif isinstance(answer, Rejected):
            self._refused(attempt, answer)
        else:
            if answer == "down" and world.machine.dead:
                self._finish(attempt)
                return
            self._wait(attempt, 1_000 if answer == "down" else 3_000)

    def _question(self, attempt: Attempt) -> Opened | SentAsked:
        """Opens and asks in one; asked again under the same key, it is the same transaction."""
        machine = self.world.machine
        down = self.world.line.down and self.world.line.failed
        if attempt.opened or attempt.id in machine.state.transactions:
            return SentAsked(transaction=attempt.id, line_down=down)
        original = attempt.original
        return Opened(
            transaction=attempt.id, rail="card", kind=attempt.kind, amount_fen=attempt.amount_fen, currency="156",
            stan=attempt.stan, batch=attempt.batch, terminal_id=attempt.terminal, merchant_id=MERCHANT, ask=True, line_down=down,
            basket_id=str(attempt.basket), entry_mode="051", sequence="001", masked_pan="622202*********0128",
            last4=attempt.last4, condition=attempt.rules.f25, replaces=attempt.replaces,
            vault=f"v{attempt.id}" if attempt.rules.in_doubt == "reverse" else None,
            original=None if original is None else Original(original.batch, original.stan, original.date),
        )

    def _wait(self, attempt: Attempt, ms: int) -> None:
        world = self.world
        attempt.tries += 1
        if world.faults.eager and attempt.opened and world.chance() < 0.3:
            attempt.eager = True
            self._go(attempt)
        elif attempt.asked_at is not None and world.now - attempt.asked_at > GIVE_UP_MS and attempt.opened:
            self._report(attempt, "not_sent", None)
        else:
            world.mine(ms, self._ask, (self.epoch, attempt))

    def _refused(self, attempt: Attempt, refusal: Rejected) -> None:
        """409: the number is used, or a restart proved it not sent: it is opened again as a new one."""
        state = self.world.machine.state.transactions.get(attempt.id)
        self.world.checks.refused_number(attempt, refusal)
        if refusal.code == "duplicate-stan" or (state is not None and state.state == "not_sent" and attempt.go_at is None):
            self._anew(attempt)
        else:
            self._finish(attempt)

    def _anew(self, attempt: Attempt) -> None:
        """The same payment under a new number; the old one stays what the agent made of it."""
        again = Attempt(attempt.basket, attempt.kind, attempt.amount_fen, attempt.original, attempt.replaces)
        self.current = None
        self._begin(again)

    # ── sending and hearing ──────────────────────────────────────────────────────────────────────────────────────────

    def _go(self, attempt: Attempt) -> None:
        world = self.world
        attempt.go_at = world.now
        world.mine(int(world.chance() * 11_000) if world.faults.slow else 30, self._leave, (self.epoch, attempt))

    def _leave(self, value: tuple[int, Attempt]) -> None:
        """The first byte leaves within ten seconds of the go, or not at all."""
        epoch, attempt = value
        if epoch != self.epoch:
            return
        world = self.world
        assert attempt.go_at is not None
        if world.now - attempt.go_at >= 9_900 and not attempt.eager:
            self._report(attempt, "not_sent", None)
            return
        world.mine(self.answer_ms, self._silent, (epoch, attempt))
        if world.line.down or (world.faults.loss and world.chance() < 0.3):
            return
        delay = 20
        if world.faults.late and world.chance() < 0.5:
            delay = int(world.chance() * (59_000 - (world.now - attempt.go_at)))
        elif world.faults.tardy and world.chance() < 0.5:
            delay = 61_000 + int(world.chance() * (200_000 if world.chance() < 0.7 else 1_200_000))
            attempt.tardy = True
        world.after(delay, self._arrived, (epoch, attempt))

    def _arrived(self, value: tuple[int, Attempt]) -> None:
        epoch, attempt = value
        world, decline, partial_fen = self.world, None, 0
        if world.faults.declines and world.chance() < 0.4:
            decline = DECLINES[int(world.chance() * len(DECLINES))]
        rules = attempt.rules
        if world.faults.partial and rules.goods and not rules.of and rules.in_doubt != "repeat" and world.chance() < 0.5:
            partial_fen = attempt.amount_fen * 3 // 5  # nothing of one fen
        code = world.host.take(attempt, decline, partial_fen)
        world.log.append((world.now, "host took", attempt.id, code))
        mac = "bad" if world.faults.badmac and world.chance() < 0.2 else "good"
        if world.line.down or (world.faults.loss and world.chance() < 0.3):
            attempt.unheard = True
            return
        delay = 20 + (int(world.chance() * 80_000) if world.faults.delay and world.chance() < 0.3 else 0)
        delay += self.tills.late_ms()
        world.mine(delay, self._heard, (epoch, attempt, code, mac))

    def _heard(self, value: tuple[int, Attempt, str, str]) -> None:
        """An 0210. One that comes after the app gave up is told all the same: it is a late response."""
        epoch, attempt, code, mac = value
        if epoch != self.epoch:
            attempt.unheard = True
            return
        if attempt.heard is not None:
            if attempt.heard == "no_answer" and mac == "good" and code in APPROVALS:
                self._tell(attempt, "approved", code)
            else:
                attempt.unheard = True
            return
        if self.world.faults.mute_app and self.world.chance() < 0.3:
            attempt.heard = "mute"
            attempt.unheard = True
            self._finish(attempt)
        elif mac == "bad":
            self._report(attempt, "bad_mac", None)
        elif code not in APPROVALS:
            self._report(attempt, "declined", code)
        elif self.world.faults.gac and self.world.chance() < 0.5:
            self._report(attempt, "approved_not_completed", code)
        else:
            self._report(attempt, "approved", code)

    def _silent(self, value: tuple[int, Attempt]) -> None:
        epoch, attempt = value
        if epoch == self.epoch and attempt.heard is None:
            self._report(attempt, "no_answer", None)

    # ── reporting ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _report(self, attempt: Attempt, outcome: str, code: str | None) -> None:
        attempt.heard = outcome
        self._tell(attempt, outcome, code)

    def _tell(self, attempt: Attempt, outcome: str, code: str | None) -> None:
        approved = outcome == "approved"
        withheld = self.world.faults.withheld and self.world.chance() < 0.7
        event = ResultReported(
            transaction=attempt.id, outcome=outcome, response_code=code, rrn="1" if approved else None,  # type: ignore[arg-type]
            auth_code="111111" if code in APPROVALS else None, approved_fen=attempt.approved_fen if code == "10" else None,
            receipt=RECEIPT if approved and not withheld else None,
            job=f"r{attempt.id}" if approved and not withheld else None,
        )
        self._tell_again((self.epoch, attempt, event))

    def _tell_again(self, value: tuple[int, Attempt, ResultReported]) -> None:
        """It resends the result until it is answered, and shows success only then."""
        epoch, attempt, event = value
        if epoch != self.epoch:
            attempt.unheard = True
            return
        world = self.world
        answer = world.machine.submit(event)
        if isinstance(answer, str):
            if world.machine.dead:
                self._finish(attempt)
            else:
                world.mine(1_000 if answer == "down" else 2_000, self._tell_again, value)
            return
        attempt.reported = True
        if isinstance(answer, Decision):
            world.log.append((world.now, "reported", attempt.id, event.outcome, answer.conflict))
            if attempt.shown is None:
                attempt.shown = event.outcome if answer.conflict is None else "failure"
                if attempt.shown == "approved":
                    world.checks.promise(attempt)
            self._twice(attempt, event)
        self._finish(attempt)
        if event.outcome in UNANSWERED:
            self._repeat_later(attempt)

    def _twice(self, attempt: Attempt, event: ResultReported) -> None:
        """A defect of the app's: it reports again, or even something else."""
        world = self.world
        if world.faults.twice and not attempt.contradicted and world.chance() < 0.5:
            attempt.contradicted = True
            other = ("declined", "no_answer", "approved", event.outcome)[int(world.chance() * 4)]
            if other != "approved" or event.outcome in ("approved", "no_answer"):
                self._tell(attempt, other, "00" if other == "approved" else None)

    def _repeat_later(self, attempt: Attempt) -> None:
        if attempt.rules.in_doubt == "repeat" and attempt.repeats < REPEATS_MAX:
            self.world.mine(10_000 + int(self.world.chance() * 60_000), self.repeat, (self.epoch, attempt))

    def repeat(self, value: tuple[int, Attempt]) -> None:
        """Advice that nobody answered goes again as it is, when the agent says so."""
        epoch, attempt = value
        row = self.world.machine.state.transactions.get(attempt.id)
        if epoch != self.epoch or attempt.rules.in_doubt != "repeat" or row is None or row.state != "in_doubt":
            return
        attempt.repeats += 1
        attempt.heard = attempt.shown = attempt.hung_at = attempt.life = None
        attempt.asked_at = self.world.now
        self._ask(value)

    def finish_repeats(self, _arg: object = None) -> None:
        """Nothing goes wrong any more: what it still has to say is said."""
        for attempt in self.attempts:
            self.repeat((self.epoch, attempt))

    def hand(self, wish: AskReceipt) -> None:
        """The agent wants a receipt: it comes after a while or never, or the app does not take the wish."""
        fate = self.world.chance() if self.world.faults.withheld else 1.0
        if fate < 0.2:
            machine = self.world.machine
            self.world.mine(200, machine._again, (machine.life, ReceiptAskFailed(transaction=wish.transaction)))
        elif fate > 0.4:
            self.world.mine(int(self.world.chance() * 90_000), self._hand, (self.epoch, wish.transaction))

    def _hand(self, value: tuple[int, str]) -> None:
        """As often as needed; the way in draws a new name for the job each time."""
        epoch, transaction = value
        self.handed += 1
        event = ReceiptGiven(transaction=transaction, jobs=(f"rg{self.handed}",), document=RECEIPT)
        if epoch == self.epoch and isinstance(self.world.machine.submit(event), str) and not self.world.machine.dead:
            self.world.mine(2_000, self._hand, value)

    # ── the customer ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, attempt: Attempt) -> None:
        """This one is answered: the cashier looks, the next customer comes."""
        if attempt is not self.current:
            return
        self.current = None
        self._left(attempt)
        self.world.mine(1_000 + int(self.world.chance() * 20_000), self._next, self.epoch)

    def _left(self, attempt: Attempt) -> None:
        """The customer of an unpaid basket waits for a word whether to pay again."""
        if attempt.shown != "approved" and attempt.kind == "sale":
            self.waiting += 1
            self.world.mine(5_000, self._look, (attempt, 0))
        self.world.checks.look(attempt)

    def _look(self, value: tuple[Attempt, int]) -> None:
        """A look at the screen every now and then; when it says so, the customer pays again."""
        attempt, looks = value
        world = self.world
        again = world.checks.look(attempt)
        if again and not attempt.released and self._tried(attempt.basket) < ATTEMPTS_MAX:
            self.queue.append(Attempt(attempt.basket, "sale", attempt.amount_fen, None, attempt.id))
        elif looks < 8 and not again and not attempt.released and not world.machine.dead:
            world.mine(20_000 << looks, self._look, (attempt, looks + 1))
            return
        self.waiting -= 1
        if self.current is None and self.alive:
            self._next(self.epoch)

    def _tried(self, basket: int) -> int:
        return sum(attempt.basket == basket for attempt in self.attempts)
