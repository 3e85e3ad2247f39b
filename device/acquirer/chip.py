"""Chip data (F55) as BER-TLV: which tags it has, and cutting it to the few that a message may carry.

EMV book 3, annex B, gives the coding. Constructed tags are walked too, so that nothing hides inside a template.
"""

from collections.abc import Iterator, Sequence

from device.errors import LocalMessageError

CHIP_BYTES_MAX = 255
FORBIDDEN_TAGS = frozenset({"57", "5A", "56", "9F6B", "9F20"})  # track data and the card number: never kept
DEPTH_MAX = 8
_TAG_BYTES_MAX = 4

_Element = tuple[str, bytes, bool]  # tag as upper-case hex, value, constructed


def tags(chip_hex: str) -> list[str]:
    """Every tag of `chip_hex`, nested ones included, in order of appearance, as upper-case hexadecimal.

    Raises `LocalMessageError` when the text is not hexadecimal or not well-formed TLV of at most 255 bytes.
    """
    return [tag for tag, _, _ in _elements(_raw(chip_hex), 0)]


def cut(chip_hex: str, wanted: Sequence[str]) -> str:
    """Only the `wanted` primitive tags of `chip_hex`, in the order of `wanted`; upper-case hexadecimal, maybe empty.

    A tag is taken wherever it stands, nested or not; of a repeated one the first. A wanted template is not taken: it
    could carry anything. Raises `LocalMessageError` as `tags` does.
    """
    found: dict[str, bytes] = {}
    for tag, value, constructed in _elements(_raw(chip_hex), 0):
        if not constructed:
            found.setdefault(tag, value)
    return "".join([_encoded(tag, found[tag]) for tag in [name.upper() for name in wanted] if tag in found])


def _encoded(tag: str, value: bytes) -> str:
    length = f"{len(value):02X}" if len(value) < 0x80 else f"81{len(value):02X}"
    return tag + length + value.hex().upper()


def _raw(chip_hex: str) -> bytes:
    try:
        raw = bytes.fromhex(chip_hex)
    except ValueError:
        raw = None
    if raw is None:  # outside the handler: no context keeps the text
        raise LocalMessageError("chip data is not hexadecimal")
    if len(raw) > CHIP_BYTES_MAX:
        raise LocalMessageError(f"chip data has {len(raw)} bytes: at most {CHIP_BYTES_MAX} are allowed")
    return raw


def _elements(raw: bytes, depth: int) -> Iterator[_Element]:
    if depth > DEPTH_MAX:
        raise LocalMessageError(f"chip data is nested deeper than {DEPTH_MAX} templates")
    at, size = 0, len(raw)
    while at < size:
        first = raw[at]
        if first == 0:  # padding between elements (EMV book 3, annex B)
            at += 1
            continue
        end = at + 1 if first & 0x1F != 0x1F else _tag_end(raw, at)
        length, start = (raw[end], end + 1) if end < size and raw[end] < 0x80 else _length(raw, end)
        value = raw[start : start + length]
        if len(value) != length:
            raise LocalMessageError("chip data ends inside a value")
        constructed = bool(first & 0x20)
        yield raw[at:end].hex().upper(), value, constructed
        if constructed:
            yield from _elements(value, depth + 1)
        at = start + length


def _tag_end(raw: bytes, at: int) -> int:
    """The byte after a tag of several bytes: more follow while their top bit is set."""
    end = at + 1
    while end < len(raw) and raw[end] & 0x80:
        end += 1
    end += 1
    if end > len(raw):
        raise LocalMessageError("chip data ends inside a tag")
    if end - at > _TAG_BYTES_MAX:
        raise LocalMessageError(f"chip data has a tag of more than {_TAG_BYTES_MAX} bytes")
    return end


def _length(raw: bytes, at: int) -> tuple[int, int]:
    if at >= len(raw):
        raise LocalMessageError("chip data ends before a length")
    width = raw[at] & 0x7F
    if width not in (1, 2):  # 0 is the indefinite form, which EMV forbids; more than 2 cannot fit 255 bytes
        raise LocalMessageError("chip data has a length in a form that EMV does not use")
    digits = raw[at + 1 : at + 1 + width]
    if len(digits) != width:
        raise LocalMessageError("chip data ends inside a length")
    return int.from_bytes(digits, "big"), at + 1 + width
