"""What a void or a refund leaves of a payment: as long as it may have worked, nothing is handed over for the payment any more.

A payment keeps the names of what was to undo it, because what became of those is asked whenever somebody looks at it.
"""

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from agent.core.kinds import family
from agent.core.model import Row, Transaction
from agent.core.state import State

NOTHING = frozenset({"declined", "not_sent", "reversed", "no_original"})  # what it was to undo stands as before
UNDOINGS_MAX = 8  # that are kept for one payment


def opened(state: State, new: Transaction) -> None:
    """A void or refund was opened: what it names keeps it. Of too many, those that came to nothing go first."""
    if family(new.kind) not in {"undo", "refund"}:
        return
    for row in originals(state, new):
        kept = row.undoings
        if len(kept) >= UNDOINGS_MAX:
            kept = tuple(key for key in kept if not _came_to_nothing(state, key))
        if len(kept) < UNDOINGS_MAX:
            state.put(replace(row, undoings=(*kept, new.id)))


def originals(state: State, row: Transaction) -> Iterator[Transaction]:
    """What this one refers to, as far as the state has it; several under one STAN, where one was never sent."""
    if row.original is not None:
        for key in state.keys.get((row.terminal_id, row.original.batch, row.original.stan), ()):
            yield state.transactions[key]


def complete(view: State, family: Callable[[str], Iterable[Row]]) -> None:
    """Absorb what its transactions are judged by, and what was to undo that. `family` reads the rows of one transaction."""
    for _ in range(2):
        for key in {key for each in view.transactions.values() for key in each.links} - view.transactions.keys():
            view.absorb(family(key))


def is_undone(state: State, row: Transaction) -> bool:
    """True when a void or refund of it was approved, or may yet turn out to be."""
    return bool(row.undoings) and not all(_came_to_nothing(state, key) for key in row.undoings)


def by_another(state: State, row: Transaction) -> bool:
    """True when this void came to nothing, and another void or refund of the same payment did not."""
    return row.state in NOTHING and family(row.kind) == "undo" and any(is_undone(state, each) for each in originals(state, row))


def _came_to_nothing(state: State, key: str) -> bool:
    row = state.transactions.get(key)
    booked = row is not None and row.account is not None and row.account.verdict == "settled"
    return row is not None and row.state in NOTHING and not booked
