"""The settlement calendar: on which days the acquirer settles, and when a missing line begins to mean something.

Days are whole numbers since 1970-01-01. The file of settlement date D comes on the next settlement day; what it says is final
only after the file of the settlement day after D, because a reversal may be booked a day later.
"""

from datetime import date
from functools import lru_cache

from msgspec.structs import replace

from agent.core.policy import Policy

_EPOCH = date(1970, 1, 1).toordinal()
_THURSDAY = 3  # 1970-01-01
_EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
_LOOK_AHEAD_DAYS = 60  # no acquirer rests longer; a calendar that says so is not believed


def settles(policy: Policy, day: int) -> bool:
    """True when the acquirer settles on this day: single days go before weekdays."""
    if day in policy.extra_days:
        return True
    return day not in policy.holidays and (day + _THURSDAY) % 7 in policy.settles


def _never_rests(policy: Policy) -> bool:
    """True for most acquirers: then days need not be looked at one by one."""
    return policy.settles == _EVERY_DAY and not policy.holidays


def of_wallet(policy: Policy, wallet: str | None) -> Policy:
    """The policy with the calendar of this wallet: most settle every day, whatever the acquirer does. None: a card."""
    if wallet is None or _never_rests(policy):
        return policy
    rule = policy.wallet(wallet)
    if rule is not None and rule.settles == "acquirer":
        return policy
    return replace(policy, settles=_EVERY_DAY, holidays=(), extra_days=())


def following(policy: Policy, day: int, count: int = 1) -> int:
    """The `count`-th settlement day after `day`."""
    if _never_rests(policy):
        return day + count
    for _ in range(count):
        last = day + _LOOK_AHEAD_DAYS
        day += 1
        while day < last and not settles(policy, day):
            day += 1
    return day


def needed(policy: Policy, first: int, last: int) -> list[int]:
    """The settlement days from `first` to `last`: a missing line says nothing as long as one of their files is missing."""
    days = range(first, last + 1)
    return list(days) if _never_rests(policy) else [day for day in days if settles(policy, day)]


def grace_day(policy: Policy, day: int, kind: str) -> int:
    """The last settlement date whose file may still bring the line of a transaction of this business day."""
    return following(policy, day, 1 + policy.grace_days + (kind in policy.later_kinds))


def number(text: str) -> int:
    """2026-03-02 → days since 1970. Raises ValueError."""
    return date.fromisoformat(text).toordinal() - _EPOCH


@lru_cache(maxsize=64)  # the same few days are written again and again, in every fact about a settlement file
def text(day: int) -> str:
    """Days since 1970 → 2026-03-02; what lies beyond every calendar becomes its first or last day."""
    return date.fromordinal(min(max(_EPOCH + day, date.min.toordinal()), date.max.toordinal())).isoformat()
