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

    def has(self, name: str) -> bool:
        """True when this family is on it."""
        return name in self._families

    def was_open(self, name: str, row: Row) -> bool | None:
        """How this row of the family stands, None where it is not on the roll."""
        members = self._families.get(name)
        member = None if members is None else members.get((type(row), row.id))
        return None if member is None else member[1]

    def put(self, name: str, row: Row, crc: int) -> None:
        """This row of the family is as it is now."""
        member, is_open = (type(row), row.id), row.open
        before = self._families.get(name)
        if before is None:
            if is_open:
                self._families[name] = {member: (crc, True)}
                self.sum += crc
            return
        after = {**before, member: (crc, is_open)}
        if is_open or (len(after) > 1 and any(is_open for _, is_open in after.values())):
            self._families[name] = after
            self.sum += crc - before.get(member, _ABSENT)[0]
        else:
            del self._families[name]
            self.sum -= _sum(before)

    def enter(self, stored: list[Stored]) -> None:
        """The rows of one family, of which one is open or will be."""
        if stored:
            members = {(type(row), row.id): (crc, row.open) for row, crc in stored}
            self._families[name_of(stored[0].row)] = members
            self.sum += _sum(members)


def _sum(members: _Family) -> int:
    return sum(crc for crc, _ in members.values())


def name_of(row: Row) -> str:
    """The name of its family; what belongs to none is one of its own."""
    return family_of(row) or f"{type(row).__name__}/{row.id}"
