"""What the payment app lends the agent over its own port: the MAC of its PIN pad, its line, and a sign-in on request.

Every call is short, answers in small JSON, and may fail: `PayappError` says that nothing was lent.
"""

import re
from typing import Any

import msgspec

from device.payapp import Payapp, PayappError

LEND_S = 3.0  # a reversal waits for it, and a cashier for the reversal
LEASE_MS = 60_000  # of an app that does not say how long
LEASE_MS_MIN = 1_000
LEASE_MS_MAX = 600_000
_MAC = re.compile(r"[0-9A-Fa-f]{16}")


class _Mac(msgspec.Struct, frozen=True):
    """The eight bytes of F64 as 16 hexadecimal digits."""

    mac: str


class _Lease(msgspec.Struct, frozen=True):
    """How long the line is ours without asking again."""

    lease_ms: int = LEASE_MS


class Lent(Payapp):
    """The app at `url`. Every call raises PayappError."""

    def __init__(self, url: str, timeout_s: float = LEND_S) -> None:
        super().__init__(url, timeout_s)

    async def sign_in(self) -> None:
        """Ask it to sign in (0800): POST {url}/sign-in {}. That it is done it reports over the local API."""
        await self._lent("sign-in", {}, None)

    async def mac(self, algorithm: str, data: bytes) -> bytes:
        """F64 for `data` (MTI … the byte before F64): POST {url}/mac {algorithm, data} → {mac}."""
        said = await self._lent("mac", {"algorithm": algorithm, "data": data.hex().upper()}, _Mac)
        if not _MAC.fullmatch(said.mac):
            raise PayappError(f"the payment app at {self._url} answered mac with something that is not 16 hexadecimal digits")
        return bytes.fromhex(said.mac)

    async def acquire_line(self) -> int:
        """Ask for the line, or for more time: POST {url}/line {action} → {lease_ms}. How many ms it is ours."""
        said = await self._lent("line", {"action": "acquire"}, _Lease)
        return min(max(int(said.lease_ms), LEASE_MS_MIN), LEASE_MS_MAX)

    async def release_line(self) -> None:
        """Give it back: POST {url}/line {action}."""
        await self._lent("line", {"action": "release"}, None)

    async def _lent(self, call: str, body: dict[str, str], kind: type[msgspec.Struct] | None) -> Any:
        status, raw = await self._call("POST", call, body)
        self._want_success(call, status)
        if kind is None:
            return None
        try:
            return msgspec.json.decode(raw or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PayappError(f"the payment app at {self._url} answered {call} with what makes no sense") from None
