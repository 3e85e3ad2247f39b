"""What can be read: status, metrics, health, and pages of incidents."""

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from agent.core import event as e
from tests.support.house import BATCH, TERMINAL, VERSION, OpenHouse, housed


@housed()
async def test_the_status_of_a_quiet_agent(house: OpenHouse) -> None:
    status = await house.get("/v1/status")
    expected = {
        "version": VERSION, "mode": "direct", "terminal_id": TERMINAL, "boots": 1, "batch": None, "batch_state": "open",
        "batches": [],
        "pending_reversals": 0, "oldest_pending_ms": None, "money_in_doubt_fen": 0, "open_incidents": 0, "line": "unknown",
        "printer": "unknown", "paper": "unknown", "jobs_waiting": 0, "printed": 0, "printed_lines": 0, "printed_mm": 0,
        "print_failures": 0, "display": "disabled",
        "journal_seq": 1, "scrub_owed": False,
    }
    assert status == expected | {"journal_hash": house.store.hash.hex()}


@housed()
async def test_the_status_counts_what_is_in_doubt_and_for_how_long(house: OpenHouse) -> None:
    await house.doubt("000001", amount_fen=250)
    await house.do(e.HostUnreachable())
    await house.pass_time(120_000)
    status = await house.get("/v1/status")
    assert (status["batch"], status["pending_reversals"], status["money_in_doubt_fen"]) == (BATCH, 1, 250)
    assert (status["oldest_pending_ms"], status["line"], status["open_incidents"]) == (120_000, "down", 1)
    await house.host_ends((await house.get("/v1/incidents"))["items"][0]["transaction"])
    status = await house.get("/v1/status")
    assert (status["pending_reversals"], status["money_in_doubt_fen"], status["scrub_owed"]) == (0, 0, True)


@housed()
async def test_after_a_new_boot_only_the_time_since_it_is_proved(house: OpenHouse) -> None:
    await house.doubt()
    await house.pass_time(500_000)
    await house.restart(new_boot=True)
    await house.pass_time(7_000)
    assert (await house.get("/v1/status"))["oldest_pending_ms"] == 8_000


@housed()
async def test_metrics_are_prometheus_text(house: OpenHouse) -> None:
    await house.doubt(amount_fen=250)
    answer = await house.call("GET", "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body)}
    values = {name: family.samples[0].value for name, family in families.items()}
    assert (values["reversald_pending_reversals"], values["reversald_money_in_doubt_fen"]) == (1, 250)
    assert (values["reversald_scrub_owed"], values["reversald_journal_seq"]) == (0, house.store.seq)
    assert families["reversald_state"].samples[0].labels["mode"] == "direct"
    assert {family.type for family in families.values()} == {"gauge"}


@housed()
async def test_who_only_reads_a_damaged_row_has_the_agent_start_anew(house: OpenHouse) -> None:
    key = await house.doubt()
    (item,) = (await house.get("/v1/incidents"))["items"]
    house.store.database.execute("UPDATE incidents SET code = 'in_doubd'")
    answer = await house.call("GET", "/v1/incidents")
    assert (answer.status, [str(error) for error in house.broken]) == (
        503, ["row 2 of incidents is damaged: the next start makes it anew"],
    )
    await house.restart()
    assert (await house.get("/v1/incidents"))["items"][-1]["code"] == item["code"] == "in_doubt"
    assert (await house.get(f"/v1/transactions/{key}"))["state"] == "in_doubt"


@housed()
async def test_health_tells_the_head_of_the_journal(house: OpenHouse) -> None:
    assert await house.get("/healthz") == {"ok": True, "version": VERSION, "seq": house.store.seq}


@housed()
async def test_incidents_come_in_pages_newest_first_each_once(house: OpenHouse) -> None:
    keys = []
    for number in range(5):
        key = await house.approved(f"{number:06d}")
        await house.result(key, "declined")
        keys.append(key)
    seen: list[str] = []
    path = "/v1/incidents?limit=2"
    pages = 0
    while True:
        page = await house.get(path)
        seen += [item["transaction"] for item in page["items"]]
        pages += 1
        if page["next"] is None:
            break
        path = f"/v1/incidents?limit=2&before={page['next']}"
    assert (seen, pages) == (keys[::-1], 3)


@housed()
async def test_a_last_page_that_is_just_full_has_no_next(house: OpenHouse) -> None:
    for stan in ("000001", "000002"):
        await house.result(await house.approved(stan), "declined")
    assert (await house.get("/v1/incidents?limit=2"))["next"] is None


@housed()
async def test_open_incidents_can_be_asked_for_alone(house: OpenHouse) -> None:
    await house.reversed("000001")
    await house.do(e.LineLost())
    doubted = await house.doubt("000002")
    assert [item["transaction"] for item in (await house.get("/v1/incidents?open=true"))["items"]] == [doubted]
    for query in ("", "?open=false"):
        assert [item["open"] for item in (await house.get(f"/v1/incidents{query}"))["items"]] == [True, False]


@housed()
async def test_an_incident_says_whose_it_is_and_what_comes_next(house: OpenHouse) -> None:
    key = await house.doubt()
    (item,) = (await house.get("/v1/incidents"))["items"]
    assert item | {
        "transaction": key, "code": "in_doubt", "opened_at": house.clock.wall_ms, "open": True, "owner": "cashier",
        "next_action": "hold_goods_and_wait", "resolution": None,
    } == item
    assert await house.get(f"/v1/incidents/{item['id']}") == item


@housed()
async def test_without_a_clock_an_incident_has_no_time(house: OpenHouse) -> None:
    house.clock.wall_ms = None
    await house.doubt()
    assert (await house.get("/v1/incidents"))["items"][0]["opened_at"] is None


@housed()
async def test_questions_that_make_no_sense_are_refused(house: OpenHouse) -> None:
    bad = ("limit=0", "limit=201", "limit=x", "limit=-1", "limit=1.5", "limit=²", "before=0", "before=", "open=yes", "page=2")
    for query in bad:
        answer = await house.call("GET", f"/v1/incidents?{query}")
        assert (answer.status, answer.code) == (400, "invalid-query"), query


@housed(slips=False)
async def test_what_was_closed_long_ago_can_still_be_read(house: OpenHouse) -> None:
    key = await house.reversed()
    (item,) = (await house.get("/v1/incidents"))["items"]
    await house.restart()
    assert key not in house.inbox.state.transactions
    assert (await house.get(f"/v1/transactions/{key}"))["advice"]["code"] == "P4b"
    assert (await house.get(f"/v1/incidents/{item['id']}"))["open"] is False
    assert key not in house.inbox.state.transactions, "reading remembers nothing"


@housed()
async def test_many_may_read_at_once(house: OpenHouse) -> None:
    async with aiohttp.ClientSession("http://till", connector=aiohttp.UnixConnector(str(house.socket), limit=64)) as app:
        answers = [await house.call("GET", "/v1/status", app=app) for _ in range(64)]
    assert {answer.status for answer in answers} == {200}
