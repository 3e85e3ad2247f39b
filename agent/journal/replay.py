"""The proof that the journal tells the whole story: step its events again and come to the same rows.

Vault, outbox cursor and idempotency keys are not part of it.
"""

from collections.abc import Iterable

import msgspec

from agent.core import model
from agent.core.event import Event
from agent.core.model import Now, Row
from agent.core.state import State
from agent.core.step import step
from agent.journal.chain import Entry

_KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (model.Transaction, model.Reversal, model.Incident, model.Job)
}


class Difference(msgspec.Struct, frozen=True):
    """Where replay and journal or rows part: the entry (0 for rows) and what is different."""

    seq: int
    what: str


def replay(entries: Iterable[Entry]) -> tuple[State, list[Difference]]:
    """Step every journaled event again; facts that come out otherwise are differences."""
    state, differences = State(), []
    expected: list[tuple[str, str | None, dict[str, object]]] = []
    for entry in entries:
        if entry.input is not None:
            if expected:
                differences.append(Difference(entry.seq, f"replay also told {expected[0][0]}"))
            expected = _step(state, entry, differences)
        if not expected:
            differences.append(Difference(entry.seq, f"replay does not tell {entry.type}"))
            continue
        told = expected.pop(0)
        if told[:2] != (entry.type, entry.transaction) or _plain(told[2]) != _plain(entry.data):
            differences.append(Difference(entry.seq, f"replay tells {told[0]} where the journal says {entry.type}"))
    if expected:
        differences.append(Difference(0, f"replay also tells {expected[0][0]} at the end"))
    return state, differences


def _step(state: State, entry: Entry, differences: list[Difference]) -> list[tuple[str, str | None, dict[str, object]]]:
    assert entry.input is not None, "only entries with an input are stepped"
    for kind, body in entry.input.get("loaded", ()):
        row: Row = msgspec.convert(body, _KINDS[kind])
        known = state.known(row)
        if known is None:
            state.absorb([row])
        elif known != row:
            differences.append(Difference(entry.seq, f"{kind} {row.id} was not what the journal made it"))
    event = msgspec.convert(entry.input["event"], Event)
    change = step(state, event, msgspec.convert(entry.input["now"], Now))
    state.settle()
    return [(fact.type, fact.transaction, fact.data) for fact in change.facts]


def _plain(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def compare(state: State, rows: Iterable[Row]) -> list[Difference]:
    """Rows on disk that replay did not come to."""
    return [
        Difference(0, f"{type(row).__name__} {row.id} is not what replay makes of it")
        for row in rows
        if state.known(row) != row
    ]
