"""The envelope: names that can stand in a topic, payloads that say exactly what they must, errors that quote nothing."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.envelope import (
    MAX_PAYLOAD_BYTES,
    RULES,
    Ack,
    Address,
    Beat,
    Channel,
    Command,
    EnvelopeError,
    Event,
    Response,
    Snap,
    State,
    decode,
    encode,
    is_published,
    parse_topic,
    read,
    topic,
    topic_filter,
)

PAN = "6222021234567890128"
LEVEL = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/+#"), min_size=1)


def event(**changes: Any) -> Event:
    usual: dict[str, Any] = {"sn": "T1", "fleet": "demo", "epoch": "e", "boot": 1, "ts": None, "clk": "none", "mono": 5}
    usual |= {"seq": 7, "prev": 3, "type": "reversal.confirmed", "late": False, "d": {"amount_fen": 100}}
    return Event(**(usual | changes))


def test_an_event_on_the_wire_has_exactly_these_names() -> None:
    assert json.loads(encode(event(inc="i", tx="t"))) == {
        "v": 1, "sn": "T1", "fleet": "demo", "epoch": "e", "seq": 7, "prev": 3, "boot": 1, "type": "reversal.confirmed",
        "ts": None, "clk": "none", "mono": 5, "late": False, "inc": "i", "tx": "t", "d": {"amount_fen": 100},
    }  # fmt: skip


def test_an_acknowledgement_is_an_epoch_and_a_mark() -> None:
    assert encode(Ack(epoch="e", hwm=7)) == b'{"epoch":"e","hwm":7}'


@given(
    st.builds(
        event,
        seq=st.integers(10, 2**53 - 1),
        ts=st.none() | st.integers(0, 2**53 - 1),
        late=st.booleans(),
        inc=st.none() | st.text(min_size=1, max_size=64).filter(lambda text: text.isprintable()),
        d=st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(-(2**63), 2**63 - 1) | st.none()),
    )
)
def test_what_is_written_is_read_back(body: Event) -> None:
    assert decode(encode(body), Event) == body


@pytest.mark.parametrize(
    "body",
    [
        State(sn="T1", fleet="demo", epoch="e", boot=1, ts=9, clk="ntp", mono=5, state="lost", session="s.1"),
        Beat(sn="T1", fleet="demo", epoch="e", boot=1, ts=9, clk="ntp", mono=5, session="s.1"),
        Snap(sn="T1", fleet="demo", epoch="e", boot=1, ts=9, clk="ntp", mono=5, d={"pending": 1}),
        Command(
            fleet="demo", sn="T1", id="c", name="replay", args={"from_seq": 1}, not_before=1, expires=2, key="00", sig="00"
        ),
        Response(sn="T1", fleet="demo", epoch="e", boot=1, ts=9, clk="ntp", mono=5, id="c", name="query", status="done"),
    ],
)
def test_the_other_payloads_too(body: Any) -> None:
    assert decode(encode(body), type(body)) == body


def test_fields_of_a_newer_terminal_are_ignored_and_a_newer_version_is_refused() -> None:
    newer = json.loads(encode(event())) | {"colour": "red"}
    assert decode(json.dumps(newer).encode(), Event) == event()
    with pytest.raises(EnvelopeError, match="version 2 of the envelope is not known here: update the receiving side"):
        decode(json.dumps(newer | {"v": 2}).encode(), Event)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seq": 0}, "not a valid event: field seq is wrong"),
        ({"seq": PAN}, "not a valid event: field seq is wrong"),
        ({"seq": 2**63}, "not a valid event: field seq is wrong"),
        ({"prev": 7}, "not a valid event: it is not an object with the right fields"),
        ({"clk": PAN}, "not a valid event: field clk is wrong"),
        ({"epoch": ""}, "not a valid event: field epoch is wrong"),
        ({"type": "x" * 65}, "not a valid event: field type is wrong"),
        ({"d": [PAN]}, "not a valid event: field d is wrong"),
        ({"v": PAN}, "not a valid event: field v is wrong"),
    ],
)
def test_a_wrong_field_is_named_and_its_content_is_not(changes: dict[str, Any], says: str) -> None:
    payload = json.dumps(json.loads(encode(event())) | changes).encode()
    with pytest.raises(EnvelopeError) as caught:
        decode(payload, Event)
    assert str(caught.value) == says
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"nul\0", b"[" * 5_000, b'{"v":1}}'])
def test_what_is_no_json_is_called_so(payload: bytes) -> None:
    with pytest.raises(EnvelopeError, match=r"the payload is not JSON|not a valid event"):
        decode(payload, Event)


@given(st.binary(max_size=200))
def test_no_bytes_whatsoever_do_anything_but_raise_that_error(payload: bytes) -> None:
    with contextlib.suppress(EnvelopeError):
        decode(payload, Ack)


def test_a_missing_field_is_named() -> None:
    payload = json.loads(encode(event()))
    del payload["epoch"]
    with pytest.raises(EnvelopeError, match="field epoch is missing"):
        decode(json.dumps(payload).encode(), Event)


def test_a_payload_has_a_limit_both_ways() -> None:
    with pytest.raises(EnvelopeError, match=f"more than the {MAX_PAYLOAD_BYTES} allowed"):
        encode(event(d={"text": "x" * MAX_PAYLOAD_BYTES}))
    with pytest.raises(EnvelopeError, match=f"more than the {MAX_PAYLOAD_BYTES} allowed"):
        decode(b" " * (MAX_PAYLOAD_BYTES + 1), Event)


@pytest.mark.parametrize("value", [object(), "\ud800", {1: {2: object()}}])
def test_data_that_json_has_no_form_for_is_refused(value: object) -> None:
    with pytest.raises(EnvelopeError, match="JSON has no form for"):
        encode(event(d={"x": value}))


@given(LEVEL.map(lambda text: text[:8]), LEVEL.map(lambda text: text[:20]), st.sampled_from(Channel))
def test_a_topic_is_read_back(fleet: str, sn: str, channel: Channel) -> None:
    assert parse_topic(topic(fleet, sn, channel)) == Address(fleet, sn, channel)


@pytest.mark.parametrize(
    ("fleet", "sn"), [("", "T1"), ("ninechars", "T1"), ("demo", "x" * 21), ("a/b", "T"), ("+", "T"), ("d", "#"), ("d", "é")]
)
def test_a_name_that_cannot_stand_in_a_topic_is_refused(fleet: str, sn: str) -> None:
    with pytest.raises(EnvelopeError, match="printable ASCII characters"):
        topic(fleet, sn, Channel.EV)


@pytest.mark.parametrize("name", ["rv1/demo/T1", "rv2/demo/T1/ev", "rv1/demo/T1/ev/x", "rv1/demo/T1/EV", "rv1//T1/ev", ""])
def test_a_topic_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(EnvelopeError):
        parse_topic(name)


def test_a_subscription_stands_for_all_or_for_one() -> None:
    assert topic_filter(None, None, Channel.EV) == "rv1/+/+/ev"
    assert topic_filter("demo", "T1", Channel.ACK) == "rv1/demo/T1/ack"


@pytest.mark.parametrize("name", ["rv1/demo/T2/ev", "rv1/other/T1/ev"])
def test_a_terminal_cannot_speak_for_another(name: str) -> None:
    with pytest.raises(EnvelopeError, match="the payload names another terminal than its topic"):
        read(name, encode(event()), Event)
    assert read("rv1/demo/T1/ev", encode(event()), Event) == event()


def test_every_channel_has_its_rule() -> None:
    assert set(RULES) == set(Channel)
    assert not RULES[Channel.CMD].retained
    assert RULES[Channel.HB].qos == 0
    assert {channel: rule.expiry_s for channel, rule in RULES.items() if rule.expiry_s} == {
        Channel.SNAP: 86_400, Channel.HB: 600, Channel.CMD: 120, Channel.RSP: 86_400, Channel.ACK: 3_600,
    }  # fmt: skip


def test_what_leaves_the_terminal_is_decided_by_the_first_word() -> None:
    assert is_published("reversal.confirmed")
    assert not is_published("reversals.confirmed")
    assert not is_published("transaction.opened")
    assert not is_published("agent.started")


def test_the_structs_describe_themselves_as_json_schema() -> None:
    schema = msgspec.json.schema(Event)
    assert "prev" in schema["$defs"]["Event"]["properties"]
