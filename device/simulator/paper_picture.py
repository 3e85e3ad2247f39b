"""The paper as a picture, dot for dot: what a person would hold in their hand."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import Explained
from device.simulator.paper import CHAR_DOTS, LINE_DOTS, TEXT_DOTS, Row, Span, qr_matrix

if TYPE_CHECKING:
    from PIL import Image, ImageFont

MARGIN_DOTS = 24
PAPER, INK, SHADE = 250, 25, 215
GLYPH_DOTS = 22  # of a 24-dot cell
_BASELINE = 20  # from the top of the cell
_FONTS = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)


class PictureError(Explained):
    """Pictures cannot be made here: says what is missing and how to get it. Text works without."""


def find_font() -> str:
    """A font with Chinese characters. Raises PictureError with the command that installs one."""
    if chosen := os.environ.get("REVERSALD_FONT"):
        if Path(chosen).is_file():
            return chosen
        raise PictureError(
            f"REVERSALD_FONT names {chosen}, which is not there: correct it, or unset it",
            f"REVERSALD_FONT 所指的 {chosen} 不存在:请更正,或取消此变量",
        )
    if found := next((path for path in _FONTS if Path(path).is_file()), None):
        return found
    if program := shutil.which("fc-list"):
        listed = subprocess.run([program, ":lang=zh-cn", "file"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
        for line in sorted(listed.stdout.splitlines()):
            path = line.strip().rstrip(":")
            if path.endswith((".ttc", ".ttf", ".otf")) and Path(path).is_file():
                return path
    raise PictureError(
        "no font with Chinese characters for pictures of receipts: apt-get install fonts-wqy-microhei, "
        "or set REVERSALD_FONT to a .ttf or .ttc file",
        "没有中文字体,画不出小票图片:请执行 apt-get install fonts-wqy-microhei,或将 REVERSALD_FONT 设为 .ttf 或 .ttc 文件",
    )


def load_font(dots: int) -> "ImageFont.FreeTypeFont":
    """A font with Chinese characters, so high. Raises PictureError."""
    try:
        from PIL import ImageFont
    except ImportError:
        raise PictureError("pictures need Pillow: pip install pillow", "画图片需要 Pillow:请执行 pip install pillow") from None
    path = find_font()
    try:
        font = ImageFont.truetype(path, dots)
        if path.endswith(".ttc") and "Mono" in str((second := ImageFont.truetype(path, dots, index=1)).getname()):
            return second  # a printer's Latin letters are all equally wide
    except OSError:
        en = f"{path} is not a font that can be read: set REVERSALD_FONT to a .ttf or .ttc file"
        raise PictureError(en, f"{path} 不是可用的字体:请将 REVERSALD_FONT 设为 .ttf 或 .ttc 文件") from None
    return font


class Painter:
    """Draws slips. Making one looks for what it needs, so that what is missing is said before anything is printed."""

    def __init__(self, dots: int) -> None:
        self._font = load_font(GLYPH_DOTS)
        from PIL import Image, ImageDraw

        self._image, self._draw = Image, ImageDraw
        self._dots = dots

    def paint(self, rows: tuple[Row, ...], *, cut: bool) -> "Image.Image":
        """One slip, in shades of grey: `dots` wide and as long as it is, with a margin around it."""
        tall = sum(row.dots for row in rows)
        picture = self._image.new("L", (self._dots + 2 * MARGIN_DOTS, tall + 2 * MARGIN_DOTS), PAPER)
        top = MARGIN_DOTS
        for row in rows:
            painted = self._row(row)
            if painted is not None:
                left = MARGIN_DOTS + (0, (self._dots - painted.width) // 2, self._dots - painted.width)[row.align]
                picture.paste(painted.crop((0, 0, painted.width, min(painted.height, row.dots))), (left, top))
            top += row.dots
            if row.torn != 100:
                self._edge(picture, top)
        if cut:
            self._edge(picture, picture.height - 4)
        return picture

    def _edge(self, picture: "Image.Image", top: int) -> None:
        """A jagged line, where the paper ended or was cut."""
        points = [(x, top + (x // 6 % 2) * 4 - 2) for x in range(0, picture.width + 6, 6)]
        self._draw.Draw(picture).line(points, fill=INK // 2 + SHADE // 2, width=1)

    def _row(self, row: Row) -> "Image.Image | None":
        if row.kind in {"text", "barcode"}:
            return self._text(row.spans)
        if row.kind == "qr":
            matrix = qr_matrix(row.content)
            return self._bits([bytes(line) for line in matrix], row.module_dots)
        if row.kind == "image":
            return self._bits([bytes(map(int, line)) for line in row.image], 1)
        return None

    def _bits(self, rows: list[bytes], scale: int) -> "Image.Image":
        wide, high = len(rows[0]), len(rows)
        flat = bytes(INK if bit else PAPER for row in rows for bit in row)
        return self._image.frombytes("L", (wide, high), flat).resize((wide * scale, high * scale), self._image.Resampling.NEAREST)

    def _text(self, spans: tuple[Span, ...]) -> "Image.Image":
        wide = sum(span.columns for span in spans) * CHAR_DOTS
        high = max(span.style.high for span in spans) * TEXT_DOTS + LINE_DOTS - TEXT_DOTS
        line = self._image.new("L", (max(wide, 1), high), PAPER)
        left = 0
        for span in spans:
            for char in span.text:
                cell = self._cell(char, span)
                line.paste(cell, (left, high - (LINE_DOTS - TEXT_DOTS) - cell.height))
                left += cell.width
        return line

    def _cell(self, char: str, span: Span) -> "Image.Image":
        """One character in its cell: two cells wide when it is a byte pair. Enlarged dot by dot, as a printer does."""
        columns = 1 if char.isascii() or len(char.encode("gbk", "replace")) == 1 else 2
        ground, ink = (INK, PAPER) if span.style.inverse else (PAPER, INK)
        wide = columns * CHAR_DOTS
        drawn = max(wide, round(self._font.getlength(char)))  # what is wider than its cell is squeezed into it
        cell = self._image.new("L", (drawn, TEXT_DOTS), ground)
        draw = self._draw.Draw(cell)
        for shift in (0, 1) if span.style.bold else (0,):
            draw.text((drawn / 2 + shift, _BASELINE), char, fill=ink, font=self._font, anchor="ms")
        if drawn > wide:
            cell = cell.resize((wide, TEXT_DOTS))
        if span.style.underline:
            self._draw.Draw(cell).line([(0, TEXT_DOTS - 2), (wide, TEXT_DOTS - 2)], fill=ink, width=2)
        return cell.resize((wide * span.style.wide, TEXT_DOTS * span.style.high), self._image.Resampling.NEAREST)
