"""The ESC/POS driver: ask first, send once, say honestly how far it came.

Nothing is ever sent twice. What keeps a job from starting is UNPRINTED; once the port took one byte, the outcome says so.
"""

from typing import Literal

from device.descriptor import WRITE_BYTES_MAX, Port
from device.errors import PortLost, PortStalled
from device.printer import JOB_BYTES_MAX, READY, SILENT, UNAVAILABLE, Heard, Level, Outcome, Proof, Status
from device.printer.encoder import COMMAND_BYTES_MAX, block_bytes_max
from device.printer.profile import PrinterProfile
from device.printer.proof import FENCE_REQUEST, FENCES_MAX, Proofs, process_id_request
from device.printer.status import Auto, Flow, Noise, Ordered, Parser, ProcessId, RealTime, Reply, from_auto, from_real_time

ASB_ON = b"\x1d\x61\x0e"
RESUME, CLEAR = b"\x10\x05\x01", b"\x10\x05\x02"

LINE_S = 3.0  # added to twice the time that the bytes take on the line
COMMAND_S = 0.5  # three bytes on the slowest line, twice over
FENCE_S_MAX = 120.0  # a fence that is not answered by then was lost: the printer's whole buffer is out sooner
SETTLE_S = 0.15  # answers to one burst of requests come closer together than this
STATUS_EVERY_S = 1.0  # while waiting for a proof: has something come between?
LATE_S = 1.5  # so long after a question without an answer, what comes is not trusted to be the next one's
STATUS_ROUNDS = 2  # silence, or an answer in noise: asked once more
STALE_READS_MAX = 16
ANSWERS_MAX = 8  # more than that is babble

Torn = Literal["", "perhaps", "surely"]


