"""Finding out what a printer can do: what it answers, and what it prints for a person to look at.

Answers are told apart by their fixed bits, as the driver does; what is not answered in time is not there. The rest only a
person sees: each test slip is followed by a question.
"""

from typing import Literal

import msgspec

from device.descriptor import Port
from device.printer import READY, Document, Fault, Line
from device.printer.encoder import encode
from device.printer.escpos import ASB_ON
from device.printer.profile import Confirm, PrinterProfile
from device.printer.proof import FENCE_REQUEST, process_id, process_id_request
from device.printer.status import Auto, Ordered, Parser, ProcessId, RealTime, Reply, from_real_time

ANSWER_S = 0.6  # to one question; a printer that is slower is as good as mute
PROOF_S = 1.5  # to a question that stands in the buffer
SEND_S = 5.0
SETTLE_S = 0.2
RESET, ASB_OFF = b"\x1b\x40", b"\x1d\x61\x00"
PROBE_ID = 4711
WIDE, NARROW = 48, 32
_DOTS = {NARROW: 384, WIDE: 576}
_MODULE_DOTS = {NARROW: 6, WIDE: 8}
TRIAL = PrinterProfile(name="trial", columns=NARROW, qr="none")
READABLE = "打印机测试 PRINTER 0123456789"
RULER = "".join(str(column % 10) for column in range(1, WIDE + 1))


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the printer said. `fault` is what stands in the way of printing, "none" or "unknown" when nothing does."""

    status: tuple[int, ...]
    fault: Fault
    fence: bool = False
    process_id: bool = False
    asb: bool = False

    @property
    def confirm(self) -> Confirm:
        """The best proof it can give; without status replies none is believed."""
        if not self.status:
            return "none"
        return "process-id" if self.process_id else "fence" if self.fence else "none"


def listen(port: Port) -> Answers:
    """Ask everything a printer may answer. At most 8 s. Raises PortLost and PortStalled."""
    ear = _Ear(port)
    ear.drop(SETTLE_S)
    found: dict[int, int] = {}
    for n in (1, 2, 3, 4):
        for reply in ear.ask(bytes([0x10, 0x04, n]), RealTime, ANSWER_S):
            if isinstance(reply, RealTime):
                found[n] = reply.byte
    fault = from_real_time(found).fault if found else "unknown"
    answers = Answers(status=tuple(found), fault=fault)
    if fault not in READY:
        return answers
    ear.ask(RESET, Ordered, SETTLE_S)
    fence = bool(ear.ask(FENCE_REQUEST, Ordered, PROOF_S))
    named = ear.ask(process_id_request(PROBE_ID), ProcessId, PROOF_S)
    asb = bool(ear.ask(ASB_ON, Auto, ANSWER_S))
    ear.ask(ASB_OFF, Auto, SETTLE_S)
    known = any(isinstance(reply, ProcessId) and reply.text == process_id(PROBE_ID) for reply in named)
    return msgspec.structs.replace(answers, fence=fence, process_id=known, asb=asb)


class _Ear:
    """Asks, and hears until an answer of the kind that was asked for has come, or the time is up."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._parser = Parser()

    def ask(self, request: bytes, kind: type, timeout_s: float) -> list[Reply]:
        """The replies of that kind; empty when none came in time."""
        self._port.write(request, self._port.now_s() + SEND_S)
        until_s = self._port.now_s() + timeout_s
        while self._port.now_s() < until_s:
            replies = self._parser.feed(self._port.read(until_s))
            if found := [reply for reply in replies if isinstance(reply, kind)]:
                return found
        self._parser.give_up()
        return []

    def drop(self, seconds: float) -> None:
        """What was said before we asked."""
        until_s = self._port.now_s() + seconds
        while self._port.now_s() < until_s:
            self._port.read(until_s)
        self._parser = Parser()


def trial(question: str, columns: int) -> bytes:
    """The test slip that belongs to a question: readable, one_line, qr_native, qr_raster or cut."""
    if question == "readable":
        return encode(Document((Line(READABLE),)), TRIAL)
    if question == "one_line":
        return encode(Document((Line(RULER),)), msgspec.structs.replace(TRIAL, columns=WIDE))
    if question == "cut":
        return encode(Document((Line("-- cut --", "center"),)), msgspec.structs.replace(TRIAL, cut=True, columns=columns))
    qr: Literal["native", "raster"] = "native" if question == "qr_native" else "raster"
    profile = PrinterProfile(name="trial", columns=columns, dots=_DOTS[columns], qr=qr)
    return encode(Document((Line("QR", "center"),), qr="reversald"), profile)


def send(port: Port, data: bytes) -> None:
    """Send a test slip as a whole. Raises PortLost and PortStalled."""
    deadline_s = port.now_s() + SEND_S + 2 * len(data) / port.bytes_per_s
    port.write(data, deadline_s)
    port.drain(deadline_s)


def profile_of(name: str, answers: Answers, seen: dict[str, bool]) -> PrinterProfile:
    """The profile of a printer that answered so, and of whose slips a person said so."""
    columns = WIDE if seen["one_line"] else NARROW
    cut = seen["cut"]
    return PrinterProfile(
        name=name, columns=columns, dots=_DOTS[columns], qr_module_dots=_MODULE_DOTS[columns],
        qr="native" if seen["qr_native"] else "raster" if seen.get("qr_raster") else "none", cut=cut, feed_lines=3 if cut else 4,
        status=answers.status, asb=answers.asb and bool(answers.status), confirm=answers.confirm,  # type: ignore[arg-type]
    )


def as_toml(profile: PrinterProfile) -> str:
    """The profile as a file that `load_profile` reads, without what is as usual."""
    usual = PrinterProfile(name="")
    always = {"name", "columns", "dots", "qr", "cut", "status", "asb", "confirm"}
    written = {
        key: value for key, value in msgspec.structs.asdict(profile).items() if key in always or value != getattr(usual, key)
    }
    # What these values look like in JSON they look like in TOML.
    return "".join(f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in written.items())
