"""The two lines as a picture: what the customer sees, light on dark glass."""

from typing import TYPE_CHECKING

from device.simulator.display_model import COLUMNS, columns
from device.simulator.paper_picture import load_font

if TYPE_CHECKING:
    from PIL import Image

CELL_DOTS, LINE_DOTS, GAP_DOTS, MARGIN_DOTS = 16, 34, 8, 20
GLYPH_DOTS = 30
GLASS, DARK, LIT = (12, 20, 22), (20, 34, 36), (120, 255, 214)


def picture_size() -> tuple[int, int]:
    """Width and height of every picture, in dots."""
    return COLUMNS * CELL_DOTS + 2 * MARGIN_DOTS, 2 * LINE_DOTS + GAP_DOTS + 2 * MARGIN_DOTS


def paint(lines: tuple[str, str]) -> "Image.Image":
    """One glass, each cell with its own dark pane. Raises PictureError when there is no font with Chinese characters."""
    font = load_font(GLYPH_DOTS)
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", picture_size(), GLASS)
    draw = ImageDraw.Draw(picture)
    for row, text in enumerate(lines):
        top = MARGIN_DOTS + row * (LINE_DOTS + GAP_DOTS)
        for column in range(COLUMNS):
            left = MARGIN_DOTS + column * CELL_DOTS
            draw.rectangle((left, top, left + CELL_DOTS - 2, top + LINE_DOTS - 1), fill=DARK)
        left = MARGIN_DOTS
        for char in text:
            wide = CELL_DOTS * columns(char)
            draw.text((left + wide / 2 - 1, top + LINE_DOTS - 7), char, fill=LIT, font=font, anchor="ms")
            left += wide
    return picture
