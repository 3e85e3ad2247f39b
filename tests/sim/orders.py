"""The fleet's desk: signed commands that come late, twice, out of order and again after every kill. Each acts at most once.

A random source of its own, so that the worlds without it stay what they are.
"""

from random import Random
from typing import TYPE_CHECKING, Any

from agent.core.change import CarryOut, Change, Decision
from agent.core.fleetevent import Commanded, CommandFinished
from agent.core.model import Job, Now
from agent.core.settlementevent import SettlementImported
from agent.journal.chain import Entry
from tests.sim.books import Journal
from tests.sim.checks import ENDS, Violation

if TYPE_CHECKING:
    from tests.sim.world import World

TIMES = 4
VALID_MS = 600_000
TAKEN = frozenset({*ENDS, "command.accepted"})
ORDERED = frozenset({"reversal.ordered", "receipt.wanted", "receipt.blank"})  # what its order leaves, and no passing of time


class Orders:
    """`acted` holds the ids of which something was done, `said` the last word on each."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.acted: set[str] = set()
        self.said: dict[str, dict[str, Any]] = {}
        self.count = 0

    def start(self) -> None:
        """Spread over the day. Only here is the source of chance needed, and to seed one takes its time."""
        self.chance = Random(self.world.seed ^ 0xC0DE).random
        for _ in range(TIMES):
            self.world.after(int(self.chance() * 150_000 * (1 + self.world.app.size)), self._order)

    def _order(self, _arg: object) -> None:
        """A new command, which the broker delivers once, twice or three times, some of it too late."""
        world = self.world
        attempts = [attempt for attempt in world.app.attempts if attempt.opened]
        if not attempts or not world.faults.people:
            return
        self.count += 1
        key = f"k{self.count}"
        about = attempts[int(self.chance() * len(attempts))].id
        name = ("recover", "recover", "reprint", "replay")[int(self.chance() * 4)]
        args = {"from_seq": 1 + int(self.chance() * 40)} if name == "replay" else {}
        said_ms = world.machine.wall_base + world.now  # the fleet's clock is right
        event = Commanded(
            command=key, name=name, digest=key, not_before_ms=said_ms - 30_000, expires_ms=said_ms + VALID_MS, by="fleet",  # type: ignore[arg-type]
            transaction=None if name == "replay" else about, job=f"o{self.count}" if name == "reprint" else None, args=args,
        )
        for _ in range(1 + int(self.chance() * 3)):
            self.world.mine(int(self.chance() * (5_000 if self.chance() < 0.7 else 2 * VALID_MS)), self._arrive, event)

    def settle(self, file: SettlementImported) -> None:
        """The same settlement file by command, and the command again: the file is known already, and nothing counts anew."""
        self.count += 1
        key, said_ms = f"k{self.count}", self.world.machine.clock().wall_ms or 0
        event = Commanded(
            command=key, name="settle", digest=key, not_before_ms=said_ms, expires_ms=said_ms + VALID_MS, by="fleet",
            statement=file,
        )
        for _ in range(2):
            self._arrive(event)
        said = self.said.get(key)
        if said is not None and said.get("result", {}).get("new") != 0:
            raise Violation("9", f"the same file by command counted anew: {said}")

    def _arrive(self, event: Commanded) -> None:
        """At the terminal, which answers from what it stored where it knows the id."""
        machine = self.world.machine
        decision = machine.submit(event)
        told = decision.told if isinstance(decision, Decision) else None
        if told is None or told["status"] == "running":
            return
        stored = self.said.get(event.command)
        if told["status"] == "done" and told != stored:
            raise Violation("command", f"{event.command} is answered {told}, and was stored as {stored}")
        if told.get("why") == "clock-untrusted" and machine.clock().wall_ms is not None:
            raise Violation("command", f"{event.command} is refused for a clock that is right")

    def committed(self, event: Commanded, change: Change, now: Now) -> None:
        """A command was taken, or a repeat was answered: in that very step something else may have fallen due."""
        if not _acted(event, change):
            return
        if event.command in self.acted:
            raise Violation("command", f"{event.command} ({event.name}) was carried out twice")
        if event.name == "recover" and now.wall_ms is None:
            raise Violation("command", f"{event.command} moves money and nobody knows what time it is")
        self.acted.add(event.command)

    def told(self, type_: str, data: dict[str, Any]) -> None:
        """The last word on a command, from a commit or from what turned out to be on disk."""
        status = type_.removeprefix("command.")
        said = {"status": status} | {name: data[name] for name in ("result", "why") if name in data}
        if self.said.setdefault(data["id"], said) != said:
            raise Violation("command", f"{data['id']} ended twice")

    def found(self, entry: Entry) -> None:
        """On disk, though nobody was told."""
        if entry.type.startswith("command."):
            self.acted.add(entry.data["id"])

    def carry_out(self, effect: CarryOut) -> None:
        """A moment later, if the process lives."""
        self.world.mine(100, self._replay, (self.world.machine.life, effect))

    def _replay(self, value: tuple[int, CarryOut]) -> None:
        """The cursor goes back, and only then the command is done."""
        machine, effect = self.world.machine, value[1]
        if value[0] != machine.life:
            return
        first = effect.args["from_seq"]
        if isinstance(machine.books, Journal) and machine.books.store is not None:
            store = machine.books.store
            machine.use_disk(lambda: store.move(min(store.cursor(), first - 1)))
        machine.insist(CommandFinished(command=effect.command, result={"from_seq": first}))

    def restarted(self) -> None:
        """What a process before this one left undone."""
        for each in self.world.machine.state.commands.taken:
            if each.at_work:
                self.carry_out(CarryOut(each.id, each.name, each.args))


def _acted(event: Commanded, change: Change) -> bool:
    """True when the step left something of this command: its own fact, its order's, or its job."""
    for fact in change.facts:
        if fact.type in ORDERED or (fact.type in TAKEN and fact.data["id"] == event.command):
            return True
    return event.job is not None and any(type(row) is Job and row.id == event.job for row in change.rows)
