"""A void over the API: its own texts, its own F3 and F61, and goods that follow the original transaction."""

import pytest

from agent.core import event as e
from tests.support.house import BATCH, PAN, RECEIPT, OpenHouse, housed


@housed()
async def test_a_void_names_what_it_undoes(house: OpenHouse) -> None:
    refused = await house.open(kind="void")
    assert (refused.status, refused.code) == (400, "invalid-body")
    assert "original" in refused.body["detail"]


@housed()
async def test_p1v_a_void_that_succeeded_waits_for_paper(house: OpenHouse) -> None:
    await house.approved()
    void = (await house.void()).id
    told = await house.result(void, "approved", response_code="00", receipt=RECEIPT)
    assert (told.body["state"], told.body["advice"]["code"]) == ("approved", "N3v")
    (job,) = house.prints()
    await house.job_ends(job.job, "UNPRINTED", fault="paper_out", paper="out")
    advice = (await house.get(f"/v1/transactions/{void}"))["advice"]
    assert (advice["code"], advice["zh"], advice["may_pay_again"]) == ("P1v", "撤销成功,缺纸请装纸", False)


@housed()
async def test_p3v_the_outcome_of_a_void_is_unknown(house: OpenHouse) -> None:
    await house.approved()
    void = (await house.void()).id
    told = await house.result(void, "no_answer")
    advice = told.body["advice"]
    assert (told.body["state"], advice["code"], advice["zh"]) == ("in_doubt", "P3v", "撤销结果未知,请稍候")
    assert (advice["hold_goods"], advice["may_pay_again"]) == (True, False)


@housed()
async def test_the_reversal_of_a_void_names_the_original(house: OpenHouse) -> None:
    await house.approved()
    void = (await house.void()).id
    await house.result(void, "no_answer")
    await house.do(e.HostReachable())
    (send,) = house.sends()
    assert (send.fields["3"], send.fields["11"], send.fields["60"]) == ("200000", "000124", "23000001000")
    assert send.fields["61"] == "000001000123"


@pytest.mark.parametrize("code", ["00", "25"])
@housed(no_original_after_ms=0)
async def test_p4d_a_void_that_was_undone_leaves_the_sale_as_it_was(house: OpenHouse, code: str) -> None:
    await house.approved()
    void = (await house.void()).id
    await house.result(void, "no_answer")
    await house.do(e.HostReachable())
    await house.host_answers(void, code)
    advice = (await house.get(f"/v1/transactions/{void}"))["advice"]
    assert (advice["code"], advice["zh"]) == ("P4d", "撤销未成,原交易有效")
    assert (advice["hold_goods"], advice["may_pay_again"]) == (False, False), "the sale is paid; nobody pays again for a void"


@housed()
async def test_p5v_a_void_that_could_not_be_undone_is_compared_tomorrow(house: OpenHouse) -> None:
    await house.approved()
    void = (await house.void()).id
    await house.result(void, "no_answer")
    await house.do(e.HostReachable())
    await house.host_answers(void, "13")
    detail = await house.get(f"/v1/transactions/{void}")
    assert (detail["state"], detail["advice"]["code"]) == ("unresolved", "P5v")
    assert (detail["advice"]["hold_goods"], detail["advice"]["may_pay_again"]) == (True, False)


@housed()
async def test_a_declined_void_lets_the_goods_go_only_with_a_paid_original(house: OpenHouse) -> None:
    await house.reversed("000123")
    void = (await house.void()).id
    told = await house.result(void, "declined", response_code="51")
    assert (told.body["advice"]["code"], told.body["advice"]["hold_goods"]) == ("N4v", True)

    await house.approved("000200")
    void = (await house.void("000201", "000200")).id
    told = await house.result(void, "declined", response_code="51")
    assert (told.body["advice"]["code"], told.body["advice"]["hold_goods"]) == ("N4v", False)


@housed()
async def test_the_advice_on_a_void_does_not_change_when_its_original_is_no_longer_in_memory(house: OpenHouse) -> None:
    await house.approved()
    await house.restart()
    assert house.inbox.state.transactions == {}, "closed rows are not loaded"
    void = (await house.void()).id
    assert (await house.result(void, "declined", response_code="51")).body["advice"]["hold_goods"] is False
    await house.restart()
    assert (await house.get(f"/v1/transactions/{void}"))["advice"]["hold_goods"] is False


