"""What the cashier's screen is told: the newest first, what still runs, what earlier days left, and nothing that was read."""

import json
from typing import Any

from agent.core import event as e
from agent.core.fleetevent import Commanded
from agent.hooks.cashier import NEWEST, NOW_MAX, PAYMENTS_MAX
from tests.support.house import PAN, RECEIPT, OpenHouse, housed

DAY = 86_400_000


async def till(house: OpenHouse) -> Any:
    return await house.get("/v1/cashier")


def stans(cards: list[Any]) -> list[str]:
    return [card["advice"]["stan"] for card in cards]


async def unresolved(house: OpenHouse, stan: str = "000123") -> str:
    """A sale that the host would not reverse."""
    key = await house.doubt(stan)
    await house.do(e.HostReachable())
    await house.host_answers(key, "94")
    assert house.on_disk(key) == "unresolved"
    return key


@housed()
async def test_nothing_is_shown_of_a_quiet_till(house: OpenHouse) -> None:
    shown = await till(house)
    assert (shown["now"], shown["yesterday"], shown["payments"], shown["todo"], shown["lang"]) == ([], [], [], [], "zh")
    assert shown["seq"] == house.store.seq


@housed()
async def test_a_card_says_what_it_means_whose_it_is_and_what_the_customer_hears(house: OpenHouse) -> None:
    key = await house.doubt(amount_fen=12_850)
    (card,) = (await till(house))["now"]
    assert (card["id"], card["meaning"], card["word"]) == (key, "hold", {"zh": "暂勿交货", "en": "HOLD GOODS"})
    assert card["whose"] == {"zh": "尾号0128 · 流水号000123 · 10:00:00", "en": "card …0128 · STAN 000123 · 10:00:00"}
    assert card["advice"] == (await house.get(f"/v1/transactions/{key}"))["advice"]
    assert "128.50元" in card["customer"]["zh"]
    assert (card["live"], card["earlier"], card["presses"][:3]) == (True, False, ["goods", "replaced", "evidence"])
    assert PAN not in json.dumps(card)


@housed()
async def test_what_is_no_sale_is_called_by_its_name(house: OpenHouse) -> None:
    await house.approved("000123")
    await house.void("000124")
    assert (await till(house))["now"][0]["whose"]["zh"] == "撤销 · 尾号0128 · 流水号000124 · 10:00:00"


@housed()
async def test_the_newest_comes_first_and_an_earlier_doubt_carries_its_customer(house: OpenHouse) -> None:
    first = await house.doubt("000001")
    await house.do(e.HostReachable())
    await house.host_answers(first, "A0")  # it waits for a sign-in, and holds up nobody
    await house.approved("000002")
    await house.sale("000003")
    shown = await till(house)
    assert stans(shown["now"]) == ["000003", "000002", "000001"]
    assert [card["meaning"] for card in shown["now"]] == ["wait", "release", "wait"]
    assert [card["earlier"] for card in shown["now"]] == [False, True, True]
    assert shown["now"][2]["advice"]["zh_long"].startswith("上一位顾客(尾号0128):")


@housed()
async def test_what_is_over_goes_and_what_runs_stays_however_many_come_after(house: OpenHouse) -> None:
    first = await house.doubt("000001")
    await house.do(e.HostReachable())
    await house.host_answers(first, "A0")  # it waits for a sign-in, and holds up nobody
    for number in range(2, 2 + NEWEST + 1):
        await house.approved(f"{number:06d}")
    shown = (await till(house))["now"]
    assert len(shown) == NEWEST + 1
    assert shown[-1]["id"] == first


@housed()
async def test_the_list_has_a_limit_and_says_how_many_more_there_are(house: OpenHouse) -> None:
    for number in range(1, NOW_MAX + 3):
        await house.open(f"{number:06d}", sent=False)
    shown = await till(house)
    assert (len(shown["now"]), shown["more_now"]) == (NOW_MAX, 2)


@housed(has_printer=False)
async def test_the_newest_is_there_again_after_a_restart_though_it_is_over(house: OpenHouse) -> None:
    key = await house.reversed()
    before = await till(house)
    await house.restart()
    assert house.inbox.state.transactions == {}
    after = await till(house)
    assert after["now"] == before["now"]
    assert after["now"][0]["id"] == key
    await house.restart(new_boot=True)
    assert (await till(house))["now"][0]["age_ms"] is None


@housed()
async def test_payments_that_may_have_replaced_another_are_named(house: OpenHouse) -> None:
    for number in range(1, PAYMENTS_MAX + 3):
        await house.approved(f"{number:06d}")
    await house.reversed("000099")
    payments = (await till(house))["payments"]
    assert len(payments) == PAYMENTS_MAX
    assert payments[0]["whose"]["zh"].startswith("尾号0128 · 流水号000007 · ")
    assert payments[0]["amount_fen"] == 100


