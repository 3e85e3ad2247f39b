"""The journal at the end of a world: its chain holds, replaying it gives the rows, no secret is left on the disk."""

from typing import TYPE_CHECKING

import msgspec

from agent.core.model import Row
from agent.journal.chain import verify
from agent.journal.replay import Replay
from agent.journal.rows import TABLES, read
from agent.journal.store import Store
from tests.sim.books import PAN, SECRETS, Journal
from tests.sim.checks import Violation
from tests.sim.faults import NAMES

if TYPE_CHECKING:
    from tests.sim.world import World


# A world in which nothing ends the agent in the middle of a thing is replayed only one time in four.
_UNEVENTFUL = frozenset(NAMES) - {"kill", "power", "full", "broken", "rot"}


def audit(world: "World", books: Journal) -> bool:
    """Raise Violation, or False when flipped bits were found out: then the rest of the world proves nothing."""
    store = books.store
    if store is None:
        raise Violation("8", "the agent is not running")
    try:
        if world.seed % 4 == 0 or not _UNEVENTFUL.issuperset(world.drawn.names):
            _chain(store)
            if _rows(store) and world.rotten:
                world.note("checkpoint after rot")  # it took the closed rows as they were: nothing tells how they should be
                return False
    except Exception as error:
        if world.rotten:
            world.note("damage found", type(error).__name__)
            return False
        if isinstance(error, Violation):
            raise
        raise Violation("5", f"the journal cannot be read: {error!r}") from error
    books.housekeeping()
    _secrets(books, store)
    _fleet(world, store)
    return True


def _chain(store: Store) -> None:
    query = store.database.execute("SELECT seq, body, hash FROM journal ORDER BY seq")
    broken = next(verify((seq, bytes(body), bytes(hash_)) for seq, body, hash_ in query), None)
    if broken is not None:
        raise Violation("5", f"the chain is broken at {broken.seq}: {broken.reason}")


def _rows(store: Store) -> bool:
    """True when replay began at a checkpoint."""
    rows: list[Row] = []
    for kind in (None, *TABLES):
        found, damaged = read(store.database, kind)
        if damaged:
            raise Violation("5", f"damaged rows: {damaged}")
        rows += [stored.row for stored in found]
    replay = Replay(store.read_after(0, 1_000_000))
    differences, state = [*replay.differences, *replay.compare(rows)], replay.state
    made = len(state.transactions) + len(state.reversals) + len(state.incidents) + len(state.jobs)
    if made > len(rows):
        raise Violation("5", f"replay makes {made} rows, the disk has {len(rows)}")
    if differences:
        raise Violation("5", f"replay and rows differ: {msgspec.json.encode(differences[:3]).decode()}")
    return replay._base is not None


def started(books: Journal) -> None:
    """After bits flipped: a start that goes on has all that is open as the journal tells it. A broken journal tells nothing."""
    store = books.store
    assert store is not None
    try:
        _chain(store)
        told = Replay(store.read_after(0, 1_000_000))
    except Exception:  # noqa: BLE001  (whatever is wrong with it)
        return
    if told.differences:
        return
    mine, its = (
        (one.open_transactions, one.open_reversals, one.open_incidents, one.open_jobs, one.agent, one.ledger, one.streaks)
        for one in (books.state, told.state)
    )
    if mine != its:
        raise Violation("1", "after flipped bits the agent goes on with other rows than the journal tells")


def _secrets(books: Journal, store: Store) -> None:
    """No clear text ever; no sealed secret of what is closed, in database or WAL."""
    disk = b"".join(bytes(image.data) for image in books.disk.files.values())
    for text in SECRETS.values():
        if text is not SECRETS["14"] and text.encode() in disk:
            raise Violation("11", "a card secret stands in the clear on the disk")
    if PAN.encode() in disk:
        raise Violation("11", "a PAN stands in the clear on the disk")
    if store.scrub_owed:
        raise Violation("11", "the scrub is still owed")
    left = {ref for (ref,) in store.database.execute("SELECT DISTINCT ref FROM vault")}
    for ref, blobs in books.sealed.items():
        if ref not in left and any(blob in disk for blob in blobs):
            raise Violation("11", f"the sealed secrets of {ref} are still on the disk")


def _fleet(world: "World", store: Store) -> None:
    world.fleet.pump()
    told = [(entry.seq, entry.type) for entry in store.read_after(0, 1_000_000)]
    if world.fleet.events != told:
        raise Violation("10", f"the fleet has {len(world.fleet.events)} events, the journal {len(told)}")
