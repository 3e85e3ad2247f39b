"""Customers who pay by wallet, the app that scans their codes, and the gateway that tells the truth, or not.

Beside the card till, on the same agent. The wallet's books are the world's truth; whoever watches here has eyes of its own.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from agent.core import playbook
from agent.core.change import AskWallet, Decision, Rejected
from agent.core.event import (
    DispositionGiven,
    EvidenceGiven,
    IncidentResolved,
    NetworkChanged,
    Opened,
    ResultReported,
    SentAsked,
    WalletAnswered,
)
from agent.core.model import Disposition, Evidence, Transaction
from agent.core.wallets import DEFAULTS
from device.simulator.wallet.faults import OK, Fault
from device.simulator.wallet.gateway import Outcome, call
from device.simulator.wallet.model import WalletModel
from tests.sim.checks import Violation
from tests.sim.tills import TERMINAL

if TYPE_CHECKING:
    from tests.sim.world import World

# As they are, but for the longest asking: a world ends 45 minutes after its last fault.
QUERIES_MAX = LOOKS_MAX = 20
RULES = tuple(replace(rule, queries_max=QUERIES_MAX, looks_max=LOOKS_MAX) for rule in DEFAULTS)
FINAL = frozenset({"paid", "declined", "not_sent", "closed", "refunded", "unresolved", "resolved"})
OPEN = frozenset({"sent", "querying", "cancelling", "cancel_unknown"})
ANSWER_MS = 60_000  # the app's own time-out
ATTEMPTS_MAX = 3
ASK_MAX_MS = 300_000


class Scan:
    """One code that was scanned. `key` is the agent's id; `released`: the cashier gave the goods away on the agent's word."""

    __slots__ = (
        "asked", "asked_at", "basket", "cancels", "due_query", "go_at", "key", "kind", "opened", "order_no", "queries",
        "refund_no", "released", "said", "stan", "trusted",
    )

    def __init__(self, basket: int, number: int, wallet: str) -> None:
        self.basket = basket
        self.kind = wallet
        self.stan = f"{500_000 + number:06d}"
        self.key = f"w{number}"
        self.order_no = f"2026030210{number:06d}"
        self.asked = self.opened = self.released = self.due_query = self.trusted = False
        self.asked_at = 0
        self.go_at: int | None = None
        self.queries = self.cancels = 0
        self.said: str | None = None  # of the last query, None while it is under way
        self.refund_no: str | None = None


class Wallets:
    """The second till of a world; idle unless the fault `scan` is drawn."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.model = WalletModel()
        self.scans: list[Scan] = []
        self.queue: deque[int] = deque()
        self.current: Scan | None = None
        self.away_until = 0

    def start(self) -> None:
        """The customers of the day, and what goes wrong with the gateway."""
        if not self.world.faults.scan:
            return
        chance = self.world.chance
        self.queue.extend(range(1, 1 + (1, 1, 2, 3)[int(chance() * 4)]))
        self.world.mine(200 + int(chance() * 30_000), self._next)
        for _ in range(3):
            self.world.mine(int(chance() * 300_000), self._people)
        if self.world.faults.gateway_away:
            self.world.after(int(chance() * 120_000), self._goes_away)

    def _goes_away(self, _arg: object) -> None:
        if self.world.faults.gateway_away:
            ms = int((5_000, 60_000, 900_000)[int(self.world.chance() * 3)] * self.world.chance())
            self.world.note("gateway away", ms)
            self.away_until = self.world.now + ms
            self.world.mine(ms + 1, self._came_back)

    def _came_back(self, _arg: object) -> None:
        self.world.machine.submit(NetworkChanged())

    # ── the app ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _next(self, _arg: object = None) -> None:
        if self.world.machine.dead or not self.queue:
            return
        if self.current is not None or not self.world.app.alive:
            self.world.mine(5_000, self._next)
            return
        basket = self.queue.popleft()
        wallet = ("wechat", "wechat", "alipay", "unionpay_qr", "bestpay")[int(self.world.chance() * 5)]
        self.current = scan = Scan(basket, len(self.scans) + 1, wallet)
        self.scans.append(scan)
        scan.asked_at = self.world.now
        self._ask((self.world.app.epoch, scan))

    def _ask(self, value: tuple[int, Scan]) -> None:
        epoch, scan = value
        world = self.world
        if epoch != world.app.epoch:
            self._leave(scan)
            return
        answer = world.machine.submit(self._question(scan))
        if isinstance(answer, Decision):
            if answer.proceed != "refuse":
                self._alone(scan)
            scan.opened = True
            if answer.proceed == "go":
                self._go(epoch, scan)
            elif world.now - scan.asked_at > ASK_MAX_MS:
                self._report(epoch, scan, "not_sent")
            else:
                world.mine(answer.retry_after_ms or 1_000, self._ask, value)
        elif isinstance(answer, Rejected) or world.machine.dead:
            self._leave(scan)
        else:
            world.mine(1_500, self._ask, value)

    def _alone(self, scan: Scan) -> None:
        """No second code of a basket is taken while the first is open, unless the merchant took the risk."""
        for other in self.scans:
            row = self._row(other)
            if scan.opened or other is scan or other.basket != scan.basket or row is None:
                continue
            if row.state in OPEN and other.key not in self.world.checks.risk:
                raise Violation("13", f"{scan.key} is taken while {other.key} of its basket is {row.state}")

    def _question(self, scan: Scan) -> Opened | SentAsked:
        if scan.opened or scan.key in self.world.machine.state.transactions:
            return SentAsked(transaction=scan.key)
        bestpay = scan.kind == "bestpay"
        return Opened(
            transaction=scan.key, rail="bestpay" if bestpay else "wallet", kind="sale", amount_fen=100, currency="156",
            stan=scan.stan, batch=self.world.app.tills.batch_no(TERMINAL), terminal_id=TERMINAL,
            merchant_id="898310148160001", ask=True,
            basket_id=f"scan-{scan.basket}", last4=scan.order_no[-4:], wallet=scan.kind, order_no=scan.order_no,
            customer="c1" if bestpay else None,
        )

    def _go(self, epoch: int, scan: Scan) -> None:
        """The code goes to the wallet; what the app hears of it decides nothing about what was booked."""
        world, chance = self.world, self.world.chance
        scan.go_at = world.now
        fate, after_ms = "paid", None
        roll = chance()
        if world.faults.late_pay and roll < 0.5:
            fate, after_ms = ("late", "paying")[roll < 0.2], int(chance() * 200_000)
        elif (roll := chance()) < 0.6:
            fate = ("unpaid", "lost", "abnormal", "unpaid")[int(roll / 0.15)]
        said = self.model.pay(scan.order_no, 100, fate, after_ms, world.now)
        world.note("wallet pays", scan.key, fate, after_ms)
        sure = {"paid": "approved", "not_paid": "declined" if fate != "late" else "no_answer"}.get(said, "no_answer")
        if world.faults.deaf_app and chance() < 0.7:
            sure = "no_answer"
        world.mine(500 if sure != "no_answer" else ANSWER_MS, self._reported, (epoch, scan, sure))

    def _reported(self, value: tuple[int, Scan, str]) -> None:
        self._report(*value)

    def _report(self, epoch: int, scan: Scan, outcome: str) -> None:
        world = self.world
        if epoch != world.app.epoch:
            self._leave(scan)
            return
        if outcome == "no_answer" and world.faults.mute_app:
            self._leave(scan)
            return
        answer = world.machine.submit(ResultReported(transaction=scan.key, outcome=outcome))  # type: ignore[arg-type]
        if isinstance(answer, str) and not world.machine.dead:
            world.mine(1_500, self._reported, (epoch, scan, outcome))
            return
        self._leave(scan)

    def _leave(self, scan: Scan) -> None:
        """The cashier looks at the screen now and then; the next customer comes."""
        if scan is self.current:
            self.current = None
            self.world.after(3_000, self._look, (scan, 0))
            self.world.mine(2_000, self._next)

    def _look(self, value: tuple[Scan, int]) -> None:
        scan, looks = value
        world, row = self.world, self._row(scan)
        if row is not None:
            _, hold_goods, may_pay_again = playbook.judge(world.machine.state, row)
            scan.released = scan.released or not hold_goods
            hasty = world.faults.people and world.chance() < 0.3  # the agent must refuse the new code
            if (may_pay_again or hasty) and not scan.released and self._tried(scan.basket) < ATTEMPTS_MAX:
                self.queue.append(scan.basket)
                world.mine(500, self._next)
                return
        if looks < 12 and not scan.released and not world.machine.dead:
            world.after(15_000 << min(looks, 6), self._look, (scan, looks + 1))

    def _tried(self, basket: int) -> int:
        return sum(scan.basket == basket for scan in self.scans)

    def _row(self, scan: Scan) -> Transaction | None:
        machine = self.world.machine
        return machine.state.transactions.get(scan.key) if machine.up else None

    def _people(self, _arg: object) -> None:
        """Somebody shows something, takes a risk, or closes a case."""
        world, chance = self.world, self.world.chance
        rows = [(scan, row) for scan in self.scans if (row := self._row(scan)) is not None]
        if not rows or not world.faults.people:
            return
        scan, row = rows[int(chance() * len(rows))]
        what = int(chance() * 4)
        if what == 0:
            world.machine.submit(DispositionGiven(transaction=scan.key, disposition=Disposition(accepts_risk=True)))
        elif what == 1:
            incident = next((each for each in world.machine.state.incidents_of(scan.key) if each.open), None)
            if incident is not None:
                world.machine.submit(
                    IncidentResolved(incident=incident.id, transaction=scan.key, resolution="no_action", by="manager")
                )
        else:
            shown: dict[str, Any] = {}
            if what == 2 and row.opened.wall_ms is not None:
                shown = {"amount_fen": 100, "order_no": scan.order_no, "merchant": row.merchant_id, "at": "2026-03-02 10:00:00"}
            world.machine.submit(EvidenceGiven(transaction=scan.key, evidence=Evidence(kind="wallet_record", **shown)))

    # ── the gateway ──────────────────────────────────────────────────────────────────────────────────────────────────

    def perform(self, effect: AskWallet) -> None:
        """A call leaves, if the gateway is in reach."""
        world, scan = self.world, self.find(effect.transaction)
        self._watch(scan, effect)
        if world.line.down or world.now < self.away_until:
            world.mine(20, self._unreached, (world.machine.life, scan, effect))
            return
        world.after(30, self._arrived, (world.machine.life, scan, effect))

    def find(self, key: str) -> Scan:
        """The scan with this id."""
        return self.scans[int(key[1:]) - 1]

    def _unreached(self, value: tuple[int, Scan, AskWallet]) -> None:
        life, scan, effect = value
        scan.due_query = scan.due_query and effect.call == "query"
        if effect.call == "cancel":
            scan.cancels -= 1
        if effect.call == "query":
            scan.queries -= 1
        self._tell(life, WalletAnswered(transaction=scan.key, number=effect.number, outcome="not_reached"))

    def _arrived(self, value: tuple[int, Scan, AskWallet]) -> None:
        life, scan, effect = value
        world = self.world
        self.model.advance(world.now)
        self.model.paying_refuses = scan.kind == "wechat"
        fault = self._fault(effect.call)
        outcome = call(
            self.model, effect.call, effect.order_no, fault, refund_no=effect.refund_no or "", amount_fen=effect.amount_fen
        )
        world.note("gateway", scan.key, effect.call, fault.word, outcome.reply.state if outcome.reply else None)
        delay_ms = 30 + (int(world.chance() * 15_000) if world.faults.delay and world.chance() < 0.3 else 0)
        if outcome.reply is not None:
            world.mine(delay_ms, self._answered, (life, scan, effect, outcome))

    def _fault(self, kind: str) -> Fault:
        faults, chance = self.world.faults, self.world.chance
        if faults.mute_wallet and chance() < 0.4:
            return Fault(("silent", "lost", "unknown", "garbage", "500")[int(chance() * 5)])
        if faults.lying_wallet and chance() < 0.8:
            return Fault(("lie", "refuse", "busy")[int(chance() * 3)]) if kind != "query" else OK
        return OK

    def _answered(self, value: tuple[int, Scan, AskWallet, Outcome]) -> None:
        life, scan, effect, outcome = value
        reply = outcome.reply
        assert reply is not None, "an answer was given"
        if outcome.status != 200 or outcome.garbage:
            self._tell(life, WalletAnswered(transaction=scan.key, number=effect.number, outcome="unknown"))
            return
        row = self._row(scan)
        waited_for = row is not None and row.order is not None and row.order.call is not None and row.order.calls == effect.number
        if effect.call == "query" and waited_for:
            scan.said = reply.state  # before it is told: what follows from it is watched
        heard = self._tell(life, WalletAnswered(
            transaction=scan.key, number=effect.number, outcome="answered", state=reply.state, amount_fen=reply.amount_fen,
            retry=reply.retry is not False, abnormal=reply.reason is not None,
        ))
        if not heard:
            scan.said = None

    def _tell(self, life: int, event: WalletAnswered) -> bool:
        """True when the agent took it."""
        return life == self.world.machine.life and isinstance(self.world.machine.submit(event), Decision)

    # ── eyes of its own ──────────────────────────────────────────────────────────────────────────────────────────────

    def _watch(self, scan: Scan, effect: AskWallet) -> None:
        """Every call against the wallet's rules, told apart from the core's own bookkeeping."""
        if effect.order_no != scan.order_no or effect.amount_fen != 100:
            raise Violation("3", f"{effect.call} of {scan.key} names another order")
        if effect.call == "query":
            scan.queries += 1
            scan.asked = True
            scan.said = None
            scan.due_query = False
            if scan.queries > QUERIES_MAX + LOOKS_MAX + 16 + 2 + self.world.machine.life:
                raise Violation("8", f"{scan.queries} queries of {scan.key}")
            return
        if scan.due_query:
            raise Violation("8", f"{effect.call} of {scan.key} without a query after the last one")
        scan.due_query = True
        if effect.call == "refund":
            if scan.refund_no not in {None, effect.refund_no}:
                raise Violation("9", f"{scan.key} is refunded under two numbers")
            scan.refund_no = effect.refund_no
            return
        self._cancel(scan)

    def _cancel(self, scan: Scan) -> None:
        rule = next(rule for rule in RULES if rule.name == scan.kind)
        account = self.model.find(scan.order_no)
        scan.cancels += 1
        if not scan.asked:
            raise Violation("8", f"{scan.key} is cancelled without a query")
        if scan.trusted:
            raise Violation("9", f"{scan.key} is cancelled after its evidence was accepted")
        waited_ms = self.world.now - (scan.go_at if scan.go_at is not None else scan.asked_at)
        if waited_ms * 101 // 100 + 1 < rule.cancel_after_ms:
            raise Violation("8", f"{scan.key} is cancelled {waited_ms} ms after its payment")
        if scan.kind == "wechat" and scan.said == "paying" and account is not None and account.state == "paying":
            raise Violation("8", f"{scan.key} is cancelled while the customer types a password")
        if scan.cancels > rule.cancels_max + self.world.machine.life:
            raise Violation("8", f"{scan.cancels} cancels of {scan.key}")

    def end(self, rows: "dict[str, Transaction]") -> None:
        """What became of every order, against the wallet's own books."""
        self.model.advance(self.world.now)
        paid: dict[int, list[str]] = {}
        for scan in self.scans:
            row = rows.get(scan.key)
            if row is None:
                if scan.opened:
                    raise Violation("1", f"{scan.key} vanished")
                continue
            self._end(scan, row)
            if self.net(scan) > 0:
                paid.setdefault(scan.basket, []).append(scan.key)
        for keys in paid.values():
            if len(keys) > 1 and not any(key in self.world.checks.incidents for key in keys):
                raise Violation("13", f"one basket was paid by {keys} and nobody knows")

    def net(self, scan: Scan) -> int:
        """What the customer has paid, by the wallet's books."""
        account = self.model.find(scan.order_no)
        return 0 if account is None else account.net_debit_fen

    def unseen(self, scan: Scan, row: Transaction) -> bool:
        """Closed, said the wallet, and booked it later; every look from then to the last query was in vain: the files show it."""
        account = self.model.find(scan.order_no)
        booked = account is not None and account.stubborn and account.state == "paid"
        told = [entry[1] for entry in self.world.log if entry[2:3] == (scan.key,)]
        since = len(told) - told[::-1].index("wallet.closed") if "wallet.closed" in told else len(told)
        looks = told[since:].count("query.asked")  # also what a kill kept from leaving
        return row.state == "closed" and booked and looks >= LOOKS_MAX and scan.said in {None, "unknown"}

    def _end(self, scan: Scan, row: Transaction) -> None:
        net, incidents = self.net(scan), self.world.checks.incidents
        if row.state not in FINAL or row.due_ms is not None:
            raise Violation("8", f"{scan.key} is still {row.state}")
        if row.state == "paid" and net != 100:
            raise Violation("9", f"{scan.key} is paid and the wallet's books say {net}")
        if row.state in FINAL - {"paid", "unresolved", "resolved"} and net != 0 and not self.unseen(scan, row):
            raise Violation("9", f"{scan.key} is {row.state} and the wallet's books say {net}")
        if row.state in {"unresolved", "resolved"} and scan.key not in incidents:
            raise Violation("1", f"{scan.key} is {row.state} and nobody's")
        if scan.released and net != 100:
            raise Violation("9", f"the goods of {scan.key} went out and the wallet's books say {net}")
