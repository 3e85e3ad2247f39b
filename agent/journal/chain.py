"""The journal's hash chain: what an entry is, and how it is tied to the one before it."""

import hashlib
from typing import Any

import msgspec

GENESIS = bytes(32)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of the journal, as it stands on disk. `seq` starts at 1 and has no gaps.

    `boot` counts the boots this journal has seen; `mono_ms` is CLOCK_BOOTTIME; `wall_ms` is null when the wall clock
    was not to be trusted (`clk` = "none"). `data` is masked: no PAN beyond first 6 / last 4 is ever in it.
    """

    seq: int
    type: str
    boot: int
    mono_ms: int
    wall_ms: int | None
    clk: str
    transaction: str | None
    incident: str | None
    data: dict[str, Any]


def canonical(value: object) -> bytes:
    """Canonical UTF-8 JSON: sorted keys, no spaces. What the hash is taken over."""
    return msgspec.json.encode(value, order="sorted")


def link(previous: bytes, seq: int, body: bytes) -> bytes:
    """SHA-256(previous ‖ seq as 8 bytes big-endian ‖ canonical JSON)."""
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + body).digest()
