"""Settlement files at the door: parts are kept in memory until the last one has come, and only then become one event.

So a file is applied whole or not at all: when the agent dies in between, nothing of it was written and the sender begins anew.
What is plainly right is left out of the event and only counted; every transaction that the rest may be about is named in it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from agent.core.accounts import Settled
from agent.core.calendar import number
from agent.core.change import Report
from agent.core.kinds import MONEYLESS
from agent.core.matching import agrees, order_no
from agent.core.model import Transaction
from agent.core.settlementevent import SettlementImported, Source
from agent.core.state import State
from agent.core.step import step
from agent.core.verdict import CREDITS, day_of
from agent.hooks import web
from agent.hooks.masking import masked
from agent.hooks.ports import House
from agent.hooks.problems import Problem
from agent.hooks.settlementbody import Statement, Verdict
from agent.journal import lookup
from agent.journal.checkpoint import rows_of
from agent.statementlayout import YEARS

LINES_MAX = 10_000  # of one terminal in one file: more than it can make in the days that one file covers
DAYS_MAX = 62
SCAN_MAX = 100_000  # transactions looked through, newest first, for an RRN or an approved one that is missing
ADDED = frozenset({"tip", "adjustment"})


class Desk:
    """One statement at a time: whoever begins another one takes the place of one that was not finished."""

    def __init__(self) -> None:
        self._name = ""
        self._lines: list[Verdict] = []
        self._parts = 0

    def take(self, body: Statement) -> list[Verdict] | None:
        """Keep a part; all lines once the last one is there. Raises Problem when the parts before it are not here."""
        if body.part == 1:
            self._name, self._lines, self._parts = body.statement, [], 0
        if (self._name, self._parts) != (body.statement, body.part - 1) or body.part > body.parts:
            self._name = ""
            raise Problem(
                409, "statement-interrupted",
                "the parts before this one are not here, and nothing of the statement was applied: begin again with part 1",
            )
        if len(self._lines) + len(body.verdicts) > LINES_MAX:
            self._name = ""
            raise Problem(400, "statement-too-long", f"a statement takes {LINES_MAX} lines of one terminal: import it day by day")
        self._lines += body.verdicts
        self._parts = body.part
        if body.part < body.parts:
            return None
        lines, self._name, self._lines = self._lines, "", []
        return lines


async def event_of(house: House, body: Statement, verdicts: list[Verdict]) -> SettlementImported:
    """The event of a whole statement."""
    policy = house.inbox.state.agent.policy
    lines = list(_numbered(verdicts))
    days = sorted({line.day for line in lines} | {_day(text) for text in body.dates})
    if not days:
        raise Problem(400, "invalid-body", "a statement without lines needs `dates`: the settlement dates that it covers")
    if len(days) > DAYS_MAX:
        raise Problem(400, "statement-too-long", f"a statement covers at most {DAYS_MAX} settlement dates; import it in pieces")
    if body.covers is None and any(line.order_no is not None for line in lines):
        raise Problem(
            400, "invalid-body",
            "a statement with order numbers needs `covers`: whose settlement it is (card, wechat, alipay, unionpay_qr, bestpay), "
            "because a missing line means something only in that wallet's own files",
        )
    covers: tuple[Source, ...] = tuple(dict.fromkeys(body.covers or ("card",)))
    return await _Sieve(house, body.terminal_id or policy.terminal_id, days, covers).event(masked(body.statement), lines)


def preview(house: House, event: SettlementImported) -> Report:
    """What the statement would come to: the same step over a copy of the rows, which is then thrown away."""
    state, store = house.inbox.state, house.inbox.store
    scratch = State([*rows_of(state), *store.missing(state, event)])
    report = step(scratch, event, state.now).decision.report
    assert report is not None, "an import always reports"
    return report


def _numbered(verdicts: Iterable[Verdict]) -> Iterator[Settled]:
    """The lines with their numbers; equal ones are told apart by `nth`."""
    seen: dict[tuple[object, ...], int] = {}
    for index, said in enumerate(verdicts, start=1):
        if said.rrn is None and said.order_no is None and None in {said.batch, said.stan}:
            raise Problem(400, "invalid-body", f"line {said.line or index} needs rrn, or batch and stan, or order_no")
        same = (said.date, said.batch, said.stan, said.rrn, said.order_no, said.amount_fen, said.direction)
        seen[same] = seen.get(same, 0) + 1
        yield Settled(
            said.line or index, _day(said.date), said.direction, said.amount_fen, said.batch, said.stan, said.rrn, seen[same],
            order_no=said.order_no,
        )


def _day(text: str) -> int:
    try:
        if int(text[:4]) in YEARS:
            return number(text)
    except ValueError:
        pass
    raise Problem(400, "invalid-body", f"{text} is no settlement date: write it as 2026-03-02")


DESK = web.AppKey("desk", Desk)


class _Sieve:
    """One look through the journal's rows: what agrees, what may be meant, and which approved payments are missing."""

    def __init__(self, house: House, terminal_id: str, days: list[int], covers: tuple[Source, ...]) -> None:
        self._store = house.inbox.store
        self._state = house.inbox.state
        self._terminal_id = terminal_id
        self._days = days
        self._covers = covers
        self._orders: dict[str, list[Transaction]] = {}
        self._families: dict[str, None] = {}
        self._seen: set[str] = set()

    async def event(self, statement: str, lines: list[Settled]) -> SettlementImported:
        """Sift the lines, then scan the rows for what is left."""
        await self._find_orders({line.order_no for line in lines if line.order_no is not None})
        kept: list[Settled] = []
        meant = [self._orders.get(line.order_no or "") or self._keyed(line) for line in lines]
        times = Counter(row.id for rows in meant for row in rows)
        self._seen.update(times)
        for line, rows in zip(lines, meant, strict=True):
            if len(rows) == 1 and times[rows[0].id] == 1 and self._agrees(line, rows[0]):
                continue
            self._families.update((row.id, None) for row in rows)
            ours = line.order_no is None or line.order_no in self._orders
            kept.append(line if ours else msgspec.structs.replace(line, order_no=masked(line.order_no or "")))
        wanted = {line.rrn for line in kept if line.rrn is not None}
        named, absent = await self._scan(wanted)
        self._families.update((key, None) for key in (*named.values(), *absent))
        self._link()
        return SettlementImported(
            statement=statement, terminal_id=self._terminal_id, days=tuple(self._days),
            lines=tuple(msgspec.structs.replace(line, named=named.get(line.rrn or "")) for line in kept),
            families=tuple(self._families), absent=tuple(absent), agreed=len(lines) - len(kept), covers=self._covers,
        )

    def _agrees(self, line: Settled, row: Transaction) -> bool:
        return (line.rrn is None or line.rrn == row.rrn) and self._is_covered(row) and agrees(line, row)

    def _is_covered(self, row: Transaction) -> bool:
        return (row.wallet or "card") in self._covers

    async def _find_orders(self, wanted: set[str]) -> None:
        """The transactions with these order numbers, newest first."""
        before, looked = 2**62, 0
        while wanted and looked < SCAN_MAX:
            rows = lookup.older(self._store, before)
            for row in map(self._now, rows):
                number = order_no(row)
                if number is not None and number in wanted and row.terminal_id == self._terminal_id:
                    self._orders.setdefault(number, []).append(row)
            if not rows or (wanted <= self._orders.keys() and self._is_past(rows[-1])):
                break
            before, looked = rows[-1].number, looked + len(rows)
            await asyncio.sleep(0)  # a sale goes first

    def _keyed(self, line: Settled) -> list[Transaction]:
        if line.batch is None or line.stan is None:
            return []
        return [self._now(row) for row in lookup.keyed(self._store, self._terminal_id, line.batch, line.stan)]

    def _now(self, row: Transaction) -> Transaction:
        return self._state.transactions.get(row.id, row)

    async def _scan(self, rrns: set[str]) -> tuple[dict[str, str], list[str]]:
        """The transactions with these RRNs, and the approved ones of these days that no line is about. Newest first."""
        named: dict[str, str] = {}
        approved: list[Transaction] = []
        undone: set[tuple[str, str]] = set()
        before, looked = 2**62, 0
        while looked < SCAN_MAX:
            rows = lookup.older(self._store, before)
            if not rows:
                break
            for row in map(self._now, rows):
                if row.terminal_id != self._terminal_id:
                    continue
                if row.rrn is not None and row.rrn in rrns:
                    named.setdefault(row.rrn, row.id)
                if row.state in {"approved", "paid"}:
                    approved += [row] if self._is_missed(row) else []
                    self._note_original(row, undone)
            before, looked = rows[-1].number, looked + len(rows)
            if rrns <= named.keys() and self._is_past(rows[-1]):
                break
            await asyncio.sleep(0)  # a sale goes first
        seen = self._seen | set(named.values())
        absent = [row.id for row in approved if row.id not in seen and not self._netted(row, undone)]
        return named, absent[::-1]

    def _is_missed(self, row: Transaction) -> bool:
        expected = row.kind not in MONEYLESS and row.kind not in ADDED and self._is_covered(row)
        return expected and row.account is None and day_of(row) in self._days

    def _is_past(self, row: Transaction) -> bool:
        day = day_of(row)
        return day is not None and day < self._days[0] - 1

    def _note_original(self, row: Transaction, undone: set[tuple[str, str]]) -> None:
        """A void takes the line of its original with it; a tip or an adjustment changes that line's amount."""
        if row.original is None:
            return
        if row.kind in CREDITS:
            undone.add((row.original.batch, row.original.stan))
        elif row.kind in ADDED:
            self._families[row.id] = None

    def _netted(self, row: Transaction, undone: set[tuple[str, str]]) -> bool:
        """True for a payment that was voided, and for a void whose original is not in the file either."""
        if row.kind in {"void", "completion_void"} and row.original is not None:
            keys = self._store.named(row.terminal_id, row.original.batch, row.original.stan)
            return not self._seen.intersection(keys)
        return (row.batch, row.stan) in undone

    def _link(self) -> None:
        """What is owed for a transaction may depend on others."""
        waiting = [row for row in self._state.open_transactions.values() if row.links]
        rows = [*waiting, *(self._state.transactions.get(key) or lookup.transaction(self._store, key) for key in self._families)]
        for row in rows:
            if row is not None:
                self._families.update((key, None) for key in row.links)
