"""The pages as they are written: old browsers can read them, nothing of a text becomes markup, both languages say the same."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from agent.core.screen import Press
from agent.hooks.assets import PARTS, TYPES
from tests.docs.code import problem_codes
from tests.support.house import OpenHouse, housed

FOLDER = Path(__file__).resolve().parents[3] / "packaging" / "pages"
SCRIPTS = sorted(FOLDER.glob("*.js"))
PAGES = sorted(FOLDER.glob("*.html"))

# What Chromium 60 does not know, by the version that brought it.
TOO_NEW = {
    "optional chaining (80)": r"\?\.(?!\d)", "nullish (80)": r"\?\?", "logical assignment (85)": r"(\|\||&&)=",
    "catch without a name (66)": r"\bcatch\s*\{", "object spread (60)": r"\{\s*\.\.\.", "async iteration (63)": r"\bfor await\b",
    "private fields (74)": r"\bthis\.#", "BigInt (67)": r"\b\d+n\b", "numeric separators (75)": r"\d_\d",
    "flat (69)": r"\.flat(Map)?\(", "finally (63)": r"\.finally\(", "allSettled, any (76, 85)": r"Promise\.(allSettled|any)\b",
    "AbortController (66)": r"\bAbort(Controller|Signal)\b", "replaceChildren (86)": r"\.replaceChildren\(",
    "replaceAll (85)": r"\.replaceAll\(", "randomUUID (92)": r"\brandomUUID\b", "at (92)": r"\.at\(",
    "fromEntries (73)": r"\bfromEntries\b", "matchAll (73)": r"\.matchAll\(", "globalThis (71)": r"\bglobalThis\b",
    "structuredClone (98)": r"\bstructuredClone\b", "import and export (61)": r"^\s*(import|export)\b",
    "look-behind, names (62, 64)": r"\(\?<", "queueMicrotask (71)": r"\bqueueMicrotask\b",
    "toggleAttribute (69)": r"\btoggleAttribute\b",
}
TOO_NEW_STYLE = {
    "gap in flex boxes (84)": r"(?<![\w-])gap\s*:", "inset (87)": r"\binset\s*:", "functions (79)": r"\b(min|max|clamp)\(",
    "is and where (88)": r":(is|where|has)\(", "focus-visible (86)": r":focus-visible", "aspect-ratio (88)": r"\baspect-ratio\b",
    "dvh (108)": r"\d[ds]v[hw]\b", "nesting (112)": r"&", "layers (99)": r"@layer", "colours (111)": r"\b(oklch|lab|color-mix)\(",
    "short forms (59)": r"\bplace-(content|items)\b", "logical sides (69)": r"-(inline|block)(-start|-end)?\s*:",
}
MARKUP = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(\s*\"|\.style\b|javascript:"
NEW = ["a?.b", "a ?? b", "try {} catch {}", "x.flat()", "f = {...a}", "p.finally(f)", "new AbortController()"]


def bare(text: str) -> str:
    """Without comments and without what stands in quotes."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//[^\n]*", "", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_keeps_to_what_chromium_60_knows(path: Path) -> None:
    found = {what for what, pattern in TOO_NEW.items() if re.search(pattern, bare(path.read_text()), re.MULTILINE)}
    assert found == set()


def test_the_style_keeps_to_what_chromium_60_knows() -> None:
    text = bare((FOLDER / "page.css").read_text())
    assert {what for what, pattern in TOO_NEW_STYLE.items() if re.search(pattern, text)} == set()


@pytest.mark.parametrize("line", NEW)
def test_what_is_too_new_would_be_found(line: str) -> None:
    assert any(re.search(pattern, bare(line), re.MULTILINE) for pattern in TOO_NEW.values())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_text_can_become_markup_or_script(path: Path) -> None:
    assert re.search(MARKUP, path.read_text()) is None


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.words: set[str] = set()
        self.wrong: list[str] = []
        self.parts: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.wrong += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.wrong.append(tag)
        for name in ("src", "href"):
            if (value := given.get(name)) and not value.startswith("#"):
                self.parts.add(value)
        self.ids.add(given.get("id") or "")
        self.words.add(given.get("data-say") or "")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_has_nothing_inline_and_names_only_parts_that_are_served(path: Path) -> None:
    page = _Page(path.read_text())
    assert page.wrong == []
    assert page.parts <= {f"/pages/{name}" for name in PARTS}


