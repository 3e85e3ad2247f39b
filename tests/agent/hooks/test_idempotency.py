"""Idempotency-Key: the same key and body give the first answer for 24 hours, per user; `go` only while it is valid."""

import asyncio
from hashlib import sha256

import aiohttp
import pytest

from tests.support.house import PAN, SALE, OpenHouse, housed

HOUR = 3_600_000


@housed()
async def test_the_same_key_and_body_give_the_first_answer(house: OpenHouse) -> None:
    first = await house.open(key="till-1/1")
    before = house.head()
    again = await house.open(key="till-1/1")
    assert (again.status, again.body) == (first.status, first.body)
    assert house.head() == before
    assert (await house.open()).status == 409, "without the key it is another transaction with a used number"


@housed()
async def test_the_same_key_with_another_body_is_refused(house: OpenHouse) -> None:
    await house.open(key="k")
    before = house.head()
    refused = await house.open(key="k", amount_fen=101)
    assert (refused.status, refused.code) == (409, "idempotency-key-reused")
    assert house.head() == before


@housed()
async def test_a_key_belongs_to_one_call(house: OpenHouse) -> None:
    key = (await house.open(key="k")).id
    refused = await house.post(f"/v1/transactions/{key}/reprint", SALE, key="k")
    assert refused.status == 400, "the body is looked at first"
    assert (await house.post(f"/v1/transactions/{key}/sent", key="k")).code == "idempotency-key-reused"


@housed(listen=True, token="secret")
async def test_a_key_belongs_to_one_user(house: OpenHouse) -> None:
    await house.open("000001", key="k")
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer secret"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{house.door.port}") as other:
        opened = await house.call("POST", "/v1/transactions", SALE | {"stan": "000002"}, headers=headers, app=other)
        assert opened.status == 201
        again = await house.call("POST", "/v1/transactions", SALE | {"stan": "000002"}, headers=headers, app=other)
        assert again.id == opened.id


@housed()
async def test_go_is_repeated_only_while_it_is_valid(house: OpenHouse) -> None:
    first = await house.open(key="k")
    assert first.body["proceed"] == "go"
    await house.pass_time(9_999)
    assert (await house.open(key="k")).body["proceed"] == "go"
    house.clock.pass_ms(1)  # nobody has told the agent that time went by
    late = await house.open(key="k")
    assert (late.status, late.id, late.body["proceed"]) == (201, first.id, "refuse")


@housed()
async def test_go_is_not_repeated_once_a_result_is_there(house: OpenHouse) -> None:
    first = await house.open(key="k")
    await house.result(first.id, "no_answer")
    again = await house.open(key="k")
    assert (again.status, again.body["state"], again.body["proceed"]) == (201, "in_doubt", "refuse")


@housed()
async def test_go_is_not_repeated_after_a_new_boot(house: OpenHouse) -> None:
    first = await house.open(key="k")
    await house.restart(new_boot=True)
    again = await house.open(key="k")
    assert (again.id, again.body["state"], again.body["proceed"]) == (first.id, "in_doubt", "refuse")


@housed()
async def test_wait_stays_the_first_answer_and_a_new_question_gets_a_new_one(house: OpenHouse) -> None:
    running = await house.sale("000001")
    opened = await house.open("000002", sent=False)
    ask = f"/v1/transactions/{opened.id}/sent"
    assert (await house.post(ask, key="q1")).body["proceed"] == "wait"
    await house.result(running, "declined")
    assert (await house.post(ask, key="q1")).body["proceed"] == "wait"
    assert (await house.post(ask, key="q2")).body["proceed"] == "go"


@housed()
async def test_a_conflict_is_also_a_first_answer(house: OpenHouse) -> None:
    key = await house.doubt()
    late = {"outcome": "approved", "response_code": "00"}
    first = await house.post(f"/v1/transactions/{key}/result", late, key="r")
    before = house.head()
    again = await house.post(f"/v1/transactions/{key}/result", late, key="r")
    assert (first.status, again.status, again.body) == (409, 409, first.body)
    assert house.head() == before


@housed()
async def test_a_refusal_is_not_kept_so_that_the_mistake_can_be_corrected(house: OpenHouse) -> None:
    await house.approved("000001")
    assert (await house.open("000001", key="k")).code == "duplicate-stan"
    assert (await house.open("000002", key="k")).status == 201


@housed()
async def test_keys_survive_a_restart(house: OpenHouse) -> None:
    first = await house.open(key="k")
    await house.restart()
    assert (await house.open(key="k")).body == first.body


@housed()
async def test_a_key_is_free_again_after_24_hours(house: OpenHouse) -> None:
    first = await house.open("000001", key="k")
    await house.result(first.id, "declined")
    await house.pass_time(24 * HOUR - 1)
    assert (await house.open("000002", key="k")).code == "idempotency-key-reused"
    await house.pass_time(1)
    assert (await house.open("000002", key="k")).status == 201
    assert house.query("SELECT count(*) FROM idempotency") == [(1,)]


@housed()
async def test_keys_used_before_the_time_was_known_are_kept_when_it_becomes_known(house: OpenHouse) -> None:
    house.clock.wall_ms = None
    first = await house.open("000001", key="a")
    house.clock.wall_ms = 1_772_416_800_000
    await house.result(first.id, "declined")
    await house.open("000002", key="b")
    assert (await house.open("000001", key="a")).id == first.id


@housed()
async def test_twins_in_one_flush_are_one_transaction(house: OpenHouse) -> None:
    flushes = house.inbox.flushes
    answers = await asyncio.gather(*(house.open(key="k") for _ in range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.id for answer in answers}) == 1
    assert house.query("SELECT count(*) FROM transactions") == [(1,)]
    assert house.inbox.flushes > flushes


@housed()
async def test_unlike_twins_in_one_flush_are_told_apart(house: OpenHouse) -> None:
    answers = await asyncio.gather(*(house.open(key="k", amount_fen=100 + n) for n in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]


@housed()
async def test_jobs_are_not_printed_twice_under_one_key(house: OpenHouse) -> None:
    first = await house.post("/v1/print/test", key="p")
    again = await house.post("/v1/print/test", key="p")
    assert (again.status, again.body["jobs"]) == (202, first.body["jobs"])
    assert len(house.prints()) == 1


@pytest.mark.parametrize("key", ["", "k" * 65, "é", " "])
@housed()
async def test_a_key_is_1_to_64_printable_ascii_characters(house: OpenHouse, key: str) -> None:
    before = house.head()
    refused = await house.open(key=key)
    assert (refused.status, refused.code) == (400, "invalid-idempotency-key")
    assert house.head() == before
    assert (await house.open(key="k" * 64)).status == 201


@housed()
async def test_neither_key_nor_digest_on_disk_is_a_way_back_to_a_card_number(house: OpenHouse) -> None:
    await house.open(key=PAN)
    ((key, digest),) = house.query("SELECT key, digest FROM idempotency")
    assert PAN not in key
    assert key != sha256(PAN.encode()).hexdigest()[: len(key)]
    assert len(digest) == 16, "64 bits of a keyed hash"
