"""The roll: one sum over every row that must be there at the next start, written with each commit into its journal entries.

On it stand the single rows, and every row of a family in which one is open. A row whose own sum holds can still be missed, when
a bit of an index or of its column `open` flipped: then the roll does not come out, and nothing in doubt is forgotten unseen.
"""

from collections.abc import Iterable

from agent.core.model import Row
from agent.journal.rows import Stored, family_of

_Family = dict[tuple[type, str], tuple[int, bool]]  # of each row: its sum, is it open


class Roll:
    """The sums of what is open, by family. A copy is changed with a commit, and takes its place once that is on disk."""

    def __init__(self, families: dict[str, _Family] | None = None, sum_: int = 0) -> None:
        self._families = families if families is not None else {}
        self.sum = sum_

    def copy(self) -> "Roll":
        """One that can be thrown away; the families in it are never changed in place."""
        return Roll(dict(self._families), self.sum)

    def lacks(self, row: Row) -> bool:
        """True for an open row of a family that is not on the roll: its other rows must be read first."""
        return row.open and _name(row) not in self._families

    def put(self, stored: Iterable[Stored]) -> None:
        """These rows are as they are now."""
        for row, crc in stored:
            name = _name(row)
            before = self._families.get(name)
            if before is None and not row.open:
                continue
            self._replace(name, before or {}, {**(before or {}), (type(row), row.id): (crc, row.open)})

    def enter(self, stored: list[Stored]) -> None:
        """The rows of one family, of which one is open or will be."""
        members = {(type(row), row.id): (crc, row.open) for row, crc in stored}
        if stored:
            self._families[_name(stored[0].row)] = members
            self.sum += sum(crc for crc, _ in members.values())

    def _replace(self, name: str, before: _Family, after: _Family) -> None:
        self.sum -= sum(crc for crc, _ in before.values())
        if any(is_open for _, is_open in after.values()):
            self._families[name] = after
            self.sum += sum(crc for crc, _ in after.values())
        else:
            self._families.pop(name, None)


def _name(row: Row) -> str:
    """Its family; what belongs to none is one of its own."""
    return family_of(row) or f"{type(row).__name__}/{row.id}"
