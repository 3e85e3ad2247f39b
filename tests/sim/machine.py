"""The terminal: one agent process on the real core, its clocks, and everything that can end it in the middle of a thing."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from agent.core import step as core
from agent.core.change import (
    AskReceipt,
    AskSignIn,
    AskWallet,
    CarryOut,
    Change,
    Decision,
    PrintJob,
    Rejected,
    SendEcho,
    SendReversal,
    WantLine,
    WatchPrinter,
)
from agent.core.event import Booted, DeadlinePassed, Event, TerminalChanged
from agent.core.model import Now
from agent.core.policy import Policy
from agent.journal.database import StorageFailed, StorageFull
from tests.sim.books import Books, Journal
from tests.sim.checks import Violation
from tests.sim.disk import PowerCut
from tests.sim.scan import RULES
from tests.sim.tills import TERMINAL

if TYPE_CHECKING:
    from tests.sim.world import World

CHINA = timezone(timedelta(hours=8))
# 2026-03-02 10:00 in China
WALL_MS = 1_772_416_800_000
CUTOFF_MS = WALL_MS + 13 * 3_600_000  # the host's day ends at 23:00
STEPS_MAX = 4_000
REMEMBERED_MAX = 1  # closed families kept in memory: few, so that they must be found again
Answer = Decision | Rejected | Literal["down", "full"]


class Machine:
    """`life` counts processes: what an earlier one had begun to do is not done any more."""

    def __init__(self, world: "World", books: Books) -> None:
        self.world = world
        self.books = books
        leased, rule = world.faults.lease, "wait"
        if world.faults.batch:
            rule = ("wait", "wait", "refuse", "pass")[int(world.chance() * 4)]
        self.policy = Policy(
            mode="relay" if world.relayed else "direct", line_leased=leased, wallets=RULES, release_on_evidence=True,
            settlement_while_pending=rule, has_display=world.faults.glass,  # type: ignore[arg-type]
            terminal_id=TERMINAL if world.faults.tills else "",
            sends_per_opportunity=1 if world.faults.anew and world.chance() < 0.7 else 3,
        )
        self.state = books.state
        self.up = False
        self.life = 0
        self.boots = 0
        self.boot_id = ""
        self.boot_at = 0
        self.rate = 1_000
        self.wall_base = WALL_MS
        self.wall_offset: int | None = 0
        self.asleep_until = 0
        self.steps = 0
        self.armed = -1
        self.arm_token = 0
        self.signing_in = False
        self.replayed: list[tuple[Event, Now]] = []
        self.dead = False  # its journal is damaged: a technician must come

    # ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────

    def boottime(self) -> int:
        """CLOCK_BOOTTIME: goes on in suspend, never steps, runs a little fast or slow."""
        return (self.world.now - self.boot_at) * self.rate // 1_000

    def clock(self) -> Now:
        """The three times."""
        if self.wall_offset is None:
            return Now(self.boot_id, self.boottime(), None, "none")
        return Now(self.boot_id, self.boottime(), self.wall_base + self.world.now + self.wall_offset, "ntp")

    def true_day(self) -> tuple[str, str]:
        """What a host with the right time says: its business day (MMDD), which ends at 23:00, and its time (hhmmss)."""
        moment = datetime.fromtimestamp((self.wall_base + self.world.now) // 1_000, CHINA)
        day = moment + timedelta(hours=1)
        return f"{day.month:02d}{day.day:02d}", f"{moment.hour:02d}{moment.minute:02d}{moment.second:02d}"

    # ── lives ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def power_on(self, _arg: object = None) -> None:
        """A new boot; the agent starts a moment later."""
        self.boots += 1
        self.boot_id = f"boot-{self.boots}"
        self.boot_at = self.world.now
        if self.world.faults.clock and self.boots > 1:
            self.wall_offset = None if self.world.chance() < 0.5 else 0
        self.start(self.life)

    def power_off(self) -> None:
        """The power goes, and comes back."""
        self.world.note("power cut")
        self.books.power_cut()
        self._end()
        self.world.app.die(reboot=True)
        self.world.mine(5_000 + int(self.world.chance() * 60_000), self.power_on)

    def kill(self) -> None:
        """kill -9 of the agent alone."""
        self.world.note("agent killed")
        self.books.end_process()
        self._end()
        self.world.mine(200 + int(self.world.chance() * 8_000), self.start, self.life)

    def _end(self) -> None:
        self.up = False
        self.life += 1
        self.armed = -1
        self.world.line.reset()

    def start(self, life: int) -> None:
        """The agent starts on what is on disk."""
        if life != self.life or self.up or self.dead:
            return
        try:
            self.state = self.books.load()
        except Exception as error:  # noqa: BLE001  (a world reports every failure)
            self._damaged(error)
            return
        if self.books.damaged:
            self._damaged(StorageFailed("entries that were told are gone"))
            return
        self.up = True
        if self.world.rotten:
            self.world.prove_start()
        self.world.checks.found(self.books.found)
        if self.world.pole is not None:
            self.world.pole.started()
        if self.submit(Booted(version="1", policy=self.policy)) == "full":  # the daemon leaves, and is started again
            self._fail()
        elif self.up and (damage := self.books.damage()) is not None and not isinstance(self.submit(damage), str):
            self.use_disk(self.books.damage_told)
        self.world.orders.restarted()

    def _damaged(self, error: Exception) -> None:
        """It says so and does nothing; that is only right when bits flipped."""
        if not self.world.rotten:
            raise Violation("durable", f"the journal cannot be read: {error!r}") from error
        self.world.note("damaged", type(error).__name__)
        self.dead = self.books.damaged = True

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def insist(self, event: Event) -> None:
        """A performer's word: on a full disk it is said again."""
        if self.submit(event) == "full":
            self.world.mine(2_000, self._again, (self.life, event))

    def _again(self, value: tuple[int, Event]) -> None:
        if value[0] == self.life:
            self.insist(value[1])

    def submit(self, event: Event) -> Answer:
        """What the inbox does: step, commit, and only then answer and act."""
        if not self.up:
            return "down"
        assert self.world.now >= self.asleep_until, "nobody asks a machine that sleeps"
        world, state, books = self.world, self.state, self.books
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise Violation("liveness", "the agent is busy with itself")
        now = self.clock()
        try:
            loaded = books.missing(state, event)
            if loaded:
                state.absorb(loaded)
            try:
                change = core.step(state, event, now)
            except Rejected as refusal:
                state.rollback()
                state.forget(loaded)
                world.log.append((world.now, "rejected", refusal.code, getattr(event, "transaction", None)))
                return refusal
        except Violation:
            raise
        except StorageFailed as error:
            return self._broken(error)
        except AssertionError as broken:
            raise Violation("invariant", f"{type(event).__name__}: {broken}") from broken
        except Exception as defect:
            if world.rotten:
                return self._broken(defect)
            raise Violation("crash", f"{type(event).__name__}: {defect!r}") from defect
        return self._commit(event, now, change, loaded)

    def use_disk(self, act: Callable[[], None]) -> None:
        """Something beside the inbox uses the journal; the disk may fail it, or the power go."""
        if not self.up:
            return
        try:
            act()
        except PowerCut:
            self._not_committed("gone", [])
        except StorageFull:
            pass
        except Exception as error:
            if not isinstance(error, StorageFailed) and not self.world.rotten:
                raise
            self._broken(error)

    def keep_house(self, _arg: object = None) -> None:
        """What the daemon looks for when idle. Where an index hides a row it leaves, and its next start mends that."""
        if not self.up or not isinstance(self.books, Journal):
            return
        try:
            self.books.look(self.clock())
        except StorageFailed as error:
            if not self.world.rotten:
                raise Violation("5", f"rows are not found on a sound disk: {error}") from error
            self._broken(error)

    def _broken(self, error: Exception) -> Answer:
        self.world.note("storage failed", str(error) if isinstance(error, StorageFailed) else type(error).__name__)
        self.books.failed(error)
        self._fail()
        return "down"

    def _commit(self, event: Event, now: Now, change: Change, loaded: list[Any]) -> Answer:
        world, state = self.world, self.state
        death = world.chance() if world.faults.kill else 1.0
        if death < 0.01:
            state.rollback()
            self.kill()
            return "down"
        if loaded and not change.facts:  # as the inbox does: it stands in no entry, so nothing later may rest on it
            state.forget(loaded)
            loaded = []
        outcome = self.books.commit(event, now, change, loaded)
        if outcome == "kept":  # it is on disk, though nobody is told
            self._kept(event, now, change)
        if outcome != "ok":
            return self._not_committed(outcome, loaded)
        state.settle()
        if world.journal:
            state.forget_closed(REMEMBERED_MAX)
            world.fleet.poke()
        if world.replaying and change.facts:
            self.replayed.append((event, now))
        world.checks.committed(self, event, change)
        if death < 0.02:
            self.kill()
            return "down"
        for effect in change.effects:
            self._dispatch(effect)
        if world.pole is not None and change.rows:
            world.pole.committed()
        self._arm(change.next_deadline_ms)
        return change.decision

    def _kept(self, event: Event, now: Now, change: Change) -> None:
        self.state.settle()
        self.world.checks.committed(self, event, change)
        if self.world.replaying and change.facts:
            self.replayed.append((event, now))

    def _not_committed(self, outcome: str, loaded: list[Any]) -> Answer:
        self.world.note("commit", outcome)
        if outcome == "full":
            self.state.rollback()
            self.state.forget(loaded)
            return "full"
        if outcome == "gone":  # with the power, or killed in the middle of it
            if self.books.cut == "power":  # type: ignore[union-attr]
                self.power_off()
            else:
                self.kill()
            return "down"
        self._fail()  # the outcome is unknown: stop, and read what is on disk
        return "down"

    def _fail(self) -> None:
        self.books.end_process()
        self._end()
        if self.world.rotten and not self.books.mendable:
            self.dead = self.books.damaged = True
        self.world.mine(3_000, self.start, self.life)

    def _dispatch(self, effect: Any) -> None:
        world = self.world
        kind = type(effect)
        if kind is SendReversal or kind is SendEcho:
            world.line.send(effect)
        elif kind is AskWallet:
            world.wallets.perform(effect)
        elif kind is WantLine:
            world.line.want(effect.wanted)
        elif kind is PrintJob:
            world.printer.print(effect)
        elif kind is WatchPrinter:
            world.printer.watch(effect.wanted)
        elif kind is AskReceipt:
            world.app.hand(effect)
        elif kind is CarryOut:
            world.orders.carry_out(effect)
        elif kind is AskSignIn and not self.signing_in:
            self.signing_in = True
            world.mine(3_000 + int(world.chance() * 60_000), self.sign_in)

    def sign_in(self, _arg: object = None) -> None:
        """The payment app signs in; the host gives new keys."""
        if self.world.line.down or not self.up:
            self.world.mine(20_000, self.sign_in)
            return
        self.signing_in = False
        self.world.host.keys_good = True
        self.insist(TerminalChanged(what="signed_in"))

    # ── deadlines ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _arm(self, due_ms: int | None) -> None:
        if due_ms is None:
            self.armed = -1
            return
        at = max(self.world.now, self.boot_at - (-due_ms * 1_000 // self.rate))
        if at != self.armed:
            self.armed = at
            self.arm_token += 1
            self.world.mine(at - self.world.now, self._due, self.arm_token)

    def _due(self, token: int) -> None:
        if self.armed >= 0 and token == self.arm_token:
            self.armed = -1
            if self.submit(DeadlinePassed()) == "full":
                self.world.mine(2_000, self._retry_due, self.life)

    def _retry_due(self, life: int) -> None:
        if life == self.life:
            self.insist(DeadlinePassed())
