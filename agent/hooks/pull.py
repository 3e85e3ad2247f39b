"""Payment apps that open no port: they listen to the event stream with `?requests=true` and answer by POST /v1/requests/{id}.

A listener that begins first hears every request that is open, whatever it has missed. That nobody listens any more is told to
the core only after a grace time, so that a reconnect is no news.
"""

import asyncio
from typing import Any

from agent.core.appevent import PullChanged
from agent.core.state import State
from agent.hooks import web
from agent.hooks.ports import Inbox
from agent.hooks.problems import Problem

GRACE_S = 5.0


class Pullers:
    """Counts the listeners that answer requests; the core hears of the first that comes and the last that stays away."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._count = 0
        self._leaving: asyncio.TimerHandle | None = None

    def join(self) -> None:
        """One more listens."""
        self.close()
        self._count += 1
        if not self._inbox.state.agent.pulls:
            self._inbox.tell(PullChanged(attached=True))

    def leave(self) -> None:
        """One has gone; it may be back in a moment."""
        self._count -= 1
        if not self._count:
            self._leaving = asyncio.get_running_loop().call_later(GRACE_S, self._gone)

    def _gone(self) -> None:
        self._leaving = None
        self._inbox.tell(PullChanged(attached=False))

    def close(self) -> None:
        """Nothing more is told."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None


PULLERS = web.AppKey("pullers", Pullers)


def wants_requests(request: web.Request) -> bool:
    """True for a listener that answers our requests. Raises Problem 400 for a query that means nothing."""
    if set(request.query) - {"requests"} or request.query.get("requests", "true") not in {"true", "false"}:
        raise Problem(400, "invalid-query", "known is requests=true|false")
    return request.query.get("requests") == "true"


def open_requests(state: State) -> list[dict[str, Any]]:
    """What every request that is open asks for, and how long it still is, oldest transaction first."""
    found = [
        _request(state, row.id, row.request, row.ask, row.due_ms) for row in state.reversals_by_age() if row.request is not None
    ]
    return found + [
        _request(state, row.id, row.request, "transaction", row.due_ms)
        for row in state.transactions_by_age()
        if row.request is not None
    ]


def left_ms(state: State, request: str, now_ms: int) -> int | None:
    """How long this request is still open, None when it is not."""
    open_ = [(row.request, row.due_ms) for row in state.open_reversals.values()]
    open_ += [(row.request, row.due_ms) for row in state.open_transactions.values()]
    return next((max(0, due_ms - now_ms) for name, due_ms in open_ if name == request and due_ms is not None), None)


def _request(state: State, key: str, request: str | None, what: str, due_ms: int | None) -> dict[str, Any]:
    row = state.transactions[key]
    within_ms = max(0, (due_ms or 0) - state.now.boottime_ms)
    return {"request": request, "what": what, "stan": row.stan, "batch": row.batch, "within_ms": within_ms}
