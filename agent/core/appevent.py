"""Events of the payment app beside its results: what it says and knows of reversals, and whether it can be reached."""

from typing import Literal

from agent.core.happening import Happening
from agent.core.model import Outcome


class AppReported(Happening, frozen=True):
    """The payment app says what became of the 0400 of its own kernel. `request` is ours that it answers, None when unasked.

    `record` says whether its kernel still holds the record from which that 0400 is made.
    """

    transaction: str
    outcome: Literal["sent", "accepted", "refused", "no_card", "busy", "unsupported"]
    response_code: str | None = None
    request: str | None = None
    record: Literal["held", "gone"] | None = None


class AppKnows(Happening, frozen=True):
    """What the payment app knows about a transaction: the outcome, or that it waits, or nothing; and of its reversal."""

    transaction: str
    request: str
    outcome: Outcome | Literal["waiting", "unknown"]
    response_code: str | None = None
    approved_fen: int | None = None
    rrn: str | None = None
    auth_code: str | None = None
    record: Literal["held", "gone"] | None = None
    reversal: Literal["accepted", "refused"] | None = None
    reversal_code: str | None = None


class RequestFailed(Happening, frozen=True):
    """A request did not reach the payment app: its port is dead, or what came back made no sense."""

    transaction: str
    request: str


class PullChanged(Happening, frozen=True):
    """A payment app without a port began to listen for our requests, or the last one has left."""

    attached: bool


class LinkReported(Happening, frozen=True):
    """Where the agent has no line of its own: the network is up or down, as the platform or the kernel's routes say."""

    up: bool


AppEvent = AppReported | AppKnows | RequestFailed | PullChanged | LinkReported
