"""The rows in memory, with an undo log: a step changes them in place and either stays or is rolled back whole.

All open rows are here, and closed ones as long as they are remembered (`forget_closed`). A step that needs an older closed
family gets it by `absorb`, loaded from disk by the caller.
"""

from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar, cast

from msgspec.structs import replace

from agent.core.accounts import Ledger
from agent.core.change import Change, Decision, Effect, Fact, Rejected
from agent.core.commandbook import CommandBook
from agent.core.model import Agent, Display, Incident, Job, Line, Now, Printer, Reversal, Row, Stamp, Streaks, Transaction
from agent.core.moment import whole_day

if TYPE_CHECKING:
    from agent.core.playbook import Row as Words

R = TypeVar("R", bound=Row)
Key = tuple[str, str, str]
MINUTE_MS = 60_000
DAY_MINUTES = 1_440
_SINGLES: dict[type, str] = {
    Agent: "agent", Line: "line", Printer: "printer", Display: "display", Streaks: "streaks", Ledger: "ledger",
    CommandBook: "commands",
}

_number = attrgetter("number")


def find(state: "State", key: str) -> Transaction:
    """The transaction, or 404."""
    found = state.transactions.get(key)
    if found is None:
        raise Rejected(404, "no-such-transaction", f"no transaction {key}")
    return found


