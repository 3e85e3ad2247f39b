"""What the relay reads out of a request: every kind of the profile, another profile, TLS, and no more than a reversal needs."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.core.policy import Policy
from agent.hooks.relayreader import Online, OwnReversal, RelayReader, Settlement, SignIn, Unreadable, Watched
from agent.profile import load
from agent.vault import Vault
from device.acquirer.message import Codec, Message
from tests.device.acquirer import certificates
from tests.support.house import KEY, MERCHANT, PAN, TERMINAL
from tests.support.relay import CODEC, RelayHouse, open_relay, relayed, request, sale
from tests.support.terminal import fields

VAULT = Vault(KEY)


async def unproved(_message: Message) -> str:
    """Nobody can check it."""
    return "unchecked"


def reader(codec: Codec = CODEC, **policy: Any) -> RelayReader:
    """A reader for one profile."""
    rules = Policy(**policy)
    return RelayReader(codec, unproved, VAULT, lambda: rules)  # type: ignore[arg-type]


def meaning(mti: str, said: dict[int, str]) -> object:
    """What this request means by UnionPay's profile."""
    return reader().request(request(mti, said)[2:])


SALE = fields("000201", 100)


@pytest.mark.parametrize(
    ("kind", "mti", "changed", "original"),
    [
        ("sale", "0200", {}, None),
        ("void", "0200", {3: "200000", 60: "23000001000", 61: "000001000200"}, ("000001", "000200", None)),
        ("preauth", "0100", {3: "030000", 25: "06", 60: "10000001000"}, None),
        (
            "preauth_void", "0100", {3: "200000", 25: "06", 60: "11000001000", 61: "0000010002001231"},
            ("000001", "000200", "1231"),
        ),
        ("completion", "0200", {25: "06", 60: "20000001000", 61: "0000010002001231"}, ("000001", "000200", "1231")),
        (
            "completion_void", "0200", {3: "200000", 25: "06", 60: "21000001000", 61: "0000010002001231"},
            ("000001", "000200", "1231"),
        ),
    ],
)
def test_every_kind_that_is_reversed_is_known_by_type_processing_code_and_f60(
    kind: str, mti: str, changed: dict[int, str], original: tuple[str, str, str | None] | None
) -> None:
    seen = meaning(mti, SALE | changed)
    assert isinstance(seen, Watched)
    opened = seen.opened
    assert (opened.kind, opened.batch, opened.stan, opened.amount_fen, opened.ask) == (kind, "000001", "000201", 100, True)
    assert (opened.condition, opened.entry_mode, opened.sequence) == (changed.get(25, "00"), "051", "001")
    found = opened.original
    assert (found and (found.batch, found.stan, found.date)) == original
    assert VAULT.open(opened.vault or "", seen.sealed.fields) == {"2": PAN, "14": "3012", "55": SALE[55]}


@pytest.mark.parametrize(
    ("mti", "changed", "kind"),
    [
        ("0200", {3: "310000", 60: "01000001000"}, Online),
        ("0200", {4: "000000000000"}, Online),  # no money
        ("0220", {3: "200000", 4: "000000000000", 60: "25000001000"}, Online),
        ("0400", {39: "98"}, OwnReversal),
        ("0401", {39: "98"}, OwnReversal),  # the same, sent again
        ("0500", {60: "00000001201"}, Settlement),
        ("0501", {60: "00000001201"}, Settlement),
        ("0800", {60: "00000001003"}, SignIn),
        ("0801", {60: "00000001003"}, SignIn),
        ("0800", {60: "00000001002"}, type(None)),  # a sign-off
        ("0820", {60: "00000001301"}, type(None)),
        ("0320", {}, type(None)),
    ],
)
def test_what_is_not_reversed_is_told_apart(mti: str, changed: dict[int, str], kind: type) -> None:
    assert type(meaning(mti, SALE | changed)) is kind


@pytest.mark.parametrize(
    ("kind", "mti", "changed"),
    [
        ("refund", "0220", {3: "200000", 60: "25000001000", 61: "0000010002001231"}),
        ("refund", "0221", {3: "200000", 60: "25000001000", 61: "0000010002001231"}),  # the same, sent again
        ("offline", "0220", {60: "36000001000"}),
        ("other", "0200", {60: "54000001000"}),  # an instalment: the profile does not list it
        ("other", "0200", {3: "900000"}),
    ],
)
def test_what_is_never_reversed_is_watched_and_no_secret_of_it_is_kept(kind: str, mti: str, changed: dict[int, str]) -> None:
    seen = meaning(mti, SALE | changed)
    assert isinstance(seen, Watched)
    assert (seen.opened.kind, seen.opened.vault, seen.sealed, seen.mti) == (kind, None, None, f"{mti[:3]}0")


