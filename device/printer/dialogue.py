"""Asking a printer and hearing it: what it says by itself, what it answers, and how much of that can be believed."""

from device.descriptor import Port
from device.printer import SILENT, Level, Proof, Status
from device.printer.profile import PrinterProfile
from device.printer.proof import Proofs
from device.printer.status import Auto, Flow, Ordered, Parser, ProcessId, RealTime, Reply, from_auto, from_real_time

COMMAND_S = 0.5  # three bytes on the slowest line, twice over
SETTLE_S = 0.15  # answers to one burst of requests come closer together than this
LATE_S = 1.5  # so long after a question without an answer, what comes is not trusted to be the next one's
ROUNDS = 2  # silence, or an answer in noise: asked once more
STALE_READS_MAX = 16
ANSWERS_MAX = 8  # more than that is babble


class Dialogue:
    """One printer's side of the line. Everything here raises PortLost, and what sends also PortStalled."""

    def __init__(self, port: Port, profile: PrinterProfile) -> None:
        self.proofs = Proofs()
        self.auto: Status | None = None  # reported unasked and not told to anybody yet
        self.noise = 0  # since somebody set it to 0
        self.held = False  # XOFF
        self.synced = False  # every fence that was ever sent has been answered or given up
        self._port = port
        self._profile = profile
        self._parser = Parser()
        self._proved: list[Proof] = []
        self._answers: list[int] = []  # to 10 04 n, since last asked
        self._ordered = 0  # answers to fences, since last asked
        self._late_until_s = 0.0

    def start(self) -> None:
        """A new connection. What was owed may still come; what was half heard will not."""
        self._parser = Parser()
        self.held = self.synced = False

    @property
    def status_s(self) -> float:
        """The bound of one `status`."""
        per_round = len(self._profile.status) * (self._profile.status_timeout_ms / 1000 + COMMAND_S) + LATE_S
        return ROUNDS * per_round + COMMAND_S

    # --- asking -------------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """Ask all the questions that it answers. Silence, and answers that cannot be trusted, are silence."""
        for _ in range(ROUNDS):
            if (status := self._ask()) is not None:
                return status
        return SILENT

    def _ask(self) -> Status | None:
        """One round of `10 04 n`. None when nothing came, or nothing to be trusted.

        Not trusted: noise, more answers than questions, and a round in which one question was left without an answer,
        because an answer that comes late would be taken for the next question's.
        """
        self._forget_stale()
        self.noise = 0
        answers: dict[int, int] = {}
        for n in self._profile.status:
            self._answers.clear()
            self._ordered = 0
            self._port.write(bytes([0x10, 0x04, n]), self._port.now_s() + COMMAND_S)
            until_s = self._port.now_s() + self._profile.status_timeout_ms / 1000
            while not self._answers and self._port.now_s() < until_s and not self._port.interrupted:
                self.pump(until_s)
            if len(self._answers) != 1:
                self._late_until_s = self._port.now_s() + LATE_S
                if self._ordered:  # it came in place of the answer
                    self._distrust()
                return None
            answers[n] = self._answers[0]
        return None if self.noise else from_real_time(answers)

    def _forget_stale(self) -> None:
        """Answers to questions of a former round or a former process. After an unanswered one, give it time to come."""
        self.listen_until(self._late_until_s)
        for _ in range(STALE_READS_MAX):
            if not self.pump(self._port.now_s()):
                break

    # --- hearing ------------------------------------------------------------------------------------------------------

    def pump(self, until_s: float) -> bool:
        """Take what has arrived, waiting for it until `until_s`. A wait without a byte ends an unfinished reply."""
        waits = until_s > self._port.now_s()
        data = self._port.read(until_s)
        replies = self._parser.feed(data) if data or not waits else self._parser.give_up()
        for reply in replies:
            self._hear(reply)
        return bool(data)

    def listen_until(self, until_s: float) -> None:
        """Hear whatever comes until then."""
        while self._port.now_s() < until_s and not self._port.interrupted:
            self.pump(until_s)

    def _hear(self, reply: Reply) -> None:
        match reply:
            case RealTime(byte):
                if len(self._answers) < ANSWERS_MAX:
                    self._answers.append(byte)
            case Auto(data) if self._profile.asb:
                self.auto = from_auto(data)
            case Ordered() if self.proofs.fences_open:
                self._ordered += 1
                self._proved += self.proofs.heard_fence()
            case ProcessId(text):
                self._proved += self.proofs.heard_id(text)
            case Flow(stop):
                self.held = stop and self._profile.flow == "xonxoff"  # from any other printer it is noise
            case _:  # noise, or an answer that nobody asked for
                self._distrust()

    def _distrust(self) -> None:
        """What came cannot all have been answers, so what passed for a fence's answer may have been none."""
        self.noise += 1
        self.proofs.forget_fences()
        self._proved = [proof for proof in self._proved if proof.level != "FENCED"]
        self.synced = False

    # --- what was heard -----------------------------------------------------------------------------------------------

    @property
    def news(self) -> bool:
        """True while something was heard that nobody was told."""
        return bool(self._proved) or self.auto is not None

    def take_news(self) -> tuple[Status | None, tuple[Proof, ...]]:
        """The last state reported unasked, and the proofs; told once."""
        status, proofs = self.auto, tuple(self._proved)
        self.auto = None
        self._proved.clear()
        return status, proofs

    def take_level(self, job_id: int) -> Level | None:
        """The proof of this job, if it has come; told once."""
        for proof in self._proved:
            if proof.job_id == job_id:
                self._proved.remove(proof)
                return proof.level
        return None
