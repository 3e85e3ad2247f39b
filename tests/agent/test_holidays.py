"""The calendar's file: what it says becomes the rules' values, and every mistake is named by file and key."""

from pathlib import Path

import pytest

from agent.config import ConfigError, load
from agent.core.calendar import following, number, settles
from agent.policies import policy_of

FILE = """\
weekdays = ["mon", "tue", "wed", "thu", "fri"]
holidays = ["2026-10-01", 2026-10-02]
extra_days = ["2026-10-10"]
later_kinds = ["completion"]
"""


def configured(folder: Path, calendar: str | None, grace_days: int = 3) -> Path:
    config = folder / "reversald.toml"
    config.write_text(f'[acquirer]\nhost = "h"\n[settlement]\ncalendar = "days.toml"\ngrace_days = {grace_days}\n')
    if calendar is not None:
        (folder / "days.toml").write_text(calendar)
    return config


def test_what_the_file_says_becomes_the_rules_values(tmp_path: Path) -> None:
    policy = policy_of(load(configured(tmp_path, FILE)))
    assert (policy.settles, policy.later_kinds, policy.grace_days) == ((0, 1, 2, 3, 4), ("completion",), 3)
    assert settles(policy, number("2026-10-10"))
    assert not settles(policy, number("2026-10-11"))
    assert following(policy, number("2026-09-30")) == number("2026-10-05")


def test_an_empty_file_means_every_day(tmp_path: Path) -> None:
    assert policy_of(load(configured(tmp_path, ""))).settles == (0, 1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ('weekdays = ["monday"]', "weekdays", "takes mon, tue"), ("weekdays = []", "weekdays", "at least one day"),
        ('holidays = ["2026-02-30"]', "holidays", "takes dates like"), ('holidays = "2026-10-01"', "holidays", "must be a list"),
        ("extra_days = [1]", "extra_days", "takes dates like"), ("later_kinds = [1]", "later_kinds", "takes kinds like"),
        ("closed = []", "closed", "key"), ("= 1", "", "not a TOML file"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, key: str, why: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(configured(tmp_path, text))
    (problem,) = wrong.value.problems
    assert (Path(problem.file).name, problem.key) == ("days.toml", key)
    assert why in problem.reason("en")
    assert problem.reason("zh")


def test_a_calendar_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(configured(tmp_path, None))
    assert wrong.value.problems[0].key == "settlement.calendar"
