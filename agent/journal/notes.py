"""The journal's own notes (table `meta`), which have no check sum: what is done when a bit has flipped in one.

None of them is worth a start that fails, since the reversals of others wait for it. What cannot be read is taken for what is safe
whatever it was: the fleet de-duplicates what it gets again, and work that may be owed is done.
"""

import logging
import re
from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

import msgspec

from agent.core.storageevent import RowsDamaged
from agent.journal.database import Database, StorageFull
from agent.journal.rows import Readable

log = logging.getLogger("reversald.journal")

_NUMBER = re.compile(r"[0-9]{1,18}")
_EPOCH = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AtStart(NamedTuple):
    """What a start goes by: which life of the journal, the last entry that telemetry is done with, and is a scrub owed?"""

    epoch: str
    cursor: int
    scrub_owed: bool


def read(database: Readable, key: str) -> str:
    """One note, "" for one that was never taken. Text that is none any more comes as text that no note says.

    They are few: all are looked through, so that no index can hide one.
    """
    found = database.execute("SELECT CAST(value AS BLOB) FROM meta WHERE +key = ?", (key,))
    return next((bytes(value or b"").decode(errors="replace") for (value,) in found), "")


def number(text: str) -> int | None:
    """A note that is a number; None for one that is none."""
    return int(text) if _NUMBER.fullmatch(text) else None


def cursor(database: Readable) -> int | None:
    """The last entry that telemetry is done with, as the note says; None for a spoilt one."""
    return number(read(database, "cursor"))


def done(said: int | None, head: int) -> int:
    """How far telemetry is by a cursor that says so, in a journal that ends at `head`; 0, begin again, where that cannot be."""
    return said if said is not None and said <= head else 0


def scrub_owed(database: Readable) -> bool:
    """Are wiped secrets to be cleaned away? Noted from the beginning on: what is not there is spoilt."""
    return read(database, "scrub_owed") != "0"


def owed(text: str) -> bool:
    """Is this to be done? For what is noted when it is owed for the first time."""
    return text not in {"", "0"}


def damage(text: str) -> RowsDamaged | None:
    """What a start had to mend, None for nothing. A spoilt note tells only that there was something, and that is true now."""
    try:
        return msgspec.json.decode(text, type=RowsDamaged) if text else None
    except msgspec.DecodeError:
        return RowsDamaged(restored=(), lost=())


def at_start(database: Database, head: int) -> AtStart:
    """Read them for a journal that ends at `head`, and mend what cannot be read. Raises StorageFailed."""
    epoch, said = read(database, "epoch"), cursor(database)
    mended: dict[str, str] = {}
    if not _EPOCH.fullmatch(epoch):
        log.warning("the note `epoch` is spoilt: a new one begins, and the fleet gets the whole journal again")
        epoch, said = str(uuid4()), 0
        mended = {"epoch": epoch, "cursor": "0"}
    elif said is None:
        log.warning("the note `cursor` is spoilt: telemetry begins again, and the fleet de-duplicates")
        mended = {"cursor": "0"}
    elif said > head:  # left as it is: it proves that a tail was cut off, until telemetry is done with something
        log.warning("the note `cursor` says %d, and the journal ends at %d: telemetry begins again", said, head)
    if mended:
        with suppress(StorageFull), database.transaction():  # with a full disk the next start finds it as this one did
            database.take_notes(mended)
    return AtStart(epoch, done(said, head), scrub_owed(database))
