"""The displays shown in the documents are what is lit today: bytes and text exactly, pictures by their size."""

import struct

import pytest

from device.simulator.display_picture import picture_size
from docs import displays
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs" / "displays"
GOLDENS = displays.goldens()


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.stem)
def test_what_is_lit_and_its_bytes_are_those_that_are_shown(golden: displays.Golden) -> None:
    assert (FOLDER / f"{golden.stem}.txt").read_text().split("\n")[:2] == list(golden.lit)
    shown = (FOLDER / f"{golden.stem}.hex").read_text().splitlines()
    assert {shown[0]: bytes.fromhex(shown[1]), shown[2]: bytes.fromhex(shown[3])} == golden.data


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.stem)
def test_the_picture_is_there_and_has_the_size_of_the_glass(golden: displays.Golden) -> None:
    head = (FOLDER / f"{golden.stem}.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == picture_size()


def test_nothing_else_lies_beside_them_and_every_payment_names_its_customer() -> None:
    names = {f"{golden.stem}.{kind}" for golden in GOLDENS for kind in ("hex", "txt", "png")}
    assert {path.name for path in FOLDER.iterdir()} == names | {"README.md"}
    for golden in GOLDENS:
        assert golden.name == "idle" or ("128.00" in golden.lit[1] and golden.lit[1].endswith("*0128"))
