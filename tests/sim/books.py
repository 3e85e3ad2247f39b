"""What the agent keeps: rows in memory for the fast worlds, the real journal on a disk that fails for the others."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal

from agent.core.change import Change
from agent.core.event import Event, Opened
from agent.core.model import Now, Row
from agent.core.state import State
from agent.core.storageevent import RowsDamaged
from agent.journal import checkpoint
from agent.journal.chain import Entry
from agent.journal.database import PAGE_BYTES, Damaged, Database, StorageFailed, StorageFull, classify
from agent.journal.indexes import Indexes
from agent.journal.pruning import DAY_MS, Pruner
from agent.journal.store import Stepped, Store
from agent.vault import Vault
from tests.sim.disk import FileSystem, Image, PowerCut

Outcome = Literal["ok", "full", "failed", "kept", "gone"]
NAME = "journal.db"
PAN = "6222021234567890128"
SECRETS = {"2": PAN, "14": "3012", "55": "9F2608FEEDFACECAFEBEEF9F3602BEEF"}
KEY = bytes(range(32))
EPOCH = "3f0c9a7e-5b1d-4c55-9a51-0d2f7c1be001"
MENDINGS_MAX = 3
RETENTION_MS = 180 * DAY_MS  # longer than any world


class Memory:
    """Commits that always succeed, unless a fault says otherwise. A new process gets the committed rows."""

    def __init__(self, random: Random) -> None:
        self.chance = random.random
        self.state = State()
        self.full = False
        self.fail_next = False
        self.damaged = self.mendable = False
        self.found: list[Entry] = []

    def load(self) -> State:
        """The state a new process starts with: rows alone, nothing else is remembered."""
        old = self.state
        old.rollback()
        rows: list[Row] = [old.agent, old.line, old.printer, old.display, old.streaks, old.ledger, old.commands]
        for table in (old.transactions, old.reversals, old.incidents, old.jobs):
            rows += table.values()
        self.state = State(rows)
        return self.state

    def damage(self) -> None:
        """There is none."""

    damage_told = damage

    def failed(self, _error: Exception) -> None:
        """There is nothing to mend."""

    def missing(self, _state: State, _event: Event) -> list[Row]:
        """Nothing is ever forgotten."""
        return []

    def commit(self, event: Event, _now: Now, _change: Change, _loaded: list[Row]) -> Outcome:
        """Full disks refuse what is new; a failed commit may or may not be on disk."""
        if self.fail_next:
            self.fail_next = False
            return "failed" if self.chance() < 0.5 else "kept"
        return "full" if self.full and self.chance() < (0.9 if isinstance(event, Opened) else 0.3) else "ok"

    def end_process(self) -> None:
        """Nothing is left behind but the rows."""

    power_cut = end_process

    def housekeeping(self) -> None:
        """Nothing to do."""


class _SimDatabase(Database):
    """The adapter on a disk in memory: only the look at the file's size is another."""

    system: FileSystem
    reserve_bytes = 64 << 10  # small, so that a world's few commits meet checkpoints and a WAL that begins anew

    def wal_bytes(self) -> int:
        image = self.system.disk.files.get(f"{NAME}-wal")
        return len(image.data) if image else 0


_TEMPLATE: dict[str, bytes] = {}


def _template(system: FileSystem) -> None:
    """A journal just made, with its grown WAL; made once, copied for every world. Its id is the same for all."""
    if not _TEMPLATE:
        database = _open(system)
        store = Store(database)
        database.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (EPOCH,))
        store.close()
        _TEMPLATE.update({name: bytes(image.data) for name, image in system.disk.files.items()})
    system.disk.files = {name: Image(data) for name, data in _TEMPLATE.items()}


def _open(system: FileSystem) -> _SimDatabase:
    database = _SimDatabase(system.connect(NAME), Path(NAME))
    database.system = system
    try:
        database.configure()
    except Exception as error:
        raise classify(error) or error from error
    return database


