"""The first decision point: may the first byte leave? `go`, `wait` or `refuse`, and what each leaves behind."""

from agent.core import event as e
from tests.support.house import BATCH, OpenHouse, housed


@housed()
async def test_permission_may_be_asked_for_in_a_call_of_its_own(house: OpenHouse) -> None:
    opened = await house.open(sent=False)
    assert opened.body["advice"]["code"] == "N1"
    asked = await house.post(f"/v1/transactions/{opened.id}/sent")
    assert (asked.status, asked.body["state"], asked.body["proceed"]) == (200, "sent", "go")
    assert house.on_disk(opened.id) == "sent", "permission is given only from the disk"


@housed()
async def test_an_empty_body_and_an_empty_object_are_the_same_question(house: OpenHouse) -> None:
    first, second = await house.open("000001", sent=False), await house.open("000002", sent=False)
    assert (await house.post(f"/v1/transactions/{first.id}/sent", {})).body["proceed"] == "go"
    assert (await house.post(f"/v1/transactions/{second.id}/sent", b"")).body["proceed"] == "wait"


@housed()
async def test_while_another_transaction_is_out_the_next_one_waits_and_changes_nothing(house: OpenHouse) -> None:
    running = await house.sale("000001")
    second = await house.open("000002")
    assert second.status == 201
    assert (second.body["state"], second.body["proceed"], second.body["retry_after_ms"]) == ("intent", "wait", 1_000)
    assert second.body["advice"]["code"] == "N7"
    before = house.head()
    assert (await house.post(f"/v1/transactions/{second.id}/sent")).body["proceed"] == "wait"
    assert house.head() == before
    await house.result(running, "declined")
    assert (await house.post(f"/v1/transactions/{second.id}/sent")).body["proceed"] == "go"


@housed()
async def test_a_first_opportunity_goes_before_a_new_sale(house: OpenHouse) -> None:
    doubted = await house.doubt("000001")
    waiting = await house.open("000002")
    assert waiting.body["proceed"] == "wait"
    await house.host_ends(doubted)
    assert (await house.post(f"/v1/transactions/{waiting.id}/sent")).body["proceed"] == "go"


@housed()
async def test_an_exhausted_reversal_makes_nobody_wait(house: OpenHouse) -> None:
    doubted = await house.doubt("000001")
    await house.do(e.HostReachable())
    await house.pass_time(90_000)
    assert house.on_disk(doubted) == "unresolved"
    assert (await house.open("000002")).body["proceed"] == "go"


@housed()
async def test_with_the_line_down_new_customers_are_refused_and_told_why(house: OpenHouse) -> None:
    await house.doubt("000001")
    house.line_down = True
    refused = await house.open("000002")
    assert (refused.status, refused.body["state"], refused.body["proceed"]) == (201, "intent", "refuse")
    assert refused.body["advice"]["code"] == "P19"
    assert refused.body["retry_after_ms"] == 3_000
    assert house.pokes == 2, "each question has the line looked at again"
    house.line_down = False
    assert (await house.post(f"/v1/transactions/{refused.id}/sent")).body["proceed"] == "wait"


@housed()
async def test_after_three_minutes_of_refusals_it_is_go_with_an_incident(house: OpenHouse) -> None:
    await house.doubt("000001")
    house.line_down = True
    opened = await house.open("000002")
    ask = f"/v1/transactions/{opened.id}/sent"
    for _ in range(59):
        await house.pass_time(3_000)
        assert (await house.post(ask)).body["proceed"] == "refuse"
    await house.pass_time(3_000)
    assert (await house.post(ask)).body["proceed"] == "go"
    codes = {item["code"] for item in (await house.get("/v1/incidents?open=true"))["items"]}
    assert "gate_bypassed" in codes


@housed()
async def test_one_moment_of_line_begins_the_three_minutes_anew(house: OpenHouse) -> None:
    await house.doubt("000001")
    house.line_down = True
    opened = await house.open("000002")
    await house.pass_time(179_000)
    await house.do(e.HostReachable())
    await house.do(e.HostUnreachable())
    await house.pass_time(2_000)
    assert (await house.post(f"/v1/transactions/{opened.id}/sent")).body["proceed"] == "refuse"


