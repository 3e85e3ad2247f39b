"""`reversald simulate display` as a person runs it: a process, its words, its orders, and its end."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent import exits
from agent.cli.commands import cli
from device.display import Screen
from device.display.factory import open_display
from tests.support.orders import give
from tests.support.process import Process

COMMAND = ("simulate", "display", "--lang", "en")


def test_it_says_what_is_read_takes_orders_and_leaves_nothing_behind(tmp_path: Path) -> None:
    link, control = tmp_path / "pole", tmp_path / "control"
    with Process(
        "-m", "agent", "simulate", "display", "--json", "--commands", "escpos", "--link", str(link), "--control", str(control)
    ) as process:
        process.wait_for('"ready"')
        assert json.loads(process.out[0]) == {
            "event": "ready", "port": str(link.readlink()), "link": str(link), "control": str(control),
        }
        display = open_display("escpos", str(link), 9600, "gbk", 4)
        display.open()
        display.show(Screen("冲正成功,请重新刷卡", "1.00元         *0128"))
        process.wait_for('"upper":"冲正成功,请重新刷卡","lower":"1.00元         *0128"')
        display.close()
        assert not give(control, "dance")["ok"]
        assert not give(control, "unplug", twice=True)["ok"]
        assert give(control, "unplug")["plugged"] is False
        assert not link.is_symlink()
        first = give(control, "plug")
        assert (first["plugged"], first["upper"]) == (True, "冲正成功,请重新刷卡")
        assert process.terminate() == 0
    assert not link.is_symlink()
    assert not control.exists()


def test_a_person_sees_a_frame_with_two_lines(tmp_path: Path) -> None:
    link = tmp_path / "pole"
    with Process("-m", "agent", "simulate", "display", "--link", str(link), "--lang", "en") as process:
        process.wait_for("display on")
        display = open_display("cd5220", str(link), 9600, "gbk", 4)
        display.open()
        display.show(Screen("处理中,请稍候", "2.50元"))
        process.wait_for("│2.50元              │")
        process.wait_for("│处理中,请稍候       │")
        display.close()


def test_a_name_that_is_somebodys_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    ran = CliRunner().invoke(cli, [*COMMAND, "--link", str(tmp_path / "mine")])
    assert ran.exit_code == exits.UNAVAILABLE
    assert "move it away" in ran.stderr
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_link_that_cannot_be_made_is_told_with_its_name_and_reason(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, [*COMMAND, "--link", str(tmp_path / "nowhere" / "pole")])
    assert ran.exit_code == exits.UNAVAILABLE
    assert ran.stderr.endswith(f"the link {tmp_path}/nowhere/pole cannot be made: No such file or directory\n")


@pytest.mark.parametrize("words", [["--commands", "lcd"], ["--baud", "fast"]])
def test_a_wrong_option_is_a_mistake_in_the_call(words: list[str]) -> None:
    assert CliRunner().invoke(cli, [*COMMAND, *words]).exit_code == exits.USAGE
