"""The card rail up to the doubt: opening, permission to send, and the result, whose first commit fixes the direction.

Approved first: never reversed. Doubt first: an approval that comes later is evidence, and the app is told to show failure.
"""

from msgspec.structs import replace

from agent.core import asking, batch, defects, evidence, gate, incidents, receipt, reversal, settlement, undoing, wallet
from agent.core.change import Decision, Rejected
from agent.core.event import Opened, ResultReported, SentAsked
from agent.core.kinds import checked_by
from agent.core.lifecycle import move, table_of
from agent.core.model import Transaction
from agent.core.state import State, find

# After the doubt is committed only these agree with it; every other outcome is evidence.
ANSWERED = frozenset({"approved", "declined", "declined_uncertain"})
AGREES_WITH_DOUBT = frozenset({"no_answer", "bad_mac", "not_sent"})
DOUBTED = frozenset({"in_doubt", "reversing", "reversed", "no_original", "unresolved", "resolved"})


def opened(state: State, event: Opened) -> Decision:
    """The app opens a transaction; with `ask` it asks permission in the same commit."""
    if event.transaction in state.transactions:
        raise Rejected(409, "duplicate-id", "a transaction with this id exists")
    reused = _refuse_used_key(state, event)
    if reused is not None:
        return reused
    if event.rail != "card":
        wallet.check_opened(state, event)
    batch.opened(state, event)
    policy, trigger = state.agent.policy, _only_triggers(state, event)
    transaction = Transaction(
        id=event.transaction, number=state.number(of_newest=True), rail=event.rail, kind=event.kind, state="intent",
        amount_fen=event.amount_fen, currency=event.currency, stan=event.stan, batch=event.batch,
        terminal_id=event.terminal_id, merchant_id=event.merchant_id, opened=state.stamp(), basket_id=event.basket_id,
        condition=event.condition, entry_mode=event.entry_mode, sequence=event.sequence, masked_pan=event.masked_pan,
        last4=event.last4, card_hmac=event.card_hmac, vault=event.vault, original=event.original,
        replaces=None if trigger else event.replaces, trigger=trigger,
        due_ms=state.now.boottime_ms + policy.intent_timeout_ms,
        wallet=event.wallet,
        order=wallet.order_of(event), customer=event.customer,
    )
    state.put(transaction)
    settlement.repeated(state, transaction)
    undoing.opened(state, transaction)
    state.tell(
        "transaction.opened", transaction.id, kind=event.kind, amount_fen=event.amount_fen, stan=event.stan,
        batch=event.batch, card=(event.masked_pan or event.last4) if event.rail == "card" else None, wallet=event.wallet,
        order=event.last4 if event.rail != "card" else None,
    )
    wallet.note_rival(state, transaction)
    return _ask(state, transaction, line_down=event.line_down) if event.ask else Decision(transaction=transaction.id)


def _only_triggers(state: State, event: Opened) -> bool:
    """A sale of one fen while a reversal waits is the folk procedure that sets it off (P22): never the repeat of the payment."""
    if state.agent.policy.mode != "payapp" or event.kind != "sale" or event.amount_fen != 1:
        return False
    waiting = [row for row in state.open_reversals.values() if row.pending and row.terminal_id == event.terminal_id]
    return bool(waiting) and all(state.transactions[row.id].amount_fen != 1 for row in waiting)


def _refuse_used_key(state: State, event: Opened) -> Decision | None:
    """(terminal, batch, STAN) is unique, unless all its rows are proved not sent."""
    for key in state.keys.get((event.terminal_id, event.batch, event.stan), ()):
        earlier = state.transactions[key]
        if earlier.state != "not_sent":
            detail = (
                f"terminal {event.terminal_id}, batch {event.batch}, STAN {event.stan} is already used by {key}; "
                "take the next STAN"
            )
            same = (earlier.kind, earlier.amount_fen, earlier.last4) == (event.kind, event.amount_fen, event.last4)
            if defects.stan_used_again(state, earlier, retried=same and earlier.state in {"intent", "sent"}):
                return Decision(transaction=key, conflict="duplicate-stan", detail=detail)
            raise Rejected(409, "duplicate-stan", detail)
    return None


