"""Messages: the golden reversal byte for byte, packing rules, what is refused, and that nothing shows content."""

import traceback
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message, masked_pan, matches, reply_mti
from device.acquirer.profile import UNIONPAY, Profile
from device.errors import LocalMessageError, RemoteMessageError
from tests.device.acquirer.golden import FIELDS, FRAME, KEY, MAC_INPUT

CODEC = Codec()
PAN = FIELDS[2]
ASCII = Profile(name="plain", tpdu="", header="", packing="ascii", length_bytes=4, length_encoding="ascii")


def fault_of(work: Callable[[], object]) -> RemoteMessageError | None:
    """The peer's fault that `work` finds, if any; everything else comes through."""
    try:
        work()
    except RemoteMessageError as error:
        return error
    return None


def assert_sound(fault: RemoteMessageError | None) -> None:
    """Neither the fault nor anything that hangs on it tells the card number."""
    if fault is not None:
        assert fault.__context__ is None
        assert fault.__cause__ is None
        assert not vars(fault)
        assert PAN not in str(fault)


def test_the_golden_reversal_is_packed_byte_for_byte() -> None:
    assert CODEC.pack("0400", FIELDS, SoftwareMac("unionpay-ecb", KEY).sign) == FRAME


def test_the_golden_reversal_can_be_signed_elsewhere_between_two_steps() -> None:
    body = CODEC.unsigned("0400", FIELDS)
    assert CODEC.mac_input(body) == MAC_INPUT
    assert CODEC.frame(body, b"3A10134D") == FRAME


def test_the_golden_reversal_reads_back() -> None:
    message = CODEC.read(FRAME[2:])
    assert (message.mti, dict(message.fields), message.mac, message.mac_input) == (
        "0400", FIELDS, b"3A10134D", MAC_INPUT)
    assert message.envelope.hex() == UNIONPAY.tpdu + UNIONPAY.header


def test_without_a_mac_bit_64_is_clear_and_the_message_says_so() -> None:
    echo = CODEC.pack("0820", {41: "12345678", 42: "898310148160001", 60: "00000001301"})
    assert echo[2 + 11 + 2 :][:8].hex() == "0000000000c00010"
    message = CODEC.read(echo[2:])
    assert message.mac is None
    assert message.mac_input is None
    assert message.fields[60] == "00000001301"


@pytest.mark.parametrize(("number", "text", "packed"), [
    (2, "622202123456789012", "18622202123456789012"),
    (22, "051", "0510"),
    (23, "001", "0001"),
    (25, "06", "06"),
    (32, "12345678901", "11123456789010"),
    (39, "A0", "4130"),
    (60, "22000001000", "0011220000010000"),
    (60, "0000000100", "00100000000100"),
    (61, "000001000122", "0012000001000122"),
    (61, "0000010001221", "00130000010001221000"[:18]),
    (62, "0102FF", "00030102ff"),
    (63, "01 ", "0003303120"),
])
def test_a_field_is_packed_as_unionpay_terminals_do(number: int, text: str, packed: str) -> None:
    frame = CODEC.pack("0200", {number: text})
    assert frame[2 + 11 + 10 :].hex() == packed.lower()
    assert CODEC.read(frame[2:]).fields == {number: text}


@pytest.mark.parametrize(("fields", "complaint"), [
    ({2: "6222O21234567890128"}, "field 2 must be digits"),
    ({2: PAN + "0"}, "field 2 cannot be packed.*larger than maximum 19"),
    ({4: "100"}, "field 4 cannot be packed.*expecting 12"),
    ({4: "-00000000100"}, "field 4 must be digits"),
    ({4: "٠٠٠٠٠٠٠٠٠١٠٠"}, "field 4 must be digits"),
    ({41: "1234567"}, "field 41 cannot be packed.*expecting 8"),
    ({41: "终端终端终端终端"}, "field 41 cannot be packed"),
    ({41: ""}, "field 41 is empty"),
    ({55: "9F3"}, "field 55 cannot be packed"),
    ({55: "9F" * 256}, "field 55 cannot be packed.*larger than maximum 255"),
    ({63: "商户"}, "field 63 cannot be packed"),
    ({64: "00" * 8}, "field 64 is not one"),
    ({65: "1"}, "field 65 is not one"),
    ({1: "1"}, "field 1 is not one"),
    ({35: PAN + "D3012"}, "field 35 holds track"),
    ({52: "00" * 8}, "field 52 holds track"),
])
def test_what_cannot_be_packed_is_our_fault_and_names_the_field_only(fields: dict[int, str], complaint: str) -> None:
    with pytest.raises(LocalMessageError, match=complaint) as caught:
        CODEC.unsigned("0400", {**FIELDS, **fields})
    shown = "".join(traceback.format_exception(caught.value))
    assert all(text not in str(caught.value) for text in fields.values() if len(text) > 3)
    assert PAN not in shown
    assert caught.value.__context__ is None


