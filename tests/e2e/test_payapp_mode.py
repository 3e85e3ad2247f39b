"""Mode payapp over real HTTP: the app's kernel reverses, T1 … T16 are noticed where they can be, and apps fail in every way."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from device.simulator.payapp import till
from device.simulator.payapp.kernel import DEFECTS, Sale
from tests.support.payshop import Shop, in_a_shop


@in_a_shop()
async def test_a_lost_sale_is_reversed_by_the_app_when_the_agent_asks_for_it(shop: Shop) -> None:
    key = await shop.lost()
    await shop.reaches(key, "reversed")
    assert shop.net_fen("000001") == 0
    assert (await shop.detail(key))["advice"]["code"] == "P4b"
    assert await shop.incidents() == {}
    assert not list(shop.folder.glob("*.key")), "there is no vault, and no key for one"


@in_a_shop(can_flush=False)
async def test_an_app_that_cannot_flush_runs_a_balance_inquiry_whose_kernel_reverses_ahead_of_it(shop: Shop) -> None:
    key = await shop.lost()
    await shop.reaches(key, "reversed")
    assert shop.net_fen("000001") == 0


@in_a_shop(can_flush=False, card=False)
async def test_without_a_card_the_cashier_is_prompted_and_the_folk_procedure_is_adopted(shop: Shop) -> None:
    key = await shop.lost()
    assert (await shop.told("hand_needed"))["next_action"] == "ask_card_balance"
    assert (await shop.detail(key))["advice"]["code"] == "N10"
    assert await shop.till.balance() == "00"
    await shop.reaches(key, "reversed")
    assert (await shop.detail(key))["advice"]["code"] == "P21"
    assert shop.net_fen("000001") == 0
    assert await shop.incidents() == {}


@in_a_shop(can_flush=False, card=False)
async def test_one_fen_sets_the_reversal_off_and_is_not_the_repeat(shop: Shop) -> None:
    key = await shop.lost(amount_fen=2350)
    await shop.told("hand_needed")
    trigger = await shop.till.sale(1, replaces=key)
    await shop.reaches(key, "reversed")
    advice = (await shop.detail(str(trigger["id"])))["advice"]
    assert (trigger["state"], advice["code"], advice["hold_goods"]) == ("approved", "P22", True)
    status, problem = await shop.call("POST", f"/v1/transactions/{key}/disposition", {"replaced_by": trigger["id"]})
    assert (status, problem["type"]) == (409, "urn:reversald:problem:trigger-sale")


@in_a_shop()
async def test_offline_nothing_is_lost_and_the_link_that_is_back_is_an_opportunity(shop: Shop) -> None:
    key = await shop.lost()
    await shop.reaches(key, "reversed")
    await shop.call("POST", "/v1/link", {"state": "down"})
    await shop.host.refuse(True)
    answer = await shop.till.sale(200)
    assert (await shop.detail(answer["id"]))["advice"]["code"] == "P3"
    await shop.host.refuse(False)
    await shop.call("POST", "/v1/link", {"state": "up"})
    await shop.reaches(answer["id"], "no_original")
    assert shop.net_fen("000002") == 0


@in_a_shop()
async def test_card_data_is_refused_a_token_and_four_digits_are_enough(shop: Shop) -> None:
    sale = {
        "rail": "card", "kind": "sale", "amount_fen": 100, "stan": "000900", "batch": "000001", "terminal_id": "12345678",
        "merchant_id": "898310148160001",
    }  # fmt: skip
    for card in ({"pan": "6222021234567890128"}, {"token": "6222021234567890128", "last4": "0128"}):
        status, problem = await shop.call("POST", "/v1/transactions", sale | {"card": card})
        assert (status, problem["type"]) == (400, "urn:reversald:problem:card-data-refused")
        assert "6222021234567890128" not in str(problem)
    assert (await shop.call("POST", "/v1/transactions", sale | {"card": {"token": "t", "last4": "0128"}}))[0] == 201


@in_a_shop()
async def test_before_the_doubt_the_app_is_asked_what_it_knows(shop: Shop) -> None:
    opened = await shop.till.call(
        "POST", "/v1/transactions",
        {"rail": "card", "kind": "sale", "amount_fen": 100, "stan": "000900", "batch": "000001", "terminal_id": "12345678",
         "merchant_id": "898310148160001", "sent": True, "card": {"last4": "0128"}},
    )  # fmt: skip
    shop.till.kernel.begin("000900", 100, Sale(opened["id"]))
    shop.till.kernel.hear("000900", "approved", "00")
    await shop.reaches(opened["id"], "approved")


# ── saved before it asks ─────────────────────────────────────────────────────────────────────────────────────────────


async def _dies_before_it_hears_its_go(shop: Shop) -> None:
    """The power goes between the agent's commit and its answer: the sale is known to the agent, and nothing of it was sent."""

    def heard(line: str) -> None:
        if line.startswith("< 201"):
            raise asyncio.CancelledError

    shop.till.say = heard
    with contextlib.suppress(asyncio.CancelledError):
        await shop.app._begin(shop.till.sale(100))
    shop.till.say = lambda _line: None
    await shop.app.crash()


