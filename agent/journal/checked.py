"""Rows as whoever reads the file takes them: each is held against its sum, and a damaged one is refused or named."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from agent.journal.loading import load
from agent.journal.readonly import ReadOnly, Unreadable
from agent.journal.rows import COLUMNS, DECODERS, TABLES, opened, select
from agent.journal.schema import SUMMED

CHUNK = 500  # rows in one question
DAMAGED_MAX = 100  # rows that are named

_Values = Sequence[Any]  # what `rows.opened` takes


class Checked:
    """The rows of one file. Every method may raise Unreadable.

    `damaged` None: a row that its sum does not bear out, or that cannot be decoded, is refused. Else (`lenient`) it names such
    rows, at most DAMAGED_MAX of them; they are taken as they stand, or left out where nothing can be made of them: whoever asks
    says so.
    """

    def __init__(self, database: ReadOnly, *, lenient: bool) -> None:
        self._database = database
        self.damaged: list[str] | None = [] if lenient else None
        self.summed = bool(database.all("PRAGMA user_version")[0][0] >= SUMMED)

    def rows(self, kind: type, where: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows of this kind for which `where` (with ORDER BY and LIMIT) holds."""
        table = TABLES.get(kind, "singles")
        return list(self._taken(table, kind, self._read(table, where, parameters)))

    def every(self, kind: type) -> Iterator[Any]:
        """Every row of one kind, oldest first, read in bounded chunks."""
        return self._taken(TABLES[kind], kind, self._chunks(TABLES[kind]))

    def survey(self, kinds: Iterable[type]) -> None:
        """Refuse or name every damaged row of these kinds that may be open, also where its columns say that it is closed.

        What is open is found by a column, and a flipped bit there hides it from whoever asks for what is open. The roll tells
        whether anything is hidden; only where it does not come out is every row looked at. Only what column and body both call
        closed is passed over: an old case that nobody asks for says nothing about today.
        """
        if self._roll_comes_out():
            return
        for kind in kinds:
            table = TABLES[kind]
            for values in self._chunks(table):
                if opened(table, kind, values) is None and self._may_be_open(table, kind, values):
                    self._damaged(table, kind, values)

    def _roll_comes_out(self) -> bool:
        """Is all that is open there and sound, as the newest entry of the journal says? False where that cannot be known."""
        if not self.summed:
            return False
        try:
            with self._database.snapshot():
                told = self._database.all("SELECT roll FROM journal ORDER BY seq DESC LIMIT 1")
                return bool(told) and told[0][0] is not None and load(self._database).is_whole(told[0][0])
        except Unreadable:
            return False

    def row(self, kind: type, body: bytes) -> Any:
        """A row of this kind from its stored form, whatever its sum."""
        try:
            return DECODERS[kind].decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
            raise Unreadable("damaged", self._database.path, f"a row of kind {kind.__name__} is not readable") from None

    def _taken(self, table: str, kind: type, found: Iterable[_Values]) -> Iterator[Any]:
        for values in found:
            stored = opened(table, kind, values)
            if stored is not None:
                yield stored.row
                continue
            self._damaged(table, kind, values)
            with suppress(Unreadable):
                yield self.row(kind, values[-2])

    def _damaged(self, table: str, kind: type, values: _Values) -> None:
        key = _column(table, "id", values)
        name = f"{kind.__name__} {key.decode(errors='replace') if isinstance(key, bytes) else key}"
        if self.damaged is None:
            raise Unreadable("damaged", self._database.path, name)
        if name not in self.damaged and len(self.damaged) < DAMAGED_MAX:
            self.damaged.append(name)

    def _may_be_open(self, table: str, kind: type, values: _Values) -> bool:
        try:
            return bool(self.row(kind, values[-2]).open) or _column(table, "open", values) != b"0"
        except Unreadable:
            return True

    def _chunks(self, table: str) -> Iterator[_Values]:
        after = -(2**63)
        while found := self._read(table, "WHERE r.rowid > ? ORDER BY r.rowid LIMIT ?", (after, CHUNK)):
            yield from found
            after = found[-1][0]

    def _read(self, table: str, where: str, parameters: tuple[object, ...]) -> list[_Values]:
        return list(self._database.all(f"{select(table, summed=self.summed)} FROM {table} r {where}", parameters))


def _column(table: str, name: str, values: _Values) -> Any:
    return values[1 + COLUMNS[table].index(name)]
