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