class Journal:
    """The real store on a disk that loses what was not synced. `promised` is the head after the last good commit."""

    system = FileSystem()  # one virtual file system for all worlds of a process

    def __init__(self, random: Random, *, volatile: bool = True) -> None:
        self.random = random
        system = self.system
        system.disk.__init__()  # type: ignore[misc]
        system.disk.volatile = volatile
        _template(system)
        self.disk = system.disk
        self.full = False
        self.fail_next = False
        self.damaged = False
        self.mendings = 0
        self.mendable = False
        self.cut: Literal["power", "kill"] = "power"
        self.vault = Vault(KEY)
        self.sealed: dict[str, tuple[bytes, ...]] = {}
        self.told_seq = 0
        self.found: list[Entry] = []  # what turned out to be on disk though nobody was told
        self.store: Store | None = None
        self.state = State()

    def load(self) -> State:
        """Open what is on disk. Raises StorageFailed when it is damaged."""
        self.disk.cut_after = self.disk.fail_after = None
        self.store = Store(_open(self.system))
        if self.store.seq < self.told_seq:
            self.damaged = True  # the fleet, or a caller, was told of a head that is gone: the tail was cut
        self.state = self.store.load()
        self.found = self.store.read_after(self.told_seq, 1_000) if self.store.seq > self.told_seq else []
        self.told_seq = self.store.seq
        return self.state

    def damage(self) -> RowsDamaged | None:
        """What the start had to mend."""
        assert self.store is not None
        return self.store.damage()

    def damage_told(self) -> None:
        """It is told only once."""
        assert self.store is not None
        self.store.take_notes(damage="")

    def missing(self, state: State, event: Event) -> list[Row]:
        """As the inbox asks for them."""
        assert self.store is not None
        return self.store.missing(state, event)

    def commit(self, event: Event, now: Now, change: Change, loaded: list[Row]) -> Outcome:
        """One commit of the real store."""
        if not change.facts:
            return "ok"
        store, disk = self.store, self.disk
        assert store is not None
        disk.room = sum(len(image.data) for image in disk.files.values()) if self.full else None
        if self.fail_next:
            self.fail_next = False
            disk.fail_after = int(self.random.random() * 12)
        stepped = Stepped(event, now, change, loaded)
        if isinstance(event, Opened) and event.vault is not None:
            stepped.ref, stepped.sealed = event.vault, self.vault.seal(event.vault, SECRETS)
            self.sealed[event.vault] = tuple(stepped.sealed.values())
        try:
            store.tidy()  # of the commit before, whose caller has its answer
            if store.seq % 3 == 0:  # as what the inbox is told soon
                store.begin([stepped])
                store.commit([])
            else:
                store.commit([stepped])
        except PowerCut:
            return "gone"
        except StorageFull:
            return "full"
        except StorageFailed as error:
            self.failed(error)
            return "failed"
        self.told_seq = store.seq
        return "ok"

    def end_process(self) -> None:
        """A kill: the page cache lives on."""
        self.disk.end_process()
        self.store = None

    def power_cut(self) -> None:
        """Unsynced sectors are lost, kept or torn."""
        self.disk.power_cut(self.random)
        self.store = None

    def rot(self) -> None:
        """Some bits flip, in what counts."""
        chance = self.random.random
        name = NAME if chance() < 0.6 else f"{NAME}-wal"
        data = self.disk.files[name].data
        for _ in range(1 + int(chance() * 4)):
            at = self._in_an_index(data) if name == NAME and chance() < 0.2 else int(chance() * min(len(data), 60_000))
            data[at] ^= 1 << int(chance() * 8)

    def _in_an_index(self, data: bytearray) -> int:
        """Somewhere in what an index says: its leaf pages are of type 10, and their entries begin where bytes 5 and 6 say."""
        pages = [at for at in range(0, len(data), PAGE_BYTES) if data[at] == 10 and any(data[at + 3 : at + 5])]
        page = self.random.choice(pages or [0])
        begin = min(int.from_bytes(data[page + 5 : page + 7]), PAGE_BYTES - 1)
        return page + begin + int(self.random.random() * (PAGE_BYTES - begin))

    def housekeeping(self) -> None:
        """What the daemon does when idle."""
        if self.store is not None:
            self.disk.room = None
            self.store.checkpoint()
            if self.store.scrub_owed:
                self.store.scrub()

    def failed(self, error: Exception) -> None:
        """The agent ends with this error. A few times the next start may make anew what is damaged."""
        failure = error if isinstance(error, StorageFailed) else classify(error)
        if self.store is not None and isinstance(failure, StorageFailed):
            self.store.failed(failure)
        self.mendable = isinstance(failure, Damaged) and self.mendings < MENDINGS_MAX
        self.mendings += self.mendable

    def look(self, now: Now) -> None:
        """A quiet day at once. Raises StorageFailed where an index hides a row."""
        assert self.store is not None
        self.disk.room = None
        indexes = Indexes(self.store)
        while indexes.go_on(now):
            pass

    def update(self, now: Now, forget: Callable[[], None]) -> None:
        """Another version goes on from here: a checkpoint, from which the replay begins."""
        assert self.store is not None
        checkpoint.owe(self.store)
        self.prune(now, RETENTION_MS, forget)

    def prune(self, now: Now, retention_ms: int, forget: Callable[[], None]) -> None:
        """All that is owed and older."""
        store = self.store
        assert store is not None
        pruner = Pruner(store, "2", retention_ms, published=lambda _: True, delivered=store.cursor, forget=forget)
        while pruner.go_on(now):
            pass
        self.told_seq = store.seq


Books = Memory | Journal
