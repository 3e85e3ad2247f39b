"""Ids of what comes in: UUIDs that grow with time, so that the index of transactions grows at its end and not all over.

RFC 9562, version 7: 48 bits of wall clock in milliseconds, 74 random bits. Nothing is read out of them again: with a clock that
is wrong they are as unique, and only the index is less tidy.
"""

import random
import time

_VERSION = 7 << 76
_VARIANT = 0b10 << 62
_RANDOM = (1 << 76) - 1 & ~(0b11 << 62)
_draw = random.Random().getrandbits  # noqa: S311 - seeded by the system; an id is a name and hides nothing


def new_id() -> str:
    """A fresh one."""
    value = (time.time_ns() // 1_000_000) << 80 | _VERSION | _VARIANT | _draw(76) & _RANDOM
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
