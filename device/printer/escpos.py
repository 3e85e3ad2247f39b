"""The ESC/POS driver: ask first, send once, say honestly how far it came.

Nothing is ever sent twice. What keeps a job from starting is UNPRINTED; once the port took one byte, the outcome says so.
"""

from typing import Literal

from device.descriptor import WRITE_BYTES_MAX, Port
from device.errors import PortLost, PortStalled
from device.printer import JOB_BYTES_MAX, READY, UNAVAILABLE, Heard, Outcome, Status
from device.printer.dialogue import COMMAND_S, SETTLE_S, Dialogue
from device.printer.encoder import COMMAND_BYTES_MAX, block_bytes_max
from device.printer.profile import PrinterProfile
from device.printer.proof import FENCE_REQUEST, FENCES_MAX, process_id_request

ASB_ON = b"\x1d\x61\x0e"
RESUME, CLEAR = b"\x10\x05\x01", b"\x10\x05\x02"

LINE_S = 3.0  # added to twice the time that the bytes take on the line
FENCE_S_MAX = 120.0  # a fence that is not answered by then was lost: the printer's whole buffer is out sooner
STATUS_EVERY_S = 1.0  # while waiting for a proof: has something come between?
TAIL_BYTES_MAX = 64  # what a job needs besides its own bytes and the filler: fences, automatic status, process id

Torn = Literal["", "perhaps", "surely"]


class EscPosPrinter:
    """A printer that speaks ESC/POS over a port. See `Printer` for the contract of each method."""

    def __init__(self, port: Port, profile: PrinterProfile) -> None:
        self.profile = profile
        self._port = port
        self._dialogue = Dialogue(port, profile)
        self._torn: Torn = "perhaps"  # a job before us may have left the printer in the middle of a command
        self._fenced_at_s = 0.0

    @property
    def is_open(self) -> bool:
        return self._port.is_open

    def open(self) -> None:
        if self._port.is_open:
            return
        self._port.open()
        self._dialogue.start()
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
        profile, status_s = self.profile, self._dialogue.status_s
        line_bytes = size + block_bytes_max(profile) + TAIL_BYTES_MAX
        proof_s = 0.0 if profile.confirm == "none" else profile.confirm_timeout_ms / 1000 + status_s + SETTLE_S
        sync_s = LINE_S + profile.status_timeout_ms / 1000 + SETTLE_S if profile.confirm == "fence" else 0.0
        return 2 * status_s + 2 * line_bytes / self._port.bytes_per_s + 2 * LINE_S + sync_s + proof_s

    # --- what it says -------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        if not self._port.is_open:
            return UNAVAILABLE
        if self._port.paper_out():
            return Status(paper="out")
        if self.profile.mute:
            return Status()
        try:
            return self._dialogue.status()
        except PortStalled:
            self._give_up_sending()
            return Status(silent=True, busy=True)
        except PortLost:
            self._port.close()
            return UNAVAILABLE

    def wait(self, timeout_s: float | None) -> Heard:
        woken = self._port.sleep(0 if self._dialogue.news else timeout_s)
        lost = None
        if self._port.is_open:
            try:
                if self._dialogue.pump(self._port.now_s()):
                    self._dialogue.listen_until(self._port.now_s() + SETTLE_S)
            except PortLost:
                self._port.close()
                lost = UNAVAILABLE
        status, proofs = self._dialogue.take_news()
        return Heard(lost or status, proofs, woken)

    # --- what it prints -----------------------------------------------------------------------------------------------

    def print(self, data: bytes, job_id: int) -> Outcome:
        if not 0 < len(data) <= JOB_BYTES_MAX:
            raise ValueError(f"a job has 1 to {JOB_BYTES_MAX} bytes, this one {len(data)}")
        status = self.status()
        self._dialogue.auto = None  # older than what we were just told
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
                self._dialogue.proofs.sent_id(job_id)
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
        dialogue, proofs = self._dialogue, self._dialogue.proofs
        if dialogue.synced:
            return True
        if self._port.now_s() > self._fenced_at_s + FENCE_S_MAX:
            proofs.forget_fences()
        open_before, burst = proofs.fences_open, proofs.burst
        if burst > FENCES_MAX or self._send(FENCE_REQUEST * burst)[1] < len(FENCE_REQUEST) * burst:
            return False
        self._fence_sent(None, burst)
        dialogue.noise = 0
        try:
            until_s = self._port.now_s() + self.profile.status_timeout_ms / 1000
            while proofs.fences_open > open_before and self._port.now_s() < until_s and not self._port.interrupted:
                dialogue.pump(until_s)
            dialogue.listen_until(self._port.now_s() + SETTLE_S)
        except PortLost:
            self._port.close()
            return False
        if dialogue.noise or proofs.fences_open > open_before:
            return False  # its buffer is not worked off, or it knows no fence: print, and promise less
        proofs.forget_fences()
        dialogue.synced = True
        return True

    def _fence_sent(self, job_id: int | None, count: int = 1) -> None:
        self._dialogue.proofs.sent_fence(job_id, count)
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
        self._dialogue.pump(self._port.now_s())
        while self._dialogue.held and self._port.now_s() < deadline_s and not self._port.interrupted:
            self._dialogue.pump(deadline_s)
        return not self._dialogue.held

    def _give_up_sending(self) -> int:
        """Throw away what the line did not take; otherwise it would come out later, in the middle of something else."""
        self._torn = "surely"
        self._dialogue.synced = self._dialogue.held = False
        return self._port.discard()

    def _stopped(self) -> Status:
        """The state after sending failed: what the printer says, else that it takes nothing."""
        status = self.status()
        return Status(silent=True, busy=True) if status.fault in READY else status

    def _prove(self, job_id: int, total: int, status: Status) -> Outcome:
        """Wait for the proof that was asked for; end early when a fault says that it will not come by itself."""
        dialogue = self._dialogue
        owed = dialogue.proofs.owed(job_id)
        until_s = self._port.now_s() + self.profile.confirm_timeout_ms / 1000 if owed else 0.0
        ask_s = self._port.now_s() + STATUS_EVERY_S
        try:
            while self._port.is_open and self._port.now_s() < until_s and not self._port.interrupted:
                dialogue.pump(min(until_s, ask_s))
                if self.profile.confirm == "fence" and not dialogue.proofs.owed(job_id):
                    dialogue.listen_until(self._port.now_s() + SETTLE_S)  # an answer in the middle of noise is none
                if level := dialogue.take_level(job_id):
                    return Outcome(level, total, total, dialogue.auto or status)
                if dialogue.auto is not None and not dialogue.auto.ready:
                    break
                if self._port.now_s() >= ask_s:
                    status = self.status()  # and may hear the proof meanwhile
                    if not (status.ready or status.silent) or not dialogue.proofs.owed(job_id):
                        break
                    ask_s = self._port.now_s() + STATUS_EVERY_S
        except PortLost:
            self._port.close()
        status = self.status()
        level = dialogue.take_level(job_id)
        if level is None and self.profile.confirm == "fence":
            dialogue.synced = False
        return Outcome(level or "SENT_UNCONFIRMED", total, total, status)

    # --- what a person orders -----------------------------------------------------------------------------------------

    def resume(self) -> Status:
        self._command(RESUME)
        return self.status()

    def clear(self) -> Status:
        self._command(CLEAR)
        self._dialogue.proofs.forget()
        self._torn, self._dialogue.synced = "perhaps", False
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
