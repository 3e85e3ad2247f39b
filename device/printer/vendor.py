"""A built-in printer that only an Android service reaches: a small bridge app speaks for it, one JSON object per line.

We ask, with a number of our own; the bridge answers with the same `id`, or never:

    {"id": 1, "op": "status"}                              {"id": 1, "paper": "ok", "cover_open": false, …}
    {"id": 2, "op": "print", "job": 17, "data": "G0Ac…"}   {"id": 2, "accepted": true}  or  {"id": 2, "error": "paper_out"}
    {"id": 3, "op": "resume"}  {"id": 4, "op": "clear"}    {"id": 3}
It may speak unasked, and late:

    {"event": "printed", "job": 17}      {"event": "status", "paper": "out", …}
    {"event": "failed", "job": 17, "reason": "overheated", "nothing_printed": true}
`data` is ESC/POS in base64. A line counts only with its newline: of a torn request nothing may be printed. `error` and
`reason` are paper_out, cover_open, cutter, overheated, unrecoverable, battery_low or offline. Such services are known to die
after a change of roll: a question without an answer ends the connection, so that the next `open` starts afresh.
"""

import base64
from typing import Literal

import msgspec

from device.descriptor import Port
from device.errors import PortLost, PortStalled
from device.printer import JOB_BYTES_MAX, UNAVAILABLE, Heard, Outcome, PaperState, Proof, Status
from device.printer.profile import PrinterProfile

LINE_BYTES_MAX = 64 * 1024
ANSWER_S = 3.0
SEND_S = 3.0
PROOFS_MAX = 64

Reason = Literal["paper_out", "cover_open", "cutter", "overheated", "unrecoverable", "battery_low", "offline"]

_REASONS: dict[Reason, Status] = {
    "paper_out": Status(paper="out"),
    "cover_open": Status(cover_open=True),
    "cutter": Status(cutter_error=True),
    "overheated": Status(overheated=True),
    "unrecoverable": Status(unrecoverable=True),
    "battery_low": Status(battery_low=True),
    "offline": Status(online=False),
}


class Message(msgspec.Struct, frozen=True):
    """One line from the bridge: an answer has `id`, a report has `event`. Keys we do not know are left alone."""

    id: int | None = None
    event: Literal["printed", "failed", "status"] | None = None
    job: int | None = None
    accepted: bool = False
    error: Reason | None = None
    reason: Reason | None = None
    nothing_printed: bool = False
    online: bool | None = None
    paper: PaperState = "unknown"
    cover_open: bool | None = None
    cutter_error: bool = False
    unrecoverable: bool = False
    overheated: bool = False
    battery_low: bool = False

    def status(self) -> Status:
        """What this line says of the printer."""
        if reason := self.error or self.reason:
            return _REASONS[reason]
        return Status(
            online=self.online, paper=self.paper, cover_open=self.cover_open, cutter_error=self.cutter_error,
            unrecoverable=self.unrecoverable, overheated=self.overheated, battery_low=self.battery_low,
        )