def _only_id(shop: Shop) -> str:
    """What the agent calls the one transaction that it has, as its journal says."""
    with contextlib.closing(sqlite3.connect(shop.folder / "reversald.db")) as database:
        ((key,),) = database.execute("SELECT id FROM transactions WHERE stan = '000001'")
    return str(key)


@pytest.mark.parametrize("pull", [False, True])
def test_an_app_that_dies_before_it_hears_its_go_is_accused_of_nothing(tmp_path: Path, *, pull: bool) -> None:
    @in_a_shop(pull=pull)
    async def story(shop: Shop) -> None:
        await _dies_before_it_hears_its_go(shop)
        assert shop.till.kernel.holds("000001", "000001"), "it is on the app's disk"
        key = _only_id(shop)
        await shop.reaches(key, "no_original")
        assert await shop.incidents() == {}
        assert shop.net_fen("000001") == 0
        assert not shop.till.kernel.holds("000001", "000001")

    story(tmp_path=tmp_path)


@in_a_shop(port=False)
async def test_the_next_sale_of_such_an_app_carries_the_reversal_and_reports_it_first(shop: Shop) -> None:
    await _dies_before_it_hears_its_go(shop)
    assert (await shop.till.sale(200))["state"] == "approved"
    key = _only_id(shop)
    await shop.reaches(key, "no_original")
    assert "收银程序称未发送" in str(await shop.call("GET", f"/v1/transactions/{key}/timeline"))
    assert await shop.incidents() == {}
    assert (shop.net_fen("000001"), shop.net_fen("000002")) == (0, 200)


@in_a_shop("T10")
async def test_with_the_id_on_disk_before_the_send_nobody_calls_it_not_sent(shop: Shop) -> None:
    await _dies_while_it_sends(shop)
    key = _only_id(shop)
    sale = shop.till.kernel.find("000001", "000001")
    assert sale is not None
    assert sale.id == key
    await shop.reaches(key, "reversed")
    assert shop.net_fen("000001") == 0


@in_a_shop()
async def test_what_the_agent_does_not_take_leaves_no_record(shop: Shop) -> None:
    assert (await shop.till.sale(0))["status"] == 400
    assert shop.till.kernel.disk.records == []
    assert (await shop.till.sale(100))["state"] == "approved"
    assert shop.till.kernel.disk.records == []
    assert await shop.incidents() == {}


@in_a_shop()
async def test_a_sale_that_no_agent_answered_is_not_sent_and_told_once_one_is_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.stop_agent()
    monkeypatch.setattr(till, "RESENDS_MAX", 2)
    assert (await shop.till.sale(100))["status"] == 0
    assert shop.host.model.ledger.find(till.TERMINAL_ID, "000001", "000001") is None, "no byte left"
    monkeypatch.undo()
    await shop.start_agent()
    assert (await shop.till.sale(200))["state"] == "approved"
    await shop.reaches(_only_id(shop), "no_original")
    assert await shop.incidents() == {}


# ── apps that fail ───────────────────────────────────────────────────────────────────────────────────────────────────


@in_a_shop()
async def test_an_app_that_never_answers_a_request_is_asked_again_and_a_person_is_prompted(shop: Shop) -> None:
    shop.app.silent = True
    key = await shop.lost()
    await shop.told("hand_needed")
    await shop.reaches(key, "unresolved")
    assert {"payapp", "in_doubt"} <= set(await shop.incidents())
    shop.app.silent = False
    await shop.reaches(key, "reversed")
    assert await shop.incidents() == {}
    assert shop.net_fen("000001") == 0


@in_a_shop()
async def test_an_app_that_answers_nonsense_counts_as_out_of_reach(shop: Shop) -> None:
    shop.app.nonsense = True
    key = await shop.lost()
    assert (await shop.told("payapp"))["owner"] == "technician"
    assert (await shop.detail(key))["reversal"]["sends"] == 0
    shop.app.nonsense = False
    await shop.reaches(key, "reversed")


@in_a_shop()
async def test_nonsense_over_the_local_api_is_refused_and_changes_nothing(shop: Shop) -> None:
    shop.app.silent = True
    key = await shop.lost()
    before = (await shop.detail(key))["state"]
    accepted = {"outcome": "accepted"}
    for body in (accepted, {"outcome": "done", "response_code": "00"}, accepted | {"response_code": "0"}, {}, []):
        assert (await shop.call("POST", f"/v1/transactions/{key}/reversal", body))[0] == 400
        assert (await shop.call("POST", f"/v1/requests/{key}.1", body))[0] == 400
    both = {"outcome": "busy", "state": "unknown"}
    assert (await shop.call("POST", f"/v1/requests/{key}.1", both))[0] == 400
    assert (await shop.call("POST", f"/v1/requests/{key}.99", {"outcome": "busy"}))[1]["type"].endswith("no-such-request")
    assert (await shop.detail(key))["state"] == before


