"""Did it come out? Which jobs wait for the printer's proof, and which job a proof belongs to, also when it comes late.

A process id names its job. A fence (`1D 72 01`) does not: its answer is one anonymous byte, sent when the printer has
worked off its buffer up to there, so the answers come in the order of asking. If the printer was switched off in between, an
older fence is never answered and the next answer would be taken for it. Therefore fences are believed only all together: as
many answers as there are fences, or none of them. To count from nothing again, a burst of more fences than can still be
answered is sent alone: once as many answers came, one of them was the burst's, and all that was before is done or lost.
"""

from collections import OrderedDict

from device.printer import Proof

FIRST, RADIX, DIGITS = 33, 94, 4  # printable, without the space: GS ( H takes 32 to 126
WAITING_MAX = 64  # process ids remembered; the oldest is forgotten, its job stays SENT_UNCONFIRMED
FENCES_MAX = 12  # that may still be answered; with more, no burst is sent any more


def process_id(job_id: int) -> bytes:
    """Four printable bytes for a job; they repeat after 94^4 jobs, about 78 million."""
    digits = bytearray()
    for _ in range(DIGITS):
        job_id, digit = divmod(job_id, RADIX)
        digits.append(FIRST + digit)
    return bytes(reversed(digits))


def process_id_request(job_id: int) -> bytes:
    """GS ( H, function 48: send the id back when everything before it has been printed."""
    return b"\x1d\x28\x48\x06\x00\x30\x30" + process_id(job_id)


FENCE_REQUEST = b"\x1d\x72\x01"


class Proofs:
    """What is owed to us. Pure: the driver tells it what was sent and what was heard."""

    def __init__(self) -> None:
        self._ids: OrderedDict[bytes, int] = OrderedDict()
        self._fences: list[int | None] = []
        self._answers = 0

    @property
    def fences_open(self) -> int:
        """Answers to fences that may still come."""
        return len(self._fences) - self._answers

    @property
    def burst(self) -> int:
        """How many fences to send to count from nothing again; one more is for a fence of a process before this one."""
        return self.fences_open + 2

    def owed(self, job_id: int) -> bool:
        """True while a proof of this job may still come."""
        return job_id in self._fences or self._ids.get(process_id(job_id)) == job_id

    def sent_id(self, job_id: int) -> None:
        """The request for this job's process id has left."""
        self._ids[process_id(job_id)] = job_id
        if len(self._ids) > WAITING_MAX:
            self._ids.popitem(last=False)

    def sent_fence(self, job_id: int | None, count: int = 1) -> None:
        """Fences have left: one behind a job, or a burst of `count` alone (None)."""
        self._fences += [job_id] * count

    def heard_id(self, text: bytes) -> list[Proof]:
        """The job that this id confirms; nothing for an id that is not ours."""
        job_id = self._ids.pop(text, None)
        return [] if job_id is None else [Proof(job_id, "CONFIRMED")]

    def heard_fence(self) -> list[Proof]:
        """One fence was answered. The jobs are proved when the last of them is."""
        if not self._fences:
            return []
        self._answers += 1
        if self._answers < len(self._fences):
            return []
        proved = [Proof(job_id, "FENCED") for job_id in self._fences if job_id is not None]
        self.forget_fences()
        return proved

    def forget_fences(self) -> None:
        """Nobody can tell any more which answer belongs to which fence: those jobs stay SENT_UNCONFIRMED."""
        self._fences.clear()
        self._answers = 0

    def forget(self) -> None:
        """The printer's buffer was cleared: nothing in it will come out."""
        self._ids.clear()
        self.forget_fences()
