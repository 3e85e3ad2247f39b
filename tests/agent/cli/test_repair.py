"""`print repair`: what goes with a terminal to the workshop, with the printer broken and the daemon dead."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import exits
from agent.core import event as e
from agent.core.receipt import paper_mm
from tests.support.story import Story, everyday
from tests.support.technician import say


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A sale in doubt, and then a printer that broke for good."""
    made = everyday(tmp_path)
    made.do(e.PrinterSeen(fault="unrecoverable", paper="unknown"))
    yield made
    made.close()


def test_the_note_says_which_terminal_what_its_printer_did_and_what_is_pending(story):
    printer = story.state.printer
    said = say(story.config, "print", "repair", clock=story.clock)
    assert said.code == exits.DONE, said.err
    lines = dict(line.strip().split(maxsplit=1) for line in said.out.splitlines()[1:-1] if line[2] != " ")
    assert lines["序列号"] == "T0000001"
    assert lines["打印机"].startswith("打印机故障,需维修")
    assert lines["最近故障"].endswith("  打印机故障,需维修")
    assert lines["已打印"].startswith(f"{printer.printed} 单,{printer.printed_lines} 行,约 ")
    assert lines["待冲正"] == "1"
    assert "流水号" in said.out
    assert said.out.splitlines()[-1].startswith("本机还有未了结的事,处理完再送修")


def test_in_english_and_for_programs_it_says_the_same(story):
    said = say(story.config, "print", "repair", "--lang", "en", clock=story.clock)
    assert "serial number" in said.out
    assert "settle it before repair" in said.out
    note = say(story.config, "print", "repair", "--json", clock=story.clock).value
    assert (note["sn"], note["printer"], note["may_be_sent"]) == ("T0000001", "unrecoverable", False)
    assert note["last_fault"]["fault"] == "unrecoverable"
    assert note["paper_mm"] == paper_mm(note["printed_lines"])
    assert [row["state"] for row in note["transactions"]] == ["in_doubt"]
    assert note["pending_reversals"] == 1


def test_the_last_fault_stays_on_record_after_the_printer_is_well_again(story):
    story.do(e.PrinterSeen(fault="none", paper="ok"))
    note = say(story.config, "print", "repair", "--json", clock=story.clock).value
    assert (note["printer"], note["last_fault"]["fault"]) == ("none", "unrecoverable")


def test_a_terminal_on_which_nothing_is_pending_may_go(tmp_path):
    story = Story(tmp_path)
    said = say(story.config, "print", "repair", clock=story.clock)
    assert "可以送修" in said.out
    assert "无记录" in said.out
    story.close()


def test_a_line_of_paper_is_three_and_three_quarter_millimetres():
    assert [paper_mm(lines) for lines in (0, 1, 4, 4000)] == [0, 3, 15, 15_000]
