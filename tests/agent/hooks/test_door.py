"""Who may come in, what is too much, and what becomes of the door when the disk or the agent fails."""

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import aiohttp
import pytest

from agent.hooks import api
from agent.hooks.server import BODY_BYTES_MAX
from tests.support.house import RECEIPT, OpenHouse, housed, nearly_full, open_house

STRANGER = 65_534  # nobody
OTHERS = frozenset({4_294_967_000})


@contextmanager
def being(uid: int) -> Iterator[None]:
    """Act as another user for a moment; only root can."""
    own = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(own)


# ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@housed(allowed_uids=OTHERS)
async def test_a_user_who_is_not_allowed_is_named_and_learns_nothing(house: OpenHouse) -> None:
    calls = [("GET", "/v1/status"), ("GET", "/healthz"), ("POST", "/v1/transactions"), ("GET", "/nowhere"), ("PUT", "/v1/status")]
    before = house.head()
    for method, path in calls:
        refused = await house.call(method, path)
        assert (refused.status, refused.code) == (403, "uid-not-allowed")
        assert f"uid {os.geteuid()} " in refused.body["detail"]
        assert "hook.allowed_uids" in refused.body["detail"]
    assert (await house.open()).status == 403
    assert house.head() == before


def test_the_kernel_says_who_calls_not_the_caller() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        asyncio.run(_call_as_a_stranger(Path(name)))


