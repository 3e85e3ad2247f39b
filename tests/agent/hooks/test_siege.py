"""Input drawn at random: whatever comes, the agent answers or refuses, and nothing breaks."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.hooks.calls import BODIES, PATHS, POSTS, UNKNOWN_ID, leaves, shows_card, spoiled
from tests.support.house import PAN, Answer, OpenHouse, open_house

KEEPS = {"in-doubt", "contradiction"}  # refusals that keep what was said as evidence


class Besieged:
    """One house for all examples of a test, on one event loop."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._life = open_house(folder)
        self.house: OpenHouse = runner.run(self._life.__aenter__())
        self.ids = [runner.run(self.house.approved("900001")), runner.run(self.house.sale("900002")), UNKNOWN_ID, "x", PAN, "é"]

    def call(self, *args: Any, **more: Any) -> Answer:
        """One call."""
        return self._runner.run(self.house.call(*args, **more))

    def send(self, raw: bytes) -> bytes:
        """Bytes on a fresh connection, and what comes back before the agent would have to wait for more."""
        return self._runner.run(self._send(raw))

    async def _send(self, raw: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.house.socket))
        writer.write(raw)
        for _ in range(40):
            await asyncio.sleep(0)
        writer.write_eof()
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    def end(self) -> None:
        """Close; the replay of all that happened must give the rows."""
        self._runner.run(self._life.__aexit__(None, None, None))


@pytest.fixture
def besieged(tmp_path: Path) -> Iterator[Besieged]:
    """A house under siege."""
    with asyncio.Runner() as runner:
        under = Besieged(tmp_path, runner)
        yield under
        under.end()
        assert not shows_card((tmp_path / "journal.db").read_bytes().decode("latin-1"))


