"""What the settlement files prove about one transaction, and what is owed because of it. Judgement only: nothing is changed.

Debits and credits are netted. A verdict is final only when the file of the settlement day after the last line was imported; a
missing line means nothing before every file up to the grace day is there. What is owed depends on where the goods went and on
what replaced the payment; where nobody said, the case says so.
"""

from collections.abc import Iterable
from operator import attrgetter

from agent.core import undoing
from agent.core.accounts import Account, BookedLine
from agent.core.calendar import following, grace_day, needed, of_wallet
from agent.core.kinds import MONEYLESS
from agent.core.model import Transaction
from agent.core.moment import whole_day
from agent.core.state import State

CREDITS = frozenset({"void", "refund", "completion_void"})  # their own line is a credit
NOT_PAID = frozenset({"declined", "declined_uncertain", "not_sent", "no_original", "reversed", "closed", "refunded", "resolved"})
# The agent itself is still at it: nobody else is asked.
BUSY = frozenset(
    {"intent", "sent", "in_doubt", "reversing", "approved_not_completed", "querying", "cancelling", "cancel_unknown"}
)

# The incident of a doubt; what the files find otherwise is a case of its own ("settlement").
OWN_INCIDENT = {"unresolved": "in_doubt", "declined_uncertain": "declined_uncertain"}

# What is owed, once a verdict is final. "wait" is owed to nobody yet, "even" to nobody any more.
CASES = ("wait", "even", "refund", "possible", "contact", "collect", "redo_void", "call", "uneven")

_day = attrgetter("day")


def amounts(row: Transaction, family: Iterable[Transaction] = ()) -> tuple[int, ...]:
    """The amounts that may stand in a file for it: what was approved, with tips and adjustments."""
    base = row.amount_fen if row.approved_fen is None else row.approved_fen
    mine = [
        other for other in family
        if other.original is not None and other.state == "approved" and other.terminal_id == row.terminal_id
        and (other.original.batch, other.original.stan) == (row.batch, row.stan)
    ]
    tips = sum(other.amount_fen for other in mine if other.kind == "tip")
    totals = [other.amount_fen for other in mine if other.kind == "adjustment"]
    return tuple(sorted({base, base + tips, *totals}))


def net_fen(lines: Iterable[BookedLine]) -> int:
    """Debits less credits."""
    net = 0
    for line in lines:
        net += line.amount_fen if line.direction == "debit" else -line.amount_fen
    return net


def newest_day(lines: Iterable[BookedLine]) -> int:
    """The last settlement date that has a line of it; there is one at least."""
    newest: int = max(map(_day, lines))
    return newest


def booked_fen(row: Transaction, account: Account) -> int:
    """What stands in the files in the direction of its kind: for a sale what the customer paid, for a void what came back."""
    net = net_fen(account.lines) + account.undone_fen
    return -net if row.kind in CREDITS else net


def verdict(state: State, row: Transaction, account: Account) -> tuple[str, bool]:
    """(awaited | settled | not_settled | uneven, is it final)."""
    policy, days = of_wallet(state.agent.policy, row.wallet), covered(state, row)
    if not account.lines and account.other_day is not None:
        return "uneven", following(policy, account.other_day) in days
    if not account.lines:
        last, first = last_day(state, row), first_day(row)
        if last is None or first is None or not set(days).issuperset(needed(policy, first, last)):
            return "awaited", False
        return "not_settled", True
    booked, expected = booked_fen(row, account), account.amounts_fen or amounts(row)
    said = "settled" if booked in expected else "not_settled" if booked == 0 else "uneven"
    return said, following(policy, newest_day(account.lines)) in days


def covered(state: State, row: Transaction) -> tuple[int, ...]:
    """The settlement dates whose files were imported for its terminal, from whoever settles it."""
    return state.ledger.covered(row.wallet, other_terminal(state, row.terminal_id))


def other_terminal(state: State, terminal_id: str) -> str | None:
    """The terminal id, when it is not the configured one."""
    return None if terminal_id == (state.agent.policy.terminal_id or terminal_id) else terminal_id


def day_of(row: Transaction) -> int | None:
    """Its business day in days since 1970, or None when the clock was not to be trusted."""
    return whole_day((row.sent or row.opened).day)


def first_day(row: Transaction) -> int | None:
    """The first settlement date whose file may have it: a wallet's day ends at midnight, the host's business day before that."""
    day = day_of(row)
    return day if day is None or row.wallet is None else day - 1


