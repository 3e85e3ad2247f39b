"""The simulated acquirer on real sockets, met through the agent's own link; and giving it orders while it runs."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.acquirer.link import Link
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message, matches
from device.errors import LinkDown, LinkLost, LinkSilent
from device.simulator import acquirer
from device.simulator.acquirer import AcquirerServer, Line
from device.simulator.control import ControlServer, ask
from tests.device.acquirer.golden import FIELDS, FRAME, KEY
from tests.device.simulator.test_acquirer_model import REVERSAL, SALE

CODEC = Codec()
MAC = SoftwareMac("unionpay-ecb", KEY)
LONG_MS = 20_000  # a limit that only a failing test reaches
SILENCE_MS = 50


def play(story: Callable[[AcquirerServer, Link], Awaitable[None]], standing: Mapping[str, str] | None = None) -> list[Line]:
    """Run `story` with a simulator and a connected link; gives the simulator's log."""
    lines: list[Line] = []

    async def scenario() -> None:
        async with AcquirerServer(mac=MAC, on_line=lines.append) as server:
            server.faults.set(standing or {})
            link = Link("127.0.0.1", server.port)
            await link.connect()
            try:
                await story(server, link)
            finally:
                await link.close()

    asyncio.run(scenario())
    return lines


async def exchange(link: Link, mti: str, fields: Mapping[int, str], mac: SoftwareMac | None = MAC) -> Message:
    await link.send(CODEC.pack(mti, fields, mac.sign if mac else None))
    return CODEC.read(await link.receive(LONG_MS))


def net(server: AcquirerServer) -> int | None:
    entry = server.model.ledger.find("12345678", "000001", "000123")
    return entry.net_debit_fen if entry else None


def test_a_sale_and_its_reversal_over_a_real_line() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        for mti, fields, debit in (("0200", SALE, 100), ("0400", REVERSAL, 0)):
            reply = await exchange(link, mti, fields)
            assert matches(mti, fields, reply)
            assert reply.fields[39] == "00"
            assert reply.mac is not None
            assert MAC.verify(reply.mac_input or b"", reply.mac)
            assert net(server) == debit

    lines = play(story)
    assert [(line.what, line.mti, line.response_code) for line in lines if line.mti] == [
        ("in", "0200", ""), ("out", "0210", "00"), ("in", "0400", "98"), ("out", "0410", "00")]


def test_the_answers_tpdu_goes_the_other_way() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        reply = await exchange(link, "0820", {41: "12345678", 42: "898310148160001", 60: "00000001301"}, None)
        assert reply.envelope.hex() == "6000000003" "603100310000"
        assert reply.mac is None

    play(story)


def test_the_golden_reversal_is_understood_and_unknown() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        await link.send(FRAME)
        reply = CODEC.read(await link.receive(LONG_MS))
        assert matches("0400", FIELDS, reply)
        assert reply.fields[39] == "25"

    play(story)


def test_the_log_masks_the_card_number() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        await exchange(link, "0200", SALE)

    lines = play(story)
    assert [line.pan for line in lines if line.mti] == ["622202*********0128"] * 2
    assert SALE[2] not in repr(lines)


def test_a_wrong_mac_is_answered_a0() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        for mac in (SoftwareMac("unionpay-ecb", KEY[::-1]), None):
            assert (await exchange(link, "0200", SALE, mac)).fields[39] == "A0"
        assert net(server) is None

    play(story)


def test_broken_and_missing_macs_of_answers() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        server.faults.scenario({"0200": ["bad-mac", "no-mac"]})
        broken = await exchange(link, "0200", SALE)
        assert broken.mac is not None
        assert not MAC.verify(broken.mac_input or b"", broken.mac)
        assert (await exchange(link, "0200", SALE)).mac is None

    play(story)


def test_dropped_requests_and_replies_are_silence() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        for words, debit in (("drop-request", None), ("drop-reply", 100)):
            server.faults.set({"0200": words})
            await link.send(CODEC.pack("0200", SALE, MAC.sign))
            with pytest.raises(LinkSilent):
                await link.receive(SILENCE_MS)
            assert net(server) == debit

    play(story)


def test_doubled_and_stray_answers_all_arrive() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        await link.send(CODEC.pack("0200", SALE, MAC.sign))
        answers = [CODEC.read(await link.receive(LONG_MS)) for _ in range(4)]
        assert [matches("0200", SALE, answer) for answer in answers] == [False, True, False, True]

    play(story, {"*": "stray+duplicate"})


def test_a_delayed_answer_arrives_after_one_that_is_not() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        server.faults.scenario({"0200": ["delay:100", "ok"]})
        await link.send(CODEC.pack("0200", SALE, MAC.sign) + CODEC.pack("0200", {**SALE, 11: "000124"}, MAC.sign))
        assert [CODEC.read(await link.receive(LONG_MS)).fields[11] for _ in range(2)] == ["000124", "000123"]

    play(story)


def test_25_first_and_the_late_sale_afterwards() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        server.faults.set({"0200": "late:100"})
        await link.send(CODEC.pack("0200", SALE, MAC.sign))
        assert (await exchange(link, "0400", REVERSAL)).fields[39] == "25"
        assert net(server) is None
        late = CODEC.read(await link.receive(LONG_MS))
        assert (late.mti, late.fields[39]) == ("0210", "00")
        assert net(server) == 100
        assert (await exchange(link, "0400", REVERSAL)).fields[39] == "00"
        assert net(server) == 0

    play(story)


def test_a_late_sale_is_booked_though_its_line_is_gone() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        booked = asyncio.Event()
        server._on_change = lambda _: booked.set()
        await link.send(CODEC.pack("0200", SALE, MAC.sign))
        await link.close()
        await asyncio.wait_for(booked.wait(), LONG_MS / 1000)
        assert net(server) == 100

    play(story, {"0200": "late:60"})


