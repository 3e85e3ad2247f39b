"""The next days: settlement files made from the host's books, with lines that are late, netted or doubled, and people who refund.

A random source of its own, so that the worlds before it stay what they are. What the files come to must be what the books say.
"""

from random import Random
from typing import TYPE_CHECKING, Any

from agent.core import event as e
from agent.core.accounts import Settled
from agent.core.calendar import grace_day
from agent.core.change import Decision
from agent.core.model import Disposition, Incident, Job, Reversal, Row, Transaction
from agent.core.verdict import day_of
from tests.sim.books import Journal
from tests.sim.checks import Violation
from tests.sim.tills import TERMINAL as TERMINAL

if TYPE_CHECKING:
    from tests.sim.attempt import Attempt
    from tests.sim.world import World

DAY_MS = 86_400_000
Lines = list[tuple[str, Settled]]  # each with the terminal id that it is of
LATE = 6  # the day of a late line, counted from the first one
SAID: tuple[dict[str, Any], ...] = (
    {}, {"goods": "held"}, {"goods": "released"}, {"goods": "returned"}, {"replaced_by": "cash"},
)


def family(world: "World", key: str) -> list[Row]:
    """Every row of a transaction, in memory or on disk."""
    state, books = world.machine.state, world.machine.books
    if key not in state.transactions and isinstance(books, Journal):
        assert books.store is not None
        return books.store.family(key)
    tables = {Reversal: state.reversals, Incident: state.incidents, Job: state.jobs, Transaction: state.transactions}
    return [tables[kind][row] for kind, row in state.family.get(key, ())]  # type: ignore[index]


def row_of(world: "World", key: str) -> Transaction | None:
    """The transaction alone, in memory or on disk."""
    state, books = world.machine.state, world.machine.books
    if key in state.transactions or not isinstance(books, Journal):
        return state.transactions.get(key)
    assert books.store is not None
    return next(iter(books.store.select(Transaction, "WHERE id = ?", (key,))), None)


