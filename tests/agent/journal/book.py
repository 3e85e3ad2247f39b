"""A world whose every step is committed to a real journal, for tests of storage."""

from pathlib import Path
from typing import Any

from agent.core import event as e
from agent.core.change import Change, Decision
from agent.core.step import step
from agent.journal.idempotency import Idempotency
from agent.journal.store import Stepped, Store
from agent.vault import Vault
from tests.agent.core.world import World

KEY = bytes(range(32))
PAN = "6222021234567890128"
SECRETS = {"2": PAN, "14": "3012", "55": "9F26080102030405060708"}


class Book(World):
    """World with a Store under it. What the store does not take is undone in memory too."""

    def __init__(self, store: Store, now_ms: int = 0, boot_id: str = "boot-1", **policy: Any) -> None:
        self.store = store
        self.idempotency: Idempotency | None = None
        super().__init__(boot=False, **policy)
        self.state = store.load()
        self.now_ms, self.boot_id = now_ms, boot_id
        self.boot()

    def do(self, event: e.Event) -> Decision:
        loaded = self.store.missing(self.state, event)
        mark = self.state.mark()
        self.state.absorb(loaded)
        try:
            change = step(self.state, event, self.now)
            self.commit(event, change, loaded)
        except Exception:
            self.state.rollback(mark)
            self.state.forget(loaded)
            raise
        self.state.settle()
        self.steps.append((event, self.now))
        self._note(change)
        if self.host_up and self.state.line.wanted == "now" and not self.state.line.connected:
            self.do(e.HostReachable())
        return change.decision

    def commit(self, event: e.Event, change: Change, loaded: list[Any]) -> None:
        """One commit, with card secrets for what is opened."""
        stepped = Stepped(event, self.now, change, loaded, idempotency=self.idempotency)
        if isinstance(event, e.Opened) and event.vault is not None:
            stepped.ref, stepped.sealed = event.vault, Vault(KEY).seal(event.vault, SECRETS)
        if change.facts or self.idempotency is not None:
            self.store.commit([stepped])
            self.store.tidy()


def reopen(book: Book, path: Path, **policy: Any) -> Book:
    """The agent starts again on what is on disk."""
    return Book(Store.open(path), book.now_ms, book.boot_id, **policy)
