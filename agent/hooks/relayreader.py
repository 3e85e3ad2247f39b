"""What a frame means to the relay: a transaction to be watched, the app's own 0400, a settlement, or none of its business.

Most of what passes is looked at with a glance (`device.acquirer.peek`) and never changed. Of a transaction only what a
reversal needs is kept: card number, expiry and cut chip data go into the vault, track data and PIN block nowhere.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from agent.core.event import HostReply, Opened, RelayAnswered
from agent.core.kinds import UNLISTED
from agent.core.model import Original
from agent.core.policy import Policy
from agent.core.profile import Kind, Messages
from agent.hooks.ids import new_id
from agent.vault import Sealed, Vault, mask
from device.acquirer import chip
from device.acquirer.composed import parts
from device.acquirer.message import Codec, Message, first_sent
from device.acquirer.peek import Peek
from device.errors import LocalMessageError, RemoteMessageError

ONLINE = frozenset({"0100", "0200", "0220"})  # requests that wait for pending reversals
INQUIRIES = "3"  # the first digit of their processing codes (F3): they move no money
F60_OF_NETWORK = "{type}{batch}{network}"  # of network management
Key = tuple[str | None, str | None]  # F41 and F11
MacState = Literal["good", "bad", "missing", "unchecked"]


class Unreadable(Exception):
    """A request that may move money and could not be undone, since it cannot be read. Its text names the field only."""


class Watched(msgspec.Struct, frozen=True):
    """A transaction. `sealed` is what its reversal needs, None where there is never one; `mti` is that of its first send."""

    mti: str
    key: Key
    opened: Opened
    sealed: Sealed | None


class OwnReversal(msgspec.Struct, frozen=True):
    """The payment app's own 0400: whose it is, as its fields say."""

    mti: str
    terminal_id: str
    batch: str
    stan: str
    amount_fen: int
    reason: str | None

    @property
    def key(self) -> Key:
        """What its answer repeats."""
        return self.terminal_id, self.stan


class Settlement(msgspec.Struct, frozen=True):
    """An 0500; `mti` is that of its first send."""

    mti: str
    key: Key
    terminal_id: str
    batch: str


class Online(msgspec.Struct, frozen=True):
    """An online request that moves no money: a balance inquiry."""

    terminal_id: str


class SignIn(msgspec.Struct, frozen=True):
    """An 0800 that asks for keys."""

    mti: str
    key: Key


Meaning = Watched | OwnReversal | Settlement | Online | SignIn | None