def sent_asked(state: State, event: SentAsked) -> Decision:
    """May the first byte leave? A repeated question gets `go` again only while it is valid."""
    transaction = find(state, event.transaction)
    if transaction.state == "intent":
        return _ask(state, transaction, line_down=event.line_down)
    if transaction.repeats and transaction.state == "in_doubt":
        return _ask(state, transaction, line_down=event.line_down)
    if transaction.state == "sent":
        return Decision(transaction=transaction.id, proceed="go" if go_is_valid(state, transaction) else "refuse")
    raise Rejected(
        409, "not-open", f"the transaction is {transaction.state}: nothing may be sent for it; open a new transaction"
    )


def go_is_valid(state: State, transaction: Transaction) -> bool:
    """True while the app may still send its first byte on the `go` it has: not once an order of its basket was paid late."""
    return (
        transaction.state == "sent"
        and transaction.go_until_ms is not None
        and state.now.boottime_ms < transaction.go_until_ms
        and transaction.sent is not None
        and transaction.sent.boot == state.agent.boots
        and (transaction.order is None or wallet.open_beside(state, transaction.id, transaction.basket_id) is None)
    )


def _ask(state: State, transaction: Transaction, *, line_down: bool) -> Decision:
    proceed, retry_after_ms = gate.ask(state, transaction, line_down=line_down)
    if proceed == "go":
        policy, now_ms = state.agent.policy, state.now.boottime_ms
        state.put(
            replace(
                transaction, state=move(table_of(transaction.rail), transaction.state, "repeat" if transaction.repeats else "go"),
                sent=state.stamp(),
                go_until_ms=now_ms + policy.go_valid_ms,
                due_ms=now_ms + policy.answer_timeout_ms - asking.window_ms(state, transaction),
            )
        )
        state.tell("transaction.sent", transaction.id, stan=transaction.stan)
    return Decision(transaction=transaction.id, proceed=proceed, retry_after_ms=retry_after_ms)


def result(state: State, event: ResultReported) -> Decision:
    """The second decision point. What is committed first, approval or doubt, is the direction."""
    transaction = find(state, event.transaction)
    cause = _cause(state, event)
    if transaction.state == "not_sent" and cause == "approved" and transaction.doubt is None:
        # It never got `go`, yet the host approved it: it was sent all the same, and nobody will reverse it.
        return _approve(state, transaction, event, unpermitted=True)
    if transaction.repeats and transaction.state in {"in_doubt", "sent"} and cause in ANSWERED:
        return _repeated(state, transaction, event, cause)
    if transaction.state not in {"intent", "sent"}:
        return _again(state, transaction, event, cause)
    unpermitted = transaction.state == "intent" and state.agent.policy.asked_first and cause != "not_sent"
    if cause == "approved":
        return _approve(state, transaction, event, unpermitted=unpermitted)
    if unpermitted:
        incidents.open_one(state, "sent_without_permission", transaction.id, "technician", "check_payment_app")
    if cause == "declined" or (cause == "declined_uncertain" and transaction.order is None):
        return _decline(state, transaction, event, cause)
    if cause == "not_sent" and transaction.state == "intent":
        _end(state, transaction, "not_sent", doubt="not_sent")
        state.tell("transaction.not_sent", transaction.id, by="app")
        return Decision(transaction=transaction.id)
    into_doubt(state, transaction, cause, event)
    return Decision(transaction=transaction.id)


def _repeated(state: State, transaction: Transaction, event: ResultReported, cause: str) -> Decision:
    """The answer to the same message sent again, or a late one: nothing was undone meanwhile, so it decides."""
    approved = cause == "approved"
    answered = _approve(state, transaction, event, unpermitted=False) if approved else _decline(state, transaction, event, cause)
    incidents.close_one(state, "in_doubt", transaction.id, "host_answered")
    return answered


