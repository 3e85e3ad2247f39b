"""The wallet gateway of an acquirer or aggregator: three short HTTP calls about one order, each signed, each answer typed.

    GET  {url}/orders/{order_no}                                      → {state, amount_fen, reason}
    POST {url}/orders/{order_no}/cancel  {}                           → {state, retry, reason}
    POST {url}/orders/{order_no}/refund  {refund_no, amount_fen}      → {state, retry, reason}

Every request carries `Authorization: RV1-HMAC-SHA256 terminal=…, timestamp=…, signature=…`. The timestamp is milliseconds
since 1970; the signature is HMAC-SHA256, as hex, over five lines: method, path as sent, terminal, timestamp, and the body's
SHA-256 as hex. A terminal whose clock is wrong hears it from the gateway's `Date` header with a 401, and asks once more
with that time.

What is not a readable answer with status 200 is no answer: the order's state is unknown.
"""

import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from yarl import URL

from device import web
from device.errors import WalletUnclear, WalletUnreached

SCHEME = "RV1-HMAC-SHA256"
CALL_S = 8.0  # a whole call; the core waits two seconds longer
CONNECT_S = 4.0
ANSWER_BYTES_MAX = 16_384
SKEW_MS = 60_000  # less than that is not why a signature was refused

State = Literal["paid", "paying", "not_paid", "not_found", "closed", "refunded", "unknown"]
Fen = Annotated[int, msgspec.Meta(ge=0, le=999_999_999_999)]


class Answer(msgspec.Struct, frozen=True):
    """What the gateway says of an order. `retry`: the same cancel or refund may be made again. Other fields are not read."""

    state: State
    amount_fen: Fen | None = None
    retry: bool = True
    reason: str | None = None


_answers = msgspec.json.Decoder(Answer)


def signature(key: bytes, method: str, path: str, terminal: str, timestamp_ms: int, body: bytes) -> str:
    """HMAC-SHA256 over method, path, terminal, timestamp and the body's digest, one a line; as hex."""
    lines = (method, path, terminal, str(timestamp_ms), hashlib.sha256(body).hexdigest())
    return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def authorization(key: bytes, method: str, path: str, terminal: str, timestamp_ms: int, body: bytes) -> str:
    """The value of the header."""
    signed = signature(key, method, path, terminal, timestamp_ms, body)
    return f"{SCHEME} terminal={terminal}, timestamp={timestamp_ms}, signature={signed}"


class Gateway:
    """The gateway at `url`. `key` has 32 bytes, `wall_ms` is the terminal's clock (None: not set), `ca` a private authority."""

    def __init__(
        self, url: str, key: bytes, terminal: str, wall_ms: Callable[[], int | None], *, ca: Path | None = None,
        timeout_s: float = CALL_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._terminal = terminal
        self._wall_ms = wall_ms
        self._ca = ca
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(CONNECT_S, timeout_s / 2))
        self._skew_ms = 0

    async def query(self, order_no: str) -> Answer:
        """How the order stands. Raises WalletUnreached (no byte left) or WalletUnclear (no usable answer)."""
        return await self._call("GET", f"/orders/{quote(order_no, safe='')}", b"")

    async def cancel(self, order_no: str) -> Answer:
        """Cancel (撤销): closes an unpaid order and pays back a paid one. Raises as `query`."""
        return await self._call("POST", f"/orders/{quote(order_no, safe='')}/cancel", b"{}")

    async def refund(self, order_no: str, refund_no: str, amount_fen: int) -> Answer:
        """Refund; under the same `refund_no` the gateway pays back once. Raises as `query`."""
        body = msgspec.json.encode({"refund_no": refund_no, "amount_fen": amount_fen})
        return await self._call("POST", f"/orders/{quote(order_no, safe='')}/refund", body)

    async def _call(self, method: str, path: str, body: bytes) -> Answer:
        status, headers, raw = await self._send(method, path, body)
        if status == 401 and self._learn_time(headers):
            status, _, raw = await self._send(method, path, body)
        if status in {401, 403}:
            raise WalletUnclear(f"the wallet gateway refused our signature (HTTP {status}): check key, terminal id and clock")
        if status != 200:
            raise WalletUnclear(f"the wallet gateway answered HTTP {status}")
        try:
            return _answers.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise WalletUnclear("the wallet gateway's answer is not what was agreed") from None

    async def _send(self, method: str, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """One request on a connection of its own: a connection kept from before might take bytes and be gone already."""
        url = self._url + path
        parts = urlsplit(url)
        sent = parts.path + (f"?{parts.query}" if parts.query else "")
        timestamp_ms = (self._wall_ms() or 0) + self._skew_ms
        headers = {"Authorization": authorization(self._key, method, sent, self._terminal, timestamp_ms, body)}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout, connector=self._connector()) as session,
                session.request(
                    method, URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False
                ) as answer,
            ):
                return answer.status, answer.headers, await _read(answer)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise WalletUnreached(f"the wallet gateway cannot be reached: {type(error).__name__}") from None
        except TimeoutError:
            raise WalletUnclear("the wallet gateway did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise WalletUnclear(f"the wallet gateway broke off: {type(error).__name__}") from None

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(ssl=self._tls() if self._url.startswith("https:") else True, force_close=True)

    def _tls(self) -> ssl.SSLContext:
        return web.authorities() if self._ca is None else ssl.create_default_context(cafile=self._ca)

    def _learn_time(self, headers: Mapping[str, str]) -> bool:
        """Take the gateway's time, when it is far from ours. True: ask once more."""
        try:
            theirs_ms = int(parsedate_to_datetime(headers.get("Date", "")).timestamp() * 1000)
        except (ValueError, OverflowError):
            return False
        before_ms = self._skew_ms
        self._skew_ms = theirs_ms - (self._wall_ms() or 0)
        return abs(self._skew_ms - before_ms) > SKEW_MS


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body; one that is too long is no answer of ours."""
    raw = bytearray()
    async for chunk in answer.content.iter_chunked(4_096):
        raw += chunk
        if len(raw) > ANSWER_BYTES_MAX:
            raise WalletUnclear("the wallet gateway's answer is longer than any of ours")
    return bytes(raw)