@housed()
async def test_an_approved_void_does_not_say_that_goods_may_go(house: OpenHouse) -> None:
    await house.approved()
    void = (await house.void()).id
    told = await house.result(void, "approved", response_code="00")
    advice = told.body["advice"]
    assert (told.body["state"], advice["hold_goods"], advice["may_pay_again"]) == ("approved", True, False)


@housed()
async def test_a_kind_that_cannot_be_reversed_is_watched_and_reported(house: OpenHouse) -> None:
    key = await house.sale(kind="instalment")
    told = await house.result(key, "no_answer")
    assert (told.status, told.body["state"]) == (200, "unresolved")
    assert (await house.get("/v1/status"))["pending_reversals"] == 0
    (item,) = (await house.get("/v1/incidents"))["items"]
    assert (item["code"], item["owner"], item["next_action"]) == ("in_doubt", "operator", "compare_settlement")


@housed()
async def test_the_original_of_a_void_may_be_of_another_batch(house: OpenHouse) -> None:
    void = await house.open("000300", kind="void", original={"batch": "000009", "stan": "000004", "date": "0301"})
    assert (void.status, void.body["proceed"]) == (201, "go")
    await house.result(void.id, "no_answer")
    row = house.inbox.state.reversals[void.id]
    assert (row.batch, row.fields["61"]) == (BATCH, "000009000004")


@housed()
async def test_what_completes_or_refunds_another_names_it_with_its_day(house: OpenHouse) -> None:
    for kind in ("completion", "preauth_void", "completion_void", "refund"):
        bare = await house.open("000301", kind=kind)
        assert (bare.status, bare.code) == (400, "invalid-body")
        assert f"a {kind} needs `original`" in bare.body["detail"]
        dayless = await house.open("000301", kind=kind, original={"batch": BATCH, "stan": "000004"})
        assert (dayless.status, dayless.code) == (400, "invalid-body")
        assert "`original.date`" in dayless.body["detail"]
    assert house.inbox.state.transactions == {}


@housed()
async def test_the_condition_is_the_kinds_own_unless_the_app_says_another(house: OpenHouse) -> None:
    for stan, more, condition in (("000302", {}, "06"), ("000303", {"condition": "08"}, "08")):
        key = (await house.open(stan, kind="preauth", **more)).id
        await house.result(key, "no_answer")
        assert house.inbox.state.reversals[key].fields["25"] == condition
        await house.host_ends(key)


@housed()
async def test_of_what_is_never_reversed_no_card_data_is_kept(house: OpenHouse) -> None:
    refund = await house.open("000304", kind="refund", original={"batch": BATCH, "stan": "000004", "date": "0301"})
    assert (refund.status, refund.body["advice"]["last4"]) == (201, PAN[-4:])
    assert house.query("SELECT count(*) FROM vault") == [(0,)]
    short = await house.open("000305", kind="instalment", card={"last4": "0128"}, sent=False)
    assert short.status == 201
    nobody = await house.open("000306", kind="instalment", card={})
    assert (nobody.status, nobody.code) == (400, "invalid-body")
    hidden = await house.open("000307", kind="instalment", card={"last4": "0128", "chip": "570A" + "11" * 10})
    assert (hidden.status, hidden.code) == (400, "forbidden-card-data")


@housed()
async def test_a_refund_in_doubt_is_asked_for_again_sent_again_and_ends_with_its_answer(house: OpenHouse) -> None:
    refund = (await house.open("000308", kind="refund", original={"batch": BATCH, "stan": "000004", "date": "0301"})).id
    told = await house.result(refund, "no_answer")
    assert (told.body["state"], told.body["advice"]["code"]) == ("in_doubt", "P3r")
    again = await house.post(f"/v1/transactions/{refund}/sent", {})
    assert (again.status, again.body["state"], again.body["proceed"]) == (200, "sent", "go")
    told = await house.result(refund, "approved", response_code="00")
    assert (told.status, told.body["state"], told.body["advice"]["hold_goods"]) == (200, "approved", True)
    assert house.sends() == []
    assert house.inbox.state.open_incidents == {}
