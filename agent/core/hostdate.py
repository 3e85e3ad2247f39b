"""The business day as the host itself says it, in its answers: F15 is the day, F12 its time of day.

Our own clock counts as right only while it agrees with the host's. Where it does not, or is not known, the host's word alone is
the day, and is equal only to another word of the host's: a request that was stamped by a wrong clock is never "of today".
"""

from datetime import date

from msgspec.structs import replace

from agent.core.model import Reversal, Stamp
from agent.core.state import DAY_MINUTES, MINUTE_MS, State

AGREES_MS = 120_000  # further apart, and one of the two clocks is wrong
DAY_MS = DAY_MINUTES * MINUTE_MS
SECOND_MS = 1_000
EARLIER = "earlier"  # for a reversal's day: it ended before the host named any
_EPOCH = date(1970, 1, 1).toordinal()


def heard(state: State, day: str | None, time: str | None) -> None:
    """An answer came with F15 `day` (MMDD) and perhaps F12 `time` (hhmmss): remember it until the host's day ends."""
    if day is None or not _is_day(state, day):
        return
    at_ms = _time_ms(time)
    own = state.wall_day()
    agrees = own is not None and _month_and_day(own) == day and (at_ms is None or _apart_ms(state, at_ms) <= AGREES_MS)
    label = own if own is not None and agrees else f"h{day}"
    agent, now_ms = state.agent, state.now.boottime_ms
    if own is not None and not agrees and agent.host_day != label:
        state.tell("clock.host_disagrees", host_day=day, host_time=time)
    # F12 names a second that has begun: the day ends up to a second sooner than it says.
    left_ms = 1 if at_ms is None else max(1, DAY_MS - _since_cut_over_ms(state, at_ms) - SECOND_MS)
    if agent.host_day != label or now_ms >= agent.host_day_until_ms:
        state.put(replace(agent, host_day=label, host_day_until_ms=now_ms + left_ms))


def noted(state: State, row: Reversal, sent: Stamp, day: str | None, time: str | None) -> Reversal:
    """The first day that the host names in an answer to a reversal stays with it, over every boot and clock.

    A request that is older than the host's day is of an earlier one, whatever the clock that dated it said.
    """
    if day is None or row.host_day is not None or not _is_day(state, day):
        return row
    at_ms = _time_ms(time)
    older = at_ms is not None and state.age_ms(sent) > _since_cut_over_ms(state, at_ms) + SECOND_MS
    return state.put(replace(row, host_day=EARLIER if older else day))


def has_changed(state: State, row: Reversal, day: str | None) -> bool:
    """True when the host has named another day before: the request is not of this one, whatever our clock said of it."""
    if row.host_day == EARLIER:
        return True
    return day is not None and _is_day(state, day) and row.host_day not in {None, day}


def _is_day(state: State, day: str) -> bool:
    return state.agent.policy.host_day and _digits(day, 4) and day[0] < "2" and day[2] < "4"


def _digits(text: str, size: int) -> bool:
    return len(text) == size and text.isascii() and text.isdecimal()


def _time_ms(time: str | None) -> int | None:
    """F12 in ms since midnight; None for what is no time."""
    if time is None or not _digits(time, 6):
        return None
    hour, minute, second = int(time[:2]), int(time[2:4]), int(time[4:])
    return ((hour * 60 + minute) * 60 + second) * SECOND_MS if hour < 24 and minute < 60 and second < 60 else None


def _since_cut_over_ms(state: State, at_ms: int) -> int:
    """How old the host's day is at its time of day."""
    return (at_ms - state.agent.policy.cutoff_minute * MINUTE_MS) % DAY_MS


def _month_and_day(days: str) -> str:
    moment = date.fromordinal(_EPOCH + int(days))
    return f"{moment.month:02d}{moment.day:02d}"


def _apart_ms(state: State, at_ms: int) -> int:
    """How far our time of day is from the host's, the short way round midnight."""
    assert state.now.wall_ms is not None, "asked only where our day is known"
    own_ms = (state.now.wall_ms + state.agent.policy.utc_offset_minutes * MINUTE_MS) % DAY_MS
    apart_ms = (own_ms - at_ms) % DAY_MS
    return min(apart_ms, DAY_MS - apart_ms)
