"""Which messages on `cmd` may be believed: test vectors, and every way in which one may be no command of ours."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import command as commands
from agent import commandform
from agent.command import Refused
from agent.envelope import Command, EnvelopeError, encode
from device.mqtt import Inbound
from tests.support.commands import FLEET, KEY, NAME, OTHER, PUBLIC, SN, signed

KEYS = {NAME: PUBLIC}
TOPIC = f"rv1/{FLEET}/{SN}"

# Computed with another implementation of Ed25519 and of JSON (`openssl pkeyutl`, Python's json with sorted keys). The private
# key is the bytes 00 … 1F.
VECTOR_PUBLIC = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
VECTOR_BYTES = (
    '["rv1.cmd",1,"demo","T0000001","c-1","display",{"en":"Call","seconds":60,"zh":"请联系店长"},1000,601000,"56475aa75463474c"]'
)
VECTOR_SIGNATURE = (
    "6209b1a67f0f5e65ddd9ad5b7868d574356fedb0da0dd50ee598ce77bf62a421"
    "fb01ece18ecd6034b7df8a90ff9b317e707ca714ee36886f76579ad656a0350c"
)


def message(command: Command, **more: Any) -> Inbound:
    return Inbound(f"{TOPIC}/cmd", encode(command), **more)


def why(inbound: Inbound, keys: dict[str, bytes] | None = None) -> str | None:
    """Why it is not believed, None when it is."""
    try:
        commands.believed(inbound, FLEET, SN, KEYS if keys is None else keys)
    except Refused as refusal:
        return refusal.why
    return None


def test_the_signed_bytes_and_the_signature_are_those_of_another_implementation() -> None:
    command = signed("display", {"zh": "请联系店长", "en": "Call", "seconds": 60})
    assert PUBLIC.hex() == VECTOR_PUBLIC
    assert commandform.signed_bytes(command).decode() == VECTOR_BYTES
    assert command.sig == VECTOR_SIGNATURE


def test_a_command_of_ours_is_believed_whatever_the_order_of_its_arguments() -> None:
    command = signed("query", {"what": "transaction", "of": "000123"})
    assert commands.believed(message(command), FLEET, SN, KEYS) == command
    turned = msgspec.structs.replace(command, args={"of": "000123", "what": "transaction"})
    assert why(message(turned)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fleet": "other"}, "wrong-terminal"), ({"sn": "T0000002"}, "wrong-terminal"), ({"id": "c-2"}, "bad-signature"),
        ({"id": "c 2"}, "malformed"), ({"name": "recover"}, "bad-signature"), ({"args": {"what": "incidents"}}, "bad-signature"),
        ({"not_before": 999}, "bad-signature"), ({"expires": 601_001}, "bad-signature"), ({"key": "0" * 16}, "unknown-key"),
        ({"sig": ""}, "bad-signature"), ({"sig": "zz"}, "bad-signature"), ({"sig": "00" * 64}, "bad-signature"),
        ({"args": {"what": 1.5}}, "bad-signature"), ({"args": {"deep": [2**70]}}, "bad-signature"),
    ],
)  # fmt: skip
def test_whatever_is_changed_of_a_command_it_is_not_believed(change: dict[str, Any], reason: str) -> None:
    command = signed("query", {"what": "status"})
    assert why(message(msgspec.structs.replace(command, **change))) == reason


def test_what_somebody_else_signed_is_not_believed_under_our_name() -> None:
    assert why(message(signed("query", {"what": "status"}, by=OTHER))) == "bad-signature"


def test_while_keys_change_both_are_believed_and_the_old_one_not_after() -> None:
    both = KEYS | {commandform.key_name(OTHER.public_key().public_bytes_raw()): OTHER.public_key().public_bytes_raw()}
    new = signed("query", {"what": "status"}, by=OTHER, key=list(both)[1])
    assert why(message(new), both) is None
    assert why(message(signed("query", {"what": "status"})), both) is None
    assert why(message(signed("query", {"what": "status"})), {list(both)[1]: list(both.values())[1]}) == "unknown-key"


def test_how_a_message_came_counts_as_much_as_what_it_says() -> None:
    good = signed("query", {"what": "status"})
    assert why(message(good, retained=True)) == "retained"
    assert why(message(good, reply_to=f"{TOPIC}/rsp", correlation=b"c" * 64)) is None
    assert why(message(good, reply_to="rv1/demo/T0000002/rsp")) == "wrong-reply-topic"
    assert why(message(good, correlation=b"c" * 65)) == "malformed"
    assert why(message(signed("shell", {"run": "reboot"}))) == "unknown-command"
    assert why(message(signed("display", {"zh": "x" * 50_000}))) == "too-large"


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b'{"v":2}', b"[" * 40_000, b'{"v":1,"sn":"T0000001"}'])
def test_rubbish_is_refused_and_nothing_else_happens(payload: bytes) -> None:
    assert why(Inbound(f"{TOPIC}/cmd", payload)) == "malformed"


def test_arguments_nested_without_end_are_refused() -> None:
    nested: Any = 1
    for _ in range(5_000):
        nested = [nested]
    endless = msgspec.structs.replace(signed("query"), args={"what": nested})
    with pytest.raises(EnvelopeError):
        commandform.signed_bytes(endless)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("query", {}), ("query", {"what": "all"}), ("query", {"what": "transaction"}), ("query", {"what": "status", "of": "x"}),
        ("recover", {}), ("recover", {"transaction": ""}), ("recover", {"transaction": "x", "by": "me"}),
        ("replay", {"from_seq": 0}), ("replay", {"from_seq": "1"}), ("upload-log", {"from_seq": 1, "entries": 501}),
        ("display", {"zh": "", "en": "x"}), ("display", {"zh": "x" * 121, "en": "x"}),
        ("config", {"version": 1, "set": {}}), ("config", {"version": 0, "set": {"a.b": 1}}),
        ("settle", {"verdicts": [{"date": "2026-03-02"}]}),
    ],
)  # fmt: skip
def test_arguments_that_a_command_does_not_have_are_refused(name: str, args: dict[str, Any]) -> None:
    command = signed(name, args)
    with pytest.raises(Refused, match="bad-arguments"):
        commands.arguments(commands.believed(message(command), FLEET, SN, KEYS))


def test_every_command_of_the_list_has_arguments_a_name_and_reasons_in_both_languages() -> None:
    assert set(commandform.NAMES) == set(commandform.ARGUMENTS) | {"settle"}
    assert all(all(words) for words in (*commandform.NAMES.values(), *commandform.WHY.values()))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 4 keys"), ("ed25519 00", "line 1"), (f"# list\ned25519 {PUBLIC.hex()}\nrsa x", "line 3"),
        ("\n".join(f"ed25519 {number:064x}" for number in range(5)), "1 to 4 keys"),
    ],
)  # fmt: skip
def test_a_list_of_keys_names_the_line_that_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        commandform.read_keys(text)


def test_a_list_of_keys_is_read_with_names_and_comments() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    text = f"# who may command\ned25519 {PUBLIC.hex()} service desk\n\ned25519 {other.hex().upper()}\n"
    assert commandform.read_keys(text) == {NAME: PUBLIC, commandform.key_name(other): other}
    assert KEY.public_key().public_bytes_raw() == PUBLIC
