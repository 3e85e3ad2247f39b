"""The documents as data: pages, their fenced blocks, code spans, links and headings."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)">')
_COMMENT = re.compile(r"<!-- (.*?) -->")


class Block(NamedTuple):
    """A fenced block or a comment (`info` is "comment"), and where it stands."""

    page: Path
    line: int
    info: str
    text: str

    @property
    def place(self) -> str:
        """For the message of a failed test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page for people."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> Path:
    """One page of docs."""
    return ROOT / "docs" / name


def blocks(path: Path) -> list[Block]:
    """Fenced blocks, in order."""
    return sorted(_found(path, _FENCE.finditer(path.read_text())), key=lambda block: block.line)


def steps(path: Path) -> list[Block]:
    """Fenced blocks and comments, in order."""
    text = path.read_text()
    comments = [Block(path, _line(text, match), "comment", match[1]) for match in _COMMENT.finditer(text)]
    return sorted([*blocks(path), *comments], key=lambda block: block.line)


def spans(path: Path) -> list[str]:
    """Everything in single backticks outside of fenced blocks."""
    return _SPAN.findall(_FENCE.sub("", path.read_text()))


def links(path: Path) -> list[str]:
    """Where links and pictures point, outside of fenced blocks."""
    return _LINK.findall(_FENCE.sub("", path.read_text()))


def anchors(path: Path) -> set[str]:
    """What can stand after `#` in a link to this page: headings as git hosts name them, and anchors of our own."""
    text = _FENCE.sub("", path.read_text())
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in _HEADING.findall(text)}
    return slugs | set(_ANCHOR.findall(text))


def table(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head; backticks are taken off the cells."""
    section = path.read_text().split(f"{heading}\n", 1)[1]
    section = re.split(r"^#{1,4} ", section, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def _found(path: Path, matches: Iterator[re.Match[str]]) -> Iterator[Block]:
    text = path.read_text()
    for match in matches:
        yield Block(path, _line(text, match), match[1].strip(), match[2])


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1
