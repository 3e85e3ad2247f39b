"""Framing: the three ways of writing a length, and lengths that no message has."""

import pytest

from device.acquirer.profile import UNIONPAY, Framing, Profile
from device.errors import LocalMessageError

FRAME = b"x" * 120


@pytest.mark.parametrize(("framing", "prefix"), [
    (Framing(), b"\x00\x78"),
    (Framing(inclusive=True), b"\x00\x7a"),
    (Framing(length_encoding="bcd"), b"\x01\x20"),
    (Framing(4, "ascii"), b"0120"),
    (Framing(4, "ascii", inclusive=True), b"0124"),
    (Framing(4), b"\x00\x00\x00\x78"),
])
def test_a_length_stands_in_front_and_is_understood(framing: Framing, prefix: bytes) -> None:
    assert framing.framed(FRAME) == prefix + FRAME
    assert framing.length(prefix) == len(FRAME)


@pytest.mark.parametrize(("framing", "prefix"), [
    (Framing(), b"\x00\x00"),
    (Framing(), b"\x00\x09"),
    (Framing(), b"\x10\x01"),
    (Framing(), b"\xff\xff"),
    (Framing(inclusive=True), b"\x00\x01"),
    (Framing(length_encoding="bcd"), b"\x0a\x00"),
    (Framing(4, "ascii"), b"01 0"),
    (Framing(4, "ascii"), b"-120"),
    (Framing(4, "ascii"), "²²²²".encode("latin-1")),
])
def test_a_length_that_no_message_has_is_none(framing: Framing, prefix: bytes) -> None:
    assert framing.length(prefix) is None


def test_the_shortest_unionpay_message_is_envelope_type_and_bitmap() -> None:
    assert UNIONPAY.framing.frame_bytes_min == 5 + 6 + 2 + 8
    with pytest.raises(LocalMessageError, match="21 to 4096"):
        UNIONPAY.framing.framed(b"x" * 20)


@pytest.mark.parametrize(("line", "most"), [
    (Profile(length_bytes=1), 255),
    (Profile(length_bytes=1, length_inclusive=True), 254),
    (Profile(length_bytes=1, length_encoding="bcd"), 99),
    (Profile(length_bytes=3, length_encoding="ascii", length_inclusive=True), 996),
])
def test_nothing_is_longer_than_its_length_can_say(line: Profile, most: int) -> None:
    framed = line.framing.framed(b"x" * most)
    assert line.framing.length(framed[: line.length_bytes]) == most
    with pytest.raises(LocalMessageError, match=f"21 to {most}"):
        line.framing.framed(b"x" * (most + 1))
