"""The second decision point: the answer to `result` is the decision, whichever was committed first fixes the direction."""

import asyncio
from typing import Any

import pytest

from agent.core import event as e
from tests.support.house import BATCH, CHIP, MERCHANT, PAN, TERMINAL, OpenHouse, housed


@housed()
async def test_the_worked_example_of_the_contract(house: OpenHouse) -> None:
    opened = await house.post(
        "/v1/transactions",
        {
            "rail": "card",
            "kind": "sale",
            "amount_fen": 100,
            "stan": "000123",
            "batch": "000001",
            "terminal_id": "12345678",
            "merchant_id": "898310148160001",
            "sent": True,
            "card": {"pan": "6222021234567890128", "expiry": "3012", "entry_mode": "051", "sequence": "001", "chip": CHIP},
        },
    )
    assert opened.status == 201
    assert (opened.body["state"], opened.body["proceed"]) == ("sent", "go")
    assert opened.body["advice"] | {"code": "N2", "hold_goods": True, "may_pay_again": False} == opened.body["advice"]

    told = await house.result(opened.id, "no_answer")
    assert told.status == 200
    assert told.body["state"] == "in_doubt"
    advice = told.body["advice"]
    assert (advice["code"], advice["hold_goods"], advice["may_pay_again"]) == ("P3", True, False)
    assert (advice["amount_fen"], advice["last4"], advice["stan"]) == (100, "0128", "000123")
    texts = {"zh", "zh_long", "en", "en_long", "reason_zh", "reason_en"}
    assert set(advice) == {"code", "hold_goods", "may_pay_again", "reason", "amount_fen", "last4", "stan"} | texts


@housed()
async def test_created_is_said_only_of_what_another_program_can_read_from_the_disk(house: OpenHouse) -> None:
    opened = await house.open()
    assert house.on_disk(opened.id) == "sent"
    await house.result(opened.id, "no_answer")
    assert house.on_disk(opened.id) == "in_doubt"
    assert house.query("SELECT state FROM reversals WHERE id = ?", opened.id) == [("pending",)]


OUTCOMES: list[tuple[dict[str, Any], str, str, bool, bool]] = [
    ({"outcome": "approved", "response_code": "00", "rrn": "261122000123"}, "approved", "N3", False, False),
    ({"outcome": "approved", "response_code": "10", "approved_fen": 60}, "approved", "N11", True, False),
    ({"outcome": "approved"}, "approved", "N3", False, False),
    ({"outcome": "declined", "response_code": "51"}, "declined", "N4", True, True),
    ({"outcome": "declined"}, "declined", "N4", True, True),
    ({"outcome": "declined", "response_code": "91"}, "declined_uncertain", "P6", True, False),
    ({"outcome": "no_answer"}, "in_doubt", "P3", True, False),
    ({"outcome": "bad_mac"}, "in_doubt", "P3", True, False),
    ({"outcome": "not_sent"}, "in_doubt", "P3", True, False),
    ({"outcome": "approved_not_completed", "auth_code": "A1B2C3", "chip": CHIP}, "approved_not_completed", "P3", True, False),
]


@pytest.mark.parametrize(("said", "state", "code", "hold", "pay"), OUTCOMES)
@housed()
async def test_every_outcome_has_its_state_and_advice_and_may_be_said_again(
    house: OpenHouse, said: dict[str, Any], state: str, code: str, hold: bool, pay: bool
) -> None:
    key = await house.sale()
    first = await house.post(f"/v1/transactions/{key}/result", said)
    advice = first.body["advice"]
    assert (first.status, first.body["state"]) == (200, state)
    assert (advice["code"], advice["hold_goods"], advice["may_pay_again"]) == (code, hold, pay)
    assert house.on_disk(key) == state

    before = house.head()
    again = await house.post(f"/v1/transactions/{key}/result", said)
    assert (again.status, again.body["state"]) == (200, state)
    assert house.head() == before, "saying it again changes nothing"


REASONS = {"no_answer": "98", "not_sent": "98", "bad_mac": "A0", "approved_not_completed": "96"}


@pytest.mark.parametrize(("outcome", "reason"), REASONS.items())
@housed()
async def test_each_doubt_is_reversed_with_its_own_reason(house: OpenHouse, outcome: str, reason: str) -> None:
    key = await house.sale()
    await house.result(key, outcome, auth_code="A1B2C3")
    await house.do(e.HostReachable())
    (send,) = house.sends()
    assert (send.transaction, send.fields["39"], send.fields["11"]) == (key, reason, "000123")