class RelayReader:
    """Reads for one profile. `prove` tells what the MAC of an answer is worth, `policy` the rules in force, `vault` seals."""

    def __init__(
        self, codec: Codec, prove: Callable[[Message], Awaitable[MacState]], vault: Vault, policy: Callable[[], Policy]
    ) -> None:
        self.codec = codec
        self._prove = prove
        self._vault = vault
        self._policy = policy

    def glance(self, frame: bytes) -> Peek | None:
        """Type and identity, or None for what is no message of this profile: it passes untouched."""
        try:
            return self.codec.peek(frame)
        except RemoteMessageError:
            return None

    def request(self, frame: bytes) -> Meaning:
        """What this frame from the terminal means. Raises Unreadable for money that could not be undone."""
        policy, mti = self._policy(), first_sent(self.codec.type_of(frame))
        if mti in ONLINE or any(kind.mti == mti for kind in policy.kinds):
            return self._money(mti, frame)
        seen = self.glance(frame)
        if seen is None or seen.f41 is None:
            return None
        try:
            if mti == policy.messages.reversal:
                return self._own_reversal(seen.f41, self.codec.read(frame))
            if mti == policy.messages.settlement:
                batch = self._f60(self.codec.read(frame)).get("batch")
                return Settlement(mti, (seen.f41, seen.f11), seen.f41, batch) if batch else None
            if mti == policy.messages.sign_in:
                return self._sign_in(policy.messages, self.codec.read(frame))
        except RemoteMessageError:
            return None  # whatever it is, it is none of ours
        return None

    def _money(self, mti: str, frame: bytes) -> Meaning:
        """A request that may move money. Its type and F3 say which kinds it may be, F60.1 which of them it is, if any."""
        try:
            message = self.codec.read(frame)
        except RemoteMessageError as error:
            seen = self.glance(frame)
            if self._undone(mti, None if seen is None else seen.f3):
                raise Unreadable(str(error)) from None
            return Online(seen.f41) if seen is not None and seen.f41 is not None else None
        said, f60, kinds = message.fields, self._f60(message), self._kinds(mti, message.fields.get(3))
        missing = next((number for number in (3, 4, 11, 41, 42) if number not in said), None)
        if missing is not None or "batch" not in f60:
            if self._undone(mti, said.get(3)):
                raise Unreadable(f"it lacks field {60 if missing is None else missing}")
            return Online(said[41]) if 41 in said else None
        if not int(said[4]) or said[3].startswith(INQUIRIES):
            return Online(said[41])
        kind = next((kind for kind in kinds if kind.type == f60.get("type", "")), Kind(name=UNLISTED))
        return self._watched(kind, mti, message, f60["batch"])

    def _kinds(self, mti: str, f3: str | None) -> list[Kind]:
        """Which kinds it may be; where F3 cannot be seen, all of its type."""
        return [kind for kind in self._policy().kinds if kind.mti == mti and f3 in {None, kind.f3}]

    def _undone(self, mti: str, f3: str | None) -> bool:
        """True when it may be of a kind that is reversed."""
        return any(kind.in_doubt == "reverse" for kind in self._kinds(mti, f3))

    def _watched(self, kind: Kind, mti: str, message: Message, batch: str) -> Watched:
        said, pan, policy = message.fields, message.pan, self._policy()
        ref = new_id() if kind.in_doubt == "reverse" else None  # what is never reversed needs no secrets kept
        original = parts(kind.f61, said.get(61, ""))
        opened = Opened(
            transaction=new_id(), rail="card", kind=kind.name, amount_fen=int(said[4]), currency=said.get(49, "156"),
            stan=said[11], batch=batch, terminal_id=said[41], merchant_id=said[42], ask=True,
            condition=said.get(25, kind.condition), entry_mode=said.get(22), sequence=said.get(23),
            masked_pan=mask(pan) if pan else None, last4=pan[-4:] if pan else None, vault=ref,
            card_hmac=self._vault.card_hash(pan) if pan else None,
            original=Original(original["batch"], original["stan"], original.get("date")) if "stan" in original else None,
        )
        key = (said[41], said[11])
        if ref is None:
            return Watched(mti, key, opened, None)
        secrets = {2: pan, 14: said.get(14), 55: _chip(said.get(55), policy)}
        sealed = {str(number): text for number, text in secrets.items() if text and number in policy.reversal.fields}
        return Watched(mti, key, opened, Sealed(ref, self._vault.seal(ref, sealed)))

    @staticmethod
    def _sign_in(messages: Messages, message: Message) -> Meaning:
        """Network management of the type that brings new keys, or something else of that type."""
        said = message.fields
        code = parts(F60_OF_NETWORK, said.get(60, "")).get("network")
        named = not messages.sign_in_f3 or said.get(3) == messages.sign_in_f3
        meant = named and (not messages.sign_in_f60 or code in messages.sign_in_f60)
        return SignIn(first_sent(message.mti), (said.get(41), said.get(11))) if meant else None

    def _own_reversal(self, terminal_id: str, message: Message) -> Meaning:
        said, batch = message.fields, self._f60(message).get("batch")
        if batch is None or 4 not in said or 11 not in said:
            return None
        return OwnReversal(first_sent(message.mti), terminal_id, batch, said[11], int(said[4]), said.get(39))

    def _f60(self, message: Message) -> Mapping[str, str]:
        """Type and batch, where the profile's F60 has them."""
        return parts(self._policy().reversal.f60, message.fields.get(60, ""))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def answer(self, transaction: str, frame: bytes) -> RelayAnswered:
        """The 0210 or 0110 of a watched transaction. Raises RemoteMessageError."""
        message = self.codec.read(frame)
        said = message.fields
        return RelayAnswered(
            transaction=transaction, f3=said.get(3), f4=said.get(4), f11=said.get(11), f41=said.get(41), f42=said.get(42),
            code=said.get(39), mac=await self._prove(message), rrn=said.get(37), auth_code=said.get(38),
            day=said.get(15), time=said.get(12), f60=said.get(60),
        )

    async def own_answer(self, frame: bytes) -> HostReply:
        """The 0410 of the app's own 0400. Raises RemoteMessageError."""
        message = self.codec.read(frame)
        said = message.fields
        return HostReply(
            f3=said.get(3), f4=said.get(4), f11=said.get(11), f41=said.get(41), f42=said.get(42), code=said.get(39),
            mac=await self._prove(message), day=said.get(15), time=said.get(12), f60=said.get(60),
        )


def crossed(asked: Settlement | SignIn | None, seen: Peek) -> bool:
    """True for the answer to another terminal or STAN; F41 and F11 count where the answer has them."""
    pairs = zip(asked.key, (seen.f41, seen.f11), strict=True) if asked is not None else ()
    return any(theirs not in {None, ours} for ours, theirs in pairs)


def _chip(text: str | None, policy: Policy) -> str | None:
    """Chip data cut to what a reversal carries; what is not well-formed is left out of it."""
    try:
        return chip.cut(text, policy.reversal.chip_tags) or None if text else None
    except LocalMessageError:
        return None
