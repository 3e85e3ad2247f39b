"""Moments: the three times of one, and how it is kept in rows."""

from typing import Literal

import msgspec


class Now(msgspec.Struct, frozen=True, array_like=True):
    """The three times of one moment; `wall_ms` is None when the wall clock was never set (`clk` = "none")."""

    boot_id: str
    boottime_ms: int
    wall_ms: int | None
    clk: Literal["net", "ntp", "rtc", "none"]


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """When something happened: the how-manieth boot, time since that boot, wall time and business day if known."""

    boot: int
    mono_ms: int
    wall_ms: int | None
    day: str | None


def whole_day(day: str | None) -> int | None:
    """A business day as a number; the host's word alone (`h` and MMDD) names no year, so it is none."""
    return None if day is None or day.startswith("h") else int(day)
