"""The bytes of a slip: golden for a receipt, and never one that a printer could take for a real-time command."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from device.printer import JOB_BYTES_MAX, Document, Line
from device.printer.encoder import LINES_MAX, QR_BYTES_MAX, DocumentSizeError, block_bytes_max, encode, fits
from device.printer.layout import two_columns
from device.printer.profile import PrinterProfile, load_profile

P58 = load_profile("generic-58mm")
P80 = load_profile("generic-80mm")
MUTE = load_profile("mute-58mm")
EPSON = load_profile("epson-tm")
PROFILES = (P58, P80, MUTE, EPSON)

RECEIPT = Document(
    (
        Line("签购单", align="center", size=2),
        Line("凭证号 000123"),
        Line(two_columns("金额", "¥1.00", 32), bold=True),
        Line("谢谢", align="right"),
    ),
    qr="https://e.cn/1",
)


def test_a_receipt_on_58_mm_is_these_bytes() -> None:
    assert encode(RECEIPT, P58).hex(" ") == " ".join(
        (
            "1b 40 1c 26",
            "1b 61 01 1d 21 11 c7 a9 b9 ba b5 a5 0a",
            "1b 61 00 1d 21 00 c6 be d6 a4 ba c5 20 30 30 30 31 32 33 0a",
            "1b 45 01 bd f0 b6 ee" + " 20" * 21 + " 52 4d 42 31 2e 30 30 0a",
            "1b 61 02 1b 45 00 d0 bb d0 bb 0a",
            "1b 61 00 1b 4a 18 1b 61 01",
            "1d 28 6b 04 00 31 41 32 00 1d 28 6b 03 00 31 43 06 1d 28 6b 03 00 31 45 31",
            "1d 28 6b 11 00 31 50 30 68 74 74 70 73 3a 2f 2f 65 2e 63 6e 2f 31 1d 28 6b 03 00 31 51 30 0a",
            "1b 61 00 1c 2e 1b 64 04",
        )
    )


def test_a_printer_with_a_cutter_cuts_at_the_end_and_only_when_told() -> None:
    cut = b"\x1d\x56\x42\x00"
    assert encode(RECEIPT, P80).endswith(cut)
    assert cut not in encode(replace(RECEIPT, cut=False), P80)
    assert cut not in encode(RECEIPT, P58)


def test_a_printer_without_chinese_commands_gets_none() -> None:
    data = encode(RECEIPT, replace(P58, kanji_commands=False))
    assert b"\x1c" not in data


def test_double_size_halves_the_columns() -> None:
    data = encode(Document((Line("冲" * 9, size=2),)), P58)
    assert ("冲" * 8).encode("gbk") + b"\n" + "冲".encode("gbk") + b"\n" in data
    assert fits(Line("冲" * 8, size=2), P58)
    assert not fits(Line("冲" * 9, size=2), P58)


def test_a_printer_that_draws_no_code_gets_a_picture_or_the_text() -> None:
    picture = encode(RECEIPT, MUTE)
    assert b"\x1d\x76\x30\x03" in picture
    assert b"https" not in picture
    assert b"https://e.cn/1\n" in encode(RECEIPT, replace(MUTE, qr="none"))


def test_a_code_is_drawn_smaller_rather_than_wider_than_the_paper() -> None:
    data = encode(Document((), qr="x" * QR_BYTES_MAX), P58)
    found = re.search(rb"\x1d\x28\x6b\x03\x00\x31\x43(.)", data, re.DOTALL)
    assert found is not None
    assert found[1][0] * (69 + 8) <= P58.dots


DOCUMENTS = st.builds(
    Document,
    st.lists(
        st.builds(
            Line,
            st.text(st.one_of(st.characters(), st.sampled_from("\x10\x04\x05\x14\x1b\x1d\x1c\x00冲正")), max_size=40),
            st.sampled_from(("left", "center", "right")),
            st.sampled_from((1, 2)),
            st.booleans(),
        ),
        max_size=6,
    ).map(tuple),
    st.one_of(st.none(), st.text(max_size=60), st.text(st.sampled_from("a\x10\x04\x05\x14\x01"), max_size=20)),
    st.booleans(),
)


@given(DOCUMENTS, st.sampled_from(PROFILES))
def test_nothing_printed_can_be_a_real_time_command_or_open_a_drawer(document: Document, profile: PrinterProfile) -> None:
    data = encode(document, profile)
    assert not re.search(rb"\x10[\x04\x05\x14]", data)
    assert b"\x1b\x70" not in data


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=QR_BYTES_MAX))
def test_a_picture_of_any_code_holds_no_lone_dot(content: str) -> None:
    data = encode(Document((), qr=content), MUTE)
    assert b"\x10" not in data[data.index(b"\x1dv0") + 8 :].rpartition(b"\n\x1ba\x00")[0]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=QR_BYTES_MAX), st.sampled_from(PROFILES))
def test_no_block_is_longer_than_the_filler_that_ends_a_torn_one(content: str, profile: PrinterProfile) -> None:
    data = encode(Document((), qr=content), profile)
    blocks = [int.from_bytes(found[1], "little") for found in re.finditer(rb"\x1d\x28\x6b(..)", data, re.DOTALL)]
    if found := re.search(rb"\x1d\x76\x30.(..)(..)", data, re.DOTALL):
        blocks.append(int.from_bytes(found[1], "little") * int.from_bytes(found[2], "little"))
    assert max(blocks) <= block_bytes_max(profile)


def test_what_is_longer_than_any_slip_is_refused() -> None:
    with pytest.raises(DocumentSizeError, match=f"at most {LINES_MAX} lines"):
        encode(Document((Line("\n" * LINES_MAX),)), P58)
    with pytest.raises(DocumentSizeError, match=f"at most {QR_BYTES_MAX} bytes"):
        encode(Document((), qr="x" * (QR_BYTES_MAX + 1)), P58)
    with pytest.raises(DocumentSizeError, match="does not fit"):
        encode(Document((), qr="x" * QR_BYTES_MAX), replace(P58, dots=128))
    with pytest.raises(DocumentSizeError, match="does not fit"):  # two dots a module would print, with lone dots in it
        encode(Document((), qr="x" * QR_BYTES_MAX), replace(MUTE, dots=256))


def test_the_longest_slip_is_still_a_job_that_a_driver_takes() -> None:
    styles = (Line("冲" * 24, "center", bold=True), Line("正" * 24, "right"))
    assert len(encode(Document(styles * (LINES_MAX // 2)), P80)) < JOB_BYTES_MAX
