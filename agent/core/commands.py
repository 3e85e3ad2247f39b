"""Commands of the fleet: taken once, in time, in one commit with what they order; a repeat gets the stored answer.

An order goes the way of the same order by a person at the terminal: here it only gets its id. What moves money is taken
under a clock that can be trusted and not otherwise, since only a clock shows that a signed order is not an old one.
"""

from collections.abc import Callable
from typing import Any

from msgspec.json import encode
from msgspec.structs import replace

from agent.core import receipt, reversal, settlement
from agent.core.change import CarryOut, Decision, Rejected
from agent.core.commandbook import KEPT_MAX, OPEN_MAX, Command, CommandBook, Notice
from agent.core.event import ReprintAsked, ReversalOrdered
from agent.core.fleetevent import Commanded, CommandFinished, CommandRefused
from agent.core.lifecycle import COMMAND, move
from agent.core.model import Now
from agent.core.state import State, find

WINDOW_MAX_MS = 86_400_000  # from "not before" to expiry
SKEW_MS = 60_000  # by so much the terminal's clock may be slow
RESULT_BYTES_MAX = 3_072
UNMATCHED_TOLD_MAX = 5

# What moves money, or changes the rules by which it is moved: never under a clock that is not to be trusted.
MONEY = frozenset({"recover", "settle", "config"})


def commanded(state: State, event: Commanded) -> Decision:
    """Take it, refuse it without a trace (`told` says why), or answer a repeat from what is stored."""
    known = state.commands.find(event.command)
    if known is not None:
        return Decision(told=_repeated(known, event))
    why = untimely(state.commands, state.now, event) or _too_much(state, event)
    if why is not None:
        return Decision(told={"status": "rejected", "why": why})
    mark = state.mark()
    command = Command(
        id=event.command, name=event.name, digest=event.digest, expires_ms=event.expires_ms, state="new",
        transaction=event.transaction, correlation=event.correlation,
    )
    try:
        _act(state, event, command)
    except Rejected as refusal:
        state.rollback(mark)
        _end(state, command, "refused", {}, refusal.code)
    return Decision(transaction=event.transaction)


def finished(state: State, event: CommandFinished) -> None:
    """The performer's word on what it was told to carry out; a second one changes nothing."""
    command = state.commands.find(event.command)
    if command is None or not command.at_work:
        return
    if event.why is not None:
        _end(state, command, "failed", {}, event.why)
        return
    if command.name == "config":
        state.put(replace(state.commands, config_version=command.args["version"]))
    _end(state, command, "done", event.result)


def refused(state: State, event: CommandRefused) -> None:
    """Somebody sends what is no command of the fleet's."""
    state.tell("security.command_refused", why=event.why, count=event.count)


# ── may it be taken? ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _repeated(known: Command, event: Commanded) -> dict[str, Any]:
    if known.digest != event.digest:
        return {"status": "rejected", "why": "id-reused"}
    if known.at_work:
        return {"status": "running"}
    return {"status": known.state, **known.said}


def untimely(book: CommandBook, now: Now, event: Commanded) -> str | None:
    """Why this is not its time, or None."""
    if not 0 < event.expires_ms - event.not_before_ms <= WINDOW_MAX_MS:
        return "bad-window"
    if event.expires_ms <= max(book.proved_ms, book.floor_ms):
        return "expired"
    if now.wall_ms is None or now.clk == "none":
        return "clock-untrusted" if event.name in MONEY else None
    if event.expires_ms <= now.wall_ms:
        return "expired"
    return "not-yet-valid" if event.not_before_ms > now.wall_ms + SKEW_MS else None


