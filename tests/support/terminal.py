"""The terminal's own half of a payment: the 0200 that a payment app sends to the host on its own line."""

import asyncio

from device.acquirer.link import Link
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec
from device.errors import LinkError
from tests.support.agent import MAC_KEY
from tests.support.app import CHIP, MERCHANT, PAN, TERMINAL

_CODEC = Codec()
_MAC = SoftwareMac("unionpay-ecb", bytes.fromhex(MAC_KEY))


def fields(stan: str, amount_fen: int, *, void_of: str | None = None, batch: str = "000001") -> dict[int, str]:
    """The fields of a sale, or of the void of an earlier STAN."""
    said = {
        2: PAN,
        3: "000000",
        4: f"{amount_fen:012d}",
        11: stan,
        14: "3012",
        22: "051",
        23: "001",
        25: "00",
        41: TERMINAL,
        42: MERCHANT,
        49: "156",
        55: CHIP,
        60: f"22{batch}000",
    }
    if void_of is not None:
        said |= {3: "200000", 60: f"23{batch}000", 61: batch + void_of}
    return said


def transact(port: int, stan: str, amount_fen: int, *, void_of: str | None = None, timeout_ms: int = 400) -> str | None:
    """Send a 0200; the response code, or None when no answer came."""

    async def run() -> str | None:
        link = Link("127.0.0.1", port)
        try:
            await link.connect()
            body = _CODEC.unsigned("0200", fields(stan, amount_fen, void_of=void_of))
            await link.send(_CODEC.frame(body, _MAC.sign(_CODEC.mac_input(body))))
            reply = _CODEC.read(await link.receive(timeout_ms))
            return reply.fields.get(39)
        except LinkError:
            return None
        finally:
            await link.close()

    return asyncio.run(run())
