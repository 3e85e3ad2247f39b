"""The simulated display as a pure machine: what a real one does with commands it knows, does not know, and half ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.simulator.display_model import BROKEN, COLUMNS, PoleModel, Set, columns

FULL = b"abcdefghijklmnopqrst"


def cd5220(*parts: bytes) -> PoleModel:
    model = PoleModel("cd5220")
    model.feed(b"".join(parts))
    return model


def escpos(*parts: bytes) -> PoleModel:
    model = PoleModel("escpos")
    model.feed(b"".join(parts))
    return model


def test_cd5220_a_string_blanks_its_line_and_longer_ones_are_cut() -> None:
    model = cd5220(b"\x1bQA" + FULL + b"XYZ\r", b"\x1bQBlow\r", b"\x1bQBl\r")
    assert model.lines() == (FULL.decode(), "l")


def test_cd5220_after_a_string_only_clear_is_obeyed() -> None:
    model = cd5220(b"\x1bQAa\r", b"\x1b*\x01", b"\x1b_\x00")
    assert (model.brightness, model.cursor, model.garbled) == (4, True, 2)
    model.feed(b"\x0c\x1b*\x01\x1b_\x00")
    assert (model.brightness, model.cursor, model.garbled, model.lines()) == (1, False, 2, ("", ""))


def test_cd5220_goes_to_a_place_and_writes_there() -> None:
    assert cd5220(b"\x0cupper", b"\x1bl\x05\x02", b"low").lines() == ("upper", "    low")
    assert cd5220(b"\x0c\x1bl\x15\x01").garbled == 1


def test_escpos_goes_to_a_place_wraps_and_overwrites() -> None:
    model = escpos(b"\x0c", FULL, b"low", b"\x1f$\x01\x01", b"ABC")
    assert model.lines() == ("ABCdefghijklmnopqrst", "low")
    model.feed(b"\x0d\x18")
    assert model.lines() == ("", "low")


def test_escpos_scrolls_when_it_was_told_to() -> None:
    model = escpos(b"\x0c\x1f\x02", FULL, b"ABCDEFGHIJKLMNOPQRST", b"x")
    assert model.lines() == ("ABCDEFGHIJKLMNOPQRST", "x")


@pytest.mark.parametrize("commands", ["cd5220", "escpos"])
def test_half_a_han_character_is_seen_as_broken(commands: Set) -> None:
    model = PoleModel(commands)
    model.feed(b"\x0c" + "中".encode("gbk") + b"\rx")
    assert model.lines()[0] == f"x{BROKEN}"
    model.feed(b"\x0c" + FULL[:19] + "中".encode("gbk"))
    assert model.lines()[0] == FULL[:19].decode() + BROKEN
    model.feed(b"\x0c" + b"\xff\xff")
    assert BROKEN in model.lines()[0]


def test_what_means_nothing_is_counted_and_passed_over() -> None:
    assert cd5220(b"\x1b\x7fa").lines() == ("a", "")
    assert cd5220(b"\x1b\x7f\x1bQC").garbled == 2
    assert escpos(b"\x1f\x7f\x1fX\x09").garbled == 2


def test_a_display_without_power_forgets_everything() -> None:
    model = cd5220(b"\x1b*\x01\x1bQAa\r")
    model.power(on=False)
    model.feed(b"\x1bQAb\r")
    assert model.lines() == ("", "")
    model.power(on=True)
    assert (model.lines(), model.brightness) == (("", ""), 4)


@given(data=st.binary(max_size=300), commands=st.sampled_from(["cd5220", "escpos"]), chinese=st.booleans())
def test_no_bytes_at_all_break_it_or_make_a_line_longer(data: bytes, commands: Set, chinese: bool) -> None:
    model = PoleModel(commands, chinese=chinese)
    for byte in data:
        model.feed(bytes([byte]))
        for line in model.lines():
            assert columns(line) <= COLUMNS
