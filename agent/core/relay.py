"""The relay's rules: what an answer that passes by decides, and what the payment app's own 0400 means.

`approved` takes three things: the host's approval is on disk, it was forwarded, and either its MAC is good and the app sent
no 0400, or the app confirms it.
Doubt that was committed first stays: an answer after it is evidence and is not forwarded.
"""

from msgspec.structs import replace

from agent.core import adoption, card, hostdate, incidents, reversal
from agent.core.change import Decision
from agent.core.event import AnswerForwarded, AppReversed, RelayAnswered, RelayRefused, ResultReported
from agent.core.fields import MATCHED, f60_of, is_reversible, names
from agent.core.lifecycle import TRANSACTION, move
from agent.core.model import Transaction
from agent.core.policy import Policy
from agent.core.state import State, find

assert MATCHED == ("3", "4", "11", "41", "42"), "what `_is_answer` looks at"
DECIDED = frozenset({"approved", "declined", "declined_uncertain"})


def answered(state: State, event: RelayAnswered) -> Decision:
    """An 0210: `go` forwards it, `refuse` drops it. An approval is noted first and counts when it was forwarded."""
    transaction = find(state, event.transaction)
    if not _is_answer(state, transaction, event):
        state.tell("host.crossed_reply", None, code=event.code, stan=event.f11)
        incidents.open_one(state, "crossed_reply", None, "acquirer", "check_host")
        return _dropped(transaction, "it answers another request")
    earlier = _earlier(state, transaction, event.f60)
    if earlier is not None:
        _late(state, earlier, _result(state.agent.policy, earlier, replace(event, transaction=earlier.id)))
        return _dropped(transaction, "it answers the request of an earlier batch that had the same STAN")
    decision = _judged(state, transaction, event)
    if is_reversible(state.agent.policy, transaction.kind):
        return decision
    return Decision(transaction=transaction.id, proceed="go")  # nobody undoes it: the app judges its answer as ever


def _judged(state: State, transaction: Transaction, event: RelayAnswered) -> Decision:
    said = _result(state.agent.policy, transaction, event)
    if transaction.state != "sent" or transaction.answered:
        return _late(state, transaction, said)
    if event.mac != "bad":
        hostdate.heard(state, event.day, event.time)
    if said.outcome == "approved":
        state.put(
            replace(
                transaction, answered=True, response_code=said.response_code, approved_fen=said.approved_fen,
                rrn=said.rrn, auth_code=said.auth_code, unproved=event.mac == "unchecked",
            )
        )
        state.tell("relay.answered", transaction.id, code=event.code)
        return Decision(transaction=transaction.id, proceed="go")
    card.result(state, said)
    if said.outcome == "declined":
        return Decision(transaction=transaction.id, proceed="go")
    return _dropped(transaction, "its MAC is wrong or missing, or it has no response code: the transaction is reversed")


def _dropped(transaction: Transaction, why: str) -> Decision:
    return Decision(transaction=transaction.id, proceed="refuse", detail=why)


def _is_answer(state: State, transaction: Transaction, event: RelayAnswered) -> bool:
    """True when F3 F4 F11 F41 F42 are the request's; F4 of a partial approval may be less.

    Of a kind that is only watched nobody knows what its F3 and F4 may become in an answer.
    """
    policy = state.agent.policy
    kind = policy.kind(transaction.kind)
    if kind.in_doubt == "watch":
        known = event.f42 in {None, transaction.merchant_id}
        return known and (event.f11, event.f41) == (transaction.stan, transaction.terminal_id)
    own = (kind.f3, transaction.stan, transaction.terminal_id, transaction.merchant_id)
    said = (event.f3, event.f11, event.f41, event.f42)
    amount_fen = int(event.f4) if event.f4 is not None else None
    partial = event.code in policy.answers.partial
    less = partial and amount_fen is not None and 0 < amount_fen < transaction.amount_fen
    return own == said and (less or amount_fen == transaction.amount_fen)


def names_another(state: State, transaction: Transaction, f60: str | None) -> bool:
    """True when F60 is there and not ours: then what was sent under this STAN before has to be looked at, closed or not."""
    return f60 is not None and not _named(state.agent.policy, transaction, f60)


def _named(policy: Policy, transaction: Transaction, f60: str) -> bool:
    """True when F60 is that of this transaction; the type of a kind that no profile lists is anything."""
    own = f60_of(policy, transaction)
    return names(f60, own) or (not policy.kind(transaction.kind).type and f60.endswith(own))


