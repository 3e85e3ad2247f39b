"""Whole messages to fields: the same as the library reads, for whatever comes."""

import iso8583
from hypothesis import given
from hypothesis import strategies as st

from device.acquirer.message import Codec
from device.acquirer.profile import Profile
from device.acquirer.unpack import BITMAPS_MAX, Unpacker, is_digits
from device.errors import RemoteMessageError
from tests.device.acquirer.golden import FRAME
from tests.device.acquirer.test_message import ASCII, CODEC, field_maps

CODECS = [CODEC, Codec(ASCII)]


def ours(content: bytes, profile: Profile) -> tuple[str, dict[int, str]] | None:
    """Type and fields as we read them; None for what is no message."""
    try:
        return Unpacker(profile).unpack(content)
    except RemoteMessageError:
        return None


def theirs(content: bytes, profile: Profile) -> tuple[str, dict[int, str]] | None:
    """The same as pyiso8583 reads it, and what we ask for beyond that: digits in the type and wherever the profile says so."""
    try:
        decoded, _ = iso8583.decode(content, profile.spec())
    except (iso8583.DecodeError, KeyError):
        return None
    fields = {int(key): text for key, text in decoded.items() if key.isdecimal()}
    numbers = [text for number, text in fields.items() if profile.fields[number].kind == "n" and text]
    return (decoded["t"], fields) if all(map(is_digits, [decoded["t"], *numbers])) else None


@given(field_maps(), st.sampled_from(CODECS), st.booleans())
def test_a_sound_message_is_read_as_the_library_reads_it(fields: dict[int, str], codec: Codec, signed: bool) -> None:
    frame = codec.pack("0210", fields, (lambda _: b"12345678") if signed else None)
    content = frame[codec.framing.length_bytes + len(codec.envelope) :]
    found = ours(content, codec.profile)
    assert found is not None
    assert found == theirs(content, codec.profile)


@given(field_maps(), st.data())
def test_a_spoilt_message_is_refused_or_read_as_the_library_does(fields: dict[int, str], data: st.DataObject) -> None:
    content = bytearray(CODEC.pack("0210", fields, lambda _: b"12345678")[2 + len(CODEC.envelope) :])
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))]) if data.draw(st.booleans()) else bytes(content)
    assert ours(cut, CODEC.profile) == theirs(cut, CODEC.profile)


@given(field_maps(), st.data())
def test_in_ascii_nothing_is_read_that_the_library_refuses(fields: dict[int, str], data: st.DataObject) -> None:
    """The other way round there is more: a length of "+1" or " 1" is one to the library, and none to us."""
    content = bytearray(CODECS[1].pack("0210", fields)[CODECS[1].framing.length_bytes :])
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = ours(bytes(content), ASCII)
    assert found is None or found == theirs(bytes(content), ASCII)


def test_what_follows_the_last_field_and_what_is_cut_short_is_refused() -> None:
    content = FRAME[2 + len(CODEC.envelope) :]
    assert ours(content, CODEC.profile) is not None
    for wrong in (content + b"\x00", *(content[:end] for end in range(len(content)))):
        assert ours(wrong, CODEC.profile) is None


def test_a_field_longer_than_the_profile_allows_is_refused() -> None:
    for codec, most, one_more in ((CODECS[0], b"\x19", b"\x20"), (CODECS[1], b"19", b"20")):
        at = codec.framing.length_bytes + len(codec.envelope)
        content = codec.pack("0210", {2: "6222021234567890120"})[at:]
        assert ours(content, codec.profile) == ("0210", {2: "6222021234567890120"})
        assert ours(content.replace(most, one_more, 1) + b"0", codec.profile) is None


def test_an_odd_number_of_digits_is_filled_as_the_profile_says_or_refused() -> None:
    content = CODEC.pack("0210", {22: "051", 23: "001"})[2 + len(CODEC.envelope) :]
    assert ours(content, CODEC.profile) == ("0210", {22: "051", 23: "001"})
    assert content.endswith(bytes.fromhex("05100001"))
    for wrong in ("05110001", "05101001"):
        assert ours(content[:-4] + bytes.fromhex(wrong), CODEC.profile) is None


def test_bitmaps_of_garbage_do_not_fill_the_memory() -> None:
    unpacker = Unpacker(CODEC.profile)
    for tail in range(3 * BITMAPS_MAX):
        fields = {number: "0" * CODEC.profile.fields[number].size for number in range(3, 19) if tail >> (number - 3) & 1}
        unpacker.unpack(CODEC.pack("0200", fields)[2 + len(CODEC.envelope) :])
    assert len(unpacker._plans) <= BITMAPS_MAX
