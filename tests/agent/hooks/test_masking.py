"""Card numbers never stay in a text; what only looks a little like one does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hooks.masking import masked

PAN = "6222021234567890128"
HIDDEN = "622202*********0128"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PAN, HIDDEN),
        (f"卡号{PAN}元", f"卡号{HIDDEN}元"),
        (f"{PAN} 1000", f"{HIDDEN} 1000"),
        (f"1000 {PAN}", f"1000 {HIDDEN}"),
        (f"{PAN}-{PAN}", f"{HIDDEN}-{HIDDEN}"),
        ("6222 0212 3456 7890 128", "6222 02** **** ***0 128"),
        ("6222 0212 3456 7890 128 1000 fen", "6222 02** **** ***0 128 1000 fen"),
        ("6222-0212-3456-7890", "6222-02**-****-7890"),
        ("622202 1234567890128", "622202 *********0128"),
        ("3782 822463 10005", "3782 82**** *0005"),
        ("4222222222222", "422222***2222"),
        ("6222021234567890=30122010000012300", "622202******7890=301220*******2300"),
        ("６２２２０２１２３４５６７８９０", "６２２２０２******７８９０"),
        ("6222\u00a00212\u30003456 7890", "6222\u00a002**\u3000**** 7890"),
    ],
)
def test_a_card_number_is_found_however_it_is_written(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02 100000", "20260302 100000", "20260302100000", "2026030210000000123", "000001 000123 123456789012",
        "1.00", "RMB 999999999999", "138 0013 8000", "凭证 000123 批次 000001", "261122000123",
        "6f1c2b52-5404-4128-8123-123456789012", "0199abcd-5404-7128-8123-123456789012", "4200001234202411231234567890",
        "²²²²²²²²²²²²²²",
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert masked(text) == text


def test_the_merchants_number_stays_where_it_belongs() -> None:
    merchant = "898310148160001"
    assert masked(f"商户号 {merchant} 卡号 {PAN}", {merchant}) == f"商户号 {merchant} 卡号 {HIDDEN}"
    assert masked(merchant) == "898310*****0001"


def test_in_an_error_longer_runs_go_as_well() -> None:
    assert masked(f"1{PAN}") == f"1{PAN}", "an order number"
    assert masked(f"1{PAN}", longer_too=True) == "162220**********0128"


def test_an_identifier_of_digits_only_is_not_taken_for_one_of_ours() -> None:
    assert "1234567890" not in masked("62220212-3456-4890-8128-1234567890123456")


@given(
    st.text(alphabet="ab 卡=:/,;()", max_size=8), st.from_regex(r"[3-6][0-9]{12,18}", fullmatch=True),
    st.text(alphabet="ab 卡=:/,;()", max_size=8), st.booleans(),
)
def test_no_card_number_survives_whatever_stands_around_it(before: str, number: str, after: str, strict: bool) -> None:
    text = masked(f"{before}{number}{after}", longer_too=strict)
    assert number not in text
    assert text.startswith(before)
    assert text.endswith(number[-4:] + after)


@given(st.text(alphabet="0123456789 -a", max_size=80), st.booleans())
def test_masking_changes_only_digits_and_never_the_length(text: str, strict: bool) -> None:
    hidden = masked(text, longer_too=strict)
    assert len(hidden) == len(text)
    assert all(new in {old, "*"} for old, new in zip(text, hidden, strict=True))
    if strict:
        assert not re.search(r"\d{13}", re.sub(r"20\d{6}\d*", "", hidden))


def test_a_very_long_text_of_many_groups_is_done_at_once() -> None:
    text = "4 " * 20_000
    assert len(masked(text)) == len(text)