@in_a_shop()
async def test_a_request_that_is_open_outlives_the_agent_and_is_answered_under_its_name(shop: Shop) -> None:
    shop.app.silent = True
    key = await shop.lost()
    await shop.stop_agent()
    shop.app.silent = False
    await shop.start_agent(reply_timeout_ms=20_000)
    await shop.reaches(key, "reversed")
    assert f"{key}.1" in shop.till.answered
    assert shop.net_fen("000001") == 0


# ── pulled ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@in_a_shop(pull=True)
async def test_an_app_without_a_port_pulls_its_requests(shop: Shop) -> None:
    key = await shop.lost()
    await shop.reaches(key, "reversed")
    assert shop.net_fen("000001") == 0
    assert await shop.incidents() == {}


@in_a_shop(pull=True)
async def test_an_app_that_comes_back_hears_of_what_is_open_and_answers_it_once(shop: Shop) -> None:
    shop.app.silent = True
    key = await shop.lost()
    await shop.app.crash()
    shop.app.silent = False
    await shop.stop_agent()
    await shop.start_agent(reply_timeout_ms=20_000)
    await shop.reaches(key, "reversed")
    reported = len(shop.till.answered)
    await shop.app.crash()
    await asyncio.sleep(0.3)
    assert len(shop.till.answered) == reported, "what is over is passed by after a reconnect"
    late = await shop.call("POST", f"/v1/requests/{next(iter(shop.till.answered))}", {"outcome": "busy"})
    assert late[1]["type"] == "urn:reversald:problem:request-closed"


@in_a_shop(port=False)
async def test_with_nobody_to_ask_a_person_is_prompted_and_the_apps_own_reversal_is_adopted(shop: Shop) -> None:
    key = await shop.lost()
    await shop.told("hand_needed")
    assert await shop.state(key) in {"in_doubt", "reversing"}
    await shop.till.balance()
    await shop.reaches(key, "reversed")
    assert (await shop.detail(key))["advice"]["code"] == "P21"


# ── defects ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_defect_is_played_below() -> None:
    names = {name.split("_")[1] for name in globals() if name.startswith("test_T")}
    assert {name for name in DEFECTS if name != "STAN"} <= names


async def _defect(shop: Shop, code: str) -> None:
    found = await shop.told(code)
    assert (found["owner"], found["next_action"]) == ("technician", "check_payment_app")


@in_a_shop("T1")
async def test_T1_an_answer_that_is_called_accepted_and_is_not(shop: Shop) -> None:
    shop.host.faults.set({"0400": "51"})
    key = await shop.lost()
    await _defect(shop, "false_accept")
    assert await shop.state(key) != "reversed"
    assert shop.net_fen("000001") == 100


@in_a_shop("T2")
async def test_T2_a_record_of_another_day_is_dropped(shop: Shop) -> None:
    shop.host.faults.set({"0400": "drop-request"})
    key = await shop.lost()
    shop.till.kernel.day += 1
    await _defect(shop, "record_lost")
    await shop.reaches(key, "unresolved")
    assert (await shop.incidents())["in_doubt"]["next_action"] == "compare_settlement"


@in_a_shop("T3")
async def test_T3_deleted_after_the_retry_limit(shop: Shop) -> None:
    shop.host.faults.set({"0400": "96"})
    key = await shop.lost()
    await _defect(shop, "record_lost")
    await shop.reaches(key, "unresolved")


@in_a_shop("T4")
async def test_T4_the_save_failed_and_the_sale_went_out(shop: Shop) -> None:
    await shop.lost()
    await _defect(shop, "record_lost")


@in_a_shop("T5")
async def test_T5_one_slot_is_overwritten_by_a_new_sale(shop: Shop) -> None:
    shop.host.faults.set({"0400": "drop-request"})
    first = await shop.lost()
    await shop.lost(200)
    found = await shop.told("record_lost")
    assert found["transaction"] == first


@in_a_shop("T6")
async def test_T6_saved_only_after_the_send(shop: Shop) -> None:
    await _dies_while_it_sends(shop)
    assert not shop.till.kernel.holds("000001", "000001"), "its record was not saved"
    await _defect(shop, "record_lost")
    assert shop.net_fen("000001") == 100


