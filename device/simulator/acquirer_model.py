"""The acquirer's host as a pure model: a request and the time in, actions out. No I/O, no clock, no randomness of its own.

`device.simulator.acquirer` puts sockets around it. It answers as the hosts of its `HostRules` do (UnionPay's: F39 00, 12, 22,
25, 30, 58, 64, 77, 94, 96, A0) and does wrong exactly what its `Faults` say. What kinds book stands in `booking`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from device.acquirer.message import first_sent, reply_mti
from device.simulator import booking
from device.simulator.faults import NO_FAULT, Fault, Faults
from device.simulator.hostrules import UNIONPAY_HOST, HostRules
from device.simulator.ledger import Entry, Ledger

Fields = Mapping[int, str]
MacState = Literal["good", "broken", "absent"]

ACQUIRER_ID = "01020000"
BALANCE_FEN = 100_000
CHINA_S = 8 * 3600
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


class AcquirerModel:
    """One host. `faults` may be changed at any time; `ledger` is the truth.

    `cutoff_hour` is when the business day (F15) ends, in China's time. `clock_ms` is how far the host's clock is ahead of the
    time that it is given.
    """

    def __init__(self, faults: Faults | None = None, *, rules: HostRules = UNIONPAY_HOST, cutoff_hour: int = 23) -> None:
        self.faults = faults or Faults()
        self.rules = rules
        self.ledger = Ledger()
        self.clock_ms = 0
        self._signed = rules.signed
        self._day_shift_s = (24 - cutoff_hour) * 3600
        self._count = 0
        self._handlers: dict[str, Callable[[Fields, dict[int, str]], str]] = {
            rules.reversal: self._reversal, rules.settlement: self._settlement, rules.echo: self._network,
            rules.sign_in: self._network,
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
        rules, kind = self.rules, first_sent(mti)
        signed, reply = kind in self._signed, self._frame_of_reply(fields, now_ms)
        if fault.code and fault.code not in rules.approvals and not fault.processed:
            code = fault.code
        elif signed and mac != "good":
            code = rules.codes.key
        else:
            handler = self._handlers.get(kind)
            code = handler(fields, reply) if handler else self._transaction(kind, fields, reply, fault)
            if fault.processed or code in rules.approvals:
                code = fault.code or code
        reply[39] = code
        if code in rules.approvals and signed and kind != rules.reversal:
            reply[38] = f"{self._count % 1_000_000:06d}"
        if fault is NO_FAULT:
            return [Answer(0, reply_mti(kind), reply, "good" if signed else "absent")]
        return self._answers(kind, reply, fault)

    def _answers(self, mti: str, reply: dict[int, str], fault: Fault) -> list[Action]:
        if fault.drop_reply or fault.line in ("close", "reset"):
            return self._cut(fault)
        right = Answer(
            fault.delay_ms, reply_mti(mti), reply, fault.mac if mti in self._signed else "absent", half=fault.line == "half")
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
        now_s = (now_ms + self.clock_ms) // 1000 + CHINA_S
        _year, month, day, hour, minute, second, *_ = time.gmtime(now_s)
        reply[12] = f"{hour:02d}{minute:02d}{second:02d}"
        reply[13] = f"{month:02d}{day:02d}"
        if self._day_shift_s:
            _year, month, day, *_ = time.gmtime(now_s + self._day_shift_s)
        reply[15] = f"{month:02d}{day:02d}"
        reply[32] = ACQUIRER_ID
        reply[37] = f"{self._count:012d}"
        return reply

    def _transaction(self, mti: str, fields: Fields, reply: dict[int, str], fault: Fault) -> str:
        rules = self.rules
        if mti not in self._signed:
            return rules.codes.unknown
        kind = rules.kind(mti, fields.get(3, ""), fields.get(60, ""))
        entry = self._entry(fields)
        if kind is None:
            return rules.codes.unknown
        if entry is None or fields.get(3) != kind.f3:
            return rules.codes.unreadable
        if kind.name == "balance":
            reply[54] = f"1002156C{BALANCE_FEN:012d}"
            return "00"
        entry.kind, entry.date = kind.name, reply[13]
        if 0 < fault.partial_fen < entry.asked_fen:
            entry.amount_fen = fault.partial_fen
            reply[4] = f"{fault.partial_fen:012d}"
        code = booking.book(self.ledger, rules, kind, entry)
        return rules.codes.partial if code == "00" and entry.amount_fen < entry.asked_fen else code

    def _reversal(self, fields: Fields, _reply: dict[int, str]) -> str:
        asked = self._entry(fields)
        if asked is None:
            return self.rules.codes.unreadable
        return booking.reverse(self.ledger, self.rules, asked, fields.get(3, ""))

    def _entry(self, fields: Fields) -> Entry | None:
        """Terminal, merchant, batch (F60.2) and STAN with what else a message says, or None when one of these is missing."""
        terminal_id, merchant_id, stan = fields.get(41), fields.get(42), fields.get(11)
        batch = self.rules.batch(fields.get(60, ""))
        if not (terminal_id and merchant_id and stan and batch):
            return None
        amount_fen = int(fields.get(4, "0"))
        return Entry(
            terminal_id, merchant_id, batch, stan, "", amount_fen, amount_fen, f25=fields.get(25, ""), f61=fields.get(61, "")
        )

    def _settlement(self, fields: Fields, reply: dict[int, str]) -> str:
        """Close the batch and say whether the terminal's totals agree (F48: 31 digits, the last one 1 even, 2 not)."""
        batch = self.rules.batch(fields.get(60, ""))
        if not batch or 41 not in fields:
            return self.rules.codes.unreadable
        totals = "{:012d}{:03d}{:012d}{:03d}".format(*self.ledger.settle(fields[41], batch))
        claimed = fields.get(48, "")
        reply[48] = totals + ("1" if claimed[:30] == totals else "2") + claimed[31:]
        return "00"

    def _network(self, fields: Fields, _reply: dict[int, str]) -> str:
        """An echo test or a sign-in."""
        return "00" if 41 in fields else self.rules.codes.unreadable


def _foreign(reply: Mapping[int, str]) -> dict[int, str]:
    """The answer as another transaction of the same terminal would have got it."""
    foreign = dict(reply)
    if 11 in foreign:
        foreign[11] = f"{(int(foreign[11]) + 1) % 1_000_000:06d}"
    else:  # an echo has no STAN: the answer of another terminal
        foreign[41] = foreign.get(41, "00000001")[::-1]
    return foreign
