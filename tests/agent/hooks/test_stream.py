"""Server-sent events: nothing lost, nothing twice, whoever reconnects, however slowly one reads."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp

from agent.core.event import HostReachable, HostUnreachable, TerminalChanged
from agent.hooks import stream
from tests.support.house import OpenHouse, housed


class Seen(NamedTuple):
    """One event as a listener sees it."""

    id: int
    event: str
    data: Any


class Listener:
    """Reads one stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> Seen:
        """The next event; comments are passed over."""
        fields: dict[str, str] = {}
        while True:
            line = (await self._response.content.readline()).decode()
            assert line, "the stream has ended"
            name, colon, value = line.rstrip("\n").partition(": ")
            if colon and name:
                fields[name] = value
            elif not line.strip() and fields:
                return Seen(int(fields["id"]), fields["event"], json.loads(fields["data"]))

    async def until(self, seq: int) -> list[Seen]:
        """Everything up to this number."""
        seen: list[Seen] = []
        while not seen or seen[-1].id < seq:
            seen.append(await self.next())
        return seen

    async def rest(self) -> bytes:
        """What comes until the agent ends the stream."""
        return await self._response.content.read()


@contextlib.asynccontextmanager
async def listening(house: OpenHouse, last: int | str | None = None) -> AsyncIterator[Listener]:
    """A program that listens, over a connection of its own."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with house.client() as app, app.get("/v1/events", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        yield Listener(response)


@housed()
async def test_a_listener_hears_what_happens_from_now_on_with_its_advice(house: OpenHouse) -> None:
    await house.approved("000001")
    async with listening(house) as listener:
        key = await house.doubt("000002")
        seen = await listener.until(house.store.seq)
    assert [event.event for event in seen] == [
        "transaction.opened", "transaction.sent", "transaction.in_doubt", "incident.opened", "reversal.opened",
    ]
    doubt = next(event for event in seen if event.event == "transaction.in_doubt")
    assert (doubt.data["transaction"], doubt.data["state"], doubt.data["advice"]["code"]) == (key, "in_doubt", "P3")
    assert (doubt.data["seq"], doubt.data["at"]) == (doubt.id, house.clock.wall_ms)
    incident = next(event for event in seen if event.event == "incident.opened")
    assert incident.data["incident"] == (await house.get("/v1/incidents"))["items"][0]["id"]


@housed()
async def test_every_event_says_what_the_customer_is_shown_also_when_only_the_line_changed(house: OpenHouse) -> None:
    async with listening(house, 0) as listener:
        key = await house.doubt("000002")
        assert (await listener.until(house.store.seq))[-1].data["customer"]["zh"][0] == "待冲正,请勿重复付款"
        await house.inbox.submit(HostReachable())
        said = (await listener.until(house.store.seq))[-1].data["customer"]
        assert (said["transaction"], said["code"], said["lasting"]) == (key, "P4a", True)
        assert said["zh"] == ["冲正中,请勿再刷卡", "1.00元         *0128"]
        await house.inbox.submit(HostUnreachable())
        down = next(event for event in await listener.until(house.store.seq) if event.data["transaction"] is None)
        assert down.data["customer"]["code"] == "P3", "this event is about no transaction, yet an advice is another"


@housed()
async def test_before_any_payment_the_customer_is_shown_nothing(house: OpenHouse) -> None:
    async with listening(house, 0) as listener:
        await house.post("/v1/terminal", {"event": "rebooted"})
        assert {event.data["customer"] for event in await listener.until(house.store.seq)} == {None}


@housed()
async def test_nothing_is_lost_or_doubled_across_reconnects(house: OpenHouse) -> None:
    seen: list[int] = []
    for number in range(12):
        async with listening(house, seen[-1] if seen else 0) as listener:
            await house.doubt(f"{number:06d}") if not number else await house.open(f"{number:06d}")
            seen += [(await listener.next()).id for _ in range(1 + number % 2)]
        await house.post("/v1/terminal", {"event": "rebooted"})
    async with listening(house, seen[-1]) as listener:
        seen += [event.id for event in await listener.until(house.store.seq)]
    assert seen == list(range(1, house.store.seq + 1))


@housed()
async def test_a_long_story_is_told_in_order_while_it_goes_on(house: OpenHouse) -> None:
    for _ in range(stream.CHUNK):
        await house.post("/v1/terminal", {"event": "rebooted"})
    async with listening(house, 0) as listener:
        told = asyncio.create_task(listener.until(2 * stream.CHUNK))
        for _ in range(stream.CHUNK):
            await house.post("/v1/terminal", {"event": "rebooted"})
        seen = await told
    assert [event.id for event in seen] == list(range(1, 2 * stream.CHUNK + 1))


@housed()
async def test_after_a_restart_the_story_goes_on_where_the_listener_was(house: OpenHouse) -> None:
    key = await house.sale()
    last = house.store.seq
    await house.restart(new_boot=True)
    async with listening(house, last) as listener:
        seen = await listener.until(house.store.seq)
    assert [event.id for event in seen] == list(range(last + 1, house.store.seq + 1))
    assert key in {event.data["transaction"] for event in seen if event.event == "transaction.in_doubt"}


@housed()
async def test_a_number_of_another_journal_begins_the_story_anew(house: OpenHouse) -> None:
    async with listening(house, 10**16) as listener:
        assert (await listener.next()).id == 1


@housed()
async def test_a_slow_listener_holds_up_only_itself(house: OpenHouse) -> None:
    slow = socket.socket(socket.AF_UNIX)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    slow.connect(str(house.socket))
    slow.sendall(b"GET /v1/events HTTP/1.1\r\nHost: till\r\nLast-Event-ID: 0\r\n\r\n")
    for _ in range(1_500):
        house.inbox.tell(TerminalChanged(what="rebooted"))
    await house.post("/v1/terminal", {"event": "rebooted"})
    key = await house.doubt()
    async with listening(house, house.store.seq - 1) as quick:
        assert (await quick.next()).id == house.store.seq
    assert (await house.get(f"/v1/transactions/{key}"))["state"] == "in_doubt"
    reader, writer = await asyncio.open_unix_connection(sock=slow)
    ids: list[int] = []
    while not ids or ids[-1] < house.store.seq:
        line = await reader.readline()
        if line.startswith(b"id: "):
            ids.append(int(line[4:]))
    writer.close()
    assert ids == list(range(1, house.store.seq + 1))


@housed()
async def test_there_is_room_for_sixteen_and_who_hangs_up_makes_room(house: OpenHouse) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(stream.CLIENTS_MAX):
            await stack.enter_async_context(listening(house))
        refused = await house.call("GET", "/v1/events")
        assert (refused.status, refused.code) == (503, "too-many-listeners")
    for _ in range(10_000):
        if house.door.bell.listeners:
            await asyncio.sleep(0)
    async with listening(house, 0) as listener:
        assert (await listener.next()).event == "agent.started"


@housed()
async def test_when_the_agent_stops_every_stream_ends(house: OpenHouse) -> None:
    async with listening(house) as listener:
        await house.door.close()
        assert await listener.rest() == b""


@housed()
async def test_a_stream_on_which_nothing_happens_shows_that_it_lives(house: OpenHouse) -> None:
    usual, stream.PING_S = stream.PING_S, 0.01
    try:
        async with house.client() as app, app.get("/v1/events") as response:
            assert await response.content.readline() == b": still here\n"
    finally:
        stream.PING_S = usual


@housed()
async def test_a_last_event_id_is_a_number(house: OpenHouse) -> None:
    for value in ("x", "-1", "1.5", "9" * 18, "²"):
        answer = await house.call("GET", "/v1/events", headers={"Last-Event-ID": value})
        assert (answer.status, answer.code) == (400, "invalid-last-event-id"), value
