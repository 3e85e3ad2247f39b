"""The decoder is written apart from the encoder, and checked against a second source: the bytes of python-escpos."""

from itertools import pairwise

import pytest
from escpos.printer import Dummy
from hypothesis import given
from hypothesis import strategies as st

from device.simulator.escpos_decoder import Decoder, Op
from device.simulator.paper import Row, as_text, qr_matrix
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_traits import Traits


def ops(data: bytes) -> list[Op]:
    decoder, buffer, found = Decoder(), bytearray(data), []
    while (op := decoder.take(buffer)) is not None:
        found.append(op)
    return found


def printed(data: bytes, traits: Traits | None = None) -> PrinterModel:
    """What a good printer makes of it, when all is over."""
    model = PrinterModel(traits or Traits(columns=48, dots=576))
    sent, now_ms = 0, 0
    while sent < len(data) or model.next_ms() is not None:
        sent += model.receive(data[sent:], now_ms)
        now_ms = model.next_ms() or now_ms + 1
        model.advance(now_ms)
    return model


def rows(model: PrinterModel) -> list[Row]:
    return [row for slip in model.slips for row in slip.rows] + model.rows


@pytest.fixture
def escpos() -> Dummy:
    return Dummy(profile="TM-T88V")


def test_text_styles_and_places_of_the_second_source_are_read_as_meant(escpos: Dummy) -> None:
    escpos.set(align="center", bold=True, double_width=True, double_height=True)
    escpos.text("TOTAL\n")
    escpos.set(align="right", bold=False, normal_textsize=True)
    escpos.text("1.00\n")
    escpos.set(align="left", underline=1)
    escpos.text("thanks\n")
    first, second, third = (row for row in rows(printed(escpos.output)) if row.kind == "text")
    assert (first.text, first.align, first.spans[0].style[:3]) == ("TOTAL", 1, (2, 2, True))
    assert (second.text, second.align, second.spans[0].style[:3]) == ("1.00", 2, (1, 1, False))
    assert (third.text, third.align, third.spans[0].style.underline) == ("thanks", 0, True)


def test_a_custom_size_of_the_second_source_is_read(escpos: Dummy) -> None:
    escpos.set(custom_size=True, width=3, height=2)
    escpos.text("BIG\n")
    row = next(row for row in rows(printed(escpos.output)) if row.kind == "text")
    assert row.spans[0].style[:2] == (3, 2)
    assert row.spans[0].columns == 9


def test_a_native_code_of_the_second_source_is_the_code_that_was_asked_for(escpos: Dummy) -> None:
    escpos.qr("https://example.cn/1", native=True, size=6)
    row = next(row for row in rows(printed(escpos.output)) if row.kind == "qr")
    assert (row.content, row.module_dots) == ("https://example.cn/1", 6)


def test_a_drawn_code_of_the_second_source_is_a_picture_of_that_size(escpos: Dummy) -> None:
    escpos.qr("https://example.cn/1", size=4, image_arguments={"impl": "bitImageRaster"})
    row = next(row for row in rows(printed(escpos.output)) if row.kind == "image")
    assert len(row.image) == row.dots >= 21 * 4
    assert set("".join(row.image)) == {"0", "1"}


def test_a_cut_of_the_second_source_ends_a_slip(escpos: Dummy) -> None:
    escpos.text("one\n")
    escpos.cut()
    escpos.text("two\n")
    escpos.cut(mode="PART")
    slips = printed(escpos.output).slips
    assert [slip.cut for slip in slips] == [True, True]
    assert ["one" in as_text(slip.rows, 48) for slip in slips] == [True, False]


def test_a_drawer_that_the_second_source_opens_is_noticed(escpos: Dummy) -> None:
    escpos.cashdraw(2)
    assert printed(escpos.output).drawer_kicks == 1


def test_a_bar_code_of_the_second_source_is_read_to_its_end(escpos: Dummy) -> None:
    escpos.barcode("4006381333931", "EAN13")
    escpos.text("after\n")
    found = rows(printed(escpos.output))
    assert any("4006381333931" in row.text for row in found if row.kind == "barcode")
    assert found[-1].text == "after"


def test_a_column_image_of_the_second_source_is_read_to_its_end(escpos: Dummy) -> None:
    escpos.qr("abc", size=3, image_arguments={"impl": "bitImageColumn"})
    escpos.text("after\n")
    assert rows(printed(escpos.output))[-1].text == "after"


def test_chinese_is_read_in_pairs_only_in_chinese_mode() -> None:
    data = "冲正".encode("gbk")
    assert ops(b"\x1c\x26" + data) == [Op("FS &"), Op("text", data)]
    on, off = rows(printed(b"\x1c\x26" + data + b"\n"))[0], rows(printed(b"\x1c\x2e" + data + b"\n"))[0]
    assert on.text == "冲正"
    assert off.text == data.decode("cp437")


def test_half_a_character_is_not_the_start_of_the_next_command() -> None:
    assert [op.name for op in ops("冲".encode("gbk")[:1] + b"\n")] == ["text", "LF"]


def test_an_unknown_command_loses_its_lead_and_prints_the_rest() -> None:
    assert ops(b"\x1b\x7aA") == [Op("unknown"), Op("text", b"zA")]


def test_zeros_and_other_codes_without_a_meaning_print_nothing() -> None:
    assert ops(bytes(300) + b"\x01\x7fA") == [Op("text", b"A")]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_how_the_bytes_arrive_changes_nothing_that_is_printed(data: bytes, cuts: list[int]) -> None:
    whole, pieces = PrinterModel(), PrinterModel()
    whole.receive(data, 0)
    for start, end in pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})):
        pieces.receive(data[start:end], 0)
    for model in (whole, pieces):
        model.advance(1_000_000)
    assert rows(pieces) == rows(whole)
    assert pieces.replies() == whole.replies()
    assert pieces.drawer_kicks == whole.drawer_kicks


@given(st.binary(max_size=400))
def test_no_bytes_make_the_printer_fail(data: bytes) -> None:
    printed(data)


def test_a_code_has_the_modules_that_its_content_needs() -> None:
    assert len(qr_matrix("abc")) == 21
    assert len(qr_matrix("x" * 100)) == 41
