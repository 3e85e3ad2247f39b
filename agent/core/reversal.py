"""The life of a reversal: opened with the doubt, sent in opportunities, settled only by an answer that may be believed.

Source: UnionPay terminals' reversal rules. What follows an answer stands in `answers`; when to send, in `schedule`.
"""

from msgspec.structs import replace

from agent.core import asking, batches, fields, incidents, slips
from agent.core.change import Rejected
from agent.core.kinds import checked_by
from agent.core.lifecycle import REVERSAL, TRANSACTION, move
from agent.core.model import Reversal, Transaction
from agent.core.state import State


def begin(state: State, transaction: Transaction, reason: str) -> None:
    """Open the reversal of a doubt. Kinds that cannot be reversed are repeated, or watched until the settlement tells."""
    policy = state.agent.policy
    if policy.kind(transaction.kind).in_doubt == "repeat" and transaction.state == "in_doubt":
        _repeat(state, transaction)
        return
    if not fields.is_reversible(policy, transaction.kind):
        not_undone(state, transaction, "operator", "compare_settlement")
        return
    incidents.open_one(state, "in_doubt", transaction.id, "cashier", "hold_goods_and_wait")
    state.put(
        Reversal(
            id=transaction.id, number=transaction.number, state="pending", terminal_id=transaction.terminal_id,
            batch=transaction.batch, reason=reason, fields=fields.reversal_fields(policy, transaction),
            vault=transaction.vault, due_ms=state.now.boottime_ms + _first_wait_ms(state),
            began=state.stamp() if policy.mode == "payapp" else None,
        )
    )
    state.tell("reversal.opened", transaction.id, reason=reason, amount_fen=transaction.amount_fen)


def _first_wait_ms(state: State) -> int:
    """At once; but with the network down the app is not asked before it is back, or before the back-off."""
    policy = state.agent.policy
    return policy.backoff_min_ms if policy.mode == "payapp" and state.line.up is False else 0


def _repeat(state: State, transaction: Transaction) -> None:
    """Refunds and 0220 advice: the app sends the same message again until it is answered, as long as its batch is open."""
    batch = batches.of(state.agent, transaction.terminal_id)
    if batch.number != transaction.batch or batch.state == "settled":
        not_undone(state, transaction, "operator", "compare_settlement")
        return
    state.put(replace(transaction, repeats=True))
    incidents.open_one(state, "in_doubt", transaction.id, "cashier", "repeat_the_same")


def not_undone(state: State, transaction: Transaction, owner: str, next_action: str) -> None:
    """The transaction stays open for a person and the next day's settlement; never forgotten. Of a hold no file tells."""
    if next_action == "compare_settlement":
        next_action = checked_by(transaction.kind)
    if transaction.state != "unresolved":
        transaction = state.put(replace(transaction, state=move(TRANSACTION, transaction.state, "not_undone")))
        state.tell("transaction.unresolved", transaction.id, next_action=next_action)
        slips.fault_note(state, transaction)
    incidents.open_one(state, "in_doubt", transaction.id, owner, next_action)  # type: ignore[arg-type]


def astray(state: State, transaction: Transaction) -> None:
    """Relay: the host approved, and whether the terminal heard it nobody knows. Undone only by a person's order."""
    transaction = state.put(
        replace(
            transaction, state=move(TRANSACTION, transaction.state, "astray"), due_ms=None, answered=False,
            doubt="approved_not_completed",
        )
    )
    policy = state.agent.policy
    state.tell("transaction.unresolved", transaction.id, next_action="look_at_terminal")
    if fields.is_reversible(policy, transaction.kind):
        state.put(
            Reversal(
                id=transaction.id, number=transaction.number, state="refused", terminal_id=transaction.terminal_id,
                batch=transaction.batch, reason=policy.reasons.not_completed, fields=fields.reversal_fields(policy, transaction),
                vault=transaction.vault, first_used=True,
            )
        )
    slips.fault_note(state, transaction)
    incidents.open_one(state, "in_doubt", transaction.id, "cashier", "look_at_terminal")


