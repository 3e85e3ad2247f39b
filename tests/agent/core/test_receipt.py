"""The spool: what goes to the printer by itself, what only a person orders, and what the printer's word changes."""

import pytest

from agent.core import event as e
from agent.core.change import AskReceipt, Rejected, WatchPrinter
from agent.core.receipt import JOBS_WAITING_MAX, MARK
from tests.agent.core.world import DAY, RECEIPT, World


def sold(**policy: object) -> World:
    """An approved sale whose receipt is at the printer as job `r`."""
    world = World(**policy)
    world.open()
    world.result("approved", rrn="123456789012", receipt=RECEIPT, job="r")
    return world


def test_the_receipt_of_an_approval_goes_to_the_printer_at_once_as_the_original() -> None:
    world = sold()
    assert [(job.job, job.marked) for job in world.printed()] == [("r", False)]
    assert world.state.jobs["r"].state == "INTENT"
    world.finish_job("r", "CONFIRMED")
    assert world.state.jobs["r"].state == "CONFIRMED"


def test_one_job_is_at_the_printer_at_a_time_in_order() -> None:
    world = sold()
    for job in ("t1", "t2"):
        world.do(e.TestPrintAsked(job=job))
    assert [job.job for job in world.printed()] == ["r"]
    world.finish_job("r", "SENT_UNCONFIRMED")
    world.finish_job("t1", "SENT_UNCONFIRMED")
    assert [job.job for job in world.printed()] == ["r", "t1", "t2"]


def test_a_job_of_which_no_byte_left_waits_and_goes_by_itself_when_paper_is_back() -> None:
    world = sold()
    world.finish_job("r", "UNPRINTED", fault="paper_out", paper="out")
    assert world.effects[-1] == WatchPrinter(wanted=True)
    assert world.incidents() == {"printer"}
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    assert [job.job for job in world.printed()] == ["r", "r"]
    assert not world.printed()[1].marked, "it is still the original"
    assert world.incidents() == set()
    assert WatchPrinter(wanted=False) in world.effects


def test_a_job_that_failed_without_a_fault_is_not_repeated_in_a_loop() -> None:
    world = sold()
    world.finish_job("r", "UNPRINTED", fault="none")
    assert len(world.printed()) == 1
    assert world.state.printer.fault == "unavailable"


@pytest.mark.parametrize("level", ["PARTIAL", "SENT_UNCONFIRMED", "FENCED", "CONFIRMED", "UNKNOWN"])
def test_once_a_byte_has_left_only_a_person_orders_a_copy_and_it_is_marked(level: str) -> None:
    world = sold()
    world.finish_job("r", level)
    world.do(e.PrinterSeen(fault="paper_out", paper="out"))
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    world.boot(new=True)
    assert len(world.printed()) == 1
    world.do(e.ReprintAsked(transaction="a", job="copy"))
    copy = world.printed()[1]
    assert copy.marked
    assert (copy.document.lines[0].text, copy.document.lines[-1].text) == (MARK, MARK)


def test_a_restart_turns_only_a_job_at_the_printer_into_unknown() -> None:
    world = sold()
    world.do(e.TestPrintAsked(job="t"))
    world.boot()
    assert world.state.jobs["r"].state == "UNKNOWN"
    assert [job.job for job in world.printed()] == ["r", "t"], "what had not been started goes by itself"


def test_a_late_confirmation_is_accepted_and_nothing_else_that_is_late() -> None:
    world = sold()
    world.finish_job("r", "SENT_UNCONFIRMED")
    world.finish_job("r", "UNPRINTED")
    assert world.state.jobs["r"].state == "SENT_UNCONFIRMED"
    world.finish_job("r", "CONFIRMED")
    assert world.state.jobs["r"].state == "CONFIRMED"


def test_a_reprint_before_the_original_left_is_the_original() -> None:
    world = sold()
    world.finish_job("r", "UNPRINTED", fault="cover_open")
    assert world.do(e.ReprintAsked(transaction="a", job="copy")).jobs == ("r",)
    assert set(world.state.jobs) == {"r"}


def wanted() -> World:
    """An approved sale whose receipt the app never handed over, and somebody who wants it."""
    world = World()
    world.open()
    world.result("approved")
    assert world.do(e.ReprintAsked(transaction="a", job="copy")).jobs == ()
    return world


def test_a_receipt_that_we_do_not_hold_is_asked_of_the_payment_app_and_prints_as_the_original() -> None:
    world = wanted()
    assert world.effects[-1] == AskReceipt("a", "000001", "000001")
    fact = world.facts[-1]
    assert (fact.type, fact.transaction, fact.data) == ("receipt.wanted", "a", {"stan": "000001", "batch": "000001"})
    assert world.do(e.ReceiptGiven(transaction="a", jobs=("r",), document=RECEIPT)).jobs == ("r",)
    assert not world.state.jobs["r"].marked


def test_an_app_that_did_not_take_the_wish_is_the_technicians_until_the_receipt_comes() -> None:
    world = wanted()
    world.do(e.ReceiptAskFailed(transaction="a"))
    incident = world.incident("payapp")
    assert (incident.open, incident.owner, incident.next_action) == (True, "technician", "check_payapp")
    world.do(e.ReceiptGiven(transaction="a", jobs=("r",), document=RECEIPT))
    assert not world.incident("payapp").open
    world.do(e.ReceiptAskFailed(transaction="a"))
    assert not world.incident("payapp").open, "the receipt is here: a late failure is no news"


@pytest.mark.parametrize("blank", [False, True])
def test_only_an_approved_transaction_without_blank_paper_has_a_receipt_to_ask_for(blank: bool) -> None:
    world = World()
    world.open()
    if blank:
        world.result("approved")
    with pytest.raises(Rejected) as refused:
        world.do(e.ReprintAsked(transaction="a", job="copy", blank=blank))
    assert refused.value.code == "no-receipt"


