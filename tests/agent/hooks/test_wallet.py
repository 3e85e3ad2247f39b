"""Wallet orders at the door: what is taken, what is kept of it, what is answered."""

from typing import Any

import pytest

from agent.core.change import AskWallet
from agent.core.event import WalletAnswered
from agent.core.wallets import DEFAULTS
from tests.support.house import BATCH, MERCHANT, PAN, SALE, TERMINAL, Answer, OpenHouse, housed

ORDER_NO = "2026030210000001"  # 16 digits, as many orders have
OPEN: dict[str, Any] = {
    "rail": "wallet", "kind": "sale", "amount_fen": 100, "stan": "000123", "batch": BATCH, "terminal_id": TERMINAL,
    "merchant_id": MERCHANT, "sent": True, "wallet": "wechat", "order_no": ORDER_NO,
}


async def scan(house: OpenHouse, **more: Any) -> Answer:
    return await house.post("/v1/transactions", OPEN | more)


async def said(house: OpenHouse, key: str, state: str, amount_fen: int | None = 100) -> None:
    """The gateway answers the call that was asked for last."""
    number = [effect.number for effect in house.effects if isinstance(effect, AskWallet) and effect.transaction == key][-1]
    await house.do(
        WalletAnswered(transaction=key, number=number, outcome="answered", state=state, amount_fen=amount_fen)  # type: ignore[arg-type]
    )


@housed(wallets=DEFAULTS)
async def test_an_order_from_the_doubt_to_the_release(house: OpenHouse) -> None:
    opened = await scan(house)
    assert (opened.status, opened.body["proceed"]) == (201, "go")
    lost = await house.result(opened.id, "no_answer")
    assert (lost.status, lost.body["state"], lost.body["advice"]["code"]) == (200, "querying", "P8")
    assert lost.body["advice"]["last4"] == "0001"
    await said(house, opened.id, "paid")
    detail = await house.get(f"/v1/transactions/{opened.id}")
    assert (detail["state"], detail["advice"]["code"], detail["advice"]["hold_goods"]) == ("paid", "P9", False)
    assert detail["order"] == {
        "wallet": "wechat", "order_no": ORDER_NO, "said": "paid", "queries": 1, "cancels": 0, "refunds": 0,
    }


@housed(wallets=DEFAULTS)
async def test_the_approval_of_the_app_is_the_decision_and_its_receipt_prints(house: OpenHouse) -> None:
    opened = await scan(house)
    answer = await house.result(opened.id, "approved", receipt={"lines": [{"text": "签购单"}]})
    assert (answer.status, answer.body["state"], answer.body["advice"]["hold_goods"]) == (200, "paid", False)
    assert len(house.prints()) == 1


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"order_no": None}, "invalid-body"), ({"wallet": None}, "invalid-body"), ({"rail": "bestpay"}, "invalid-body"),
        ({"order_no": "a b"}, "invalid-body"), ({"order_no": "1" * 65}, "invalid-body"), ({"wallet": "paypal"}, "invalid-body"),
        ({"card": SALE["card"]}, "card-data-refused"), ({"kind": "refund"}, "kind-not-supported"),
    ],
)
@housed(wallets=DEFAULTS)
async def test_what_is_no_order_is_refused_and_leaves_nothing(house: OpenHouse, spoil: dict[str, Any], code: str) -> None:
    before = house.head()
    body = {name: value for name, value in (OPEN | spoil).items() if value is not None}
    answer = await house.post("/v1/transactions", body)
    assert (answer.status, answer.code) == (400, code)
    assert house.head() == before


@housed()
async def test_without_wallets_the_rail_is_refused(house: OpenHouse) -> None:
    answer = await scan(house)
    assert (answer.status, answer.code) == (400, "rail-not-configured")


@housed(wallets=DEFAULTS)
async def test_a_second_code_for_an_open_basket_gets_409_until_the_cashier_overrides(house: OpenHouse) -> None:
    first = await scan(house, basket_id="B-1")
    await house.result(first.id, "no_answer")
    second = {"stan": "000124", "order_no": "A2", "basket_id": "B-1"}
    refused = await scan(house, **second)
    assert (refused.status, refused.code) == (409, "basket-open")
    await house.post(f"/v1/transactions/{first.id}/disposition", {"accepts_risk": True})
    assert (await scan(house, **second)).status == 201


@housed(wallets=DEFAULTS)
async def test_baskets_that_look_alike_when_masked_stay_two(house: OpenHouse) -> None:
    first = await scan(house, basket_id=PAN)
    await house.result(first.id, "no_answer")
    other = PAN[:8] + "99999" + PAN[13:]
    assert (await scan(house, stan="000124", order_no="A2", basket_id=other)).status == 201
    assert (await scan(house, stan="000125", order_no="A3", basket_id=PAN)).code == "basket-open"
    assert PAN.encode() not in house.bytes_on_disk()


@housed(wallets=DEFAULTS)
async def test_a_customers_token_stays_only_as_a_keyed_hash(house: OpenHouse) -> None:
    opened = await house.post(
        "/v1/transactions", {name: value for name, value in OPEN.items() if name != "wallet"}
        | {"rail": "bestpay", "customer": "13800138000"},
    )
    answer = await house.result(opened.id, "declined")
    assert answer.body["advice"]["code"] == "P12"
    assert b"13800138000" not in house.bytes_on_disk()
    assert [count for _, count in house.inbox.state.streaks.failures] == [1]


@housed(wallets=DEFAULTS)
async def test_an_abnormal_account_is_told_by_the_app(house: OpenHouse) -> None:
    body = {name: value for name, value in OPEN.items() if name != "wallet"} | {"rail": "bestpay"}
    opened = await house.post("/v1/transactions", body)
    answer = await house.result(opened.id, "declined", reason="account_abnormal")
    assert answer.body["advice"]["code"] == "P25"


@housed(wallets=DEFAULTS)
async def test_evidence_says_field_by_field_what_agrees_and_asks_the_wallet(house: OpenHouse) -> None:
    opened = await scan(house)
    await house.result(opened.id, "no_answer")
    await said(house, opened.id, "not_paid", None)
    calls = len(house.effects)
    shown = {"kind": "wallet_record", "amount_fen": 100, "order_no": ORDER_NO, "merchant": MERCHANT, "at": "2026-03-02 10:01"}
    answer = await house.post(f"/v1/transactions/{opened.id}/evidence", shown)
    assert answer.body["agreement"] == dict.fromkeys(("amount_fen", "order_no", "merchant", "at"), "agrees")
    assert len(house.effects) == calls + 1
    scanned = await house.post(f"/v1/transactions/{opened.id}/evidence", {"kind": "wallet_record", "order_no": PAN})
    assert scanned.body["agreement"] == {
        "amount_fen": "missing", "order_no": "differs", "merchant": "missing", "at": "missing",
    }
    kept = house.inbox.state.transactions[opened.id].evidence
    assert [each.order_no for each in kept] == [ORDER_NO, "622202*********0128"]
    assert PAN.encode() not in house.bytes_on_disk()


@housed()
async def test_evidence_on_a_card_is_compared_too(house: OpenHouse) -> None:
    key = await house.doubt()
    answer = await house.post(f"/v1/transactions/{key}/evidence", {"kind": "debit_sms", "amount_fen": 99, "order_no": "1"})
    assert answer.body["agreement"] == {
        "amount_fen": "differs", "order_no": "unknown", "merchant": "missing", "at": "missing",
    }
