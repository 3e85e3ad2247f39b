"""`docs/technician.md` cannot drift: every command and option stands in it, and its samples are what the program says."""

import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import click
import pytest

from agent.cli.commands import COMMANDS, cli
from agent.words import WORDS
from tests.support.story import Story, everyday, recovered
from tests.support.technician import ROOT, say

PAGE = (ROOT / "docs" / "technician.md").read_text(encoding="utf-8")
HALVES = dict(zip(("zh", "en"), PAGE.split("\n# ")[1:], strict=True))
COMMON = {"--config", "--lang", "--json"}
ELSEWHERE = {"simulate"}  # peers for the workshop: their options stand in their own help
FOLDER = "/var/lib/reversald"  # what stands in the page for the folder of a test


def commands(group: click.Group, path: str = "reversald") -> Iterator[tuple[str, click.Command]]:
    """(path, command) of every command that can be called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group) and name not in ELSEWHERE:
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ALL = dict(commands(cli))


def section(lang: str, path: str) -> str:
    """What the page says of one command, in one language."""
    found = re.search(rf"^### `{re.escape(path)}[^`\n]*`.*?\n(.*?)(?=^##|\Z)", HALVES[lang], re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/technician.md ({lang}) has no section for `{path}`"
    return found[0]


@pytest.mark.parametrize("path", sorted(ALL))
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_command_and_each_of_its_options_is_documented_in_both_languages(lang, path):
    text = section(lang, path)
    if path.removeprefix("reversald ") in ELSEWHERE:
        return
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            for name in set(parameter.opts) - COMMON:
                assert f"`{name}" in text, f"{path} {name}"
        else:
            assert parameter.human_readable_name in text.splitlines()[0], path


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_names_no_command_or_option_that_is_not_there(lang):
    known = {"--help", "--version"}.union(*(parameter.opts for command in ALL.values() for parameter in command.params))
    for path in re.findall(r"^### `(reversald [a-z -]+?)(?: [A-Z\[].*?)?`", HALVES[lang], re.MULTILINE):
        assert path in ALL
    text = re.sub(r"```.*?```", "", HALVES[lang], flags=re.DOTALL)
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= known


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_common_options_exit_codes_and_every_next_action_are_explained(lang):
    for name in (*COMMON, "--help", "--version", "`0`", "`64`", "`69`", "`74`", "`75`", "`78`"):
        assert name in HALVES[lang]
    for zh, en in WORDS["next_action"].values():
        assert (zh if lang == "zh" else en) in HALVES[lang]


def test_every_command_has_examples_in_its_help():
    for path, command in ALL.items():
        if path.removeprefix("reversald ") not in {*ELSEWHERE, "check-config"}:  # the last one has one obvious use
            said = say(None, *path.split()[1:], "--help")
            assert said.code == 0
            assert "Example" in said.out, path
            assert command.help
    assert set(COMMANDS) >= {path.split()[1] for path in ALL}


# ── the samples ──────────────────────────────────────────────────────────────────────────────────────────────────────


def doubt(folder: Path) -> Story:
    """Twelve minutes after a sale went into doubt."""
    story = everyday(folder)
    story.pass_(12 * 60_000)
    return story


def damaged(folder: Path) -> Story:
    """Somebody raised an amount with a database tool."""
    story = recovered(folder)
    story.store.database.checkpoint("TRUNCATE")
    connection = sqlite3.connect(story.path)
    connection.execute("UPDATE journal SET body = replace(body, '\"amount_fen\":2350', '\"amount_fen\":9350') WHERE seq = 3")
    connection.commit()
    connection.close()
    return story


STORIES: dict[str, Callable[[Path], Story]] = {"doubt": doubt, "after": recovered, "damaged": damaged}
SAMPLE = re.compile(r"<!-- story: (\w+) -->\n```console\n(.*?)```", re.DOTALL)
SAMPLES = SAMPLE.findall(PAGE)


HASH = re.compile(r"\b[0-9a-f]{12,64}\b")  # differs with every change of an event; the words are what matters here


def answers(name: str, sample: str, folder: Path) -> str:
    """The sample as the program says it today, in the folder of this story."""
    story = STORIES[name](folder)
    text = ""
    with chdir(folder):
        for line in (line for line in sample.splitlines() if line.startswith("$ ")):
            said = say(None, *line.removeprefix("$ reversald ").split(), clock=story.clock)
            text += line + "\n" + (said.out + said.err).replace(str(folder), FOLDER)
    story.close()
    return text


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=lambda value: value.split("\n")[0])
def test_each_sample_is_what_the_program_says(name, sample, tmp_path):
    """To write the samples anew: python -m tests.agent.cli.test_technician_page."""
    assert HASH.sub("…", answers(name, sample, tmp_path)) == HASH.sub("…", sample)


def test_there_are_samples_in_both_languages_for_every_reading_command():
    typed = {line.split()[2] for _, sample in SAMPLES for line in sample.splitlines() if line.startswith("$ reversald ")}
    assert typed >= {"status", "incidents", "show", "tail", "export", "verify", "print"}
    assert sum("--lang en" in sample for _, sample in SAMPLES) * 2 == len(SAMPLES)


def rewrite() -> None:
    """Write the samples of the page anew."""

    def fill(found: re.Match[str]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            return f"<!-- story: {found[1]} -->\n```console\n{answers(found[1], found[2], Path(folder))}```"

    (ROOT / "docs" / "technician.md").write_text(SAMPLE.sub(fill, PAGE), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