@housed()
async def test_while_the_batch_settles_nothing_new_is_sent(house: OpenHouse) -> None:
    opened = await house.open(sent=False)
    settling = await house.post("/v1/batch", {"batch": BATCH, "event": "settling"})
    assert settling.body == {"ok": True, "proceed": "go", "pending_reversals": 0}
    ask = f"/v1/transactions/{opened.id}/sent"
    refused = (await house.post(ask)).body
    assert (refused["proceed"], refused["advice"]["code"]) == ("refuse", "N13"), "the line is not at fault"
    await house.post("/v1/batch", {"batch": BATCH, "event": "settled"})
    await house.post("/v1/batch", {"batch": "000002", "event": "changed"})
    assert (await house.post(ask)).body["proceed"] == "go"


@housed()
async def test_go_is_repeated_only_for_ten_seconds(house: OpenHouse) -> None:
    key = await house.sale()
    ask = f"/v1/transactions/{key}/sent"
    await house.pass_time(9_999)
    assert (await house.post(ask)).body["proceed"] == "go"
    await house.pass_time(1)
    late = await house.post(ask)
    assert (late.status, late.body["state"], late.body["proceed"]) == (200, "sent", "refuse")
    await house.pass_time(55_000)
    assert house.on_disk(key) == "in_doubt", "asking again did not move the deadline"
    over = await house.post(ask)
    assert (over.status, over.code) == (409, "not-open")


@housed()
async def test_after_a_restart_an_unsent_intent_is_closed_and_must_be_opened_again(house: OpenHouse) -> None:
    opened = await house.open(sent=False)
    await house.restart()
    refused = await house.post(f"/v1/transactions/{opened.id}/sent")
    assert (refused.status, refused.code) == (409, "not-open")
    assert (await house.get(f"/v1/transactions/{opened.id}"))["state"] == "not_sent"
    assert (await house.open()).body["proceed"] == "go"


@housed()
async def test_a_restart_of_the_agent_keeps_the_deadline_and_a_new_boot_doubts_at_once(house: OpenHouse) -> None:
    first = await house.sale("000001")
    await house.restart()
    assert house.on_disk(first) == "sent"
    await house.restart(new_boot=True)
    assert house.on_disk(first) == "in_doubt"


@housed(sent_reporting=False)
async def test_an_app_that_cannot_ask_is_doubted_when_the_agent_restarts(house: OpenHouse) -> None:
    opened = await house.open(sent=False)
    await house.restart()
    assert house.on_disk(opened.id) == "in_doubt"


@housed(mode="payapp", vault=False)
async def test_in_payapp_mode_it_is_always_go(house: OpenHouse) -> None:
    card = {"token": "tok-1", "last4": "0128"}
    for stan in ("000001", "000002"):
        assert (await house.open(stan, card=card)).body["proceed"] == "go"
    assert (await house.get("/v1/ready")) == {"can_sell": True, "reasons": []}


@housed()
async def test_asking_for_nothing_known_is_not_found(house: OpenHouse) -> None:
    missing = await house.post("/v1/transactions/00000000-0000-4000-8000-000000000000/sent")
    assert (missing.status, missing.code) == (404, "no-such-transaction")


@housed()
async def test_ready_says_what_stands_before_a_sale(house: OpenHouse) -> None:
    assert await house.get("/v1/ready") == {"can_sell": True, "reasons": []}
    key = await house.sale("000001")
    assert await house.get("/v1/ready") == {"can_sell": False, "reasons": ["transaction_running"]}
    await house.result(key, "no_answer")
    assert await house.get("/v1/ready") == {"can_sell": False, "reasons": ["reversal_first"]}
    house.line_down = True
    assert await house.get("/v1/ready") == {"can_sell": False, "reasons": ["line_down"]}
    await house.host_ends(key)
    assert await house.get("/v1/ready") == {"can_sell": True, "reasons": []}
    await house.post("/v1/batch", {"batch": BATCH, "event": "settling"})
    assert await house.get("/v1/ready") == {"can_sell": False, "reasons": ["batch_settling"]}


@housed(line_leased=True)
async def test_on_a_leased_line_ready_says_that_a_reversal_has_it(house: OpenHouse) -> None:
    key = await house.doubt()
    await house.do(e.HostReachable())
    await house.pass_time(90_000)
    assert await house.get("/v1/ready") == {"can_sell": True, "reasons": []}, "exhausted: it is nobody's turn"
    await house.pass_time(30_000)
    await house.do(e.HostReachable())
    assert await house.get("/v1/ready") == {"can_sell": False, "reasons": ["reversal_first"]}
    assert (await house.open("000124")).body["proceed"] == "wait"
    await house.host_answers(key, "00")
    assert (await house.get("/v1/ready"))["can_sell"]
