"""The glance: it sees what a full reading sees, and garbage does not surprise it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.acquirer.message import Codec
from device.acquirer.peek import Peeker
from device.acquirer.profile import UNIONPAY
from device.acquirer.unpack import BITMAPS_MAX
from device.errors import RemoteMessageError
from tests.device.acquirer.golden import FIELDS, FRAME
from tests.device.acquirer.test_message import ASCII, assert_sound, fault_of, field_maps

CODECS = [Codec(), Codec(ASCII)]


def test_the_golden_reversal_at_a_glance() -> None:
    peek = CODECS[0].peek(FRAME[2:])
    assert (peek.mti, peek.f3, peek.f4, peek.f11, peek.f39, peek.f41, peek.f42) == (
        "0400", "000000", "000000000100", "000123", "98", "12345678", "898310148160001")


def test_a_field_that_is_not_there_is_none() -> None:
    peek = CODECS[0].peek(CODECS[0].pack("0820", {41: "12345678"})[2:])
    assert (peek.mti, peek.f3, peek.f11, peek.f39, peek.f41, peek.f42) == ("0820", None, None, None, "12345678", None)


@given(field_maps(), st.sampled_from(CODECS))
def test_a_glance_and_a_reading_agree(fields: dict[int, str], codec: Codec) -> None:
    frame = codec.pack("0210", fields)[codec.framing.length_bytes :]
    peek = codec.peek(frame)
    seen = {3: peek.f3, 4: peek.f4, 11: peek.f11, 39: peek.f39, 41: peek.f41, 42: peek.f42}
    assert {number: text for number, text in seen.items() if text is not None} == {
        number: text for number, text in codec.read(frame).fields.items() if number in seen}


@given(st.binary(max_size=300), st.sampled_from(CODECS))
def test_random_bytes_are_a_glance_or_the_peers_fault(frame: bytes, codec: Codec) -> None:
    assert_sound(fault_of(lambda: codec.peek(frame)))


@given(st.integers(0, len(FRAME) - 3), st.integers(0, 255), st.integers(0, len(FRAME)))
def test_a_spoilt_golden_message_is_a_glance_or_the_peers_fault(at: int, byte: int, end: int) -> None:
    spoilt = bytearray(FRAME[2:])
    spoilt[at] = byte
    assert_sound(fault_of(lambda: CODECS[0].peek(bytes(spoilt[:end]))))


@pytest.mark.parametrize("end", range(len(FRAME) - 8 - 11 - 25 - 15 - 8))
def test_a_message_cut_before_the_last_wanted_field_is_refused(end: int) -> None:
    with pytest.raises(RemoteMessageError):
        CODECS[0].peek(FRAME[2 : 2 + end])


def test_lengths_and_amounts_that_are_not_decimal_are_refused() -> None:
    for right, wrong in ((b"\x19\x62", b"\x1f\x62"), (bytes.fromhex("000000000100"), bytes.fromhex("0000000001f0"))):
        with pytest.raises(RemoteMessageError):
            CODECS[0].peek(FRAME[2:].replace(right, wrong, 1))


def test_bitmaps_of_garbage_do_not_fill_the_memory() -> None:
    peeker = Peeker(UNIONPAY)
    head = FRAME[2:15]
    for tail in range(3 * BITMAPS_MAX):
        peeker.peek(head + bytes(4) + (tail << 8).to_bytes(4, "big") + b"0" * 400)
    assert len(peeker._plans) <= BITMAPS_MAX


def test_one_profile_is_read_by_its_own_rules() -> None:
    frame = CODECS[1].pack("0400", FIELDS)[4:]
    assert CODECS[1].peek(frame).f42 == FIELDS[42]
