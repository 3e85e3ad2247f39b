"""The roll: one sum over every row that must be there at the next start, written with each commit into its journal entries.

On it stand the single rows, and every row of a family in which one is open. A row whose own sum holds can still be missed, when
a bit of an index or of its column `open` flipped: then the roll does not come out, and nothing in doubt is forgotten unseen.
"""

from agent.core.model import Row
from agent.journal.rows import Stored, family_of

_Family = dict[tuple[type, str], tuple[int, bool]]  # of each row: its sum, is it open
_ABSENT = (0, False)


class Roll:
    """The sums of what is open, by family. A copy is changed with a commit, and takes its place once that is on disk."""

    def __init__(self, families: dict[str, _Family] | None = None, sum_: int = 0) -> None:
        self._families = families if families is not None else {}
        self.sum = sum_

    def copy(self) -> "Roll":
        """One that can be thrown away; the families in it are never changed in place."""
        return Roll(dict(self._families), self.sum)

    def lacks(self, row: Row) -> str | None:
        """The family of an open row that is not on the roll, whose other rows must be read first."""
        family = family_of(row) if row.open else None
        return None if family in self._families else family

    def was_open(self, row: Row) -> bool | None:
        """How this row stands, None where it is not on the roll."""
        member = self._families.get(_name(row), {}).get((type(row), row.id))
        return None if member is None else member[1]

    def put(self, row: Row, crc: int) -> None:
        """This row is as it is now."""
        name, member = _name(row), (type(row), row.id)
        before = self._families.get(name)
        if before is None:
            if row.open:
                self._families[name] = {member: (crc, True)}
                self.sum += crc
            return
        after = {**before, member: (crc, row.open)}
        if row.open or any(is_open for _, is_open in after.values()):
            self._families[name] = after
            self.sum += crc - before.get(member, _ABSENT)[0]
        else:
            del self._families[name]
            self.sum -= _sum(before)

    def enter(self, stored: list[Stored]) -> None:
        """The rows of one family, of which one is open or will be."""
        if stored:
            members = {(type(row), row.id): (crc, row.open) for row, crc in stored}
            self._families[_name(stored[0].row)] = members
            self.sum += _sum(members)


def _sum(members: _Family) -> int:
    return sum(crc for crc, _ in members.values())


def _name(row: Row) -> str:
    """Its family; what belongs to none is one of its own."""
    return family_of(row) or f"{type(row).__name__}/{row.id}"
