"""Bad input of every kind: always a problem that says what to do; never a defect, never a card number, nothing changed."""

import asyncio
import gzip
import json
import re
from typing import Any

import pytest

from agent.hooks import api
from tests.agent.hooks.calls import BODIES, POSTS, UNKNOWN_ID, leaves, shows_card, spoiled
from tests.support.house import CHIP, PAN, RECEIPT, SALE, Answer, OpenHouse, housed


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
    for odd in ("%00", "é", "x" * 49, "%0A", "终端"):
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
        tried = [spoiled(body, at, spelling) for at in leaves(body) if at[-1] != "pan"]
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
        assert not shows_card(answer.raw.decode()), answer
    assert not shows_card(caplog.text)
    assert not shows_card(house.bytes_on_disk().decode("latin-1"))
    assert all(not shows_card(str(job)) for job in house.prints())


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
