"""Bytes to fields: a whole message in one pass, by its profile's rules.

The relay reads every message that it watches while a customer waits. The library's own reading takes three times as long,
since it keeps how each field was encoded; it still packs, and the tests hold its reading against this one.
"""

from typing import NamedTuple

from device.acquirer.profile import BITMAP_BYTES, FieldRule, Packing, Profile
from device.errors import RemoteMessageError

BITMAPS_MAX = 256  # a terminal sends some twenty different bitmaps; garbage must not fill the memory

# What a byte means as two BCD digits; far too much where it is not, so that the message is over before it.
NO_LENGTH = 1_000_000
_BCD = tuple((byte >> 4) * 10 + (byte & 15) if byte >> 4 < 10 and byte & 15 < 10 else NO_LENGTH for byte in range(256))


class _Field(NamedTuple):
    """How one field is read. `width` counts the bytes of its length; `hexed` is what is read as hexadecimal digits."""

    number: int
    width: int
    size: int
    halves: bool
    digits: bool
    hexed: bool
    ascii_only: bool
    left: bool
    pad: str


class Unpacker:
    """`unpack` for the messages of one profile. What a bitmap announces is worked out once and kept."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._packed = profile.packing == "bcd"
        self._mti_bytes = profile.mti_bytes
        self._fields_at = profile.mti_bytes + profile.bitmap_bytes
        self._fields = {number: _field(number, rule, profile.packing) for number, rule in profile.fields.items()}
        self._plans: dict[bytes, tuple[_Field, ...]] = {}

    def unpack(self, content: bytes) -> tuple[str, dict[int, str]]:
        """Type and fields of `content` = MTI … the last byte: digits, text, or upper-case hexadecimal for binary.

        Raises `RemoteMessageError`, with the number of the field at fault and never with content.
        """
        bitmap = content[self._mti_bytes : self._fields_at]
        plan = self._plans.get(bitmap) or self._plan(bitmap)
        halfbytes = content.hex().upper()
        mti = halfbytes[: 2 * self._mti_bytes] if self._packed else content[: self._mti_bytes].decode("latin-1")
        if not is_digits(mti):
            raise RemoteMessageError("the message type is not four digits")
        fields: dict[int, str] = {}
        total, at = len(content), self._fields_at
        for number, width, size, halves, digits, hexed, ascii_only, left, pad in plan:
            length = length_at(content, at, width, packed=self._packed) if width else size
            at += width
            end = at + (length + 1 >> 1 if halves else length)
            if length > size or end > total:
                raise RemoteMessageError(f"field {number} at byte {at} of the message is cut short, or has a length that is none")
            if hexed:
                text = halfbytes[2 * at : 2 * end]
                if halves and length & 1:
                    if (text[-1] if left else text[0]) != pad:
                        raise RemoteMessageError(f"field {number} has an odd number of digits, and is not filled with {pad}")
                    text = text[:-1] if left else text[1:]
            else:
                text = content[at:end].decode("latin-1")
                if ascii_only and not text.isascii():
                    raise RemoteMessageError(f"field {number} should be ASCII and is not")
            if digits and text and not text.isdecimal():  # hexadecimal or ASCII, so its digits are the ASCII ones
                raise RemoteMessageError(f"field {number} should be digits and is not")
            fields[number] = text
            at = end
        if at != total:
            raise RemoteMessageError(f"{total - at} bytes follow the last field")
        return mti, fields

    def _plan(self, bitmap: bytes) -> tuple[_Field, ...]:
        numbers = announced(bitmap, packed=self._packed)
        strange = next((number for number in numbers if number not in self._fields), None)
        if strange is not None:
            raise RemoteMessageError(f"field {strange} is not in the profile {self._profile.name}")
        if len(self._plans) >= BITMAPS_MAX:
            self._plans.clear()
        return self._plans.setdefault(bitmap, tuple(self._fields[number] for number in numbers))


def _field(number: int, rule: FieldRule, packing: Packing) -> _Field:
    halves = rule.packed(packing)
    width = (rule.variable + 1) // 2 if packing == "bcd" else rule.variable
    hexed = halves or rule.kind == "b"
    return _Field(number, width, rule.size, halves, rule.kind == "n", hexed, rule.kind != "s", rule.left, rule.pad)


def is_digits(text: str) -> bool:
    """True for ASCII digits and nothing else."""
    return text.isascii() and text.isdecimal()


def length_at(frame: bytes, at: int, width: int, *, packed: bool) -> int:
    """The length of `width` bytes that stands at `at`; NO_LENGTH, beyond every message, where none does."""
    digits = frame[at : at + width]
    if len(digits) < width:
        return NO_LENGTH
    if not packed:
        return int(digits) if digits.isdigit() else NO_LENGTH
    return _BCD[digits[0]] if width == 1 else _BCD[digits[0]] * 100 + _BCD[digits[1]]


def announced(bitmap: bytes, *, packed: bool, last: int = 64) -> list[int]:
    """The fields up to `last` that `bitmap` announces. Raises `RemoteMessageError` for what is no bitmap."""
    raw = bitmap
    if not packed:
        try:
            raw = bytes.fromhex(bitmap.decode("ascii"))
        except ValueError:
            raw = b""
    if len(raw) != BITMAP_BYTES:
        raise RemoteMessageError("the message is too short to have a bitmap, or its bitmap is none")
    bits = int.from_bytes(raw, "big")
    return [number for number in range(1, last + 1) if bits >> (64 - number) & 1]
