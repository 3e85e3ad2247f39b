"""People: reprints, shown messages, orders from the operator, a manager's risk, cases that are closed. At random times."""

from typing import TYPE_CHECKING

from agent.core.event import (
    DispositionGiven,
    Event,
    EvidenceGiven,
    IncidentResolved,
    ReprintAsked,
    ReversalOrdered,
    TestPrintAsked,
)
from agent.core.model import Disposition, Evidence

if TYPE_CHECKING:
    from tests.sim.world import World

TIMES = 6


class People:
    """They do something every now and then, as long as there are faults."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.serial = 0

    def start(self) -> None:
        """Spread over the day."""
        for _ in range(TIMES):
            self.world.mine(int(self.world.chance() * 150_000 * (1 + self.world.app.size)), self._act)

    def _act(self, _arg: object) -> None:
        world = self.world
        attempts = [attempt for attempt in world.app.attempts if attempt.opened]
        if not attempts or not world.faults.people:
            return
        attempt = attempts[int(world.chance() * len(attempts))]
        event = self._choose(attempt.id)
        if event is not None:
            world.machine.submit(event)

    def _choose(self, key: str) -> Event | None:
        self.serial += 1
        state, chance = self.world.machine.state, self.world.chance
        what = int(chance() * 7)
        if what == 0:
            return ReprintAsked(transaction=key, job=f"c{self.serial}", blank=chance() < 0.2)
        if what == 1:
            return EvidenceGiven(transaction=key, evidence=Evidence(kind="debit_sms"))
        if what == 2:
            return DispositionGiven(transaction=key, disposition=Disposition(accepts_risk=True))
        if what == 3:
            return ReversalOrdered(transaction=key, by="operator")
        if what == 4:
            return TestPrintAsked(job=f"x{self.serial}")
        rows = sorted(state.open_incidents.values(), key=lambda row: row.number)
        if not rows:
            return None
        row = rows[int(chance() * len(rows))]
        return IncidentResolved(incident=row.id, transaction=row.transaction, resolution="no_action", by="manager")
