"""Bodies and answers of the pages: what the cashier's screen and the technician's page show, and how a browser comes in."""

from typing import Annotated, Literal

import msgspec

from agent.core.playbook import Advice
from agent.core.screen import Meaning, Press
from agent.hooks.values import Base, Word


class AcknowledgeBody(Base, frozen=True):
    """A person has read what is left open: the code of the advice they read, and who they are."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][0-9]{1,2}[a-z]{0,2}\Z")]
    by: Word


class LinkBody(Base, frozen=True):
    """Which page the link is for."""

    page: Literal["cashier", "technician"] = "cashier"
    lang: Literal["zh", "en"] | None = None


class LinkAnswer(msgspec.Struct, frozen=True):
    """An address that works once, for so long."""

    url: str
    valid_ms: int


class SessionBody(Base, frozen=True):
    """What stood behind the `#` of the link."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SessionAnswer(msgspec.Struct, frozen=True):
    """The page token: `Authorization: Bearer`, for the calls of the pages only."""

    token: str


class Said(msgspec.Struct, frozen=True):
    """The same in both languages."""

    zh: str
    en: str


class Card(msgspec.Struct, frozen=True):
    """One transaction as the cashier sees it. `meaning` is the one word that colours it, `word` that word for people.

    `whose` binds it to its customer: last four, STAN, time. `age_ms` is how long ago it was opened, null when that was in an
    earlier boot. `live`: it can still change by itself. `earlier`: another was opened since. `noted` is what people said so far.
    """

    id: str
    state: str
    advice: Advice
    meaning: Meaning
    word: Said
    customer: Said
    whose: Said
    age_ms: int | None
    live: bool
    earlier: bool
    presses: tuple[Press, ...]
    noted: tuple[Said, ...]


class Payment(msgspec.Struct, frozen=True):
    """A payment that may have replaced another one."""

    id: str
    amount_fen: int
    whose: Said


class Till(msgspec.Struct, frozen=True):
    """The cashier's screen: `now` newest first, `yesterday` oldest first, each with how many more there are.

    `todo` is what the cashier has to do beside the cases themselves: sign in, look at the printer. `message` is what the
    operator says to the cashier at this time. `seq` is the journal's head:
    the events after it are what has changed since.
    """

    seq: int
    terminal_id: str
    lang: str
    now: tuple[Card, ...]
    more_now: int
    yesterday: tuple[Card, ...]
    more_yesterday: int
    payments: tuple[Payment, ...]
    todo: tuple[Said, ...]
    message: Said | None


class Fact(msgspec.Struct, frozen=True):
    """One line of the terminal's state; `bad` where somebody should look."""

    name: str
    value: str
    bad: bool


class Task(msgspec.Struct, frozen=True):
    """One open incident in words."""

    number: str
    what: str
    owner: str
    next_action: str
    at: str
    transaction: str | None


class Item(msgspec.Struct, frozen=True):
    """One transaction in a list."""

    id: str
    title: str
    state: str
    at: str
    meaning: Meaning


class Overview(msgspec.Struct, frozen=True):
    """The technician's page, in one language."""

    seq: int
    lang: str
    facts: tuple[Fact, ...]
    tasks: tuple[Task, ...]
    transactions: tuple[Item, ...]


class Line(msgspec.Struct, frozen=True):
    """One moment; `own` is false for what happened to the terminal meanwhile."""

    at: str
    text: str
    own: bool


class Story(msgspec.Struct, frozen=True):
    """The story of one transaction, in one language."""

    id: str
    title: str
    state: str
    advice: str
    advice_long: str
    reason: str
    lines: tuple[Line, ...]
