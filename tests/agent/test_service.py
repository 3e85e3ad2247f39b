"""`reversald run`: two ways to read its options that must say the same, and how it ends when it cannot begin."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import exits, service
from agent.cli.run import run

ROOT = Path(__file__).parents[2]
WORDS = ("--config", "--log-level", "debug", "error", "loud", "a.toml", "--config=a.toml", "-", "--", "", "--help", "run", "--x")


def read_by_click(words: list[str]) -> service.Options | None:
    """The options, or None where click would stop with help or an error."""
    try:
        given_ = run.make_context("run", list(words)).params
    except (click.UsageError, click.exceptions.Exit):
        return None
    return service.Options(given_["file"], given_["log_level"])


@given(st.lists(st.sampled_from(WORDS), max_size=5))
def test_what_is_read_without_click_is_what_click_reads(words: list[str]) -> None:
    options = service.written_out(words)
    assert options is None or options == read_by_click(words)


@pytest.mark.parametrize("words", [
    "", "--config a.toml", "--log-level debug", "--config a.toml --log-level error", "--log-level info --config /etc/a.toml",
])
def test_options_that_are_written_out_need_no_click(words: str) -> None:
    assert service.written_out(words.split()) is not None


def started(*words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`reversald run WORDS` in a process of its own; `before` is done to the program first."""
    program = f"import sys; sys.argv = ['reversald', 'run', *{list(words)}]\nfrom agent.__main__ import main\n{before}\nmain()"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_configuration_that_is_not_there_is_one_line_however_it_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    written_out, joined = started("--config", str(missing)), started(f"--config={missing}")
    assert (written_out.returncode, written_out.stderr) == (joined.returncode, joined.stderr)
    assert written_out.returncode == exits.CONFIGURATION
    assert written_out.stderr.startswith(f"{missing}: ")
    assert written_out.stderr.count("\n") == 1


def test_a_defect_ends_with_its_own_code_and_one_word_in_both_languages() -> None:
    ended = started(before="from agent import service; service.load = lambda file: file.no_such_thing")
    assert ended.returncode == exits.UNAVAILABLE
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("reversald: 程序缺陷(AttributeError)")
    assert "a defect of the program (AttributeError)" in last


def test_an_interruption_before_the_daemon_is_up_shows_no_trace() -> None:
    interrupted = "from agent import service; service.load = lambda file: exec('raise KeyboardInterrupt')"
    ended = started(before=interrupted)
    assert (ended.returncode, ended.stderr) == (exits.TRY_LATER, "")