def _judge(answer: Answer, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
    """What must hold of every answer to anything."""
    assert answer.status not in {500, 502, 503, 504}, answer
    assert not shows_card(answer.raw.decode()), answer
    assert b"Traceback" not in answer.raw
    assert b".py" not in answer.raw
    if answer.status >= 400:
        assert answer.type == "application/problem+json", answer
        assert re.fullmatch(r"urn:reversald:problem:[a-z0-9-]+", answer.body["type"])
        assert answer.body["status"] == answer.status
        assert answer.body["title"]
        assert answer.body["detail"]
        if answer.code not in KEEPS:
            assert after == before, answer


ODD = st.sampled_from([PAN, "000123", "\x00", "9" * 70])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.just(PAN), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def near_valid(draw: st.DrawFn, path: str) -> bytes:
    """The body of a call with something wrong, or strange, in it."""
    body: Any = BODIES.get(path, {})
    for _ in range(draw(st.integers(0, 3))):
        ways = list(leaves(body))
        what = draw(st.sampled_from(["leaf", "drop", "add", "all"]))
        if what == "leaf" and ways and ways != [()]:
            body = spoiled(body, draw(st.sampled_from(ways)), draw(JSON))
        elif what == "drop" and isinstance(body, dict) and body:
            body = {key: value for key, value in body.items() if key != draw(st.sampled_from(sorted(body)))}
        elif what == "add" and isinstance(body, dict):
            body = body | {draw(st.text(max_size=8) | st.just(PAN)): draw(JSON)}
        elif what == "all":
            body = draw(JSON)
    raw = json.dumps(body, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    cut = draw(st.integers(0, len(raw)) | st.just(len(raw)))
    return raw[:cut] + draw(st.sampled_from([b"", b" ", b"\x00", b"}", b"\xff"]))


HEADERS = st.dictionaries(
    st.sampled_from(["Idempotency-Key", "Content-Type", "Last-Event-ID", "X-Card", "Authorization", "Content-Encoding"]),
    st.sampled_from([PAN, "x" * 64, "x" * 65, "", "text/html", "application/json; charset=gbk", "gzip", "Bearer x"])
    | st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=70),
    max_size=2,
)


@given(st.data())
def _siege_with_json(besieged: Besieged, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(POSTS + PATHS))
    method = data.draw(st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH"]))
    if path == "/v1/events" and method == "GET":
        return  # a stream does not end; its own tests are elsewhere
    call = path.replace("{id}", data.draw(st.sampled_from(besieged.ids)))
    before = besieged.house.head()
    answer = besieged.call(method, call, data.draw(near_valid(path)), headers=data.draw(HEADERS))
    _judge(answer, before, besieged.house.head())


@pytest.mark.hypothesis
def test_near_valid_calls_are_answered_or_refused_and_never_break_anything(besieged: Besieged) -> None:
    _siege_with_json(besieged)


def _answers(raw: bytes) -> Iterator[Answer]:
    """The responses in a byte stream; one that is cut off at its end is left out."""
    while (found := re.match(rb"HTTP/\d\.\d (\d{3}) .*?\r\n\r\n", raw, re.DOTALL)) is not None:
        head = found.group().decode("latin-1").lower()
        status, raw = int(found[1]), raw[found.end() :]
        length = re.search(r"content-length: (\d+)", head)
        if status == 100 or length is None:
            continue
        body, raw = raw[: int(length[1])], raw[int(length[1]) :]
        kind = re.search(r"content-type: ([^\r;]+)", head)
        if len(body) == int(length[1]) and kind is not None:
            yield Answer(status, kind[1], json.loads(body) if kind[1].endswith("json") else body.decode(), body, {})


def _request(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: till\r\nContent-Type: application/json\r\nIdempotency-Key: k-{PAN}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


MEANT = st.sampled_from([b"\r\n", b"\x00", b"%00%ff", b" ", b"\r\n\r\n", PAN.encode()])


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good request with bytes changed, inserted, taken out or repeated; or plain noise."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=300)) + draw(st.sampled_from([b"", b"\r\n\r\n", b" HTTP/1.1\r\n\r\n"]))
    path = draw(st.sampled_from(POSTS)).replace("{id}", UNKNOWN_ID)
    raw = bytearray(_request(path, b'{"outcome":"no_answer","x":"%s"}' % PAN.encode()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        size = draw(st.integers(0, 8))
        raw[at : at + size] = draw(st.binary(max_size=8) | MEANT)
        if not raw:
            break
    return bytes(raw)


@given(mangled())
def _siege_with_bytes(besieged: Besieged, raw: bytes) -> None:
    before = besieged.house.head()
    came = besieged.send(raw)
    assert not shows_card(came.decode("latin-1"))
    for answer in _answers(came):
        _judge(answer, before, besieged.house.head())
    assert besieged.call("GET", "/healthz").status == 200


@pytest.mark.hypothesis
def test_any_bytes_at_all_are_survived(besieged: Besieged, caplog: pytest.LogCaptureFixture) -> None:
    _siege_with_bytes(besieged)
    assert not shows_card(caplog.text)
    assert "a defect" not in caplog.text


NOT_HTTP = [
    b"GARBAGE " + PAN.encode() + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: till\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: till\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\nHost: till\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
    b"GET /healthz HTTP/1.1\r\nX: " + PAN.encode() * 600 + b"\r\n\r\n",
    b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: till\r\n\r\n",
    b"POST /v1/batch HTTP/1.1\r\nHost: till\r\nContent-Length: -1\r\n\r\n{}",
    b"POST /v1/batch HTTP/1.1\r\nHost: till\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/batch HTTP/1.1\r\nHost: till\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"POST /v1/batch HTTP/1.1\r\nHost: till\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("raw", NOT_HTTP)
def test_what_is_not_http_gets_a_problem_and_is_not_repeated(
    besieged: Besieged, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (answer,) = _answers(besieged.send(raw))
    assert (answer.status, answer.code) == (400, "not-http")
    assert not shows_card(caplog.text)


@pytest.mark.parametrize("path", ["/v1/batch", "/nowhere"])
def test_an_expectation_that_is_not_known_is_a_problem(besieged: Besieged, path: str) -> None:
    raw = f"POST {path} HTTP/1.1\r\nHost: till\r\nExpect: {PAN}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    (answer,) = _answers(besieged.send(raw))
    assert (answer.status, answer.code) == (417, "expectation-failed")
    assert not shows_card(answer.raw.decode())