def _cause(state: State, event: ResultReported) -> str:
    """The outcome, checked against its response code: whole codes, never substrings."""
    policy, code = state.agent.policy, event.response_code
    _check_amount(state, event)
    if event.outcome == "approved" and code is not None and code not in policy.answers.approval:
        raise Rejected(400, "code-contradicts-outcome", f"response code {code} is not an approval; nothing was changed")
    if event.outcome == "declined":
        if code in policy.answers.approval:
            raise Rejected(400, "code-contradicts-outcome", f"response code {code} is an approval; nothing was changed")
        has_it = find(state, event.transaction).repeats and code in policy.answers.done_elsewhere  # it means the one before
        return "declined_uncertain" if has_it or code in policy.answers.uncertain else "declined"
    if event.outcome == "approved_not_completed" and policy.kind(find(state, event.transaction).kind).in_doubt == "repeat":
        return "approved"  # the host has it, and it cannot be undone
    return event.outcome


def _check_amount(state: State, event: ResultReported) -> None:
    """A partial approval is worth the reply's F4 and nothing else, and no approval is worth more than was asked for."""
    if event.outcome not in {"approved", "approved_not_completed"}:
        return
    asked_fen = find(state, event.transaction).amount_fen
    if event.approved_fen is None and event.response_code in state.agent.policy.answers.partial:
        detail = f"response code {event.response_code} is a partial approval: `approved_fen` (F4 of the reply) is needed"
        raise Rejected(400, "amount-missing", detail)
    if event.approved_fen is not None and event.approved_fen > asked_fen:
        raise Rejected(400, "amount-too-high", f"approved_fen is more than the {asked_fen} that were asked for")


def _approve(state: State, transaction: Transaction, event: ResultReported, *, unpermitted: bool) -> Decision:
    approved_fen = transaction.amount_fen if event.approved_fen is None else event.approved_fen
    _end(
        state, transaction, "approved", response_code=event.response_code, approved_fen=approved_fen,
        rrn=event.rrn, auth_code=event.auth_code,
    )
    state.tell(
        "transaction.approved", transaction.id, code=event.response_code, approved_fen=approved_fen, rrn=event.rrn,
    )
    settlement.undone_by(state, transaction)
    if unpermitted:
        incidents.open_one(state, "sent_without_permission", transaction.id, "technician", "check_payment_app")
    wallet.ended(state, state.transactions[transaction.id])
    if event.receipt is not None and event.job is not None:
        receipt.add(state, event.job, transaction.id, "receipt", event.receipt)
    return Decision(transaction=transaction.id, jobs=(event.job,) if event.job in state.jobs else ())


def _decline(state: State, transaction: Transaction, event: ResultReported, cause: str) -> Decision:
    order = transaction.order and replace(transaction.order, abnormal=event.abnormal)
    _end(state, transaction, cause, response_code=event.response_code, order=order)
    state.tell(f"transaction.{cause}", transaction.id, code=event.response_code)
    wallet.ended(state, state.transactions[transaction.id])
    if cause == "declined_uncertain":
        incidents.open_one(state, "declined_uncertain", transaction.id, "operator", checked_by(transaction.kind))
    return Decision(transaction=transaction.id)


def _end(state: State, transaction: Transaction, cause: str, **values: object) -> None:
    """The transaction needs no reversal: its secrets go."""
    state.put(
        replace(
            transaction, state=move(table_of(transaction.rail), transaction.state, cause), due_ms=None, vault=None,
            answered=False, request=None, **values
        )
    )
    reversal.wipe(state, transaction.vault)


