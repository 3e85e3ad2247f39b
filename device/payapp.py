"""The payment app's own HTTP port: what only the app can do is asked of it there, in one short call that may fail.

The call asks for something; the answer that matters comes back over the agent's local API. An app without a port reads the same
wish from the event stream.
"""

import aiohttp

from device import web
from device.errors import DeviceError

ASK_S = 5.0  # from the first try to connect to the end of the answer
ANSWER_BYTES_MAX = 4_096


class PayappError(DeviceError):
    """The payment app was not reached, did not answer in time, or refused. It or its port in the configuration is at fault."""


class Payapp:
    """The app at `url`, as `payapp.url` has it."""

    def __init__(self, url: str, timeout_s: float = ASK_S) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._ssl = web.authorities() if self._url.startswith("https:") else True

    async def ask_receipt(self, stan: str, batch: str) -> None:
        """Ask for the genuine receipt of a transaction: POST {url}/reprint {stan, batch}. Raises PayappError."""
        status, _ = await self._call("POST", "reprint", {"stan": stan, "batch": batch})
        self._want_success("reprint", status)

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
