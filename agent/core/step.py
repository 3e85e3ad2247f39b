"""The one way in: `step(state, event, now) -> Change`. Everything that changes the state is dispatched from here."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from agent.core import (
    answers,
    batch,
    batches,
    card,
    commands,
    display,
    gate,
    hearing,
    incidents,
    invariant,
    payapp,
    people,
    receipt,
    relay,
    reversal,
    schedule,
    settlement,
    slips,
    wallet,
)
from agent.core import appevent as a
from agent.core import event as e
from agent.core import fleetevent as f
from agent.core.change import Change, Decision
from agent.core.displayevent import DisplaySeen, DisplayTestAsked
from agent.core.model import Line, Now, Transaction
from agent.core.settlementevent import Acknowledged, RefundReported, SettlementImported
from agent.core.state import State, find
from agent.core.storageevent import RowsDamaged

NOTHING = Decision()


def step(state: State, event: e.Event, now: Now) -> Change:
    """Judge one event. Changes `state` in place; the caller commits the Change and settles, or rolls back.

    Raises Rejected when the event is refused and AssertionError when an invariant would break: in both cases the caller
    must roll back to the mark it took before.
    """
    state.now = now
    handler = _HANDLERS[type(event)]
    decision = handler(state, event) or NOTHING
    settlement.run(state)
    if state.agent.boot_id:  # before the first start nothing is sent
        (payapp if state.agent.policy.mode == "payapp" else schedule).run(state)
    receipt.run(state)
    invariant.check(state)
    return state.take(decision, next_deadline_ms(state, now.boottime_ms))


def next_deadline_ms(state: State, seen_ms: int) -> int | None:
    """The boot time at which `DeadlinePassed` must come, or None; it may be over.

    What was due by `seen_ms`, the time of the last step, and waits for a line waits for no clock.
    """
    first = state.line.due_ms
    for transaction in state.open_transactions.values():
        due_ms = transaction.due_ms
        if due_ms is not None and (first is None or due_ms < first):
            first = due_ms
    for row in state.open_reversals.values():
        due_ms = row.due_ms
        if due_ms is None or (due_ms <= seen_ms and row.state not in {"sending", "no_original"} and not row.adopted):
            continue
        if first is None or due_ms < first:
            first = due_ms
    for job in state.open_jobs.values():
        due_ms = job.due_ms
        if due_ms is not None and job.state != "INTENT" and (first is None or due_ms < first):
            first = due_ms
    return first


def _booted(state: State, event: e.Booted) -> None:
    before = state.agent
    new_boot = before.boot_id != state.now.boot_id
    state.put(
        replace(
            before, boot_id=state.now.boot_id, boots=before.boots + new_boot, version=event.version,
            policy=event.policy, refused_since_ms=None if new_boot else before.refused_since_ms,
            host_day=None if new_boot else before.host_day, pulls=False,
        )
    )
    if new_boot:
        batches.booted(state)
    state.put(Line())
    state.put(replace(state.printer, fault="unknown", watched=False))
    state.tell("agent.started", version=event.version, new_boot=new_boot)
    display.booted(state)
    for transaction in state.transactions_by_age():
        (wallet if _asked_of_the_gateway(transaction) else card).restarted(state, transaction, new_boot=new_boot)
    for row in state.reversals_by_age():
        reversal.restarted(state, row, new_boot=new_boot)
    reversal.new_rules(state)
    for job in state.jobs_by_age():
        receipt.restarted(state, job, new_boot=new_boot)


def _asked_of_the_gateway(row: Transaction) -> bool:
    """True from the doubt on; before it a wallet waits for the app's result as a card does."""
    return row.order is not None and row.state not in {"intent", "sent"}


def _configured(state: State, event: e.Configured) -> None:
    state.put(replace(state.agent, policy=event.policy))
    state.tell("agent.configured")
    reversal.new_rules(state)


def _clone_seen(state: State, _event: f.CloneSeen) -> None:
    state.tell("security.clone")
    incidents.open_one(state, "clone", None, "operator", "check_identity")


def _rows_damaged(state: State, event: RowsDamaged) -> None:
    state.tell("storage.damaged", restored=", ".join(event.restored) or None, lost=", ".join(event.lost) or None)
    incidents.open_one(state, "storage", None, "technician", "replace_storage")


