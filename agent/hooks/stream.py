"""Server-sent events: what the journal tells, as it is committed, resumable by `Last-Event-ID` (a journal sequence number)."""

import asyncio

import msgspec

from agent.core import customer
from agent.core.playbook import advise
from agent.hooks import pull, web
from agent.hooks.access import from_page, not_for_pages
from agent.hooks.api import HOUSE
from agent.hooks.ports import House
from agent.hooks.problems import Problem
from agent.journal.chain import Entry

CHUNK = 100
CLIENTS_MAX = 16
PING_S = 25.0


class Bell:
    """Rings after each commit; each listener waits for the next ring."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self.listeners = 0
        self.closed = False

    def ring(self) -> None:
        """Wake everybody who waits."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """Let every stream end."""
        self.closed = True
        self.ring()

    async def wait(self) -> None:
        """Until the next ring, at most PING_S."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(PING_S):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)


BELL = web.AppKey("bell", Bell)


async def get_events(request: web.Request) -> web.StreamResponse:
    """GET /v1/events."""
    house, bell = request.app[HOUSE], request.app[BELL]
    pulls = pull.wants_requests(request)
    if pulls and from_page(request):
        raise not_for_pages()
    last = request.headers.get("Last-Event-ID", str(house.inbox.store.seq))
    if not last.isascii() or not last.isdigit() or len(last) > 17:
        raise Problem(400, "invalid-last-event-id", "Last-Event-ID is a journal sequence number, as it came in `id:`")
    if bell.listeners >= CLIENTS_MAX:
        raise Problem(503, "too-many-listeners", f"{CLIENTS_MAX} programs listen already; close one")
    after = int(last)
    if after > house.inbox.store.seq:
        after = 0  # a number of another journal, which this one replaced: all of this one is new to the listener
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    bell.listeners += 1
    try:
        await response.prepare(request)
        if pulls:
            await _answerer(request, response, after)
        else:
            await _serve(house, bell, response, after)
    except ConnectionError:
        pass  # the listener left
    finally:
        bell.listeners -= 1
    return response


async def _answerer(request: web.Request, response: web.StreamResponse, after: int) -> None:
    """A payment app that answers our requests: what is open comes first, without an id."""
    house, pullers = request.app[HOUSE], request.app[pull.PULLERS]
    for each in pull.open_requests(house.inbox.state):
        await response.write(b"event: request.opened\ndata: %s\n\n" % msgspec.json.encode({"data": each}))
    pullers.join()
    try:
        await _serve(house, request.app[BELL], response, after)
    finally:
        pullers.leave()


async def _serve(house: House, bell: Bell, response: web.StreamResponse, last: int) -> None:
    """Send what the journal holds after `last`, then wait for more. A slow listener holds up only itself."""
    while not bell.closed:
        entries = house.inbox.store.entries_after(last, CHUNK)
        for entry in entries:
            await response.write(_event(house, entry))
            last = entry.seq
        if not entries:
            await bell.wait()
            if house.inbox.store.seq == last and not bell.closed:
                await response.write(b": still here\n\n")


def _event(house: House, entry: Entry) -> bytes:
    """One event; what is about a transaction carries the advice of this moment, and each what the customer is shown now.

    A line or a printer can change what is shown without an event of the transaction itself.
    """
    value: dict[str, object] = {
        "seq": entry.seq, "type": entry.type, "transaction": entry.transaction, "incident": entry.incident, "data": entry.data,
        "at": entry.wall_ms, "customer": customer.shown(house.inbox.state),
    }
    if entry.transaction is not None:
        view = house.inbox.view(entry.transaction)
        row = view.transactions.get(entry.transaction)
        if row is not None:
            value |= {"state": row.state, "advice": advise(view, row)}
    if entry.type == "request.opened":
        value["left_ms"] = pull.left_ms(house.inbox.state, entry.data["request"], house.boottime_ms())
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (entry.seq, entry.type.encode(), msgspec.json.encode(value))
