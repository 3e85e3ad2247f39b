"""Transactions looked up while a settlement file is sifted: by their key of the field, and newest first in small pieces."""

from agent.core.model import Transaction
from agent.journal.store import DECODERS, Store

SCAN_CHUNK = 250  # rows read at once: about two milliseconds


def keyed(store: Store, terminal_id: str, batch: str, stan: str) -> list[Transaction]:
    """The transactions that carry this key of the field."""
    return _transactions(store, "stan = ? AND batch = ? AND terminal_id = ? ORDER BY number", (stan, batch, terminal_id))


def older(store: Store, before: int) -> list[Transaction]:
    """The next transactions with numbers below `before`, newest first; none at the end."""
    return _transactions(store, "number < ? ORDER BY number DESC LIMIT ?", (before, SCAN_CHUNK))


def transaction(store: Store, key: str) -> Transaction | None:
    """One transaction, open or closed."""
    return next(iter(_transactions(store, "id = ?", (key,))), None)


def _transactions(store: Store, where: str, parameters: tuple[object, ...]) -> list[Transaction]:
    query = store.database.execute(f"SELECT body FROM transactions WHERE {where}", parameters)  # noqa: S608  (a constant)
    return [DECODERS[Transaction].decode(body) for (body,) in query]
