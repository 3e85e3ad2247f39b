"""Who makes and checks F64: a key in software, or the payment app, whose PIN pad holds the key."""

import hmac
from typing import Protocol

from device.acquirer.mac import SoftwareMac
from device.errors import MacError
from device.lent import Lent
from device.payapp import PayappError


class MacService(Protocol):
    """Makes and checks F64. Both raise MacError when nobody can: neither means that a MAC was wrong."""

    async def sign(self, data: bytes) -> bytes:
        """The eight bytes of F64 for `data`."""

    async def verify(self, data: bytes, mac: bytes) -> bool:
        """True when `mac` belongs to `data`."""


class SoftwareService:
    """The key is in memory, so the answer is there at once."""

    def __init__(self, mac: SoftwareMac) -> None:
        self._mac = mac

    async def sign(self, data: bytes) -> bytes:
        """F64."""
        return self._mac.sign(data)

    async def verify(self, data: bytes, mac: bytes) -> bool:
        """True when `mac` belongs to `data`."""
        return self._mac.verify(data, mac)


class PayappService:
    """The PIN pad makes a MAC; it is checked by making it again."""

    def __init__(self, app: Lent, algorithm: str) -> None:
        self._app = app
        self._algorithm = algorithm

    async def sign(self, data: bytes) -> bytes:
        """F64."""
        try:
            return await self._app.mac(self._algorithm, data)
        except PayappError as error:
            raise MacError(str(error)) from None

    async def verify(self, data: bytes, mac: bytes) -> bool:
        """True when `mac` belongs to `data`; takes the same time wherever the first difference is."""
        return hmac.compare_digest(await self.sign(data), mac)