def test_what_is_still_on_its_way_when_the_simulator_ends_never_arrives() -> None:
    async def scenario() -> None:
        async with AcquirerServer(mac=MAC) as server:
            server.faults.scenario({"0200": ["late:60000", "ok"]})
            link = Link("127.0.0.1", server.port)
            await link.connect()
            await link.send(CODEC.pack("0200", SALE, MAC.sign))
            await exchange(link, "0200", {**SALE, 11: "000124"})
            (timer,) = server._timers
        assert timer.cancelled()
        await link.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("words", "debit"), [("half", 100), ("close", 100), ("reset", 100), ("drop-request+close", None)])
def test_a_line_that_ends_in_the_middle_is_lost(words: str, debit: int | None) -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        await link.send(CODEC.pack("0200", SALE, MAC.sign))
        with pytest.raises(LinkLost):
            await link.receive(LONG_MS)
        assert net(server) == debit
        await link.connect()
        server.faults.clear()
        assert (await exchange(link, "0820", {41: "12345678"}, None)).fields[39] == "00"

    play(story, {"0200": words})


def test_refusing_cuts_what_is_there_and_comes_back_on_the_same_port() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        await exchange(link, "0200", SALE)
        port = server.port
        await server.refuse(True)
        with pytest.raises(LinkLost):
            await link.receive(LONG_MS)
        assert server.refusing
        with pytest.raises(LinkDown):
            await link.connect()
        await server.refuse(False)
        assert server.port == port
        await link.connect()
        assert (await exchange(link, "0400", REVERSAL)).fields[39] == "00"

    lines = play(story)
    assert "refusing" in [line.what for line in lines]


def test_unreadable_messages_are_logged_and_the_line_stays_but_not_after_a_length_that_is_none() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        await link.send(CODEC.framing.framed(b"\xff" * 40))
        assert (await exchange(link, "0820", {41: "12345678"}, None)).fields[39] == "00"
        await link.send(b"\x00\x00")
        with pytest.raises(LinkLost):
            await link.receive(LONG_MS)

    notes = [line.note for line in play(story) if line.what == "unreadable"]
    assert notes == ["field 1 is not in the profile unionpay", "a length that no message has: connection closed"]


def test_more_connections_than_the_limit_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquirer, "CONNECTIONS_MAX", 1)

    async def story(server: AcquirerServer, link: Link) -> None:
        await exchange(link, "0820", {41: "12345678"}, None)
        other = Link("127.0.0.1", server.port)
        await other.connect()
        with pytest.raises(LinkLost):
            await other.receive(LONG_MS)
        await other.close()
        assert link.is_open

    play(story)


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=8))
def test_garbage_does_not_end_the_simulator(chunks: list[bytes]) -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for chunk in chunks:
            writer.write(chunk)
            await asyncio.sleep(0)
        writer.close()
        assert (await exchange(link, "0200", SALE)).fields[39] == "00"

    play(story)


def test_orders_over_loopback_set_faults_cut_refuse_and_show_the_books() -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        async with ControlServer(server, "127.0.0.1:0") as control:
            async def order(**words: object) -> dict[str, object]:
                return await asyncio.to_thread(ask, control.address, words)

            assert await order(set={"0200": "delay:1"}, scenario={"0400": ["96", "00"]}) == {"ok": True}
            await exchange(link, "0200", SALE)
            assert (await exchange(link, "0400", REVERSAL)).fields[39] == "96"
            assert await order(ledger=True, faults=True) == {
                "ok": True, "ledger": server.model.ledger.rows(), "refusing": False,
                "faults": {"set": {"0200": "delay:1"}, "scenario": {"0400": ["00"]}}}
            await order(clear=True)
            assert server.faults.told() == {"set": {}, "scenario": {}}
            await order(cut=True)
            with pytest.raises(LinkLost):
                await link.receive(LONG_MS)
            assert await order(refuse=True) == {"ok": True}
            with pytest.raises(LinkDown):
                await link.connect()
            await order(refuse=False)
            await link.connect()

    play(story)


def test_orders_that_make_no_sense_are_answered_with_the_reason(tmp_path: Path) -> None:
    async def story(server: AcquirerServer, link: Link) -> None:
        async with ControlServer(server, str(tmp_path / "control")) as control:
            reader, writer = await asyncio.open_unix_connection(control.address)
            for line, reason in (
                (b"drop", "malformed"), (b"{}x", "malformed|trailing"), (b'{"sett": {}}', "sett"),
                (b'{"set": {"0200": "oops"}}', "unknown fault 'oops'"), (b'{"set": {"2": "ok"}}', "no message type"),
                (b'{"refuse": "yes"}', "refuse"), (b"[]", "object"), (b"\xff", "malformed|UTF-8"),
            ):
                writer.write(line + b"\n")
                answer = json.loads(await reader.readline())
                assert answer["ok"] is False
                assert any(word in answer["error"] for word in reason.split("|"))
            writer.write(b'{"set": {"*": "drop"}}\n{}\n')
            assert [json.loads(await reader.readline()) for _ in range(2)] == [{"ok": True}] * 2
            writer.write(b"x" * 70_000 + b"\n")
            assert await reader.read() == b""
            writer.close()

    play(story)


@pytest.mark.parametrize("address", ["", "8584", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "0.0.0.0:1", "host:1"])
def test_orders_are_taken_on_loopback_or_a_unix_socket_only(address: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match=r"no address|not on loopback"):
            await ControlServer(AcquirerServer(), address).__aenter__()

    asyncio.run(scenario())


def test_asking_where_nobody_listens_is_an_os_error() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            ask(f"127.0.0.1:{probe.getsockname()[1]}", {"ledger": True})