class EscPosPrinter:
    """A printer that speaks ESC/POS over a port. See `Printer` for the contract of each method."""

    def __init__(self, port: Port, profile: PrinterProfile) -> None:
        self.profile = profile
        self._port = port
        self._parser = Parser()
        self._proofs = Proofs()
        self._proved: list[Proof] = []
        self._answers: list[int] = []  # to 10 04 n, since last asked
        self._auto: Status | None = None  # reported unasked and not told to anybody yet
        self._noise = 0
        self._late_until_s = 0.0
        self._held = False  # XOFF
        self._torn: Torn = "perhaps"  # a job before us may have left the printer in the middle of a command
        self._fenced_at_s = 0.0
        self._synced = False  # every fence that was ever sent has been answered or given up

    @property
    def is_open(self) -> bool:
        return self._port.is_open

    def open(self) -> None:
        if self._port.is_open:
            return
        self._port.open()
        self._parser = Parser()
        self._held, self._synced = False, False
        self._torn = self._torn or "perhaps"
        if self.profile.asb:
            self._command(ASB_ON)

    def close(self) -> None:
        self._port.close()

    def wake(self) -> None:
        self._port.wake()

    def interrupt(self) -> None:
        self._port.interrupt()

    def deadline_s(self, size: int) -> float:
        profile = self.profile
        line_bytes = size + block_bytes_max(profile) + 32  # and the tail that proves it
        proof_s = 0.0 if profile.confirm == "none" else profile.confirm_timeout_ms / 1000 + self._status_s
        sync_s = LINE_S + profile.status_timeout_ms / 1000 + SETTLE_S if profile.confirm == "fence" else 0.0
        return 2 * self._status_s + 2 * line_bytes / self._port.bytes_per_s + 2 * LINE_S + sync_s + proof_s

    @property
    def _status_s(self) -> float:
        """The bound of one `status`."""
        per_round = len(self.profile.status) * (self.profile.status_timeout_ms / 1000 + COMMAND_S) + LATE_S
        return STATUS_ROUNDS * per_round + COMMAND_S

    # --- what it says -------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        if not self._port.is_open:
            return UNAVAILABLE
        if self._port.paper_out():
            return Status(paper="out")
        if self.profile.mute:
            return Status()
        try:
            for _ in range(STATUS_ROUNDS):
                if (status := self._ask()) is not None:
                    return status
        except PortStalled:
            self._give_up_sending()
            return Status(silent=True, busy=True)
        except PortLost:
            self._port.close()
            return UNAVAILABLE
        return SILENT

    def _ask(self) -> Status | None:
        """One round of `10 04 n`. None when nothing came, or nothing to be trusted.

        Not trusted: noise, more answers than questions, and a round in which one question was left without an answer,
        because an answer that comes late would be taken for the next question's.
        """
        self._forget_stale()
        self._noise = 0
        answers: dict[int, int] = {}
        for n in self.profile.status:
            self._answers.clear()
            self._port.write(bytes([0x10, 0x04, n]), self._port.now_s() + COMMAND_S)
            until_s = self._port.now_s() + self.profile.status_timeout_ms / 1000
            while not self._answers and self._port.now_s() < until_s and not self._port.interrupted:
                self._pump(until_s)
            if len(self._answers) != 1:
                self._late_until_s = self._port.now_s() + LATE_S
                return None
            answers[n] = self._answers[0]
        return None if self._noise else from_real_time(answers)

    def _forget_stale(self) -> None:
        """Answers to questions of a former round or a former process. After an unanswered one, give it time to come."""
        self._listen_until(self._late_until_s)
        for _ in range(STALE_READS_MAX):
            if not self._pump(self._port.now_s()):
                break

    def wait(self, timeout_s: float | None) -> Heard:
        if self._proved or self._auto is not None:
            timeout_s = 0
        woken = self._port.sleep(timeout_s)
        status = None
        if self._port.is_open:
            try:
                if self._pump(self._port.now_s()):
                    self._listen_until(self._port.now_s() + SETTLE_S)
            except PortLost:
                self._port.close()
                status = UNAVAILABLE
        heard = Heard(status or self._auto, tuple(self._proved), woken)
        self._auto = None
        self._proved.clear()
        return heard

    def _pump(self, until_s: float) -> bool:
        """Take what has arrived, waiting for it until `until_s`. A wait without a byte ends an unfinished reply."""
        waits = until_s > self._port.now_s()
        data = self._port.read(until_s)
        replies = self._parser.feed(data) if data or not waits else self._parser.give_up()
        for reply in replies:
            self._hear(reply)
        return bool(data)

    def _listen_until(self, until_s: float) -> None:
        while self._port.now_s() < until_s and not self._port.interrupted:
            self._pump(until_s)

    def _hear(self, reply: Reply) -> None:
        match reply:
            case RealTime(byte):
                if len(self._answers) < ANSWERS_MAX:
                    self._answers.append(byte)
            case Auto(data):
                self._auto = from_auto(data)
            case Ordered():
                self._proved += self._proofs.heard_fence()
            case ProcessId(text):
                self._proved += self._proofs.heard_id(text)
            case Flow(stop):
                self._held = stop and self.profile.flow == "xonxoff"  # from any other printer it is noise
            case Noise():  # a noise byte could have passed for a fence's answer, or have been one
                self._noise += 1
                self._proofs.forget_fences()
                self._proved = [proof for proof in self._proved if proof.level != "FENCED"]
                self._synced = False

    # --- what it prints -----------------------------------------------------------------------------------------------

    def print(self, data: bytes, job_id: int) -> Outcome:
        if not 0 < len(data) <= JOB_BYTES_MAX:
            raise ValueError(f"a job has 1 to {JOB_BYTES_MAX} bytes, this one {len(data)}")
        status = self.status()
        self._auto = None  # older than what we were just told
        if not status.ready or self._port.interrupted:
            return Outcome("UNPRINTED", 0, len(data), status)
        if not self._settle_line():
            return Outcome("UNPRINTED", 0, len(data), self._stopped())
        fenced = self.profile.confirm == "fence" and self._sync()
        tail = ASB_ON if self.profile.asb else b""  # the job began with a reset, which ends automatic status
        if self.profile.confirm == "process-id":
            tail += process_id_request(job_id)
        elif fenced:
            tail += FENCE_REQUEST
        taken, accepted = self._send(data + tail)
        if not taken:
            return Outcome("UNPRINTED", 0, len(data), self._stopped())
        if accepted < len(data):
            return Outcome("PARTIAL", accepted, len(data), self._stopped())
        if accepted == len(data + tail):
            if self.profile.confirm == "process-id":
                self._proofs.sent_id(job_id)
            elif fenced:
                self._fence_sent(job_id)
        return self._prove(job_id, len(data), status)

    def _settle_line(self) -> bool:
        """End whatever command a torn job left open: zeros fill its block and mean nothing by themselves."""
        if not self._torn:
            return True
        filler = bytes(max(block_bytes_max(self.profile), COMMAND_BYTES_MAX)) + (b"\n" if self._torn == "surely" else b"")
        if self._send(filler)[1] < len(filler):
            return False
        self._torn = ""
        return True

    def _sync(self) -> bool:
        """True when the next answer to a fence can only be the next fence's: a burst was sent, and enough answers came."""
        if self._synced:
            return True
        if self._port.now_s() > self._fenced_at_s + FENCE_S_MAX:
            self._proofs.forget_fences()
        open_before, burst = self._proofs.fences_open, self._proofs.burst
        if burst > FENCES_MAX or self._send(FENCE_REQUEST * burst)[1] < len(FENCE_REQUEST) * burst:
            return False
        self._fence_sent(None, burst)
        self._noise = 0
        try:
            until_s = self._port.now_s() + self.profile.status_timeout_ms / 1000
            while self._proofs.fences_open > open_before and self._port.now_s() < until_s and not self._port.interrupted:
                self._pump(until_s)
            self._listen_until(self._port.now_s() + SETTLE_S)
        except PortLost:
            self._port.close()
            return False
        if self._noise or self._proofs.fences_open > open_before:
            return False  # its buffer is not worked off, or it knows no fence: print, and promise less
        self._proofs.forget_fences()
        self._synced = True
        return True

    def _fence_sent(self, job_id: int | None, count: int = 1) -> None:
        self._proofs.sent_fence(job_id, count)
        self._fenced_at_s = self._port.now_s()

    def _send(self, data: bytes) -> tuple[bool, int]:
        """Send all of it or as much as the line takes. Returns whether the port took any byte, and how many have left it."""
        deadline_s = self._port.now_s() + 2 * len(data) / self._port.bytes_per_s + LINE_S
        accepted = queued = 0
        try:
            for start in range(0, len(data), WRITE_BYTES_MAX):
                if not self._may_go_on(deadline_s):
                    break
                accepted += self._port.write(data[start : start + WRITE_BYTES_MAX], deadline_s)
            queued = self._port.drain(deadline_s)
            if not queued and accepted == len(data):
                return True, accepted
        except PortStalled as stalled:
            accepted += stalled.accepted_bytes
        except PortLost as lost:
            self._torn = "surely"
            self._port.close()
            return accepted + lost.accepted_bytes > 0, accepted + lost.accepted_bytes
        return accepted > 0, max(0, accepted - max(queued, self._give_up_sending()))

    def _may_go_on(self, deadline_s: float) -> bool:
        """Hear what came meanwhile; wait while the printer asks us to (XOFF). False when it still does at the deadline."""
        self._pump(self._port.now_s())
        while self._held and self._port.now_s() < deadline_s and not self._port.interrupted:
            self._pump(deadline_s)
        return not self._held

    def _give_up_sending(self) -> int:
        """Throw away what the line did not take; otherwise it would come out later, in the middle of something else."""
        self._torn = "surely"
        self._synced = self._held = False
        return self._port.discard()

    def _stopped(self) -> Status:
        """The state after sending failed: what the printer says, else that it takes nothing."""
        status = self.status()
        return Status(silent=True, busy=True) if status.fault in READY else status

    def _prove(self, job_id: int, total: int, status: Status) -> Outcome:
        """Wait for the proof that was asked for; end early when a fault says that it will not come by itself."""
        until_s = self._port.now_s() + self.profile.confirm_timeout_ms / 1000
        if not self._proofs.owed(job_id):
            until_s = 0.0
        ask_s = self._port.now_s() + STATUS_EVERY_S
        try:
            while self._port.is_open and self._port.now_s() < until_s and not self._port.interrupted:
                self._pump(min(until_s, ask_s))
                if not self._proofs.owed(job_id) and self.profile.confirm == "fence":
                    self._listen_until(self._port.now_s() + SETTLE_S)  # an answer in the middle of noise is none
                if level := self._level(job_id):
                    return Outcome(level, total, total, self._auto or status)
                if self._auto is not None and not self._auto.ready:
                    break
                if self._port.now_s() >= ask_s:
                    status = self.status()  # and may hear the proof meanwhile
                    if not (status.ready or status.silent) or not self._proofs.owed(job_id):
                        break
                    ask_s = self._port.now_s() + STATUS_EVERY_S
        except PortLost:
            self._port.close()
        status = self.status()
        level = self._level(job_id)
        if level is None and self.profile.confirm == "fence":
            self._synced = False
        return Outcome(level or "SENT_UNCONFIRMED", total, total, status)

    def _level(self, job_id: int) -> Level | None:
        """The proof of this job, taken out of those that `wait` will tell."""
        for proof in self._proved:
            if proof.job_id == job_id:
                self._proved.remove(proof)
                return proof.level
        return None

    # --- what a person orders -----------------------------------------------------------------------------------------

    def resume(self) -> Status:
        self._command(RESUME)
        return self.status()

    def clear(self) -> Status:
        self._command(CLEAR)
        self._proofs.forget()
        self._torn, self._synced = "perhaps", False
        return self.status()

    def _command(self, command: bytes) -> None:
        if not self._port.is_open:
            return
        try:
            self._port.write(command, self._port.now_s() + COMMAND_S)
        except PortStalled:
            self._give_up_sending()
        except PortLost:
            self._port.close()
