"""Bad input of every kind: always a problem that says what to do; never a defect, never a card number, nothing changed."""

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hooks import api
from agent.hooks.routes import ROUTES
from tests.support.house import CHIP, PAN, RECEIPT, SALE, Answer, OpenHouse, housed, open_house

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
KEEPS = {"in-doubt", "contradiction"}  # refusals that keep what was said as evidence
BODIES: dict[str, dict[str, Any]] = {
    "/v1/transactions": SALE | {
        "currency": "156", "condition": "00", "basket_id": "B-77", "replaces": UNKNOWN_ID,
        "original": {"batch": "000001", "stan": "000001", "date": "0302"},
    },
    "/v1/transactions/{id}/sent": {},
    "/v1/transactions/{id}/result": {
        "outcome": "approved", "response_code": "00", "approved_fen": 100, "rrn": "1", "auth_code": "A1B2C3", "chip": CHIP,
        "receipt": RECEIPT,
    },
    "/v1/transactions/{id}/receipt": RECEIPT | {"qr": "https://r.example/1", "copies": 2},
    "/v1/transactions/{id}/reprint": {"blank": False},
    "/v1/transactions/{id}/guarantee": {"contact": "138", "copies": 2},
    "/v1/transactions/{id}/evidence": {
        "kind": "debit_sms", "amount_fen": 100, "order_no": "1", "merchant": "店", "at": "10:00", "text": "扣款",
    },
    "/v1/transactions/{id}/disposition": {"goods": "held", "replaced_by": "cash", "accepts_risk": False, "contact": "138"},
    "/v1/transactions/{id}/recover": {"by": "operator"},
    "/v1/batch": {"batch": "000001", "event": "settling"},
    "/v1/terminal": {"event": "signed_in"},
    "/v1/link": {"state": "up"},
    "/v1/print/test": {},
    "/v1/incidents/{id}/resolve": {"as": "no_action", "by": "王", "note": "x"},
}
POSTS = [route.path for route in ROUTES if route.method == "POST"]
PATHS = sorted({route.path for route in ROUTES})


def test_every_call_that_takes_a_body_is_among_those_that_are_tried() -> None:
    assert set(BODIES) == set(POSTS)


# ── by name ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", POSTS)
@housed()
async def test_an_unknown_field_is_refused_and_named_and_changes_nothing(house: OpenHouse, path: str) -> None:
    key = await house.approved("000001", receipt=RECEIPT)
    before = house.head()
    refused = await house.post(path.replace("{id}", key), BODIES[path] | {"amount_yuan": 1})
    assert (refused.status, refused.code) == (400, "invalid-body")
    assert "`amount_yuan`" in refused.body["detail"]
    assert house.head() == before


