"""A configuration changed from afar: the file stays its owner's, and is changed whole or not at all."""

from pathlib import Path
from typing import Any

import pytest

from agent.config import load
from agent.configedit import KEPT_SUFFIX, RELOADABLE, NotChanged, change, edited
from agent.policies import policy_of
from agent.settings import ALWAYS, OPTIONAL

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "packaging" / "reversald.toml").read_text()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The shipped file, with the key that it names."""
    key = tmp_path / "mac.key"
    key.touch(0o600)
    key.write_text("0123456789ABCDEFFEDCBA9876543210")
    path = tmp_path / "reversald.toml"
    path.write_text(SHIPPED)
    path.chmod(0o640)
    return path


def test_only_the_lines_of_the_changed_keys_are_written_anew(file: Path) -> None:
    config = change(file, {"terminal.lang": "en", "terminal.merchant_name": '店 "A"', "recovery.spacing_ms": 61_000})
    assert (config.terminal.lang, config.terminal.merchant_name, config.recovery.spacing_ms) == ("en", '店 "A"', 61_000)
    before, after = SHIPPED.splitlines(), file.read_text().splitlines()
    changed = [line for line in after if line not in before]
    assert sorted(changed) == ['lang = "en"', 'merchant_name = "店 \\"A\\""', "spacing_ms = 61000"]
    assert file.with_name(file.name + KEPT_SUFFIX).read_text() == SHIPPED
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in file.parent.iterdir()) == ["mac.key", "reversald.toml", "reversald.toml.old"]


def test_the_same_change_again_writes_nothing(file: Path) -> None:
    change(file, {"terminal.lang": "en"})
    kept = file.with_name(file.name + KEPT_SUFFIX)
    kept.unlink()
    assert change(file, {"terminal.lang": "en"}).terminal.lang == "en"
    assert not kept.exists()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"terminal.lang": "fr"}, "bad-value"), ({"recovery.spacing_ms": -1}, "bad-value"),
        ({"recovery.backoff_max_ms": 1}, "bad-value"), ({"recovery.spacing_ms": "soon"}, "bad-value"),
        ({"terminal.merchant_name": "x" * 41}, "bad-value"), ({"terminal.texts": "none-such"}, "bad-value"),
        ({"hook.socket": "/tmp/x"}, "not-reloadable"), ({"mqtt.command_keys_file": "x"}, "not-reloadable"),
        ({"recovery.mode": "payapp"}, "not-reloadable"), ({"lang": "en"}, "not-reloadable"),
        ({"terminal.lang": "en", "terminal.sn": "T2"}, "not-reloadable"), ({"settlement.cutoff": "22:00"}, "not-reloadable"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_not_for_afar_changes_nothing(file: Path, values: dict[str, Any], why: str) -> None:
    with pytest.raises(NotChanged, match=why):
        change(file, values)
    assert file.read_text() == SHIPPED
    assert sorted(path.name for path in file.parent.iterdir()) == ["mac.key", "reversald.toml"]


def test_a_terminal_whose_files_are_in_disorder_is_left_alone_until_somebody_has_looked(file: Path) -> None:
    (file.parent / "mac.key").chmod(0o644)
    with pytest.raises(NotChanged, match="bad-value"):
        change(file, {"terminal.lang": "en"})
    assert file.read_text() == SHIPPED


def test_a_folder_that_cannot_be_written_and_a_file_that_is_not_there_are_told(file: Path) -> None:
    with pytest.raises(NotChanged, match="no-file"):
        change(None, {"terminal.lang": "en"})
    with pytest.raises(NotChanged, match="storage"):
        change(file.with_name("absent.toml"), {"terminal.lang": "en"})


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", '\n[terminal]\nlang = "en"\n'),
        ("[terminal]\n", '[terminal]\nlang = "en"\n'),
        ("[terminal]\nlang = 'zh'   # ours\n", '[terminal]\nlang = "en"   # ours\n'),
        ('[terminal]\n  lang="zh"\n[printer]\nlang_x = 1\n', '[terminal]\nlang = "en"\n[printer]\nlang_x = 1\n'),
        ('[printer]\n[terminal] # who\nsn = "T1"\n', '[printer]\n[terminal] # who\nlang = "en"\nsn = "T1"\n'),
    ],
)  # fmt: skip
def test_every_plain_way_to_write_a_file_can_be_edited(text: str, changed: str) -> None:
    assert edited(text, {"terminal.lang": "en"}) == changed


@pytest.mark.parametrize(
    "text", ["terminal.lang = 'zh'\n", "terminal = {lang = 'zh'}\n", '[terminal]\n"lang" = "zh"\n', "[broken"]
)
def test_another_way_is_left_to_a_person(text: str) -> None:
    with pytest.raises(NotChanged, match="not-editable"):
        edited(text, {"terminal.lang": "en"})


def test_every_key_of_the_list_exists_and_is_taken_over_without_a_restart(file: Path) -> None:
    sections = ALWAYS | OPTIONAL
    for dotted in RELOADABLE:
        section, _, key = dotted.partition(".")
        assert key in sections[section].__struct_fields__, dotted
    file.write_text(SHIPPED + "\n[settlement]\n")
    before = policy_of(load(file))
    values: dict[str, str | int | bool] = {
        "terminal.merchant_name": "新店", "terminal.hotline": "1", "terminal.lang": "en", "recovery.answer_timeout_ms": 66_000,
        "recovery.reply_timeout_ms": 31_000, "recovery.sends_per_opportunity": 2, "recovery.spacing_ms": 61_000,
        "recovery.backoff_min_ms": 61_000, "recovery.backoff_max_ms": 1_900_000, "recovery.no_original_after_ms": 61_000,
        "settlement.cutoff": "22:00", "settlement.grace_days": 3,
    }
    assert {*values, "terminal.texts"} == RELOADABLE
    for key, value in values.items():
        after = policy_of(change(file, {key: value}))
        assert after != before, f"{key} changes nothing of what the agent judges by"
        before = after
    assert change(file, {"terminal.texts": "restaurant"}).wording
