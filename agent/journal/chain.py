"""The journal's hash chain: what an entry is, and how it is tied to the one before it.

An unkeyed chain shows every change inside it, but not a tail that was cut off: its head (seq, hash) is published to the
fleet, and `verify` compares with the head that was last acknowledged.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

GENESIS = bytes(32)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of the journal, as it stands on disk. `seq` starts at 1 and has no gaps.

    `boot` counts the boots this journal has seen; `mono_ms` is CLOCK_BOOTTIME; `wall_ms` is null when the wall clock was not
    to be trusted (`clk` = "none"). `data` is masked: no PAN beyond first 6 / last 4 is ever in it. `input` stands in the
    first entry of a step: the event and all that replaying it needs.
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
    input: dict[str, Any] | None = None


class Broken(msgspec.Struct, frozen=True):
    """Where the chain does not hold, and how."""

    seq: int
    reason: str


# Canonical UTF-8 JSON: sorted keys, no spaces. What the hash is taken over.
canonical: Callable[[object], bytes] = msgspec.json.Encoder(order="sorted").encode


def link(previous: bytes, seq: int, body: bytes) -> bytes:
    """SHA-256(previous ‖ seq as 8 bytes big-endian ‖ canonical JSON)."""
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + body).digest()


def verify(rows: Iterable[tuple[int, bytes, bytes]], previous: bytes | None = GENESIS, after: int = 0) -> Iterator[Broken]:
    """Walk (seq, body, hash) rows and yield every place where the chain does not hold. `previous` None: it is not known."""
    for seq, body, stored in rows:
        if seq != after + 1:
            yield Broken(seq, f"entries {after + 1}–{seq - 1} are missing")
        if previous is not None and link(previous, seq, body) != stored:
            yield Broken(seq, "the entry or the one before it was changed")
        previous, after = stored, seq