def wipe(state: State, vault: str | None) -> None:
    """Delete the secrets in this very commit, which also owes the scrub of database and WAL."""
    if vault is not None:
        state.wiped.append(vault)


def trigger(state: State, row: Reversal) -> bool:
    """Something opens an opportunity: the next one begins now, but never before the spacing after the last send."""
    waits = row.adopted or (row.waiting_sign_in and not row.mac_gone)
    if row.state not in {"pending", "exhausted"} or row.sends_left > 0 or waits:
        return False
    due_ms = spaced_ms(state, row)
    if row.due_ms is not None and due_ms >= row.due_ms:
        return False
    state.put(replace(row, due_ms=due_ms))
    return True


def spaced_ms(state: State, row: Reversal) -> int:
    """The earliest moment of a next opportunity."""
    now_ms = state.now.boottime_ms
    return now_ms if row.last_send_ms is None else max(now_ms, row.last_send_ms + state.agent.policy.spacing_ms)


def trigger_all(state: State) -> None:
    """`trigger` for every pending reversal."""
    for row in state.reversals_by_age():
        if row.pending:
            trigger(state, row)


def signed_in(state: State) -> None:
    """New keys: whatever waited for them is sent again with a new MAC and the same STAN, in the same opportunity."""
    for row in state.reversals_by_age():
        if row.pending and row.waiting_sign_in:
            due_ms = row.due_ms
            if row.state != "sending":  # a turn that ended without a MAC has no sends left: the next one is a new opportunity
                due_ms = state.now.boottime_ms if row.sends_left > 0 else spaced_ms(state, row)
            state.put(replace(row, waiting_sign_in=False, mac_gone=False, due_ms=due_ms))
        elif row.pending:
            trigger(state, row)


def app_is_back(state: State) -> None:
    """The payment app started anew: its PIN pad may make MACs again."""
    for row in state.reversals_by_age():
        if row.pending and row.mac_gone:
            trigger(state, row)


def batch_closed(state: State, closed: str | None, current: str | None, terminal_id: str | None = None) -> None:
    """The batch is gone: its reversals expire into the next day's comparison. Settlement never clears a record.

    Where the acquirer takes a 0400 for a batch that is closed (`pending_after` send) they go on as before.
    """
    if state.agent.policy.pending_after == "send":
        return
    for row in state.reversals_by_age():
        if terminal_id not in {None, row.terminal_id}:
            continue
        if row.batch != closed and (current is None or row.batch == current):
            continue
        # An answer is awaited; a late approval only tells the settlement; an order sends once more and no oftener.
        if row.state in {"sending", "no_original", "refused"}:
            if not row.batch_closed:
                state.put(replace(row, batch_closed=True))
                state.tell("reversal.batch_closed", row.id, batch=row.batch)
        elif row.pending:
            expire(state, row)
    for transaction in state.transactions_by_age():
        gone = transaction.batch == closed or (current is not None and transaction.batch != current)
        mine = terminal_id in {None, transaction.terminal_id}
        if transaction.repeats and transaction.state == "in_doubt" and gone and mine:
            not_undone(state, transaction, "operator", "compare_settlement")


def expire(state: State, row: Reversal) -> None:
    """No automatic 0400 any more; the transaction waits for the settlement files."""
    state.put(replace(row, state=move(REVERSAL, row.state, "batch_closed"), sends_left=0, due_ms=None))
    state.tell("reversal.expired", row.id, sends=row.sends)
    not_undone(state, state.transactions[row.id], "operator", "compare_settlement")


def ordered(state: State, key: str, by: str) -> None:
    """An operator orders an opportunity; the only way for a refused reversal to be sent again."""
    row = state.reversals.get(key)
    without_card = state.agent.policy.mode != "payapp" and row is not None and row.vault is None
    yielded = row is not None and (without_card or (row.adopted and row.pending))
    if row is None or yielded or row.state not in {"pending", "exhausted", "refused"}:
        raise Rejected(409, "not-reversible", "there is no reversal that could be sent again for this transaction")
    if row.state == "refused":
        row = state.put(
            replace(
                row, state=move(REVERSAL, row.state, "ordered"), sends_left=0, waiting_sign_in=False,
                reason=state.agent.policy.reasons.refused, first_used=True, due_ms=None, adopted=False,
            )
        )
    state.tell("reversal.ordered", key, by=by)
    trigger(state, row)


