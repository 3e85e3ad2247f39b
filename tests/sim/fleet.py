"""Telemetry's way to the fleet: a cursor over the journal, a broker that loses and doubles, an ingest that counts once."""

from typing import TYPE_CHECKING

from tests.sim.books import Journal

if TYPE_CHECKING:
    from tests.sim.world import World

BATCH = 200
EVERY_MS = 30_000


class Fleet:
    """`events` is what the fleet holds, in the order in which it took it in; `high` is its high-water mark."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.events: list[tuple[int, str]] = []
        self.waiting: dict[int, str] = {}
        self.high = 0
        self.due = False

    def poke(self) -> None:
        """Something was committed: in a while it is idle, and telemetry has its turn."""
        if not self.due:
            self.due = True
            self.world.mine(EVERY_MS, self._turn)

    def _turn(self, _arg: object) -> None:
        self.due = False
        machine = self.world.machine
        machine.use_disk(machine.books.housekeeping)
        if self.world.journal and self.world.chance() < 0.1:
            machine.use_disk(self._update)
        self.pump()

    def _update(self) -> None:
        machine = self.world.machine
        assert isinstance(machine.books, Journal)
        self.world.note("another version")
        machine.books.update(machine.clock(), lambda: machine.state.forget_closed(0))

    def pump(self) -> None:
        """Send what the cursor has not passed; move it to what the fleet acknowledges."""
        self.world.machine.use_disk(self._pump)

    def _pump(self) -> None:
        world, books = self.world, self.world.machine.books
        if not isinstance(books, Journal) or books.store is None:
            return
        store, chance = books.store, world.chance
        while True:
            batch = [(entry.seq, entry.type) for entry in store.read_after(store.cursor(), BATCH)]
            lossy = world.faults.fleet
            for item in sorted(batch, key=lambda _item: chance()) if lossy else batch:
                if not (lossy and chance() < 0.3):
                    self._ingest(item)
                if lossy and chance() < 0.3:
                    self._ingest(item)
            if lossy and chance() < 0.3:
                return  # the acknowledgement is lost
            if self.high > store.cursor():
                store.move(min(self.high, store.seq))
            if lossy or len(batch) < BATCH:
                return

    def _ingest(self, item: tuple[int, str]) -> None:
        """Idempotent: known by its number, taken in order, held back while one before it is missing."""
        seq, type_ = item
        if seq > self.high:
            self.waiting.setdefault(seq, type_)
        while self.high + 1 in self.waiting:
            self.high += 1
            self.events.append((self.high, self.waiting.pop(self.high)))