async def _call_as_a_stranger(folder: Path) -> None:
    """As root the caller really is somebody else; an ordinary user is a stranger to a door that is open to others."""
    root = os.geteuid() == 0
    stranger = STRANGER if root else os.geteuid()
    async with open_house(folder, allowed_uids=None if root else OTHERS) as house:
        link = socket.socket(socket.AF_UNIX)
        _let_everybody_in(house)
        with being(stranger):
            link.connect(str(house.socket))
        reader, writer = await asyncio.open_unix_connection(sock=link)
        writer.write(b"GET /v1/status HTTP/1.1\r\nHost: till\r\nConnection: close\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
    assert answer.startswith("HTTP/1.1 403 ")
    assert f"uid {stranger} may not" in answer


def _let_everybody_in(house: OpenHouse) -> None:
    house.folder.chmod(0o755)
    house.socket.chmod(0o666)


@housed()
async def test_only_owner_and_group_can_even_connect(house: OpenHouse) -> None:
    assert stat.S_IMODE(house.socket.stat().st_mode) == 0o660


@housed(listen=True, token="s3cret")
async def test_on_loopback_nothing_goes_without_the_token(house: OpenHouse) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{house.door.port}") as app:
        for header in (None, "", "s3cret", "Bearer", "Bearer wrong", "bearer s3cret", "Basic s3cret", "Bearer s3cret\u00e9"):
            given: dict[str, str] = {} if header is None else {"Authorization": header}
            refused = await house.call("GET", "/v1/status", headers=given, app=app)
            assert (refused.status, refused.code) == (401, "token-wanted")
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert "s3cret" not in refused.raw.decode()
        allowed = {"Authorization": "Bearer s3cret"}
        assert (await house.call("GET", "/v1/status", headers=allowed, app=app)).status == 200
    assert (await house.call("GET", "/v1/status")).status == 200, "the socket needs no token"


@housed(listen=True, token="s3cret")
async def test_a_token_of_odd_bytes_is_only_a_wrong_token(house: OpenHouse) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.door.port)
    writer.write(b"GET /v1/status HTTP/1.1\r\nHost: till\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


@housed(listen=True)
async def test_without_a_token_loopback_is_shut(house: OpenHouse) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{house.door.port}") as app:
        for token in ("None", ""):
            refused = await house.call("GET", "/v1/status", headers={"Authorization": f"Bearer {token}"}, app=app)
            assert refused.status == 401


# ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@housed()
async def test_a_body_has_at_most_64_kib(house: OpenHouse) -> None:
    async def slowly(data: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(data), 10_000):
            yield data[at : at + 10_000]

    before = house.head()
    for path in ("/v1/transactions", "/v1/batch"):
        fits = await house.post(path, b" " * BODY_BYTES_MAX)
        assert (fits.status, fits.code) == (400, "invalid-json")
        refused = await house.post(path, b" " * (BODY_BYTES_MAX + 1))
        assert (refused.status, refused.code) == (413, "body-too-large")
        async with house.app.post(path, data=slowly(b" " * (BODY_BYTES_MAX + 1))) as response:
            assert (response.status, (await response.json(content_type=None))["type"][-14:]) == (413, "body-too-large")
    assert house.head() == before


@housed()
async def test_a_claim_of_too_much_is_refused_before_it_comes(house: OpenHouse) -> None:
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(b"POST /v1/transactions HTTP/1.1\r\nHost: till\r\nContent-Length: 99999999999\r\n\r\n{")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@housed()
async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(house: OpenHouse) -> None:
    usual, api.BODY_S = api.BODY_S, 0.01
    try:
        reader, writer = await asyncio.open_unix_connection(str(house.socket))
        writer.write(b"POST /v1/transactions HTTP/1.1\r\nHost: till\r\nContent-Length: 100\r\n\r\n{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
    finally:
        api.BODY_S = usual


@housed()
async def test_a_wrong_method_and_an_unknown_path_are_problems(house: OpenHouse) -> None:
    wrong = await house.call("PUT", "/v1/transactions")
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (405, "method-not-allowed", "POST")
    for path in ("/v2/status", "/v1/transactions/a/b/c", "/v1/%00", "/6222021234567890128"):
        unknown = await house.call("GET", path)
        assert (unknown.status, unknown.code) == (404, "no-such-call")
        assert "6222021234567890128" not in unknown.raw.decode()
    async with house.app.head("/v1/status") as response:
        assert (response.status, await response.read()) == (405, b"")


@housed()
async def test_several_requests_on_one_connection_are_answered_in_order(house: OpenHouse) -> None:
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: till\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: till\r\nConnection: close\r\n\r\n")
    answers = await reader.read()
    writer.close()
    assert answers.index(b"HTTP/1.1 200 ") < answers.index(b"HTTP/1.1 404 ")


@housed()
async def test_a_caller_who_hangs_up_before_the_answer_has_still_been_heard(house: OpenHouse) -> None:
    key = await house.sale()
    _, writer = await asyncio.open_unix_connection(str(house.socket))
    body = b'{"outcome":"no_answer"}'
    head = f"POST /v1/transactions/{key}/result HTTP/1.1\r\nHost: till\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    writer.write(head + body)
    await writer.drain()
    for _ in range(10_000):
        if house.on_disk(key) != "sent":
            break
        await asyncio.sleep(0)
    writer.close()
    assert (await house.result(key, "no_answer")).body["state"] == "in_doubt"


# ── the socket file ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_socket_of_a_dead_agent_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "house.sock"))
    left.close()

    async def story() -> None:
        async with open_house(tmp_path) as house:
            assert (await house.get("/healthz"))["ok"]

    asyncio.run(story())


@housed()
async def test_the_socket_of_a_living_agent_is_left_alone(house: OpenHouse) -> None:
    with pytest.raises(OSError, match="in use: another agent runs already"):
        await house.door.open(house.socket, None)
    assert (await house.get("/healthz"))["ok"]


def test_an_agent_that_is_alive_but_busy_counts_as_alive(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(tmp_path / "house.sock"))
        busy.listen(0)
        first.connect(str(tmp_path / "house.sock"))

        async def story() -> None:
            async with open_house(tmp_path):
                raise AssertionError("it must not open")

        with pytest.raises(OSError, match="in use"):
            asyncio.run(story())


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "house.sock").write_text("somebody's notes")

    async def story() -> None:
        async with open_house(tmp_path):
            raise AssertionError("it must not open")

    with pytest.raises(OSError, match="is no socket"):
        asyncio.run(story())
    assert (tmp_path / "house.sock").read_text() == "somebody's notes"


# ── the disk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@housed()
async def test_a_nearly_full_disk_takes_no_new_sale_but_finishes_what_is_open(house: OpenHouse) -> None:
    running = await house.open("000001", key="k")
    with nearly_full():
        before = house.head()
        refused = await house.open("000002")
        assert (refused.status, refused.code) == (507, "disk-full")
        assert house.head() == before
        assert await house.get("/v1/ready") == {"can_sell": False, "reasons": ["disk_full", "transaction_running"]}
        again = await house.open("000001", key="k")
        assert (again.status, again.id) == (201, running.id), "what was taken is said again"
        assert (await house.result(running.id, "approved", receipt=RECEIPT)).body["state"] == "approved"
    assert (await house.open("000002")).status == 201


@housed()
async def test_a_commit_that_finds_no_room_is_undone_whole(house: OpenHouse) -> None:
    (pages,) = next(iter(house.store.database.execute("PRAGMA page_count")))
    house.store.database.execute(f"PRAGMA max_page_count={pages}")
    answers = [await house.open(f"{number:06d}", sent=False) for number in range(40)]
    refused = [answer for answer in answers if answer.status != 201]
    assert refused, "the room must have run out"
    assert {(answer.status, answer.code) for answer in refused} == {(507, "disk-full")}
    taken = [answer.id for answer in answers if answer.status == 201]
    assert sorted(house.inbox.state.transactions) == sorted(taken)
    assert {key for (key,) in house.query("SELECT id FROM transactions")} == set(taken)
    assert house.query("SELECT count(DISTINCT ref) FROM vault") == [(len(taken),)]
    assert house.differences() == []
    house.store.database.execute("PRAGMA max_page_count=1000000")
    assert (await house.open("000099", sent=False)).status == 201, "it goes on by itself when there is room"


@contextmanager
def no_writes() -> Iterator[None]:
    """Every write of this process to a file fails, as on a broken disk (EFBIG: SQLite sees an I/O error)."""
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


@housed()
async def test_after_a_failed_write_nothing_is_confirmed_any_more_and_the_next_start_reads_the_disk(house: OpenHouse) -> None:
    key = await house.sale()
    with no_writes():
        failed = await house.result(key, "approved", response_code="00")
    assert (failed.status, failed.code, failed.headers["Retry-After"]) == (503, "unavailable", "1")
    assert len(house.broken) == 1
    assert (await house.result(key, "approved", response_code="00")).status == 503, "not even on a disk that is well again"
    assert house.on_disk(key) == "sent"
    await house.restart()
    house.broken.clear()
    assert (await house.result(key, "approved", response_code="00")).body["state"] == "approved"


def _mounted(folder: Path) -> bool:
    if shutil.which("mount") is None:
        return False
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True, check=False)
    return done.returncode == 0


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """On a small disk of its own where this user may mount one, else with the room that SQLite may use taken away."""
    mounted = _mounted(tmp_path)

    async def story() -> None:
        async with open_house(tmp_path) as house:
            running = await house.sale("000001")
            _fill(house, mounted=mounted)
            answers = [await house.open(f"{number:06d}") for number in range(2, 60)]
            assert {answer.status for answer in answers} <= {201, 507}
            assert answers[-1].code == "disk-full"
            told = await house.result(running, "no_answer")
            assert (told.status, house.on_disk(running)) in {(200, "in_doubt"), (507, "sent")}
            assert not mounted or told.status == 200, "the grown WAL is a reserve for what is open"

    try:
        asyncio.run(story())
    finally:
        if mounted:
            subprocess.run(["umount", tmp_path], check=True)


def _fill(house: OpenHouse, *, mounted: bool) -> None:
    if not mounted:
        (pages,) = next(iter(house.store.database.execute("PRAGMA page_count")))
        house.store.database.execute(f"PRAGMA max_page_count={pages}")
        return
    with (house.folder / "other").open("wb", buffering=0) as other:
        try:
            while other.write(bytes(1 << 16)):
                pass
        except OSError:
            return
