"""What must hold for every row a step has touched, in production too. A failure is a defect of ours and undoes the step."""

from collections.abc import Callable
from typing import Any

from agent.core.batches import TERMINALS_MAX
from agent.core.commandbook import KEPT_MAX, OPEN_MAX, CommandBook
from agent.core.kinds import family
from agent.core.lifecycle import COMMAND, JOB, REVERSAL, table_of
from agent.core.model import Agent, Incident, Job, Reversal, Transaction
from agent.core.order import Order
from agent.core.playbook import PLAYBOOK, judge
from agent.core.state import State

_NEEDS_REVERSAL = frozenset({"in_doubt", "reversing", "approved_not_completed"})
_ASKING = frozenset({"querying", "cancelling", "cancel_unknown"})
_HAS_INCIDENT = _NEEDS_REVERSAL | _ASKING | {"unresolved", "declined_uncertain"}
_PAYABLE = frozenset({"declined", "not_sent", "reversed", "no_original", "closed"})
_NO_SECRETS = frozenset({"approved", "declined", "declined_uncertain", "not_sent", "reversed", "resolved"})


def check(state: State) -> None:
    """Assert the invariants of every touched row against the rows around it."""
    touched = state.touched
    for row in touched:
        holds = _HOLDS.get(type(row))
        if holds is not None:
            holds(state, row)
            assert getattr(row, "number", 0) < state.agent.next_number, "a number that would be given once more"
    assert not touched or state.facts, "rows changed and nothing was told"


def _incident(_state: State, row: Incident) -> None:
    assert not row.open or (row.owner and row.next_action), "an open incident without owner or next action"


def _job(_state: State, row: Job) -> None:
    assert row.state in JOB, f"job state {row.state}"
    assert row.accepted_bytes <= row.total_bytes, "more bytes accepted than there are"


def _transaction(state: State, row: Transaction) -> None:
    assert row.state in table_of(row.rail), f"transaction state {row.state}"
    assert row.amount_fen > 0, "amount"
    reversal = state.reversals.get(row.id)
    if row.state in _NEEDS_REVERSAL and not row.repeats:
        assert reversal is not None and reversal.pending, f"{row.state} without a pending reversal"  # noqa: PT018
    if row.state == "approved":
        assert reversal is None, "an approved transaction has a reversal"
    if row.repeats:
        assert reversal is None, "what is repeated has a reversal"
    if row.state == "reversed":
        assert reversal is not None and reversal.state == "accepted", "reversed without an accepted 0400"  # noqa: PT018
    if row.state in _HAS_INCIDENT:
        assert state.open_incidents_of(row.id), f"{row.state} without an open incident"
    if row.state in _NO_SECRETS:
        assert row.vault is None, f"{row.state} keeps secrets"
    if row.refund is not None:
        assert 0 <= row.refund.refunded_fen <= row.refund.due_fen, "more was refunded than is due"
        fenced = reversal is None or reversal.state in {"fenced", "accepted"}
        assert fenced or row.refund.state in {"wanted", "cancelled"}, "a refund beside a reversal that may be sent"
    if row.by_hand is not None and reversal is not None:
        assert not reversal.pending or reversal.state == "sending", "a 0400 may go for what was undone by hand"
    if row.state in {"intent", "sent"}:
        assert row.due_ms is not None, f"{row.state} without a deadline"
    if row.order is not None:
        _order(state, row, row.order)
    _advice(state, row)


def _order(state: State, row: Transaction, order: Order) -> None:
    assert state.reversals.get(row.id) is None, "a wallet's order has an 0400"
    if row.state in _ASKING or order.call is not None:
        assert row.due_ms is not None, f"{row.state} that nothing will wake"
    if row.state == "paid":
        assert order.cancels == 0, "paid, though a cancel was asked for"
    if row.state in {"cancelling", "cancel_unknown"}:
        assert order.cancels or order.late, f"{row.state} without a cancel"
        assert order.asked, "a cancel without a query before it"
    if order.trusted:
        assert order.cancels == 0, "a cancel after complete evidence was accepted"
    if order.late:
        assert any(incident.code == "paid_after_cancel" for incident in state.incidents_of(row.id)), "paid late, not reported"
    if row.state == "paid" and order.rival is not None:
        assert any(incident.code == "paid_beside_another" for incident in state.incidents_of(row.id)), "a rival, not reported"


def _advice(state: State, row: Transaction) -> None:
    code, hold_goods, may_pay_again = judge(state, row)
    accepted = row.disposition is not None and row.disposition.accepts_risk
    assert code in PLAYBOOK, "unknown advice"
    assert hold_goods or row.state in {"approved", "paid"} or family(row.kind) == "undo", f"goods released in {row.state}"
    assert not may_pay_again or row.state in _PAYABLE or accepted, f"pay again in {row.state}"


def _reversal(state: State, row: Reversal) -> None:
    assert row.state in REVERSAL, f"reversal state {row.state}"
    transaction = state.transactions[row.id]
    assert transaction.state not in {"approved", "declined", "not_sent"}, f"0400 for a {transaction.state} transaction"
    assert row.fields["11"] == transaction.stan, "the reversal has another STAN"
    assert int(row.fields["4"]) in {transaction.amount_fen, transaction.approved_fen}, "the reversal has another amount"
    assert 0 <= row.sends_left <= max(state.agent.policy.sends_per_opportunity, 1) + 1, "sends left"
    if row.state == "sending":
        assert sum(other.state == "sending" for other in state.open_reversals.values()) == 1, "two reversals in flight"
        assert row.due_ms is not None, "a send without a deadline"
        assert row.sends >= 1, "a send that was not counted"
        assert state.line.connected or state.agent.policy.mode == "payapp" or row.request, "a send without a connection"
    if row.pending:
        assert row.due_ms is not None, "a pending reversal that nothing will wake"
    assert row.request is None or row.state == "sending", "a request is open for a reversal that is not being sent"
    if row.state in {"accepted", "fenced"}:
        assert row.vault is None, "a closed reversal keeps its secrets"


def _agent(_state: State, row: Agent) -> None:
    assert len(row.batches) <= TERMINALS_MAX, "more terminal ids than are remembered"
    assert len({each.terminal_id for each in row.batches} - {None}) == len(row.batches), "two batches of one terminal id"


def _commands(_state: State, row: CommandBook) -> None:
    assert len(row.taken) <= KEPT_MAX, "more commands than are kept"
    assert len({each.id for each in row.taken}) == len(row.taken), "a command was taken twice"
    at_work = 0
    for each in row.taken:
        at_work += each.at_work
        assert each.state in COMMAND, f"command state {each.state}"
        assert each.state != "new", "a command without an end, and nobody at work on it"
    assert at_work <= OPEN_MAX, "too many commands at work"


_HOLDS: dict[type, Callable[[State, Any], None]] = {
    Transaction: _transaction, Reversal: _reversal, Incident: _incident, Job: _job, Agent: _agent,
    CommandBook: _commands,
}
