"""The simulated payment app on its own port, or pulling the agent's requests from the event stream; and orders from a test.

Orders are calls under /simulator on the same port; an app that pulls has nothing else there.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from device.simulator.payapp.till import Till

RECONNECT_S = 0.2
B = TypeVar("B")
STATUSES = {"taken": 202, "unsupported": 501, "busy": 423}
WHAT = {"flush-reversals": "flush_reversals", "balance-inquiry": "balance_inquiry"}


class _Asked(msgspec.Struct):
    request_id: str
    stan: str
    batch: str


class _Sale(msgspec.Struct):
    amount_fen: Annotated[int, msgspec.Meta(ge=1, le=999_999_999_999)]
    replaces: str | None = None


class _Card(msgspec.Struct):
    present: bool


class PayappServer:
    """`async with PayappServer(till) as server:` listens on `server.port` and, with `pull`, to the agent's stream."""

    def __init__(self, till: Till, host: str = "127.0.0.1", port: int = 0, *, pull: bool = False) -> None:
        self.till = till
        self.port = port
        self.silent = False  # takes every request and does nothing about it
        self.nonsense = False  # answers what makes no sense
        self._host = host
        self._pull = pull
        self._last: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/simulator/{order}", self._order)
        app.router.add_get("/simulator/state", self._state)
        if not self._pull:
            app.router.add_get("/transactions/{batch}/{stan}", self._known)
            app.router.add_post("/{call:flush-reversals|balance-inquiry}", self._asked)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]
        if self._pull:
            self._begin(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop_tasks()
        assert self._runner is not None, "it was started"
        await self._runner.cleanup()

    async def crash(self) -> None:
        """The app dies in the middle of whatever it does, and starts again."""
        await self._drop_tasks()
        self.till.kernel.crash()
        if self._pull:
            self._begin(self._listen())

    async def _drop_tasks(self) -> None:
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, work: Any) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ── the port ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _known(self, request: web.Request) -> web.Response:
        if self.nonsense:
            return web.Response(body=b"\x00\xff{nonsense")
        found = self.till.known(request.match_info["batch"], request.match_info["stan"])
        self.till.say(f"? GET {request.path}")
        self.till.say(f"! {found['state']} {found['record']}")
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _asked(self, request: web.Request) -> web.Response:
        body = await _read(request, _Asked)
        what = WHAT[request.match_info["call"]]
        self.till.say(f"? POST {request.path} STAN {body.stan}")
        taken = "taken" if self.silent else self.till.takes(what)
        if taken == "taken" and not self.silent:
            self._begin(self.till.perform(body.request_id, what, body.batch, body.stan))
        return web.Response(status=STATUSES[taken])

    # ── pulled ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _listen(self) -> None:
        """Read the agent's stream, and come back after each end of it with the last id that was seen."""
        while True:
            headers = {} if self._last is None else {"Last-Event-ID": self._last}
            with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
                async with (
                    self.till.session() as session,
                    session.get("/v1/events?requests=true", headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as stream,
                ):
                    await self._read(stream)
            await asyncio.sleep(RECONNECT_S)

    async def _read(self, stream: aiohttp.ClientResponse) -> None:
        event: dict[str, str] = {}
        async for line in stream.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
                continue
            self._last = event.get("id", self._last)
            if event.get("event") == "request.opened":
                self._requested(msgspec.json.decode(event["data"]))
            event = {}

    def _requested(self, said: dict[str, Any]) -> None:
        asked = said["data"]
        if self.silent or said.get("left_ms", 0) is None:  # it is over
            return
        if asked["what"] == "transaction":
            self._begin(self.till.answer(asked["request"], self.till.known(asked["batch"], asked["stan"])))
            return
        taken = self.till.takes(asked["what"])
        if taken == "taken":
            self._begin(self.till.perform(asked["request"], asked["what"], asked["batch"], asked["stan"]))
        elif asked["request"] not in self.till.answered:
            self._begin(self.till.answer(asked["request"], {"outcome": taken}))

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _order(self, request: web.Request) -> web.Response:
        order, till = request.match_info["order"], self.till
        found: Any = {"ok": True}
        match order:
            case "sale":
                sale = await _read(request, _Sale)
                found = await self._begin(till.sale(sale.amount_fen, sale.replaces))
            case "settle":
                await self._begin(till.settle())
            case "balance":
                found = {"response_code": await self._begin(till.balance())}
            case "card":
                till.card = (await _read(request, _Card)).present
            case "update":
                till.kernel.update()
            case "day":
                till.kernel.day += 1
            case "crash":
                await self.crash()
            case _:
                return web.Response(status=404)
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _state(self, _request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self.till.kernel.disk), content_type="application/json")


async def _read(request: web.Request, kind: type[B]) -> B:
    """The body as its type. Raises HTTP 400, which names what is wrong with it."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = msgspec.json.encode({"error": str(error)}).decode()
        raise web.HTTPBadRequest(text=said, content_type="application/json") from None
