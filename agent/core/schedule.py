"""Which reversal goes next, and whether the line is wanted. One in flight per agent, oldest first, then the echo test."""

from msgspec.structs import replace

from agent.core import answers, batches, fields, gate, hostdate
from agent.core.change import SendEcho, SendReversal, WantLine
from agent.core.event import EchoReply, HostReachable
from agent.core.lifecycle import REVERSAL, TRANSACTION, move
from agent.core.model import PENDING, Reversal
from agent.core.state import State


def reachable(state: State, event: HostReachable) -> None:
    """A connection stands. After a failure, or when we did not know, this is "became reachable"."""
    line = state.line
    became = line.up is not True or event.after_failure
    held = replace(line, up=True, connected=line.wanted == "now", host=event.host)
    if event.host != line.host:
        state.tell("line.host", host=event.host)
    if held != line:
        state.put(held)
    gate.line_is_up(state)
    if became:
        answers.became_reachable(state)
    elif state.line is not line:
        state.tell("line.connected")


def unreachable(state: State) -> None:
    """A connect failed. Only the first failure is news."""
    if state.line.connected:
        answers.line_lost(state)
    if state.line.up is not False:
        state.put(replace(state.line, up=False))
        state.tell("line.down")


def echo_answered(state: State, event: EchoReply) -> None:
    """The echo proves the line, nothing more: only an 0410 settles a reversal."""
    if state.line.echo == "sent":
        state.put(replace(state.line, echo="none", due_ms=None))
        state.tell("recovery.link_ok", code=event.code)
        hostdate.heard(state, event.day, event.time)


def line_deadline(state: State) -> None:
    """The echo test got no answer."""
    state.put(replace(state.line, echo="none", due_ms=None))
    state.tell("recovery.echo_unanswered")


def run(state: State) -> None:
    """At the end of every step with a line of our own: send what is due, and want the line as long as there is a reason."""
    line = state.line
    if not state.open_reversals and line.wanted == "none" and line.echo == "none":
        return
    pending = sending = False
    ready: list[Reversal] = []
    now_ms = state.now.boottime_ms
    for row in state.open_reversals.values():
        if row.state not in PENDING or _yielded(row):
            continue
        pending = True
        if row.state == "sending":
            sending = True
        elif row.due_ms is not None and row.due_ms <= now_ms:
            ready.append(row)
    if not pending and line.wanted == "none" and line.echo == "none":
        return
    wanted: str = "now"
    if not sending:
        if _lent_away(state):
            wanted = "watch" if pending else "none"
        elif ready:
            if line.connected:
                _send(state, min(ready, key=age))
        elif line.echo == "owed" and line.connected:
            _send_echo(state)
        elif line.echo != "sent":
            wanted = "watch" if pending else "none"
    _want(state, wanted)


def _yielded(row: Reversal) -> bool:
    """The payment app sends this one itself; only the answer to a send of ours from before is still awaited."""
    return row.adopted and row.state != "sending"


def _lent_away(state: State) -> bool:
    """True while the payment app itself needs the line that it lends us: one transaction at a time per terminal."""
    if not state.agent.policy.line_leased:
        return False
    return any(row.state == "sent" and row.rail == "card" for row in state.open_transactions.values())


def age(row: Reversal) -> int:
    """Smaller is older."""
    return row.number


def _want(state: State, wanted: str) -> None:
    line = state.line
    if wanted == line.wanted == "now":
        return  # as after most steps while a reversal waits
    if wanted == "now":
        changed = replace(line, wanted="now")
    else:
        changed = replace(line, wanted=wanted, connected=False, echo="none", due_ms=None)
    if changed != line:
        state.put(changed)
    if wanted != line.wanted:
        state.do(WantLine(changed.wanted))
        if not state.facts:
            state.tell("line.wanted", wanted=wanted)


def _send(state: State, row: Reversal) -> None:
    """Commit the send before its bytes leave."""
    row = begin_send(state, row)
    state.tell("reversal.sent", row.id, reason=row.reason, send=row.sends)
    state.do(SendReversal(row.id, {**row.fields, "39": row.reason}, row.vault))


def begin_send(state: State, row: Reversal) -> Reversal:
    """Count a send that is about to happen. A new opportunity begins when the last one is used up."""
    policy, now_ms = state.agent.policy, state.now.boottime_ms
    if row.sends_left == 0 or (row.waiting_sign_in and row.key_answers):  # no sign-in came: the back-off opens another one
        row = replace(
            row, sends_left=policy.sends_per_opportunity, opportunities=row.opportunities + 1, key_answers=0
        )
    row = state.put(
        replace(
            row, state=move(REVERSAL, row.state, "send"), sends=row.sends + 1, sends_left=row.sends_left - 1,
            earlier_send_ms=row.last_send_ms, last_send_ms=now_ms, due_ms=now_ms + policy.reply_timeout_ms,
            silent_since_ms=now_ms if row.silent_since_ms is None else row.silent_since_ms,
        )
    )
    transaction = state.transactions[row.id]
    if "reversing" in TRANSACTION[transaction.state]:
        state.put(replace(transaction, state=move(TRANSACTION, transaction.state, "reversing")))
    return row


def _send_echo(state: State) -> None:
    newest = max(state.reversals.values(), key=age, default=None)
    if newest is None:
        state.put(replace(state.line, echo="none"))
        return
    state.put(replace(state.line, echo="sent", due_ms=state.now.boottime_ms + state.agent.policy.echo_timeout_ms))
    state.tell("recovery.echo_sent")
    batch = batches.of(state.agent, newest.terminal_id).number or newest.batch
    state.do(
        SendEcho(
            fields.echo_fields(
                state.agent.policy, terminal_id=newest.terminal_id, merchant_id=newest.fields["42"], batch=batch
            )
        )
    )
