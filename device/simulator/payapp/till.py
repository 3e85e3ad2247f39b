"""A simulated payment app at work: sells, reverses by its own kernel, and answers what the agent asks of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from device.acquirer.link import Link
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, matches
from device.errors import DeviceError
from device.simulator.payapp.kernel import Kernel, Record, Sale

TERMINAL_ID, MERCHANT_ID = "12345678", "898310148160001"
TEST_PAN = "6222021234567890128"  # of the public test vectors; it goes to the simulated host only
RESENDS_MAX = 20  # of a call that the agent did not answer
RESEND_S = 0.2
CALL_S = 5.0
SIGNED = frozenset({"0200", "0400"})
NOT_TAKEN = frozenset({*range(400, 500), 507})  # the agent's answers that say that it wrote nothing


class Till:
    """One app at one agent (the path of its socket) and one host. `card`: somebody puts one in when it is asked for.

    `can_flush`: it knows the flush; else only the balance inquiry. `on_line` hears what it does.
    """

    def __init__(
        self, agent: Path, host: str, port: int, kernel: Kernel, mac: SoftwareMac, *, reply_ms: int = 20_000, card: bool = True,
        can_flush: bool = True, on_line: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.kernel = kernel
        self.card = card
        self.can_flush = can_flush
        self.say = on_line
        self.answered: set[str] = set()  # requests: the same one may come twice
        self._agent = str(agent)
        self._where = (host, port)
        self._mac = mac
        self._codec = Codec()
        self._reply_ms = reply_ms
        self._busy = asyncio.Lock()
        self._reported: set[tuple[str, str]] = set()  # by the last run of the kernel

    # ── selling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def sale(self, amount_fen: int, replaces: str | None = None) -> dict[str, Any]:
        """One sale, from permission to the agent's word on its result; that word, with the STAN."""
        async with self._busy:
            kernel, stan = self.kernel, self.kernel.next_stan()
            asked: dict[str, Any] = {
                "rail": "card", "kind": "sale", "amount_fen": amount_fen, "stan": stan, "batch": kernel.batch,
                "terminal_id": TERMINAL_ID, "merchant_id": MERCHANT_ID, "sent": True,
                "card": {"token": "tok-1", "last4": TEST_PAN[-4:]},
            }
            if replaces is not None:
                asked["replaces"] = replaces
            blocked = kernel.has("T15") and bool(kernel.disk.records)
            answer = await (self._blocked(asked) if blocked else self._sell(stan, amount_fen, asked))
            return answer | {"stan": stan}

    async def _blocked(self, asked: dict[str, Any]) -> dict[str, Any]:
        """It is opened and not sent."""
        opened = await self.call("POST", "/v1/transactions", asked | {"sent": False})
        return opened if opened["status"] != 201 else await self._report(opened["id"], {"outcome": "not_sent"})

    async def _sell(self, stan: str, amount_fen: int, asked: dict[str, Any]) -> dict[str, Any]:
        kernel, batch = self.kernel, self.kernel.batch
        sale = Sale("", asked, str(uuid4()))
        begun = kernel.begin(stan, amount_fen, sale)
        opened = await self._ask(sale)
        if opened["status"] != 201:
            if begun and opened["status"] in NOT_TAKEN:
                kernel.withdraw(batch, stan)
            return opened
        kernel.named(batch, stan, opened["id"])
        if opened["proceed"] != "go":
            return await self._not_sent(batch, stan, opened["id"])
        if not kernel.has("T10"):
            await self._reverse(sending=stan)
        code, _ = await self._exchange("0200", self._fields("22", "000000", stan, amount_fen))
        if kernel.has("T6"):
            kernel.keep(stan, amount_fen)
        state = "no_answer" if code is None else "approved" if code == "00" else "declined"
        kernel.hear(stan, state, code)
        said = {"outcome": state} if code is None else {"outcome": state, "response_code": code}
        answer = await self._report(opened["id"], said)
        kernel.decide(batch, stan, str(answer.get("state")))
        return answer

    async def _ask(self, sale: Sale) -> dict[str, Any]:
        """May it be sent? Asked again, the agent knows it by its key and opens nothing twice."""
        return await self.call("POST", "/v1/transactions", sale.asked, key=sale.asked_as)

    async def _not_sent(self, batch: str, stan: str, key: str) -> dict[str, Any]:
        """No byte left. Where the agent had said `go` that is no proof, and the record stays for the reversal."""
        answer = await self._report(key, {"outcome": "not_sent"})
        if answer.get("state") == "not_sent":
            self.kernel.withdraw(batch, stan)
        return answer

    async def _report(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self.call("POST", f"/v1/transactions/{key}/result", body)

    async def settle(self) -> None:
        """Close the batch; a sound kernel reverses what is pending first."""
        async with self._busy:
            batch = self.kernel.batch
            await self.call("POST", "/v1/batch", {"batch": batch, "event": "settling"})
            if not self.kernel.has("T12"):
                await self._reverse()
            await self._exchange("0500", self._fields("00", None, self.kernel.next_stan(), None))
            self.kernel.settled()
            await self.call("POST", "/v1/batch", {"batch": batch, "event": "settled"})

    async def balance(self) -> str:
        """A person asks a card's balance, the folk procedure: what is pending goes first."""
        async with self._busy:
            return await self._inquire()

    async def _inquire(self) -> str:
        await self._reverse()
        code, _ = await self._exchange("0200", self._fields("01", "310000", self.kernel.next_stan(), None))
        return code or ""

    # ── the kernel at work ───────────────────────────────────────────────────────────────────────────────────────────

    async def _reverse(self, sending: str | None = None) -> None:
        """Send every 0400 that is due and report what came of each, before anything else goes out."""
        self._reported.clear()
        for record in self.kernel.due(sending):
            sale = self.kernel.sale_of(record)
            if sale is not None and not sale.id and not await self._asked_again(record, sale):
                continue
            code, ours = await self._exchange("0400", self._reversal(record))
            verdict = self.kernel.judge(record, code, ours=ours)
            if sale is not None:
                body = {"outcome": verdict.outcome} | ({"response_code": verdict.code} if verdict.code else {})
                self._reported.add((record.batch, record.stan))
                answer = await self.call("POST", f"/v1/transactions/{sale.id}/reversal", body)
                self.kernel.told(record, str(answer.get("state")))

    async def _asked_again(self, record: Record, sale: Sale) -> bool:
        """The agent's answer was not heard: ask for it again, and say that nothing was sent. Is there a 0400 to send?"""
        opened = await self._ask(sale)
        if opened["status"] != 201:
            return False
        self.kernel.named(record.batch, record.stan, str(opened["id"]))
        await self._not_sent(record.batch, record.stan, sale.id)
        return self.kernel.holds(record.batch, record.stan)

    def _reversal(self, record: Record) -> dict[int, str]:
        fields = self._fields("22", "000000", record.stan, record.amount_fen)
        return fields | {39: "98", 60: f"22{record.batch}000"}

    # ── what the agent asks ──────────────────────────────────────────────────────────────────────────────────────────

    def known(self, batch: str, stan: str) -> dict[str, Any]:
        """What is known of a transaction, as the agent's contract has it."""
        sale = self.kernel.find(batch, stan)
        if sale is None:
            return {"state": "unknown", "record": "gone"}
        told = ("state", "response_code", "reversal", "reversal_code")
        said = {name: value for name in told if (value := getattr(sale, name)) is not None}
        held = self.kernel.holds(batch, stan) or sale.state == "waiting"
        return said | {"record": "held" if held else "gone"}

    def takes(self, what: str) -> str:
        """May this request be begun: taken, unsupported or busy?"""
        if what == "flush_reversals" and not self.can_flush:
            return "unsupported"
        return "busy" if self._busy.locked() else "taken"

    async def perform(self, request: str, what: str, batch: str, stan: str) -> None:
        """Carry out a request, once, and answer it where the reports did not."""
        if request in self.answered:
            return
        self.answered.add(request)
        async with self._busy:
            if what == "flush_reversals":
                await self._answer_after(request, self._reverse, batch, stan)
            elif not self.card:
                await self.answer(request, {"outcome": "no_card"})
            else:
                await self._answer_after(request, self._inquire, batch, stan)

    async def _answer_after(self, request: str, work: Callable[[], Awaitable[object]], batch: str, stan: str) -> None:
        await self.answer(request, {"outcome": "sent"})
        await work()
        if (batch, stan) not in self._reported:  # its kernel had nothing to send for this one
            held = "held" if self.kernel.holds(batch, stan) else "gone"
            await self.answer(request, {"outcome": "refused", "record": held})

    async def answer(self, request: str, body: dict[str, Any]) -> None:
        """POST /v1/requests/{id}."""
        await self.call("POST", f"/v1/requests/{request}", body)

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def session(self) -> aiohttp.ClientSession:
        """A connection to the agent."""
        return aiohttp.ClientSession("http://agent", connector=aiohttp.UnixConnector(self._agent))

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> dict[str, Any]:
        """One call to the agent, resent until it is answered. The answer with its `status`; 0 when none came.

        `key` is the Idempotency-Key.
        """
        self.say(f"> {method} {path} {_said(body)}")
        data, headers = None if body is None else msgspec.json.encode(body), {} if key is None else {"Idempotency-Key": key}
        for _ in range(RESENDS_MAX):
            try:
                async with (
                    asyncio.timeout(CALL_S),
                    self.session() as session,
                    session.request(method, path, data=data, headers=headers) as response,
                ):
                    found: dict[str, Any] = msgspec.json.decode(await response.read())
                    self.say(f"< {response.status} {_said(found)}")
                    return found | {"status": response.status}
            except (OSError, TimeoutError, aiohttp.ClientError, msgspec.DecodeError):
                await asyncio.sleep(RESEND_S)
        return {"status": 0}

    async def _exchange(self, mti: str, fields: dict[int, str]) -> tuple[str | None, bool]:
        """Send one message on a line of our own: the code of the answer, None without one, and whether it is ours."""
        link = Link(*self._where)
        try:
            await link.connect()
            body = self._codec.unsigned(mti, fields)
            mac = self._mac.sign(self._codec.mac_input(body)) if mti in SIGNED else None
            await link.send(self._codec.frame(body, mac))
            reply = self._codec.read(await link.receive(self._reply_ms))
            self.say(f"{mti} {fields[11]} → {reply.fields.get(39)}")
            return reply.fields.get(39), matches(mti, fields, reply)
        except DeviceError as error:
            self.say(f"{mti}: {error}")
            return None, True
        finally:
            await link.close()

    def _fields(self, kind: str, f3: str | None, stan: str, amount_fen: int | None) -> dict[int, str]:
        fields = {11: stan, 25: "00", 41: TERMINAL_ID, 42: MERCHANT_ID, 49: "156", 60: f"{kind}{self.kernel.batch}000"}
        if f3 is None:  # a settlement
            totals = {48: "0" * 31, 49: "156", 60: f"00{self.kernel.batch}201"}
            return {number: fields[number] for number in (11, 41, 42)} | totals
        fields |= {2: TEST_PAN, 3: f3, 14: "3012", 22: "051", 23: "001"}
        return fields if amount_fen is None else fields | {4: f"{amount_fen:012d}"}


def _said(body: Any) -> str:
    """What counts of a body, for the log."""
    named = ("outcome", "state", "response_code", "proceed", "record") if isinstance(body, dict) else ()
    return " ".join(str(body[name]) for name in named if name in body)
