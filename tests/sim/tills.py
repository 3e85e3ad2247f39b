"""The terminal ids of one agent: one, or in some worlds two, each with a batch of its own that it settles for itself.

In some worlds (`anew`) each numbers for itself, and from the same number on in every batch, which then changes often and without
a word: so a STAN means another transaction in another batch or at the other terminal id, often of the same amount.
"""

from random import Random
from typing import TYPE_CHECKING

from agent.core.event import BatchChanged, Opened
from tests.sim.settlement import Settlement

if TYPE_CHECKING:
    from tests.sim.app import App
    from tests.sim.attempt import Attempt

TERMINAL, SECOND = "12345678", "87654321"
EVERY = 11  # one world in so many has two
ANEW_EVERY = 41  # in one of so many the numbers begin anew
LAST = 999_999  # after it comes 1
LATE_MS = 120_000  # by so much at most an answer comes late
IMPATIENT_MS = 8_000  # of an app that soon takes no answer for a doubt


class Tills:
    """They have luck of their own, so that a world with one goes as it went before there were several.

    `named`: the app says whose batch it speaks of; with one terminal id it may leave that out.
    """

    def __init__(self, app: "App") -> None:
        self.chance = Random(app.world.seed ^ 0x7111).random
        self.names = (TERMINAL, SECOND) if app.world.faults.tills else (TERMINAL,)
        self.world = app.world
        self.anew = app.world.faults.anew
        self.named = len(self.names) > 1 or self.chance() < 0.5
        self.batches = {TERMINAL: 1, SECOND: 1 if self.chance() < 0.5 else 8}
        self.settlements = {name: Settlement(app, name) for name in self.names}
        self.before_first = LAST - 2 if self.anew and self.chance() < 0.3 else 0
        self.numbers = dict.fromkeys(self.names, self.before_first)
        self.turns = (0.0, 0.3, 0.8)[int(self.chance() * 3)] if self.anew else 0.0  # how often the batch changes without a word
        self.alike = self.anew and self.chance() < 0.5  # every sale is of one amount
        if self.anew and self.chance() < 0.5:
            app.answer_ms = IMPATIENT_MS

    def batch_no(self, terminal_id: str) -> str:
        """F60.2 of this terminal id as it is now."""
        return f"{self.batches[terminal_id]:06d}"

    def take(self, attempt: "Attempt", number: int) -> None:
        """The customer stands at one of them; what is about an earlier payment is done where that was.

        `number` counts what is sold at all of them.
        """
        if attempt.original is not None:
            attempt.terminal = attempt.original.terminal
        elif not attempt.terminal:
            attempt.terminal = self.names[int(self.chance() * len(self.names))]
        mine = attempt.terminal
        if self.anew:
            if attempt.original is None and self.settlements[mine].step == 0 and self.chance() < self.turns:
                self.turn(mine)
            self.numbers[mine] = number = self.numbers[mine] % LAST + 1
        attempt.batch, attempt.stan = self.batch_no(mine), f"{number:06d}"
        attempt.key = (mine, attempt.batch, attempt.stan)

    def turn(self, terminal_id: str) -> None:
        """Its next batch begins. A host that was not told of a settlement still takes what is said of the one before."""
        self.batches[terminal_id] += 1
        self.numbers[terminal_id] = self.before_first

    def say(self) -> None:
        """Nothing goes wrong any more: a batch that began without a word is told of, since nobody may buy anything in it."""
        for name in self.names:
            if self.turns and self.settlements[name].step == 0:
                self.world.machine.insist(BatchChanged(batch=self.batch_no(name), what="changed", terminal_id=name))

    def late_ms(self) -> int:
        """How much longer an answer takes where it may come a batch late."""
        return int(self.chance() * LATE_MS) if self.world.faults.anew and self.chance() < 0.5 else 0

    def upload_ms(self) -> int:
        """From one step of a settlement to the next: with two terminal ids the other one may sell meanwhile."""
        return 1_000 if len(self.names) == 1 else 1_000 + int(self.chance() * 90_000)

    def plan(self) -> None:
        """When each settles."""
        app = self.settlements[TERMINAL].app
        for number, settlement in enumerate(self.settlements.values()):
            chance = self.chance if number else app.world.chance
            app.world.mine(int(chance() * 90_000 * app.size), settlement.begin)

    def go_on(self) -> None:
        """The app is back: where was each?"""
        for settlement in self.settlements.values():
            settlement.go_on()


class Heard:
    """What was committed of each terminal id's batch, put together by eyes of its own: (its number, how far it is)."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[str, str]] = {}

    def runs(self, attempt: "Attempt") -> bool:
        """Is the batch of this attempt not gone yet?"""
        return self.at.get(attempt.terminal) in {(attempt.batch, "open"), (attempt.batch, "settling")}

    def event(self, event: Opened | BatchChanged) -> None:
        """A word of the app's, or a transaction in another batch."""
        if isinstance(event, Opened):
            if self.at.get(event.terminal_id, ("", ""))[0] != event.batch:
                self.at[event.terminal_id] = (event.batch, "open")
        else:
            for name in {TERMINAL, *self.at} if event.terminal_id is None else {event.terminal_id}:
                if event.what != "settled" or self.at.get(name, (event.batch, ""))[0] == event.batch:
                    self.at[name] = (event.batch, "open" if event.what == "changed" else event.what)
