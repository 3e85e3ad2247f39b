"""What each kind of transaction books at the simulated host, what it undoes, and what its reversal puts back.

A pre-authorization holds an amount; a completion takes it, whatever is left of the hold is free. A void of either, and a
reversal of any of them, puts its original back to where it was.
"""

from typing import Literal, NamedTuple

from device.acquirer.composed import parts
from device.simulator.hostrules import HostKind, HostRules
from device.simulator.ledger import Entry, Ledger

COMPLETION_PERCENT_MAX = 115  # of the amount that is held


class Effect(NamedTuple):
    """+1 takes from the customer, -1 gives back; `holds` only keeps the amount back; `does` what to an original of kinds `on`."""

    direction: int = 0
    holds: bool = False
    on: frozenset[str] = frozenset()
    does: Literal["", "voids", "completes", "refunds"] = ""


_SALES = frozenset({"sale", "offline", "instalment", "dcc"})
EFFECTS = {
    "sale": Effect(+1), "offline": Effect(+1), "instalment": Effect(+1), "dcc": Effect(+1),
    "tip": Effect(+1, on=frozenset({"sale"})),
    "void": Effect(-1, on=_SALES, does="voids"),
    "preauth": Effect(holds=True),
    "preauth_void": Effect(on=frozenset({"preauth"}), does="voids"),
    "completion": Effect(+1, on=frozenset({"preauth"}), does="completes"),
    "completion_void": Effect(-1, on=frozenset({"completion"}), does="voids"),
    "refund": Effect(-1, on=_SALES | {"completion"}, does="refunds"),
}


def book(ledger: Ledger, rules: HostRules, kind: HostKind, entry: Entry) -> str:
    """Book it, and what it does to its original; the response code. What is repeated is taken once and answered again."""
    codes = rules.codes
    if ledger.is_settled(entry.terminal_id, entry.batch):
        return codes.closed
    earlier = ledger.find(entry.terminal_id, entry.batch, entry.stan)
    if earlier is not None:
        again = kind.in_doubt == "repeat" and (earlier.kind, earlier.asked_fen) == (entry.kind, entry.asked_fen)
        if again:
            ledger.repeat(earlier)
        return "00" if again else codes.twice
    effect, original = EFFECTS.get(kind.name, Effect(+1)), None
    entry.direction, entry.holds = effect.direction, effect.holds
    if effect.on and kind.f61:
        original = _original(ledger, kind, entry)
        code = codes.no_original if original is None else _refusal(rules, effect, entry, original)
        if code:
            return code
    if not ledger.open(entry):
        return codes.full
    if original is not None:
        entry.original = (original.terminal_id, original.batch, original.stan)
        _mark(effect, entry, original, done=True)
    return "00"


def _original(ledger: Ledger, kind: HostKind, entry: Entry) -> Entry | None:
    """The transaction that F61 names: of this merchant, of a kind that this one may touch, on the day that F61 says."""
    said = parts(kind.f61, entry.f61)
    found = ledger.find(entry.terminal_id, said.get("batch", ""), said.get("stan", ""))
    if found is None or found.merchant_id != entry.merchant_id or found.kind not in EFFECTS[kind.name].on:
        return None
    return found if said.get("date", found.date) == found.date else None


def _refusal(rules: HostRules, effect: Effect, entry: Entry, original: Entry) -> str:
    """The code that refuses it, or nothing."""
    most = {
        "completes": original.amount_fen * COMPLETION_PERCENT_MAX // 100,
        "refunds": original.amount_fen - original.refunded_fen,
    }
    if original.reversed or original.voided or original.completed:
        return rules.codes.undone
    if effect.does == "voids":
        return "" if entry.amount_fen == original.amount_fen else rules.codes.amount
    return "" if entry.amount_fen <= most.get(effect.does, entry.amount_fen) else rules.codes.amount


def _mark(effect: Effect, entry: Entry, original: Entry, *, done: bool) -> None:
    if effect.does == "voids":
        original.voided = done
    elif effect.does == "completes":
        original.completed = done
    elif effect.does == "refunds":
        original.refunded_fen += entry.amount_fen


def reverse(ledger: Ledger, rules: HostRules, asked: Entry, f3: str) -> str:
    """A 0400, its fields as an entry, and its F3: the response code. An original is found only when all of them name it."""
    codes = rules.codes
    entry = ledger.find(asked.terminal_id, asked.batch, asked.stan)
    if entry is None or entry.merchant_id != asked.merchant_id or ledger.is_settled(asked.terminal_id, asked.batch):
        return codes.no_original
    kind = next(kind for kind in rules.kinds if kind.name == entry.kind)
    if kind.in_doubt != "reverse":
        return codes.refused
    if f3 != kind.f3 or not _named(rules, entry, asked):
        return codes.no_original
    if asked.asked_fen != (entry.asked_fen if rules.reversal_amount == "requested" else entry.amount_fen):
        return codes.amount
    if entry.voided or entry.completed:
        return codes.undone
    if entry.original and not entry.reversed:
        original = ledger.find(*entry.original)
        assert original is not None, "nothing is ever taken out of the books"
        _mark(EFFECTS[entry.kind], entry, original, done=False)
    ledger.reverse(entry)
    return "00"


def _named(rules: HostRules, entry: Entry, asked: Entry) -> bool:
    """True when F25 and F61 are those of the request, where a reversal of this acquirer has them."""
    fields = rules.reversal_fields
    return (25 not in fields or asked.f25 == entry.f25) and (61 not in fields or asked.f61 == entry.f61)