def into_doubt(state: State, transaction: Transaction, cause: str, event: ResultReported | None = None) -> None:
    """Commit the doubt and open its reversal, where the kind can be reversed; else only watch it."""
    if transaction.order is not None:
        wallet.doubt(state, transaction, cause, event)
        return
    following = move(table_of(transaction.rail), transaction.state, cause)
    transaction = state.put(
        replace(
            transaction, state=following, doubt=cause, due_ms=None, answered=False, request=None,
            auth_code=event.auth_code if event else transaction.auth_code, rrn=event.rrn if event else transaction.rrn,
            response_code=event.response_code if event else transaction.response_code,
            approved_fen=event.approved_fen if event else transaction.approved_fen,
        )
    )
    state.tell("transaction.in_doubt", transaction.id, cause=cause, amount_fen=transaction.amount_fen)
    reversal.begin(state, transaction, state.agent.policy.reasons.of(cause))


def _again(state: State, transaction: Transaction, event: ResultReported, cause: str) -> Decision:
    """A result for what is already decided: agreement is 200, everything else is kept as evidence and gets 409."""
    if transaction.order is not None and (decision := wallet.again(state, transaction, event, cause)) is not None:
        return decision
    if transaction.state in DOUBTED or transaction.state == "approved_not_completed":
        if cause in AGREES_WITH_DOUBT or cause == transaction.doubt:
            return Decision(transaction=transaction.id)
        late = cause in {"approved", "approved_not_completed"}
        evidence.late(state, transaction, event, "late_response")
        if late:
            reversal.late_approval(state, state.transactions[transaction.id])
        return Decision(
            transaction=transaction.id, conflict="in-doubt",
            detail=f"the doubt was committed first: show failure; {_what_follows(state, transaction)}",
        )
    if cause == transaction.state or (cause == "approved" and transaction.state == "paid"):
        return Decision(transaction=transaction.id)
    evidence.late(state, transaction, event, "contradiction")
    incidents.open_one(state, "contradicting_result", transaction.id, "operator", "compare_settlement")
    return Decision(
        transaction=transaction.id, conflict="contradiction",
        detail=f"{transaction.state} was committed first and stands; this result is kept as evidence",
    )


def _what_follows(state: State, transaction: Transaction) -> str:
    """What becomes of a booking of which the app hears too late."""
    if transaction.id not in state.reversals:
        return f"a {transaction.kind} is never reversed, so the settlement files tell what the host has booked"
    if state.agent.policy.mode == "payapp":
        return "keep its record, from which your own 0400 takes back what the host may have booked"
    return "the agent reverses what the host may have booked"


def deadline(state: State, transaction: Transaction) -> None:
    """An answer did not come, or an intent was left lying."""
    if transaction.answered:
        _astray(state, transaction)
    elif transaction.state == "sent":
        if not asking.before_doubt(state, transaction):
            into_doubt(state, transaction, "timeout")
    elif transaction.state == "intent":
        _intent_left(state, transaction, "timeout")


def restarted(state: State, transaction: Transaction, *, new_boot: bool) -> None:
    """The agent started again. An intent that never got `go` is proved not sent; `sent` is in doubt after a new boot."""
    if transaction.answered:
        _astray(state, transaction)
    elif transaction.state == "intent":
        _intent_left(state, transaction, "restart")
    elif transaction.state == "sent" and (new_boot or state.agent.policy.mode == "relay"):
        into_doubt(state, transaction, "restart")


def _astray(state: State, transaction: Transaction) -> None:
    """Relay: the host's approval is on disk, whether the terminal heard it nobody knows. A repeat would only hear it again."""
    if state.agent.policy.kind(transaction.kind).in_doubt != "repeat" or transaction.unproved:
        reversal.astray(state, transaction)
        return
    result(
        state,
        ResultReported(
            transaction=transaction.id, outcome="approved", response_code=transaction.response_code,
            approved_fen=transaction.approved_fen, rrn=transaction.rrn, auth_code=transaction.auth_code,
        ),
    )


def _intent_left(state: State, transaction: Transaction, cause: str) -> None:
    if state.agent.policy.asked_first:
        _end(state, transaction, "never_sent")
        state.tell("transaction.not_sent", transaction.id, by=cause)
    else:
        into_doubt(state, transaction, cause)
