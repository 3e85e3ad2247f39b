"""Receipts and copies over the API: the original once, every other one marked, and what the cashier is told meanwhile."""

import pytest

from agent.core import event as e
from tests.support.house import RECEIPT, OpenHouse, housed


@housed()
async def test_a_receipt_may_come_with_the_result(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    (job,) = house.prints()
    assert (job.transaction, job.marked) == (key, False)
    detail = await house.get(f"/v1/transactions/{key}")
    assert detail["jobs"] == [{"id": job.job, "what": "receipt", "state": "INTENT", "marked": False}]


@housed()
async def test_a_receipt_may_come_in_a_call_of_its_own_and_the_printer_is_in_the_answer(house: OpenHouse) -> None:
    key = await house.approved()
    given = await house.post(f"/v1/transactions/{key}/receipt", RECEIPT)
    assert given.status == 202
    (job,) = given.body["jobs"]
    assert given.body | {"id": key, "printer": "unknown", "paper": "unknown"} == given.body
    assert [print_.job for print_ in house.prints()] == [job]


@housed()
async def test_of_two_copies_the_first_is_the_original(house: OpenHouse) -> None:
    key = await house.approved()
    given = await house.post(f"/v1/transactions/{key}/receipt", RECEIPT | {"copies": 2})
    first, second = given.body["jobs"]
    await house.job_ends(first, "CONFIRMED")
    await house.job_ends(second, "CONFIRMED")
    assert [(job.job, job.marked) for job in house.prints()] == [(first, False), (second, True)]


@housed()
async def test_a_second_receipt_is_a_marked_copy(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    await house.job_ends(house.prints()[0].job, "CONFIRMED")
    await house.post(f"/v1/transactions/{key}/receipt", RECEIPT)
    copy = house.prints()[-1]
    assert copy.marked
    assert copy.document.lines[0].text == copy.document.lines[-1].text == "重打印凭证/DUPLICATED"


@housed()
async def test_while_the_original_waits_for_paper_a_reprint_is_that_same_job(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    (original,) = house.prints()
    await house.job_ends(original.job, "UNPRINTED", fault="paper_out", paper="out")
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "P1"
    again = await house.post(f"/v1/transactions/{key}/reprint")
    assert (again.status, again.body["jobs"]) == (202, [original.job])
    assert (again.body["printer"], again.body["paper"]) == ("paper_out", "out")
    await house.do(e.PrinterSeen(fault="none", paper="ok"))
    assert [job.job for job in house.prints()] == [original.job, original.job], "it goes by itself once paper is in"
    await house.job_ends(original.job, "CONFIRMED")
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "N3"


@pytest.mark.parametrize("level", ["CONFIRMED", "SENT_UNCONFIRMED", "FENCED", "PARTIAL", "UNKNOWN"])
@housed()
async def test_once_a_byte_has_left_only_a_marked_copy_is_printed(house: OpenHouse, level: str) -> None:
    key = await house.approved(receipt=RECEIPT)
    (original,) = house.prints()
    await house.job_ends(original.job, level)
    again = await house.post(f"/v1/transactions/{key}/reprint")
    (copy,) = again.body["jobs"]
    assert copy != original.job
    assert [(job.job, job.marked) for job in house.prints()] == [(original.job, False), (copy, True)]


@housed()
async def test_a_restart_with_a_job_at_the_printer_prints_nothing_by_itself(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    await house.restart()
    assert house.prints() == []
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "P2"
    await house.post(f"/v1/transactions/{key}/reprint")
    assert [job.marked for job in house.prints()] == [True]


@housed()
async def test_only_an_approved_transaction_has_a_receipt(house: OpenHouse) -> None:
    key = await house.sale()
    for call, code in (("receipt", "not-approved"), ("reprint", "no-receipt")):
        refused = await house.post(f"/v1/transactions/{key}/{call}", RECEIPT if call == "receipt" else None)
        assert (refused.status, refused.code) == (409, code)
    assert house.prints() == []


@housed(has_printer=False)
async def test_a_terminal_without_a_printer_says_so(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    for call in (f"/v1/transactions/{key}/receipt", f"/v1/transactions/{key}/reprint", "/v1/print/test"):
        refused = await house.post(call, RECEIPT if call.endswith("receipt") else None)
        assert (refused.status, refused.code) == (409, "no-printer")
    assert (await house.get("/v1/status"))["printer"] == "disabled"


@housed()
async def test_a_test_page_belongs_to_no_transaction(house: OpenHouse) -> None:
    given = await house.post("/v1/print/test")
    assert given.status == 202
    assert "id" not in given.body
    assert [job.transaction for job in house.prints()] == [None]


@housed()
async def test_a_guarantee_note_is_two_copies_for_signatures_and_only_for_a_doubt(house: OpenHouse) -> None:
    key = await house.doubt()
    given = await house.post(f"/v1/transactions/{key}/guarantee", {"contact": "138 0013 8000"})
    assert (given.status, len(given.body["jobs"])) == (202, 2)
    await house.job_ends(given.body["jobs"][0], "CONFIRMED")
    texts = ["\n".join(f"{line.text}{line.right or ''}" for line in job.document.lines) for job in house.prints()]
    assert ["顾客联" in text for text in texts] == [True, False]
    assert all("138 0013 8000" in text and "622202*********0128" in text for text in texts)
    await house.host_ends(key)
    paid = await house.approved("000124")
    refused = await house.post(f"/v1/transactions/{paid}/guarantee")
    assert (refused.status, refused.code) == (409, "nothing-in-doubt")


@housed()
async def test_p24_a_blank_receipt_is_reported_then_copied(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    await house.job_ends(house.prints()[0].job, "CONFIRMED")
    await house.post(f"/v1/transactions/{key}/reprint", {"blank": True})
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "P24"
    assert len(house.prints()) == 1
    await house.post(f"/v1/transactions/{key}/reprint")
    assert [job.marked for job in house.prints()] == [False, True]
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "N3"


TOO_LONG = [
    {"lines": [{"text": "行" * 200}] * 24},
    {"lines": [{"text": "x" * 200, "size": 2}] * 23},
    {"lines": [{"text": "\n" * 199}] * 2},
    {"lines": [{"text": "a"}], "qr": "行" * 101},
]


@pytest.mark.parametrize("receipt", TOO_LONG)
@housed()
async def test_what_no_printer_could_take_is_refused_at_the_door(house: OpenHouse, receipt: dict[str, object]) -> None:
    key = await house.approved()
    before = house.head()
    refused = await house.post(f"/v1/transactions/{key}/receipt", receipt)
    assert (refused.status, refused.code) == (400, "receipt-too-long")
    assert house.head() == before


@housed()
async def test_an_unprintable_receipt_does_not_hide_the_result_it_came_with(house: OpenHouse) -> None:
    key = await house.sale()
    refused = await house.result(key, "approved", response_code="00", receipt=TOO_LONG[0])
    assert refused.code == "receipt-too-long"
    assert house.on_disk(key) == "sent", "nothing of it was taken: the app says it again without"
    assert (await house.result(key, "approved", response_code="00")).body["state"] == "approved"
