"""Columns are exact, nothing is lost in wrapping, and what GBK cannot say is replaced without changing an amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.printer.layout import sayable, two_columns, width, wrap

TEXTS = st.text(st.sampled_from("ab 1.,，。冲正金额¥$(（😀½é\u3000\n-"), max_size=60)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("¥1.00", "RMB1.00"),
        ("\uffe51.00", "\uffe51.00"),
        ("€5", "EUR5"),
        ("½ ²", "? ?"),
        ("café ö", "café o"),
        ("👍", "〓"),
        ("一\u0000二\x1b三\x7f", "一二三"),
        ("a\tb", "a b"),
        ("　全角", "　全角"),
        ("每天\u200d\ufe0f", "每天"),
    ],
)
def test_what_the_printer_cannot_say_is_replaced(text: str, said: str) -> None:
    assert sayable(text) == said


def test_no_digit_appears_that_was_not_there() -> None:
    assert sayable("1½ 10²") == "1? 10?"


@given(st.text(max_size=80))
def test_every_text_becomes_one_that_gbk_can_say_without_control_characters(text: str) -> None:
    data = sayable(text).encode("gbk")
    assert not [byte for byte in data if byte < 0x20 and byte != 0x0A]


@given(TEXTS, st.integers(2, 48))
def test_no_line_is_wider_than_the_paper(text: str, columns: int) -> None:
    assert all(width(line) <= columns for line in wrap(sayable(text), columns))


@given(TEXTS, st.integers(2, 48))
def test_wrapping_loses_nothing_but_blanks(text: str, columns: int) -> None:
    said = sayable(text)
    assert "".join(wrap(said, columns)).replace(" ", "") == said.replace("\n", "").replace(" ", "")


def test_a_han_character_is_two_columns_and_a_line_can_be_exactly_full() -> None:
    assert width("冲正RMB") == 7
    assert wrap("冲" * 16, 32) == ["冲" * 16]
    assert wrap("冲" * 17, 32) == ["冲" * 16, "冲"]
    assert wrap("a" + "冲" * 16, 32) == ["a" + "冲" * 15, "冲"]


def test_words_stay_whole_where_they_can() -> None:
    assert wrap("reversal accepted", 12) == ["reversal", "accepted"]
    assert wrap("x" * 20, 8) == ["x" * 8, "x" * 8, "x" * 4]


def test_a_closing_mark_does_not_begin_a_line() -> None:
    assert wrap("请勿重复付款。冲正", 12) == ["请勿重复付", "款。冲正"]


def test_two_columns_fill_the_line_exactly() -> None:
    assert two_columns("金额", "RMB 1.00", 20) == "金额        RMB 1.00"
    assert width(two_columns("金额", "¥1.00", 32)) == 32


def test_two_columns_that_do_not_fit_go_on_lines_of_their_own() -> None:
    assert two_columns("一二三四五", "六七八", 12).split("\n") == ["一二三四五", "      六七八"]
