"""May the first byte leave, of a transaction or of a settlement? The first decision point: go, wait or refuse.

go      nothing pending, or every pending reversal has used up its first opportunity or waits for a sign-in
wait    a first opportunity is running or due, or another transaction of this terminal is `sent`, or on a leased line a
        reversal is in flight
refuse  the batch is settling and this is nothing that a terminal uploads ahead of its 0500, or reversals wait for their
        turn and a fresh connect proved the line down
After `bypass_after_ms` of unbroken refusals it is go again, with an incident: it may be only our own route that is broken.
"""

from msgspec.structs import replace

from agent.core import batches, incidents, reversal, wallet
from agent.core.change import Decision
from agent.core.model import Proceed, Transaction
from agent.core.state import State


def ask(state: State, transaction: Transaction, *, line_down: bool) -> tuple[Proceed, int | None]:
    """The answer, and after how many ms to ask again when it is not `go`. Only a refusal streak is remembered."""
    agent, policy = state.agent, state.agent.policy
    if policy.mode == "payapp":
        return "go", None
    if transaction.order is not None:  # a wallet has its own line, and is what a customer takes while the card line is down
        beside = wallet.open_beside(state, transaction.id, transaction.basket_id)  # one that was closed may have been paid late
        return ("wait", policy.wait_retry_ms) if beside or _another_is_sent(state, transaction) else ("go", None)
    _opportunity(state, transaction.terminal_id)
    waits = _another_is_sent(state, transaction) or line_is_ours(state)
    if batches.settles_without(agent, transaction):
        return "refuse", policy.refuse_retry_ms
    if not any(row.blocks and row.terminal_id == transaction.terminal_id for row in state.open_reversals.values()):
        _forget_refusals(state)
        return ("wait", policy.wait_retry_ms) if waits else ("go", None)
    if not line_down or waits:
        return "wait", policy.wait_retry_ms
    return _refuse_or_bypass(state, transaction)


def online(state: State, terminal_id: str) -> Decision:
    """May a request that is not watched pass? It is an opportunity for what is pending, and waits for its turn."""
    _opportunity(state, terminal_id)
    waits = any(row.blocks and row.terminal_id == terminal_id for row in state.open_reversals.values())
    return Decision(proceed="wait", retry_after_ms=state.agent.policy.wait_retry_ms) if waits else Decision(proceed="go")


def settlement(state: State, terminal_id: str | None = None) -> Proceed:
    """May an 0500 leave now (None: of any terminal id)? Pure, and by the profile's `settlement_while_pending`:

    pass    always
    refuse  not while a reversal is pending
    In mode `payapp` always, too: the app's kernel flushes ahead of it.
    wait    not before each pending reversal had its opportunity since the settlement was asked for; then it goes, and what
            is still pending stays on record
    """
    policy = state.agent.policy
    rule = policy.settlement_while_pending
    pending = [row for row in state.open_reversals.values() if row.pending and terminal_id in {None, row.terminal_id}]
    if rule == "pass" or policy.mode == "payapp" or not pending:
        return "go"
    if rule == "refuse":
        return "refuse"
    return "wait" if any(row.holds_settlement for row in pending) else "go"


def _opportunity(state: State, terminal_id: str) -> None:
    """An online request is an opportunity for what is pending on its terminal, also for what makes nobody wait."""
    for row in state.reversals_by_age():
        if row.pending and row.terminal_id == terminal_id and reversal.trigger(state, row):
            state.tell("reversal.due", row.id, by="online_request")


def _refuse_or_bypass(state: State, transaction: Transaction) -> tuple[Proceed, int | None]:
    agent, now_ms = state.agent, state.now.boottime_ms
    if agent.refused_since_ms is None:
        state.put(replace(agent, refused_since_ms=now_ms))
        state.tell("gate.refused", transaction.id, reason="line_down")
    elif now_ms - agent.refused_since_ms >= agent.policy.bypass_after_ms:
        incidents.open_one(state, "gate_bypassed", transaction.id, "technician", "check_route")
        _forget_refusals(state)
        return "go", None
    return "refuse", agent.policy.refuse_retry_ms


def _forget_refusals(state: State) -> None:
    if state.agent.refused_since_ms is not None:
        state.put(replace(state.agent, refused_since_ms=None))
        state.tell("gate.reopened")


def line_is_up(state: State) -> None:
    """The host was reached: a streak of refusals is broken."""
    _forget_refusals(state)


def line_is_ours(state: State) -> bool:
    """On a leased line a reversal in flight and a new transaction would be two at a time."""
    return state.agent.policy.line_leased and any(row.state == "sending" for row in state.open_reversals.values())


def _another_is_sent(state: State, transaction: Transaction) -> bool:
    """One whose answer is awaited; of an approval that nobody here could check only the app's word is, and that is no turn."""
    return any(
        other.state == "sent" and other.terminal_id == transaction.terminal_id and other.id != transaction.id
        and not (other.answered and other.unproved)
        for other in state.open_transactions.values()
    )