class State:
    """All rows of record that the core looks at, and the change being made to them."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.agent = Agent()
        self.line = Line()
        self.printer = Printer()
        self.display = Display()
        self.streaks = Streaks()
        self.ledger = Ledger()
        self.commands = CommandBook()
        self.transactions: dict[str, Transaction] = {}
        self.reversals: dict[str, Reversal] = {}
        self.incidents: dict[str, Incident] = {}
        self.jobs: dict[str, Job] = {}
        self.open_transactions: dict[str, Transaction] = {}
        self.open_reversals: dict[str, Reversal] = {}
        self.open_incidents: dict[str, Incident] = {}
        self.open_jobs: dict[str, Job] = {}
        self.family: dict[str | None, list[tuple[type, str]]] = {}  # None: what belongs to no transaction
        self.keys: dict[Key, list[str]] = {}
        self._tables: dict[type, tuple[dict[str, Row], dict[str, Row]]] = cast(
            "dict[type, tuple[dict[str, Row], dict[str, Row]]]",
            {
                Transaction: (self.transactions, self.open_transactions),
                Reversal: (self.reversals, self.open_reversals),
                Incident: (self.incidents, self.open_incidents),
                Job: (self.jobs, self.open_jobs),
            },
        )
        self._undo: list[tuple[tuple[type, str], Row | None]] = []
        self._touched: dict[tuple[type, str], Row] = {}
        self.touched: Collection[Row] = self._touched.values()  # what this step has written, each row in its last form
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []
        self.wiped: list[str] = []
        self.now = Now("", 0, None, "none")
        self.wording: Mapping[str, Words] = {}  # the merchant's own; no row, and no judgement looks at them
        self.absorb(rows)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def known(self, row: Row) -> Row | None:
        """The row with the same kind and id, if it is remembered."""
        return self._get(type(row), row.id)

    def jobs_of(self, transaction: str) -> list[Job]:
        """Every remembered print job of a transaction, oldest first."""
        return [self.jobs[key] for kind, key in self.family.get(transaction, ()) if kind is Job]

    def last_receipt(self, transaction: str) -> Job | None:
        """The newest genuine receipt, if one was handed over."""
        for kind, key in reversed(self.family.get(transaction, ())):
            if kind is Job and self.jobs[key].what == "receipt":
                return self.jobs[key]
        return None

    def incidents_of(self, transaction: str) -> list[Incident]:
        """Every remembered incident of a transaction, oldest first."""
        return [self.incidents[key] for kind, key in self.family.get(transaction, ()) if kind is Incident]

    def open_incidents_of(self, transaction: str) -> list[Incident]:
        """The open ones among them."""
        opened = self.open_incidents
        return [opened[key] for kind, key in self.family.get(transaction, ()) if kind is Incident and key in opened]

    def reversals_by_age(self) -> list[Reversal]:
        """Open reversals, oldest first: the same order after a restart as before it, so that a replay tells the same."""
        return sorted(self.open_reversals.values(), key=_number)

    def transactions_by_age(self) -> list[Transaction]:
        """Open transactions, oldest first."""
        return sorted(self.open_transactions.values(), key=_number)

    def incidents_by_age(self, code: str) -> list[Incident]:
        """Open incidents of this code, oldest first."""
        return sorted([row for row in self.open_incidents.values() if row.code == code], key=_number)

    def jobs_by_age(self) -> list[Job]:
        """Jobs that may still print, oldest first."""
        return sorted(self.open_jobs.values(), key=_number)

    def stamp(self) -> Stamp:
        """Now, as it is kept in rows."""
        now = self.now
        return Stamp(self.agent.boots, now.boottime_ms, now.wall_ms, self.business_day())

    def age_ms(self, stamp: Stamp) -> int:
        """How old a stamp is at least: after a new boot only the time since that boot is proved."""
        elapsed_ms = self.now.boottime_ms
        return elapsed_ms - stamp.mono_ms if stamp.boot == self.agent.boots else elapsed_ms

    def age_most_ms(self, stamp: Stamp) -> int:
        """How old a stamp may be: over a new boot the wall clock tells, where both times are known."""
        if self.now.wall_ms is None or stamp.wall_ms is None:
            return self.age_ms(stamp)
        return max(self.age_ms(stamp), self.now.wall_ms - stamp.wall_ms)

    def business_day(self) -> str | None:
        """The host's date: by its own word of this boot, else by the wall clock and its cut-off, else None (unknown).

        Days since 1970, or `h` and MMDD where only the host knows the day (see `hostdate`).
        """
        agent = self.agent
        if agent.host_day is not None and self.now.boottime_ms < agent.host_day_until_ms:
            return agent.host_day
        return self.wall_day()

    def whole_day(self) -> int | None:
        """The business day as a number, None where it is not known or names no year."""
        return self._wall_days() if self.agent.host_day is None else whole_day(self.business_day())

    def wall_day(self) -> str | None:
        """The business day by the wall clock alone, in days since 1970."""
        days = self._wall_days()
        return None if days is None else str(days)

    def _wall_days(self) -> int | None:
        if self.now.wall_ms is None:
            return None
        policy = self.agent.policy
        minutes = self.now.wall_ms // MINUTE_MS + policy.utc_offset_minutes
        return (minutes + DAY_MINUTES - policy.cutoff_minute) // DAY_MINUTES

    def is_today(self, stamp: Stamp) -> bool:
        """True only when the stamp is surely of the running business day: not when the clock was stepped since."""
        today, wall_ms = self.business_day(), self.now.wall_ms
        if today is None or stamp.day != today:
            return False
        if today.startswith("h"):
            return True  # the host's own word then and now; no clock of ours has a part in it
        if wall_ms is None or stamp.wall_ms is None or self.wall_day() != today:
            return False  # or the host's word and our clock differ on whether the day is over: then it is
        stepped_ms = wall_ms - stamp.wall_ms - self.age_ms(stamp)
        return stepped_ms >= -MINUTE_MS if stamp.boot != self.agent.boots else abs(stepped_ms) <= MINUTE_MS

    # ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, row: R) -> R:
        """Write a row; the old one is remembered until `take` or `rollback`."""
        where = type(row), row.id
        self._undo.append((where, self._set(row)))
        self._touched[where] = row
        return row

    def number(self, *, of_newest: bool = False) -> int:
        """The next ordinal: a smaller number is older. `of_newest`: of the transaction that stands at the till from now on."""
        agent = self.agent
        number = agent.next_number
        self.put(replace(agent, next_number=number + 1, newest=number if of_newest else agent.newest))
        return number

    def tell(self, type_: str, transaction: str | None = None, incident: str | None = None, **data: object) -> None:
        """Record a fact."""
        if None in data.values():
            data = {key: value for key, value in data.items() if value is not None}
        self.facts.append(Fact(type_, transaction, incident, data))

    def do(self, effect: Effect) -> None:
        """Ask for something to happen after the commit."""
        self.effects.append(effect)

    def mark(self) -> int:
        """A place in the undo log to roll back to."""
        return len(self._undo)

    def take(self, decision: Decision, next_deadline_ms: int | None) -> Change:
        """End the step: hand out what it made. The undo log stays until `settle`."""
        change = Change(list(self.touched), self.facts, self.effects, self.wiped, decision, next_deadline_ms)
        self._clear_step()
        return change

    def rollback(self, mark: int = 0) -> None:
        """Undo everything since `mark`."""
        while len(self._undo) > mark:
            where, old = self._undo.pop()
            if old is None:
                self._drop(*where)
            else:
                self._set(old)
        self._clear_step()

    def settle(self) -> None:
        """What was changed is on disk: nothing can be undone any more."""
        self._undo.clear()

    def absorb(self, rows: Iterable[Row]) -> None:
        """Take rows from disk as they are."""
        for row in rows:
            self._set(row)

    def forget(self, rows: Iterable[Row]) -> None:
        """Let go of rows that were absorbed for a step that came to nothing."""
        for row in rows:
            if row.id in self._tables[type(row)][0]:
                self._drop(type(row), row.id)

    @property
    def remembered(self) -> int:
        """How much is in memory: transactions, or rows that belong to none, whichever are more."""
        return max(len(self.transactions), len(self.family.get(None, ())))

    def forget_closed(self, keep: int) -> None:
        """Drop what is closed, oldest first, until at most `keep` transactions and `keep` rows that belong to none remain.

        What an open one is judged by stays as well: a repeat that came to nothing must not be taken for one that was paid.
        """
        surplus = max(0, len(self.transactions) - keep)
        is_open = {key: self._family_open(key) for key in self.transactions} if surplus else {}
        linked = {link for key in is_open if is_open[key] for link in self.transactions[key].links}
        linked |= {key for link in linked & self.transactions.keys() for key in self.transactions[link].undoings}
        closed = [key for key in is_open if not is_open[key] and key not in linked]
        dropped = [row for key in closed[:surplus] for row in self.family.get(key, ())]
        alone = self.family.get(None, ())
        surplus = max(0, len(alone) - keep)
        dropped += [(kind, key) for kind, key in alone if key not in self._tables[kind][1]][:surplus] if surplus else []
        for kind, key in dropped:
            self._drop(kind, key)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _clear_step(self) -> None:
        self._touched.clear()
        self.facts = []
        self.effects = []
        self.wiped = []

    def _family_open(self, transaction: str) -> bool:
        return any(key in self._tables[kind][1] for kind, key in self.family.get(transaction, ()))

    def _get(self, kind: type, key: str) -> Row | None:
        tables = self._tables.get(kind)
        if tables is not None:
            return tables[0].get(key)
        return cast("Row", getattr(self, _SINGLES[kind]))

    def _set(self, row: Row) -> Row | None:
        """Write it; the row that stood there before."""
        tables = self._tables.get(type(row))
        if tables is None:
            name = _SINGLES[type(row)]
            single: Row = getattr(self, name)
            setattr(self, name, row)
            return single
        rows, opened = tables
        key = row.id
        before = rows.get(key)
        if before is None:
            self._join(row)
        rows[key] = row
        if row.open:
            opened[key] = row
        elif key in opened:
            del opened[key]
        return before

    def _join(self, row: Row) -> None:
        kind = type(row)
        parent = row.id if kind in (Transaction, Reversal) else cast("Incident | Job", row).transaction
        self.family.setdefault(parent, []).append((kind, row.id))
        if isinstance(row, Transaction):
            self.keys.setdefault((row.terminal_id, row.batch, row.stan), []).append(row.id)

    def _drop(self, kind: type, key: str) -> None:
        rows, opened = self._tables[kind]
        row = rows.pop(key)
        opened.pop(key, None)
        parent = key if kind in (Transaction, Reversal) else cast("Incident | Job", row).transaction
        members = self.family[parent]
        members.remove((kind, key))
        if not members:
            del self.family[parent]
        if isinstance(row, Transaction):
            ids = self.keys[row.terminal_id, row.batch, row.stan]
            ids.remove(key)
            if not ids:
                del self.keys[row.terminal_id, row.batch, row.stan]
