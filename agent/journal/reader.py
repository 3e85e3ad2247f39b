"""Read-only access to journal and rows for the command line, also with the daemon dead. It answers in bounded pieces."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from agent.core import undoing
from agent.core.model import Incident, Job, Reversal, Row, Stamp, Transaction
from agent.core.state import State
from agent.journal import notes
from agent.journal.chain import GENESIS, Entry
from agent.journal.checked import Checked
from agent.journal.readonly import ReadOnly, Unreadable
from agent.journal.rows import SINGLES, TABLES, parent_column
from agent.journal.schema import JOB_BY_ID

CHUNK = 500  # entries in one question
SCAN = 20_000  # entries looked through in one question
MATCHES_MAX = 50
CONTEXT_MAX = 200

# What happened to the terminal while a transaction was open, and explains what happened to the transaction.
CONTEXT = (
    "agent.started", "line.up", "line.down", "line.lost", "settlement.settling", "settlement.settled", "settlement.changed",
    "settlement.imported", "terminal.changed",
)
# Money that may be on the wrong side until somebody or something decides.
DOUBTFUL = frozenset({
    "in_doubt", "reversing", "approved_not_completed", "unresolved", "querying", "cancelling", "cancel_unknown",
})

R = TypeVar("R", Transaction, Reversal, Incident, Job)
_ENTRY = msgspec.json.Decoder(Entry)
_STAN = re.compile(r"[0-9]{1,6}")
_SLIP = re.compile(r"RV1:([0-9A-F]{8}):([0-9A-Za-z]{8}):([0-9]{6}):([0-9]{6})")  # the QR code of our own slips
_ID_PART = re.compile(r"[0-9a-fA-F-]{8,36}")


class Head(msgspec.Struct, frozen=True):
    """The newest entry: its number and its hash as hex. Who holds it can prove later that no tail was cut off."""

    seq: int
    hash: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal at a glance. `oldest` is the stamp of the oldest transaction that still waits for its reversal."""

    head: Head
    acknowledged_seq: int
    pending_reversals: int
    oldest: Stamp | None
    doubtful: int
    money_in_doubt_fen: int
    open_incidents: int
    jobs_waiting: int
    scrub_owed: bool


