"""The customer display: a slow line to it, a cable that is pulled, and eyes that read what is lit."""

from random import Random
from typing import TYPE_CHECKING

from agent.core.customer import Shown, shown
from agent.core.displayevent import DisplaySeen

if TYPE_CHECKING:
    from tests.sim.world import World

EVERY = 8  # one world in so many has a display: it is only looked at, and each look costs


class Pole:
    """It has luck of its own, so that a world goes the same way with a display and without one."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.chance = Random(world.seed).random
        self.lit: Shown | None = None
        self.plugged = True
        self.told = "unknown"
        self._wanted: Shown | None = None
        self._busy = -1  # the life in which a write is under way

    def committed(self) -> None:
        """After every commit that changed rows the newest word is what is wanted."""
        self._wanted = shown(self.world.machine.state)
        self._write()

    def started(self) -> None:
        """A new process finds it, or not."""
        self.told, self._busy = "unknown", -1
        self.world.mine(700, self._tell, self.world.machine.life)

    def pull(self, _arg: object = None) -> None:
        """Somebody pulls the cable, and puts it back later; what is lit stays lit."""
        if self.world.faults.glass:
            self.world.note("display unplugged")
            self.plugged = False
            self.world.mine(1_500, self._tell, self.world.machine.life)
            self.world.after(int(self.chance() * 300_000), self.plug)

    def plug(self, _arg: object = None) -> None:
        """It is back: blank at first, then what is wanted."""
        self.plugged, self.lit = True, None
        self.world.mine(1_500, self._tell, self.world.machine.life)
        self.world.mine(0, self._write)

    def _write(self, _arg: object = None) -> None:
        """Only a program that runs writes."""
        life = self.world.machine.life
        if self.world.machine.up and self.plugged and self._busy != life and self._wanted != self.lit:
            self._busy = life
            self.world.checks.sent(self._wanted)
            slow = self.world.faults.glass and self.chance() < 0.2
            self.world.mine(20_000 if slow else 50, self._written, (life, self._wanted))

    def _written(self, value: tuple[int, Shown | None]) -> None:
        life, screen = value
        if life == self.world.machine.life:
            self._busy = -1
            if self.plugged:
                self.lit = screen
            self._write()

    def _tell(self, life: int) -> None:
        machine, fault = self.world.machine, "mute" if self.plugged else "unavailable"
        if life == machine.life and machine.up and fault != self.told and machine.submit(DisplaySeen(fault=fault)) != "full":
            self.told = fault
