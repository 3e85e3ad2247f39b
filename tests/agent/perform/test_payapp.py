"""Wishes to the payment app: a failure goes back to the core, too many at once are a failure, and stopping ends them."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from aiohttp import web

from agent.core.appevent import AppKnows, AppReported, RequestFailed
from agent.core.change import AskApp, AskReceipt
from agent.core.event import Event, ReceiptAskFailed
from agent.perform.payapp import ASKING_MAX, PayappLine
from device.payapp import Payapp

WISH = AskReceipt("a", "000001", "000001")
FAILED = ReceiptAskFailed(transaction="a")


def test_an_app_that_is_not_there_is_told_to_the_core() -> None:
    async def story() -> list[Event]:
        told: list[Event] = []
        heard = asyncio.Event()
        line = PayappLine(Payapp("http://127.0.0.1:1"), lambda event: (told.append(event), heard.set()))
        line.perform(WISH)
        await asyncio.wait_for(heard.wait(), 10)
        await line.stop()
        return told

    assert asyncio.run(story()) == [FAILED]


def test_more_wishes_than_may_be_under_way_fail_at_once_and_stopping_ends_the_others() -> None:
    async def story() -> list[Event]:
        told: list[Event] = []

        async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gone.wait()
            writer.close()

        gone = asyncio.Event()
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        line = PayappLine(Payapp(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), told.append)
        for _ in range(ASKING_MAX + 2):
            line.perform(WISH)
        await line.stop()
        gone.set()
        server.close()
        await server.wait_closed()
        return told

    assert asyncio.run(story()) == [FAILED, FAILED]


# ── reversals ────────────────────────────────────────────────────────────────────────────────────────────────────────

ASK = AskApp("a", "a.1", "flush_reversals", "000001", "000001", 30_000)


async def asked(effect: AskApp, known: dict[str, Any] | bytes | int, taken: int = 202) -> tuple[list[Event], list[str]]:
    """What the core is told, and which calls the app got, of an app that knows this."""
    told: list[Event] = []
    calls: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        calls.append(f"{request.method} {request.path}")
        if request.method == "POST":
            return web.Response(status=taken)
        if isinstance(known, int):
            return web.Response(status=known)
        return web.Response(body=known if isinstance(known, bytes) else json.dumps(known).encode())

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        line = PayappLine(Payapp(f"http://127.0.0.1:{runner.addresses[0][1]}"), told.append)
        line.perform(effect)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "payapp"))
    finally:
        await runner.cleanup()
    return told, calls


HELD = {"state": "no_answer", "record": "held"}
GET, FLUSH, INQUIRY = "GET /transactions/000001/000001", "POST /flush-reversals", "POST /balance-inquiry"


@pytest.mark.parametrize(("taken", "outcome"), [(202, None), (501, "unsupported"), (423, "busy")])
def test_what_is_known_is_told_first_then_the_request_is_made(taken: int, outcome: str | None) -> None:
    told, calls = asyncio.run(asked(ASK, HELD, taken))
    assert calls == [GET, FLUSH]
    assert [type(event) for event in told] == [AppKnows] + [AppReported] * (outcome is not None)
    assert outcome is None or told[-1] == AppReported(transaction="a", outcome=outcome, request="a.1")  # type: ignore[arg-type]


@pytest.mark.parametrize("busy", [409, 423, 429, 503])
def test_an_app_that_is_too_busy_to_say_what_it_knows_is_busy_and_not_out_of_reach(busy: int) -> None:
    told, calls = asyncio.run(asked(ASK, busy, busy))
    assert calls == [GET, FLUSH]
    assert told == [AppReported(transaction="a", outcome="busy", request="a.1")]


def test_an_inquiry_goes_to_its_own_call() -> None:
    effect = msgspec.structs.replace(ASK, what="balance_inquiry")
    assert asyncio.run(asked(effect, HELD))[1] == [GET, INQUIRY]


@pytest.mark.parametrize(
    "known",
    [
        {"state": "no_answer", "record": "gone"}, {"state": "unknown"},
        {"state": "no_answer", "record": "gone", "reversal": "accepted", "reversal_code": "00"},
    ],
)  # fmt: skip
def test_where_nothing_is_left_to_flush_nothing_is_asked(known: dict[str, Any]) -> None:
    told, calls = asyncio.run(asked(ASK, known))
    assert calls == [GET]
    assert isinstance(told[0], AppKnows)


def test_a_question_asks_for_nothing_else() -> None:
    effect = msgspec.structs.replace(ASK, what="transaction")
    told, calls = asyncio.run(asked(effect, {"state": "approved", "response_code": "00", "approved_fen": 100}))
    assert (calls, [type(event) for event in told]) == ([GET], [AppKnows])


@pytest.mark.parametrize(
    "known",
    [
        b"nonsense", {"state": "approved", "response_code": "6222021234567890128"}, {"state": "approved", "rrn": "x" * 40},
        {"state": "approved", "approved_fen": -1}, {"state": "approved", "approved_fen": 0},
        {"state": "no_answer", "reversal": "accepted"},
        {"state": "approved", "auth_code": ""},
    ],
)  # fmt: skip
def test_what_the_local_api_would_refuse_is_refused_here_too(known: Any) -> None:
    told, calls = asyncio.run(asked(ASK, known))
    assert told == [RequestFailed(transaction="a", request="a.1")]
    assert calls == [GET]
