"""One world: its heap of things to come, its people and machines, its faults, and the calm in which all must come right."""

import zlib
from heapq import heappop, heappush
from random import Random
from typing import Any

import msgspec

from agent.journal.database import StorageFailed, classify
from tests.sim import faults as swarm
from tests.sim import tills
from tests.sim.acquirer import Acquirer
from tests.sim.app import App
from tests.sim.books import Journal, Memory
from tests.sim.checks import Checks
from tests.sim.fleet import Fleet
from tests.sim.line import Line
from tests.sim.machine import CUTOFF_MS, Machine
from tests.sim.orders import Orders
from tests.sim.people import People
from tests.sim.pole import EVERY, Pole
from tests.sim.printer import Printer
from tests.sim.scan import Wallets
from tests.sim.terminal import Terminal

MINUTE = 60_000
HOUR = 60 * MINUTE


class World:
    """Everything follows from the seed. `log` is what happened; its hash is the run's fingerprint."""

    bound_ms = 45 * MINUTE  # the longest back-off (30), the ten minutes after "no original", and what is sent meanwhile

    def __init__(
        self, seed: int, *, journal: bool = False, only: tuple[str, ...] | None = None, baskets: int | None = None
    ) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.chance = random.random
        drawn = self._draw()
        self.size = (1, 1, 1, 1, 1, 2, 3, 6)[int(random.random() * 8)] if baskets is None else baskets
        self.faults = self.drawn = drawn if only is None else swarm.Faults(only)
        self.relayed = self.drawn.relay and not self.drawn.lease
        self.journal = journal
        self.now = 0
        self.heap: list[tuple[int, int, bool, Any, Any]] = []
        self.count = 0
        self.log: list[tuple[Any, ...]] = []
        self.calm_at: int | None = None
        self.rotten = False
        self.replaying = not journal and seed % 16 == 0  # in some: it costs nearly a second world
        self._cast()

    def _draw(self) -> swarm.Faults:
        drawn = swarm.draw(self.random)
        apart = ["glass"] * (self.seed % EVERY == 0) + ["tills"] * (self.seed % tills.EVERY == 0)
        apart += ["anew"] * (self.seed % tills.ANEW_EVERY == 0)
        return swarm.Faults((*drawn.names, *apart))

    def _cast(self) -> None:
        """Everybody who plays, each drawing what it is like."""
        self.checks = Checks(self)
        self.host = Acquirer(self.random)
        self.line = Line(self)
        self.machine = Machine(self, self._books())
        self.printer = Printer(self)
        self.pole = Pole(self) if self.faults.glass else None
        self.fleet = Fleet(self)
        self.people = People(self)
        self.orders = Orders(self)
        self.app = (Terminal if self.relayed else App)(self, self.size)
        self.wallets = Wallets(self)

    def _books(self) -> Journal | Memory:
        if not self.journal:
            return Memory(self.random)
        return Journal(self.random, volatile=self.faults.power or self.faults.rot)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def after(self, ms: int, act: Any, arg: Any = None) -> None:
        """Something outside the terminal happens in `ms`."""
        self.count += 1
        heappush(self.heap, (self.now + ms, self.count, False, act, arg))

    def mine(self, ms: int, act: Any, arg: Any = None) -> None:
        """Something on the terminal happens in `ms`; not while it sleeps."""
        self.count += 1
        heappush(self.heap, (self.now + ms, self.count, True, act, arg))

    def note(self, what: str, *more: Any) -> None:
        """A line of the timeline."""
        self.log.append((self.now, what, *more))

    def run(self) -> None:
        """Play it to its end. Raises Violation."""
        try:
            self._play()
        except Exception as error:
            if not self.rotten or not (isinstance(error, StorageFailed) or classify(error)):
                raise
            self.note("damage found", type(error).__name__)  # the agent stops, and the next start mends it or says so

    def _play(self) -> None:
        self._begin()
        heap, machine = self.heap, self.machine
        while heap:
            at, _, mine, act, arg = heappop(heap)
            if mine and at < machine.asleep_until:
                self.count += 1
                heappush(heap, (machine.asleep_until, self.count, True, act, arg))
                continue
            self.now = at
            if self.calm_at is not None and at > self.calm_at + self.bound_ms:
                break
            act(arg)
        self.checks.end()

    def _begin(self) -> None:
        self.machine.power_on()
        self.app.start()
        self.wallets.start()
        self._plan_faults()

    def pass_time(self, ms: int) -> None:
        """After the end, when nothing sleeps any more: what still comes in `ms`."""
        end, heap = self.now + ms, self.heap
        while heap and heap[0][0] <= end:
            self.now, _, _, act, arg = heappop(heap)
            act(arg)
        self.now = end

    def fingerprint(self) -> int:
        """CRC-32 of the timeline: the same seed gives the same one, in any process."""
        return zlib.crc32(msgspec.json.encode(self.log))

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _plan_faults(self) -> None:
        """When the great faults strike; the small ones are rolled where they happen."""
        faults, chance = self.faults, self.chance
        horizon = 90_000 * (1 + self.app.size)
        plan = {
            "kill": self._kill, "power": self._power, "suspend": self._suspend, "clock": self._clock, "down": self._down,
            "full": self._full, "broken": self._broken, "rot": self._rot, "paper": self._paper, "keys": self._keys,
            "crash": self._crash, "macgone": self._macgone,
        }
        for name, act in plan.items():
            if getattr(faults, name) and not (name in swarm.JOURNAL_ONLY and not self.journal):
                strike = self.mine if name in swarm.AWAKE else self.after
                for _ in range(1 + int(chance() * 2)):
                    strike(int(chance() * horizon), act)
        if self.pole is not None:
            self.after(int(self.pole.chance() * horizon), self.pole.pull)
        if faults.forgets:  # the host's day ends at 23:00 by the terminal's clock, where that is right
            at = int(chance() * horizon)
            self.machine.wall_base = CUTOFF_MS - at
            self.after(at, self._forget)
        if faults.drift:
            self.machine.rate = (990, 999, 1_001, 1_010)[int(chance() * 4)]
        if faults.clock and chance() < 0.3:
            self.machine.wall_offset = None

    def _kill(self, _arg: object) -> None:
        if self.machine.up and self.faults.kill:
            if self.journal and self.chance() < 0.7:
                self._cut("kill")
            else:
                self.machine.kill()

    def _power(self, _arg: object) -> None:
        if self.machine.up and self.faults.power:
            if self.journal and self.chance() < 0.7:
                self._cut("power")
            else:
                self.machine.power_off()

    def _cut(self, how: str) -> None:
        """In the middle of a write or a sync of one of the next commits."""
        books = self.machine.books
        assert isinstance(books, Journal)
        books.cut = how  # type: ignore[assignment]
        books.disk.cut_after = int(self.chance() * 40)

    def _suspend(self, _arg: object) -> None:
        if self.faults.suspend and self.now >= self.machine.asleep_until:
            ms = int(self.chance() * (10_000 if self.chance() < 0.5 else 2 * HOUR))
            self.note("suspend", ms)
            self.machine.asleep_until = self.now + ms

    def _clock(self, _arg: object) -> None:
        if self.faults.clock:
            # A clock that is wrong all along over the cut-over of a host that says no date is beyond what a terminal can know.
            unknowable = self.faults.forgets and not self.host.says_day
            offsets = (0, None) if unknowable else (0, None, -HOUR, HOUR, -26 * HOUR, 26 * HOUR)
            offset = offsets[int(self.chance() * len(offsets))]
            self.note("clock", offset)
            self.machine.wall_offset = offset

    def _down(self, _arg: object) -> None:
        if self.faults.down:
            ms = int((10_000, 100_000, 600_000, 30 * HOUR)[int(self.chance() * 4)] * self.chance())
            self.note("line down", ms)
            self.line.goes_down(ms)

    def _full(self, _arg: object) -> None:
        if self.faults.full:
            self.note("disk full")
            self.machine.books.full = True
            self.after(int(self.chance() * 120_000), self._room)

    def _room(self, _arg: object = None) -> None:
        self.machine.books.full = False

    def _broken(self, _arg: object) -> None:
        if self.faults.broken:
            self.machine.books.fail_next = True

    def _rot(self, _arg: object) -> None:
        """The power goes, and with it some bits."""
        if self.faults.rot and self.machine.up:
            self.rotten = True
            self.machine.power_off()
            self.note("bit rot")
            books = self.machine.books
            assert isinstance(books, Journal)
            books.rot()

    def prove_start(self) -> None:
        """The agent started again on a disk whose bits had flipped."""
        from tests.sim.audit import started

        books = self.machine.books
        assert isinstance(books, Journal)
        started(books)

    def _paper(self, _arg: object) -> None:
        if self.faults.paper:
            self.printer.fail(("paper_out", "cover_open", "unavailable")[int(self.chance() * 3)])
            self.after(int(self.chance() * 200_000), self.printer.repair)

    def _keys(self, _arg: object) -> None:
        if self.faults.keys:
            self.note("keys changed")
            self.host.keys_good = False

    def _macgone(self, _arg: object) -> None:
        if self.faults.macgone:
            ms = int((20_000, 200_000, 2 * HOUR)[int(self.chance() * 3)] * self.chance())
            self.note("MAC service gone", ms)
            self.line.mac_until = max(self.line.mac_until, self.now + ms)

    def _forget(self, _arg: object) -> None:
        """The host's business day ends."""
        if self.faults.forgets:
            self.note("cut-over")
            self.host.forgets = True
            self.host.day += 1

    def _crash(self, _arg: object) -> None:
        if self.faults.crash:
            self.app.die(reboot=False)

    # ── calm ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def app_is_done(self) -> None:
        """The last sale is over: after a while the faults stop."""
        self.after((0, 10_000, 300_000, 20 * MINUTE)[int(self.chance() * 4)], self._calm)

    def _calm(self, _arg: object) -> None:
        """No more faults: from here on everything must come right within the bound."""
        wait = max(self.machine.asleep_until, self.line.down_until) - self.now
        if wait >= 0 or not (self.machine.up or self.machine.dead):
            self.after(max(wait, 1_000) + 1, self._calm)
            return
        self.note("calm")
        self.calm_at = self.now
        self.faults = swarm.NONE
        books = self.machine.books
        books.full = books.fail_next = False
        if isinstance(books, Journal):
            books.disk.cut_after = books.disk.fail_after = None
        self._mend()
        self.fleet.pump()
        if self.rotten or self.seed % 4 == 0:
            self.mine(MINUTE, self.machine.keep_house)

    def _mend(self) -> None:
        if not self.host.keys_good or self.machine.signing_in:
            self.machine.sign_in()
        self.printer.repair()
        if self.pole is not None:
            self.pole.plug()
        self.line.mac_until = 0
        self.line.came_back()
        self.app.tills.say()
        self.app.finish_repeats()
        self.after(2 * MINUTE, self.app.finish_repeats)  # what nobody reported is in doubt by then
