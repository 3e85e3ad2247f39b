"""Mode `payapp`: the app's kernel reverses. The agent asks it to, in opportunities as on its own line, and never sends a byte.

First the app is asked to flush its reversals; where it cannot, to run a balance inquiry, whose kernel sends the pending 0400
ahead. Never during a transaction. Where a hand is needed the cashier is prompted with the folk procedure: put in any card, ask
its balance. Only `accepted` with a code of the accepted class reverses; 12 and 25 are believed as on our own line.
"""

from msgspec.structs import replace

from agent.core import answers, asking, defects, incidents, reversal, schedule
from agent.core.appevent import AppKnows, AppReported, RequestFailed
from agent.core.change import Decision, Rejected
from agent.core.lifecycle import REVERSAL, move
from agent.core.model import PENDING, Reversal, Transaction
from agent.core.policy import Policy
from agent.core.state import State

IN_TRANSACTION = frozenset({"intent", "sent"})
UNSENT = frozenset({"pending", "exhausted"})


def run(state: State) -> None:
    """At the end of every step in this mode: ask for the oldest reversal that is due, unless the app is in a transaction."""
    _close_prompts(state)
    pending = [row for row in state.open_reversals.values() if row.state in PENDING]
    if not pending or any(row.state == "sending" for row in pending):
        return
    if any(row.state in IN_TRANSACTION for row in state.open_transactions.values()):
        return
    now_ms = state.now.boottime_ms
    ready = [row for row in pending if row.due_ms is not None and row.due_ms <= now_ms]
    if ready:
        row = schedule.begin_send(state, min(ready, key=schedule.age))
        request = asking.ask(state, state.transactions[row.id], row.ask, state.agent.policy.reply_timeout_ms)
        state.put(replace(row, request=request))


def _close_prompts(state: State) -> None:
    for incident in state.incidents_by_age("hand_needed"):
        row = state.reversals.get(incident.transaction or "")
        if row is None or not row.pending or row.hand is None:
            incidents.close(state, incident, "not_needed")


# ── what the app says ────────────────────────────────────────────────────────────────────────────────────────────────


def reported(state: State, transaction: Transaction, event: AppReported) -> Decision:
    """The app's word on the 0400 of its kernel, asked for or not. A late answer is evidence, unless it says accepted."""
    request, row = event.request, state.reversals.get(transaction.id)
    if request is not None and not asking.was_made(transaction, request):
        raise Rejected(404, "no-such-request", f"no request {request} was made")
    if row is None:
        return _nothing_to_reverse(state, transaction, event)
    asked = row.request is not None and request in {None, row.request}
    if request is not None and not asked and event.outcome != "accepted":
        state.tell("request.late", row.id, request=request, outcome=event.outcome, code=event.response_code)
        return closed(transaction)
    if asked and event.outcome != "sent":
        state.tell("request.answered", row.id, request=row.request, outcome=event.outcome, code=event.response_code)
    else:
        state.tell("reversal.app_said", row.id, outcome=event.outcome, code=event.response_code)
    incidents.close_one(state, "payapp", row.id, "answered")
    _HEARD[event.outcome](state, state.put(replace(row, said_ms=state.now.boottime_ms)), event, asked)
    return Decision(transaction=transaction.id)


def closed(transaction: Transaction) -> Decision:
    """An answer to what is no longer asked."""
    return Decision(
        transaction=transaction.id, conflict="request-closed",
        detail="the request was answered or its time was over; what was said is kept as evidence",
    )


def _nothing_to_reverse(state: State, transaction: Transaction, event: AppReported) -> Decision:
    """The kernel reversed what was decided otherwise: the settlement must show which of the two holds."""
    state.tell("reversal.app_said", transaction.id, outcome=event.outcome, code=event.response_code)
    if event.outcome == "accepted":
        incidents.open_one(state, "contradicting_result", transaction.id, "operator", "compare_settlement")
    return Decision(
        transaction=transaction.id, conflict="nothing-to-reverse",
        detail=f"the transaction is {transaction.state}: nothing of it is to be reversed; what was said is kept as evidence",
    )


