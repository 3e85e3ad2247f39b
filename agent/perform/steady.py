"""A state that must stand before it is told: a sensor that bounces or a loose plug makes no events.

Every told change is a commit on flash and a message to the fleet. So whoever is well again over and over must be well for
longer each time before that is believed; a fault is told all the same.
"""

from collections import deque

State = tuple[str, str]  # fault, paper

STANDS_S = 0.5  # so long a new state must be seen, at its beginning and at its end
RECOVERIES_FREE = 4  # within RECOVERIES_S; from then on each next one must stand twice as long,
STANDS_S_MAX = 300.0  # but never longer than this
RECOVERIES_S = 3_600.0
RECOVERIES_MAX = 16


class Steady:
    """What was told last, and what is about to be. Times are seconds of one clock that never goes back."""

    def __init__(self, ready: frozenset[str]) -> None:
        self.told: State | None = None
        self._ready = ready
        self._new: State | None = None
        self._since_s = 0.0
        self._recoveries: deque[float] = deque(maxlen=RECOVERIES_MAX)

    @property
    def due_s(self) -> float | None:
        """When a new state has stood long enough, if it still stands then; None when there is none."""
        return None if self._new is None else self._since_s + self._stands_s(self._new)

    def saw(self, state: State, now_s: float) -> bool:
        """A state was seen. True when it is new and stood long enough: it counts as told from now on."""
        if state == self.told:
            self._new = None
        elif state != self._new:
            self._new, self._since_s = state, now_s
        elif now_s >= self._since_s + self._stands_s(state):
            self.tell(state, now_s)
            return True
        return False

    def tell(self, state: State, now_s: float) -> None:
        """This state is told now, whether it stood or not: it came with the outcome of a job."""
        if state[0] in self._ready and not self._is_well:
            self._recoveries.append(now_s)
        self.told, self._new = state, None

    @property
    def _is_well(self) -> bool:
        return self.told is None or self.told[0] in self._ready

    def _stands_s(self, state: State) -> float:
        if state[0] not in self._ready or self._is_well:
            return STANDS_S
        recent = sum(self._since_s - moment_s < RECOVERIES_S for moment_s in self._recoveries)
        return float(min(STANDS_S_MAX, STANDS_S * 2 ** max(0, recent + 1 - RECOVERIES_FREE)))
