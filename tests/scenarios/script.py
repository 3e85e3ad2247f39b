"""A scenario as it is written in its TOML file: facts in their order, and what is seen after each.

`README.md` beside this file explains every word for people who write scenarios.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

FOLDER = Path(__file__).parent
CARD_SALE = "sale"  # what a transaction is called when the fact gives it no name

SixDigits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z_]*\Z")]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: a misspelt word is an error, not a fact that never happens."""


class Opening(_Table, frozen=True):
    """The payment app opens a transaction. `undoes` names its original, `wallet` what was scanned."""

    stan: SixDigits
    amount_fen: int
    kind: str = "sale"
    wallet: Literal["wechat", "alipay", "unionpay_qr", "bestpay"] | None = None
    order_no: str | None = None
    name: Name = CARD_SALE
    undoes: Name | None = None
    asks: bool = True  # also asks whether its first byte may leave
    more: dict[str, Any] = {}  # further words of POST /v1/transactions


class Passing(_Table, frozen=True):
    """The payment app's kernel sends a message, through the relay where there is one; it hears a response code or "nothing"."""

    message: Literal["sale", "own_reversal", "balance"]
    stan: SixDigits
    hears: str
    amount_fen: int = 0
    name: Name = CARD_SALE


class See(_Table, frozen=True):
    """What is seen within the bound. Words that are left out are not looked at."""

    of: Name = CARD_SALE
    state: str | None = None
    code: str | None = None
    hold_goods: bool | None = None
    may_pay_again: bool | None = None
    zh: str | None = None
    zh_long: str | None = None
    en: str | None = None
    en_long: str | None = None
    proceed: Literal["go", "wait", "refuse"] | None = None
    problem: str | None = None  # the last call was refused with this type
    slips: tuple[tuple[str, ...], ...] = ()  # each slip that came out, by pieces of its text in their order
    jobs: tuple[str, ...] | None = None  # the states of its print jobs
    facts: tuple[str, ...] = ()  # journal facts of this transaction since the fact began, in this order
    incidents: tuple[str, ...] | None = None  # its open incidents
    booked_fen: int | None = None  # what the customer has paid by the host's books
    cannot_sell: tuple[str, ...] | None = None  # the reasons of GET /v1/ready; empty: a sale may begin
    cancels: int | None = None  # how often the wallet was asked to cancel the order
    reversals: int | None = None  # 0400 that the host has seen for it


class Fact(_Table, frozen=True):
    """One moment at the counter. What it names happens in the order of these words; then comes what is seen."""

    says: str
    host: dict[str, Any] | None = None
    wallet: dict[str, Any] | None = None
    printer: dict[str, Any] | None = None
    restart: bool = False  # kill -9 and start again
    open: Opening | None = None
    kernel: tuple[Passing, ...] = ()
    host_answers: str | None = None  # the terminal sends its request and hears this code, or "nothing"
    customer_pays: str | None = None  # what becomes of the payment in the wallet's books
    result: dict[str, Any] | None = None
    evidence: dict[str, Any] | None = None
    disposition: dict[str, Any] | None = None
    reversal: dict[str, Any] | None = None
    receipt: dict[str, Any] | None = None
    reprint: dict[str, Any] | None = None
    guarantee: dict[str, Any] | None = None
    refund: dict[str, Any] | None = None
    settlement: dict[str, Any] | None = None  # a file of the acquirer
    resolve: dict[str, Any] | None = None  # a person closes the transaction's open incident
    of: Name = CARD_SALE
    see: See = See()


class Scenario(_Table, frozen=True):
    """One file. The situation and what happens by itself also stand in `docs/playbook.md`."""

    row: str
    shop: str
    situation: str
    situation_zh: str
    by_itself: str
    by_itself_zh: str
    fact: tuple[Fact, ...]

    @property
    def shown(self) -> See | None:
        """Where the row itself is seen with all of its advice."""
        return next((fact.see for fact in self.fact if fact.see.code == self.row and None not in _advice(fact.see)), None)

    @property
    def stans(self) -> list[str]:
        """Every STAN that it uses."""
        sent = [each.stan for fact in self.fact for each in fact.kernel]
        return list(dict.fromkeys([fact.open.stan for fact in self.fact if fact.open is not None] + sent))


ADVICE = ("code", "hold_goods", "may_pay_again", "zh", "zh_long", "en", "en_long")


def _advice(see: See) -> list[Any]:
    return [getattr(see, name) for name in ADVICE]


def scenarios() -> dict[str, Scenario]:
    """Every scenario by the name of its file, P1 before P10, the ordinary moments (N) last."""
    files = sorted(FOLDER.glob("[NP]*.toml"), key=lambda path: _order(path.stem))
    return {path.stem: load(path) for path in files}


def load(path: Path) -> Scenario:
    """One file. Raises msgspec.ValidationError that names the word at fault."""
    return msgspec.convert(tomllib.loads(path.read_text()), Scenario)


def shops() -> dict[str, dict[str, Any]]:
    """Every shop by name: what its terminal is configured with, and what stands around it."""
    told = tomllib.loads((FOLDER / "shops.toml").read_text())
    waits = told.pop("recovery")
    return {name: words | {"recovery": waits | words.get("recovery", {})} for name, words in told.items()}


def _order(name: str) -> tuple[bool, int, str]:
    digits = "".join(letter for letter in name.split("-")[0] if letter.isdigit())
    return name.startswith("N"), int(digits), name
