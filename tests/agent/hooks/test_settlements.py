"""POST /v1/settlements and the refund call: whole or not at all, sifted at the door, the same again is nothing new."""

from typing import Any

import pytest

from agent.core import event as e
from agent.core.wallets import DEFAULTS
from tests.support.house import BATCH, MERCHANT, TERMINAL, OpenHouse, housed

DAY = "2026-03-02"
NEXT = ["2026-03-03", "2026-03-04", "2026-03-05"]


def line(stan: str = "000123", amount_fen: int = 100, direction: str = "debit", **more: Any) -> dict[str, Any]:
    return {"date": DAY, "batch": BATCH, "stan": stan, "amount_fen": amount_fen, "direction": direction} | more


async def bring(house: OpenHouse, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await house.post("/v1/settlements", {"verdicts": lines, **more})
    assert answer.status == 200, answer
    report: dict[str, Any] = answer.body["report"]
    return report


async def paid(house: OpenHouse, stan: str = "000123", **more: Any) -> str:
    key = await house.sale(stan, **more)
    await house.result(key, "approved", response_code="00", rrn=f"261122{stan}")
    return key


async def stuck(house: OpenHouse, stan: str = "000123") -> str:
    key = await house.doubt(stan)
    await house.do(e.BatchChanged(batch="000002", what="changed"))
    assert (await house.get(f"/v1/transactions/{key}"))["state"] == "unresolved"
    return key


@housed()
async def test_what_is_plainly_right_is_only_counted_and_no_row_is_touched(house: OpenHouse) -> None:
    key = await paid(house, "000123")
    before = await house.get(f"/v1/transactions/{key}")
    report = await bring(house, line(rrn="261122000123"))
    assert (report["lines"], report["agreed"], report["matched"], report["absent"]) == (1, 1, 0, 0)
    assert await house.get(f"/v1/transactions/{key}") == before


@housed()
async def test_an_approved_payment_that_the_file_does_not_have_is_watched_and_then_somebodys(house: OpenHouse) -> None:
    key = await paid(house, "000123")
    await paid(house, "000124")
    assert (await bring(house, line("000124", rrn="261122000124")))["absent"] == 1
    assert (await house.get(f"/v1/transactions/{key}"))["settlement"]["verdict"] == "awaited"
    report = await bring(house, dates=NEXT)
    assert report["cases"] == {"collect": 1}
    detail = await house.get(f"/v1/transactions/{key}")
    assert (detail["advice"]["code"], detail["incidents"][0]["next_action"]) == ("P16", "collect_payment")


@housed()
async def test_a_voided_sale_may_be_missing_together_with_its_void(house: OpenHouse) -> None:
    await paid(house, "000123")
    void = await house.void("000124")
    await house.result(void.id, "approved", response_code="00")
    assert (await bring(house, dates=[DAY]))["absent"] == 0
    report = await bring(house, line("000123", rrn="261122000123"))
    assert report["absent"] == 1, "the sale is there, its void is not"


@housed()
async def test_the_rrn_is_found_also_in_a_closed_and_forgotten_payment(house: OpenHouse) -> None:
    key = await paid(house, "000123")
    await house.restart()
    report = await bring(house, line("999999", rrn="261122000123"))
    assert (report["matched"], report["absent"]) == (1, 0)
    assert (await house.get(f"/v1/transactions/{key}"))["settlement"]["verdict"] == "settled"
    report = await bring(house, line("999999", 101, rrn="261122000123"))
    assert [item["why"] for item in report["unmatched"]] == ["amount"]


@housed()
async def test_parts_are_applied_with_the_last_one_and_as_one(house: OpenHouse) -> None:
    key = await stuck(house)
    first = await house.post("/v1/settlements", {"statement": "s", "part": 1, "parts": 2, "verdicts": [line()]})
    assert (first.status, first.body) == (200, {"statement": "s", "applied": False, "report": None})
    assert "settlement" not in await house.get(f"/v1/transactions/{key}")
    last = await house.post("/v1/settlements", {"statement": "s", "part": 2, "parts": 2, "verdicts": [line("000999")]})
    assert (last.body["applied"], last.body["report"]["lines"], last.body["report"]["matched"]) == (True, 2, 1)


@housed()
async def test_a_part_whose_predecessor_is_gone_is_refused_and_nothing_was_applied(house: OpenHouse) -> None:
    key = await stuck(house)
    await house.post("/v1/settlements", {"statement": "s", "part": 1, "parts": 2, "verdicts": [line()]})
    await house.restart()
    answer = await house.post("/v1/settlements", {"statement": "s", "part": 2, "parts": 2, "verdicts": []})
    assert (answer.status, answer.code) == (409, "statement-interrupted")
    assert "settlement" not in await house.get(f"/v1/transactions/{key}")


@housed()
async def test_a_preview_tells_the_same_and_writes_nothing(house: OpenHouse) -> None:
    key = await stuck(house)
    seq = house.store.seq
    shown = await bring(house, line(), preview=True)
    assert house.store.seq == seq
    assert "settlement" not in await house.get(f"/v1/transactions/{key}")
    assert await bring(house, line()) == shown
    again = await bring(house, line())
    assert (again["new"], again["matched"]) == (0, 1)


@housed()
async def test_bad_statements_are_refused_by_name(house: OpenHouse) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"verdicts": []}, "invalid-body"), ({"verdicts": [line(date="2026-02-30")]}, "invalid-body"),
        ({"verdicts": [line(amount_fen=0)]}, "invalid-body"), ({"verdicts": [], "dates": ["yesterday"]}, "invalid-body"),
        ({"verdicts": [line()], "part": 2, "parts": 1}, "statement-interrupted"),
        ({"verdicts": [], "dates": [DAY] * 63}, "invalid-body"),
        ({"verdicts": [line(date="9999-12-31")]}, "invalid-body"), ({"verdicts": [], "dates": ["1970-01-01"]}, "invalid-body"),
        ({"verdicts": [line(stan=None)]}, "invalid-body"), ({"verdicts": [line(), line(batch=None)]}, "invalid-body"),
    ]
    for body, code in wrong:
        answer = await house.post("/v1/settlements", body)
        assert (answer.code, answer.status) == (code, 409 if code == "statement-interrupted" else 400), body


