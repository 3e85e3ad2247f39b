"""The simulated payment app's own port: an order that makes no sense is named, and changes nothing."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from device.acquirer.mac import SoftwareMac
from device.simulator.payapp.kernel import Kernel
from device.simulator.payapp.server import PayappServer
from device.simulator.payapp.till import Till
from tests.support.agent import MAC_KEY

NONSENSE = [
    ("simulator/sale", b""), ("simulator/sale", b"{"), ("simulator/sale", b"[]"), ("simulator/sale", b"{}"),
    ("simulator/sale", b'{"amount_fen": 1.5}'), ("simulator/sale", b'{"amount_fen": "x"}'),
    ("simulator/sale", b'{"amount_fen": 0}'), ("simulator/sale", b'{"amount_fen": 100, "replaces": 7}'),
    ("simulator/card", b"{}"), ("simulator/card", b'{"present": "false"}'), ("flush-reversals", b'{"request_id": "a.1"}'),
    ("balance-inquiry", b"\xff"),
]


@pytest.mark.parametrize(("call", "body"), NONSENSE)
def test_an_order_that_makes_no_sense_is_refused_and_sells_nothing(call: str, body: bytes, tmp_path: Path) -> None:
    async def told() -> tuple[int, str]:
        till = Till(
            tmp_path / "nobody.sock", "127.0.0.1", 1, Kernel(tmp_path / "app.json"), SoftwareMac("x9.19", bytes.fromhex(MAC_KEY))
        )
        async with (
            PayappServer(till) as server,
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{server.port}/{call}", data=body) as answer,
        ):
            return answer.status, (await answer.json())["error"]

    status, why = asyncio.run(told())
    assert status == 400
    assert why
    assert not (tmp_path / "app.json").exists()
