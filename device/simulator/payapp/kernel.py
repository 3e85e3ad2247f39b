"""The reversal kernel of a simulated payment app: what it keeps on disk, and the defects that shipped apps have (T1 … T16).

A sound kernel saves the record before the send, keeps it until an answer that counts, and sends it ahead of the next online
transaction. Each defect is a switch that breaks exactly one of these.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

DEFECTS = {
    "T1": "any answer deletes the record, and is called accepted",
    "T2": "a record of another calendar day is dropped",
    "T3": "the record is deleted after three attempts",
    "T4": "the save failed, the sale goes out all the same",
    "T5": "one slot: a new sale overwrites the record",
    "T6": "saved only after the send",
    "T7": "the answer of another transaction is taken for ours",
    "T8": "the file is rewritten in place: a crash leaves half of it",
    "T9": "25 loops for ever",
    "T10": "a new sale goes ahead of what is pending",
    "T11": "a record that cannot be packed is deleted (here: none can)",
    "T12": "the settlement clears what is pending",
    "T13": "codes are matched as substrings: whatever holds a 0 is accepted",
    "T14": "an update drops the queue",
    "T15": "what is pending blocks every later sale",
    "T16": "12 and 25 are called refunded",
    "STAN": "the same STAN again and again",
}
ATTEMPTS_MAX = 3
NO_ORIGINAL = frozenset({"12", "25"})
ANSWERED = frozenset({"approved", "declined"})
CLOSED = frozenset({"reversed", "no_original", "resolved"})  # states in which the agent wants no 0400 any more


class Record(msgspec.Struct):
    """A reversal that is pending in the kernel."""

    stan: str
    batch: str
    amount_fen: int
    day: int
    tries: int = 0


class Sale(msgspec.Struct):
    """What the app knows of one transaction; `id` is the agent's name for it, "" as long as that was not heard: no byte left."""

    id: str
    asked: dict[str, Any] = {}  # what the agent was asked, and under which Idempotency-Key: to ask it again
    asked_as: str = ""
    state: str = "waiting"
    response_code: str | None = None
    reversal: Literal["accepted", "refused"] | None = None
    reversal_code: str | None = None


class Disk(msgspec.Struct):
    """All that survives a crash of the app."""

    stan: int = 0
    batch: int = 1
    records: list[Record] = []
    sales: dict[str, Sale] = {}


class Verdict(NamedTuple):
    """What the kernel makes of an answer to its 0400, and tells the agent."""

    outcome: Literal["accepted", "refused"]
    code: str | None


