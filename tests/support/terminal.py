"""The terminal's own half of a payment: the requests that a payment app sends to the host on its own line."""

import asyncio
from pathlib import Path

import msgspec

from agent import profile
from agent.core.profile import Kind
from agent.profile import AcquirerProfile
from device.acquirer.link import Link
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message
from device.errors import LinkError
from tests.support.agent import MAC_KEY
from tests.support.app import CHIP, MERCHANT, PAN, TERMINAL

BATCH = "000001"
BALANCE = Kind(name="balance", f3="310000", type="01")
INSTALMENT = Kind(name="instalment", f3="000000", type="54")
ANSWER_MS = 15_000  # for an answer that comes, however slow the machine is
LOST_MS = 700  # for one that does not come: long enough for the request to reach the host


class Kernel(msgspec.Struct, frozen=True):
    """A terminal that speaks one acquirer's profile."""

    profile: AcquirerProfile
    codec: Codec
    mac: SoftwareMac

    def kind(self, name: str) -> Kind:
        """How this kind stands on the line."""
        return next(kind for kind in (*self.profile.kinds, BALANCE, INSTALMENT) if kind.name == name)

    def fields(
        self, name: str, stan: str, amount_fen: int, of: str = "", *, batch: str = BATCH, date: str = ""
    ) -> dict[int, str]:
        """The fields of a request of this kind; `of` is the STAN, `date` the MMDD of its original."""
        kind = self.kind(name)
        said = {
            2: PAN, 3: kind.f3, 4: f"{amount_fen:012d}", 11: stan, 14: "3012", 22: "051", 23: "001", 25: kind.condition,
            41: TERMINAL, 42: MERCHANT, 49: "156", 55: CHIP,
            60: self.profile.reversal.f60.format(type=kind.type, batch=batch),
        }
        if of and kind.f61:
            said[61] = kind.f61.format(batch=batch, stan=of, date=date)
        return said

    def frame(self, mti: str, said: dict[int, str]) -> bytes:
        """A whole frame, signed."""
        return self.codec.pack(mti, said, self.mac.sign)

    def ask(self, port: int, mti: str, said: dict[int, str], timeout_ms: int = ANSWER_MS) -> Message | None:
        """Send it on a connection of its own; None when no answer came."""

        async def run() -> Message | None:
            link = Link("127.0.0.1", port, framing=self.codec.framing)
            try:
                await link.connect()
                await link.send(self.frame(mti, said))
                return self.codec.read(await link.receive(timeout_ms))
            except LinkError:
                return None
            finally:
                await link.close()

        return asyncio.run(run())

    def transact(
        self, port: int, name: str, stan: str, amount_fen: int, of: str = "", *, date: str = "", timeout_ms: int = ANSWER_MS
    ) -> Message | None:
        """A transaction of this kind; None when no answer came."""
        return self.ask(port, self.kind(name).mti, self.fields(name, stan, amount_fen, of, date=date), timeout_ms)


def kernel(name: str) -> Kernel:
    """A terminal on a profile that comes with the program."""
    spoken = profile.load(name, Path(), "")
    return Kernel(spoken, Codec(spoken.line), SoftwareMac(spoken.mac.algorithm, bytes.fromhex(MAC_KEY)))


UNIONPAY = kernel("unionpay")


def fields(stan: str, amount_fen: int, *, void_of: str | None = None, batch: str = BATCH) -> dict[int, str]:
    """The fields of a sale, or of the void of an earlier STAN, as UnionPay has them."""
    return UNIONPAY.fields("sale" if void_of is None else "void", stan, amount_fen, void_of or "", batch=batch)


def transact(port: int, stan: str, amount_fen: int, *, void_of: str | None = None, timeout_ms: int = ANSWER_MS) -> str | None:
    """Send a 0200 to a UnionPay host; the response code, or None when no answer came."""
    name = "sale" if void_of is None else "void"
    reply = UNIONPAY.transact(port, name, stan, amount_fen, void_of or "", timeout_ms=timeout_ms)
    return reply and reply.fields.get(39)
