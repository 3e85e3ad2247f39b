"""`check-config` as a technician meets it: the words, the JSON, the exit code."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.check import command

RIGHT = '[acquirer]\nhost = "127.0.0.1"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A right configuration with its MAC key."""
    key = tmp_path / "mac.key"
    key.write_text("11" * 16)
    key.chmod(0o600)
    path = tmp_path / "reversald.toml"
    path.write_text(RIGHT)
    return path


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    return result.exit_code, result.output


def test_a_right_file_exits_0_and_says_so_in_its_own_language(file):
    assert run(file) == (0, "配置正确\n")
    file.write_text(RIGHT + '[terminal]\nlang = "en"\n')
    assert run(file) == (0, "the configuration is right\n")
    assert run(file, "--lang", "zh") == (0, "配置正确\n")


def test_warnings_are_listed_and_do_no_harm_to_the_exit_code(file):
    file.write_text(RIGHT + "[recovery]\nspacing_ms = 0\n")
    code, output = run(file, "--lang", "en")
    assert code == 0
    assert f"warning: {file}: recovery.spacing_ms: 0 is below the field's range (≥ 60 s)\n" in output


def test_each_mistake_is_named_with_file_key_and_reason_and_the_exit_code_is_78(file):
    file.write_text(RIGHT + '[terminal]\nfleet = "far too long"\n[printer]\ncolumn = 32\n')
    code, output = run(file, "--lang", "en")
    assert code == 78
    first, second, last = output.splitlines()
    assert first.startswith(f"{file}: terminal.fleet: must be 1 to 8 ")
    assert second == f"{file}: printer.column: is not a known key; did you mean columns?"
    assert last == "2 mistakes"
    code, output = run(file, "--lang", "zh")
    assert code == 78
    assert f"{file}: printer.column: 不是已知的键，是否为 columns？" in output


def test_mistakes_in_the_merchants_own_texts_are_named_with_their_file(file):
    own = file.parent / "own.toml"
    own.write_text('[P3]\nzh_long = "款已收到,可交货。"\n[P4b]\nhold_goods = false\n')
    file.write_text(RIGHT + '[terminal]\ntexts = "own.toml"\n')
    code, output = run(file, "--lang", "en")
    assert code == 78
    assert output.splitlines() == [
        f"{own}: P3.zh_long: lets the goods go, which this row does not",
        f"{own}: P4b.hold_goods: is decided by the program and cannot be changed",
        "2 mistakes",
    ]
    assert run(file, "--lang", "zh")[1].startswith(f"{own}: P3.zh_long: 含放行货物或顾客的说法，而本条不放行\n")


def test_a_key_file_that_others_may_read_is_a_mistake(file):
    (file.parent / "mac.key").chmod(0o644)
    code, output = run(file, "--lang", "en")
    assert code == 78
    assert f"{file.parent}/mac.key: mac.key_file: mode 0644 lets others read it; run: chmod 600 " in output
    assert output.endswith("1 mistake\n")


def test_json_is_one_object_with_problems_and_warnings(file):
    file.write_text(RIGHT + "[recovery]\nspacing_ms = 0\n")
    code, output = run(file, "--json", "--lang", "en")
    answer = json.loads(output)
    assert (code, answer["ok"], answer["problems"]) == (0, True, [])
    assert [warning["key"] for warning in answer["warnings"]] == ["recovery.spacing_ms"]
    code, output = run(file.parent / "none.toml", "--json", "--lang", "en")
    assert code == 78
    assert json.loads(output)["problems"] == [
        {"file": str(file.parent / "none.toml"), "key": "", "reason": "the file is missing"}
    ]


def test_without_a_readable_file_the_environment_chooses_the_language(file, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    assert run(file.parent / "none.toml")[1].endswith("the file is missing\n1 mistake\n")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "文件不存在" in run(file.parent / "none.toml")[1]
