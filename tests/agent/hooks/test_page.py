"""The technician's page: the terminal at a glance, and the story of one transaction, in the words of one language."""

import json

from agent.core import event as e
from tests.support.house import PAN, OpenHouse, housed


@housed()
async def test_a_quiet_terminal_in_both_languages(house: OpenHouse) -> None:
    zh, en = await house.get("/v1/overview"), await house.get("/v1/overview?lang=en")
    assert (zh["lang"], en["lang"]) == ("zh", "en")
    names = ["终端", "程序", "待冲正", "疑账金额", "线路", "打印机", "客显", "批次", "日志"]
    assert [fact["name"] for fact in zh["facts"]] == names
    assert [fact["value"] for fact in en["facts"]][2:6] == ["0", "CNY 0.00", "unknown", "state unknown, paper unknown; 0 waiting"]
    assert not any(fact["bad"] for fact in zh["facts"])
    assert (zh["tasks"], zh["transactions"]) == ([], [])


@housed()
async def test_a_doubt_shows_with_who_has_to_do_what(house: OpenHouse) -> None:
    key = await house.doubt(amount_fen=250)
    await house.do(e.HostUnreachable())
    await house.pass_time(125_000)
    shown = await house.get("/v1/overview")
    facts = {fact["name"]: (fact["value"], fact["bad"]) for fact in shown["facts"]}
    assert facts["待冲正"] == ("1 笔,最早 2分5秒", True)
    assert facts["疑账金额"] == ("2.50元", True)
    assert facts["线路"] == ("不通", True)
    (task,) = shown["tasks"]
    assert (task["what"], task["owner"], task["transaction"]) == ("交易状态不明 · 2.50元 · 000123", "收银员", key)
    (item,) = shown["transactions"]
    assert (item["title"], item["meaning"], item["at"]) == ("消费 2.50元 · 000123 · …0128", "hold", "2026-03-02 10:00:00")


@housed(has_printer=False)
async def test_a_terminal_without_a_printer_says_so(house: OpenHouse) -> None:
    facts = {fact["name"]: fact for fact in (await house.get("/v1/overview?lang=en"))["facts"]}
    assert (facts["Printer"]["value"], facts["Printer"]["bad"]) == ("none configured", False)


@housed()
async def test_the_story_of_one_transaction_is_that_of_the_command_line(house: OpenHouse) -> None:
    key = await house.reversed()
    zh, en = [await house.get(f"/v1/transactions/{key}/timeline?lang={lang}") for lang in ("zh", "en")]
    assert (zh["title"], zh["state"], zh["advice"]) == ("消费 1.00元 · 000123 · …0128", "冲正成功", "P4b 冲正成功,请重新刷卡")
    assert zh["reason"] == "冲正已受理,原交易不再有效"
    told = [line["text"] for line in en["lines"]]
    assert told[0].startswith("Registered: sale of CNY 1.00")
    assert any("In doubt: no answer from the host" in text for text in told)
    assert {line["own"] for line in en["lines"]} == {True, False}, "what happened to the line meanwhile is told too"
    assert PAN not in json.dumps([zh, en])


@housed()
async def test_a_story_that_is_long_over_is_read_from_disk(house: OpenHouse) -> None:
    key = await house.reversed()
    await house.restart(new_boot=True)
    assert (await house.get(f"/v1/transactions/{key}/timeline"))["lines"]


@housed()
async def test_what_is_not_a_language_or_a_transaction_is_said(house: OpenHouse) -> None:
    for path in ("/v1/overview?lang=fr", "/v1/overview?lange=zh", "/v1/transactions/x/timeline?lang="):
        refused = await house.call("GET", path)
        assert (refused.status, refused.code) == (400, "invalid-query")
    assert (await house.call("GET", "/v1/transactions/x/timeline")).code == "no-such-transaction"
