"""The settlement calendar as a file: on which days the acquirer settles, and what settles a day later.

Four keys, all may be left out: `weekdays` (mon … sun), `holidays` and `extra_days` (2026-10-01), `later_kinds` (T+2).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent.core.calendar import number
from agent.problem import ConfigError
from agent.reading import Reading, document

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAYS_MAX = 400  # of each list: some years of them
KINDS_MAX = 32
KEYS = ("weekdays", "holidays", "extra_days", "later_kinds")


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Weekdays are numbers (Monday is 0), days are days since 1970; the names are those of the rules' values."""

    settles: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    holidays: tuple[int, ...] = ()
    extra_days: tuple[int, ...] = ()
    later_kinds: tuple[str, ...] = ()


def load(path: Path) -> Calendar:
    """The calendar in this file. Raises ConfigError with every mistake, named by file and key."""
    reading = Reading(str(path))
    written = document(path, str(path), "settlement.calendar")
    for key in written:
        if key not in KEYS:
            reading.unknown(key, key, KEYS, ("key of a calendar", "日历的键"))
    read = {key: tuple(_values(reading, written, key)) for key in KEYS if key in written}
    if not read.get("weekdays", (0,)) and "weekdays" not in reading.bad:
        reading.problem("weekdays", "must name at least one day", "至少写一天")
    if reading.problems:
        raise ConfigError(tuple(reading.problems))
    names = {"weekdays": "settles"}
    return Calendar(**{names.get(key, key): value for key, value in read.items()})  # type: ignore[arg-type]


def _values(reading: Reading, written: Mapping[str, Any], key: str) -> Iterator[int | str]:
    listed, most = written[key], KINDS_MAX if key == "later_kinds" else DAYS_MAX
    if not isinstance(listed, list) or len(listed) > most:
        reading.problem(key, f"must be a list of at most {most}", f"应为列表，最多 {most} 项")
        return
    for value in listed:
        try:
            yield _value(key, value)
        except ValueError:
            en, zh = _WANTED[key]
            reading.problem(key, f"{en}, not {value!r}", f"{zh}，不是 {value!r}")
            return


def _value(key: str, value: object) -> int | str:
    text = str(value)  # a date may be written with or without quotes
    if key == "weekdays":
        return WEEKDAYS.index(text)
    if key == "later_kinds":
        if not isinstance(value, str) or not value.isidentifier():
            raise ValueError(value)
        return value
    return number(text)


_WANTED = {
    "weekdays": ("takes " + ", ".join(WEEKDAYS), "应为 " + "、".join(WEEKDAYS)),
    "holidays": ("takes dates like 2026-10-01", "应为日期，如 2026-10-01"),
    "extra_days": ("takes dates like 2026-10-10", "应为日期，如 2026-10-10"),
    "later_kinds": ("takes kinds like completion", "应为交易种类，如 completion"),
}
