"""The payment app's own HTTP port: what only the app can do is asked of it there, in short calls that may fail.

The calls ask for something; the answer that matters comes back over the agent's local API. An app without a port reads the same
wishes from the event stream. What the port says is small JSON; anything else is taken as no answer.
"""

from typing import Literal

import aiohttp
import msgspec

from device import web
from device.errors import DeviceError

ASK_S = 5.0  # from the first try to connect to the end of the answer
ANSWER_BYTES_MAX = 4_096
CANNOT = frozenset({404, 405, 501})  # the app has no such call
IS_BUSY = frozenset({409, 423, 429, 503})  # it has, but not now

Taken = Literal["taken", "unsupported", "busy"]


class PayappError(DeviceError):
    """The payment app was not reached, did not answer in time, or refused. It or its port in the configuration is at fault."""


class Known(msgspec.Struct, frozen=True):
    """What the app knows of one transaction: what it heard, does its kernel hold the record, what became of the 0400."""

    state: Literal["approved", "declined", "no_answer", "bad_mac", "not_sent", "approved_not_completed", "waiting", "unknown"]
    response_code: str | None = None
    approved_fen: int | None = None
    rrn: str | None = None
    auth_code: str | None = None
    record: Literal["held", "gone"] | None = None
    reversal: Literal["accepted", "refused"] | None = None
    reversal_code: str | None = None


_KNOWN = msgspec.json.Decoder(Known)


class Payapp:
    """The app at `url`, as `payapp.url` has it. Every call raises PayappError."""

    def __init__(self, url: str, timeout_s: float = ASK_S) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._ssl = web.authorities() if self._url.startswith("https:") else True

    async def ask_receipt(self, stan: str, batch: str) -> None:
        """Ask for the genuine receipt of a transaction: POST {url}/reprint {stan, batch}."""
        status, _ = await self._call("POST", "reprint", {"stan": stan, "batch": batch})
        self._want_success("reprint", status)

    async def flush_reversals(self, request_id: str, stan: str, batch: str) -> Taken:
        """Ask it to send the 0400s that its kernel holds: POST {url}/flush-reversals {request_id, stan, batch}."""
        return await self._ask("flush-reversals", {"request_id": request_id, "stan": stan, "batch": batch})

    async def balance_inquiry(self, request_id: str, stan: str, batch: str) -> Taken:
        """Ask it to run a balance inquiry: POST {url}/balance-inquiry {request_id, reason, stan, batch}."""
        body = {"request_id": request_id, "reason": "reversal", "stan": stan, "batch": batch}
        return await self._ask("balance-inquiry", body)

    async def transaction(self, stan: str, batch: str) -> Known | None:
        """What it knows: GET {url}/transactions/{batch}/{stan}. None when the app has no such call, or no time for it."""
        status, raw = await self._call("GET", f"transactions/{batch}/{stan}")
        if status in CANNOT or status in IS_BUSY:
            return None
        self._want_success("transactions", status)
        try:
            return _KNOWN.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PayappError(f"the payment app at {self._url} answered what makes no sense") from None

    async def _ask(self, call: str, body: dict[str, str]) -> Taken:
        status, _ = await self._call("POST", call, body)
        if status in CANNOT:
            return "unsupported"
        if status in IS_BUSY:
            return "busy"
        self._want_success(call, status)
        return "taken"

    def _want_success(self, call: str, status: int) -> None:
        if not 200 <= status < 300:
            raise PayappError(f"the payment app at {self._url} refused {call}: HTTP {status}")

    async def _call(self, method: str, call: str, body: dict[str, str] | None = None) -> tuple[int, bytes]:
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.request(method, f"{self._url}/{call}", json=body, allow_redirects=False, ssl=self._ssl) as answer,
            ):
                raw = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while raw and len(raw) <= ANSWER_BYTES_MAX and (more := await answer.content.read(ANSWER_BYTES_MAX)):
                    raw += more
                status = answer.status
        except TimeoutError:
            raise PayappError(f"the payment app at {self._url} did not answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PayappError(f"the payment app at {self._url} cannot be reached: {type(error).__name__}") from None
        if len(raw) > ANSWER_BYTES_MAX:
            raise PayappError(f"the payment app at {self._url} answered more than {ANSWER_BYTES_MAX} bytes")
        return status, raw
