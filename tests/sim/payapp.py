"""Worlds of mode payapp: a sound payment app whose kernel reverses, an agent that asks it to, and everything that can go wrong.

Time, machine, disk, printer and fleet are those of the other worlds. The host's books are the truth.
"""

from typing import Any

from agent.core import appevent as a
from agent.core.change import AskApp
from agent.core.policy import Policy
from tests.sim import faults as swarm
from tests.sim.fleet import Fleet
from tests.sim.machine import Machine
from tests.sim.orders import Orders
from tests.sim.paychecks import PayChecks
from tests.sim.paytill import PayTill
from tests.sim.printer import Printer
from tests.sim.world import MINUTE, World


class PayMachine(Machine):
    """The terminal: its agent never sends, and asks the app instead."""

    world: "PayWorld"

    def start(self, life: int) -> None:
        super().start(life)
        if self.up:
            self.world.after(500, self.world.app.agent_is_back)

    def _dispatch(self, effect: Any) -> None:
        if isinstance(effect, AskApp):
            self.world.after(10, self.world.app.asked, effect)
        else:
            super()._dispatch(effect)


class PayHost:
    """The host as the app sees it. It refuses reversals for a while."""

    def __init__(self, world: "PayWorld") -> None:
        self.world = world
        self.booked: dict[str, int] = {}
        self.reversed: set[str] = set()
        self.refusing = False

    def book(self, key: str, amount_fen: int, undoes: str | None = None) -> str:
        """A 0200 or 0100 arrives; what takes back gives back."""
        if self.world.has("codes", 0.2):
            return "51"
        if undoes is not None and not self.net(undoes):
            return "25"
        self.booked[key] = -amount_fen if undoes else amount_fen
        return "00"

    def undo(self, key: str) -> str:
        """A 0400 arrives."""
        if self.refusing:
            return "90"  # T13: it has a 0 in it
        if key not in self.booked:
            return "25"
        self.reversed.add(key)
        return "00"

    def net(self, key: str) -> int:
        """What this transaction has moved or holds back at the end; less than nothing when it gave back."""
        return 0 if key in self.reversed else self.booked.get(key, 0)


class PayLine:
    """The app's line to the host, of which the platform may tell. The agent has none."""

    def __init__(self, world: "PayWorld") -> None:
        self.world = world
        self.down = False
        self.down_until = 0

    def reset(self) -> None:
        """The agent died; it had nothing under way."""

    def goes_down(self, ms: int) -> None:
        """For so long."""
        self.down = True
        self.down_until = max(self.down_until, self.world.now + ms)
        if self.world.chance() < 0.5:
            self.world.machine.submit(a.LinkReported(up=False))
        self.world.after(ms, self.came_back)

    def came_back(self, _arg: object = None) -> None:
        """Unless it is down for longer."""
        if self.world.now >= self.down_until:
            self.down = False
            if self.world.chance() < 0.5 or self.world.calm_at is not None:
                self.world.machine.insist(a.LinkReported(up=True))


class PayWorld(World):
    """Everything follows from the seed; `only` chooses the faults, `baskets` the number of customers."""

    bound_ms = 95 * MINUTE  # the longest back-off and what follows it, twice: an answer may ask for one more
    machine: PayMachine
    app: PayTill  # type: ignore[assignment]
    line: PayLine  # type: ignore[assignment]
    host: PayHost  # type: ignore[assignment]
    checks: PayChecks  # type: ignore[assignment]

    def _draw(self) -> swarm.Faults:
        return swarm.Faults(name for name in swarm.PAYAPP if self.chance() < 0.4)

    def _cast(self) -> None:
        self.replaying = not self.journal
        asks_app = self.chance() < 0.7
        self.checks = PayChecks(self)
        self.host = PayHost(self)
        self.line = PayLine(self)
        self.machine = PayMachine(self, self._books())
        self.machine.policy = Policy(mode="payapp", asks_app=asks_app)
        self.printer, self.pole = Printer(self), None
        self.fleet, self.orders = Fleet(self), Orders(self)
        self.app = PayTill(self, self.size, pulls=not asks_app)

    def has(self, fault: str, chance: float = 0.3) -> bool:
        """Does this fault strike now?"""
        return getattr(self.faults, fault) and self.chance() < chance

    def _begin(self) -> None:
        self.machine.power_on()
        self.app.start()
        self._plan_faults()
        if self.faults.codes:
            for _ in range(1 + int(self.chance() * 2)):
                self.after(int(self.chance() * 400_000), self._refuses)
        self.after(600_000 + int(self.chance() * 1_200_000), self._calm)

    def _down(self, _arg: object) -> None:
        """For a while: an app that is asked for hours fills a log and shows nothing new."""
        if self.faults.down:
            self.line.goes_down(int(self.chance() * 900_000))

    def _refuses(self, _arg: object) -> None:
        self.host.refusing = self.faults.codes
        self.after(int(self.chance() * 400_000), self._relents)

    def _relents(self, _arg: object) -> None:
        self.host.refusing = False

    def _mend(self) -> None:
        self.host.refusing = False
        self.printer.repair()
        self.line.down_until = self.now
        self.line.came_back()