def last_day(state: State, row: Transaction) -> int | None:
    """The settlement date whose file will make the verdict final, None with an unknown day, and for what stands in no file."""
    policy = of_wallet(state.agent.policy, row.wallet)
    if row.account is not None and row.account.lines:
        return following(policy, newest_day(row.account.lines))
    day = None if row.kind in MONEYLESS else day_of(row)
    return None if day is None else grace_day(policy, day, row.kind)


def is_overdue(state: State, row: Transaction, today: int) -> bool:
    """True when the file that makes its verdict final should have come before `today`; it never comes on the day itself."""
    lines = row.account.lines if row.account is not None else ()
    day = newest_day(lines) if lines else day_of(row)
    if day is None or day >= today:
        return False
    last = last_day(state, row)
    return last is not None and last < today


def next_check(state: State, row: Transaction) -> int | None:
    """The settlement date whose file tells the next thing about it: the final one once something is booked."""
    if row.account is not None and row.account.lines:
        return last_day(state, row)
    today = None if row.kind in MONEYLESS else state.whole_day()
    return None if today is None else following(of_wallet(state.agent.policy, row.wallet), today)


def case(state: State, row: Transaction, account: Account) -> str:
    """What is owed because of a final verdict: one of CASES."""
    if not account.final or row.state in BUSY:
        return "wait"
    if row.state == "paid" and 0 <= net_fen(account.lines) < _debited_fen(account):
        return _partly(state, row, account)
    if account.verdict == "uneven":
        return "uneven"
    if row.refund is not None and row.refund.state == "done":  # a wallet's credit names the order, and is netted with it
        return "even" if account.verdict == "settled" or row.order is not None else "uneven"
    if row.state == "refunded" and account.verdict == "settled":  # the wallet says otherwise: who pays now pays twice
        return "uneven"
    if row.kind in CREDITS:
        if account.verdict == "settled":  # of one that is said to have come to nothing, the original is undone all the same
            return "uneven" if row.state in NOT_PAID - {"declined_uncertain", "resolved", "refunded"} else "even"
        return "even" if row.state in NOT_PAID else "redo_void"
    return _settled(state, row) if account.verdict == "settled" else _not_settled(state, row)


def _settled(state: State, row: Transaction) -> str:
    """The money is the merchant's. Who paid twice gets it back, whatever else; it is never collected again."""
    said = row.disposition
    goods = said.goods if said is not None else None
    if row.by_hand == "refunded" or row.resolution == "refunded":
        return "even"
    if row.by_hand == "voided" or row.resolution == "collected" or goods == "returned" or _replaced(state, row):
        return "refund"
    if row.resolution is not None:
        return "even"
    if row.perhaps_repeated_by is not None and _paid(state, row.perhaps_repeated_by):
        return "possible"
    if row.state in {"approved", "paid"}:
        return "even"
    if row.state == "closed":  # so said the wallet itself, and the files say otherwise
        return "uneven"
    return "even" if goods == "released" else "contact"


def _debited_fen(account: Account) -> int:
    return sum(line.amount_fen for line in account.lines if line.direction == "debit")


def _partly(state: State, row: Transaction, account: Account) -> str:
    """A wallet's order that was paid, and refunded past the agent in part or whole: its credits name the order."""
    if _debited_fen(account) not in (account.amounts_fen or amounts(row)):
        return "uneven"
    whole = net_fen(account.lines) == 0
    returned = row.disposition is not None and row.disposition.goods == "returned"
    return "even" if whole or not (returned or _replaced(state, row)) else "uneven"


def _not_settled(state: State, row: Transaction) -> str:
    """The money never came. Nothing is owed where the goods stayed or another payment took its place."""
    said = row.disposition
    goods = said.goods if said is not None else None
    if row.by_hand is not None or row.resolution is not None or _replaced(state, row) or goods in {"held", "returned"}:
        return "even"
    if any(evidence.kind == "debit_sms" for evidence in row.evidence) and goods is None:
        return "call"
    if goods == "released":
        return "collect"
    return "even" if row.state in NOT_PAID else "collect"


def _replaced(state: State, row: Transaction) -> bool:
    """True when another payment certainly took its place: somebody said so, or it was repeated while it was in doubt."""
    said = row.disposition.replaced_by if row.disposition is not None else None
    if said is not None and said != "none":
        return said == "cash" or _paid(state, said)
    return row.repeated_by is not None and _paid(state, row.repeated_by)


def _paid(state: State, key: str) -> bool:
    """True for an approved payment that nothing took back. One of another terminal, which we cannot know, counts as was said."""
    other = state.transactions.get(key)
    return other is None or (other.state in {"approved", "paid"} and not undoing.is_undone(state, other))
