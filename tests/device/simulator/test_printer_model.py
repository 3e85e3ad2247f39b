"""The simulated printer behaves as real ones are documented to: in its answers, its buffer, its paper and its time."""

import pytest

from device.simulator.bench import OrderError
from device.simulator.paper import LINE_DOTS, as_text
from device.simulator.printer_control import ORDERS, obey, state
from device.simulator.printer_model import BOOT_MS, PrinterModel
from device.simulator.printer_traits import MUTE, Traits

LINES = b"".join(b"line %d\n" % number for number in range(8))


def run(model: PrinterModel, until_ms: int = 1_000_000) -> None:
    while (at_ms := model.next_ms()) is not None and at_ms <= until_ms:
        model.advance(at_ms)


def ask(model: PrinterModel, n: int) -> int:
    model.receive(bytes([0x10, 0x04, n]), model._now_ms)
    return int.from_bytes(model.replies(), "big")


def texts(model: PrinterModel) -> list[str]:
    found = [row for slip in model.slips for row in slip.rows] + model.rows
    return [row.text for row in found if row.kind == "text" and row.torn == 100]


def test_a_ready_printer_answers_each_question_with_its_fixed_bits() -> None:
    model = PrinterModel()
    assert [ask(model, n) for n in (1, 2, 3, 4)] == [0x12, 0x12, 0x12, 0x12]


def test_paper_takes_its_time() -> None:
    model = PrinterModel(Traits(lines_per_s=10))
    model.receive(LINES, 0)
    model.advance(450)
    assert len(texts(model)) == 4
    model.advance(800)
    assert len(texts(model)) == 8


def test_status_is_answered_on_receipt_while_lines_still_wait() -> None:
    model = PrinterModel(Traits(lines_per_s=1))
    model.receive(LINES, 0)
    assert ask(model, 1) == 0x12


def test_a_fence_is_answered_when_the_buffer_is_worked_off_and_not_at_paper_end() -> None:
    model = PrinterModel(Traits(lines_per_s=10))
    model.receive(LINES + b"\x1d\x72\x01", 0)
    model.advance(700)
    assert model.replies() == b""
    model.advance(800)
    assert model.replies() == b"\x00"
    model.paper_ends(900)
    model.receive(b"\x1d\x72\x01", 900)
    run(model)
    assert model.replies() == b""
    model.paper_in(5000)
    assert model.replies() == b"\x00"


def test_a_process_id_comes_back_after_the_job() -> None:
    model = PrinterModel(Traits(lines_per_s=10))
    model.receive(LINES + b"\x1d\x28\x48\x06\x00\x30\x30abcd", 0)
    model.advance(700)
    assert model.replies() == b""
    model.advance(900)
    assert model.replies() == b"7\x22abcd\x00"


def test_a_printer_without_process_ids_passes_the_command_over() -> None:
    model = PrinterModel(Traits(process_id=False))
    model.receive(b"\x1d\x28\x48\x06\x00\x30\x30abcdX\n", 0)
    run(model)
    assert model.replies() == b""
    assert texts(model) == ["X"]


def test_a_mute_printer_prints_and_never_answers() -> None:
    model = PrinterModel(MUTE)
    model.receive(b"\x10\x04\x01\x1d\x61\x0eX\n\x1d\x72\x01\x1d\x28\x48\x06\x00\x30\x30abcd", 0)
    run(model)
    assert model.replies() == b""
    assert texts(model) == ["X"]


def test_the_buffer_takes_four_kilobytes_and_then_waits_for_paper() -> None:
    model = PrinterModel(Traits(lines_per_s=1))
    job = b"x" * 31 + b"\n"
    assert model.receive(job * 200, 0) == 4096
    assert model.room() < 100
    model.advance(10_000)
    assert model.room() >= 9 * 32


def test_paper_that_ends_between_lines_stops_there_and_goes_on_from_the_buffer() -> None:
    model = PrinterModel()
    model.paper_ends(0, 3)
    model.receive(LINES, 0)
    run(model)
    assert texts(model) == ["line 0", "line 1", "line 2"]
    assert (ask(model, 1), ask(model, 2), ask(model, 4)) == (0x1A, 0x32, 0x7E)
    model.paper_in(5000)
    run(model)
    assert texts(model) == [f"line {number}" for number in range(8)]
    assert ask(model, 1) == 0x12


def test_paper_that_ends_in_a_line_tears_it_and_prints_it_again_whole() -> None:
    model = PrinterModel()
    model.paper_ends(0, 2, mid_line=True)
    model.receive(LINES, 0)
    run(model)
    assert model.rows[-1].torn == 33
    assert "~ paper ended 33% down ~" in as_text(model.rows, 32)
    model.paper_in(5000)
    run(model)
    assert texts(model) == [f"line {number}" for number in range(8)]


def test_a_printer_that_waits_for_a_person_goes_on_when_told() -> None:
    model = PrinterModel(Traits(resumes_by_itself=False))
    model.paper_ends(0, 2)
    model.receive(LINES, 0)
    run(model)
    model.paper_in(5000)
    run(model)
    assert len(texts(model)) == 2
    assert ask(model, 1) == 0x3A
    model.receive(b"\x10\x05\x01", 6000)
    run(model)
    assert texts(model) == [f"line {number}" for number in range(8)]


def test_a_person_can_have_the_rest_forgotten() -> None:
    model = PrinterModel()
    model.paper_ends(0, 2)
    model.receive(LINES, 0)
    run(model)
    model.receive(b"\x10\x05\x02", 5000)
    model.paper_in(6000)
    model.receive(b"next\n", 6000)
    run(model)
    assert texts(model) == ["line 0", "line 1", "next"]


