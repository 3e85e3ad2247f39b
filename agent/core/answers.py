"""What an answer to a 0400 means: accepted, no original, key, later, done elsewhere, permanent. Only some may be believed.

"No original" is the dangerous one: the 0400 may have overtaken its own 0200, so it counts only in the same batch and
business day and a while after the request; else it is asked once more.
"""

from msgspec.structs import replace

from agent.core import adoption, batches, hostdate, incidents, refunds, slips
from agent.core.change import AskSignIn
from agent.core.event import HostReply
from agent.core.fields import MATCHED, names
from agent.core.lifecycle import REVERSAL, TRANSACTION, move
from agent.core.model import Reversal, Transaction
from agent.core.reversal import expire, not_undone, silence_before, trigger_all, unsent, wipe
from agent.core.state import State

APPROVED = frozenset({"approved", "approved_not_completed"})


def received(state: State, event: HostReply) -> None:
    """An 0410 came in: find whose it is. One that matches nothing of ours is not an answer."""
    said = (event.f3, event.f4, event.f11, event.f41, event.f42)  # in the order of MATCHED
    rows = [row for row in state.reversals.values() if tuple(map(row.fields.get, MATCHED)) == said]
    row = max(rows, key=lambda row: _likeliest(row, event.f60), default=None)
    if row is None:
        state.tell("host.crossed_reply", None, code=event.code, stan=event.f11)
        incidents.open_one(state, "crossed_reply", None, "acquirer", "check_host")
    elif row.state == "sending":
        _answered(state, row, event)
    elif row.adopted and row.state != "accepted":
        _app_answered(state, row, event)
    elif row.sends > 0 and "accepted" in REVERSAL[row.state] and _accepts(state, event) and may_be_undone(state, row):
        accepted(state, row, event.code)  # it answers an earlier send of ours, only late
    else:
        state.tell("host.doubled_reply", row.id, code=event.code)


def _likeliest(row: Reversal, f60: str | None) -> tuple[bool, bool, int]:
    """Of several with the same identity: the one whose batch the answer repeats, the one in flight, the newest."""
    return names(f60, row.fields.get("60", "")), row.state == "sending", row.number


def may_be_undone(state: State, row: Reversal) -> bool:
    """False for a case that a person closed: what the host still says of it does not open it again."""
    return "accepted" in TRANSACTION[state.transactions[row.id].state]


def _accepts(state: State, event: HostReply) -> bool:
    policy = state.agent.policy
    return event.code in policy.answers.accepted and (event.mac == "good" or (event.mac == "missing" and not policy.require_mac))


def _answered(state: State, row: Reversal, event: HostReply) -> None:
    policy, code = state.agent.policy, event.code
    _answer_seen(state)
    row = _dated(state, row, event)
    if _accepts(state, event):
        accepted(state, row, event.code)
    elif event.mac == "unchecked":
        no_mac(state, row)
    elif event.mac == "bad" or code in policy.answers.key or code in policy.answers.accepted:
        key_refused(state, row, code, event.mac)
    else:
        judge(state, row, code, event.day)


def _dated(state: State, row: Reversal, event: HostReply) -> Reversal:
    """What the answer says of the host's day is remembered, before anything is made of it."""
    if event.mac == "bad":
        return row
    hostdate.heard(state, event.day, event.time)
    transaction = state.transactions[row.id]
    return hostdate.noted(state, row, transaction.sent or transaction.opened, event.day, event.time)


def judge(state: State, row: Reversal, code: str | None, day: str | None = None) -> None:
    """A refusal, by the class of its code; "key" is judged before. `day` is the host's, where its answer names one."""
    policy = state.agent.policy
    if code in policy.answers.no_original:
        _no_original(state, row, code or "", day)
    elif code in policy.answers.done_elsewhere:
        refused(state, row, code or "", "operator", "compare_settlement")
    elif code in policy.answers.permanent:
        refused(state, row, code or "", "acquirer", "call_acquirer")
    else:
        failed(state, row, code)


def _app_answered(state: State, row: Reversal, event: HostReply) -> None:
    """The answer to the app's own 0400, which the app judges too; what it does not settle, the app sends again."""
    policy, code = state.agent.policy, event.code
    row = _dated(state, row, event)
    if _accepts(state, event) and "accepted" in REVERSAL[row.state] and may_be_undone(state, row):
        accepted(state, row, code)
    elif not row.pending or event.mac == "bad":
        state.tell("host.doubled_reply", row.id, code=code)
    elif code in policy.answers.no_original:
        _no_original(state, row, code or "", event.day)
    elif code in policy.answers.done_elsewhere or code in policy.answers.permanent:
        refused(state, row, code or "", "operator", "compare_settlement")
    else:
        state.tell("reversal.later", row.id, code=code, sends=row.sends)


