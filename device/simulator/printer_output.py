"""Finished slips as files: `0001.txt`, and `0001.png` beside it where pictures are wanted."""

from pathlib import Path

from device.simulator.paper import as_text
from device.simulator.paper_picture import Painter
from device.simulator.printer_traits import Slip, Traits


class SlipFiles:
    """Numbers go on from what is in the folder already. Raises PictureError at once when pictures cannot be made."""

    def __init__(self, folder: Path | None, traits: Traits, *, pictures: bool) -> None:
        self._folder = folder
        self._columns = traits.columns
        self._painter = Painter(traits.dots) if pictures and folder is not None else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        earlier = folder.glob("[0-9]*.txt") if folder is not None else ()
        self._number = max((int(path.stem) for path in earlier if path.stem.isdigit()), default=0)

    def save(self, slip: Slip) -> dict[str, object]:
        """Write one slip; what to tell about it."""
        self._number += 1
        text = as_text(slip.rows, self._columns)
        told: dict[str, object] = {"event": "slip", "number": self._number, "cut": slip.cut, "text": text}
        if self._folder is not None:
            path = self._folder / f"{self._number:04d}.txt"
            beside = path.with_suffix(".new")  # whoever watches the folder finds whole slips only
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
            told["txt"] = str(path)
            if self._painter is not None:
                picture = path.with_suffix(".png")
                self._painter.paint(slip.rows, cut=slip.cut).save(picture, optimize=True)
                told["png"] = str(picture)
        return told