def test_a_receipt_given_later_and_its_copies() -> None:
    world = World()
    world.open()
    world.result("approved")
    assert world.do(e.ReceiptGiven(transaction="a", jobs=("one", "two"), document=RECEIPT)).jobs == ("one", "two")
    assert [job.marked for job in world.jobs("receipt")] == [False, True]


def test_a_receipt_for_what_was_not_approved_is_409() -> None:
    world = World()
    world.open()
    with pytest.raises(Rejected) as refused:
        world.do(e.ReceiptGiven(transaction="a", jobs=("one",), document=RECEIPT))
    assert refused.value.code == "not-approved"


def test_own_slips_wait_until_no_sale_runs_and_receipts_go_first() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.do(e.PrinterSeen(fault="paper_out", paper="out"))
    world.reply("00")
    world.open("b", stan="000002")
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    assert world.printed() == [], "a sale is running"
    world.result("approved", "b", receipt=RECEIPT, job="r")
    assert [job.job for job in world.printed()] == ["r"]
    world.finish_job("r", "CONFIRMED")
    assert len(world.printed()) == 2


def test_the_spool_has_a_limit() -> None:
    world = World()
    world.do(e.PrinterSeen(fault="paper_out", paper="out"))
    for number in range(JOBS_WAITING_MAX):
        world.do(e.TestPrintAsked(job=f"t{number}"))
    with pytest.raises(Rejected, match="repair it first"):
        world.do(e.TestPrintAsked(job="one too many"))
    world.open()
    assert world.result("approved", receipt=RECEIPT, job="r").conflict is None, "the sale stands whatever the printer does"
    assert len(world.state.jobs) == JOBS_WAITING_MAX
    assert "spool_full" in world.incidents()


def test_a_terminal_without_a_printer_says_so() -> None:
    world = World(has_printer=False)
    world.open()
    world.result("approved")
    for event in (
        e.TestPrintAsked(job="t"),
        e.ReceiptGiven(transaction="a", jobs=("r",), document=RECEIPT),
        e.ReprintAsked(transaction="a", job="r"),
    ):
        with pytest.raises(Rejected) as refused:
            world.do(event)
        assert refused.value.code == "no-printer"


def test_a_slip_that_fits_no_paper_is_given_up_told_to_a_technician_and_holds_up_nobody() -> None:
    world = sold()
    world.do(e.TestPrintAsked(job="next"))
    world.finish_job("r", "UNPRINTABLE", fault="unknown", paper="unknown", accepted=0)
    assert world.state.jobs["r"].state == "UNPRINTABLE"
    assert not world.state.jobs["r"].open
    assert [job.job for job in world.printed()] == ["r", "next"], "the spool goes on"
    incident = world.incident("unprintable")
    assert (incident.owner, incident.next_action) == ("technician", "check_printer_profile")
    assert (world.advice().code, world.advice().hold_goods) == ("P2", False), "the money was received all the same"
    assert (world.state.printer.printed, world.state.printer.failures) == (0, 1)
    assert world.state.printer.fault == "unknown", "nothing was learned of the printer"
    assert "printer" not in world.incidents()
    world.boot()
    assert world.state.jobs["r"].state == "UNPRINTABLE"


@pytest.mark.parametrize("again", ["handed over", "ordered"])
def test_what_is_printed_in_the_place_of_a_slip_that_fitted_no_paper_is_the_original(again: str) -> None:
    world = sold()
    world.finish_job("r", "UNPRINTABLE", accepted=0)
    if again == "ordered":
        world.do(e.ReprintAsked(transaction="a", job="shorter"))
    else:
        world.do(e.ReceiptGiven(transaction="a", jobs=("shorter",), document=RECEIPT))
    assert not world.printed()[-1].marked
    world.finish_job("shorter", "CONFIRMED")
    assert not world.incident("unprintable").open, "it is on paper now"
    world.do(e.ReprintAsked(transaction="a", job="copy"))
    assert world.printed()[-1].marked


def test_a_receipt_handed_over_after_one_that_grew_too_old_is_the_original() -> None:
    world = World()
    world.open()
    world.do(e.PrinterSeen(fault="paper_out", paper="out"))
    world.result("approved", receipt=RECEIPT, job="r")
    world.go_to(world.now_ms + DAY)
    world.do(e.ReceiptGiven(transaction="a", jobs=("later",), document=RECEIPT))
    assert [job.state for job in world.jobs("receipt")] == ["EXPIRED", "WAITING"]
    assert not world.state.jobs["later"].marked


@pytest.mark.parametrize(
    ("fault", "owner", "action"),
    [
        ("paper_out", "cashier", "look_at_printer"),
        ("unavailable", "cashier", "look_at_printer"),
        ("battery_low", "cashier", "look_at_printer"),
        ("port_held", "technician", "check_printer_port"),
        ("port_denied", "technician", "check_printer_port"),
        ("wrong_device", "technician", "check_printer_port"),
        ("unrecoverable", "technician", "repair_printer"),
    ],
)
def test_a_printers_fault_is_the_case_of_whoever_can_do_something_and_closes_by_itself(
    fault: str, owner: str, action: str
) -> None:
    world = World()
    world.do(e.PrinterSeen(fault="silent"))
    world.do(e.PrinterSeen(fault=fault))
    incident = world.incident("printer", None)
    assert (incident.open, incident.owner, incident.next_action) == (True, owner, action)
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    assert world.incidents() == set()
    assert len(world.state.incidents) == 1, "one fault after the other is one incident"
