"""Card numbers in texts that people or programs hand over: the first 6 and last 4 digits are the most that stays.

PCI DSS 3.4.1. ISO/IEC 7812: a card number has 13 to 19 digits. Written in groups it has one of a few forms, or its check digit
gives it away; so dates, amounts and merchant numbers on a receipt stay what they are.
"""

import re
from collections.abc import Collection

_DIGITS_MIN, _DIGITS_MAX = 13, 19
# A version 4, 5 or 7 UUID with a letter in it names one of our rows, or (digits and groups in one chain) perhaps a card.
_TOKEN = re.compile(
    r"(?P<uuid>(?=[0-9-]*[a-fA-F])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[457][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12})"
    r"|\d+(?:[ \u00a0\u3000-]{1,2}\d+)*"
)
_GROUP = re.compile(r"\d+|\D+")
_PRINTED_GROUPS = frozenset({
    (4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (6, 13), (16, 3),
})
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_DATED = re.compile(r"20\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")  # 20… is no issuer's range: a time, or an order number


def masked(text: str, keep: Collection[str] = (), *, longer_too: bool = False) -> str:
    """`text` with every card number masked; runs of digits in `keep` stay, such as the merchant number on a receipt.

    A run of 20 or more digits is an order number; with `longer_too` it is masked as well (what is echoed in an error).
    """

    def hide(match: re.Match[str]) -> str:
        if match["uuid"]:
            return match.group()
        return _chain(_GROUP.findall(match.group()), keep, longer_too=longer_too)

    return _TOKEN.sub(hide, text)


def _chain(parts: list[str], keep: Collection[str], *, longer_too: bool) -> str:
    """Digit groups (even places) with what separates them: mask the longest stretch of groups that is a card number."""
    out: list[str] = []
    at = 0
    while at < len(parts):
        end = _card_end(parts, at) if at % 2 == 0 else None
        if end is None and _alone(parts[at], keep, longer_too=longer_too):
            end = at + 1
        if end is None:
            out.append(parts[at])
            at += 1
        else:
            out.append(_cut("".join(parts[at:end])))
            at = end
    return "".join(out)


def _card_end(parts: list[str], at: int) -> int | None:
    """Where the longest card number in groups that begins at `at` ends, or None."""
    digits, found = "", None
    for end in range(at, len(parts), 2):
        digits += parts[end]
        if len(digits) > _DIGITS_MAX:
            break
        if end > at and len(digits) >= _DIGITS_MIN and (_shaped(parts[at : end + 1 : 2]) or _dateless(digits)):
            found = end + 1
    return found


def _shaped(groups: list[str]) -> bool:
    return tuple(map(len, groups)) in _PRINTED_GROUPS


def _dateless(digits: str) -> bool:
    return not _DATED.match(digits) and _checks(digits)


def _alone(group: str, keep: Collection[str], *, longer_too: bool) -> bool:
    if not group.isdigit() or len(group) < _DIGITS_MIN or group in keep:
        return False
    if len(group) > _DIGITS_MAX:
        return longer_too
    return not _DATED.match(group)


def _checks(digits: str) -> bool:
    """ISO/IEC 7812 annex B: the Luhn check digit."""
    values = [*map(int, digits)]
    return (sum(values[-1::-2]) + sum(_DOUBLED[value] for value in values[-2::-2])) % 10 == 0


def _cut(text: str) -> str:
    """First 6 and last 4 digits; what stands between the groups stays, so that a printed line keeps its width."""
    digits = sum(char.isdigit() for char in text)
    seen, out = 0, []
    for char in text:
        if char.isdigit():
            seen += 1
            out.append(char if seen <= 6 or seen > digits - 4 else "*")
        else:
            out.append(char)
    return "".join(out)
