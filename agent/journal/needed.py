"""Closed families that an event needs and the state has forgotten: which ones, and where they are found."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent.core.event import DispositionGiven, Event, HostReply, IncidentResolved, JobFinished, Opened
from agent.core.fleetevent import Commanded
from agent.core.model import Job, Row, Transaction
from agent.core.settlementevent import RefundReported, SettlementImported
from agent.core.state import State
from agent.journal import schema

if TYPE_CHECKING:
    from agent.journal.store import Store


def rows(store: "Store", state: State, event: Event) -> list[Row]:
    """Every row of those families, oldest first."""
    wanted: Iterable[str] = ()
    if isinstance(event, Opened):
        wanted = [*store.named(event.terminal_id, event.batch, event.stan), *([event.replaces] if event.replaces else [])]
    elif isinstance(event, SettlementImported):
        wanted = event.families
    elif isinstance(event, Commanded) and event.statement is not None:
        wanted = event.statement.families
    elif isinstance(event, HostReply):  # a doubled or late one may be about a closed reversal
        query = "SELECT id FROM transactions WHERE stan = ? AND terminal_id = ?"
        wanted = [key for (key,) in store.database.execute(query, (event.f11, event.f41))]
    elif isinstance(event, IncidentResolved) and event.transaction is None:
        return [row for row in (store.incident(event.incident),) if row is not None and row.id not in state.incidents]
    elif isinstance(event, JobFinished) and event.transaction is None:  # a late proof of a test page
        return [] if event.job in state.jobs else store.select(Job, f"WHERE {schema.JOB_BY_ID}", (None, event.job))
    else:
        key = getattr(event, "transaction", None)
        if key is not None and not (isinstance(event, JobFinished) and event.job in state.jobs):
            wanted = (key,)
    found = [row for key in dict.fromkeys(wanted) if key not in state.transactions for row in store.family(key)]
    return found + _linked(store, state, event, found) if isinstance(event, DispositionGiven | RefundReported) else found


def _linked(store: "Store", state: State, event: DispositionGiven | RefundReported, loaded: list[Row]) -> list[Row]:
    """The families on which it depends what is owed."""
    row = state.transactions.get(event.transaction) or next((row for row in loaded if isinstance(row, Transaction)), None)
    said = event.disposition.replaced_by if isinstance(event, DispositionGiven) else None
    links = {*(row.links if row is not None else ()), said or ""} - {event.transaction, "", *state.transactions}
    return [row for key in sorted(links) for row in store.family(key)]
