"""What travels over MQTT, and under which name; shared by terminal and fleet. Pure.

A topic is `rv1/{fleet}/{sn}/{channel}`. A payload is one JSON object with a version `v`; a reader ignores fields it does
not know, so that an old fleet reads a new terminal, and refuses a version it does not know. Error texts name the field
that was wrong and never its content.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

VERSION: Final = 1
ROOT: Final = "rv1"
MAX_PAYLOAD_BYTES: Final = 64 * 1024
MAX_FLEET: Final = 8
MAX_SN: Final = 20

# A level of a topic: printable ASCII without the separator and the two wildcards.
_LEVEL: Final = re.compile(r"(?:(?![/+#])[!-~])+")

# The kinds of journal entry that leave the terminal, by the first word of their type. The rest is for the technician.
PUBLISHED: Final = frozenset({
    "incident", "reversal", "receipt", "printer", "clock", "security", "settlement", "wallet", "command",
})


class EnvelopeError(ValueError):
    """A topic or a payload is not what this protocol says. The sender's fault; the text never carries content."""


class Channel(StrEnum):
    """The last level of a topic."""

    EV = "ev"
    STATE = "state"
    SNAP = "snap"
    HB = "hb"
    CMD = "cmd"
    RSP = "rsp"
    ACK = "ack"
    CFG = "cfg"


_CHANNELS: Final = frozenset(channel.value for channel in Channel)


class Rule(msgspec.Struct, frozen=True):
    """How a channel travels. `expiry_s` None: the broker keeps it as long as it can. `retained` needs the broker's word."""

    direction: Literal["up", "down"]
    qos: Literal[0, 1]
    retained: bool
    expiry_s: int | None


RULES: Final[dict[Channel, Rule]] = {
    Channel.EV: Rule("up", 1, False, None),
    Channel.STATE: Rule("up", 1, True, None),
    Channel.SNAP: Rule("up", 1, True, 86_400),
    Channel.HB: Rule("up", 0, False, 600),
    Channel.CMD: Rule("down", 1, False, 120),
    Channel.RSP: Rule("up", 1, False, 86_400),
    Channel.ACK: Rule("down", 1, False, 3_600),
    Channel.CFG: Rule("down", 1, True, None),
}


class Address(msgspec.Struct, frozen=True):
    """Whose topic it is, and which channel."""

    fleet: str
    sn: str
    channel: Channel


# Whole numbers that every reader holds exactly, JavaScript and SQLite included.
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What every payload from a terminal says: who, in which life of the journal, in which boot, and when.

    `epoch` changes when the journal is made anew. `ts` is milliseconds since 1970 (UTC), or null where the wall clock
    was not to be trusted (`clk` = "none"); `mono` is milliseconds since that boot and always true.
    """

    v: int = VERSION
    sn: str
    fleet: str
    epoch: Name
    boot: Whole
    ts: Whole | None
    clk: Literal["net", "ntp", "rtc", "none"]
    mono: Whole


class Event(_Payload, frozen=True, kw_only=True):
    """One journal entry (`ev`). De-duplicate on (sn, epoch, seq).

    `prev` is the seq of the entry published before this one in the same epoch, 0 when there was none. Most journal
    entries never leave the terminal, so the numbers alone have holes; with `prev` a reader can tell an entry that was
    passed over from one that was lost. A repeat of the same entry may carry a smaller `prev`: an entry between the two
    turned out to be one that no broker takes. `late` says that it happened more than a minute, or a boot, before it
    was sent. `ts` is never filled in afterwards: with null, the reader dates it by (boot, mono).
    """

    seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    prev: Whole
    type: Name
    late: bool
    inc: Name | None = None
    tx: Name | None = None
    d: dict[str, Any]

    def __post_init__(self) -> None:
        if self.prev >= self.seq:
            raise ValueError("prev must be smaller than seq")


class State(_Payload, frozen=True, kw_only=True):
    """Is the terminal there (`state`)? `lost` is the Will: it counts only for the `session` it names.

    In a Will, `ts` and `mono` are those of the connect: the broker sends it, not the terminal.
    """

    state: Literal["online", "offline", "lost"]
    session: Name


class Beat(_Payload, frozen=True, kw_only=True):
    """Still here (`hb`). Never kept: a missed one is missed."""

    session: Name


class Snap(_Payload, frozen=True, kw_only=True):
    """How things stand (`snap`): only the latest counts. `d` holds what the terminal's daemon chose to show."""

    d: dict[str, Any]


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet holds every published entry of `epoch` up to and including `hwm` on disk (`ack`)."""

    epoch: Name
    hwm: Whole


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An order to one terminal (`cmd`): a closed list. `sig` is Ed25519 over all the rest, as hex, under the key that `key`
    names (`agent.commandform`); times in ms since 1970.
    """

    v: int = VERSION
    fleet: str
    sn: str
    id: str
    name: Name
    args: dict[str, Any]
    not_before: Whole
    expires: Whole
    key: str
    sig: str


