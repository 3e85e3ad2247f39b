"""A small world for tests of the core: one terminal, a clock that the test moves, and short names for what happens.

Every step is settled at once; what was told and what was asked for are kept in order.
"""

from typing import Any

from msgspec.structs import replace

from agent.core import event as e
from agent.core.change import Change, Decision, Effect, Fact, PrintJob, Rejected, SendReversal
from agent.core.model import Document, DocumentLine, Incident, Job, Now, Original, Reversal, Transaction
from agent.core.playbook import Advice, advise
from agent.core.policy import Policy
from agent.core.state import State
from agent.core.step import step

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# 2026-03-02 10:00 in China: far from midnight and from the host's cut-off at 23:00.
MORNING_MS = 1_772_416_800_000
TERMINAL = "12345678"
MERCHANT = "898310148160001"
RECEIPT = Document((DocumentLine("签购单"),))


class World:
    """One terminal's core. Times are milliseconds of the running boot; `at` jumps, `go_to` passes through deadlines."""

    def __init__(self, *, boot: bool = True, wall_ms: int | None = MORNING_MS, **policy: Any) -> None:
        self.state = State()
        self.policy = Policy(**policy)
        self.boot_id = "boot-1"
        self.now_ms = 0
        self.wall_at_zero_ms = wall_ms
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []
        self._sends: list[tuple[int, SendReversal]] = []
        self.steps: list[tuple[e.Event, Now]] = []
        self.next_deadline_ms: int | None = None
        self.host_up = False
        if boot:
            self.boot()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> Now:
        """The three times as they are."""
        if self.wall_at_zero_ms is None:
            return Now(self.boot_id, self.now_ms, None, "none")
        return Now(self.boot_id, self.now_ms, self.wall_at_zero_ms + self.now_ms, "ntp")

    def at(self, ms: int) -> None:
        """It is now `ms` of this boot; nothing happens by that alone."""
        assert ms >= self.now_ms
        self.now_ms = ms

    def go_to(self, ms: int) -> None:
        """Let time pass, with `DeadlinePassed` at every deadline on the way."""
        while self.next_deadline_ms is not None and self.next_deadline_ms <= ms:
            self.at(max(self.now_ms, self.next_deadline_ms))
            before = self.next_deadline_ms
            self.do(e.DeadlinePassed())
            assert self.next_deadline_ms is None or self.next_deadline_ms > before, "a deadline that does not move"
        self.at(ms)

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, event: e.Event) -> Decision:
        """Step one event. A rejected one leaves nothing behind and raises `Rejected`."""
        mark = self.state.mark()
        try:
            change = step(self.state, event, self.now)
        except (Rejected, AssertionError):
            self.state.rollback(mark)
            raise
        self.state.settle()
        self.steps.append((event, self.now))
        self._note(change)
        if self.host_up and self.state.line.wanted == "now" and not self.state.line.connected:
            self.do(e.HostReachable())
        return change.decision

    def _note(self, change: Change) -> None:
        self.facts += change.facts
        self.effects += change.effects
        self._sends += [(self.now_ms, effect) for effect in change.effects if isinstance(effect, SendReversal)]
        self.next_deadline_ms = change.next_deadline_ms

    def boot(self, *, new: bool = False) -> None:
        """The agent starts; with `new` the machine does too, and its clock begins at 0 again."""
        if new:
            self.boot_id += "+"
            if self.wall_at_zero_ms is not None:
                self.wall_at_zero_ms += self.now_ms
            self.now_ms = 0
        self.do(e.Booted(version="1", policy=self.policy))

    def open(self, key: str = "a", *, stan: str = "000001", ask: bool = True, **more: Any) -> Decision:
        """The payment app opens a transaction: a sale of 1.00 unless it says otherwise."""
        values: dict[str, Any] = {
            "rail": "card", "kind": "sale", "amount_fen": 100, "currency": "156", "batch": "000001",
            "terminal_id": TERMINAL, "merchant_id": MERCHANT, "entry_mode": "051", "sequence": "001",
            "masked_pan": "622202*********0128", "last4": "0128", "card_hmac": "00" * 8, "vault": f"vault-{key}",
        } | more
        return self.do(e.Opened(transaction=key, stan=stan, ask=ask, **values))

    def void(self, key: str = "v", *, stan: str = "000002", **more: Any) -> Decision:
        """A void of transaction 000001."""
        return self.open(key, stan=stan, kind="void", original=Original(batch="000001", stan="000001"), **more)

    def ask(self, key: str = "a", *, line_down: bool = False) -> Decision:
        """May the first byte leave?"""
        return self.do(e.SentAsked(transaction=key, line_down=line_down))

    def result(self, outcome: str, key: str = "a", **more: Any) -> Decision:
        """What the payment app heard."""
        return self.do(e.ResultReported(transaction=key, outcome=outcome, **more))  # type: ignore[arg-type]

    def doubt(self, key: str = "a", *, stan: str = "000001", **more: Any) -> None:
        """A sale whose answer did not come."""
        self.open(key, stan=stan, **more)
        self.result("no_answer", key)

    def connect(self, *, after_failure: bool = False) -> None:
        """The host can be reached from now on: a connection stands whenever one is wanted."""
        self.host_up = True
        self.do(e.HostReachable(after_failure=after_failure))

    def lose_line(self, *, down: bool = True) -> None:
        """The held connection ends; with `down` no other one comes about."""
        self.host_up = not down
        self.do(e.LineLost())
        if down:
            self.do(e.HostUnreachable())

    def reply(self, code: str | None, key: str = "a", *, mac: str = "good", **other: str | None) -> None:
        """The 0410 of this reversal; `other` fields make it somebody else's."""
        own = self.reversal(key).fields
        said = {"f3": own["3"], "f4": own["4"], "f11": own["11"], "f41": own["41"], "f42": own["42"]} | other
        self.do(e.HostReply(code=code, mac=mac, **said))  # type: ignore[arg-type]

    def finish_job(self, job: str, level: str, fault: str = "none", paper: str = "ok", accepted: int = 10) -> None:
        """The printer driver's word."""
        row = self.state.jobs[job]
        accepted = 0 if level == "UNPRINTED" else accepted
        self.do(
            e.JobFinished(
                job=job, transaction=row.transaction, level=level, accepted_bytes=accepted, total_bytes=10,  # type: ignore[arg-type]
                fault=fault, paper=paper,  # type: ignore[arg-type]
            )
        )

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def transaction(self, key: str = "a") -> Transaction:
        """The row."""
        return self.state.transactions[key]

    def reversal(self, key: str = "a") -> Reversal:
        """Its reversal."""
        return self.state.reversals[key]

    def states(self, key: str = "a") -> tuple[str, str]:
        """(transaction, reversal), "-" when there is none."""
        row = self.state.reversals.get(key)
        return self.transaction(key).state, row.state if row else "-"

    def incident(self, code: str, transaction: str | None = "a") -> Incident:
        """The incident of this code, open or closed."""
        return next(
            row for row in self.state.incidents.values() if (row.code, row.transaction) == (code, transaction)
        )

    def incidents(self) -> set[str]:
        """The codes of the open incidents."""
        return {row.code for row in self.state.open_incidents.values()}

    def advice(self, key: str = "a", proceed: str | None = None) -> Advice:
        """What the cashier is told."""
        return advise(self.state, self.transaction(key), proceed)

    def sends(self) -> list[SendReversal]:
        """Every 0400 that was asked for."""
        return [send for _, send in self._sends]

    def sends_at(self) -> list[tuple[int, SendReversal]]:
        """Every 0400 with the moment at which it was asked for."""
        return self._sends

    def printed(self) -> list[PrintJob]:
        """Every job that was handed to the printer."""
        return [effect for effect in self.effects if isinstance(effect, PrintJob)]

    def jobs(self, what: str, transaction: str = "a") -> list[Job]:
        """Jobs of one kind."""
        return [job for job in self.state.jobs_of(transaction) if job.what == what]

    def told(self, type_: str) -> list[Fact]:
        """Facts of one type."""
        return [fact for fact in self.facts if fact.type == type_]

    def all_rows(self) -> dict[tuple[str, str], object]:
        """Everything that is, for comparing two worlds."""
        state = self.state
        rows = [*state.transactions.values(), *state.reversals.values(), *state.incidents.values(), *state.jobs.values()]
        singles = (state.agent, state.line, state.printer, state.display, state.streaks, state.ledger, state.commands)
        return {(type(row).__name__, row.id): row for row in (*rows, *singles)}


def evidence(kind: str = "debit_sms", **more: Any) -> e.EvidenceGiven:
    """Somebody shows something about transaction a."""
    from agent.core.model import Evidence

    return e.EvidenceGiven(transaction="a", evidence=Evidence(kind=kind, **more))  # type: ignore[arg-type]


def with_policy(world: World, **policy: Any) -> None:
    """Restart the agent with other settings."""
    world.policy = replace(world.policy, **policy)
    world.boot()