@housed()
async def test_a_refund_is_confirmed_made_in_parts_and_closes_the_case(house: OpenHouse) -> None:
    key = await stuck(house)
    await house.post(f"/v1/transactions/{key}/disposition", {"replaced_by": "cash"})
    await bring(house, line())
    await bring(house, dates=NEXT)
    path = f"/v1/transactions/{key}/refund"
    assert (await house.post(path, {"by": "Li", "amount_fen": 100})).code == "refund-not-confirmed"
    assert (await house.post(path, {"by": "Li", "confirmed": True, "amount_fen": 40})).body["advice"]["code"] == "P14"
    assert (await house.post(path, {"by": "Li", "amount_fen": 61})).code == "refund-too-large"
    assert (await house.post(path, {"by": "Li", "amount_fen": 60})).body["state"] == "resolved"
    assert (await house.get(f"/v1/transactions/{key}"))["refund"]["state"] == "done"
    assert (await house.post(path, {"by": "Li", "confirmed": True})).code == "no-refund-due"


@housed()
async def test_refunded_by_hand_is_said_with_the_disposition(house: OpenHouse) -> None:
    key = await house.doubt()
    answer = await house.post(f"/v1/transactions/{key}/disposition", {"by_hand": "refunded"})
    assert (answer.body["state"], answer.body["advice"]["code"]) == ("unresolved", "P20")
    assert (await house.get(f"/v1/transactions/{key}"))["reversal"]["state"] == "fenced"


@housed()
async def test_what_was_imported_replays_to_the_same_rows(house: OpenHouse) -> None:
    await stuck(house)
    other = await paid(house, "000200", batch="000002")
    await house.restart()
    await bring(house, line(), line("000999"))
    await bring(house, dates=NEXT)
    assert (await house.get(f"/v1/transactions/{other}"))["settlement"]["case"] == "collect"  # housed replays it all


# ── wallets: lines with an order number, days of each wallet's own ───────────────────────────────────────────────────

WECHAT = ["wechat"]


def scanned(order_no: str, amount_fen: int = 100, direction: str = "debit", **more: Any) -> dict[str, Any]:
    return {"date": DAY, "order_no": order_no, "amount_fen": amount_fen, "direction": direction} | more


