"""What the hooks need of the house behind them, as protocols: the inbox, the host line's last word, and who we are."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from agent.core.change import Decision
from agent.core.event import Event
from agent.core.policy import Policy
from agent.core.state import State
from agent.journal.idempotency import Idempotency
from agent.journal.store import Store
from agent.vault import Sealed, Tokens, Vault


class Inbox(Protocol):
    """The one writer."""

    store: Store

    @property
    def state(self) -> State:
        """The state as it stands on disk."""

    @property
    def policy(self) -> Policy:
        """The rules in force."""

    async def decide(
        self, event: Event, sealed: Sealed | None = None, idempotency: Idempotency | None = None
    ) -> Decision:
        """As `submit`, and on the spot where nobody else asks."""

    def tell_soon(self, event: Event) -> None:
        """As `tell`, for what may share the commit of what comes next."""

    def submit(
        self, event: Event, sealed: Sealed | None = None, idempotency: Idempotency | None = None
    ) -> "asyncio.Future[Decision]":
        """Queue an event; the Decision comes when it is on disk."""

    def tell(self, event: Event) -> None:
        """Queue an event nobody waits for."""

    def current(self) -> State:
        """The state, and in it the time of this moment."""

    def view(self, transaction: str) -> State:
        """A state in which this transaction can be read, if it exists."""


class House(msgspec.Struct, frozen=True):
    """What the daemon hands to the hooks. `boottime_ms` is the clock that ages are told by; `tokens` is there with wallets."""

    inbox: Inbox
    vault: Vault | None
    version: str
    line_down: Callable[[], bool]
    poke_line: Callable[[], None]
    network_changed: Callable[[], None]
    boottime_ms: Callable[[], int]
    tokens: Tokens | None = None
