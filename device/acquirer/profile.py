"""What one acquirer's messages look like, as data: framing, headers and the packing of every field.

The defaults are UnionPay terminals' rules. What an acquirer wants otherwise is another value here, never other code.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec

from device.errors import LocalMessageError

MTI_DIGITS = 4
BITMAP_BYTES = 8
MAC_FIELD = 64
MAC_BYTES = 8
FRAME_BYTES_MAX = 4096

Packing = Literal["bcd", "ascii"]
_RULE = re.compile(r"(?P<kind>n|z|an|s|b)(?P<dots>\.\.\.|\.\.|)(?P<size>[0-9]{1,3})(?P<left> left|)")
Spec = Mapping[str, Mapping[str, Any]]


class FieldRule(msgspec.Struct, frozen=True):
    """How one field is written. `size` counts digits or characters, for kind `b` bytes; with `variable` it is the most.

    kind: `n` digits · `z` track digits (0-9 and D) · `an` ASCII · `s` any bytes, one character each · `b` binary as hex.
    variable: 0 fixed, 2 LLVAR, 3 LLLVAR. An odd number of packed digits gets `pad`; `left` aligned means padded right.
    """

    kind: Literal["n", "z", "an", "s", "b"]
    size: int
    variable: Literal[0, 2, 3] = 0
    left: bool = True
    pad: str = "0"

    def packed(self, packing: Packing) -> bool:
        """True when two digits share a byte."""
        return packing == "bcd" and self.kind in ("n", "z")

    def __str__(self) -> str:
        """As the standard writes it: `n6` fixed, `n..19` LLVAR, `n...17` LLLVAR; `n3 left` is padded on the right."""
        return f"{self.kind}{'.' * self.variable}{self.size}{' left' if self.left and not self.variable else ''}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The rule that `text` writes; None when it writes none."""
        found = _RULE.fullmatch(text)
        if found is None or not 0 < int(found["size"]) <= (99 if found["dots"] == ".." else 999):
            return None
        variable = len(found["dots"])
        if found["left"] and variable:
            return None
        return cls(found["kind"], int(found["size"]), variable, bool(found["left"] or variable))  # type: ignore[arg-type]


class Framing(msgspec.Struct, frozen=True):
    """How messages are told apart on the line: a length in front of each, not counting itself unless `inclusive`."""

    length_bytes: int = 2
    length_encoding: Literal["binary", "bcd", "ascii"] = "binary"
    inclusive: bool = False
    frame_bytes_min: int = 10
    frame_bytes_max: int = FRAME_BYTES_MAX

    def framed(self, frame: bytes) -> bytes:
        """`frame` with its length in front. Raises `LocalMessageError` when it is longer or shorter than allowed."""
        if not self.frame_bytes_min <= len(frame) <= self.frame_bytes_max:
            raise LocalMessageError(
                f"a message of {len(frame)} bytes cannot be sent: "
                f"{self.frame_bytes_min} to {self.frame_bytes_max} are allowed"
            )
        length = len(frame) + (self.length_bytes if self.inclusive else 0)
        if self.length_encoding == "binary":
            return length.to_bytes(self.length_bytes, "big") + frame
        digits = f"{length:0{self.length_bytes * (2 if self.length_encoding == 'bcd' else 1)}d}"
        return (digits.encode("ascii") if self.length_encoding == "ascii" else bytes.fromhex(digits)) + frame

    def length(self, prefix: bytes) -> int | None:
        """How many bytes follow `prefix`; None when it is not a length or not one that a message can have."""
        if self.length_encoding == "binary":
            length = int.from_bytes(prefix, "big")
        else:
            digits = prefix.hex() if self.length_encoding == "bcd" else prefix.decode("latin-1")
            if not (digits.isascii() and digits.isdecimal()):
                return None
            length = int(digits)
        length -= self.length_bytes if self.inclusive else 0
        return length if self.frame_bytes_min <= length <= self.frame_bytes_max else None


def _fixed(kind: Literal["n", "an", "b"], **sizes: int) -> dict[int, FieldRule]:
    # Of an odd number of digits the half byte is filled on the left (F23 `001` is 0001): UnionPay terminals' rule.
    return {int(name[1:]): FieldRule(kind, size, left=False) for name, size in sizes.items()}


