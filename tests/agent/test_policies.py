"""What a reload changes at once, and what stays until the next start."""

from pathlib import Path

import pytest

from agent.config import Config, load
from agent.policies import policy_of, reloaded
from tests.agent.test_config import RIGHT, write

APP = '[payapp]\nurl = "http://127.0.0.1:1"\n'


@pytest.fixture
def running(tmp_path: Path) -> Config:
    """What the agent was started with."""
    return load(write(tmp_path, RIGHT))


def test_timers_and_the_classes_of_answers_change_at_once(running: Config, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[answers]\ndone_elsewhere = []\n")
    written = load(write(tmp_path, RIGHT + 'profile = "mine.toml"\n[recovery]\nspacing_ms = 61000\n[terminal]\nlang = "en"\n'))
    policy = reloaded(running, written)
    assert (policy.spacing_ms, policy.answers.done_elsewhere, policy.lang) == (61_000, (), "en")
    assert policy == policy_of(written)


def test_who_reverses_and_on_which_line_stays_until_the_next_start(running: Config, tmp_path: Path) -> None:
    written = load(write(tmp_path, RIGHT + '[recovery]\nmode = "payapp"\nspacing_ms = 61000\n' + APP))
    policy = reloaded(running, written)
    assert (policy.mode, policy.asks_app, policy.spacing_ms) == ("direct", False, 61_000)
    leased = load(write(tmp_path, RIGHT + 'line = "lease"\n' + APP))
    assert not reloaded(running, leased).line_leased


def test_another_acquirers_rules_come_with_its_format_at_the_next_start(running: Config, tmp_path: Path) -> None:
    written = load(write(tmp_path, RIGHT + 'profile = "ascii-1987"\n[recovery]\nspacing_ms = 61000\n'))
    policy, built = reloaded(running, written), policy_of(running)
    assert (policy.messages, policy.reasons, policy.reversal) == (built.messages, built.reasons, built.reversal)
    assert (policy.kinds, policy.spacing_ms) == (built.kinds, 61_000)