def texts() -> dict[str, dict[str, str]]:
    """The pages' own words by language."""
    zh, en = (FOLDER / "texts.js").read_text().split("\n  en: {")
    joined = [re.sub(r'"\s*\+\s*"', "", half) for half in (zh, en)]
    return dict(zip(("zh", "en"), (dict(re.findall(r'(\w+): "((?:\\.|[^"\\])*)"', half)) for half in joined), strict=True))


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    said = texts()
    assert said["zh"].keys() == said["en"].keys()
    for key, zh in said["zh"].items():
        assert sorted(re.findall(r"{\w+}", zh)) == sorted(re.findall(r"{\w+}", said["en"][key])), key
        assert zh
        assert said["en"][key]


def test_every_word_that_is_asked_for_exists_and_none_is_idle() -> None:
    said, scripts = texts()["zh"].keys(), "".join(path.read_text() for path in SCRIPTS if path.name != "texts.js")
    pages = set().union(*(_Page(path.read_text()).words for path in PAGES)) - {""}
    asked = set(re.findall(r'Speech\.say\("(\w+)"', scripts))
    assert asked | pages <= said
    assert set(get_args(Press)) <= said, "the names of what may be pressed"
    built = set(get_args(Press)) | {f"{kind}_{part}" for kind in ("lost", "no_link") for part in ("short", "long")}
    named = set(re.findall(r'"(\w+)"', scripts)) | built
    assert {key for key in said if key not in asked | pages | named and not key.startswith("p_")} == set()
    known = {f"p_{code.replace('-', '_')}" for code in problem_codes()} | {"p_offline", "p_unknown"}
    assert {key for key in said if key.startswith("p_")} <= known


def test_every_part_that_is_looked_up_is_there() -> None:
    for script, pages in (("cashier.js", ["cashier.html"]), ("technician.js", ["technician.html"])):
        ids = set().union(*(_Page((FOLDER / page).read_text()).ids for page in pages))
        looked_up = set(re.findall(r'(?:byId|put)\("([\w-]+)"', (FOLDER / script).read_text()))
        assert {name for name in looked_up if not name.startswith(("press-", "field-"))} <= ids


def test_what_is_served_is_what_lies_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*PARTS, "cashier.html", "technician.html"}
    assert {path.suffix for path in FOLDER.iterdir()} <= set(TYPES)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 64 * 1024


@housed()
async def test_they_are_served_with_their_types(house: OpenHouse) -> None:
    for path, kind in (("/", "text/html"), ("/cashier", "text/html"), ("/pages/page.css", "text/css"),
                       ("/pages/link.js", "text/javascript"), ("/pages/icon.svg", "image/svg+xml")):
        async with house.app.get(path) as response:
            assert (response.status, response.content_type, response.charset) == (200, kind, "utf-8")


def contrast(one: str, other: str) -> float:
    """Between two colours as #rrggbb; WCAG 2.1, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_text_stands_out_from_its_ground() -> None:
    style = (FOLDER / "page.css").read_text()
    root = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style.partition("}")[0]))
    pairs = [(root[text], root[ground]) for text in ("ink", "soft") for ground in ("paper", "ground")]
    for rule in re.findall(r"\{([^}]*--tone: [^}]*)\}", style.partition("}")[2]):
        own = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", rule))
        pairs.append((own.get("on", "#ffffff"), own["tone"]))
    for rule in re.findall(r"\{([^}]*)\}", style):
        ground, text = re.search(r"background: (#[0-9a-f]{3,6})\b", rule), re.search(r"(?<![\w-])color: (#[0-9a-f]{3,6})\b", rule)
        if ground and text:
            pairs.append(tuple(colour if len(colour) == 7 else "#" + "".join(2 * each for each in colour[1:])  # type: ignore[arg-type]
                               for colour in (text[1], ground[1])))
    assert len(pairs) > 15
    assert {pair: round(contrast(*pair), 1) for pair in pairs if contrast(*pair) < 7} == {}
