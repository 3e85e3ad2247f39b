"""The payment app's own 0400, seen in the relay: the agent yields that key, so that exactly one of the two reverses it.

What is adopted is one reversal in the ledger (P21). When the app's 0400 stays unanswered it is a person's case, never a
second reversal by itself.
"""

from msgspec.structs import replace

from agent.core import incidents
from agent.core.lifecycle import REVERSAL, TRANSACTION, move
from agent.core.model import PENDING, Reversal
from agent.core.reversal import not_undone
from agent.core.state import State


def adopt(state: State, row: Reversal, reason: str | None, amount_fen: int | None) -> None:
    """The app sends it, perhaps again: wait for its answer. Both having sent is an incident.

    After a partial approval its F4 may be either amount, and its answer repeats it: unless we sent ours, this one counts.
    """
    if row.sends == 0 and amount_fen is not None:
        row = state.put(replace(row, fields={**row.fields, "4": f"{amount_fen:012d}"}))
    if row.sends > 0 and not row.adopted:
        incidents.open_one(state, "both_reversed", row.id, "operator", "compare_settlement")
    state.tell("reversal.adopted", row.id, reason=reason)
    if row.state == "sending":  # the answer to our own may still come
        state.put(replace(row, adopted=True))
    else:
        wait(state, row)


def wait(state: State, row: Reversal) -> None:
    """From here on the app's 0400 alone counts: its answer is awaited, the agent sends no more."""
    in_time = row.state in PENDING
    state.put(
        replace(
            row, adopted=True, sends_left=0, waiting_sign_in=False,
            due_ms=state.now.boottime_ms + state.agent.policy.reply_timeout_ms if in_time else row.due_ms,
        )
    )
    transaction = state.transactions[row.id]
    if "reversing" in TRANSACTION[transaction.state]:
        state.put(replace(transaction, state=move(TRANSACTION, transaction.state, "reversing")))


def silent(state: State, row: Reversal) -> None:
    """The app's 0400 got no answer that counts. Only a person's order hands it back to the agent."""
    state.put(
        replace(row, state=move(REVERSAL, row.state, "app_silent"), due_ms=None, sends_left=0, first_used=True)
    )
    state.tell("reversal.unanswered", row.id, sends=row.sends)
    not_undone(state, state.transactions[row.id], "operator", "decide_and_compare_settlement")