def _earlier(state: State, transaction: Transaction, f60: str | None) -> Transaction | None:
    """Whose answer it is when F60 is not ours, but that of what was sent under this STAN in another batch."""
    if f60 is None or not names_another(state, transaction, f60):
        return None
    policy = state.agent.policy
    own = (transaction.terminal_id, transaction.stan)
    twins = [row for row in state.transactions.values() if (row.terminal_id, row.stan) == own and row.sent is not None]
    return next((row for row in twins if _named(policy, row, f60)), None)


def _result(policy: Policy, transaction: Transaction, event: RelayAnswered) -> ResultReported:
    """What the answer says, as a result: F64 counts whenever it is there, and is demanded on every approval."""
    approval = event.code in policy.answers.approval
    if event.mac == "bad" or (approval and event.mac == "missing" and policy.require_mac):
        return ResultReported(transaction=event.transaction, outcome="bad_mac")
    if event.code is None:  # whatever it is, it says nothing of the payment
        return ResultReported(transaction=event.transaction, outcome="no_answer")
    if not approval:
        return ResultReported(transaction=event.transaction, outcome="declined", response_code=event.code)
    return ResultReported(
        transaction=event.transaction, outcome="approved", response_code=event.code,
        approved_fen=min(int(event.f4 or "0"), transaction.amount_fen),
        rrn=event.rrn, auth_code=event.auth_code,
    )


def _late(state: State, transaction: Transaction, said: ResultReported) -> Decision:
    """An answer to what is decided: the same again may pass, everything else is evidence and is dropped."""
    if transaction.state == "sent":
        return _dropped(transaction, "the first answer is being forwarded")
    decision = card.result(state, said)
    if decision.conflict is not None:
        return _dropped(transaction, decision.detail)
    if transaction.state in DECIDED and transaction.response_code == said.response_code:
        return Decision(transaction=transaction.id, proceed="go")
    return _dropped(transaction, "the doubt was committed first")


def forwarded(state: State, event: AnswerForwarded) -> Decision:
    """The approval reached the terminal's connection, or surely did not: then it is undone, since nobody heard it."""
    transaction = find(state, event.transaction)
    if transaction.state != "sent" or not transaction.answered:
        return Decision(transaction=transaction.id)
    if event.left and transaction.unproved:
        state.tell("relay.unproved", transaction.id)
        return Decision(transaction=transaction.id)
    return card.result(
        state,
        ResultReported(
            transaction=transaction.id, outcome="approved" if event.left else "approved_not_completed",
            response_code=transaction.response_code, approved_fen=transaction.approved_fen, rrn=transaction.rrn,
            auth_code=transaction.auth_code,
        ),
    )


def app_reversed(state: State, event: AppReversed) -> Decision:
    """The app's own 0400 is forwarded whatever it is for; here it is judged what it means for the transaction."""
    transaction = find(state, event.transaction)
    if transaction.state == "intent":  # held, and given up by the app: it is never forwarded now
        card.result(state, ResultReported(transaction=transaction.id, outcome="not_sent"))
    elif transaction.state == "sent":
        reasons = state.agent.policy.reasons
        causes = {reasons.bad_mac: "bad_mac", reasons.not_completed: "approved_not_completed"}
        cause = "approved_not_completed" if transaction.answered else causes.get(event.reason or "", "no_answer")
        card.into_doubt(state, transaction, cause)
    elif transaction.state == "approved":
        transaction = state.put(
            replace(transaction, state=move(TRANSACTION, transaction.state, "app_reversed"), doubt="approved_not_completed")
        )
        reversal.begin(state, transaction, event.reason or state.agent.policy.reasons.not_completed)
    row = state.reversals.get(transaction.id)
    if row is not None and row.state not in {"accepted", "fenced"}:
        adoption.adopt(state, row, event.reason, event.amount_fen)
    elif row is not None and not row.adopted:
        incidents.open_one(state, "both_reversed", row.id, "operator", "compare_settlement")
    state.tell("relay.app_reversed", transaction.id, reason=event.reason)
    return Decision(transaction=transaction.id)


def refused(state: State, event: RelayRefused) -> Decision:
    """A request was not forwarded: what cannot be undone must not go out, and a number is used once."""
    state.tell("relay.refused", None, why=event.why, stan=event.stan)
    if event.why == "unreadable":
        incidents.open_one(state, "relay_unreadable", None, "technician", "check_profile")
    return Decision()