def late_approval(state: State, transaction: Transaction) -> None:
    """An approval after the doubt. Evidence, except after "no original", which it disproves: that is reopened."""
    row = state.reversals.get(transaction.id)
    if transaction.state != "no_original":
        return
    if row is not None and (row.vault is not None or (state.agent.policy.mode == "payapp" and row.due_ms is not None)):
        state.put(replace(transaction, state=move(TRANSACTION, transaction.state, "late_approval")))
        row = state.put(
            replace(
                row, state=move(REVERSAL, row.state, "late_approval"), sends_left=0, asked_again=False,
                first_used=False, due_ms=spaced_ms(state, row),
            )
        )
        state.tell("reversal.reopened", transaction.id, reason="late_approval")
        incidents.open_one(state, "in_doubt", transaction.id, "cashier", "hold_goods_and_wait")
        if row.batch_closed:
            expire(state, row)
    else:
        state.put(replace(transaction, state=move(TRANSACTION, transaction.state, "late_approval_after_wipe")))
        state.tell("transaction.unresolved", transaction.id, next_action=checked_by(transaction.kind))
        incidents.open_one(state, "in_doubt", transaction.id, "operator", checked_by(transaction.kind))


def fence(state: State, key: str) -> None:
    """A person settled the case: no 0400 may ever be sent for it again, and its secrets go."""
    row = state.reversals.get(key)
    if row is None or "resolved" not in REVERSAL[row.state]:
        return
    state.put(replace(row, state=move(REVERSAL, row.state, "resolved"), vault=None, due_ms=None, sends_left=0))
    state.tell("reversal.fenced", key)
    wipe(state, row.vault)


def restarted(state: State, row: Reversal, *, new_boot: bool) -> None:
    """A crash in mid-send repeats that send unchanged; a new boot makes everything pending due at once."""
    now_ms = state.now.boottime_ms
    if row.silent_since_ms is not None:  # answers to earlier sends went with the connection
        row = state.put(replace(row, silent_since_ms=None))
    if row.request is not None:
        asking.repeat(state, row, new_boot=new_boot)
        return
    if row.state == "sending":
        # Not counted, but its bytes may have left: the spacing runs from it.
        row = state.put(replace(unsent(row, now_ms), last_send_ms=row.last_send_ms))
        state.tell("reversal.interrupted", row.id)
        if row.batch_closed:
            expire(state, row)
            return
    if row.adopted and row.pending:  # the app may still be at it
        state.put(replace(row, due_ms=now_ms + state.agent.policy.reply_timeout_ms))
    elif new_boot and row.due_ms is not None:
        policy, wait_ms = state.agent.policy, 0
        if row.state == "no_original":
            wait_ms = policy.no_original_keep_ms
        elif row.asked_again:  # the second "no original" is to be believed, so the age must be proved first
            transaction = state.transactions[row.id]
            wait_ms = max(0, policy.no_original_after_ms - state.age_ms(transaction.sent or transaction.opened))
        state.put(replace(row, last_send_ms=None, earlier_send_ms=None, due_ms=now_ms + wait_ms))


def new_rules(state: State) -> None:
    """The configuration was read: an opportunity that is open holds no more sends than one may have now."""
    most = state.agent.policy.sends_per_opportunity
    for row in state.reversals_by_age():
        if row.sends_left > most:
            state.put(replace(row, sends_left=most))


def unsent(row: Reversal, due_ms: int) -> Reversal:
    """The row as if its last send had not been counted: no byte left, or the very same send is repeated."""
    return replace(
        row, state=move(REVERSAL, row.state, "kept_exhausted" if row.first_used else "kept"), sends=row.sends - 1,
        sends_left=row.sends_left + 1, last_send_ms=row.earlier_send_ms, due_ms=due_ms, silent_since_ms=silence_before(row),
    )


def silence_before(row: Reversal) -> int | None:
    """Since when nothing was answered, without the last send."""
    return None if row.silent_since_ms == row.last_send_ms else row.silent_since_ms
