"""The terminal ids of one agent: one, or in some worlds two, each with a batch of its own that it settles for itself."""

from random import Random
from typing import TYPE_CHECKING

from agent.core.event import BatchChanged, Opened
from tests.sim.settlement import Settlement

if TYPE_CHECKING:
    from tests.sim.app import App
    from tests.sim.attempt import Attempt

TERMINAL, SECOND = "12345678", "87654321"
EVERY = 5  # one world in so many has two


class Tills:
    """They have luck of their own, so that a world with one goes as it went before there were several.

    `named`: the app says whose batch it speaks of; with one terminal id it may leave that out.
    """

    def __init__(self, app: "App") -> None:
        self.chance = Random(app.world.seed ^ 0x7111).random
        self.names = (TERMINAL, SECOND) if app.world.faults.tills else (TERMINAL,)
        self.named = len(self.names) > 1 or self.chance() < 0.5
        self.batches = {TERMINAL: 1, SECOND: 1 if self.chance() < 0.5 else 8}
        self.settlements = [Settlement(app, name) for name in self.names]

    def batch_no(self, terminal_id: str) -> str:
        """F60.2 of this terminal id as it is now."""
        return f"{self.batches[terminal_id]:06d}"

    def take(self, attempt: "Attempt") -> None:
        """The customer stands at one of them; what is about an earlier payment is done where that was."""
        if attempt.original is not None:
            attempt.terminal = attempt.original.terminal
        elif not attempt.terminal:
            attempt.terminal = self.names[int(self.chance() * len(self.names))]

    def upload_ms(self) -> int:
        """From one step of a settlement to the next: with two terminal ids the other one may sell meanwhile."""
        return 1_000 if len(self.names) == 1 else 1_000 + int(self.chance() * 90_000)

    def plan(self) -> None:
        """When each settles."""
        app = self.settlements[0].app
        for number, settlement in enumerate(self.settlements):
            chance = self.chance if number else app.world.chance
            app.world.mine(int(chance() * 90_000 * app.size), settlement.begin)

    def go_on(self) -> None:
        """The app is back: where was each?"""
        for settlement in self.settlements:
            settlement.go_on()


class Heard:
    """What was committed of each terminal id's batch, put together by eyes of its own: (its number, how far it is)."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[str, str]] = {}

    def runs(self, attempt: "Attempt") -> bool:
        """Is the batch of this attempt not gone yet?"""
        return self.at.get(attempt.terminal) in {(attempt.key[0], "open"), (attempt.key[0], "settling")}

    def event(self, event: Opened | BatchChanged) -> None:
        """A word of the app's, or a transaction in another batch."""
        if isinstance(event, Opened):
            if self.at.get(event.terminal_id, ("", ""))[0] != event.batch:
                self.at[event.terminal_id] = (event.batch, "open")
        else:
            for name in {TERMINAL, *self.at} if event.terminal_id is None else {event.terminal_id}:
                if event.what != "settled" or self.at.get(name, (event.batch, ""))[0] == event.batch:
                    self.at[name] = (event.batch, "open" if event.what == "changed" else event.what)
