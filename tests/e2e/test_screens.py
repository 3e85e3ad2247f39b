"""The pictures of the documents: there, of the size of a till, shown to the reader, and saying what the screens say today."""

import struct
from pathlib import Path

from tests.e2e.screens import FOLDER, SIZE, WORDS, take


def names(folder: Path) -> set[str]:
    """Of the pictures in a folder."""
    return {path.name for path in folder.glob("*.png")}


def test_every_picture_is_of_a_tills_size_and_shown_in_the_documents() -> None:
    pages = "".join(path.read_text() for path in FOLDER.parent.glob("*.md"))
    for path in FOLDER.glob("*.png"):
        assert struct.unpack(">II", path.read_bytes()[16:24]) == SIZE, path.name
        assert f"screens/{path.name})" in pages, f"{path.name} is shown nowhere"
        assert path.stat().st_size < 200_000


def test_the_pictures_say_what_the_screens_say_today(tmp_path: Path) -> None:
    fresh = tmp_path / "screens"
    fresh.mkdir()
    take(fresh)
    assert names(fresh) == names(FOLDER)
    assert (fresh / WORDS).read_text() == (FOLDER / WORDS).read_text(), "run ./dev screens and look at the pictures"