def _sent(state: State, row: Reversal, _event: AppReported, asked: bool) -> None:
    """The 0400 is on its way: its answer gets the time of an answer. Unasked it is the kernel's own send, and counts as one."""
    policy = state.agent.policy
    if asked:
        extended_ms = (row.last_send_ms or 0) + policy.reply_timeout_ms + policy.answer_timeout_ms
        state.put(replace(row, hand=None, due_ms=extended_ms))
    elif row.state in UNSENT and not any(other.state == "sending" for other in state.open_reversals.values()):
        row = schedule.begin_send(state, replace(row, hand=None, unasked=True))
        state.put(replace(row, due_ms=state.now.boottime_ms + policy.answer_timeout_ms))


def _accepted(state: State, row: Reversal, event: AppReported, asked: bool) -> None:
    code = event.response_code
    if code not in state.agent.policy.answers.accepted:
        defects.false_accept(state, row.id)
        _refused(state, row, event, asked)
    elif "accepted" in REVERSAL[row.state] and answers.may_be_undone(state, row):
        row = state.put(replace(row, request=None, hand=None, unasked=row.unasked or not asked))
        answers.accepted(state, row, code)
    elif row.state != "accepted":  # a person closed the case
        incidents.open_one(state, "contradicting_result", row.id, "operator", "compare_settlement")


def _refused(state: State, row: Reversal, event: AppReported, _asked: bool) -> None:
    """Judged by its code, as on our own line. Without a code the kernel could not send, or heard nothing."""
    policy, code = state.agent.policy, event.response_code
    if row.state in UNSENT and row.asked_again and code in policy.answers.no_original and _waits(state, row):
        return  # said again, or asked again, before its time: no more to be believed than the first
    used_up = row.state == "exhausted" and row.sends_left == 0 and not row.batch_closed
    if used_up and event.record != "gone" and _is_later(policy, code):
        _sent_beside(state, row, code)
        return
    if row.state in UNSENT:  # the kernel's own send: counted, then judged
        row = schedule.begin_send(state, row)
    if row.state != "sending":
        if row.state not in {"refused", "expired"}:  # of these nobody was told that they are closed
            defects.refused_again(state, row)
        return
    row = state.put(replace(row, request=None, hand=None))
    if event.record == "gone":
        _gone(state, row, code)
    elif code in policy.answers.key:
        answers.key_refused(state, row, code, None)
    elif code is None or code in policy.answers.accepted:
        answers.failed(state, row, code)
    else:
        answers.judge(state, row, code)


def _is_later(policy: Policy, code: str | None) -> bool:
    """It ends nothing and asks for nothing: it goes again some time."""
    classes = policy.answers
    return code not in {*classes.no_original, *classes.key, *classes.done_elsewhere, *classes.permanent}


def _sent_beside(state: State, row: Reversal, code: str | None) -> None:
    """A kernel that is asked for one reversal sends all it holds. For one whose turn is over that is no new opportunity.

    Else two that the host puts off would each have the other asked for at once, and so for ever.
    """
    answers.tell_failed(state, row.id, code, row.sends + 1)
    row = replace(
        row, sends=row.sends + 1, earlier_send_ms=row.last_send_ms, last_send_ms=state.now.boottime_ms, hand=None,
        response_code=code or row.response_code,
    )
    due_ms = row.due_ms if row.due_ms is None else max(row.due_ms, reversal.spaced_ms(state, row))
    state.put(replace(row, due_ms=due_ms))


def _waits(state: State, row: Reversal) -> bool:
    return row.due_ms is not None and row.due_ms > state.now.boottime_ms


def _gone(state: State, row: Reversal, code: str | None) -> None:
    """The kernel has nothing left to send, so its last code is an old one: "no original" may have been too early then.

    A person compares with the settlement. Without a code that ends a record the app has lost it.
    """
    classes = state.agent.policy.answers
    if code in classes.done_elsewhere or code in classes.permanent:
        answers.judge(state, row, code)
        return
    if code not in classes.no_original:
        defects.record_lost(state, row.id)
    answers.refused(state, row, code or "", "operator", "compare_settlement")


def _no_card(state: State, row: Reversal, _event: AppReported, asked: bool) -> None:
    if asked:
        _by_hand(state, row, "no_card")