class Kernel:
    """`path` None keeps nothing over a crash. Raises OSError when the disk fails."""

    def __init__(self, path: Path | None, defects: Collection[str] = ()) -> None:
        self._path = path
        self._defects = frozenset(defects)
        self.day = 0
        self.disk = Disk()
        self.load()

    def has(self, defect: str) -> bool:
        """Is this defect switched on?"""
        return defect in self._defects

    # ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> None:
        """Start from the file; one that is missing or broken is an empty one, as in the field."""
        self.disk = Disk()
        if self._path is not None and self._path.exists():
            with contextlib.suppress(msgspec.DecodeError):
                self.disk = msgspec.json.decode(self._path.read_bytes(), type=Disk)

    def save(self) -> None:
        """Write the whole file beside the old one and rename it."""
        if self._path is not None:
            beside = self._path.with_name(self._path.name + ".new")
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(self.disk))
                os.fsync(file.fileno())
            beside.replace(self._path)

    def crash(self) -> None:
        """The app dies and starts again from its file; with T8 it dies in the middle of rewriting it."""
        if self.has("T8") and self._path is not None and self._path.exists():
            raw = self._path.read_bytes()
            self._path.write_bytes(raw[: len(raw) // 2])
        self.load()

    def update(self) -> None:
        """A new version of the app is installed."""
        if self.has("T14"):
            self.disk.records.clear()
            self.save()

    # ── sales ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def next_stan(self) -> str:
        """The next F11."""
        if not self.has("STAN") or not self.disk.stan:
            self.disk.stan += 1
        return f"{self.disk.stan:06d}"

    @property
    def batch(self) -> str:
        """F60.2."""
        return f"{self.disk.batch:06d}"

    def begin(self, stan: str, amount_fen: int, sale: Sale) -> bool:
        """The agent is about to be asked: from its commit on there may be a doubt, and the power may go before its answer comes.

        False for a STAN that was used already, whose record stays as it is.
        """
        if self._name(stan) in self.disk.sales:
            return False
        self.disk.sales[self._name(stan)] = sale
        if not (self.has("T4") or self.has("T6")):
            self.keep(stan, amount_fen)
        return True

    def named(self, batch: str, stan: str, key: str) -> None:
        """The agent's name for it, on disk before the first byte leaves."""
        self.disk.sales[f"{batch}/{stan}"].id = key
        self.save()

    def withdraw(self, batch: str, stan: str) -> None:
        """It is proved not sent: nothing is left of it."""
        del self.disk.sales[f"{batch}/{stan}"]
        self._drop(stan)
        self.save()

    def keep(self, stan: str, amount_fen: int) -> None:
        """Save the record of the sale that is being sent."""
        record = Record(stan, self.batch, amount_fen, self.day)
        self.disk.records = [record] if self.has("T5") else [*self.disk.records, record]
        self.save()

    def hear(self, stan: str, state: str, code: str | None) -> None:
        """The host answered, or did not. Its answer ends the record only with the agent's own word on it."""
        sale = self.disk.sales[self._name(stan)]
        sale.state, sale.response_code = state, code
        self.save()

    def decide(self, batch: str, stan: str, state: str) -> None:
        """The agent's answer to the result, the state it calls it: the host's answer stands, or the record is sent."""
        sale = self.disk.sales[f"{batch}/{stan}"]
        if state in ANSWERED or state == "declined_uncertain":
            self._drop(stan)
        elif sale.state in ANSWERED:
            sale.state = "no_answer"
        self.save()

    def find(self, batch: str, stan: str) -> Sale | None:
        """What is known of a transaction."""
        return self.disk.sales.get(f"{batch}/{stan}")

    def sale_of(self, record: Record) -> Sale | None:
        """The transaction that a record belongs to."""
        return self.find(record.batch, record.stan)

    def holds(self, batch: str, stan: str) -> bool:
        """Is a record of it pending?"""
        return any((record.batch, record.stan) == (batch, stan) for record in self.disk.records)

    def settled(self) -> None:
        """The batch is closed, a new one begins."""
        if self.has("T12"):
            self.disk.records.clear()
        self.disk.batch += 1
        self.save()

    # ── reversals ────────────────────────────────────────────────────────────────────────────────────────────────────

    def due(self, sending: str | None = None) -> list[Record]:
        """The records to be sent now, oldest first, beside that of the sale which is just being `sending`."""
        if self.has("T2"):
            self.disk.records = [record for record in self.disk.records if record.day == self.day]
        if self.has("T11"):
            self.disk.records = [record for record in self.disk.records if record.stan == sending]
        self.save()
        return [record for record in self.disk.records if record.stan != sending and not self._undecided(record)]

    def _undecided(self, record: Record) -> bool:
        """The host answered, and the agent has not yet."""
        sale = self.sale_of(record)
        return sale is not None and sale.state in ANSWERED

    def judge(self, record: Record, code: str | None, *, ours: bool) -> Verdict:
        """The answer to an 0400 (None: there was none). `ours`: its F3 F4 F11 F41 F42 are those of the record."""
        if not ours and not self.has("T7"):
            code = None
        record.tries += 1
        verdict = Verdict("accepted" if self._takes(code) else "refused", code)
        sale = self.sale_of(record)
        if sale is not None:
            sale.reversal, sale.reversal_code = verdict
        if verdict.outcome == "accepted" or (self.has("T3") and record.tries >= ATTEMPTS_MAX):
            self._drop(record.stan)
        self.save()
        return verdict

    def told(self, record: Record, state: str) -> None:
        """The agent's answer to the report: what it calls closed is not sent again. T9 does not listen."""
        if state in CLOSED and not self.has("T9"):
            self._drop(record.stan)
            self.save()

    def _takes(self, code: str | None) -> bool:
        loose = (
            code is not None
            and (self.has("T1") or (self.has("T13") and "0" in code) or (self.has("T16") and code in NO_ORIGINAL))
        )
        return code == "00" or loose

    def _drop(self, stan: str) -> None:
        self.disk.records = [record for record in self.disk.records if record.stan != stan]

    def _name(self, stan: str) -> str:
        return f"{self.batch}/{stan}"