NOT_THAT = [
    b"{", b"[]", b"null", b'"x"', b"1", b"{}{}", b"\xff\xfe", b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b"\x1f\x8b\x08",
    b"NaN", b"[" * 60_000, b'{"a":' * 10_000, b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("path", POSTS)
@housed()
async def test_what_is_not_the_json_that_is_wanted_is_refused(house: OpenHouse, path: str) -> None:
    before = house.head()
    for raw in NOT_THAT:
        refused = await house.post(path.replace("{id}", UNKNOWN_ID), raw)
        assert refused.status == 400, raw[:20]
        assert refused.code in {"invalid-json", "invalid-body"}
    assert house.head() == before


TRACKS = ["track2", "track_2", "f35", "f36", "pin", "pin_block", "f52", "cvv", "cvv2", "f45"]


@pytest.mark.parametrize("field", TRACKS)
@housed()
async def test_track_data_pins_and_verification_values_have_no_field(house: OpenHouse, field: str) -> None:
    before = house.head()
    value = f"{PAN}=30122010000012300000"
    for body in (SALE | {field: value}, SALE | {"card": SALE["card"] | {field: value}}):
        refused = await house.post("/v1/transactions", body)
        assert (refused.status, refused.code) == (400, "invalid-body")
        assert PAN.encode() not in refused.raw
    assert house.head() == before
    assert PAN.encode() not in house.bytes_on_disk()


FORBIDDEN = ["57", "5A", "56", "9F6B", "9F20"]


@pytest.mark.parametrize("tag", FORBIDDEN)
@housed()
async def test_chip_data_with_track_or_card_number_is_refused_wherever_it_hides(house: OpenHouse, tag: str) -> None:
    inner = tag + "0A" + PAN + "F"
    template = f"70{len(inner) // 2:02X}{inner}"
    key = await house.sale("000001")
    before = house.head()
    for chip in (inner, CHIP + inner, template, f"77{len(template) // 2:02X}{template}"):
        opened = await house.open("000002", card=SALE["card"] | {"chip": chip})
        told = await house.result(key, "approved_not_completed", chip=chip.lower())
        for refused in (opened, told):
            assert (refused.status, refused.code) == (400, "forbidden-card-data")
            assert f"tag {tag}" in refused.body["detail"]
            assert PAN.encode() not in refused.raw
    assert house.head() == before


@housed()
async def test_chip_data_that_cannot_be_read_is_refused(house: OpenHouse) -> None:
    before = house.head()
    for chip in ("9", "9G", "95", "9505", "9505000000", "9F", "5F", "FF" * 256, "95840000000000", "9580"):
        refused = await house.open(card=SALE["card"] | {"chip": chip})
        assert (refused.status, refused.code) == (400, "invalid-body"), chip
    assert house.head() == before


OUT_OF_RANGE: dict[str, list[Any]] = {
    "amount_fen": [0, -1, 1_000_000_000_000, 1.0, "100", True, None, 10**40],
    "stan": ["123", "0001234", "00012a", "000123\n", "００１２３４", 123],
    "batch": ["", "1", None],
    "terminal_id": ["1234567", "123456789", "1234567 "],
    "merchant_id": ["8983101481600011", "", "终端"],
    "currency": ["CNY", "15", 156],
    "condition": ["0", "000"],
    "rail": ["cash", "", None],
    "kind": ["Sale", "", "x" * 33, "sale\n"],
    "sent": ["true", 1, None],
    "basket_id": ["", "x" * 65],
    "replaces": [7, ""],
    "card": [[], None, {"pan": "1"}, {"pan": PAN}, {"last4": "0128"}, SALE["card"] | {"pan": PAN + "0"}],
    "original": [{"batch": "1", "stan": "000001"}, "000001"],
}


@pytest.mark.parametrize("field", OUT_OF_RANGE)
@housed()
async def test_a_value_out_of_range_is_refused_by_name(house: OpenHouse, field: str) -> None:
    before = house.head()
    for value in OUT_OF_RANGE[field]:
        refused = await house.post("/v1/transactions", SALE | {field: value})
        assert (refused.status, refused.code) == (400, "invalid-body"), refused
        assert field in refused.body["detail"]
    assert house.head() == before


@housed()
async def test_what_no_id_of_ours_looks_like_is_not_looked_up(house: OpenHouse) -> None:
    for odd in ("%00", "é", "x" * 37, "%0A", "终端"):
        for method, call in (("GET", ""), ("POST", "/sent"), ("POST", "/reprint")):
            missing = await house.call(method, f"/v1/transactions/{odd}{call}")
            assert (missing.status, missing.code) == (404, "no-such-id")
    for odd in ("x", "%20", UNKNOWN_ID.upper()):
        assert (await house.call("GET", f"/v1/transactions/{odd}")).code == "no-such-transaction"


@pytest.mark.parametrize("rail", ["wallet", "bestpay"])
@housed()
async def test_a_rail_that_is_not_there_is_named(house: OpenHouse, rail: str) -> None:
    refused = await house.open(rail=rail)
    assert (refused.status, refused.code) == (400, "rail-not-configured")


@housed(mode="payapp", vault=False)
async def test_without_a_vault_card_data_is_refused_and_a_token_is_enough(house: OpenHouse) -> None:
    whole = {"pan": PAN, "entry_mode": "051"}
    for card in (whole, {"token": "t", "last4": "0128", "expiry": "3012"}, {"last4": "0128", "chip": CHIP}):
        refused = await house.open(card=card)
        assert (refused.status, refused.code) == (400, "card-data-refused")
    assert (await house.open(card={"token": "t"})).code == "invalid-body"
    opened = await house.open(card={"token": "t", "last4": "0128"})
    assert (opened.status, opened.body["advice"]["last4"]) == (201, "0128")


@housed()
async def test_a_compressed_body_is_not_unpacked(house: OpenHouse) -> None:
    packed = gzip.compress(json.dumps(SALE).encode())
    refused = await house.call("POST", "/v1/transactions", packed, headers={"Content-Encoding": "gzip"})
    assert (refused.status, refused.code) == (400, "invalid-json")


# ── a card number where none belongs ─────────────────────────────────────────────────────────────────────────────────


def _leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every leaf of a JSON value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, (*at, key))
    else:
        yield at