def _too_much(state: State, event: Commanded) -> str | None:
    """Forget what has expired; then is there room?"""
    now, book = state.now, state.commands
    trusted_ms = now.wall_ms if now.wall_ms is not None and now.clk != "none" else 0
    over_ms = max(trusted_ms, book.proved_ms)
    gone = [each for each in book.taken if each.expires_ms <= over_ms and not each.at_work]
    kept = tuple(each for each in book.taken if each not in gone) if gone else book.taken
    if len(kept) >= KEPT_MAX or (event.name not in _ACTS and sum(each.at_work for each in kept) >= OPEN_MAX):
        return "too-many"
    floor_ms = max([book.floor_ms, *(each.expires_ms for each in gone)])
    proved_ms = max(book.proved_ms, event.not_before_ms if trusted_ms else 0)
    if event.name == "config" and event.args["version"] <= book.config_version:
        return "old-version"
    state.put(replace(book, taken=kept, floor_ms=floor_ms, proved_ms=proved_ms))
    return None


# ── what it orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _act(state: State, event: Commanded, command: Command) -> None:
    act = _ACTS.get(event.name)
    if act is None:
        command = replace(command, state=move(COMMAND, command.state, "begun"), args=event.args)
        _keep(state, command)
        state.tell(
            "command.accepted", command.transaction, id=command.id, name=command.name, by=event.by,
            correlation=command.correlation,
        )
        state.do(CarryOut(command.id, command.name, command.args))
    else:
        _end(state, command, "done", act(state, event))


def _query(_state: State, event: Commanded) -> dict[str, Any]:
    assert event.answer is not None, "a query is answered at the way in"
    return event.answer


def _reprint(state: State, event: Commanded) -> dict[str, Any]:
    assert event.transaction is not None, "named at the way in"
    assert event.job is not None, "drawn at the way in"
    order = ReprintAsked(transaction=event.transaction, job=event.job)
    return {"jobs": list(receipt.reprint(state, order, find(state, event.transaction)).jobs)}


def _recover(state: State, event: Commanded) -> dict[str, Any]:
    assert event.transaction is not None, "named at the way in"
    find(state, event.transaction)
    order = ReversalOrdered(transaction=event.transaction, by=f"fleet {event.by}")
    reversal.ordered(state, order.transaction, order.by)
    return {"state": state.transactions[event.transaction].state, "reversal": state.reversals[event.transaction].state}


def _settle(state: State, event: Commanded) -> dict[str, Any]:
    if event.statement is None:  # a part of one; the last part brings all of it
        return event.answer or {}
    report = settlement.imported(state, event.statement).report
    assert report is not None, "an import always reports"
    unmatched = [{"line": each.number, "why": each.why} for each in report.unmatched[:UNMATCHED_TOLD_MAX]]
    return {
        "applied": True, "lines": report.lines, "agreed": report.agreed, "matched": report.matched, "new": report.new,
        "absent": report.absent, "unmatched": len(report.unmatched), "first_unmatched": unmatched, "cases": report.cases,
    }


def _display(state: State, event: Commanded) -> dict[str, Any]:
    zh, en, seconds = event.args["zh"], event.args["en"], event.args["seconds"]
    state.put(replace(state.commands, notice=Notice(zh, en, state.agent.boots, state.now.boottime_ms + seconds * 1_000)))
    state.tell("display.message", zh=zh, en=en, seconds=seconds)
    return {}


# Those that are not here are carried out outside the core: replay, upload-log, config.
_ACTS: dict[str, Callable[[State, Commanded], dict[str, Any]]] = {
    "query": _query, "reprint": _reprint, "recover": _recover, "settle": _settle, "display": _display,
}


# ── the book ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _end(state: State, command: Command, cause: str, result: dict[str, Any], why: str | None = None) -> None:
    """Its last word: stored for whoever asks again, and told to the fleet."""
    if len(encode(result)) > RESULT_BYTES_MAX:
        result = {"cut": True}
    said = {"result": result} if why is None else {"why": why}
    ended = replace(command, state=move(COMMAND, command.state, cause), said=said, args={})
    _keep(state, ended)
    if why is None:
        state.tell(
            "command.done", ended.transaction, id=ended.id, name=ended.name, result=result, correlation=ended.correlation
        )
    else:
        state.tell(
            "command.rejected", ended.transaction, id=ended.id, name=ended.name, why=why, correlation=ended.correlation
        )


def _keep(state: State, command: Command) -> CommandBook:
    book = state.commands
    others = tuple(each for each in book.taken if each.id != command.id)
    return state.put(replace(book, taken=(*others, command)))
