"""What people add over the API: evidence, where the goods went, cases closed, reversals ordered; and what the app reports."""

from agent.core import event as e
from tests.support.house import BATCH, PAN, TERMINAL, OpenHouse, housed

SMS = {
    "kind": "debit_sms", "amount_fen": 100, "merchant": "测试便利店", "at": "2026-03-02 10:00",
    "text": "您尾号0128的卡消费1.00元",
}


async def unresolved(house: OpenHouse) -> str:
    """A sale whose first opportunity is used up; the line is gone again."""
    key = await house.doubt()
    await house.do(e.HostReachable())
    await house.pass_time(90_000)
    assert house.on_disk(key) == "unresolved"
    await house.do(e.HostUnreachable())
    return key


@housed()
async def test_p6_a_debit_message_is_kept_and_is_no_payment(house: OpenHouse) -> None:
    key = await house.doubt()
    given = await house.post(f"/v1/transactions/{key}/evidence", SMS)
    assert given.status == 200
    advice = given.body["advice"]
    assert (advice["code"], advice["hold_goods"], advice["may_pay_again"]) == ("P6", True, False)
    assert house.on_disk(key) == "in_doubt"


@housed()
async def test_p7_a_debit_message_against_an_exhausted_reversal_is_compared_tomorrow(house: OpenHouse) -> None:
    key = await unresolved(house)
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "P5"
    given = await house.post(f"/v1/transactions/{key}/evidence", SMS)
    assert (given.body["advice"]["code"], given.body["state"]) == ("P7", "unresolved")
    assert "03-03" in given.body["advice"]["zh_long"]


@housed()
async def test_evidence_is_masked_and_limited(house: OpenHouse) -> None:
    key = await house.doubt()
    call = f"/v1/transactions/{key}/evidence"
    for text in (f"卡号{PAN}", f"{PAN} 1000", "6222 0212 3456 7890 128"):
        assert (await house.post(call, SMS | {"text": text, "order_no": PAN})).status == 200
    kept = house.inbox.state.transactions[key].evidence
    assert [item.text for item in kept] == [
        "卡号622202*********0128", "622202*********0128 1000", "6222 02** **** ***0 128"
    ]
    assert {item.order_no for item in kept} == {"622202*********0128"}
    for _ in range(13):
        assert (await house.post(call, SMS)).status == 200
    full = await house.post(call, SMS)
    assert (full.status, full.code) == (409, "too-much-evidence")


@housed()
async def test_an_order_number_longer_than_any_card_number_is_kept_whole(house: OpenHouse) -> None:
    key = await house.doubt()
    order = "4200001234202411231234567890"
    await house.post(f"/v1/transactions/{key}/evidence", {"kind": "wallet_record", "order_no": order})
    assert house.inbox.state.transactions[key].evidence[0].order_no == order


@housed()
async def test_the_merchant_may_take_the_risk_and_says_where_the_goods_went(house: OpenHouse) -> None:
    key = await house.doubt()
    call = f"/v1/transactions/{key}/disposition"
    other = "6f1c2b52-5404-4128-8123-123456789012"
    told = await house.post(call, {"goods": "released", "replaced_by": other, "contact": "138 0013 8000"})
    assert (told.status, told.body["advice"]["may_pay_again"]) == (200, False)
    told = await house.post(call, {"accepts_risk": True})
    assert told.body["advice"]["may_pay_again"] is True
    said = house.inbox.state.transactions[key].disposition
    assert said is not None
    assert (said.goods, said.replaced_by, said.contact, said.accepts_risk) == ("released", other, "138 0013 8000", True)


@housed()
async def test_an_operator_orders_a_refused_reversal_once_more(house: OpenHouse) -> None:
    key = await house.doubt()
    await house.do(e.HostReachable())
    await house.host_answers(key, "13")
    assert house.on_disk(key) == "unresolved"
    call = f"/v1/transactions/{key}/recover"
    ordered = await house.post(call, {"by": "operator"})
    assert ordered.status == 200
    assert house.sends()[-1].fields["39"] == "98", "only one send so far: spacing comes first"
    await house.pass_time(60_000)
    assert len(house.sends()) == 1, "the line was given back after the refusal"
    await house.do(e.HostReachable())
    assert house.sends()[-1].fields["39"] == "06"
    await house.host_answers(key, "00")
    assert (await house.get(f"/v1/transactions/{key}"))["state"] == "reversed"


@housed()
async def test_what_has_no_open_reversal_cannot_be_ordered(house: OpenHouse) -> None:
    for key in (await house.approved("000001"), await house.reversed("000002")):
        refused = await house.post(f"/v1/transactions/{key}/recover", {"by": "operator"})
        assert (refused.status, refused.code) == (409, "not-reversible")