class Reader:
    """Questions to one journal. Use it as a context manager. Every method may raise Unreadable.

    `lenient`: damaged rows are named in `damaged`, and not refused; see `Checked`.
    """

    def __init__(self, database: ReadOnly, *, lenient: bool = False) -> None:
        self.database = database
        self.checked = Checked(database, lenient=lenient)

    @classmethod
    def open(cls, path: Path, *, lenient: bool = False) -> "Reader":
        """Open the journal at `path`."""
        return cls(ReadOnly(path), lenient=lenient)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.database.close()

    @property
    def damaged(self) -> list[str]:
        """The damaged rows among all that was read so far, by kind and id; none when they are refused."""
        return self.checked.damaged or []

    def survey(self, *kinds: type) -> None:
        """Look for damaged rows that may be open among all of these kinds (of none: of every kind); see `Checked`."""
        self.checked.survey(kinds or TABLES)

    # ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────────

    def singles(self) -> State:
        """Agent, line and printer as they were last committed; nothing else."""
        return State(row for key, kind in SINGLES.items() for row in self.checked.rows(kind, "WHERE id = ?", (key,)))

    def head(self) -> Head:
        """The newest entry, (0, 64 zeros) when there is none."""
        rows = self.database.all("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")
        return Head(rows[0][0], _bytes(rows[0][1]).hex()) if rows else Head(0, GENESIS.hex())

    def first(self) -> int:
        """The oldest entry, 0 when there is none."""
        return int(self.database.all("SELECT min(seq) FROM journal")[0][0] or 0)

    def summary(self) -> Summary:
        """Counts and sums over what is open. Open rows are few."""
        with self.database.snapshot():
            transactions = [row for row in self._open(Transaction) if row.state in DOUBTFUL]
            pending = [row for row in self._open(Reversal) if row.pending]
            stamps = [row.opened for row in transactions if row.id in {reversal.id for reversal in pending}]
            self._open(Incident), self._open(Job)  # counted below, whole or not: here the damaged ones are noted
            head = self.head()
            return Summary(
                head=head, acknowledged_seq=notes.done(notes.cursor(self.database), head.seq), pending_reversals=len(pending),
                oldest=stamps[0] if stamps else None, doubtful=len(transactions),
                money_in_doubt_fen=sum(row.amount_fen for row in transactions),
                open_incidents=self._count("incidents"), jobs_waiting=self._count("jobs"),
                scrub_owed=notes.scrub_owed(self.database),
            )

    def epoch(self) -> str:
        """Which life of the journal."""
        return notes.read(self.database, "epoch")

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, text: str) -> list[Transaction]:
        """Transactions, newest first, by STAN (up to 6 digits), id or the first 8 digits of one, incident, or slip code."""
        slip = _SLIP.fullmatch(text)
        if slip is not None:
            return self._transactions("terminal_id = ? AND batch = ? AND stan = ?", (slip[2], slip[3], slip[4]))
        if _STAN.fullmatch(text):
            return self._transactions("stan = ?", (text.zfill(6),))
        if not _ID_PART.fullmatch(text):
            return []
        low, high = text.lower(), text.lower() + "g"  # every continuation in hex sorts between these two
        found = self._transactions("id >= ? AND id < ?", (low, high))
        ids = {row.id for row in found}
        for about in self.checked.rows(Incident, "WHERE id >= ? AND id < ? LIMIT 50", (low, high)):
            if about.transaction is not None and about.transaction not in ids:
                found += self._transactions("id = ?", (about.transaction,))
        return found

    def by_stan(self, stan: str) -> list[Transaction]:
        """Every transaction with this STAN, newest first: STANs come round again."""
        return self._transactions("stan = ?", (stan,))

    def transaction(self, key: str) -> Transaction | None:
        """The transaction with this id."""
        found = self._transactions("id = ?", (key,))
        return found[0] if found else None

    def transactions(self, limit: int, before: int | None = None) -> list[Transaction]:
        """A page of transactions, newest first, with numbers below `before`."""
        return self._transactions("number < ?", (before if before is not None else 2**62,), limit)

    def family(self, transaction: str) -> list[Row]:
        """Every row of one transaction, oldest first."""
        where = "WHERE {} = ? ORDER BY number"
        return [row for kind in TABLES for row in self.checked.rows(kind, where.format(parent_column(kind)), (transaction,))]

    def state(self, transaction: Transaction) -> State:
        """What the core needs to advise on it: its family, its original, what either is judged by, the terminal's own rows."""
        state = self.singles()
        state.absorb(self.family(transaction.id))
        if transaction.original is not None:
            of = (transaction.terminal_id, transaction.original.batch, transaction.original.stan)
            state.absorb(self._transactions("terminal_id = ? AND batch = ? AND stan = ?", of))
        undoing.complete(state, self.family)
        return state

    def doubtful(self) -> list[Transaction]:
        """Transactions whose outcome is open, oldest first."""
        return sorted((row for row in self._open(Transaction) if row.state in DOUBTFUL), key=lambda row: row.number)

    def pending(self) -> list[Reversal]:
        """Reversals that the agent itself goes on sending, oldest first."""
        return [row for row in self._open(Reversal) if row.pending]

    def open_transactions(self) -> list[Transaction]:
        """Transactions about which something can still change, oldest first."""
        return list(self._open(Transaction))

    def open_jobs(self) -> list[Job]:
        """Print jobs that may still come out by themselves, oldest first."""
        return sorted(self._open(Job), key=lambda job: job.number)

    def job(self, transaction: str | None, key: str) -> Job | None:
        """The print job with this id, of this transaction or of none."""
        rows = self.checked.rows(Job, f"WHERE {JOB_BY_ID}", (transaction, key))
        return rows[0] if rows else None

    # ── incidents ────────────────────────────────────────────────────────────────────────────────────────────────────

    def incidents(self, limit: int, before: int | None = None, *, only_open: bool = False) -> tuple[list[Incident], int | None]:
        """A page of incidents, newest first, and what goes into `before` for the next page (None: there is none)."""
        where = f"WHERE number < ? {'AND open' if only_open else ''} ORDER BY number DESC LIMIT ?"
        below = before if before is not None else 2**62
        with self.database.snapshot():
            # Counted apart from what can be read: a row that is left out must not make the last page of this one.
            numbers = self.database.all(f"SELECT number FROM incidents {where}", (below, limit + 1))  # noqa: S608
            found = self.checked.rows(Incident, where, (below, limit))
        return found, numbers[limit - 1][0] if len(numbers) > limit else None

    def open_incidents(self, text: str) -> list[Incident]:
        """Open incidents whose id begins with these hex digits (at least 8)."""
        if not _ID_PART.fullmatch(text):
            return []
        low = text.lower()
        return self.checked.rows(Incident, "WHERE open AND id >= ? AND id < ? LIMIT 50", (low, low + "g"))

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────────

    def raw(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes, bytes]]:
        """(seq, body, hash) of every entry after `after` up to `until`, read in bounded chunks."""
        last = until if until is not None else self.head().seq
        while after < last:
            rows = self.database.all(
                "SELECT seq, body, hash FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (after, last, CHUNK)
            )
            if not rows:
                return
            for seq, body, hash_ in rows:
                yield seq, _bytes(body), _bytes(hash_)
            after = rows[-1][0]

    def walk(self, after: int = 0, until: int | None = None) -> Iterator[Entry]:
        """Every entry after `after` up to `until`, in order."""
        for _, body, _ in self.raw(after, until):
            yield self._entry(body)

    def stored(self, after: int, until: int) -> Iterator[tuple[Entry, bytes, bytes]]:
        """(entry, its stored bytes, its hash) of every entry after `after` up to `until`."""
        for _, body, hash_ in self.raw(after, until):
            yield self._entry(body), body, hash_

    def with_columns(self, until: int) -> Iterator[tuple[Entry, tuple[object, ...]]]:
        """Every entry up to `until` with what its search columns say: (seq, type, transaction, incident)."""
        after = 0
        while after < until:
            rows = self.database.all(
                'SELECT seq, type, "transaction", incident, body FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?',
                (after, until, CHUNK),
            )
            if not rows:
                return
            for *columns, body in rows:
                yield self._entry(body), tuple(columns)
            after = rows[-1][0]

    def latest(self, type_: str, limit: int) -> list[Entry]:
        """The newest `limit` entries of one type, newest first."""
        rows = self.database.all("SELECT body FROM journal WHERE type = ? ORDER BY seq DESC LIMIT ?", (type_, limit))
        return [self._entry(_bytes(body)) for (body,) in rows]

    def newest(self, limit: int) -> list[Entry]:
        """The newest `limit` entries, oldest first."""
        rows = self.database.all("SELECT body FROM journal ORDER BY seq DESC LIMIT ?", (limit,))
        return [self._entry(body) for (body,) in reversed(rows)]

    def entries(self, transaction: Transaction) -> list[Entry]:
        """The story of one transaction: its entries, and between them what happened to line, batch and agent."""
        found: list[Entry] = []
        after, last = self._first_seq(transaction.opened) - 1, self.head().seq
        marks = ", ".join("?" * len(CONTEXT))
        while after < last:
            rows = self.database.all(
                f'SELECT body FROM journal WHERE seq > ? AND seq <= ? AND ("transaction" = ? OR type IN ({marks})) ORDER BY seq',  # noqa: S608
                (after, after + SCAN, transaction.id, *CONTEXT),
            )
            found += [self._entry(body) for (body,) in rows]
            after += SCAN
        own = [index for index, entry in enumerate(found) if entry.transaction == transaction.id]
        return _with_context(found[own[0] : own[-1] + 1], transaction.id) if own else []

    def _first_seq(self, opened: Stamp) -> int:
        """The first entry that is not older than this stamp, by halving: boot and time only grow along the journal."""
        rows = self.database.all("SELECT min(seq), max(seq) FROM journal")
        low, high = (rows[0][0] or 1), (rows[0][1] or 0)
        while low < high:
            middle = (low + high) // 2
            body = self.database.all("SELECT body FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,))
            entry = self._entry(body[0][0])
            if (entry.boot, entry.mono_ms) < (opened.boot, opened.mono_ms):
                low = middle + 1
            else:
                high = middle
        return int(low)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _transactions(self, where: str, parameters: tuple[object, ...], limit: int = MATCHES_MAX) -> list[Transaction]:
        return self.checked.rows(Transaction, f"WHERE {where} ORDER BY number DESC LIMIT ?", (*parameters, limit))

    def _open(self, kind: type) -> list[Any]:
        return self.checked.rows(kind, "WHERE open ORDER BY number")

    def _count(self, table: str) -> int:
        return int(self.database.all(f"SELECT count(*) FROM {table} WHERE open")[0][0])  # noqa: S608

    def rows(self, kind: type[R]) -> Iterator[R]:
        """Every row of one kind, oldest first, read in bounded chunks."""
        return self.checked.every(kind)

    def _entry(self, body: bytes) -> Entry:
        try:
            return _ENTRY.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Unreadable("damaged", self.database.path, "a journal entry is not readable") from None


def _bytes(value: object) -> bytes:
    """A column as bytes: what was changed by hand may have become text, or nothing."""
    return value if isinstance(value, bytes) else str(value).encode()


def _with_context(entries: list[Entry], transaction: str) -> list[Entry]:
    """At most CONTEXT_MAX entries that are not its own: the newest."""
    surplus = sum(entry.transaction != transaction for entry in entries) - CONTEXT_MAX
    kept: list[Entry] = []
    for entry in entries:
        if entry.transaction != transaction and surplus > 0:
            surplus -= 1
        else:
            kept.append(entry)
    return kept