def _with(value: Any, at: tuple[Any, ...], leaf: Any) -> Any:
    """A copy with another leaf."""
    if not at:
        return leaf
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = _with(copy[at[0]], at[1:], leaf)
    return copy


SPELLINGS = [PAN, f"x{PAN}", f"{PAN} 1000", " ".join(re.findall(".{1,4}", PAN)), int(PAN), [PAN], {PAN: PAN}]


@pytest.mark.parametrize("path", POSTS)
@housed()
async def test_a_card_number_in_the_wrong_place_is_neither_echoed_nor_kept(
    house: OpenHouse, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = await house.approved("000001")
    call = path.replace("{id}", key)
    body = BODIES[path]
    answers: list[Answer] = []
    for spelling in SPELLINGS:
        tried = [_with(body, at, spelling) for at in _leaves(body) if at[-1] != "pan"]
        tried += [body | {"x": spelling}, body | {str(spelling): 1}]
        for number, trial in enumerate(tried, start=len(answers)):
            fresh = {"stan": f"{number:06d}"} if trial.get("stan") == body.get("stan", "") else {}  # each a sale of its own
            answers += [await house.post(call, trial | fresh)]
    answers.append(await house.post(path.replace("{id}", PAN), body))
    answers.append(await house.post(call, body, key=PAN))
    answers.append(await house.post(f"{call}?{PAN}={PAN}", body))
    answers.append(await house.call("POST", call, body, headers={"X-Card": PAN, "User-Agent": PAN, "Last-Event-ID": PAN}))
    answers.append(await house.call("GET", f"/v1/incidents?limit={PAN}"))
    answers.append(await house.call("GET", f"/v1/transactions/{PAN}"))
    answers.append(await house.call(f"X{PAN}", call))
    if "stan" in body:
        assert sum(answer.status == 201 for answer in answers) >= 8, "where any text may stand, it is taken"
    for answer in answers:
        assert answer.status < 500, answer
        assert not _shows_card(answer.raw.decode()), answer
    assert not _shows_card(caplog.text)
    assert not _shows_card(house.bytes_on_disk().decode("latin-1"))
    assert all(not _shows_card(str(job)) for job in house.prints())


def _shows_card(text: str) -> bool:
    return PAN in text or " ".join(re.findall(".{1,4}", PAN)) in text


# ── drawn at random ──────────────────────────────────────────────────────────────────────────────────────────────────


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
        assert not _shows_card((tmp_path / "journal.db").read_bytes().decode("latin-1"))


def _judge(answer: Answer, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
    """What must hold of every answer to anything."""
    assert answer.status not in {500, 502, 503, 504}, answer
    assert not _shows_card(answer.raw.decode()), answer
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
        leaves = list(_leaves(body))
        what = draw(st.sampled_from(["leaf", "drop", "add", "all"]))
        if what == "leaf" and leaves and leaves != [()]:
            body = _with(body, draw(st.sampled_from(leaves)), draw(JSON))
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
    assert not _shows_card(came.decode("latin-1"))
    for answer in _answers(came):
        _judge(answer, before, besieged.house.head())
    assert besieged.call("GET", "/healthz").status == 200


@pytest.mark.hypothesis
def test_any_bytes_at_all_are_survived(besieged: Besieged, caplog: pytest.LogCaptureFixture) -> None:
    _siege_with_bytes(besieged)
    assert not _shows_card(caplog.text)
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
    assert not _shows_card(caplog.text)


@housed()
async def test_a_body_that_goes_wrong_on_its_way_is_no_defect_of_ours(
    house: OpenHouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "BODY_S", 0.01)
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(b"POST /v1/batch HTTP/1.1\r\nHost: till\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{ \r\n")
    for _ in range(40):
        await asyncio.sleep(0)
    writer.write(b"zz\r\n" + PAN.encode() + b"\r\n")
    assert (await reader.readline()).split()[1] in {b"400", b"408"}, "which, depends on the parser at hand"
    assert b"application/problem+json" in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert caplog.text == ""


@pytest.mark.parametrize("path", ["/v1/batch", "/nowhere"])
def test_an_expectation_that_is_not_known_is_a_problem(besieged: Besieged, path: str) -> None:
    raw = f"POST {path} HTTP/1.1\r\nHost: till\r\nExpect: {PAN}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    (answer,) = _answers(besieged.send(raw))
    assert (answer.status, answer.code) == (417, "expectation-failed")
    assert not _shows_card(answer.raw.decode())
