"""A glance at a message: the few fields that say what it is and whose, without reading the rest.

A relay looks at every message that passes, and most are none of its business. The way to the wanted fields depends on
the bitmap only, so it is worked out once per bitmap and kept.
"""

import msgspec

from device.acquirer.profile import FieldRule, Profile
from device.acquirer.unpack import BITMAPS_MAX, announced, length_at
from device.errors import RemoteMessageError

WANTED = (3, 4, 11, 39, 41, 42)


class Peek(msgspec.Struct, frozen=True):
    """What a glance tells. A field that the message does not have is None."""

    mti: str
    f3: str | None
    f4: str | None
    f11: str | None
    f39: str | None
    f41: str | None
    f42: str | None


_Cut = tuple[int, int, int]  # slot of WANTED, first character, character after
_Region = tuple[int, int, bool, tuple[_Cut, ...]]  # first byte, byte after, digits; what to cut from its text
_Leg = tuple[tuple[_Region, ...], int, int, bool]  # regions, bytes of fixed fields, bytes of the length after, halves
_Plan = tuple[_Leg, ...]


class Peeker:
    """`peek` for the messages of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._packed = profile.packing == "bcd"
        self._mti_at = len(profile.envelope)
        self._bitmap_at = self._mti_at + profile.mti_bytes
        self._fields_at = self._bitmap_at + profile.bitmap_bytes
        self._plans: dict[bytes, _Plan] = {}

    def peek(self, frame: bytes) -> Peek:
        """The wanted fields of `frame` (its length prefix taken off).

        Raises `RemoteMessageError` when these cannot be reached: cut short, a length that is none, an unknown field.
        What stands after the last wanted field is not looked at.
        """
        bitmap = frame[self._bitmap_at : self._fields_at]
        plan = self._plans.get(bitmap) or self._plan(bitmap)
        found: list[str | None] = [None] * len(WANTED)
        at = self._fields_at
        mti = frame[self._mti_at : self._bitmap_at]
        try:
            kind = mti.hex() if self._packed else mti.decode("ascii")
            sound = kind.isdecimal()
            for regions, fixed_bytes, length_bytes, halves in plan:
                for first, end, digits, cuts in regions:
                    raw = frame[at + first : at + end]
                    text = raw.hex() if digits and self._packed else raw.decode("ascii")
                    sound = sound and (not digits or text.isdecimal())
                    for slot, start, stop in cuts:
                        found[slot] = text[start:stop]
                at += fixed_bytes
                if length_bytes:
                    length = length_at(frame, at, length_bytes, packed=self._packed)
                    at += length_bytes + (length + 1 >> 1 if halves else length)
        except ValueError:  # its text may carry content: the error is raised outside
            at = len(frame) + 1
        if at > len(frame):
            raise RemoteMessageError("the message ends, or has a length that is none, before the fields that name it")
        if not sound:
            raise RemoteMessageError("the message type, F3, F4 or F11 is not digits")
        return Peek(kind, *found)

    def _plan(self, bitmap: bytes) -> _Plan:
        legs: list[_Leg] = []
        fixed: list[tuple[int, FieldRule]] = []
        for number in announced(bitmap, packed=self._packed, last=max(WANTED)):
            rule = self._profile.fields.get(number)
            if rule is None:
                raise RemoteMessageError(f"field {number} is not in the profile {self._profile.name}")
            if rule.variable:
                width = (rule.variable + 1) // 2 if self._packed else rule.variable
                legs.append((*self._regions(fixed), width, rule.packed(self._profile.packing)))
                fixed = []
            else:
                fixed.append((number, rule))
        legs.append((*self._regions(fixed), 0, False))
        if len(self._plans) >= BITMAPS_MAX:
            self._plans.clear()
        return self._plans.setdefault(bitmap, tuple(legs))

    def _regions(self, fixed: list[tuple[int, FieldRule]]) -> tuple[tuple[_Region, ...], int]:
        """One region for every run of wanted fields of the same kind that touch, and the length of `fixed` in bytes."""
        regions: list[_Region] = []
        at = 0
        for number, rule in fixed:
            packed = rule.packed(self._profile.packing)
            size = (rule.size + 1) // 2 if packed else rule.size
            if number in WANTED:
                slot, digits = WANTED.index(number), rule.kind == "n"
                if regions and regions[-1][1] == at and regions[-1][2] == digits:
                    first, _, _, cuts = regions.pop()
                    start = cuts[-1][2]
                else:
                    first, cuts, start = at, (), 0
                regions.append((first, at + size, digits, (*cuts, (slot, start, start + rule.size))))
            at += size
        return tuple(regions), at
