"""The wallet gateway over real HTTP: what is asked, how it is signed, and every way in which it gives no answer."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from device.errors import WalletUnclear, WalletUnreached
from device.simulator.wallet.faults import Faults
from device.simulator.wallet.model import WalletModel
from device.simulator.wallet.server import WalletServer
from device.wallet import ANSWER_BYTES_MAX, Answer, Gateway, signature
from tests.device.acquirer import certificates

KEY = bytes(range(32))
TERMINAL = "12345678"
ORDER = "20260302100000000001"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def gateway(port: int, *, key: bytes = KEY, clock: Callable[[], int | None] = wall_ms, timeout_s: float = 5.0) -> Gateway:
    return Gateway(f"http://127.0.0.1:{port}/", key, TERMINAL, clock, timeout_s=timeout_s)


def play(story: Callable[[WalletServer, Gateway], Awaitable[Any]], **how: Any) -> Any:
    """A simulated gateway that checks signatures, and a client."""
    faults = Faults()
    faults.set(how.pop("faults", {}))

    async def run() -> Any:
        async with WalletServer(WalletModel(), key=KEY, faults=faults) as server:
            return await story(server, gateway(server.port, **how))

    return asyncio.run(run())


def test_the_three_calls_and_what_they_say() -> None:
    async def story(server: WalletServer, client: Gateway) -> list[Answer]:
        server.model.pay(ORDER, 100, "paid", None, 0)
        server.model.pay("b", 200, "unpaid", None, 0)
        return [
            await client.query(ORDER), await client.query("nobody's"), await client.query("b"), await client.cancel("b"),
            await client.refund(ORDER, "R1", 100), await client.query(ORDER),
        ]

    assert play(story) == [
        Answer("paid", 100), Answer("not_found"), Answer("not_paid", 200), Answer("closed", 200, retry=False),
        Answer("refunded", 100, retry=False), Answer("refunded", 100),
    ]


def test_the_signature_is_over_method_path_terminal_time_and_body() -> None:
    """The two values were computed with openssl: dgst -sha256 -mac HMAC over the five lines."""
    assert signature(KEY, "GET", "/v1/orders/1", TERMINAL, 1_772_416_800_000, b"") == (
        "8bfac42fb43ebf6eeff26fb9b2511d78d70f19dde45b5eaba92da3e9cd6015c8"
    )
    assert signature(KEY, "POST", "/v1/orders/1/cancel", TERMINAL, 1_772_416_800_000, b"{}") == (
        "4ea676ff2290814692a68874f8c3d7b477fb52cefebdad681bd7fffad136fa6d"
    )


def test_another_key_is_refused_and_that_is_no_answer() -> None:
    async def story(_server: WalletServer, client: Gateway) -> None:
        with pytest.raises(WalletUnclear, match="signature"):
            await client.query(ORDER)

    play(story, key=bytes(32))


@pytest.mark.parametrize("clock", [lambda: None, lambda: wall_ms() - 86_400_000, lambda: wall_ms() + 86_400_000])
def test_a_terminal_without_the_right_time_takes_it_from_the_gateway(clock: Callable[[], int | None]) -> None:
    async def story(_server: WalletServer, client: Gateway) -> list[Answer]:
        return [await client.query(ORDER), await client.cancel(ORDER)]

    assert [answer.state for answer in play(story, clock=clock)] == ["not_found", "closed"]


@pytest.mark.parametrize("fault", ["unknown"])
def test_unknown_is_an_answer(fault: str) -> None:
    async def story(_server: WalletServer, client: Gateway) -> Answer:
        return await client.query(ORDER)

    assert play(story, faults={"query": fault}).state == "unknown"


@pytest.mark.parametrize("fault", ["silent", "lost", "close", "garbage", "500", "401"])
def test_what_is_no_usable_answer_is_unclear(fault: str) -> None:
    async def story(server: WalletServer, client: Gateway) -> int:
        server.model.pay(ORDER, 100, "paid", None, 0)
        with pytest.raises(WalletUnclear):
            await client.cancel(ORDER)
        account = server.model.find(ORDER)
        assert account is not None
        return account.net_debit_fen

    # What was done all the same shows only in the books.
    assert play(story, faults={"cancel": fault}, timeout_s=0.3) == (0 if fault in {"silent", "close", "garbage"} else 100)


def test_a_gateway_that_is_not_there_was_asked_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(WalletUnreached):
            asyncio.run(gateway(port).cancel(ORDER))


def answered(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """What becomes of an answer like this one."""

    async def run() -> Answer:
        async def say(_request: web.Request) -> web.Response:
            return web.Response(body=body, status=status, headers=headers)

        app = web.Application()
        app.router.add_get("/orders/{order_no}", say)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return await gateway(runner.addresses[0][1]).query(ORDER)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'{"state":"PAID"}', b'{"state":"paid","amount_fen":"100"}', b'{"state":"paid","amount_fen":-1}',
        b'{"state":"paid","amount_fen":1.5}', b'{"amount_fen":100}', b"\xff", b'{"state":"paid"' + b" " * ANSWER_BYTES_MAX + b"}",
    ],
)
def test_an_answer_that_was_not_agreed_on_is_no_answer(body: bytes) -> None:
    with pytest.raises(WalletUnclear) as error:
        answered(body)
    assert "amount" not in str(error.value)


def test_fields_nobody_asked_for_are_not_read() -> None:
    assert answered(b'{"state":"paid","amount_fen":100,"payer":"6222021234567890128","paid_at":"x"}') == Answer("paid", 100)


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 403, 404, 500, 503])
def test_only_status_200_is_an_answer(status: int) -> None:
    with pytest.raises(WalletUnclear):
        answered(b"" if status == 204 else b'{"state":"paid","amount_fen":100}', status, {"Location": "http://127.0.0.1:1/"})


def test_an_order_number_with_signs_in_it_stays_one_part_of_the_path() -> None:
    async def story(server: WalletServer, client: Gateway) -> Answer:
        server.model.pay("a|b*c", 100, "paid", None, 0)
        return await client.query("a|b*c")

    assert play(story).state == "paid"


def test_over_https_the_gateways_own_authority_is_trusted_and_no_other(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.cert, files.key)

    async def story() -> Answer:
        async with WalletServer(key=KEY, tls=tls) as server:
            url = f"https://127.0.0.1:{server.port}"
            with pytest.raises(WalletUnreached):
                await Gateway(url, KEY, TERMINAL, wall_ms).query(ORDER)
            return await Gateway(url, KEY, TERMINAL, wall_ms, ca=files.ca).query(ORDER)

    assert asyncio.run(story()).state == "not_found"
