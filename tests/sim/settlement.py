"""The payment app settles its batch between two customers: told before, the host closes it, told after, a new one begins.

Told to wait for reversals it asks again for a while, and then settles all the same.
"""

from typing import TYPE_CHECKING

from agent.core.change import Decision
from agent.core.event import BatchChanged

if TYPE_CHECKING:
    from tests.sim.app import App


PAUSE_MS = 5_000
ASKED_MAX = 60


class Settlement:
    """`step` is how far it is; the app remembers it over its own death."""

    def __init__(self, app: "App") -> None:
        self.app = app
        self.step = 0
        self.asked = 0

    def begin(self, _arg: object = None) -> None:
        """As soon as no customer stands there."""
        if not self.app.alive:
            return
        if self.app.current is not None and self.step == 0:
            self.app.world.mine(7_000, self.begin)
            return
        self.step = max(self.step, 1)
        self._do(self.app.epoch)

    def go_on(self) -> None:
        """The app is back: where was it?"""
        if self.step:
            self.begin()

    def _do(self, epoch: int) -> None:
        app = self.app
        if epoch != app.epoch:
            return
        world, batch = app.world, app.batch_no()
        if self.step == 2:
            world.host.closed.add(batch)
        else:
            batch = f"{app.batch + 1:06d}" if self.step == 4 else batch
            what = {1: "settling", 3: "settled", 4: "changed"}[self.step]
            answer = world.machine.submit(BatchChanged(batch=batch, what=what))  # type: ignore[arg-type]
            if isinstance(answer, str):
                if not world.machine.dead:
                    world.mine(2_000, self._do, epoch)
                return
            if self.step == 1 and isinstance(answer, Decision) and not self._may(answer):
                world.mine(PAUSE_MS, self._do, epoch)
                return
        if self.step == 4:
            self.step = self.asked = 0
            app.batch += 1
            return
        self.step += 1
        world.mine(1_000, self._do, epoch)

    def _may(self, answer: Decision) -> bool:
        """go, or its patience is over."""
        world = self.app.world
        world.checks.settles(self.app.batch_no(), answer)
        self.asked += 1
        return answer.proceed == "go" or self.asked > ASKED_MAX or world.calm_at is not None