async def order(house: OpenHouse, order_no: str, stan: str, outcome: str = "approved") -> str:
    opened = await house.post(
        "/v1/transactions",
        {
            "rail": "wallet", "kind": "sale", "amount_fen": 100, "stan": stan, "batch": BATCH, "terminal_id": TERMINAL,
            "merchant_id": MERCHANT, "sent": True, "wallet": "wechat", "order_no": order_no,
        },
    )
    await house.result(opened.id, outcome)
    return opened.id


@housed(wallets=DEFAULTS)
async def test_paid_orders_that_agree_are_only_counted(house: OpenHouse) -> None:
    keys = [await order(house, f"2026030210{number:06d}", f"{number:06d}") for number in range(1, 4)]
    before = [await house.get(f"/v1/transactions/{key}") for key in keys]
    report = await bring(house, *(scanned(f"2026030210{number:06d}") for number in range(1, 4)), covers=WECHAT)
    assert (report["lines"], report["agreed"], report["absent"]) == (3, 3, 0)
    assert [await house.get(f"/v1/transactions/{key}") for key in keys] == before


@housed(wallets=DEFAULTS)
async def test_only_in_the_wallets_own_file_a_missing_order_means_something(house: OpenHouse) -> None:
    key = await order(house, "a1", "000001")
    sale = await paid(house, "000200")
    assert (await bring(house, dates=[DAY], covers=["alipay", "bestpay"]))["absent"] == 0
    assert (await bring(house, line("000200"), covers=["card"]))["absent"] == 0
    assert (await bring(house, dates=[DAY], covers=WECHAT))["absent"] == 1
    assert (await house.get(f"/v1/transactions/{key}"))["settlement"]["verdict"] == "awaited"
    assert "settlement" not in await house.get(f"/v1/transactions/{sale}")


@housed(wallets=DEFAULTS)
async def test_an_order_is_found_also_closed_and_forgotten(house: OpenHouse) -> None:
    key = await order(house, "a1", "000001")
    await house.restart()
    report = await bring(house, scanned("a1"), scanned("a1", direction="credit"), covers=WECHAT)
    assert (report["matched"], report["new"]) == (2, 2)
    assert (await house.get(f"/v1/transactions/{key}"))["settlement"]["verdict"] == "not_settled"


@housed(wallets=DEFAULTS)
async def test_what_is_refunded_days_after_it_agreed_is_netted_all_the_same(house: OpenHouse) -> None:
    key = await order(house, "a1", "000001")
    assert (await bring(house, scanned("a1"), covers=WECHAT))["agreed"] == 1
    back = {"date": NEXT[2]}
    assert (await bring(house, scanned("a1", 40, "credit", **back), dates=NEXT, covers=WECHAT))["cases"] == {}
    assert (await house.get(f"/v1/transactions/{key}"))["settlement"]["booked_fen"] == 60
    again = await bring(house, scanned("a1"), covers=WECHAT)
    assert (again["new"], again["matched"]) == (0, 1)
    await bring(house, dates=["2026-03-06"], covers=WECHAT)
    assert (await house.get(f"/v1/transactions/{key}"))["settlement"]["case"] == "even"


@housed(wallets=DEFAULTS)
async def test_order_numbers_of_nobody_here_are_reported_and_kept_masked(house: OpenHouse) -> None:
    report = await bring(house, scanned("6222021234567890128"), covers=WECHAT)
    assert [item["why"] for item in report["unmatched"]] == ["unknown"]
    told = [entry for entry in house.store.read_after(0, 1000) if entry.type == "settlement.unmatched"]
    assert [entry.data["order_no"] for entry in told] == ["622202*********0128"]


@pytest.mark.parametrize("covers", [None, [], ["paypal"]])
@housed(wallets=DEFAULTS)
async def test_order_numbers_need_a_word_on_whose_settlement_it_is(house: OpenHouse, covers: list[str] | None) -> None:
    answer = await house.post("/v1/settlements", {"verdicts": [scanned("a1")]} | ({} if covers is None else {"covers": covers}))
    assert (answer.status, answer.code) == (400, "invalid-body")
    assert "covers" in answer.body["detail"]