def test_a_cover_opened_while_printing_stops_it_and_closing_it_goes_on() -> None:
    model = PrinterModel(Traits(lines_per_s=10))
    model.receive(LINES, 0)
    obey(model, b'{"do": "cover_open"}', 250)
    model.advance(5000)
    assert len(texts(model)) == 2
    assert ask(model, 2) == 0x16
    obey(model, b'{"do": "cover_close"}', 6000)
    run(model)
    assert len(texts(model)) == 8


def test_a_head_that_is_too_hot_stops_and_goes_on_when_it_has_cooled() -> None:
    model = PrinterModel(Traits(lines_per_s=10))
    model.receive(LINES, 0)
    obey(model, b'{"do": "overheat", "for_ms": 3000}', 250)
    assert ask(model, 3) == 0x52
    run(model)
    assert len(texts(model)) == 8
    assert model._now_ms > 3250


def test_a_jammed_cutter_is_found_at_the_cut() -> None:
    model = PrinterModel()
    obey(model, b'{"do": "jam"}', 0)
    model.receive(b"X\n\x1d\x56\x00", 0)
    run(model)
    assert ask(model, 3) == 0x1A
    assert model.slips == []
    obey(model, b'{"do": "unjam"}', 5000)
    run(model)
    assert [slip.cut for slip in model.slips] == [True]


def test_a_printer_switched_off_loses_its_buffer_and_everything_sent_until_it_listens_again() -> None:
    model = PrinterModel(Traits(lines_per_s=10))
    model.receive(LINES, 0)
    model.power(250, on=False)
    assert model.receive(b"lost\n", 300) == 5
    model.power(1000, on=True)
    assert model.receive(b"lost too\n", 1100) == 9
    assert ask(model, 1) == 0
    model.advance(1000 + BOOT_MS)
    model.receive(b"heard\n", 1000 + BOOT_MS)
    run(model)
    assert texts(model) == ["line 0", "line 1", "heard"]


def test_automatic_status_comes_at_once_when_switched_on_and_then_at_changes_only() -> None:
    model = PrinterModel()
    model.receive(b"\x1d\x61\x0e", 0)
    assert model.replies() == b"\x10\x00\x00\x0f"
    model.receive(b"X\n", 0)
    run(model)
    assert model.replies() == b""
    model.paper_ends(5000)
    assert model.replies() == b"\x18\x00\x0f\x0f"
    model.paper_in(6000)
    assert model.replies() == b"\x10\x00\x00\x0f"
    model.receive(b"\x1b\x40", 6500)
    model.paper_ends(7000)
    assert model.replies() == b""  # the reset has switched it off


def test_garbage_is_as_long_as_the_answer_and_the_same_for_a_seed() -> None:
    first, second = PrinterModel(seed=5), PrinterModel(seed=5)
    for model in (first, second):
        model.condition.garbage = True
        model.receive(b"\x10\x04\x01\x10\x04\x04", 0)
    answer = first.replies()
    assert len(answer) == 2
    assert answer == second.replies()
    assert answer != b"\x12\x12"


def test_a_stalled_line_takes_no_byte() -> None:
    model = PrinterModel()
    model.condition.stalled = True
    assert model.receive(b"X", 0) == 0


def test_near_end_is_said_before_the_end() -> None:
    model = PrinterModel(lines=30)
    assert ask(model, 4) == 0x1E
    model.receive(b"\x1d\x72\x01", 0)
    assert model.replies() == b"\x03"


def test_xoff_is_sent_when_the_buffer_fills_and_xon_when_it_empties() -> None:
    model = PrinterModel(Traits(xonxoff=True, lines_per_s=20))
    model.receive(b"x" * 31 + b"\n" + b"y\n" * 1800, 0)
    assert model.replies() == b"\x13"
    run(model)
    assert model.replies() == b"\x11"


def test_a_slip_that_is_not_cut_ends_when_nothing_more_comes() -> None:
    model = PrinterModel()
    model.receive(b"X\n", 0)
    run(model, 1500)
    assert model.slips == []
    run(model)
    assert [slip.cut for slip in model.slips] == [False]
    assert model.next_ms() is None


def test_a_command_in_the_middle_of_a_drawers_pulse_is_counted() -> None:
    model = PrinterModel()
    model.receive(b"\x10\x14\x01\x00\x01", 0)
    model.receive(b"\x1b\x70\x00\x19\xfa", 0)
    assert model.drawer_kicks == 2


def test_paper_is_used_up_by_what_is_printed() -> None:
    model = PrinterModel(lines=100)
    model.receive(b"a\n\x1d\x21\x11b\n\x1b\x64\x02", 0)
    run(model)
    assert 100 * LINE_DOTS - model.condition.paper_dots == 30 + 54 + 60


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_every_order_can_be_given_and_is_answered_with_the_state(order: str) -> None:
    model = PrinterModel()
    assert obey(model, b'{"do": "%s"}' % order.encode(), 10) == state(model)


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b'{"do": 1}', b'{"do": "dance"}', b'{"do": "paper_in", "line": 3}', b"\xff"])
def test_an_order_that_is_none_is_refused_with_the_reason(line: bytes) -> None:
    with pytest.raises(OrderError, match=r"an order is one JSON object|no order 'dance'"):
        obey(PrinterModel(), line, 0)