@housed()
async def test_a_second_contradicting_result_is_refused_and_becomes_an_incident(house: OpenHouse) -> None:
    key = await house.approved()
    refused = await house.result(key, "declined", response_code="51")
    assert (refused.status, refused.code) == (409, "contradiction")
    assert refused.body["state"] == "approved", "the first stands"
    assert refused.body["advice"]["code"] == "N3"
    (incident,) = (await house.get("/v1/incidents?open=true"))["items"]
    assert (incident["code"], incident["transaction"], incident["owner"]) == ("contradicting_result", key, "operator")
    again = await house.result(key, "declined", response_code="51")
    assert again.status == 409
    assert len((await house.get("/v1/incidents"))["items"]) == 1


@housed()
async def test_an_approval_after_a_decline_is_a_contradiction(house: OpenHouse) -> None:
    key = await house.sale()
    await house.result(key, "declined", response_code="51")
    refused = await house.result(key, "approved", response_code="00")
    assert (refused.status, refused.code, refused.body["state"]) == (409, "contradiction", "declined")


@housed()
async def test_an_approval_after_the_doubt_is_evidence_and_the_app_shows_failure(house: OpenHouse) -> None:
    key = await house.doubt()
    late = await house.result(key, "approved", response_code="00", approved_fen=100)
    assert (late.status, late.code) == (409, "in-doubt")
    assert (late.body["state"], late.body["advice"]["hold_goods"]) == ("in_doubt", True)
    (kept,) = house.told("evidence.late_response")
    assert (kept.transaction, kept.data) == (key, {"outcome": "approved", "code": "00"})


@pytest.mark.parametrize("outcome", ["approved", "declined", "approved_not_completed"])
@housed()
async def test_after_the_doubt_only_doubt_agrees(house: OpenHouse, outcome: str) -> None:
    key = await house.doubt()
    assert (await house.result(key, outcome)).status == 409
    for agreeing in ("no_answer", "bad_mac", "not_sent"):
        assert (await house.result(key, agreeing)).status == 200


@housed()
async def test_an_approval_after_the_reversal_changes_nothing(house: OpenHouse) -> None:
    key = await house.reversed()
    late = await house.result(key, "approved", response_code="00")
    assert (late.status, late.body["state"], late.body["advice"]["code"]) == (409, "reversed", "P4b")


@housed(no_original_after_ms=0)
async def test_an_approval_after_no_original_reopens_the_reversal(house: OpenHouse) -> None:
    key = await house.doubt()
    await house.do(e.HostReachable())
    await house.host_answers(key, "25")
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "P4c"
    late = await house.result(key, "approved", response_code="00")
    assert (late.status, late.body["advice"]["may_pay_again"]) == (409, False)
    assert late.body["state"] in {"in_doubt", "reversing"}, "which, is a matter of whether the line is still held"
    assert house.inbox.state.reversals[key].pending


@housed()
async def test_an_answer_that_never_comes_is_a_doubt_at_its_deadline(house: OpenHouse) -> None:
    key = await house.sale()
    await house.pass_time(64_999)
    assert house.on_disk(key) == "sent"
    await house.pass_time(1)
    assert house.on_disk(key) == "in_doubt"


@pytest.mark.parametrize(("outcome", "code"), [("approved", "51"), ("declined", "00"), ("declined", "11")])
@housed()
async def test_a_code_that_contradicts_its_outcome_is_the_apps_mistake(house: OpenHouse, outcome: str, code: str) -> None:
    key = await house.sale()
    before = house.head()
    refused = await house.result(key, outcome, response_code=code)
    assert (refused.status, refused.code) == (400, "code-contradicts-outcome")
    assert house.head() == before
    assert house.on_disk(key) == "sent"


@housed()
async def test_a_result_for_nothing_known_is_not_found(house: OpenHouse) -> None:
    missing = await house.result("00000000-0000-4000-8000-000000000000", "approved")
    assert (missing.status, missing.code) == (404, "no-such-transaction")


@housed()
async def test_a_sale_whose_approval_is_reported_without_permission_counts_with_an_incident(house: OpenHouse) -> None:
    opened = await house.open(sent=False)
    assert (opened.status, opened.body["state"], "proceed" in opened.body) == (201, "intent", False)
    told = await house.result(opened.id, "approved", response_code="00")
    assert (told.status, told.body["state"]) == (200, "approved")
    assert [item["code"] for item in (await house.get("/v1/incidents"))["items"]] == ["sent_without_permission"]