def _answer_seen(state: State) -> None:
    """An answer, or the silence after a send: its bytes have left, so somebody did make the MAC."""
    if state.line.echo == "none":
        state.put(replace(state.line, echo="owed"))
    for row in state.incidents_by_age("mac_service"):
        incidents.close(state, row, "mac_made")


def accepted(state: State, row: Reversal, code: str | None) -> None:
    """The host undid it: everything about it closes, and its secrets go."""
    transaction = state.transactions[row.id]
    state.put(
        replace(
            row, state=move(REVERSAL, row.state, "accepted"), response_code=code, vault=None, due_ms=None,
            sends_left=0, waiting_sign_in=False,
        )
    )
    transaction = state.put(
        replace(transaction, state=move(TRANSACTION, transaction.state, "accepted"), vault=None, due_ms=None)
    )
    state.tell("reversal.confirmed", row.id, code=code, sends=row.sends, amount_fen=transaction.amount_fen)
    incidents.close_one(state, "in_doubt", row.id, "reversed")
    incidents.close_one(state, "sign_in_needed", row.id, "reversed")
    wipe(state, row.vault)
    slips.notice(state, transaction)
    refunds.accepted_late(state, transaction)


def _no_original(state: State, row: Reversal, code: str, day: str | None) -> None:
    transaction, policy = state.transactions[row.id], state.agent.policy
    sent = transaction.sent or transaction.opened
    same_window = _batch_is_open(state, row) and state.is_today(sent) and not hostdate.has_changed(state, row, day)
    left = row.began or sent  # an app's kernel may reverse others first: its request left at the latest when the doubt began
    age_ms = state.age_ms(left)
    if row.silent_since_ms is not None and not row.adopted:  # it may answer the first send: no answer says which one it is to
        age_ms -= state.now.boottime_ms - row.silent_since_ms
    if same_window and age_ms >= policy.no_original_after_ms and not _was_approved(transaction):
        state.put(
            replace(
                row, state=move(REVERSAL, row.state, "no_original"), response_code=code, sends_left=0,
                waiting_sign_in=False, due_ms=state.now.boottime_ms + policy.no_original_keep_ms,
            )
        )
        transaction = state.put(replace(transaction, state=move(TRANSACTION, transaction.state, "no_original")))
        state.tell("reversal.no_original", row.id, code=code, sends=row.sends)
        incidents.close_one(state, "in_doubt", row.id, "no_original")
        slips.notice(state, transaction)
    elif same_window and not row.asked_again and not row.adopted:
        state.put(
            replace(
                row, state=move(REVERSAL, row.state, _kept(row)), response_code=code, asked_again=True,
                sends_left=max(1, row.sends_left), reason=policy.reasons.refused, silent_since_ms=None,
                due_ms=state.now.boottime_ms + max(0, policy.no_original_after_ms - state.age_ms(left)),
            )
        )
        state.tell("reversal.no_original_early", row.id, code=code, age_ms=age_ms)
    else:
        refused(state, row, code, "operator", "compare_settlement")


def _was_approved(transaction: Transaction) -> bool:
    """The host's own approval disproves its "no original": the 0400 came before the 0200, or was looked for elsewhere."""
    late = any(evidence.kind == "late_response" and evidence.outcome in APPROVED for evidence in transaction.evidence)
    return late or transaction.doubt == "approved_not_completed"


def _batch_is_open(state: State, row: Reversal) -> bool:
    return not row.batch_closed and batches.is_open(state.agent, row.terminal_id, row.batch)


def refused(state: State, row: Reversal, code: str, owner: str, next_action: str) -> None:
    """The host will not do it: stop, tell, keep. Only an operator's order sends it again."""
    state.put(
        replace(row, state=move(REVERSAL, row.state, "refused"), response_code=code, sends_left=0, due_ms=None,
                first_used=True)
    )
    state.tell("reversal.refused", row.id, code=code, next_action=next_action)
    not_undone(state, state.transactions[row.id], owner, next_action)


def unpackable(state: State, row: Reversal) -> None:
    """The record cannot be made into a message: it is kept, and a technician must look. Never deleted."""
    incidents.open_one(state, "unpackable", row.id, "technician", "check_profile")
    refused(state, unsent_count(row), "", "technician", "check_profile")


def unsent_count(row: Reversal) -> Reversal:
    """Take back the count of a send of which no byte left."""
    return replace(row, sends=row.sends - 1, last_send_ms=row.earlier_send_ms, silent_since_ms=silence_before(row))


def key_refused(state: State, row: Reversal, code: str | None, why: str | None) -> None:
    """The MAC did not please: ask for a sign-in, then send the same STAN with a new MAC. Not counted as a send."""
    policy = state.agent.policy
    if row.batch_closed or row.adopted or row.key_answers >= policy.key_answers_max:
        failed(state, row, code)
        return
    backoff_ms = next_backoff(state, row)
    state.put(
        replace(
            row, state=move(REVERSAL, row.state, _kept(row)), response_code=code, key_answers=row.key_answers + 1,
            sends_left=row.sends_left + 1, waiting_sign_in=True, mac_gone=False, backoff_ms=backoff_ms,
            silent_since_ms=silence_before(row), due_ms=state.now.boottime_ms + backoff_ms,
        )
    )
    state.tell("reversal.key_refused", row.id, code=code, mac=why)
    incidents.open_one(state, "sign_in_needed", row.id, "cashier", "sign_in")
    state.do(AskSignIn())


