"""The wallets' own next days: files made from the wallet's books, line by order number, and refunds that go through the gateway.

As for cards, with a random source of its own: lines come late, netted or twice, and each wallet's files cover only itself. The
gateway may be silent or lie while it is asked to refund, the agent may be killed in the middle, a person may be too quick.
"""

from random import Random
from typing import TYPE_CHECKING

from agent.core import event as e
from agent.core.accounts import Refund, Settled
from agent.core.change import Decision, Report
from agent.core.incidents import incident_id
from agent.core.model import Disposition, Incident, Transaction
from agent.core.settlementevent import Source
from agent.core.verdict import day_of
from tests.sim import faults as swarm
from tests.sim.checks import Violation
from tests.sim.nextday import DAY_MS, SAID, TERMINAL, family, row_of

if TYPE_CHECKING:
    from tests.sim.scan import Scan
    from tests.sim.world import World

WALLETS: tuple[Source, ...] = ("wechat", "alipay", "unionpay_qr", "bestpay")
TROUBLE = ((), (), ("mute_wallet",), ("lying_wallet",), ("gateway_away",))
HOUR_MS = 3_600_000
TROUBLE_MS = 300_000
PATIENCE_MS = HOUR_MS


class WalletDay:
    """One world's wallets. `one_file`: the acquirer hands out one file for all of them, with batch and STAN too."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.chance = Random(world.seed ^ 0x3A11E7).random
        self.scans = [scan for scan in world.wallets.scans if row_of(world, scan.key) is not None]
        self.netted = self.chance() < 0.3
        self.one_file = self.chance() < 0.3
        self.first = world.machine.wall_base // DAY_MS - 3
        self.again = world.seed % 2 == 0

    def play(self) -> None:
        """Files day by day, the first ones perhaps twice; then refunds, and the files that show them. Raises Violation."""
        for scan in self.scans:
            self._say(scan)
        today, later = self._lines()
        days = tuple(range(self.first, self.first + 6))
        self._bring(days, today)
        if self.again and any(report.new for report in self._bring(days, today)):
            raise Violation("9", "the same wallet file again counted anew")
        self._bring(tuple(range(days[-1] + 1, days[-1] + 3)), later)
        self._bring(tuple(range(days[-1] + 3, days[-1] + 9)), [])
        for scan in self.scans:
            self._compare(scan)
        refunded = [scan for scan in self.scans if self._refund(scan)]
        if not refunded:
            return  # every verdict is final, and further files without a line change none
        last = days[-1] + 9
        self._bring((last,), [self._line(scan, "credit", last) for scan in refunded])
        self._bring((last + 1,), [])
        for scan in refunded:
            account = self._row(scan).account
            if account is None or (account.case, account.final) != ("even", True):
                raise Violation("9", f"{scan.key} was refunded, the files show it, and it is {account}")

    def _row(self, scan: "Scan") -> Transaction:
        row = row_of(self.world, scan.key)
        assert row is not None, "looked up before"
        return row

    def _say(self, scan: "Scan") -> None:
        """Also of what is paid: goods that come back, or cash beside it, are what most refunds are for."""
        said, state = SAID[int(self.chance() * len(SAID))], self._row(scan).state
        if (said and state == "unresolved") or (state == "paid" and said in ({"goods": "returned"}, {"replaced_by": "cash"})):
            self.world.machine.submit(e.DispositionGiven(transaction=scan.key, disposition=Disposition(**said)))

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _lines(self) -> tuple[list[Settled], list[Settled]]:
        """What the wallet's books say: in the first files, and a day later."""
        today: list[Settled] = []
        later: list[Settled] = []
        for scan in self.scans:
            account = self.world.wallets.model.find(scan.order_no)
            if account is None or account.debits_fen == 0 or (account.net_debit_fen == 0 and self.netted):
                continue
            late = self.chance() < 0.2
            (later if late else today).append(self._line(scan, "debit", self.first + 5 + late))
            if account.credits_fen:
                late = late or self.chance() < 0.5
                (later if late else today).append(self._line(scan, "credit", self.first + 5 + late))
        return today, later

    def _line(self, scan: "Scan", direction: str, day: int) -> Settled:
        batch, stan = (self._row(scan).batch, scan.stan) if self.one_file else (None, None)
        return Settled(1, day, direction, 100, batch, stan, order_no=scan.order_no)  # type: ignore[arg-type]

    def _bring(self, days: tuple[int, ...], lines: list[Settled]) -> list[Report]:
        if self.one_file:
            return [self._import(days, lines, WALLETS)]
        kinds = {scan.order_no: scan.kind for scan in self.scans}
        return [
            self._import(days, [line for line in lines if kinds[line.order_no or ""] == name], (name,)) for name in WALLETS
        ]

    def _import(self, days: tuple[int, ...], lines: list[Settled], covers: tuple[Source, ...]) -> Report:
        event = e.SettlementImported(
            statement=f"{covers} {days[0]} {days[-1]} {len(lines)}", terminal_id=TERMINAL, days=days, lines=tuple(lines),
            covers=covers, families=tuple(scan.key for scan in self.scans),
            absent=tuple(scan.key for scan in self.scans if scan.kind in covers and self._is_missed(scan, days, lines)),
        )
        decision = self.world.machine.submit(event)
        if not isinstance(decision, Decision) or decision.report is None:
            raise Violation("8", f"a wallet's file was not taken: {decision}")
        if decision.report.unmatched:
            raise Violation("9", f"lines of our own orders are unmatched: {decision.report.unmatched}")
        for scan in self.scans:
            self._owed(scan)
        return decision.report

    def _is_missed(self, scan: "Scan", days: tuple[int, ...], lines: list[Settled]) -> bool:
        """As the door sees it: paid on one of these days, and nothing in the file is about it."""
        row = self._row(scan)
        if row.state != "paid" or row.account is not None or day_of(row) not in days:
            return False
        return not any(line.order_no == scan.order_no for line in lines)

    # ── against the books ────────────────────────────────────────────────────────────────────────────────────────────

    def _owed(self, scan: "Scan") -> None:
        """At every moment: nobody is sent to refund or to collect what the wallet's books do not bear out."""
        row, net = self._row(scan), self.world.wallets.net(scan)
        if row.refund is not None and row.refund.open and net <= 0:
            raise Violation("9", f"a refund of {scan.key} is wanted and the wallet's books say {net} fen")
        collected = row.account is not None and row.account.case == "collect"
        if collected and net > 0 and self._clock_was_right(scan, row):
            raise Violation("9", f"{scan.key} is to be collected and the wallet has it booked")

    def _clock_was_right(self, scan: "Scan", row: Transaction) -> bool:
        """A terminal that is days behind may call an order "never booked" too early; the late line corrects it."""
        true_ms = self.world.machine.wall_base + scan.asked_at + 9 * HOUR_MS  # China, and the business day ends at 23:00
        return day_of(row) == true_ms // DAY_MS

    def _compare(self, scan: "Scan") -> None:
        row, net = self._row(scan), self.world.wallets.net(scan)
        if row.account is None:
            day = day_of(row)
            if row.state == "closed" and net != 0:
                raise Violation("1", f"{scan.key} is closed, the files have it booked, and it is nobody's")
            if row.state == "unresolved" and day is not None and self.first < day <= self.first + 8:
                raise Violation("8", f"{scan.key} is unresolved and no verdict ever came")
            return
        expected = "settled" if net == 100 else "not_settled"
        if (row.account.verdict, row.account.final) != (expected, True):
            raise Violation("9", f"{scan.key}: the files come to {row.account.verdict}, the wallet's books to {net} fen")
        owed = row.account.case not in {"even", "wait"}
        if owed and not any(isinstance(each, Incident) and each.open for each in family(self.world, row.id)):
            raise Violation("1", f"{scan.key} is {row.account.case} and nobody's")

    # ── refunds ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refund(self, scan: "Scan") -> bool:
        """A person confirms; the wallet refunds, or that person does. Money goes back once. True: the wallet's books have it."""
        item = self._row(scan).refund
        if item is None or not item.open:
            return False
        scan.queries = 0  # a new matter, with bounds of its own
        by_hand_fen = self._confirm(scan, item.due_fen)
        self.world.faults = trouble = swarm.Faults(TROUBLE[int(self.chance() * len(TROUBLE))])
        trouble_ms = int(self.chance() * TROUBLE_MS)
        if trouble.gateway_away:
            self.world.wallets.away_until = self.world.now + trouble_ms
        self.world.pass_time(trouble_ms)
        if self.chance() < 0.3 and self.world.machine.up:
            self.world.machine.kill()
            self.world.pass_time(TROUBLE_MS)
        by_hand_fen += self._pay(scan, item.due_fen)
        self.world.faults = swarm.NONE
        self.world.pass_time(PATIENCE_MS)
        if self._is_the_persons(scan):
            by_hand_fen += self._pay(scan, item.due_fen // 2) + self._pay(scan, item.due_fen)
            by_hand_fen += self._pay(scan, item.due_fen - item.due_fen // 2)
        return self._ended(scan, by_hand_fen)

    def _confirm(self, scan: "Scan", due_fen: int) -> int:
        """Sometimes the money went back before anybody said so."""
        amount_fen = due_fen if self.chance() < 0.15 else None
        answer = self.world.machine.submit(
            e.RefundReported(transaction=scan.key, by="Li", confirmed=True, amount_fen=amount_fen)
        )
        if not isinstance(answer, Decision):
            raise Violation("8", f"the refund of {scan.key} cannot be confirmed: {answer}")
        return amount_fen or 0

    def _pay(self, scan: "Scan", amount_fen: int) -> int:
        """A person says so; what was paid by hand when the agent took it."""
        answer = self.world.machine.submit(e.RefundReported(transaction=scan.key, by="Li", amount_fen=amount_fen))
        return amount_fen if isinstance(answer, Decision) else 0

    def _is_the_persons(self, scan: "Scan") -> bool:
        key = incident_id("in_doubt" if self._row(scan).state == "unresolved" else "settlement", scan.key)
        rows = [row for row in family(self.world, scan.key) if isinstance(row, Incident) and row.id == key]
        return any(row.open and row.next_action == "make_refund" for row in rows)

    def _ended(self, scan: "Scan", by_hand_fen: int) -> bool:
        row, net = self._row(scan), self.world.wallets.net(scan)
        item: Refund | None = row.refund
        if row.order is None or row.order.busy or row.due_ms is not None:
            raise Violation("8", f"the refund of {scan.key} never ends")
        if net < by_hand_fen:
            raise Violation("9", f"{scan.key}: {by_hand_fen} fen went back by hand and {100 - net} through the wallet")
        if item is not None and item.state == "done" and net != by_hand_fen:
            raise Violation("9", f"the refund of {scan.key} is called done, and {net - by_hand_fen} fen did not go back")
        return net == 0
