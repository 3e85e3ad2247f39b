"""What the fleet's broker brings: commands and what became of them, and another client under our name."""

from typing import Any, Literal

import msgspec

from agent.core.happening import Happening
from agent.core.settlementevent import SettlementImported

CommandName = Literal["query", "reprint", "recover", "replay", "upload-log", "settle", "display", "config"]


class Commanded(Happening, frozen=True):
    """A command whose signature is good. Times are ms since 1970, as they were signed; `digest` is of all that was signed.

    `by` names the key. `transaction` is what it is about; `job` is drawn for a reprint; `statement` is a settlement file that
    is whole now; `answer` is what a query found, or what a part of a statement came to, at the way in.
    """

    command: str
    name: CommandName
    digest: str
    not_before_ms: int
    expires_ms: int
    by: str
    transaction: str | None = None
    correlation: str | None = None
    job: str | None = None
    statement: SettlementImported | None = None
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    answer: dict[str, Any] | None = None


class CommandFinished(Happening, frozen=True):
    """What was to be done outside the core is done, or cannot be: then `why` is a stable code."""

    command: str
    result: dict[str, Any] = msgspec.field(default_factory=dict)
    why: str | None = None


class CommandRefused(Happening, frozen=True):
    """Messages that claimed to be commands were not taken: the reason of the last one, and how many since the last report."""

    why: str
    count: int


class CloneSeen(Happening, frozen=True):
    """Another client uses this terminal's identity at the broker."""


FleetEvent = Commanded | CommandFinished | CommandRefused | CloneSeen
