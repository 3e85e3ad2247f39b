"""The payment app's port over real HTTP: what is asked, and every way in which it can fail."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from device.payapp import Payapp, PayappError

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
