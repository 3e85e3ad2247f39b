"""Transactions looked up by what people and settlement files say: an id, a STAN, a key of the field; newest first in pieces."""

from agent.core.model import Transaction
from agent.journal.store import Store

SCAN_CHUNK = 250  # rows read at once: about two milliseconds


def keyed(store: Store, terminal_id: str, batch: str, stan: str) -> list[Transaction]:
    """The transactions that carry this key of the field."""
    return _transactions(store, "stan = ? AND batch = ? AND terminal_id = ? ORDER BY number", (stan, batch, terminal_id))


def by_stan(store: Store, stan: str) -> list[Transaction]:
    """The transactions with this STAN, at most two: more than one cannot be meant."""
    return _transactions(store, "stan = ? ORDER BY number DESC LIMIT 2", (stan,))


def older(store: Store, before: int, limit: int = SCAN_CHUNK) -> list[Transaction]:
    """The next transactions with numbers below `before`, newest first; none at the end."""
    return _transactions(store, "number < ? ORDER BY number DESC LIMIT ?", (before, limit))


def transaction(store: Store, key: str) -> Transaction | None:
    """One transaction, open or closed."""
    return next(iter(_transactions(store, "id = ?", (key,))), None)


def _transactions(store: Store, where: str, parameters: tuple[object, ...]) -> list[Transaction]:
    return store.select(Transaction, f"WHERE {where}", parameters)