@pytest.mark.parametrize("missing", [4, 11, 42, 60])
def test_what_is_never_reversed_and_lacks_a_field_only_passes(missing: int) -> None:
    said = SALE | {3: "200000", 60: "25000001000"}
    del said[missing]
    assert type(meaning("0220", said)) is Online


def test_what_is_never_reversed_passes_also_when_nobody_can_tell_whose_it_is() -> None:
    assert meaning("0220", {number: text for number, text in SALE.items() if number != 41}) is None
    assert reader(CODEC).request(CODEC.pack("0220", SALE)[2:17]) is None


@pytest.mark.parametrize("cut", ["a bitmap that is none", "a second bitmap"])
def test_money_of_which_not_even_the_kind_can_be_seen_is_not_forwarded_where_it_may_be_of_a_reversed_one(cut: str) -> None:
    frame = bytearray(CODEC.pack("0200", SALE)[2:])
    if cut == "a second bitmap":
        frame[13] |= 0x80
    else:
        del frame[15:]
    with pytest.raises(Unreadable):
        reader(CODEC).request(bytes(frame))


@pytest.mark.parametrize("missing", [3, 4, 11, 41, 42, 60])
def test_money_that_could_not_be_undone_is_named_by_the_field_it_lacks(missing: int) -> None:
    said = {number: text for number, text in SALE.items() if number != missing}
    with pytest.raises(Unreadable, match=f"it lacks field {missing}$") as caught:
        meaning("0200", said)
    assert PAN not in str(caught.value)


def test_chip_data_that_is_no_tlv_is_left_out_of_the_reversal() -> None:
    seen = meaning("0200", SALE | {55: "9F"})
    assert isinstance(seen, Watched)
    assert VAULT.open(seen.opened.vault or "", seen.sealed.fields) == {"2": PAN, "14": "3012"}


def test_a_profile_whose_f60_is_the_batch_alone_is_read_by_its_own_rules() -> None:
    profile = load("ascii-1987", Path(), "")
    codec = Codec(profile.line)
    own = reader(codec, **profile.rules())
    said = {2: PAN, 3: "000000", 4: "000000000100", 11: "000201", 22: "051", 41: TERMINAL, 42: MERCHANT, 49: "156", 60: "000001"}
    seen = own.request(codec.pack("0200", said)[codec.framing.length_bytes :])
    assert isinstance(seen, Watched)
    assert (seen.opened.kind, seen.opened.batch) == ("sale", "000001")
    reversal = own.request(codec.pack("0420", said | {39: "68"})[codec.framing.length_bytes :])
    assert reversal == OwnReversal("0420", TERMINAL, "000001", "000201", 100, "68")
    for f3, found in (("920000", SignIn("0800", ("12345678", "000001"))), ("990000", None)):
        frame = codec.pack("0800", {3: f3, 11: "000001", 41: TERMINAL})
        assert own.request(frame[codec.framing.length_bytes :]) == found


@relayed()
async def test_a_preauthorization_passes_and_its_reversal_is_one_of_a_preauthorization(relay: RelayHouse) -> None:
    relay.fault("0100", "close")
    terminal = await relay.terminal()
    assert await terminal.asks(request("0100", SALE | {3: "030000", 25: "06", 60: "10000001000"})) is None
    await relay.until(lambda: relay.house.sends())
    [send] = relay.house.sends()[:1]
    assert (send.fields["3"], send.fields["25"], send.fields["60"]) == ("030000", "06", "10000001000")


@relayed(kinds=tuple(msgspec.structs.replace(kind, in_doubt="watch") for kind in Policy().kinds))
async def test_where_nothing_is_reversed_everything_passes_and_is_watched(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "00"
    await relay.becomes("approved")
    relay.fault("0200", "close")
    assert await terminal.asks(sale("000202")) is None
    await relay.becomes("unresolved", "000202")
    assert relay.at_host("0400") == []


def test_tls_towards_the_terminal_and_only_terminals_that_show_a_certificate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = certificates.make(tmp_path)
    keys = {"tls_cert": files.cert, "tls_key": files.key, "tls_ca": files.ca}

    async def story() -> None:
        async with open_relay(tmp_path, tls=keys) as relay:
            good = ssl.create_default_context(cafile=files.ca)
            good.load_cert_chain(files.cert, files.key)
            terminal = await relay.terminal(ssl=good)
            assert await terminal.asks(sale()) == "00"
            await relay.becomes("approved")
            stranger = await relay.terminal(ssl=ssl.create_default_context(cafile=files.ca))
            assert await stranger.asks(sale("000202")) is None
            assert "a caller was not let in: " in caplog.text
            assert "peer did not return a certificate" in caplog.text
            plain = await relay.terminal()
            plain.send(sale("000203"))
            assert await plain.raw() == b""
            assert relay.at_host("0200") == ["000201"]

    asyncio.run(story())

