"""The paper as a picture: as wide as the head, with ink where characters are, and a code that is really that code."""

from pathlib import Path

import pytest
from PIL import Image

from device.printer import Document, Line
from device.printer.encoder import encode
from device.printer.profile import load_profile
from device.simulator.paper import qr_matrix
from device.simulator.paper_picture import INK, MARGIN_DOTS, Painter, PictureError, find_font
from device.simulator.printer import traits_of
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_output import SlipFiles
from device.simulator.printer_traits import Slip

CONTENT = "https://example.cn/7F3A"
DOCUMENT = Document((Line("签购单", "center", 2), Line("金额 RMB 1.00", bold=True)), CONTENT)


def slip(profile: str, document: Document = DOCUMENT) -> Slip:
    chosen = load_profile(profile)
    model = PrinterModel(traits_of(chosen))
    model.receive(encode(document, chosen), 0)
    while (at_ms := model.next_ms()) is not None:
        model.advance(at_ms)
    return model.slips[0]


def dark(picture: Image.Image) -> int:
    return sum(picture.histogram()[:128])


@pytest.mark.parametrize(("profile", "dots"), [("generic-58mm", 384), ("generic-80mm", 576), ("mute-58mm", 384)])
def test_a_slip_becomes_a_picture_as_wide_as_its_paper(tmp_path: Path, profile: str, dots: int) -> None:
    printed = slip(profile)
    told = SlipFiles(tmp_path, traits_of(load_profile(profile)), pictures=True).save(printed)
    with Image.open(str(told["png"])) as picture:
        assert picture.width == dots + 2 * MARGIN_DOTS
        assert picture.height == sum(row.dots for row in printed.rows) + 2 * MARGIN_DOTS
        assert dark(picture) > 2000
    assert "签购单" in Path(str(told["txt"])).read_text()


@pytest.mark.parametrize("profile", ["generic-58mm", "mute-58mm"])
def test_the_code_in_the_picture_has_the_modules_of_its_content(profile: str) -> None:
    """Also where we draw it ourselves: what the encoder drew is compared with what the content needs."""
    printed = slip(profile)
    picture = Painter(384).paint(printed.rows, cut=False)
    matrix = qr_matrix(CONTENT)
    row = next(row for row in printed.rows if row.kind in {"qr", "image"})
    top = MARGIN_DOTS + sum(other.dots for other in printed.rows[: printed.rows.index(row)])
    module = row.dots // len(matrix)
    wide = max(map(len, row.image)) if row.image else row.dots
    left = MARGIN_DOTS + (384 - wide) // 2
    for y, line in enumerate(matrix):
        for x, wanted in enumerate(line):
            pixel = picture.getpixel((left + x * module + module // 2, top + y * module + module // 2))
            assert (pixel == INK) == bool(wanted), (x, y)


def test_double_size_is_drawn_twice_as_high_and_bold_with_more_ink() -> None:
    painter = Painter(384)

    def ink(line: Line) -> int:
        return dark(painter.paint(slip("generic-58mm", Document((line,))).rows, cut=False))

    assert ink(Line("冲正", size=2)) > 3 * ink(Line("冲正"))
    assert ink(Line("冲正", bold=True)) > ink(Line("冲正"))


def test_numbers_go_on_from_what_is_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "0041.txt").write_text("")
    told = SlipFiles(tmp_path, traits_of(load_profile("generic-58mm")), pictures=False).save(slip("generic-58mm"))
    assert told["txt"] == str(tmp_path / "0042.txt")
    assert "png" not in told


def test_a_missing_font_is_one_sentence_with_the_command_that_installs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REVERSALD_FONT", raising=False)
    monkeypatch.setattr("device.simulator.paper_picture._FONTS", ())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PictureError, match="apt-get install fonts-wqy-microhei") as caught:
        find_font()
    assert "\n" not in str(caught.value)


def test_a_font_of_ones_own_is_taken_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = find_font()
    monkeypatch.setenv("REVERSALD_FONT", found)
    assert find_font() == found
    monkeypatch.setenv("REVERSALD_FONT", str(tmp_path / "none.ttf"))
    with pytest.raises(PictureError, match=r"none\.ttf, which is not there"):
        find_font()
    (tmp_path / "none.ttf").write_text("no font")
    with pytest.raises(PictureError, match="not a font that can be read"):
        Painter(384)
