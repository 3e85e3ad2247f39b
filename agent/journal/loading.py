"""What a start reads: single rows, every family that has an open row, and those by which these are judged.

All of it is checked row by row, and what is open against the roll.
"""

from typing import NamedTuple

from agent.core.model import Row, Transaction
from agent.journal.roll import Roll, name_of
from agent.journal.rows import TABLES, Place, Readable, Stored, family_of, parent_column, read, table_of


class Loaded(NamedTuple):
    """The rows, oldest family first, the roll that they make, and the places of what is damaged.

    `beside` are the damaged ones of closed families, by which open ones are judged.
    """

    rows: list[Row]
    roll: Roll
    damaged: list[Place]
    beside: list[Place]

    def is_whole(self, told: int | None) -> bool:
        """True when nothing is damaged and the roll is the one that was told; None: nobody told one yet."""
        return not self.damaged and told in {None, self.roll.sum}


def load(database: Readable) -> Loaded:
    """Read what is open. Rows that belong to no transaction come before the families."""
    singles, damaged = read(database, None)
    alone: list[Stored] = []
    names: dict[str, None] = {}
    for kind in TABLES:
        found, bad = read(database, kind, "WHERE r.open ORDER BY r.number")
        damaged += bad
        for stored in found:
            name = family_of(stored.row)
            if name is None:
                alone.append(stored)
            else:
                names[name] = None
    roll = Roll()
    for row, crc in (*singles, *alone):
        roll.put(name_of(row), row, crc)
    families: list[list[Stored]] = []
    for name in names:
        members, bad = family(database, name)
        damaged += bad
        roll.enter(members)
        families.append(members)
    judged_by = {link for members in families for row, _ in members if isinstance(row, Transaction) for link in row.links}
    beside: list[Place] = []
    known = set(names)
    while judged_by := judged_by - known:  # twice: what an open one is judged by may have been voided
        known |= judged_by
        following: set[str] = set()
        for name in judged_by:
            members, bad = family(database, name)
            beside += bad
            families.append(members)
            following.update(key for row, _ in members if isinstance(row, Transaction) for key in row.undoings)
        judged_by = following
    families.sort(key=_age)
    rows = [stored.row for stored in (*singles, *alone, *(stored for members in families for stored in members))]
    return Loaded(rows, roll, damaged, beside)


def family(database: Readable, transaction: str) -> tuple[list[Stored], list[Place]]:
    """Every row of one transaction, oldest first. The place of another one's row, to which a spoilt index led, is damaged too."""
    found: list[Stored] = []
    damaged: list[Place] = []
    for kind in TABLES:
        members, bad = read(database, kind, f"WHERE r.{parent_column(kind)} = ? ORDER BY r.number", (transaction,))
        found += members
        damaged += bad
    damaged += [(table_of(row), getattr(row, "number", 0)) for row, _ in found if family_of(row) != transaction]
    return found, damaged


def _age(members: list[Stored]) -> int:
    return next((row.number for row, _ in members if isinstance(row, Transaction)), 0)