@housed()
async def test_what_the_cashier_has_to_do_beside_the_cases_is_said_once(house: OpenHouse) -> None:
    for stan in ("000001", "000002"):
        key = await house.doubt(stan)
        before = [{"zh": "在终端上签到", "en": "sign in on the terminal"}] if stan == "000002" else []
        assert (await till(house))["todo"] == before
        await house.do(e.HostReachable())
        await house.host_answers(key, "A0")
        await house.do(e.LineLost())
        await house.do(e.HostUnreachable())
    assert [said["zh"] for said in (await till(house))["todo"]] == ["在终端上签到"]
    await house.post("/v1/terminal", {"event": "signed_in"})
    assert (await till(house))["todo"] == []


@housed()
async def test_the_fleets_message_stands_as_long_as_it_was_meant_to_and_not_over_a_boot(house: OpenHouse) -> None:
    async def say(number: int) -> None:
        args = {"zh": "请联系店长", "en": "Call the manager", "seconds": 60}
        now_ms = house.clock.wall_ms
        assert now_ms is not None
        await house.do(Commanded(
            command=f"c-{number}", name="display", digest="d", not_before_ms=now_ms - 1, expires_ms=now_ms + 600_000, by="k",
            args=args,
        ))

    assert (await till(house))["message"] is None
    await say(1)
    assert (await till(house))["message"] == {"zh": "请联系店长", "en": "Call the manager"}
    await house.pass_time(59_999)
    assert (await till(house))["message"] is not None
    await house.pass_time(1)
    assert (await till(house))["message"] is None
    await say(2)
    await house.restart(new_boot=False)
    assert (await till(house))["message"] is not None, "a restart of the agent alone forgets nothing"
    await house.restart(new_boot=True)
    assert (await till(house))["message"] is None


@housed()
async def test_what_people_said_is_noted_in_words(house: OpenHouse) -> None:
    key = await house.doubt()
    other = await house.open("000124", sent=False)
    await house.post(f"/v1/transactions/{key}/evidence", {"kind": "debit_sms"})
    await house.post(f"/v1/transactions/{key}/disposition", {"goods": "released", "replaced_by": "cash", "accepts_risk": True})

    async def noted() -> list[str]:
        return [said["zh"] for card in (await till(house))["now"] if card["id"] == key for said in card["noted"]]

    assert await noted() == ["货已交付", "改付现金", "商户自担风险", "顾客出示扣款短信"]
    await house.post(f"/v1/transactions/{key}/disposition", {"replaced_by": other.id})
    assert "另一笔付款替代" in await noted()


# ── yesterday ────────────────────────────────────────────────────────────────────────────────────────────────────────


@housed()
async def test_yesterdays_doubt_stays_until_it_is_acknowledged_also_over_a_restart(house: OpenHouse) -> None:
    key = await unresolved(house)
    assert stans((await till(house))["now"]) == ["000123"]
    await house.pass_time(DAY)
    shown = await till(house)
    assert (shown["now"], stans(shown["yesterday"])) == ([], ["000123"])
    assert shown["yesterday"][0]["whose"]["zh"] == "尾号0128 · 流水号000123 · 2026-03-02 10:00:00"
    code = shown["yesterday"][0]["advice"]["code"]
    said = await house.post(f"/v1/transactions/{key}/acknowledge", {"code": code, "by": "07"}, key="k")
    assert (said.status, said.body["advice"]["code"]) == (200, code)
    for _ in range(2):
        shown = await till(house)
        assert (shown["now"], shown["yesterday"], shown["more_yesterday"]) == ([], [], 0)
        await house.restart(new_boot=True)
    assert [entry.data for entry in house.told("transaction.acknowledged")] == [{"code": code, "by": "07"}]
    assert (await house.get("/v1/incidents?open=true"))["items"], "to have read it closes nothing"


@housed()
async def test_the_settlement_files_bring_it_back_with_another_advice(house: OpenHouse) -> None:
    key = await unresolved(house)
    await house.pass_time(DAY)
    await house.post(f"/v1/transactions/{key}/acknowledge", {"code": "P5", "by": "07"})
    assert (await till(house))["yesterday"] == []
    await house.post(f"/v1/transactions/{key}/disposition", {"goods": "released"})
    for day in range(2, 7):
        date = f"2026-03-{day:02d}"
        body = {"statement": date, "dates": [date], "terminal_id": "12345678", "verdicts": []}
        assert (await house.post("/v1/settlements", body)).status == 200
    assert [card["advice"]["code"] for card in (await till(house))["yesterday"]] == ["P16"]
    stale = await house.post(f"/v1/transactions/{key}/acknowledge", {"code": "P5", "by": "07"})
    assert (stale.status, stale.code) == (409, "advice-changed")


@housed()
async def test_a_name_that_is_a_card_number_is_masked(house: OpenHouse) -> None:
    key = await unresolved(house)
    await house.post(f"/v1/transactions/{key}/acknowledge", {"code": "P5", "by": PAN})
    assert PAN not in json.dumps([entry.data for entry in house.entries()])


@housed()
async def test_nothing_can_be_acknowledged_while_it_runs_or_when_it_is_over(house: OpenHouse) -> None:
    for key in (await house.approved("000001", receipt=RECEIPT), await house.doubt("000002")):
        refused = await house.post(f"/v1/transactions/{key}/acknowledge", {"code": "N3", "by": "07"})
        assert (refused.status, refused.code) == (409, "nothing-left-open")
