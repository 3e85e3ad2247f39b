"""Bestpay's streaks: three *proven* failures in a row of one customer mean that the SIM card or the account is at fault.

A failure counts only when it is proved that no money moved; doubt counts as nothing; one success ends the streak. The customer
is known by a keyed hash of a token, and the count is a row of record: it outlives power cuts.
"""

from msgspec.structs import replace

from agent.core.model import Streaks, Transaction
from agent.core.state import State

RAIL = "bestpay"
STREAK = 3
CUSTOMERS_MAX = 256  # the oldest is forgotten


def failed(state: State, row: Transaction) -> Transaction:
    """It is proved that this one took no money: the streak grows, and the row remembers how long it was then."""
    if row.rail != RAIL or row.order is None or row.customer is None:
        return row
    count = dict(state.streaks.failures).get(row.customer, 0) + 1
    others = [(name, number) for name, number in state.streaks.failures if name != row.customer]
    state.put(Streaks(failures=(*others, (row.customer, count))[-CUSTOMERS_MAX:]))
    state.tell("bestpay.failed", row.id, streak=count)
    return state.put(replace(row, order=replace(row.order, streak=count)))


def succeeded(state: State, row: Transaction) -> None:
    """A payment went through: the customer's streak is over."""
    if row.rail != RAIL or row.customer not in dict(state.streaks.failures):
        return
    state.put(Streaks(failures=tuple(each for each in state.streaks.failures if each[0] != row.customer)))
    state.tell("bestpay.succeeded", row.id)