# UnionPay terminals' fields; those which only other networks use have the sizes of ISO 8583:1987, so that an answer
# with a field nobody expected can still be read.
UNIONPAY_FIELDS: dict[int, FieldRule] = {
    **_fixed("n", f3=6, f4=12, f5=12, f6=12, f7=10, f8=8, f9=8, f10=8, f11=6, f12=6, f13=4, f14=4, f15=4, f16=4, f17=4,
             f18=4, f19=3, f20=3, f21=3, f23=3, f24=3, f25=2, f26=2, f27=1, f53=16),
    **_fixed("an", f28=9, f29=9, f30=9, f31=9, f37=12, f38=6, f39=2, f40=3, f41=8, f42=15, f49=3, f50=3, f51=3),
    **_fixed("b", f52=8, f64=8),
    2: FieldRule("n", 19, 2),
    22: FieldRule("n", 3, left=True),  # the one fixed field that is filled on the right: `051` is 0510
    32: FieldRule("n", 11, 2),
    33: FieldRule("n", 11, 2),
    34: FieldRule("s", 28, 2),
    35: FieldRule("z", 37, 2),
    36: FieldRule("z", 104, 3),
    43: FieldRule("s", 40, left=False),
    44: FieldRule("s", 25, 2),
    45: FieldRule("s", 76, 2),
    46: FieldRule("s", 999, 3),
    47: FieldRule("s", 999, 3),
    48: FieldRule("n", 322, 3),
    54: FieldRule("s", 120, 3),
    55: FieldRule("b", 255, 3),
    56: FieldRule("s", 999, 3),
    57: FieldRule("s", 999, 3),
    58: FieldRule("s", 100, 3),
    59: FieldRule("s", 600, 3),
    60: FieldRule("n", 17, 3),
    61: FieldRule("n", 29, 3),
    62: FieldRule("b", 512, 3),
    63: FieldRule("s", 163, 3),
}


class Profile(msgspec.Struct, frozen=True):
    """One acquirer's message format. `tpdu` and `header` are hexadecimal and stand before the MTI, as sent by us.

    `packing` bcd: two digits a byte, BCD lengths, binary bitmap; ascii: one character each, ASCII lengths, the bitmap
    as 16 hexadecimal characters. Bytes of kind `b` are raw in both.
    """

    name: str = "unionpay"
    tpdu: str = "6000030000"
    header: str = "603100310000"
    packing: Packing = "bcd"
    length_bytes: int = 2
    length_encoding: Literal["binary", "bcd", "ascii"] = "binary"
    length_inclusive: bool = False
    fields: dict[int, FieldRule] = msgspec.field(default_factory=lambda: UNIONPAY_FIELDS)

    @property
    def envelope(self) -> bytes:
        """TPDU and header: the bytes before the MTI."""
        return bytes.fromhex(self.tpdu + self.header)

    @property
    def mti_bytes(self) -> int:
        """How many bytes the MTI takes."""
        return MTI_DIGITS // 2 if self.packing == "bcd" else MTI_DIGITS

    @property
    def bitmap_bytes(self) -> int:
        """How many bytes the bitmap takes."""
        return BITMAP_BYTES if self.packing == "bcd" else BITMAP_BYTES * 2

    @property
    def framing(self) -> Framing:
        """The framing of the line; nothing shorter than an MTI and a bitmap is a message, nor longer than its length can say."""
        least = len(self.envelope) + self.mti_bytes + self.bitmap_bytes
        base = {"binary": 256, "bcd": 100, "ascii": 10}[self.length_encoding]
        most = base**self.length_bytes - 1 - (self.length_bytes if self.length_inclusive else 0)
        return Framing(
            self.length_bytes, self.length_encoding, self.length_inclusive, frame_bytes_min=least,
            frame_bytes_max=min(FRAME_BYTES_MAX, most),
        )

    def spec(self) -> Spec:
        """The same rules in the words of pyiso8583: for each field how it and its length are encoded."""
        text = {"len_type": 0, "max_len": 0, "data_enc": "b" if self.packing == "bcd" else "ascii", "len_enc": "ascii"}
        return {"h": text, "t": text, "p": text} | {str(n): self._field(rule) for n, rule in self.fields.items()}

    def _field(self, rule: FieldRule) -> dict[str, Any]:
        packed = rule.packed(self.packing)
        data = "b" if packed or rule.kind == "b" else "latin-1" if rule.kind == "s" else "ascii"
        length = {"len_enc": "bcd", "len_type": (rule.variable + 1) // 2} if self.packing == "bcd" else {
            "len_enc": "ascii", "len_type": rule.variable}
        return {
            "data_enc": data, **length, "max_len": rule.size, "len_count": "nibbles" if packed else "bytes",
            "right_pad" if rule.left else "left_pad": rule.pad,
        }


UNIONPAY = Profile()