@housed()
async def test_a_person_closes_a_case_and_its_secrets_go(house: OpenHouse) -> None:
    key = await unresolved(house)
    (item,) = (await house.get("/v1/incidents?open=true"))["items"]
    assert (item["code"], item["transaction"], item["owner"]) == ("in_doubt", key, "operator")
    call = f"/v1/incidents/{item['id']}/resolve"
    closed = await house.post(call, {"as": "refunded", "by": f"王店长 {PAN}", "note": "原路退款"})
    assert (closed.status, closed.body) == (200, {"ok": True})
    found = await house.get(f"/v1/incidents/{item['id']}")
    assert (found["open"], found["resolution"]) == (False, "refunded")
    detail = await house.get(f"/v1/transactions/{key}")
    assert (detail["state"], detail["reversal"]["state"], detail["advice"]["code"]) == ("resolved", "fenced", "N6")
    assert house.query("SELECT count(*) FROM vault") == [(0,)]
    again = await house.post(call, {"as": "collected", "by": "王店长"})
    assert (again.status, again.code) == (409, "already-closed")


@housed()
async def test_a_case_the_agent_is_still_busy_with_cannot_be_closed(house: OpenHouse) -> None:
    await house.doubt()
    (item,) = (await house.get("/v1/incidents"))["items"]
    refused = await house.post(f"/v1/incidents/{item['id']}/resolve", {"as": "no_action", "by": "王"})
    assert (refused.status, refused.code) == (409, "still-reversing")


@housed()
async def test_an_incident_that_does_not_exist_is_not_found(house: OpenHouse) -> None:
    missing = "/v1/incidents/00000000-0000-4000-8000-000000000000"
    assert (await house.call("GET", missing)).code == "no-such-incident"
    assert (await house.post(f"{missing}/resolve", {"as": "no_action", "by": "王"})).code == "no-such-incident"


@housed()
async def test_a_settled_batch_ends_its_reversals_but_not_their_records(house: OpenHouse) -> None:
    key = await house.doubt()
    await house.post("/v1/batch", {"batch": BATCH, "event": "settling"})
    await house.post("/v1/batch", {"batch": BATCH, "event": "settled"})
    detail = await house.get(f"/v1/transactions/{key}")
    assert (detail["state"], detail["reversal"]["state"]) == ("unresolved", "expired")
    status = await house.get("/v1/status")
    assert (status["batch"], status["batch_state"], status["pending_reversals"]) == (BATCH, "settled", 0)


@housed()
async def test_a_terminal_id_that_is_named_settles_for_itself(house: OpenHouse) -> None:
    mine = await house.doubt()
    other = await house.doubt("000124", terminal_id="87654321")
    settling = {"batch": BATCH, "event": "settling", "terminal_id": "87654321"}
    assert (await house.post("/v1/batch", settling)).body == {
        "ok": True, "proceed": "wait", "retry_after_ms": 1_000, "pending_reversals": 1,
    }
    assert (await house.get("/v1/ready"))["reasons"][0] == "batch_settling"
    await house.post("/v1/batch", settling | {"event": "settled"})
    states = [(await house.get(f"/v1/transactions/{key}"))["reversal"]["state"] for key in (mine, other)]
    assert states == ["pending", "expired"]
    status = await house.get("/v1/status")
    assert (status["batch"], status["batch_state"], status["pending_reversals"]) == (BATCH, "open", 1)
    assert status["batches"] == [
        {"terminal_id": TERMINAL, "batch": BATCH, "batch_state": "open"},
        {"terminal_id": "87654321", "batch": BATCH, "batch_state": "settled"},
    ]
    page = {fact["name"]: fact["value"] for fact in (await house.get("/v1/overview?lang=en"))["facts"]}
    assert page["Batch"] == f"{TERMINAL}: {BATCH} open, 87654321: {BATCH} settled"


@housed()
async def test_a_terminal_id_that_can_be_none_is_refused(house: OpenHouse) -> None:
    wrong = await house.post("/v1/batch", {"batch": BATCH, "event": "settled", "terminal_id": "8765432"})
    assert (wrong.status, wrong.code) == (400, "invalid-body")


@housed()
async def test_a_sign_in_sends_what_waited_for_it_with_the_same_number(house: OpenHouse) -> None:
    key = await house.doubt()
    await house.do(e.HostReachable())
    await house.host_answers(key, "A0", mac="missing")
    codes = {item["code"] for item in (await house.get("/v1/incidents?open=true"))["items"]}
    assert "sign_in_needed" in codes
    assert (await house.post("/v1/terminal", {"event": "signed_in"})).status == 200
    assert [send.fields["11"] for send in house.sends()] == ["000123", "000123"]
    codes = {item["code"] for item in (await house.get("/v1/incidents?open=true"))["items"]}
    assert "sign_in_needed" not in codes


@housed()
async def test_the_platforms_word_on_the_network_is_a_hint_to_look(house: OpenHouse) -> None:
    before = house.head()
    for state in ("up", "down"):
        assert (await house.post("/v1/link", {"state": state})).body == {"ok": True}
    assert house.network_changes == 2
    assert house.head() == before, "only the probe is proof"
