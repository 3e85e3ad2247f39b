"""How a browser comes in: by a link that works once, under a loopback name, and to nothing but what its pages show."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from agent.hooks import access as a
from agent.hooks.assets import PARTS, POLICY
from agent.hooks.routes import ROUTES
from tests.agent.hooks.calls import BODIES, UNKNOWN_ID
from tests.support.house import Answer, OpenHouse, housed

TOKEN = "s3cret"


@asynccontextmanager
async def outside(house: OpenHouse) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser on the loopback port."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{house.door.port}") as app:
        yield app


async def link(house: OpenHouse, **more: str) -> str:
    """What stands behind the # of a fresh link."""
    made = await house.post("/v1/pages/link", more)
    assert made.status == 201, made
    return str(made.body["url"]).partition("#")[2]


async def redeem(house: OpenHouse, app: aiohttp.ClientSession, key: str) -> Answer:
    """The page hands it in."""
    return await house.call("POST", "/v1/pages/session", {"key": key}, app=app)


async def page_token(house: OpenHouse, app: aiohttp.ClientSession) -> dict[str, str]:
    """The header of a page that came in."""
    return {"Authorization": f"Bearer {(await redeem(house, app, await link(house))).body['token']}"}


@housed(listen=True, token=TOKEN)
async def test_a_link_names_the_page_and_keeps_its_secret_behind_the_fragment(house: OpenHouse) -> None:
    cashier = (await house.post("/v1/pages/link")).body
    assert re.fullmatch(rf"http://127\.0\.0\.1:{house.door.port}/cashier#[0-9a-f]{{32}}", cashier["url"])
    assert cashier["valid_ms"] == a.LINK_MS
    technician = (await house.post("/v1/pages/link", {"page": "technician", "lang": "en"})).body
    assert technician["url"].partition("#")[0] == f"http://127.0.0.1:{house.door.port}/?lang=en"


@housed(listen=True, token=TOKEN)
async def test_a_link_works_once_and_not_for_ever(house: OpenHouse) -> None:
    async with outside(house) as app:
        key = await link(house)
        assert (await redeem(house, app, key)).status == 201
        assert (await redeem(house, app, key)).code == "link-used-up"
        late = await link(house)
        house.clock.pass_ms(a.LINK_MS)
        assert (await redeem(house, app, late)).code == "link-used-up"
        assert (await redeem(house, app, "guessed")).code == "link-used-up"


@housed(listen=True, token=TOKEN)
async def test_so_many_links_wait_and_the_oldest_gives_way(house: OpenHouse) -> None:
    keys = [await link(house) for _ in range(a.LINKS_MAX + 1)]
    async with outside(house) as app:
        answers = [(await redeem(house, app, key)).status for key in keys]
    assert answers == [403] + [201] * a.LINKS_MAX


@housed(listen=True, token=TOKEN)
async def test_only_who_may_use_the_api_gets_a_link(house: OpenHouse) -> None:
    async with outside(house) as app:
        assert (await house.call("POST", "/v1/pages/link", {}, app=app)).code == "token-wanted"
        page = await page_token(house, app)
        assert (await house.call("POST", "/v1/pages/link", {}, app=app, headers=page)).code == "not-for-pages"
        full = {"Authorization": f"Bearer {TOKEN}"}
        assert (await house.call("POST", "/v1/pages/link", {}, app=app, headers=full)).status == 201


@housed()
async def test_without_a_loopback_port_there_is_no_link(house: OpenHouse) -> None:
    refused = await house.post("/v1/pages/link")
    assert (refused.status, refused.code) == (409, "no-page-port")
    assert "hook.listen" in refused.body["detail"]


# ── what a page token opens ──────────────────────────────────────────────────────────────────────────────────────────


@housed(listen=True, token=TOKEN)
async def test_a_page_token_opens_the_calls_of_the_pages_and_no_others(house: OpenHouse) -> None:
    async with outside(house) as app:
        headers = await page_token(house, app)
        for route in ROUTES:
            if route.path == "/v1/events":
                continue
            path = route.path.replace("{id}", UNKNOWN_ID).replace("{name}", PARTS[0])
            answer = await house.call(route.method, path, BODIES.get(route.path), app=app, headers=headers)
            refused = answer.type == "application/problem+json" and answer.code == "not-for-pages"
            assert refused == (route.access == "token"), (route.path, answer)
        allowed = {route.path for route in ROUTES if route.method == "POST" and route.access == "page"}
    assert allowed == {f"/v1/transactions/{{id}}/{call}" for call in
                       ("reprint", "guarantee", "evidence", "disposition", "acknowledge")}


