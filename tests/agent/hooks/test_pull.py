"""Requests that a payment app without a port pulls from the event stream: heard, repeated, answered once, passed by when over."""

import asyncio
import json
from typing import Any

import pytest

from agent.hooks import pull
from tests.support.house import OpenHouse, housed
from tests.support.waiting import PATIENCE_S, until

CARD = {"token": "tok-1", "last4": "0128"}


async def heard(house: OpenHouse, count: int, last: str | None = None) -> list[tuple[str | None, Any]]:
    """(id, data) of the next requests that a pulling app hears."""
    headers = {} if last is None else {"Last-Event-ID": last}
    found: list[tuple[str | None, Any]] = []
    async with house.client() as app, app.get("/v1/events?requests=true", headers=headers) as stream:
        event: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in stream.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                    continue
                if event.get("event") == "request.opened":
                    found.append((event.get("id"), json.loads(event["data"])))
                event = {}
                if len(found) == count:
                    return found
    raise AssertionError("the stream has ended")


@housed(mode="payapp", vault=False)
async def test_a_request_carries_its_name_what_it_wants_and_how_long_it_is_open(house: OpenHouse) -> None:
    key = await house.sale("000001", card=CARD)
    listening = asyncio.ensure_future(heard(house, 1))
    await until(lambda: house.inbox.state.agent.pulls)
    await house.result(key, "no_answer")
    ((seq, said),) = await listening
    assert seq is not None
    asked = {"request": f"{key}.1", "what": "flush_reversals", "stan": "000001", "batch": "000001", "within_ms": 30_000}
    assert (said["type"], said["transaction"], said["data"], said["left_ms"]) == ("request.opened", key, asked, 30_000)


@housed(mode="payapp", vault=False)
async def test_who_comes_later_hears_of_what_is_open_first_and_after_a_restart_too(house: OpenHouse) -> None:
    key = await house.sale("000001", card=CARD)
    await house.result(key, "no_answer")
    house.clock.pass_ms(10_000)
    for _ in range(2):
        ((seq, said),) = await heard(house, 1)
        assert (seq, said["data"]["request"]) == (None, f"{key}.1")
        await house.restart()


@housed(mode="payapp", vault=False)
async def test_a_request_is_answered_once_and_what_is_over_says_so(house: OpenHouse) -> None:
    key = await house.sale("000001", card=CARD)
    await house.result(key, "no_answer")
    call = f"/v1/requests/{key}.1"
    first = await house.post(call, {"outcome": "accepted", "response_code": "00"})
    assert (first.status, first.body["state"]) == (200, "reversed")
    late = await house.post(call, {"outcome": "busy"})
    assert (late.status, late.code, late.body["state"]) == (409, "request-closed", "reversed")
    ((_, said),) = await heard(house, 1, last="0")
    assert said["left_ms"] is None
    assert [entry.type for entry in house.told("request.late")] == ["request.late"]


@housed(mode="payapp", vault=False)
async def test_a_reconnect_is_no_news_and_an_absence_is(house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "GRACE_S", 0.2)
    key = await house.sale("000001", card=CARD)
    await house.result(key, "no_answer")
    for _ in range(2):
        await heard(house, 1)
    assert [entry.type for entry in house.entries() if entry.type.startswith("payapp.")] == ["payapp.attached"]
    await until(lambda: house.told("payapp.detached"))


@housed(mode="payapp", vault=False)
async def test_an_odd_query_is_refused(house: OpenHouse) -> None:
    for query in ("requests=perhaps", "all=1", "requests=true&x=1"):
        refused = await house.call("GET", f"/v1/events?{query}")
        assert (refused.status, refused.code) == (400, "invalid-query")
