"""Chip data: what tags it has, wherever they hide, and what is left after cutting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.acquirer.chip import cut, tags
from device.errors import LocalMessageError

KEPT = ("95", "9F1E", "9F10", "9F36", "DF31")
FULL = (
    "9F2608AABBCCDDEEFF0011" "9F1E083132333435363738" "9F101407010103A00000010A010000000000AABBCCDD12"
    "9F36020011" "95050000000000" "9A03261123" "DF31050102030405"
)


def test_cutting_keeps_the_five_tags_in_the_order_asked_for() -> None:
    assert cut(FULL, KEPT) == (
        "95050000000000" "9F1E083132333435363738" "9F101407010103A00000010A010000000000AABBCCDD12" "9F36020011"
        "DF31050102030405"
    )


def test_cutting_finds_tags_inside_templates_and_never_keeps_a_template() -> None:
    nested = "770D" "9F36020011" "E106" "9F1E03313233"
    assert tags(nested) == ["77", "9F36", "E1", "9F1E"]
    assert cut(nested, KEPT) == "9F1E033132339F36020011"
    assert cut(nested, ("77", "E1")) == ""


def test_of_a_repeated_tag_the_first_is_kept() -> None:
    assert cut("9F360200119F36020012", KEPT) == "9F36020011"


def test_lower_case_is_the_same() -> None:
    assert cut("9f36020011", ("9f36",)) == "9F36020011"


def test_a_card_number_hidden_in_nested_templates_is_listed() -> None:
    assert "5A" in tags("E108" "E206" "E304" "5A026222")
    assert "9F6B" in tags("7005" "9F6B026222")


def test_padding_between_elements_is_passed_over() -> None:
    assert tags("00009F360200110000950500000000000000") == ["9F36", "95"]


def test_long_lengths_are_understood_and_written_shortest() -> None:
    value = "AB" * 200
    assert cut(f"DF3181C8{value}", KEPT) == f"DF3181C8{value}"
    assert cut("DF31820002ABCD", KEPT) == "DF3102ABCD"


def test_nothing_wanted_is_nothing() -> None:
    assert cut("", KEPT) == ""
    assert cut("9A03261123", KEPT) == ""
    assert tags("") == []


@pytest.mark.parametrize(("chip", "complaint"), [
    ("9F3", "not hexadecimal"),
    ("卡", "not hexadecimal"),
    ("9F", "inside a tag"),
    ("DFFFFFFF01", "inside a tag|more than 4"),
    ("DFFFFFFFFF0100", "more than 4 bytes"),
    ("95", "before a length"),
    ("950500", "inside a value"),
    ("9580", "form that EMV does not use"),
    ("958300000100", "form that EMV does not use"),
    ("958200", "inside a length"),
    ("E1035A0562", "inside a value"),
    ("AB" * 256, "at most 255"),
])
def test_chip_data_that_is_none_is_refused(chip: str, complaint: str) -> None:
    for work in (lambda: tags(chip), lambda: cut(chip, KEPT)):
        with pytest.raises(LocalMessageError, match=complaint) as caught:
            work()
        assert chip not in str(caught.value)
        assert caught.value.__context__ is None


def test_endless_nesting_is_refused() -> None:
    chip = ""
    for _ in range(20):
        chip = f"E1{len(chip) // 2:02X}{chip}"
    with pytest.raises(LocalMessageError, match="nested deeper"):
        tags(chip)


@given(st.binary(max_size=260))
def test_random_bytes_are_tags_or_a_clear_refusal(raw: bytes) -> None:
    try:
        found = tags(raw.hex())
    except LocalMessageError:
        return
    assert set(tags(cut(raw.hex(), KEPT))) <= set(KEPT) & set(found)
