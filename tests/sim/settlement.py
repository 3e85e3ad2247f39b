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

    def __init__(self, app: "App", terminal_id: str) -> None:
        self.app = app
        self.terminal_id = terminal_id
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
        world, tills, mine = app.world, app.tills, self.terminal_id
        batch = tills.batch_no(mine)
        if self.step == 2:
            world.host.closed.add((mine, batch))
        else:
            batch = f"{int(batch) + 1:06d}" if self.step == 4 else batch
            what = {1: "settling", 3: "settled", 4: "changed"}[self.step]
            said = BatchChanged(batch=batch, what=what, terminal_id=mine if tills.named else None)  # type: ignore[arg-type]
            answer = world.machine.submit(said)
            if isinstance(answer, str):
                if not world.machine.dead:
                    world.mine(2_000, self._do, epoch)
                return
            if self.step == 1 and isinstance(answer, Decision) and not self._may(answer):
                world.mine(PAUSE_MS, self._do, epoch)
                return
        if self.step == 4:
            self.step = self.asked = 0
            tills.turn(mine)
            return
        self.step += 1
        world.mine(tills.upload_ms(), self._do, epoch)

    def _may(self, answer: Decision) -> bool:
        """go, or its patience is over."""
        world = self.app.world
        world.checks.settles(self.terminal_id, self.app.tills.batch_no(self.terminal_id), answer)
        self.asked += 1
        return answer.proceed == "go" or self.asked > ASKED_MAX or world.calm_at is not None