@housed()
async def test_an_intent_that_was_not_sent_may_be_paid_again_at_once(house: OpenHouse) -> None:
    opened = await house.open(sent=False)
    told = await house.result(opened.id, "not_sent")
    assert (told.status, told.body["state"], told.body["advice"]["may_pay_again"]) == (200, "not_sent", True)
    again = await house.open()
    assert again.status == 201, "the number was never used on the line"


@housed()
async def test_a_number_that_was_used_is_refused_and_names_who_used_it(house: OpenHouse) -> None:
    key = await house.approved()
    before = house.head()
    refused = await house.open()
    assert (refused.status, refused.code) == (409, "duplicate-stan")
    assert key in refused.body["detail"]
    assert house.head() == before
    assert (await house.open("000123", batch="000002")).status == 201, "another batch, another transaction"


@housed()
async def test_everything_about_one_transaction_can_be_read(house: OpenHouse) -> None:
    key = await house.doubt()
    detail = await house.get(f"/v1/transactions/{key}")
    assert (detail["kind"], detail["amount_fen"], detail["stan"], detail["batch"]) == ("sale", 100, "000123", BATCH)
    assert (detail["terminal_id"], detail["card"]) == (TERMINAL, "622202*********0128")
    assert detail["reversal"] == {"state": "pending", "reason": "98", "sends": 0, "response_code": None}
    assert [item["code"] for item in detail["incidents"]] == ["in_doubt"]
    await house.do(e.HostReachable())
    await house.host_answers(key, "00")
    detail = await house.get(f"/v1/transactions/{key}")
    assert (detail["state"], detail["advice"]["code"], detail["advice"]["may_pay_again"]) == ("reversed", "P4b", True)
    assert detail["reversal"]["state"] == "accepted"
    assert [item["open"] for item in detail["incidents"]] == [False]


FRESH = "950580000000009F1E0831323334353637389F36020012"


@housed()
async def test_the_fresh_chip_data_of_a_sale_that_could_not_be_completed_goes_into_its_reversal(house: OpenHouse) -> None:
    key = await house.sale()
    ref = house.inbox.state.transactions[key].vault or ""
    await house.result(key, "approved_not_completed", chip=FRESH)
    assert house.vault is not None
    kept = house.vault.open(ref, house.store.sealed(ref))
    assert kept["55"].endswith("9F36020012")
    assert (kept["2"], kept["14"]) == (PAN, "3012"), "what was sealed before stays"


@housed()
async def test_chip_data_that_comes_after_the_doubt_leaves_every_resend_as_it_was(house: OpenHouse) -> None:
    key = await house.doubt()
    ref = house.inbox.state.transactions[key].vault or ""
    before = house.store.sealed(ref)
    assert (await house.result(key, "approved_not_completed", chip=FRESH)).status == 409
    assert house.store.sealed(ref) == before


@housed()
async def test_chip_data_of_a_refused_result_is_not_sealed_where_nobody_would_wipe_it(house: OpenHouse) -> None:
    key = await house.sale()
    both = [house.result(key, "declined"), house.result(key, "approved_not_completed", chip=FRESH)]
    assert sorted(answer.status for answer in await asyncio.gather(*both)) == [200, 409]
    doubted = house.on_disk(key) == "approved_not_completed"
    assert house.query("SELECT count(*) FROM vault") == [(1 if doubted else 0,)]


@housed()
async def test_secrets_are_sealed_while_they_are_needed_and_nowhere_readable(house: OpenHouse) -> None:
    await house.doubt()
    assert house.query("SELECT count(*) FROM vault") == [(1,)]
    assert PAN.encode() not in house.bytes_on_disk()


@housed()
async def test_a_receipt_keeps_the_merchants_number_and_loses_the_cards(house: OpenHouse) -> None:
    lines = [{"text": f"商户编号:{MERCHANT}"}, {"text": f"卡号:{PAN}"}, {"text": "日期 2026-03-02 100000 凭证 000123"}]
    await house.approved(receipt={"lines": lines, "qr": f"https://r.example/{PAN}"})
    (job,) = house.prints()
    texts = [line.text for line in job.document.lines]
    assert texts == [f"商户编号:{MERCHANT}", "卡号:622202*********0128", "日期 2026-03-02 100000 凭证 000123"]
    assert job.document.qr == "https://r.example/622202*********0128"
