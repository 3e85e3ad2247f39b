"""The app's settlement: what is pending gets its opportunity before the 0500 leaves, and no settlement clears a record.

Source: UnionPay terminals' rule that pending reversals go ahead of a settlement.
"""

from msgspec.structs import replace

from agent.core import batches, defects, gate, incidents, reversal
from agent.core.change import Decision
from agent.core.event import BatchChanged, Opened, SettlementAsked
from agent.core.model import Batch, Proceed
from agent.core.state import State


def changed(state: State, event: BatchChanged) -> Decision:
    """The app settles, has settled, or begins another batch. The answer to `settling` says whether its 0500 should leave."""
    number, whose = event.batch, event.terminal_id
    if event.what == "settling":
        if batches.put(state, replace(batches.of(state.agent, whose), number=number, state="settling")):
            state.tell("settlement.settling", batch=number, terminal_id=whose)  # else the app only asks again
        _opportunities(state, number, whose)
        return _answer(state, number, whose)
    if event.what == "settled":
        batches.settled(state, whose, number)
        state.tell("settlement.settled", batch=number, terminal_id=whose)
        defects.settled(state, number, None, whose)
        reversal.batch_closed(state, number, None, whose)
    else:
        batches.put(state, Batch(terminal_id=whose, number=number))
        state.tell("settlement.changed", batch=number, terminal_id=whose)
        defects.settled(state, None, number, whose)
        _forget_turns(state, whose)
        reversal.batch_closed(state, None, number, whose)
    return Decision()


def opened(state: State, event: Opened) -> None:
    """A transaction in another batch shows that the one before it was closed, also when nobody reported it."""
    if batches.opened(state, event.terminal_id, event.batch):
        defects.settled(state, None, event.batch, event.terminal_id)
        reversal.batch_closed(state, None, event.batch, event.terminal_id)


def asked(state: State, event: SettlementAsked) -> Decision:
    """An 0500 waits in the relay. Asking changes nothing about the batch: the relay reports what became of it."""
    _opportunities(state, event.batch, event.terminal_id)
    return _answer(state, event.batch, event.terminal_id)


def _opportunities(state: State, batch: str, terminal_id: str | None) -> None:
    """One opportunity for every pending reversal of the batch; one that is running counts."""
    for row in state.reversals_by_age():
        if row.pending and row.settle_at is None and row.batch == batch and terminal_id in {None, row.terminal_id}:
            running = row.state == "sending" or row.sends_left > 0
            reversal.trigger(state, state.put(replace(row, settle_at=row.opportunities + (not running))))
            state.tell("reversal.due", row.id, by="settlement")


def _forget_turns(state: State, terminal_id: str | None) -> None:
    """The settlement came to nothing, or is over: the next one gives its own opportunity."""
    for row in state.reversals_by_age():
        if row.pending and row.settle_at is not None and terminal_id in {None, row.terminal_id}:
            state.put(replace(row, settle_at=None))


def _answer(state: State, batch: str, terminal_id: str | None) -> Decision:
    """What the gate says. With the line down for too long it is go: it may be only the agent's own route that is broken."""
    policy, now_ms = state.agent.policy, state.now.boottime_ms
    proceed: Proceed = gate.settlement(state, terminal_id)
    known = batches.of(state.agent, terminal_id)
    since_ms = known.held_since_ms
    if proceed == "wait" and since_ms is not None and state.line.up is False and now_ms - since_ms >= policy.bypass_after_ms:
        incidents.open_one(state, "gate_bypassed", None, "technician", "check_route")
        proceed = "go"
    if proceed != "go" and since_ms is None:
        batches.put(state, replace(known, held_since_ms=now_ms))
        state.tell("settlement.held", batch=batch, terminal_id=terminal_id, proceed=proceed)
    elif proceed == "go" and since_ms is not None:
        batches.put(state, replace(known, held_since_ms=None))
        state.tell("settlement.let_go", batch=batch, terminal_id=terminal_id)
    return Decision(proceed=proceed, retry_after_ms=None if proceed == "go" else policy.wait_retry_ms)
