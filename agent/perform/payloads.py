"""Journal entries as they travel: an event, or the word on a command, which is an entry of the same journal."""

from typing import Any, Final

from agent.envelope import Channel, Event, Response
from agent.journal.chain import Entry

LATE_MS: Final = 60_000  # an event sent later than this after it happened is no news
COMMAND: Final = "command."


def channel_of(entry: Entry) -> Channel:
    """Where it travels."""
    return Channel.RSP if entry.type.startswith(COMMAND) else Channel.EV


def payload_of(entry: Entry, prev: int, who: dict[str, Any], boot: int, boottime_ms: int) -> Event | Response:
    """As it stands in the journal: an entry with an untrusted clock is dated by who reads (boot, mono).

    `who` holds sn, fleet and epoch; `boot` and `boottime_ms` are those of now.
    """
    late = entry.boot != boot or boottime_ms - entry.mono_ms > LATE_MS
    common: dict[str, Any] = {
        **who, "boot": entry.boot, "ts": None if entry.clk == "none" else entry.wall_ms, "clk": entry.clk,
        "mono": entry.mono_ms, "seq": entry.seq, "prev": prev, "late": late, "tx": entry.transaction,
    }
    if channel_of(entry) is Channel.EV:
        return Event(**common, type=entry.type, inc=entry.incident, d=entry.data)
    said = {name: value for name, value in entry.data.items() if name not in {"id", "name", "correlation"}}
    status: Any = entry.type.removeprefix(COMMAND)
    return Response(**common, id=entry.data["id"], name=entry.data["name"], status=status, d=said)


def correlation_of(entry: Entry) -> bytes | None:
    """What the asker sent along to know the answer by."""
    return bytes.fromhex(entry.data["correlation"]) if entry.data.get("correlation") else None