@housed(listen=True, token=TOKEN)
async def test_a_page_follows_the_events_but_answers_no_requests_and_stops_no_reversal(house: OpenHouse) -> None:
    key = await house.doubt()
    async with outside(house) as app:
        headers = await page_token(house, app)
        async with app.get("/v1/events", headers=headers | {"Last-Event-ID": "0"}) as stream:
            assert (stream.status, (await stream.content.readline())[:4]) == (200, b"id: ")
        assert (await house.call("GET", "/v1/events?requests=true", app=app, headers=headers)).code == "not-for-pages"
        path = f"/v1/transactions/{key}/disposition"
        by_hand = await house.call("POST", path, {"by_hand": "refunded"}, app=app, headers=headers)
        assert (by_hand.status, by_hand.code) == (403, "not-for-pages")
        assert (await house.call("POST", path, {"goods": "held"}, app=app, headers=headers)).status == 200
    assert house.inbox.state.reversals[key].pending


@housed(listen=True, token=TOKEN)
async def test_a_page_token_outlives_a_restart_and_not_the_tokens_change(house: OpenHouse) -> None:
    async with outside(house) as app:
        headers = await page_token(house, app)
    for token, status in ((TOKEN, 200), ("another", 401), (None, 401)):
        await house.stop()
        house._token = token
        await house.start(listen=True)
        async with outside(house) as app:
            assert (await house.call("GET", "/v1/cashier", app=app, headers=headers)).status == status


@housed(listen=True, token=TOKEN)
async def test_a_token_that_was_made_up_opens_nothing(house: OpenHouse) -> None:
    async with outside(house) as app:
        name, _, signature = (await page_token(house, app))["Authorization"].removeprefix("Bearer ").partition(".")
        other = "1" if signature[-1] == "0" else "0"
        made_up = ("", ".", name, f"{name}.", f".{signature}", f"{name}.{signature[:-1]}{other}", f"{name}0.{signature}",
                   f"{name}.{signature}é")
        for token in made_up:
            refused = await house.call("GET", "/v1/cashier", app=app, headers={"Authorization": f"Bearer {token}"})
            assert refused.code == "token-wanted", token


# ── the pages as files ───────────────────────────────────────────────────────────────────────────────────────────────


@housed(listen=True, token=TOKEN)
async def test_the_pages_are_open_hold_no_data_and_bind_the_browser(house: OpenHouse) -> None:
    await house.doubt()
    async with outside(house) as app:
        for path in ("/", "/cashier", *(f"/pages/{name}" for name in PARTS)):
            async with app.get(path) as response:
                text = await response.text()
                assert response.status == 200
                assert response.headers["Content-Security-Policy"] == POLICY
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Cache-Control"] == "no-store"
                assert "Set-Cookie" not in response.headers
                assert "Access-Control-Allow-Origin" not in response.headers
            assert "000123" not in text
            assert TOKEN not in text
        for name in ("texts.json", "..%2freversald.toml", "cashier.html", "..%5ccashier.html"):
            assert (await house.call("GET", f"/pages/{name}", app=app)).status in {401, 404}


FOREIGN = ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}"]


@pytest.mark.parametrize("host", FOREIGN)
@housed(listen=True, token=TOKEN)
async def test_a_foreign_name_that_points_here_gets_nothing(house: OpenHouse, host: str) -> None:
    async with outside(house) as app:
        token = await page_token(house, app)
        named = {"Host": host.format(port=house.door.port)}
        for path in ("/", "/cashier", "/pages/link.js"):
            refused = await house.call("GET", path, app=app, headers=named)
            assert (refused.status, refused.code) == (421, "wrong-host")
        handed_in = await house.call("POST", "/v1/pages/session", {"key": await link(house)}, app=app, headers=named)
        assert handed_in.code == "wrong-host"
        assert (await house.call("GET", "/v1/cashier", app=app, headers=named | token)).code == "wrong-host"
        full = {"Authorization": f"Bearer {TOKEN}"}
        program = await house.call("GET", "/v1/status", app=app, headers=named | full)
        assert program.status == 200, "a program with the token may call it anything"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}"])
@housed(listen=True, token=TOKEN)
async def test_every_name_of_loopback_is_ours(house: OpenHouse, host: str) -> None:
    async with outside(house) as app:
        assert (await house.call("GET", "/cashier", app=app, headers={"Host": host.format(port=house.door.port)})).status == 200
