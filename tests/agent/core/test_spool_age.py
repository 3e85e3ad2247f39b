"""What waits too long, paper that came out blank, the guarantee note, and the counters of a printer's wear."""

import pytest

from agent.core import event as e
from agent.core.change import Rejected
from tests.agent.core.test_receipt import sold
from tests.agent.core.world import World

DAY_MS = 86_400_000


def waiting() -> World:
    """A sale whose receipt could not be printed."""
    world = sold()
    world.finish_job("r", "UNPRINTED", fault="paper_out", paper="out")
    return world


def test_a_receipt_that_waited_a_day_does_not_come_out_unasked() -> None:
    world = waiting()
    world.go_to(DAY_MS)
    assert world.state.jobs["r"].state == "EXPIRED"
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    assert len(world.printed()) == 1
    assert world.advice().code == "P2"


def test_a_receipt_that_never_left_is_printed_as_the_original_when_a_person_asks_for_it_at_last() -> None:
    world = waiting()
    world.go_to(DAY_MS)
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    world.do(e.ReprintAsked(transaction="a", job="again"))
    assert [(job.job, job.marked) for job in world.printed()][-1] == ("again", False)
    world.finish_job("again", "CONFIRMED")
    world.do(e.ReprintAsked(transaction="a", job="copy"))
    assert [(job.job, job.marked) for job in world.printed()][-1] == ("copy", True)


def test_a_power_cut_gives_a_waiting_receipt_its_day_again() -> None:
    world = waiting()
    world.go_to(DAY_MS - 1)
    world.boot(new=True)
    world.go_to(DAY_MS - 1)
    assert world.state.jobs["r"].state in {"UNPRINTED", "INTENT"}


def test_blank_paper_is_noted_first_and_the_copy_comes_when_the_roll_was_turned() -> None:
    world = sold()
    world.finish_job("r", "CONFIRMED")
    world.do(e.ReprintAsked(transaction="a", job="x", blank=True))
    assert world.advice().code == "P24"
    assert len(world.printed()) == 1, "nothing is printed on the wrong side of the paper"
    world.do(e.ReprintAsked(transaction="a", job="y"))
    assert [(job.job, job.marked) for job in world.printed()][-1] == ("y", True)
    world.finish_job("y", "CONFIRMED")
    assert world.advice().code == "N3"


def test_the_guarantee_note_is_the_merchants_word_in_two_copies() -> None:
    world = World()
    world.open()
    world.result("no_answer")
    world.do(e.GuaranteeAsked(transaction="a", jobs=("g1", "g2"), contact="13800000000"))
    copies = [world.state.jobs[key].document for key in ("g1", "g2")]
    texts = ["\n".join(f"{line.text}{line.right or ''}" for line in copy.lines) for copy in copies]
    assert ["顾客联" in texts[0], "商户联" in texts[1]] == [True, True]
    for text in texts:
        assert "商户承诺于____个工作日内原路退款" in text
        assert "不影响持卡人向发卡行查询及申诉的权利" in text
        assert "非交易凭证" in text
        assert "13800000000" in text


def test_there_is_nothing_to_guarantee_for_an_approved_sale() -> None:
    with pytest.raises(Rejected, match="belongs to one in doubt"):
        sold().do(e.GuaranteeAsked(transaction="a", jobs=("g",)))


def test_the_printer_counts_what_left_and_what_failed() -> None:
    world = waiting()
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    world.finish_job("r", "CONFIRMED")
    printer = world.state.printer
    assert (printer.printed, printer.failures) == (1, 1)
    assert printer.printed_lines == len(world.state.jobs["r"].document.lines)