@pytest.mark.parametrize("mti", ["", "400", "04000", "abcd", "04A0"])
def test_a_message_type_that_is_none_is_refused(mti: str) -> None:
    with pytest.raises(LocalMessageError, match="four digits"):
        CODEC.unsigned(mti, {})


def test_a_mac_of_another_length_is_refused() -> None:
    with pytest.raises(LocalMessageError, match="8 bytes, not 4"):
        CODEC.frame(CODEC.unsigned("0400", FIELDS), b"3A10")


def test_a_message_beyond_the_largest_frame_is_refused() -> None:
    whole = dict.fromkeys((46, 47, 56, 57), "x" * 999) | {59: "x" * 600}
    with pytest.raises(LocalMessageError, match="cannot be sent"):
        CODEC.pack("0200", whole)


def test_what_cannot_be_read_is_the_peers_fault_and_no_context_keeps_the_card_number() -> None:
    for spoilt in (FRAME[2:-1], FRAME[2:] + b"\x00", FRAME[2:40], FRAME[2:20], b""):
        with pytest.raises(RemoteMessageError) as caught:
            CODEC.read(spoilt)
        assert_sound(caught.value)


@pytest.mark.parametrize("number", [1, 65 - 1])
def test_a_bit_that_announces_what_is_not_there_is_refused(number: int) -> None:
    echo = bytearray(CODEC.pack("0820", {41: "12345678"})[2:])
    echo[13 + (number - 1) // 8] |= 1 << (7 - (number - 1) % 8)
    with pytest.raises(RemoteMessageError):
        CODEC.read(bytes(echo))


def test_letters_among_the_digits_of_an_answer_are_refused() -> None:
    spoilt = FRAME[2:].replace(bytes.fromhex("000000000100"), bytes.fromhex("00000000010A"))
    with pytest.raises(RemoteMessageError, match="field 4 should be digits"):
        CODEC.read(spoilt)


def test_track_data_and_pin_block_of_a_passing_request_are_not_handed_on() -> None:
    echo = CODEC.pack("0200", {41: "12345678", 11: "000123"})[2:]
    head, tail = echo[:13], echo[21:]
    bitmap = (int.from_bytes(echo[13:21], "big") | 1 << (64 - 35) | 1 << (64 - 52)).to_bytes(8, "big")
    track = bytes.fromhex("37" + "6222021234567890128D30121010000000000000"[:38])
    message = CODEC.read(head + bitmap + tail[:3] + track + tail[3:] + b"PINBLOCK")
    assert message.fields == {11: "000123", 41: "12345678"}


def test_the_repr_shows_type_f3_f11_f39_f41_and_nothing_else() -> None:
    message = CODEC.read(FRAME[2:])
    assert repr(message) == "<Message 0400 F3='000000' F11='000123' F39='98' F41='12345678'>"
    assert str(message) == f"{message}" == repr(message)


def test_an_answer_has_its_requests_type_plus_ten() -> None:
    assert [reply_mti(mti) for mti in ("0100", "0200", "0400", "0800", "0820")] == [
        "0110", "0210", "0410", "0810", "0830"]


def answer(**changes: str) -> Message:
    fields = {number: FIELDS[number] for number in (3, 4, 11, 41, 42)} | {39: "00"}
    return Message("0410", fields | {int(name[1:]): text for name, text in changes.items()})


def test_an_answer_that_repeats_the_identity_matches() -> None:
    assert matches("0400", FIELDS, answer())


@pytest.mark.parametrize(("number", "other"), [
    (3, "200000"), (4, "000000000101"), (11, "000124"), (41, "12345679"), (42, "898310148160002"),
])
def test_t7_an_answer_that_differs_or_lacks_one_identity_field_is_no_answer(number: int, other: str) -> None:
    assert not matches("0400", FIELDS, answer(**{f"f{number}": other}))
    lacking = {key: text for key, text in answer().fields.items() if key != number}
    assert not matches("0400", FIELDS, Message("0410", lacking))


def test_t7_a_late_0210_is_no_answer_to_a_reversal() -> None:
    assert not matches("0400", FIELDS, msgspec.structs.replace(answer(), mti="0210"))


def test_an_identity_field_that_the_request_did_not_have_is_not_asked_for() -> None:
    assert matches("0820", {41: "12345678", 42: "898310148160001"}, msgspec.structs.replace(answer(), mti="0830"))


def test_another_profile_differs_in_framing_and_packing_and_reads_back() -> None:
    codec = Codec(ASCII)
    frame = codec.pack("0400", FIELDS, SoftwareMac("x9.19", KEY).sign)
    assert frame[:4] == b"%04d" % (len(frame) - 4)
    assert frame[4:24] == b"04007024068002C08211"
    assert frame[24:45] == b"19" + PAN.encode()
    message = codec.read(frame[4:])
    assert message.fields == FIELDS
    assert message.mac is not None
    assert SoftwareMac("x9.19", KEY).verify(message.mac_input or b"", message.mac)


def test_another_profile_clears_bit_64_in_its_own_way() -> None:
    codec = Codec(ASCII)
    frame = codec.pack("0820", {41: "12345678", 61: "1"})
    assert frame[8:24] == b"0000000000800008"
    assert codec.read(frame[4:]).fields == {41: "12345678", 61: "1"}


def test_card_numbers_are_masked_to_first_six_and_last_four() -> None:
    assert masked_pan(PAN) == "622202*********0128"
    assert masked_pan("6222021234567") == "622202***4567"
    assert masked_pan("62220212") == "********"


FIELD_TEXTS = {
    "n": "0123456789", "an": "ABCDEFabcdef0189 ", "s": "".join(chr(code) for code in range(256)), "b": "0123456789ABCDEF",
}


@st.composite
def field_maps(draw: st.DrawFn) -> dict[int, str]:
    """Any fields that a UnionPay terminal could send, with any content that fits."""
    usable = sorted(UNIONPAY.fields.keys() - {35, 36, 45, 52, 64})
    chosen = {}
    for number in draw(st.sets(st.sampled_from(usable), max_size=12)):
        rule = UNIONPAY.fields[number]
        most = min(rule.size, 40) if rule.variable else rule.size
        unit = 2 if rule.kind == "b" else 1
        text = draw(st.text(FIELD_TEXTS[rule.kind], min_size=unit if rule.variable else most * unit, max_size=most * unit))
        chosen[number] = text if unit == 1 else text[: len(text) // 2 * 2]
    return chosen


@given(field_maps(), st.sampled_from([CODEC, Codec(ASCII)]), st.booleans())
def test_whatever_is_packed_reads_back(fields: dict[int, str], codec: Codec, signed: bool) -> None:
    frame = codec.pack("0200", fields, (lambda _: b"12345678") if signed else None)
    message = codec.read(frame[codec.framing.length_bytes :])
    assert message.fields == fields
    assert message.mac == (b"12345678" if signed else None)


@given(st.binary(max_size=400), st.sampled_from([CODEC, Codec(ASCII)]))
def test_random_bytes_are_a_message_or_the_peers_fault(frame: bytes, codec: Codec) -> None:
    assert_sound(fault_of(lambda: codec.read(frame)))


@given(st.integers(0, len(FRAME) - 3), st.integers(0, 255), st.integers(0, len(FRAME)))
def test_a_spoilt_golden_message_is_a_message_or_the_peers_fault(at: int, byte: int, end: int) -> None:
    spoilt = bytearray(FRAME[2:])
    spoilt[at] = byte
    assert_sound(fault_of(lambda: CODEC.read(bytes(spoilt[:end]))))
