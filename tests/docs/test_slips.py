"""The slips shown in the documents are what leaves the printer today: bytes and text exactly, pictures by their size."""

import struct

import pytest

from docs import slips
from tests.docs.pages import ROOT

RECEIPTS = ROOT / "docs" / "receipts"
GOLDENS = slips.goldens()


def named(golden: slips.Golden) -> str:
    """For the id of a test."""
    return golden.stem


@pytest.mark.parametrize("golden", GOLDENS, ids=named)
def test_the_bytes_of_a_slip_are_those_that_are_shown(golden: slips.Golden) -> None:
    assert bytes.fromhex((RECEIPTS / f"{golden.stem}.hex").read_text()) == golden.data


@pytest.mark.parametrize("golden", GOLDENS, ids=named)
def test_the_paper_reads_as_shown_and_fits_its_width(golden: slips.Golden) -> None:
    shown = (RECEIPTS / f"{golden.stem}.txt").read_text()
    assert slips.as_text(golden.slip.rows, golden.columns) == shown
    for row in golden.slip.rows:
        assert sum(span.columns for span in row.spans) <= golden.columns
    edges = [row for row in golden.slip.rows if row.kind == "text" and row.text == "-" * golden.columns]
    assert len(edges) >= 3, "the rules reach from edge to edge"


@pytest.mark.parametrize("golden", GOLDENS, ids=named)
def test_the_picture_is_there_and_has_the_size_of_the_paper(golden: slips.Golden) -> None:
    head = (RECEIPTS / f"{golden.stem}.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == slips.picture_size(golden)


def test_nothing_else_lies_beside_them_and_no_card_number_is_whole() -> None:
    names = {f"{golden.stem}.{kind}" for golden in GOLDENS for kind in ("hex", "txt", "png")}
    assert {path.name for path in RECEIPTS.iterdir()} == names | {"README.md"}
    for path in RECEIPTS.glob("*.txt"):
        assert "622202*********0128" in path.read_text()


def test_every_copy_is_marked_at_head_and_foot_and_the_original_is_not() -> None:
    for golden in GOLDENS:
        marks = slips.as_text(golden.slip.rows, golden.columns).count("重打印凭证/DUPLICATED")
        assert marks == (2 if golden.name == "reprint" else 0)
