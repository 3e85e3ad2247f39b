"""The acquirer's host as a pure model: a request and the time in, actions out. No I/O, no clock, no randomness of its own.

A simulated world runs it through millions of requests; `device.simulator.acquirer` puts sockets around it. It answers as
UnionPay's hosts do (`F39` 00, 12, 22, 25, 30, 64, 77, 94, 96, A0) and does wrong exactly what its `Faults` say.
"""

import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from device.acquirer.message import reply_mti
from device.simulator.faults import APPROVALS, NO_FAULT, Fault, Faults
from device.simulator.ledger import Entry, Ledger

Fields = Mapping[int, str]
MacState = Literal["good", "broken", "absent"]

ACQUIRER_ID = "01020000"
BALANCE_FEN = 100_000
CHINA_S = 8 * 3600

# Message types whose requests must carry a MAC, and whose answers do.
SIGNED = frozenset({"0100", "0200", "0220", "0400"})
_REPEATED = (2, 3, 4, 11, 25, 41, 42, 49, 60)


class Answer(NamedTuple):
    """Send this message after `after_ms`. `half`: send half of it and end the line."""

    after_ms: int
    mti: str
    fields: dict[int, str]
    mac: MacState
    half: bool = False


class Cut(NamedTuple):
    """End the line after `after_ms`, by FIN or by RST."""

    after_ms: int
    how: Literal["close", "reset"]


class Later(NamedTuple):
    """The request is still on its way: call `AcquirerModel.arrive` with this after `after_ms`."""

    after_ms: int
    mti: str
    fields: Fields
    mac: MacState
    fault: Fault


Action = Answer | Cut | Later


class Kind(NamedTuple):
    """One kind of transaction: its processing code, what it books, whether F61 names an original that it undoes."""

    name: str
    f3: str
    direction: int
    undoes: bool = False


# By message type and F60.1 (the transaction type code of UnionPay terminals).
KINDS = {
    ("0200", "22"): Kind("sale", "000000", +1),
    ("0200", "23"): Kind("void", "200000", -1, undoes=True),
    ("0200", "01"): Kind("balance", "310000", 0),
}


