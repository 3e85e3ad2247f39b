"""The simulated wallet gateway on a real socket: the contract's three calls, signed, and the orders of a test beside them.

Beside the contract, without a signature and on loopback only: `POST /simulator/pay` (the customer pays), `POST
/simulator/faults`, `GET /simulator/ledger`.
"""

import asyncio
import contextlib
import hmac
import ipaddress
import re
import ssl
import time
from collections.abc import Callable
from typing import Any, Literal, Self

import msgspec
from aiohttp import web

from device.simulator.script import FaultError
from device.simulator.wallet.faults import Faults
from device.simulator.wallet.gateway import Outcome, call
from device.simulator.wallet.model import FATES, WalletModel
from device.wallet import signature

CLOCK_SKEW_MS = 300_000
BODY_BYTES_MAX = 16_384
_HEADER = re.compile(r"RV1-HMAC-SHA256 terminal=([0-9A-Za-z]{8}), timestamp=([0-9]{1,15}), signature=([0-9a-f]{64})")
_FATE = re.compile(r"([a-z]+)(?::([0-9]{1,7}))?")


class Pay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The customer pays: `fate` is one of the model's, with milliseconds behind a colon where it takes them."""

    order_no: str
    amount_fen: int
    fate: str = "paid"


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Faults to change while it runs."""

    clear: bool = False
    set: dict[str, str] = {}
    scenario: dict[str, list[str]] = {}


class Refund(msgspec.Struct, frozen=True):
    """The body of a refund."""

    refund_no: str
    amount_fen: int


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the log."""

    at_ms: int
    what: Literal["listening", "pay", "query", "cancel", "refund", "refused"]
    order_no: str = ""
    state: str = ""
    note: str = ""


class WalletServer:
    """`async with WalletServer(model) as server:` listens on `server.port`. `key` None: signatures are not looked at."""

    def __init__(
        self, model: WalletModel | None = None, host: str = "127.0.0.1", port: int = 0, *, key: bytes | None = None,
        faults: Faults | None = None, tls: ssl.SSLContext | None = None, on_line: Callable[[Line], None] | None = None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.model = model or WalletModel()
        self.faults = faults or Faults()
        self.host = host
        self.port = port
        self._key = key
        self._tls = tls
        self._on_line = on_line
        self._wall_ms = wall_ms
        self._ending = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.add_routes([
            web.get("/orders/{order_no}", self._query),
            web.post("/orders/{order_no}/cancel", self._cancel),
            web.post("/orders/{order_no}/refund", self._refund),
            web.post("/simulator/pay", self._pay),
            web.post("/simulator/faults", self._order),
            web.get("/simulator/ledger", self._ledger),
        ])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._log("listening", note=f"{self.host}:{self.port}")
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._ending.set()
        assert self._runner is not None, "it was entered"
        await self._runner.cleanup()

    # ── the contract ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _query(self, request: web.Request) -> web.StreamResponse:
        return await self._called(request, "query")

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        return await self._called(request, "cancel")

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        return await self._called(request, "refund")

    async def _called(self, request: web.Request, kind: Literal["query", "cancel", "refund"]) -> web.StreamResponse:
        order_no, body = request.match_info["order_no"], await request.read()
        wrong = self._wrong(request, body)
        if wrong is not None:
            self._log("refused", order_no, note=wrong)
            return web.json_response({"error": wrong}, status=401)
        refund = Refund("", 0)
        if kind == "refund":
            try:
                refund = msgspec.json.decode(body, type=Refund)
            except msgspec.MsgspecError as error:
                return web.json_response({"error": str(error)}, status=400)
        self.model.advance(self._now_ms())
        fault = self.faults.choose(kind)
        outcome = call(self.model, kind, order_no, fault, refund_no=refund.refund_no, amount_fen=refund.amount_fen)
        said = outcome.reply.state if outcome.reply else ""
        self._log(kind, order_no, state=said, note="" if fault.word == "ok" else fault.word)
        return await self._answer(request, outcome)

    async def _answer(self, request: web.Request, outcome: Outcome) -> web.StreamResponse:
        if outcome.reply is None or outcome.delay_ms:
            wait_s = outcome.delay_ms / 1000 if outcome.reply is not None else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait_s)
        if outcome.reply is None or outcome.close:
            assert request.transport is not None, "a request has its connection"
            request.transport.abort()
        if outcome.garbage:
            return web.Response(body=b"\xff\x00 {", status=200)
        return web.Response(body=msgspec.json.encode(outcome.reply), status=outcome.status, content_type="application/json")

    def _wrong(self, request: web.Request, body: bytes) -> str | None:
        """Why the signature is not taken, or None."""
        if self._key is None:
            return None
        match = _HEADER.fullmatch(request.headers.get("Authorization", ""))
        if match is None:
            return "no signature"
        terminal, timestamp, signed = match.groups()
        expected = signature(self._key, request.method, request.raw_path, terminal, int(timestamp), body)
        if not hmac.compare_digest(signed, expected):
            return "wrong signature"
        return "clock" if abs(int(timestamp) - self._wall_ms()) > CLOCK_SKEW_MS else None

    # ── beside it ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        try:
            pay = msgspec.json.decode(await self._local(request), type=Pay)
        except msgspec.MsgspecError as error:
            return web.json_response({"error": str(error)}, status=400)
        match = _FATE.fullmatch(pay.fate)
        if match is None or match[1] not in FATES:
            return web.json_response({"error": f"unknown fate {pay.fate!r}: use {', '.join(FATES)}"}, status=400)
        now_ms = self._now_ms()
        self.model.advance(now_ms)
        said = self.model.pay(pay.order_no, pay.amount_fen, match[1], int(match[2]) if match[2] else None, now_ms)
        self._log("pay", pay.order_no, state=said, note=pay.fate)
        return web.json_response({"state": said})

    async def _order(self, request: web.Request) -> web.StreamResponse:
        try:
            order = msgspec.json.decode(await self._local(request), type=Order)
            if order.clear:
                self.faults.clear()
            self.faults.set(order.set)
            self.faults.scenario(order.scenario)
        except (msgspec.MsgspecError, FaultError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"ok": True})

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        await self._local(request)
        self.model.advance(self._now_ms())
        return web.json_response({"ledger": self.model.rows()})

    async def _local(self, request: web.Request) -> bytes:
        """The body of an order; whoever is not on this machine gives none."""
        if request.remote is None or not ipaddress.ip_address(request.remote).is_loopback:
            raise web.HTTPForbidden(text="orders are taken on loopback only")
        return await request.read()

    def _log(self, what: Any, order_no: str = "", *, state: str = "", note: str = "") -> None:
        if self._on_line is not None:
            self._on_line(Line(self._wall_ms(), what, order_no, state, note))

    @staticmethod
    def _now_ms() -> int:
        return time.monotonic_ns() // 1_000_000
