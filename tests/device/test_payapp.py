"""The payment app's port over real HTTP: what is asked, and every way in which it can fail."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from device.payapp import Known, Payapp, PayappError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def asked(handler: Handler, timeout_s: float = 5.0) -> None:
    """Ask an app that answers like this."""
    app = web.Application()
    app.router.add_post("/app/reprint", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        await Payapp(f"http://127.0.0.1:{port}/app/", timeout_s).ask_receipt("000123", "000007")
    finally:
        await runner.cleanup()


def test_the_wish_names_stan_and_batch() -> None:
    heard: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        heard.append(json.loads(await request.read()))
        return web.Response(status=202)

    asyncio.run(asked(take))
    assert heard == [{"stan": "000123", "batch": "000007"}]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_anything_but_2xx_is_a_refusal(status: int) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    with pytest.raises(PayappError, match=f"HTTP {status}"):
        asyncio.run(asked(refuse))


def test_an_app_that_does_not_answer_is_given_up() -> None:
    async def sleep(_request: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return web.Response()

    with pytest.raises(PayappError, match="did not answer within"):
        asyncio.run(asked(sleep, timeout_s=0.1))


def test_an_app_that_is_not_there_is_said_to_be_out_of_reach() -> None:
    with pytest.raises(PayappError, match="cannot be reached"):
        asyncio.run(Payapp("http://127.0.0.1:1").ask_receipt("000123", "000007"))


# ── reversals ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def with_app(answers: dict[str, web.Response], story: Callable[[Payapp], Awaitable[Any]]) -> tuple[Any, list[Any]]:
    """What the story returns, and every call that came in, at an app that answers these calls."""
    calls: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        raw = await request.read()
        calls.append((request.method, request.path, json.loads(raw) if raw else None))
        return answers.get(request.path, web.Response(status=404))

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return await story(Payapp(f"http://127.0.0.1:{runner.addresses[0][1]}")), calls
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "taken"),
    [(202, "taken"), (200, "taken"), (404, "unsupported"), (501, "unsupported"), (409, "busy"), (503, "busy")],
)
def test_a_request_is_taken_refused_as_unknown_or_put_off(status: int, taken: str) -> None:
    async def story() -> None:
        answers = {path: web.Response(status=status) for path in ("/flush-reversals", "/balance-inquiry")}
        found, calls = await with_app(answers, lambda app: app.flush_reversals("a.1", "000123", "000007"))
        assert found == taken
        assert calls == [("POST", "/flush-reversals", {"request_id": "a.1", "stan": "000123", "batch": "000007"})]
        found, calls = await with_app(
            {path: web.Response(status=status) for path in answers}, lambda app: app.balance_inquiry("a.2", "000123", "000007")
        )
        assert found == taken
        assert calls[0][2] == {"request_id": "a.2", "reason": "reversal", "stan": "000123", "batch": "000007"}

    asyncio.run(story())


def test_what_the_app_knows_is_read_and_a_call_that_it_lacks_is_none() -> None:
    async def story() -> None:
        said = b'{"state":"no_answer","record":"held","reversal":"refused","reversal_code":"91","more":1}'
        path = "/transactions/000007/000123"
        found, calls = await with_app({path: web.Response(body=said)}, lambda app: app.transaction("000123", "000007"))
        assert found == Known(state="no_answer", record="held", reversal="refused", reversal_code="91")
        assert calls == [("GET", path, None)]
        assert (await with_app({}, lambda app: app.transaction("000123", "000007")))[0] is None

    asyncio.run(story())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"state":"perhaps"}', b"\xff\xfe", b'{"state":1}', b" " * 5_000])
def test_what_makes_no_sense_is_no_answer_and_is_not_repeated(body: bytes) -> None:
    async def story() -> None:
        answers = {"/transactions/000007/000123": web.Response(body=body)}
        with pytest.raises(PayappError) as told:
            await with_app(answers, lambda app: app.transaction("000123", "000007"))
        assert "perhaps" not in str(told.value)

    asyncio.run(story())