class NextDay:
    """One world's settlement. `late` lines come two days later, `netted` ones not at all where they cancel out."""

    def __init__(self, world: "World") -> None:
        self.world = world
        random = Random(world.seed ^ 0x5E771E)
        self.chance = random.random
        self.netted = self.chance() < 0.3
        self.first = world.machine.wall_base // DAY_MS - 3  # every day that a clock could name
        self.again = world.seed % 2 == 0  # files are brought twice in half of the worlds, as every fault is in some only
        self.coming: set[str] = set()  # whose lines are in the later file

    def play(self) -> None:
        """Files day by day, the first one perhaps twice, people in between. Raises Violation."""
        world = self.world
        attempts = [attempt for attempt in world.app.attempts if attempt.opened and row_of(world, attempt.id) is not None]
        for attempt in attempts:
            self._say(attempt)
        today, later = self._lines(attempts)
        days = tuple(range(self.first, self.first + 6))
        self._bring(attempts, days, today)
        if self.again and self._bring(attempts, days, today):
            raise Violation("9", "the same file again counted anew")
        self._bring(attempts, tuple(range(days[-1] + 1, days[-1] + 3)), later)
        self._bring(attempts, tuple(range(days[-1] + 3, days[-1] + 9)), [])
        for attempt in attempts:
            self._compare(attempt)
            self._refund(attempt)

    def _say(self, attempt: "Attempt") -> None:
        row = row_of(self.world, attempt.id)
        said = SAID[int(self.chance() * len(SAID))]
        if row is not None and row.state in {"unresolved", "declined_uncertain"} and said:
            self.world.machine.submit(e.DispositionGiven(transaction=attempt.id, disposition=Disposition(**said)))

    def _lines(self, attempts: "list[Attempt]") -> tuple[Lines, Lines]:
        """What the host's books say: in the first file, and a day later."""
        today: Lines = []
        later: Lines = []
        for attempt in attempts:
            entry = self.world.host.book.get(attempt.key)
            if entry is None or attempt.rules.holds or (entry.reversed and self.netted):
                continue
            own, other = ("debit", "credit") if entry.direction > 0 else ("credit", "debit")
            late = self.chance() < 0.2
            (later if late else today).append(self._line(attempt, entry.amount_fen, own, late=late))
            if entry.reversed:
                late = late or self.chance() < 0.5
                (later if late else today).append(self._line(attempt, entry.amount_fen, other, late=late))
        return today, later

    def _line(self, attempt: "Attempt", amount_fen: int, direction: str, *, late: bool) -> tuple[str, Settled]:
        day = self.first + (LATE if late else 5)
        if late:
            self.coming.add(attempt.id)
        line = Settled(1, day, direction, amount_fen, attempt.batch, attempt.stan)  # type: ignore[arg-type]
        return attempt.terminal, line

    def _bring(self, attempts: "list[Attempt]", days: tuple[int, ...], lines: Lines) -> int:
        """A file for each terminal id; how many lines were new."""
        new = 0
        for name in self.world.app.tills.names:
            own = tuple(line for whose, line in lines if whose == name)
            if self.first + LATE in days:
                self.coming -= {attempt.id for attempt in attempts if attempt.terminal == name}
            new += self._import(
                attempts,
                e.SettlementImported(
                    statement=f"{name} {days[0]} {days[-1]} {len(own)}", terminal_id=name, days=days, lines=own,
                    families=tuple(attempt.id for attempt in attempts if attempt.terminal == name),
                ),
            )
        return new

    def _import(self, attempts: "list[Attempt]", event: e.SettlementImported) -> int:
        decision = self.world.machine.submit(event)
        if not isinstance(decision, Decision) or decision.report is None:
            raise Violation("8", f"a settlement file was not taken: {decision}")
        if decision.report.new:  # of what counted nothing the first time nothing can count anew
            self.world.orders.settle(event)
        for attempt in attempts:
            self._owed(attempt)
        return decision.report.new

    def _owed(self, attempt: "Attempt") -> None:
        """At every moment: nobody is sent to refund or to collect what the books do not bear out."""
        row = row_of(self.world, attempt.id)
        if row is None or row.account is None:
            return
        net = self._net(attempt, row)
        if row.refund is not None and row.refund.open and net <= 0:
            raise Violation("9", f"a refund of {attempt.id} is wanted and its net is {net} fen")
        if row.account.case == "collect" and net > 0 and not self._beyond_grace(row):
            raise Violation("9", f"{attempt.id} is to be collected and was booked")

    def _beyond_grace(self, row: Transaction) -> bool:
        """Its line is still to come, after the grace day by the terminal's own date: its clock was behind the host's.

        Nothing on the terminal shows that, so the verdict may be too early; once the line is there it must be right.
        """
        day = day_of(row)
        policy = self.world.machine.policy
        return row.id in self.coming and day is not None and grace_day(policy, day, row.kind) < self.first + LATE

    def _net(self, attempt: "Attempt", row: Transaction) -> int:
        """What it moved, with the void by which a person undid it while the agent was in doubt."""
        undone = 0 if row.undone_by is None else self.world.host.net(self.world.app.find(row.undone_by).key)
        return self.world.host.net(attempt.key) + undone

    def _compare(self, attempt: "Attempt") -> None:
        row = row_of(self.world, attempt.id)
        assert row is not None, "looked up before"
        net = self._net(attempt, row)
        if row.account is None:
            waits = row.state in {"unresolved", "declined_uncertain"} and not attempt.rules.holds
            if waits and day_of(row) is not None and self._in_days(row):
                raise Violation("8", f"{attempt.id} is {row.state} and no verdict ever came")
            return
        if attempt.rules.holds:
            raise Violation("9", f"{attempt.id} only holds, and is judged by files that never have a line of it")
        known = row.amount_fen if row.approved_fen is None else row.approved_fen
        expected = "settled" if net == attempt.full_fen else "not_settled"
        if attempt.approved_fen != known and self.world.host.booked(attempt.key) and not (self.netted and net == 0):
            expected = "uneven"  # a partial approval that never came here
        elif row.undone_by is not None and net not in {0, attempt.full_fen}:
            expected = "uneven"  # refunded in part while it was in doubt
        if (row.account.verdict, row.account.final) != (expected, True):
            raise Violation("9", f"{attempt.id}: the files come to {row.account.verdict}, the books to {net} fen")
        owed = row.account.case not in {"even", "wait"}
        if owed and not any(isinstance(each, Incident) and each.open for each in family(self.world, row.id)):
            raise Violation("1", f"{attempt.id} is {row.account.case} and nobody's")

    def _in_days(self, row: Transaction) -> bool:
        day = day_of(row)
        return day is not None and self.first <= day <= self.first + 8

    def _refund(self, attempt: "Attempt") -> None:
        """A person refunds: twice by mistake, in parts. What went back never exceeds what was taken."""
        row = row_of(self.world, attempt.id)
        if row is None or row.refund is None or not row.refund.open:
            return
        machine, due_fen = self.world.machine, row.refund.due_fen
        machine.submit(e.RefundReported(transaction=row.id, by="Li", confirmed=True))
        for amount_fen in (max(1, due_fen // 2), due_fen, due_fen - due_fen // 2, due_fen):
            machine.submit(e.RefundReported(transaction=row.id, by="Li", amount_fen=amount_fen))
        row = row_of(self.world, attempt.id)
        assert row is not None, "it was there"
        assert row.refund is not None, "it was there"
        if row.refund.refunded_fen > self.world.host.net(attempt.key):
            raise Violation("9", f"{row.refund.refunded_fen} fen of {attempt.id} were refunded, more than was booked")
        reversal = next((each for each in family(self.world, row.id) if isinstance(each, Reversal)), None)
        if reversal is not None and reversal.state not in {"fenced", "accepted"}:
            raise Violation("12", f"{attempt.id} was refunded and its reversal is {reversal.state}")
