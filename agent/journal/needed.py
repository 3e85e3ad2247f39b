"""Closed families that an event needs and the state has forgotten: which ones, and where they are found."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from agent.core import relay
from agent.core.event import (
    AnswerForwarded,
    DispositionGiven,
    Event,
    HostReply,
    IncidentResolved,
    JobFinished,
    Opened,
    RelayAnswered,
    ResultReported,
    SentAsked,
)
from agent.core.fleetevent import Commanded
from agent.core.model import Job, Row, Transaction
from agent.core.settlementevent import SettlementImported
from agent.core.state import State
from agent.journal import schema

if TYPE_CHECKING:
    from agent.journal.store import Store


# About one transaction and nothing else, and asked for while somebody waits: in most of them it is one that is remembered.
_OF_ONE = frozenset({SentAsked, ResultReported, RelayAnswered, AnswerForwarded})


def rows(store: "Store", state: State, event: Event) -> list[Row]:
    """Every row of those families, oldest first, and of those by which they are judged."""
    key = getattr(event, "transaction", None)
    if type(event) in _OF_ONE and key in state.transactions and not state.transactions[key].links:
        late = isinstance(event, RelayAnswered) and relay.names_another(state, state.transactions[event.transaction], event.f60)
        if not late:
            return []
    wanted: Collection[str] = ()
    if isinstance(event, Opened):
        wanted = [*store.named(event.terminal_id, event.batch, event.stan), *([event.replaces] if event.replaces else [])]
        if event.original is not None:  # it keeps what is to undo it
            wanted += store.named(event.terminal_id, event.original.batch, event.original.stan)
    elif isinstance(event, SettlementImported):
        wanted = event.families
    elif isinstance(event, Commanded) and event.statement is not None:
        wanted = event.statement.families
    elif isinstance(event, HostReply):  # a doubled or late one may be about a closed reversal
        wanted = _numbered(store, event)
    elif isinstance(event, RelayAnswered):  # or about that of the same number in an earlier batch
        wanted = [event.transaction, *_numbered(store, event)]
    elif isinstance(event, IncidentResolved) and event.transaction is None:
        return [row for row in (store.incident(event.incident),) if row is not None and row.id not in state.incidents]
    elif isinstance(event, JobFinished) and event.transaction is None:  # a late proof of a test page
        return [] if event.job in state.jobs else store.select(Job, f"WHERE {schema.JOB_BY_ID}", (None, event.job))
    elif key is not None and not (isinstance(event, JobFinished) and event.job in state.jobs):
        wanted = (key,)
    if not wanted:
        return []
    keys = dict.fromkeys(wanted)
    found = [row for key in keys if key not in state.transactions for row in store.family(key)]
    judged = [*(state.transactions[key] for key in keys if key in state.transactions), *found]
    links = {link for row in judged if isinstance(row, Transaction) for link in row.links}
    if isinstance(event, DispositionGiven) and event.disposition.replaced_by is not None:
        links.add(event.disposition.replaced_by)
    known = state.transactions.keys() | keys  # what an open transaction is judged by, the state has not forgotten
    beside = [row for key in sorted(links - known) for row in store.family(key)]
    linked = [*(state.transactions[key] for key in sorted(links & state.transactions.keys())), *beside]
    undoings = {key for row in linked if isinstance(row, Transaction) for key in row.undoings}
    return found + beside + [row for key in sorted(undoings - links - known) for row in store.family(key)]


def _numbered(store: "Store", event: HostReply | RelayAnswered) -> list[str]:
    """The ids of the transactions of this terminal id and STAN, in whatever batch."""
    query = "SELECT id FROM transactions WHERE stan = ? AND terminal_id = ?"
    return [key for (key,) in store.database.execute(query, (event.f11, event.f41))]