class Response(_Payload, frozen=True, kw_only=True):
    """How an order stands (`rsp`). A repeated order is answered from the stored result.

    `accepted`, `done` and `rejected` that have a `seq` are journal entries as those of `ev` are, in one chain with them.
    Without it nothing of them is journaled: a repeat, a part of what was asked for (`running`), an order that was not taken.
    """

    seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] | None = None
    prev: Whole = 0
    late: bool = False
    tx: Name | None = None
    id: str
    name: str
    status: Literal["accepted", "running", "done", "rejected"]
    d: dict[str, Any] = {}


Body = TypeVar("Body", Event, State, Beat, Snap, Ack, Command, Response)

_encoder = msgspec.json.Encoder()
_decoders: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Event, State, Beat, Snap, Ack, Command, Response)
}


class _Version(msgspec.Struct):
    v: int = VERSION


_version = msgspec.json.Decoder(_Version)


def encode(body: Event | State | Beat | Snap | Ack | Command | Response) -> bytes:
    """JSON, UTF-8. Raises EnvelopeError when the body cannot be written or is larger than MAX_PAYLOAD_BYTES."""
    try:
        payload = _encoder.encode(body)
    except (TypeError, ValueError, RecursionError):
        raise EnvelopeError("the data holds something that JSON has no form for") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise EnvelopeError(f"the payload has {len(payload)} bytes, more than the {MAX_PAYLOAD_BYTES} allowed")
    return payload


def decode(payload: bytes, kind: type[Body]) -> Body:
    """Read a payload as `kind`. Raises EnvelopeError naming the field that was wrong, never its content."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise EnvelopeError(f"the payload has {len(payload)} bytes, more than the {MAX_PAYLOAD_BYTES} allowed")
    try:
        version = _version.decode(payload).v
        if version != VERSION:
            raise EnvelopeError(f"version {version} of the envelope is not known here: update the receiving side")
        body: Body = _decoders[kind].decode(payload)
    except msgspec.ValidationError as error:
        raise EnvelopeError(f"not a valid {kind.__name__.lower()}: {_where(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EnvelopeError("the payload is not JSON") from None
    return body


def topic(fleet: str, sn: str, channel: Channel) -> str:
    """`rv1/{fleet}/{sn}/{channel}`. Raises EnvelopeError for a name that cannot stand in a topic."""
    return f"{ROOT}/{_level(fleet, 'fleet', MAX_FLEET)}/{_level(sn, 'sn', MAX_SN)}/{channel}"


def topic_filter(fleet: str | None, sn: str | None, channel: Channel) -> str:
    """A subscription; None stands for all."""
    levels = ("+" if fleet is None else _level(fleet, "fleet", MAX_FLEET), "+" if sn is None else _level(sn, "sn", MAX_SN))
    return f"{ROOT}/{levels[0]}/{levels[1]}/{channel}"


def parse_topic(name: str) -> Address:
    """The reverse of `topic`. Raises EnvelopeError."""
    levels = name.split("/")
    if len(levels) != 4 or levels[0] != ROOT or levels[3] not in _CHANNELS:
        raise EnvelopeError(f"not a topic of the form {ROOT}/fleet/sn/channel")
    return Address(_level(levels[1], "fleet", MAX_FLEET), _level(levels[2], "sn", MAX_SN), Channel(levels[3]))


def read(name: str, payload: bytes, kind: type[Body]) -> Body:
    """Decode, and hold the payload to its topic: the broker pins a terminal to its topics, not to what it writes there."""
    address = parse_topic(name)
    body = decode(payload, kind)
    for said, meant in ((getattr(body, "sn", None), address.sn), (getattr(body, "fleet", None), address.fleet)):
        if said is not None and said != meant:
            raise EnvelopeError("the payload names another terminal than its topic")
    return body


def as_event(response: Response) -> Event | None:
    """The journal entry that a response carries, None for one that carries none. Raises EnvelopeError."""
    if response.seq is None:
        return None
    try:
        return Event(
            sn=response.sn, fleet=response.fleet, epoch=response.epoch, boot=response.boot, ts=response.ts, clk=response.clk,
            mono=response.mono, seq=response.seq, prev=response.prev, type=f"command.{response.status}", late=response.late,
            tx=response.tx, d={"id": response.id, "name": response.name, **response.d},
        )
    except ValueError as error:
        raise EnvelopeError(str(error)) from None


def is_published(entry_type: str) -> bool:
    """Does an entry of this type leave the terminal?"""
    return entry_type.partition(".")[0] in PUBLISHED


def _level(value: str, what: str, longest: int) -> str:
    if len(value) > longest or not _LEVEL.fullmatch(value):
        raise EnvelopeError(f"{what} must be 1 to {longest} printable ASCII characters, none of them / + #")
    return value


def _where(message: str) -> str:
    """From msgspec's message only the field, since the rest can quote the value."""
    at = re.search(r"at `\$\.?([^`]*)`", message)
    missing = re.search(r"missing required field `(\w+)`", message)
    if missing:
        return f"field {missing[1]} is missing"
    return f"field {at[1]} is wrong" if at and at[1] else "it is not an object with the right fields"