class AcquirerModel:
    """One host. `faults` may be changed at any time; `ledger` is the truth.

    `no_original` is what an unknown reversal is answered (25 or 12). `cutoff_hour` is when the business day (F15) ends, in
    China's time.
    """

    def __init__(self, faults: Faults | None = None, *, no_original: str = "25", cutoff_hour: int = 23) -> None:
        self.faults = faults or Faults()
        self.ledger = Ledger()
        self.no_original = no_original
        self._day_shift_s = (24 - cutoff_hour) * 3600
        self._count = 0
        self._handlers: dict[str, Callable[[Fields, dict[int, str]], str]] = {
            "0200": self._transaction, "0400": self._reversal, "0500": self._settlement,
            "0800": self._sign_in, "0820": _echo,
        }

    def handle(self, mti: str, fields: Fields, now_ms: int, mac: MacState = "good") -> list[Action]:
        """Take a request that has just been sent. `now_ms` is milliseconds since 1970; `mac` is what its MAC proved to be.

        An empty list means that nobody ever hears of it. What is not a request gets no answer.
        """
        if int(mti[2]) % 2:  # 0210, 0410 …: an answer
            return []
        fault = self.faults.choose(mti)
        if fault.drop_request:
            return self._cut(fault)
        if fault.late_ms:
            return [Later(fault.late_ms, mti, fields, mac, fault), *self._cut(fault)]
        return self._work(mti, fields, now_ms, mac, fault)

    def arrive(self, later: Later, now_ms: int) -> list[Action]:
        """Take the request of a `Later` whose time has come."""
        return self._work(later.mti, later.fields, now_ms, later.mac, later.fault)

    def _work(self, mti: str, fields: Fields, now_ms: int, mac: MacState, fault: Fault) -> list[Action]:
        reply = self._frame_of_reply(fields, now_ms)
        if fault.code and fault.code not in APPROVALS and not fault.processed:
            code = fault.code
        elif mti in SIGNED and mac != "good":
            code = "A0"
        else:
            handler = self._handlers.get(mti)
            code = handler(fields, reply) if handler else "12"
            if fault.processed or code in APPROVALS:
                code = fault.code or code
        reply[39] = code
        if code in APPROVALS and mti in SIGNED and mti != "0400":
            reply[38] = f"{self._count % 1_000_000:06d}"
        if fault is NO_FAULT:
            return [Answer(0, reply_mti(mti), reply, "good" if mti in SIGNED else "absent")]
        return self._answers(mti, reply, fault)

    def _answers(self, mti: str, reply: dict[int, str], fault: Fault) -> list[Action]:
        if fault.drop_reply or fault.line in ("close", "reset"):
            return self._cut(fault)
        right = Answer(
            fault.delay_ms, reply_mti(mti), reply, fault.mac if mti in SIGNED else "absent", half=fault.line == "half")
        answers: list[Action] = [right._replace(fields=_foreign(reply))] if fault.cross or fault.stray else []
        answers += [] if fault.cross else [right]
        return answers * 2 if fault.duplicate else answers

    def _cut(self, fault: Fault) -> list[Action]:
        if fault.line in ("close", "reset"):
            return [Cut(fault.delay_ms, "reset" if fault.line == "reset" else "close")]
        return []

    def _frame_of_reply(self, fields: Fields, now_ms: int) -> dict[int, str]:
        """What every answer has: the identity repeated, the host's time and business day, a reference number."""
        self._count += 1
        reply = {number: fields[number] for number in _REPEATED if number in fields}
        now_s = now_ms // 1000 + CHINA_S
        _year, month, day, hour, minute, second, *_ = time.gmtime(now_s)
        reply[12] = f"{hour:02d}{minute:02d}{second:02d}"
        reply[13] = f"{month:02d}{day:02d}"
        if self._day_shift_s:
            _year, month, day, *_ = time.gmtime(now_s + self._day_shift_s)
        reply[15] = f"{month:02d}{day:02d}"
        reply[32] = ACQUIRER_ID
        reply[37] = f"{self._count:012d}"
        return reply

    def _transaction(self, fields: Fields, reply: dict[int, str]) -> str:
        f60 = fields.get(60, "")
        kind = KINDS.get(("0200", f60[:2]))
        if kind is None:
            return "12"
        name = _name(fields)
        if name is None or fields.get(3) != kind.f3:
            return "30"
        if not kind.direction:
            reply[54] = f"1002156C{BALANCE_FEN:012d}"
            return "00"
        return self._book(kind, fields, name)

    def _book(self, kind: Kind, fields: Fields, name: tuple[str, str, str, str]) -> str:
        terminal_id, merchant_id, batch, stan = name
        if self.ledger.is_settled(terminal_id, batch):
            return "77"
        if self.ledger.find(terminal_id, batch, stan):
            return "94"
        entry = Entry(terminal_id, merchant_id, batch, stan, kind.name, int(fields.get(4, "0")), kind.direction)
        original = None
        if kind.undoes:
            f61 = fields.get(61, "")
            original = self.ledger.find(terminal_id, f61[:6], f61[6:12])
            if original is None or original.merchant_id != merchant_id or original.direction < 0:
                return self.no_original
            if original.reversed or original.voided:
                return "22"
            if original.amount_fen != entry.amount_fen:
                return "64"
            entry.original = (terminal_id, original.batch, original.stan)
        if not self.ledger.open(entry):
            return "96"
        if original is not None:
            original.voided = True
        return "00"

    def _reversal(self, fields: Fields, _reply: dict[int, str]) -> str:
        name = _name(fields)
        if name is None:
            return "30"
        terminal_id, merchant_id, batch, stan = name
        entry = self.ledger.find(terminal_id, batch, stan)
        if entry is None or entry.merchant_id != merchant_id or self.ledger.is_settled(terminal_id, batch):
            return self.no_original
        if int(fields.get(4, "0")) != entry.amount_fen:
            return "64"
        if entry.voided:
            return "22"
        if entry.original and not entry.reversed:  # a void undone: its original stands again
            original = self.ledger.find(*entry.original)
            if original is not None:
                original.voided = False
        self.ledger.reverse(entry)
        return "00"

    def _settlement(self, fields: Fields, reply: dict[int, str]) -> str:
        """Close the batch and say whether the terminal's totals agree (F48: 31 digits, the last one 1 even, 2 not)."""
        batch = fields.get(60, "")[2:8]
        if len(batch) != 6 or 41 not in fields:
            return "30"
        totals = "{:012d}{:03d}{:012d}{:03d}".format(*self.ledger.settle(fields[41], batch))
        claimed = fields.get(48, "")
        reply[48] = totals + ("1" if claimed[:30] == totals else "2") + claimed[31:]
        return "00"

    def _sign_in(self, fields: Fields, _reply: dict[int, str]) -> str:
        return "00" if 41 in fields else "30"


def _echo(_fields: Fields, _reply: dict[int, str]) -> str:
    return "00"


def _name(fields: Fields) -> tuple[str, str, str, str] | None:
    """Terminal, merchant, batch (F60.2) and STAN, or None when a part is missing."""
    terminal_id, merchant_id, stan = fields.get(41), fields.get(42), fields.get(11)
    batch = fields.get(60, "")[2:8]
    return (terminal_id, merchant_id, batch, stan) if terminal_id and merchant_id and stan and len(batch) == 6 else None


def _foreign(reply: Mapping[int, str]) -> dict[int, str]:
    """The answer as another transaction of the same terminal would have got it."""
    foreign = dict(reply)
    if 11 in foreign:
        foreign[11] = f"{(int(foreign[11]) + 1) % 1_000_000:06d}"
    else:  # an echo has no STAN: the answer of another terminal
        foreign[41] = foreign.get(41, "00000001")[::-1]
    return foreign