def no_mac(state: State, row: Reversal) -> None:
    """Nobody makes or checks the MAC: the turn is over. The next opportunity tries again; nobody waits for it meanwhile."""
    if row.batch_closed or row.adopted:
        failed(state, row, None)
        return
    backoff_ms = next_backoff(state, row)
    state.put(
        replace(
            row, state=move(REVERSAL, row.state, _kept(row)), sends_left=0, waiting_sign_in=True, mac_gone=True,
            backoff_ms=backoff_ms, due_ms=state.now.boottime_ms + backoff_ms,
        )
    )
    state.tell("reversal.no_mac", row.id, sends=row.sends)
    incidents.open_one(state, "mac_service", None, "technician", "check_payapp")


def tell_failed(state: State, key: str, code: str | None, sends: int) -> None:
    """The fact of a send that came to nothing: refused for now, or without an answer."""
    if code is not None:
        state.tell("reversal.later", key, code=code, sends=sends)
    else:
        state.tell("reversal.unanswered", key, sends=sends)


def failed(state: State, row: Reversal, code: str | None) -> None:
    """Silence, a closed line or a later-class answer: one send of the opportunity is used up."""
    reason = row.reason if code is None else state.agent.policy.reasons.refused
    tell_failed(state, row.id, code, row.sends)
    if row.batch_closed:
        expire(state, row)
    elif row.adopted:
        adoption.wait(state, replace(row, state=move(REVERSAL, row.state, _kept(row)), reason=reason))
    elif row.sends_left > 0:
        state.put(
            replace(
                row, state=move(REVERSAL, row.state, _kept(row)), reason=reason, due_ms=state.now.boottime_ms,
                response_code=code or row.response_code, waiting_sign_in=False,
            )
        )
    else:
        used_up(state, row, reason, code)


def used_up(state: State, row: Reversal, reason: str, code: str | None) -> None:
    """The opportunity is used up. The record stays, blocks nobody, and goes again at every later opportunity."""
    backoff_ms = next_backoff(state, row)
    state.put(
        replace(
            row, state=move(REVERSAL, row.state, "used_up"), reason=reason, first_used=True, backoff_ms=backoff_ms,
            due_ms=max(state.now.boottime_ms, (row.last_send_ms or 0) + backoff_ms), waiting_sign_in=False,
            response_code=code or row.response_code,
        )
    )
    state.tell("reversal.exhausted", row.id, sends=row.sends, opportunities=row.opportunities)
    not_undone(state, state.transactions[row.id], "operator", "decide_and_compare_settlement")


def _kept(row: Reversal) -> str:
    return "kept_exhausted" if row.first_used else "kept"


def next_backoff(state: State, row: Reversal) -> int:
    """The wait before the next opportunity that opens by itself, ms: doubled each time, between its two limits."""
    policy = state.agent.policy
    return min(max(2 * row.backoff_ms, policy.backoff_min_ms), policy.backoff_max_ms)


def deadline(state: State, row: Reversal) -> None:
    """A reply did not come in time, or the ten minutes after "no original" are over: then its secrets go."""
    if row.state == "sending":
        _answer_seen(state)
        failed(state, row, None)
    elif row.state == "no_original":
        state.put(replace(row, vault=None, due_ms=None))
        transaction = state.transactions[row.id]
        state.put(replace(transaction, vault=None))
        state.tell("reversal.closed", row.id)
        wipe(state, row.vault)
    elif row.adopted:
        adoption.silent(state, row)


def line_lost(state: State) -> None:
    """The held connection ended: what was in flight has used up its send."""
    state.put(replace(state.line, connected=False, echo="none", due_ms=None))
    state.tell("line.lost")
    for row in state.reversals_by_age():
        if row.state == "sending":
            failed(state, replace(row, silent_since_ms=None), None)  # answers to earlier sends went with the connection


def not_sent(state: State, row: Reversal, why: str) -> None:
    """No byte of this send left: neither a send nor the spacing is used up."""
    if why == "mac":
        no_mac(state, unsent_count(row))
    elif why == "unpackable":
        unpackable(state, row)
    else:
        row = state.put(unsent(row, state.now.boottime_ms))
        state.put(replace(state.line, connected=False, echo="none", due_ms=None))
        state.tell("reversal.not_left", row.id)
        if row.batch_closed:
            expire(state, row)
        elif row.adopted:
            adoption.wait(state, row)


def became_reachable(state: State) -> None:
    """The host answers again after a failure: an opportunity for everything pending."""
    state.tell("line.up")
    trigger_all(state)
