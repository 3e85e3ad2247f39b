"""The same question twice gets the first answer: what was asked under which key, kept for a day."""

import msgspec

from agent.core.change import Decision
from agent.journal.database import Database

KEPT_MS = 86_400_000
KEYS_MAX = 10_000  # several days of a busy till, and the limit of one that never knows the time

_DECISION = msgspec.json.Decoder(Decision)


class Idempotency(msgspec.Struct, frozen=True):
    """Who asked under which key, and the digest of what was asked."""

    uid: int
    key: str
    digest: bytes


def write(database: Database, asked: Idempotency, decision: Decision, wall_ms: int | None, boots: int) -> None:
    """Keep the answer, and drop a few of the oldest that are past their time: reading minds the age itself."""
    now_ms = wall_ms or 0
    database.execute(
        "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency ORDER BY rowid LIMIT 8) AND "
        "(at_ms BETWEEN 1 AND ? OR (at_ms = 0 AND boot < ?) OR rowid <= (SELECT max(rowid) FROM idempotency) - ?)",
        (now_ms - KEPT_MS, boots - 1, KEYS_MAX),
    )
    database.execute(
        "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
        (asked.uid, asked.key, asked.digest, now_ms, boots, msgspec.json.encode(decision)),
    )


def find(database: Database, asked: Idempotency, wall_ms: int | None) -> tuple[bytes, Decision] | None:
    """The digest and the first answer under this key, if it was used in the 24 hours before `wall_ms`.

    A key that was used while the time was not known (`at_ms` 0) is kept for this boot and the next.
    """
    query = "SELECT digest, decision FROM idempotency WHERE uid = ? AND key = ? AND NOT at_ms BETWEEN 1 AND ?"
    found = next(iter(database.execute(query, (asked.uid, asked.key, (wall_ms or 0) - KEPT_MS))), None)
    return None if found is None else (bytes(found[0]), _DECISION.decode(found[1]))
