"""What the payment app and its platform say beside the results: handed to the card rail, the reversal, or the line.

What the app knows counts as its result as long as no doubt is committed; after it, it is evidence.
"""

from msgspec.structs import replace

from agent.core import answers, asking, card, defects, incidents, payapp, reversal, schedule
from agent.core import appevent as a
from agent.core import event as e
from agent.core.change import Decision, Rejected
from agent.core.state import State, find


def resulted(state: State, event: e.ResultReported) -> Decision:
    """A result, over the API or by hearsay; in mode `payapp` it also shows what the app did with what waits."""
    before = state.transactions.get(event.transaction)
    decision = card.result(state, event)
    news = state.transactions[event.transaction] is not before  # the same result again is none
    if news and state.agent.policy.mode == "payapp" and decision.conflict is None:
        defects.heard(state, event)
        if state.transactions[event.transaction].state in defects.HEARD_FROM_HOST:
            link_reported(state, a.LinkReported(up=True))  # the app has just heard the host
    return decision


def app_reported(state: State, event: a.AppReported) -> Decision:
    """What became of the 0400 of the app's own kernel."""
    row = find(state, event.transaction)
    if state.agent.policy.mode != "payapp":
        raise Rejected(409, "not-in-this-mode", "here the agent reverses: the payment app's own reversal must be switched off")
    if row.state == "sent" and event.outcome in {"sent", "accepted", "refused"}:  # its kernel gave up before the app said so
        card.into_doubt(state, row, "no_answer")
    return payapp.reported(state, state.transactions[row.id], event)


def app_knows(state: State, event: a.AppKnows) -> Decision:
    """What the app knows of a transaction, asked before its doubt or before each request for its reversal."""
    row = find(state, event.transaction)
    if not asking.was_made(row, event.request):
        raise Rejected(404, "no-such-request", f"no request {event.request} was made")
    asked, reversing = row.request == event.request, state.reversals.get(row.id)
    if asked:
        row = state.put(replace(row, request=None))
    state.tell(
        "request.answered" if asked else "request.known", row.id, request=event.request, outcome=event.outcome,
        code=event.response_code,
    )
    open_ = asked or (reversing is not None and reversing.request == event.request)
    decision = Decision(transaction=row.id) if open_ else payapp.closed(row)
    decides = row.state == "sent" and event.outcome != "waiting"
    proves = row.state in card.DOUBTED and event.outcome in answers.APPROVED  # evidence only
    if decides and event.outcome == "unknown":
        defects.record_lost(state, row.id)
    elif decides or proves:
        decision = _hearsay(state, event)
    payapp.known(state, event)
    return decision


def _hearsay(state: State, event: a.AppKnows) -> Decision:
    """What the app knows counts as its result; what contradicts itself counts as nothing."""
    said = e.ResultReported(
        transaction=event.transaction, outcome=event.outcome,  # type: ignore[arg-type]
        response_code=event.response_code, approved_fen=event.approved_fen, rrn=event.rrn, auth_code=event.auth_code,
    )
    try:
        return resulted(state, said)
    except Rejected:
        incidents.open_one(state, "payapp", event.transaction, "technician", "check_payapp")
        return Decision(transaction=event.transaction)


def pull_changed(state: State, event: a.PullChanged) -> None:
    """A listener that has just come hears what is due at once: for it nothing was out of reach."""
    if event.attached == state.agent.pulls:
        return
    state.put(replace(state.agent, pulls=event.attached))
    state.tell("payapp.attached" if event.attached else "payapp.detached")
    if event.attached:
        reversal.trigger_all(state)


def link_reported(state: State, event: a.LinkReported) -> None:
    """Where the agent has no line of its own: what others say of the network. Up again is an opportunity."""
    if not event.up:
        schedule.unreachable(state)
    elif state.line.up is not True:
        state.put(replace(state.line, up=True))
        answers.became_reachable(state)