def _busy(state: State, row: Reversal, _event: AppReported, asked: bool) -> None:
    """The app is in something else: asked again after the spacing."""
    if asked:
        _later(state, replace(row, request=None), state.agent.policy.spacing_ms)


def _unsupported(state: State, row: Reversal, _event: AppReported, asked: bool) -> None:
    """It cannot flush: at once a balance inquiry instead. It cannot do that either: a person can."""
    if asked and row.ask == "flush_reversals" and not row.batch_closed:
        row = reversal.unsent(replace(row, request=None, ask="balance_inquiry"), state.now.boottime_ms)
        state.put(row)
    elif asked:
        _by_hand(state, replace(row, ask="flush_reversals"), "unsupported")


_HEARD = {
    "sent": _sent, "accepted": _accepted, "refused": _refused, "no_card": _no_card, "busy": _busy, "unsupported": _unsupported,
}


def known(state: State, event: AppKnows) -> None:
    """What the app knows of the reversal, asked before each request over its port."""
    row = state.reversals.get(event.transaction)
    if row is None or not row.pending:
        return
    if event.reversal == "accepted":
        said = AppReported(
            transaction=row.id, outcome="accepted", response_code=event.reversal_code, request=row.request, record=event.record
        )
        reported(state, state.transactions[row.id], said)
    elif event.record == "gone" or event.outcome == "unknown":
        row = schedule.begin_send(state, row) if row.state in UNSENT else row
        row = state.put(replace(row, request=None))
        if event.outcome == "declined":  # the host said no, so its kernel had nothing to undo: but the doubt came first
            answers.refused(state, row, "", "operator", "compare_settlement")
        else:
            _gone(state, row, event.reversal_code if event.reversal == "refused" else None)


# ── what the app does not say ────────────────────────────────────────────────────────────────────────────────────────


def unanswered(state: State, row: Reversal) -> None:
    """Its time is over. One send is used up; where nobody was there to hear it, none is."""
    if row.request is not None:
        state.tell("request.unanswered", row.id, request=row.request)
    row = replace(row, request=None)
    if not asking.can_ask(state):
        _unreached(state, row)
    else:
        _prompt(state, row, "silent")
        answers.failed(state, state.reversals[row.id], None)


def undelivered(state: State, event: RequestFailed) -> None:
    """A request did not reach the app: no send is used up, and a person can do what it was for."""
    row, transaction = state.reversals.get(event.transaction), state.transactions.get(event.transaction)
    if transaction is None:
        return
    state.tell("request.failed", transaction.id, request=event.request)
    if transaction.request == event.request:
        state.put(replace(transaction, request=None))
    if row is not None and row.request == event.request:
        _unreached(state, replace(row, request=None))


def _unreached(state: State, row: Reversal) -> None:
    now_ms, backoff_ms = state.now.boottime_ms, answers.next_backoff(state, row)
    row = replace(reversal.unsent(row, now_ms + backoff_ms), sends_left=0, backoff_ms=backoff_ms)
    _prompt(state, row, "unreachable")
    if row.batch_closed:
        reversal.expire(state, state.reversals[row.id])


def _by_hand(state: State, row: Reversal, why: str) -> None:
    """A person is needed: said so, and asked again after the back-off; one send is used up."""
    backoff_ms = answers.next_backoff(state, row)
    row = _prompt(state, replace(row, request=None, backoff_ms=backoff_ms), why)
    _later(state, row, backoff_ms)


def _prompt(state: State, row: Reversal, why: str) -> Reversal:
    incidents.open_one(state, "hand_needed", row.id, "cashier", "ask_card_balance")
    if why in {"unreachable", "silent"}:
        incidents.open_one(state, "payapp", row.id, "technician", "check_payapp")
    return state.put(replace(row, hand=why))


def _later(state: State, row: Reversal, wait_ms: int) -> None:
    if row.batch_closed:
        reversal.expire(state, row)
    elif row.sends_left > 0:
        kept = "kept_exhausted" if row.first_used else "kept"
        state.put(replace(row, state=move(REVERSAL, row.state, kept), due_ms=state.now.boottime_ms + wait_ms))
    else:
        answers.used_up(state, row, row.reason, None)
