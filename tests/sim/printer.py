"""The printer and its paper: what was handed to it, how far it came, and what it says about that."""

from typing import TYPE_CHECKING, Any, cast

from agent.core.change import PrintJob
from agent.core.event import JobFinished, PrinterSeen

if TYPE_CHECKING:
    from tests.sim.world import World

BYTES = 400
HONEST = ("CONFIRMED", "FENCED", "SENT_UNCONFIRMED")


class Printer:
    """`paper` lists every copy of which at least one byte came out: (job, transaction, marked)."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.paper: list[tuple[str, str | None, bool]] = []
        self.fault = "none"
        self.watched = False
        self.level = HONEST[int(world.chance() * 3)]

    def print(self, effect: PrintJob) -> None:
        """The thread gets a job."""
        self.world.mine(300, self._work, (self.world.machine.life, effect))

    def watch(self, wanted: bool) -> None:
        """Ask it every second, or stop."""
        self.watched = wanted
        if wanted:
            self.world.mine(1_000, self._look, self.world.machine.life)

    def _look(self, life: int) -> None:
        machine = self.world.machine
        if self.watched and life == machine.life and machine.up and machine.state.printer.fault != self.fault:
            machine.submit(PrinterSeen(fault=self.fault, paper="out" if self.fault == "paper_out" else "ok"))

    def _work(self, value: tuple[int, PrintJob]) -> None:
        life, effect = value
        if life != self.world.machine.life:
            return
        if self.fault != "none":
            self._say(life, effect, "UNPRINTED", 0)
            return
        if self.world.faults.paper and self.world.chance() < 0.1:
            self._say(life, effect, "UNPRINTABLE", 0)
            return
        self.paper.append((effect.job, effect.transaction, effect.marked))
        level, accepted = self.level, BYTES
        if self.world.faults.paper and self.world.chance() < 0.3:
            level, accepted = ("PARTIAL", 128) if self.world.chance() < 0.5 else ("UNKNOWN", BYTES)
            self.fault = "paper_out" if level == "PARTIAL" else "none"
            self.world.after(30_000, self.repair)
        self._say(life, effect, level, accepted)

    def _say(self, life: int, effect: PrintJob, level: str, accepted: int) -> None:
        paper = "out" if self.fault == "paper_out" else "ok"
        event = JobFinished(
            job=effect.job,
            transaction=effect.transaction,
            level=cast("Any", level),
            accepted_bytes=accepted,
            total_bytes=BYTES,
            fault=self.fault,
            paper=cast("Any", paper),
        )
        self.world.mine(700, self._report, (life, event))

    def _report(self, value: tuple[int, JobFinished]) -> None:
        life, event = value
        if life == self.world.machine.life:
            self.world.machine.insist(event)

    def fail(self, fault: str) -> None:
        """Out of paper, cover open, switched off."""
        self.fault = fault

    def repair(self, _arg: object = None) -> None:
        """Somebody puts paper in."""
        self.fault = "none"
        if self.watched:
            self.world.mine(500, self._look, self.world.machine.life)
