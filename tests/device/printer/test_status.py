"""Replies are told apart by their fixed bits, in pieces of any size, among noise; and silence is never taken for good news."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.printer import Status
from device.printer.status import (
    BLOCK_BYTES_MAX,
    Auto,
    Flow,
    Noise,
    Ordered,
    Parser,
    ProcessId,
    RealTime,
    Reply,
    from_auto,
    from_real_time,
)  # fmt: skip


def parsed(data: bytes) -> list[Reply]:
    parser = Parser()
    return parser.feed(data) + parser.give_up()


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"\x12", RealTime(0x12)),
        (b"\x16", RealTime(0x16)),
        (b"\x7e", RealTime(0x7E)),
        (b"\x14\x00\x00\x0f", Auto(b"\x14\x00\x00\x0f")),
        (b"\x00", Ordered(0)),
        (b"\x0f", Ordered(0x0F)),
        (b"7\x22ab12\x00", ProcessId(b"ab12")),
        (b"\x11", Flow(stop=False)),
        (b"\x13", Flow(stop=True)),
        (b"\xff", Noise(b"\xff")),
        (b"\x95", Noise(b"\x95")),
    ],
)
def test_each_kind_of_reply_is_known_by_its_bits(data: bytes, reply: Reply) -> None:
    assert parsed(data) == [reply]


def test_a_stream_of_all_kinds_is_taken_apart_in_order() -> None:
    stream = b"\x12\x10\x00\x03\x0f\x0c\x137\x22!!!!\x00\x11\x12"
    auto, process_id = Auto(b"\x10\x00\x03\x0f"), ProcessId(b"!!!!")
    assert parsed(stream) == [RealTime(0x12), auto, Ordered(0x0C), Flow(True), process_id, Flow(False), RealTime(0x12)]


def test_flow_control_may_come_in_the_middle_of_a_reply() -> None:
    assert parsed(b"7\x22ab\x11cd\x00") == [Flow(stop=False), ProcessId(b"abcd")]
    assert parsed(b"\x10\x00\x13\x00\x0f") == [Flow(stop=True), Auto(b"\x10\x00\x00\x0f")]


def test_torn_automatic_status_is_noise_and_does_not_swallow_the_next_reply() -> None:
    assert parsed(b"\x10\x00\x12") == [Noise(b"\x10\x00"), RealTime(0x12)]


def test_automatic_status_that_never_ends_is_noise_once_the_line_is_quiet() -> None:
    parser = Parser()
    assert parser.feed(b"\x10\x00") == []
    assert parser.give_up() == [Noise(b"\x10\x00")]
    assert parser.feed(b"\x00") == [Ordered(0)]


def test_the_bytes_inside_a_process_id_are_not_replies_of_their_own() -> None:
    assert parsed(b"7\x22ABCD\x00") == [ProcessId(b"ABCD")]


def test_a_block_of_another_kind_is_noise_as_a_whole() -> None:
    assert parsed(b"7\x21ABCD\x00\x12") == [Noise(b"7\x21ABCD\x00"), RealTime(0x12)]


def test_a_block_without_an_end_is_given_up_at_its_longest() -> None:
    replies = parsed(b"7" + b"A" * 200)
    assert isinstance(replies[0], Noise)
    assert len(replies[0].data) == BLOCK_BYTES_MAX


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_how_the_bytes_are_cut_into_pieces_changes_nothing(pieces: list[bytes]) -> None:
    parser = Parser()
    found = [reply for piece in pieces for reply in parser.feed(piece)]
    assert found + parser.give_up() == parsed(b"".join(pieces))


@given(st.binary(max_size=300))
def test_no_byte_is_lost_and_nothing_is_invented(data: bytes) -> None:
    seen = b""
    for reply in parsed(data):
        match reply:
            case RealTime(byte) | Ordered(byte):
                seen += bytes([byte])
            case Auto(part) | Noise(part):
                seen += part
            case ProcessId(text):
                seen += b"7\x22" + text + b"\x00"
            case Flow(stop):
                seen += b"\x13" if stop else b"\x11"
    assert sorted(seen) == sorted(data)


def test_no_answer_at_all_is_silence() -> None:
    assert from_real_time({}) == Status(silent=True)
    assert from_real_time({}).fault == "silent"


OK = {1: 0x16, 2: 0x12, 3: 0x12, 4: 0x12}


def test_four_good_answers_are_a_printer_that_can_print() -> None:
    status = from_real_time(OK)
    assert status == Status(online=True, paper="ok", cover_open=False)
    assert status.ready


@pytest.mark.parametrize(
    ("n", "byte", "fault"),
    [
        (1, 0x1A, "offline"),
        (2, 0x16, "cover_open"),
        (2, 0x32, "paper_out"),
        (2, 0x52, "offline"),  # "error", and no word on which
        (3, 0x1A, "cutter"),
        (3, 0x32, "unrecoverable"),
        (3, 0x52, "overheated"),
        (3, 0x16, "offline"),
        (4, 0x72, "paper_out"),
        (4, 0x1E, "none"),
    ],
)
def test_each_bit_has_its_fault(n: int, byte: int, fault: str) -> None:
    assert from_real_time(OK | {n: byte}).fault == fault


def test_near_end_is_said_and_does_not_stop_a_job() -> None:
    status = from_real_time(OK | {4: 0x1E})
    assert status.paper == "near_end"
    assert status.ready


def test_a_question_without_an_answer_leaves_its_part_unknown() -> None:
    status = from_real_time({1: 0x12})
    assert (status.paper, status.cover_open) == ("unknown", None)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x10\x00\x00\x0f", "none"),
        (b"\x18\x00\x0c\x0f", "paper_out"),
        (b"\x38\x00\x00\x0f", "cover_open"),
        (b"\x18\x08\x00\x0f", "cutter"),
        (b"\x18\x20\x00\x0f", "unrecoverable"),
        (b"\x18\x40\x00\x0f", "overheated"),
        (b"\x18\x04\x00\x0f", "offline"),
    ],
)
def test_automatic_status_tells_the_same_faults(data: bytes, fault: str) -> None:
    assert from_auto(data).fault == fault


def test_a_status_that_says_nothing_is_unknown_and_not_fine() -> None:
    assert Status().fault == "unknown"
    assert Status(paper="ok").fault == "none"