def _deadline_passed(state: State, _event: e.DeadlinePassed) -> None:
    now_ms = state.now.boottime_ms
    for transaction in state.transactions_by_age():
        if transaction.due_ms is not None and transaction.due_ms <= now_ms:
            (wallet if _asked_of_the_gateway(transaction) else card).deadline(state, transaction)
    for row in state.reversals_by_age():
        if row.due_ms is not None and row.due_ms <= now_ms:
            if row.state == "sending" and (row.request is not None or state.agent.policy.mode == "payapp"):
                payapp.unanswered(state, row)
            else:
                answers.deadline(state, row)
    for job in state.jobs_by_age():
        if job.due_ms is not None and job.due_ms <= now_ms:
            receipt.deadline(state, job)
    if state.line.due_ms is not None and state.line.due_ms <= now_ms:
        schedule.line_deadline(state)


def _terminal_changed(state: State, event: e.TerminalChanged) -> Decision:
    state.tell("terminal.changed", what=event.what)
    if event.what in {"signed_in", "key_changed"}:
        reversal.signed_in(state)
        for row in state.incidents_by_age("sign_in_needed"):
            incidents.close(state, row, event.what)
    else:
        reversal.app_is_back(state)
    return NOTHING


def _ordered(state: State, event: e.ReversalOrdered) -> Decision:
    find(state, event.transaction)
    reversal.ordered(state, event.transaction, event.by)
    return Decision(transaction=event.transaction)


def _send_failed(state: State, event: e.SendFailed) -> None:
    row = state.reversals.get(event.transaction)
    if row is not None and row.state == "sending":
        answers.not_sent(state, row, event.why)


def _line_lost(state: State, _event: e.LineLost) -> None:
    if state.line.connected:
        answers.line_lost(state)


def _noise(state: State, event: e.NoiseReceived) -> None:
    state.tell("host.noise", what=event.what)
    incidents.open_one(state, "host_noise", None, "acquirer", "check_host")


def _given(state: State, event: e.ReceiptGiven) -> Decision:
    return receipt.given(state, event, find(state, event.transaction))


def _reprint(state: State, event: e.ReprintAsked) -> Decision:
    return receipt.reprint(state, event, find(state, event.transaction))


def _ask_failed(state: State, event: e.ReceiptAskFailed) -> None:
    receipt.ask_failed(state, find(state, event.transaction))


def _guarantee(state: State, event: e.GuaranteeAsked) -> Decision:
    return slips.guarantee(state, event, find(state, event.transaction))


_HANDLERS: dict[type, Callable[[State, Any], Decision | None]] = {
    e.Booted: _booted,
    e.DeadlinePassed: _deadline_passed,
    e.Opened: card.opened,
    e.SentAsked: card.sent_asked,
    e.ResultReported: hearing.resulted,
    e.ReceiptGiven: _given,
    e.ReprintAsked: _reprint,
    e.ReceiptAskFailed: _ask_failed,
    a.AppReported: hearing.app_reported,
    a.AppKnows: hearing.app_knows,
    a.RequestFailed: payapp.undelivered,
    a.PullChanged: hearing.pull_changed,
    a.LinkReported: hearing.link_reported,
    e.GuaranteeAsked: _guarantee,
    e.EvidenceGiven: people.evidence_given,
    e.DispositionGiven: people.disposition_given,
    e.BatchChanged: batch.changed,
    e.SettlementAsked: batch.asked,
    SettlementImported: settlement.imported,
    RefundReported: settlement.refund_reported,
    Acknowledged: people.acknowledged,
    e.TerminalChanged: _terminal_changed,
    e.ReversalOrdered: _ordered,
    e.IncidentResolved: people.resolved,
    e.HostReachable: schedule.reachable,
    e.HostUnreachable: lambda state, _event: schedule.unreachable(state),
    e.LineLost: _line_lost,
    e.SendFailed: _send_failed,
    e.HostReply: answers.received,
    e.OnlineAsked: lambda state, event: gate.online(state, event.terminal_id),
    e.RelayAnswered: relay.answered,
    e.AnswerForwarded: relay.forwarded,
    e.AppReversed: relay.app_reversed,
    e.RelayRefused: relay.refused,
    e.EchoReply: schedule.echo_answered,
    e.NoiseReceived: _noise,
    e.WalletAnswered: wallet.answered,
    e.NetworkChanged: lambda state, _event: wallet.network_changed(state),
    e.JobFinished: receipt.finished,
    e.PrinterSeen: receipt.seen,
    e.TestPrintAsked: receipt.test_page,
    DisplaySeen: display.seen,
    DisplayTestAsked: display.test,
    e.Configured: _configured,
    f.CloneSeen: _clone_seen,
    f.Commanded: commands.commanded,
    f.CommandFinished: commands.finished,
    f.CommandRefused: commands.refused,
    RowsDamaged: _rows_damaged,
}

assert set(_HANDLERS) == set(e.Event.__args__), "every event has its handler"