class VendorPrinter:
    """The printer behind a bridge. See `Printer` for the contract of each method."""

    def __init__(self, port: Port, profile: PrinterProfile) -> None:
        self.profile = profile
        self._port = port
        self._part = b""
        self._number = 0
        self._answers: dict[int, Message] = {}
        self._ended: dict[int, Message] = {}  # printed or failed, and not told to anybody yet
        self._reported: Status | None = None

    @property
    def is_open(self) -> bool:
        return self._port.is_open

    def open(self) -> None:
        self._part = b""
        self._port.open()

    def close(self) -> None:
        self._port.close()

    def wake(self) -> None:
        self._port.wake()

    def interrupt(self) -> None:
        self._port.interrupt()

    def deadline_s(self, size: int) -> float:
        return 2 * (SEND_S + ANSWER_S) + 2 * size / self._port.bytes_per_s + self.profile.confirm_timeout_ms / 1000 + 1.0

    def status(self) -> Status:
        return self._ask("status")

    def resume(self) -> Status:
        self._ask("resume")
        return self._ask("status")

    def clear(self) -> Status:
        self._ask("clear")
        return self._ask("status")

    def print(self, data: bytes, job_id: int) -> Outcome:
        if not 0 < len(data) <= JOB_BYTES_MAX:
            raise ValueError(f"a job has 1 to {JOB_BYTES_MAX} bytes, this one {len(data)}")
        total = len(data)
        status = self.status()
        if not status.ready or self._port.interrupted:
            return Outcome("UNPRINTED", 0, total, status)
        self._ended.pop(job_id, None)
        number = self._request({"op": "print", "job": job_id, "data": base64.b64encode(data).decode()})
        if number is None:  # without its newline the request is none
            return Outcome("UNPRINTED", 0, total, UNAVAILABLE)
        if (answer := self._answer(number)) is None:
            return Outcome("SENT_UNCONFIRMED", total, total, Status(silent=True))
        if answer.error is not None or not answer.accepted:
            return Outcome("UNPRINTED", 0, total, answer.status())
        return self._ending(job_id, total, status)

    def _ending(self, job_id: int, total: int, status: Status) -> Outcome:
        """What became of a job that the bridge took."""
        until_s = self._port.now_s() + (0 if self.profile.confirm == "none" else self.profile.confirm_timeout_ms / 1000)
        while job_id not in self._ended and self._port.is_open and self._port.now_s() < until_s and not self._port.interrupted:
            self._pump(until_s)
        end = self._ended.pop(job_id, None)
        if end is None:
            return Outcome("SENT_UNCONFIRMED", total, total, self.status())
        if end.event == "printed":
            return Outcome("CONFIRMED", total, total, status)
        if end.nothing_printed:
            return Outcome("UNPRINTED", 0, total, end.status())
        return Outcome("SENT_UNCONFIRMED", total, total, end.status())

    def wait(self, timeout_s: float | None) -> Heard:
        if self._ended or self._reported is not None:
            timeout_s = 0
        woken = self._port.sleep(timeout_s)
        status = None
        if self._port.is_open:
            self._pump(self._port.now_s())
            status = None if self._port.is_open else UNAVAILABLE
        proofs = tuple(Proof(job, "CONFIRMED") for job, end in self._ended.items() if end.event == "printed")
        status, self._reported = status or self._reported, None
        self._ended.clear()
        return Heard(status, proofs, woken)

    def _ask(self, op: str) -> Status:
        if not self._port.is_open:
            return UNAVAILABLE
        number = self._request({"op": op})
        if number is None:
            return UNAVAILABLE
        answer = self._answer(number)
        return Status(silent=True) if answer is None else answer.status()

    def _request(self, body: dict[str, object]) -> int | None:
        """Send one request; its number, or None when it did not leave as a whole."""
        self._number += 1
        line = msgspec.json.encode({"id": self._number, **body}) + b"\n"
        deadline_s = self._port.now_s() + SEND_S + 2 * len(line) / self._port.bytes_per_s
        try:
            self._port.write(line, deadline_s)
        except (PortStalled, PortLost):
            self._port.discard()
            self._port.close()
            return None
        return self._number

    def _answer(self, number: int) -> Message | None:
        """The answer to a request; None when it did not come, and then the connection is given up."""
        until_s = self._port.now_s() + ANSWER_S
        while number not in self._answers and self._port.is_open and not self._port.interrupted:
            if self._port.now_s() >= until_s:
                self._port.close()
            else:
                self._pump(until_s)
        answer = self._answers.pop(number, None)
        self._answers.clear()
        return answer

    def _pump(self, until_s: float) -> None:
        try:
            self._part += self._port.read(until_s)
        except PortLost:
            self._port.close()
            return
        *lines, self._part = self._part.split(b"\n")
        if len(self._part) > LINE_BYTES_MAX:
            self._part = b""
            self._port.close()
        for line in lines:
            try:
                self._hear(msgspec.json.decode(line, type=Message))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # the bridge's fault; an unreadable answer is no answer

    def _hear(self, message: Message) -> None:
        if message.id is not None:
            if len(self._answers) < PROOFS_MAX:
                self._answers[message.id] = message
        elif message.event == "status":
            self._reported = message.status()
        elif message.event is not None and message.job is not None and len(self._ended) < PROOFS_MAX:
            self._ended[message.job] = message
