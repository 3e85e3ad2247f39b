"""Where the files are that come with the program: profiles of printers and of acquirers, texts, pages; one file each.

They stand in `packaging/`; an installed copy has them in `share/reversald`, a frozen one in its own folder.
"""

import sys
from pathlib import Path


def folders(kind: str) -> list[Path]:
    """Where files of this kind are looked for, in this order: frozen program, source tree, installed package."""
    frozen = getattr(sys, "_MEIPASS", None)
    places = [Path(frozen) / "packaging" / kind] if frozen else []
    places.append(Path(__file__).resolve().parents[1] / "packaging" / kind)
    places.append(Path(sys.prefix) / "share" / "reversald" / kind)
    return places


def names(kind: str) -> list[str]:
    """The profiles that come with the program."""
    return sorted({path.stem for folder in folders(kind) for path in folder.glob("*.toml")})


def find(kind: str, name: str) -> Path | None:
    """The file of a profile: `name` is a path when it ends in `.toml`. None when no file has that name."""
    if name.endswith(".toml"):
        return Path(name)
    return next((path for folder in folders(kind) if (path := folder / f"{name}.toml").is_file()), None)
