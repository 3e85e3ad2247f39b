"""Opening, re-assigning and closing incidents. Ids follow from the transaction and the code: the core draws nothing."""

from functools import lru_cache
from uuid import UUID, uuid5

from msgspec.structs import replace

from agent.core.model import Incident, Owner
from agent.core.state import State

NAMESPACE = UUID("6f1c2b52-54a2-4f0e-9d43-0a4b7a2c9e11")


@lru_cache(maxsize=256)
def incident_id(code: str, scope: str) -> str:
    """The id of the incident `code` about `scope` (a transaction id, or an ordinal for what belongs to no transaction)."""
    return str(uuid5(NAMESPACE, f"{code}/{scope}"))


def open_one(state: State, code: str, transaction: str | None, owner: Owner, next_action: str) -> Incident:
    """Open the incident, or re-open and re-assign the one that is already there for this code and transaction."""
    if transaction is None:
        found = next((row for row in state.open_incidents.values() if row.code == code and row.transaction is None), None)
        key = found.id if found else incident_id(code, f"agent/{state.agent.next_number}")
    else:
        key = incident_id(code, transaction)
        found = state.incidents.get(key)
    if found is None:
        row = Incident(
            id=key, number=state.number(), code=code, transaction=transaction, opened=state.stamp(), open=True,
            owner=owner, next_action=next_action,
        )
        state.tell("incident.opened", transaction, key, code=code, owner=owner, next_action=next_action)
        return state.put(row)
    if (found.open, found.owner, found.next_action) == (True, owner, next_action):
        return found
    state.tell(
        "incident.changed" if found.open else "incident.reopened",
        transaction, key, code=code, owner=owner, next_action=next_action,
    )
    return state.put(replace(found, open=True, owner=owner, next_action=next_action, closed=None, resolution=None))


def close_one(state: State, code: str, transaction: str, resolution: str) -> None:
    """Close the incident of this code and transaction if it is open."""
    found = state.incidents.get(incident_id(code, transaction))
    if found is not None and found.open:
        close(state, found, resolution)


def close(state: State, row: Incident, resolution: str, by: str | None = None, note: str | None = None) -> None:
    """Close this incident; `by` and `note` name the person who did."""
    state.put(replace(row, open=False, closed=state.stamp(), resolution=resolution))
    state.tell("incident.closed", row.transaction, row.id, code=row.code, resolution=resolution, by=by, note=note or None)