async def _dies_while_it_sends(shop: Shop) -> None:
    """The host has booked the sale, and its answer is on the way."""
    shop.host.faults.scenario({"0200": ["delay:2000"]})
    sale = asyncio.ensure_future(shop.app._begin(shop.till.sale(100)))
    await shop.until(lambda: _booked(shop))
    await shop.app.crash()
    with contextlib.suppress(asyncio.CancelledError):
        await sale


async def _booked(shop: Shop) -> bool:
    return shop.net_fen("000001") == 100


@in_a_shop("T7")
async def test_T7_a_reply_of_another_transaction_cannot_be_seen_from_outside(shop: Shop) -> None:
    shop.host.faults.set({"0400": "cross+00"})
    shop.host.faults.scenario({"0400": ["drop-request", "cross"]})
    key = await shop.lost()
    await shop.reaches(key, "reversed")
    assert not set(await shop.incidents()) - {"hand_needed"}


@in_a_shop("T8")
async def test_T8_half_a_file_after_a_crash(shop: Shop) -> None:
    shop.host.faults.set({"0400": "drop-request"})
    await shop.lost()
    await shop.app.crash()
    await _defect(shop, "record_lost")


@in_a_shop("T9")
async def test_T9_25_loops_for_ever(shop: Shop) -> None:
    shop.host.faults.set({"0400": "25"})
    key = await shop.lost()
    await shop.reaches(key, "no_original")
    for _ in range(3):
        await shop.till.sale(100)
    await _defect(shop, "reversal_loops")


@in_a_shop("T10")
async def test_T10_a_sale_goes_ahead_of_what_is_pending(shop: Shop) -> None:
    shop.host.faults.set({"0400": "96"})
    key = await shop.lost()
    await shop.reaches(key, "unresolved")
    await shop.till.sale(200)
    await _defect(shop, "not_reversed_first")


@in_a_shop()
async def test_T10_a_sound_app_reports_the_reversal_before_the_sale_that_carried_it(shop: Shop) -> None:
    shop.host.faults.set({"0400": "96"})
    key = await shop.lost()
    await shop.reaches(key, "unresolved")
    assert (await shop.till.sale(200))["state"] == "approved"
    assert "not_reversed_first" not in await shop.incidents()
    shop.host.faults.clear()
    await shop.reaches(key, "reversed")
    assert (shop.net_fen("000001"), shop.net_fen("000002")) == (0, 200)


@in_a_shop("T11")
async def test_T11_what_cannot_be_packed_is_deleted(shop: Shop) -> None:
    await shop.lost()
    await _defect(shop, "record_lost")


@in_a_shop("T12", can_flush=False, card=False)
async def test_T12_the_settlement_clears_what_is_pending(shop: Shop) -> None:
    key = await shop.lost()
    await shop.told("hand_needed")
    await shop.till.settle()
    await _defect(shop, "settled_unreversed")
    assert await shop.state(key) == "unresolved"


@in_a_shop(can_flush=False, card=False)
async def test_T12_a_sound_app_reverses_before_it_settles(shop: Shop) -> None:
    key = await shop.lost()
    await shop.told("hand_needed")
    await shop.till.settle()
    await shop.reaches(key, "reversed")
    assert await shop.incidents() == {}
    assert shop.net_fen("000001") == 0


@in_a_shop("T13")
async def test_T13_codes_matched_as_substrings(shop: Shop) -> None:
    shop.host.faults.set({"0400": "A0"})
    key = await shop.lost()
    await _defect(shop, "false_accept")
    assert await shop.state(key) != "reversed"


@in_a_shop("T14")
async def test_T14_an_update_drops_the_queue(shop: Shop) -> None:
    shop.host.faults.set({"0400": "drop-request"})
    await shop.lost()
    shop.till.kernel.update()
    await _defect(shop, "record_lost")


@in_a_shop("T15", can_flush=False, card=False)
async def test_T15_what_is_pending_blocks_every_later_sale(shop: Shop) -> None:
    await shop.lost()
    for _ in range(3):
        assert (await shop.till.sale(100))["state"] == "not_sent"
    await _defect(shop, "sales_blocked")


@in_a_shop("T16")
@pytest.mark.parametrize("code", ["12", "25"])
async def test_T16_no_original_called_refunded(shop: Shop, code: str) -> None:
    shop.host.faults.set({"0400": code})
    key = await shop.lost()
    await _defect(shop, "false_accept")
    await shop.reaches(key, "no_original", "unresolved")
    assert (await shop.detail(key))["advice"]["code"] in {"P4c", "P5"}


@in_a_shop("STAN")
async def test_a_stan_that_is_used_twice_is_refused_and_told(shop: Shop) -> None:
    assert (await shop.till.sale(100))["state"] == "approved"
    assert (await shop.till.sale(200))["status"] == 409
    first = shop.till.kernel.find("000001", "000001")
    assert first is not None
    assert first.state == "approved"
    await _defect(shop, "stan_reused")
