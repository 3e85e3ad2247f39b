"""ISO 8583 messages: fields to bytes and back, by a profile, without ever showing content in an error or a repr."""

from collections.abc import Callable, Mapping

import iso8583
import msgspec

from device.acquirer.peek import Peek, Peeker
from device.acquirer.profile import MAC_BYTES, MAC_FIELD, MTI_DIGITS, UNIONPAY, Profile
from device.acquirer.unpack import Unpacker, is_digits
from device.errors import LocalMessageError

# Never kept, packed or handed on: track data, card verification values, PIN block (PCI DSS 3.3.1).
SENSITIVE_FIELDS = frozenset({35, 36, 45, 52})
# What a reply must repeat of its request to be the answer to it.
IDENTITY_FIELDS = (3, 4, 11, 41, 42)

_SHOWN_FIELDS = (3, 11, 39, 41)


class Message(msgspec.Struct, frozen=True):
    """One message as read. `fields` are as a terminal's manual writes them: digits, text, or hexadecimal for binary.

    `mac` is F64 as it stood, or None; `mac_input` are the bytes it covers (MTI … the byte before F64), None with it.
    `pan` is the card number: F2, or where a stripe was read and F2 left out, what stands before the separator of track 2.
    `envelope` is the TPDU and header as received. F64, track data and PIN block are not among the fields. The repr shows
    the MTI, F3, F11, F39 and F41 only.
    """

    mti: str
    fields: Mapping[int, str]
    mac: bytes | None = None
    mac_input: bytes | None = None
    envelope: bytes = b""
    pan: str | None = None

    def __repr__(self) -> str:
        shown = "".join(f" F{n}={self.fields[n]!r}" for n in _SHOWN_FIELDS if n in self.fields)
        return f"<Message {self.mti}{shown}>"


class Codec:
    """Packs and reads the messages of one profile. Stateless but for bounded caches; one serves every connection."""

    def __init__(self, profile: Profile = UNIONPAY) -> None:
        self.profile = profile
        self.framing = profile.framing
        self.envelope = profile.envelope
        self.peek: Callable[[bytes], Peek] = Peeker(profile).peek
        self._unpack = Unpacker(profile).unpack
        self._spec = profile.spec()
        self._fields_at = len(self.envelope) + profile.mti_bytes + profile.bitmap_bytes

    def unsigned(self, mti: str, fields: Mapping[int, str], envelope: bytes | None = None) -> bytes:
        """TPDU, header, MTI, bitmap and fields, with bit 64 set and F64 still missing.

        Raises `LocalMessageError` that names the field which cannot be packed, and never its content.
        """
        self._check_ours(mti, fields)
        document = {"t": mti, **{str(n): text for n, text in fields.items()}, str(MAC_FIELD): "00" * MAC_BYTES}
        complaint = ""
        try:
            packed, _ = iso8583.encode(document, self._spec)
        except iso8583.EncodeError as error:
            complaint = f"field {error.field} cannot be packed: {error.msg}"
        if complaint:  # outside the handler: the library's error holds the whole message, and no context may keep it
            raise LocalMessageError(complaint)
        return (self.envelope if envelope is None else envelope) + bytes(packed[:-MAC_BYTES])

    def mac_input(self, body: bytes) -> bytes:
        """The bytes of an `unsigned` body that the MAC covers: MTI … the byte before F64."""
        return body[len(self.envelope) :]

    def frame(self, body: bytes, mac: bytes | None) -> bytes:
        """An `unsigned` body with its length in front and `mac` as F64; without a MAC bit 64 is cleared."""
        if mac is None:
            return self.framing.framed(self._without_bit_64(body))
        if len(mac) != MAC_BYTES:
            raise LocalMessageError(f"a MAC has {MAC_BYTES} bytes, not {len(mac)}")
        return self.framing.framed(body + mac)

    def pack(
        self, mti: str, fields: Mapping[int, str], sign: Callable[[bytes], bytes] | None = None,
        envelope: bytes | None = None,
    ) -> bytes:
        """A whole frame at once, for a MAC that can be computed on the spot; without `sign` there is no F64."""
        body = self.unsigned(mti, fields, envelope)
        return self.frame(body, sign(self.mac_input(body)) if sign else None)

    def type_of(self, frame: bytes) -> str:
        """The message type as it stands in `frame`, the least that can be looked at; of what is no message anything."""
        raw = frame[len(self.envelope) : len(self.envelope) + self.profile.mti_bytes]
        return raw.hex() if self.profile.packing == "bcd" else raw.decode("latin-1")

    def read(self, frame: bytes) -> Message:
        """The message in `frame` (its length prefix taken off).

        Raises `RemoteMessageError`, with the number of the field at fault and never with content, for anything that
        this profile cannot be.
        """
        content = frame[len(self.envelope) :]
        mti, fields = self._unpack(content)
        mac = None
        if fields.pop(MAC_FIELD, None) is not None:
            mac, content = content[-MAC_BYTES:], content[:-MAC_BYTES]
        pan = fields.get(2) or fields.get(35, "").upper().replace("=", "D").partition("D")[0]
        for number in SENSITIVE_FIELDS & fields.keys():
            del fields[number]
        whole = is_digits(pan) and 13 <= len(pan) <= 19
        return Message(mti, fields, mac, content if mac else None, frame[: len(self.envelope)], pan if whole else None)

    def _check_ours(self, mti: str, fields: Mapping[int, str]) -> None:
        if len(mti) != MTI_DIGITS or not is_digits(mti):
            raise LocalMessageError("a message type has four digits")
        for number, text in fields.items():
            rule = self.profile.fields.get(number)
            if rule is None or number == MAC_FIELD:
                raise LocalMessageError(f"field {number} is not one that profile {self.profile.name} can be given")
            if number in SENSITIVE_FIELDS:
                raise LocalMessageError(f"field {number} holds track, PIN or verification data: never sent by us")
            if rule.kind == "n" and not is_digits(text):
                raise LocalMessageError(f"field {number} must be digits")
            if not text and not rule.variable:
                raise LocalMessageError(f"field {number} is empty")

    def _without_bit_64(self, body: bytes) -> bytes:
        last = self._fields_at - 1  # the last byte of the bitmap, or the last of its 16 hexadecimal characters
        packed = self.profile.packing == "bcd"
        cleared = bytes([body[last] & 0xFE]) if packed else b"%X" % (int(body[last : last + 1], 16) & 0xE)
        return body[:last] + cleared + body[last + 1 :]


def reply_mti(mti: str) -> str:
    """The type of the answer to `mti`: the request's plus 10 (0400 → 0410)."""
    return f"{int(mti) + 10:04d}"


def first_sent(mti: str) -> str:
    """The type that a message had when it was sent first: 0221 repeats an 0220."""
    return f"{mti[:3]}0" if mti[3:] == "1" else mti


def matches(mti: str, request: Mapping[int, str], reply: Message) -> bool:
    """True when `reply` answers the request of type `mti` with the fields `request`.

    The type must be the request's plus 10, and F3 F4 F11 F41 F42 must be repeated wherever the request had them; one
    that is missing is no match. Without this a crossed answer, or a late 0210, would settle somebody's reversal.
    """
    return reply.mti == reply_mti(mti) and all(
        reply.fields.get(number) == request[number] for number in IDENTITY_FIELDS if number in request
    )


def masked_pan(pan: str) -> str:
    """First six and last four digits with stars between; anything shorter than a card number is all stars."""
    return f"{pan[:6]}{'*' * (len(pan) - 10)}{pan[-4:]}" if len(pan) >= 13 else "*" * len(pan)
