"""What the documents name exists, and what people rely on is named: the documents cannot drift from the code."""

import json
import re
import shlex
import sqlite3
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from agent import exits, settings
from agent.cli.commands import cli
from agent.core.lifecycle import JOB, TRANSACTION
from agent.core.playbook import PLAYBOOK
from agent.envelope import PUBLISHED, RULES, Event, decode, is_published
from agent.hooks.routes import ROUTES
from fleet.__main__ import cli as fleet_cli
from fleet.sqlite import SqliteStore
from tests.docs import code
from tests.docs.pages import ROOT, Block, anchors, blocks, links, page, pages, spans, table

PAGES = pages()
PROGRAMS: dict[str, click.Command] = {"reversald": cli, "reversald-fleet": fleet_cli}
SECTIONS = settings.ALWAYS | settings.OPTIONAL
KINDS = {"", "sh", "console", "http", "json", "toml", "text", "ini", "sql", "mermaid"}  # of fenced blocks
FILES = {"py", "md", "toml", "log", "db", "key"}  # what follows the dot in a file's name
INTEGRATOR, OPERATOR, TELEMETRY = page("integrator.md"), page("operator.md"), page("telemetry.md")


def named(path: Path) -> str:
    """For the id of a test."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        if link.startswith(("https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT), f"{link} leaves the tree"
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_every_page_and_picture_is_linked() -> None:
    targets = {(path.parent / link.partition("#")[0]).resolve() for path in PAGES for link in links(path)}
    drawn = {path for path in (ROOT / "docs").rglob("*") if path.suffix in {".md", ".svg"}}
    assert drawn <= targets
    of_the_index = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links(page("index.md"))}
    assert set((ROOT / "docs").glob("*.md")) - {page("index.md")} <= of_the_index


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=named)
def test_a_picture_is_whole_and_says_in_words_what_it_shows(path: Path) -> None:
    root = ET.fromstring(path.read_text())
    words = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert words["title"]
    assert words["desc"]


# ── commands, settings, code blocks ──────────────────────────────────────────────────────────────────────────────────


def commands(path: Path) -> Iterator[tuple[list[str], bool]]:
    """Every command of ours that a page shows, in words, and whether it is shown whole (in a block)."""
    shown = [(line, True) for block in blocks(path) if block.info in {"sh", "console"} for line in block.text.splitlines()]
    shown += [(span, False) for span in spans(path)]
    for line, whole in shown:
        match = re.match(r"\s*(?:\$ )?((?:\./dev|reversald-fleet|reversald)\b(?:[^|&;>#\d]|\d(?!>))*)", line)
        if match:
            words = shlex.split(match[1])
            if words[0] in PROGRAMS or words[0] == "./dev":
                yield words, whole


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_command_shown_is_one(path: Path) -> None:
    for (program, *words), whole in commands(path):
        if program == "./dev":
            assert not words or re.search(rf"^(?:\w+ \| )*{words[0]}\b[ |\w]*\)", (ROOT / "dev").read_text(), re.MULTILINE), words
        else:
            parse(PROGRAMS[program], program, words, whole=whole)


def parse(command: click.Command, name: str, words: list[str], *, whole: bool) -> None:
    """Find the command and its options; a whole one must be accepted as it stands."""
    context = click.Context(command, info_name=name)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"{name} {' '.join(words)}: no command {rest[0]}"
        command, context, rest = found, click.Context(found, info_name=rest[0], parent=context), rest[1:]
    options = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help", "--version"}
    for word in rest:
        assert not word.startswith("-") or word.partition("=")[0] in options, f"{name} {' '.join(words)}: no option {word}"
    if whole and not isinstance(command, click.Group):
        command.make_context(name, rest, parent=context.parent)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_setting_named_exists(path: Path) -> None:
    told = code.facts()
    for span in spans(path):
        match = re.fullmatch(r"(\w+)\.(\w+)(?: = .*)?", span)
        if match and match[1] in SECTIONS and match[2] not in FILES and span not in told:
            assert match[2] in code.keys(SECTIONS[match[1]]), span
        if match := re.fullmatch(r"\[(\w+)\]", span):
            assert match[1] in SECTIONS, span


@pytest.mark.parametrize("block", [block for path in PAGES for block in blocks(path)], ids=lambda block: block.place)
def test_every_block_of_a_known_kind_can_be_read(block: Block) -> None:
    if block.info == "json":
        decoded = json.loads(block.text)
        if "epoch" in decoded:
            assert decode(block.text.encode(), Event)
    elif block.info == "toml" and block.page in {OPERATOR, page("printing.md"), INTEGRATOR}:
        for name, values in tomllib.loads(block.text).items():
            assert values.keys() <= code.keys(SECTIONS[name]), name
    else:
        assert block.info in KINDS, f"unknown kind {block.info}"


def test_every_question_to_the_fleets_database_can_be_asked(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "fleet.db").close()
    with closing(sqlite3.connect(tmp_path / "fleet.db")) as database:
        for block in blocks(OPERATOR):
            if block.info == "sql":
                assert database.execute(block.text).fetchall() == []
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {row[0] for row in table(OPERATOR, "## Serve")} == tables


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_fact_and_module_and_test_named_exists(path: Path) -> None:
    told = code.facts()
    families = {type_.partition(".")[0] for type_ in told}
    for span in spans(path):
        family, dot, rest = span.partition(".")
        setting = family in SECTIONS and rest.partition(" ")[0] in code.keys(SECTIONS[family])
        if dot and family in families and re.fullmatch(r"[a-z_]+", rest) and not setting and rest not in FILES:
            assert span in told, f"no fact {span}"
        if match := re.fullmatch(r"((?:agent|device|fleet|tests|docs|packaging)/[\w./-]+?)(?:::(\w+))?", span):
            file = ROOT / match[1]
            assert file.exists(), f"{span} is not there"
            assert match[2] is None or f"def {match[2]}(" in file.read_text(), f"{span} is not there"


# ── what people rely on ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_of_problems_is_that_of_the_code() -> None:
    shown = {row[1]: row[0] for row in table(INTEGRATOR, "## Problems")}
    real = code.problem_codes()
    assert shown.keys() == real.keys()
    for name, statuses in real.items():
        assert {shown[name]} == set(map(str, statuses)), name


def test_the_table_of_states_is_that_of_the_code() -> None:
    assert {row[0] for row in table(INTEGRATOR, "## States")} == set(TRANSACTION)
    assert {row[0] for row in table(page("printing.md"), "## Job states")} == set(JOB)


def test_every_call_of_the_local_api_is_shown() -> None:
    text = INTEGRATOR.read_text()
    for route in ROUTES:
        path = route.path.replace("/v1/incidents/{id}", "/v1/incidents/{incident}")
        assert re.search(rf"{route.method} {re.escape(path)}[\s`?]", text), f"{route.method} {route.path}"


def test_every_advice_that_is_named_exists() -> None:
    for path in PAGES:
        for name in re.findall(r"\b([PN]\d{1,2}[a-z]{0,2})\b", " ".join(spans(path))):
            assert name in PLAYBOOK, f"{named(path)}: {name}"


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    real = {str(value) for name, value in vars(exits).items() if name.isupper()}
    assert {row[0] for row in table(INTEGRATOR, "## Exit codes")} == real


def test_the_table_of_incidents_is_that_of_the_code() -> None:
    shown = {row[0]: row for row in table(OPERATOR, "## Incidents")}
    real = code.incidents()
    assert shown.keys() == real.keys()
    for name, opened in real.items():
        for owner, action in opened - {("", "")}:
            assert owner in shown[name][1], (name, owner)
            assert action in shown[name][2], (name, action)


def test_the_table_of_events_is_that_of_the_code() -> None:
    shown = {row[0]: set() if row[1] == "–" else set(row[1].split(", ")) for row in table(TELEMETRY, "### Event types")}
    assert shown == {type_: data for type_, data in code.facts().items() if is_published(type_)}
    text = TELEMETRY.read_text()
    assert all(f"`{family}`" in text for family in PUBLISHED)


def test_the_table_of_channels_is_that_of_the_code() -> None:
    rows = {row[0]: row for row in table(TELEMETRY, "## Topics")}
    assert rows.keys() == {channel.value for channel in RULES}
    for channel, rule in RULES.items():
        _, direction, qos, retained, expiry, _ = rows[channel.value]
        assert direction.startswith(rule.direction)
        assert (qos, retained) == (str(rule.qos), "yes" if rule.retained else "no")
        assert expiry == ("none" if rule.expiry_s is None else f"{rule.expiry_s} s")


def test_every_module_has_its_line_in_the_architecture() -> None:
    listed: list[str] = []
    folder = ""
    for line in page("architecture.md").read_text().partition("## Every module")[2].splitlines():
        if line.startswith("### "):
            folder = line.removeprefix("### ")
        elif match := re.match(r"- `([\w.]+)`: \S", line):
            listed.append(f"{folder}/{match[1]}")
    assert len(listed) == len(set(listed))
    assert set(listed) == code.modules()


def test_no_document_sells() -> None:
    selling = re.compile(r"(?i)\b(seamless|powerful|robust|blazing|effortless|cutting-edge|world-class|revolution|simply)\w*")
    for path in PAGES:
        found = selling.search(path.read_text())
        assert found is None, f"{named(path)}: {found and found[0]}"
