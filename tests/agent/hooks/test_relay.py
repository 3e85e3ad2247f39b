"""The relay over real sockets: what passes untouched, what is held, what is dropped, and what each end of a line means."""

import asyncio

import pytest

from device.acquirer.message import Message
from tests.support.house import BATCH, MERCHANT, PAN, TERMINAL, nearly_full
from tests.support.relay import CODEC, MAC, RelayHouse, balance, own_0400, relayed, request, sale
from tests.support.terminal import fields


@relayed()
async def test_a_sale_passes_and_is_approved_when_its_answer_was_forwarded(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "00"
    await relay.becomes("approved")
    row = relay.house.inbox.state.transactions[relay.key()]
    assert (row.kind, row.amount_fen, row.batch, row.terminal_id, row.merchant_id) == ("sale", 100, BATCH, TERMINAL, MERCHANT)
    assert (row.masked_pan, row.entry_mode, row.sequence, row.approved_fen) == ("622202*********0128", "051", "001", 100)
    assert relay.net("000201") == 100


@relayed()
async def test_request_and_answer_are_on_disk_before_they_are_forwarded(relay: RelayHouse) -> None:
    seen: list[str | None] = []
    relay.host.on_line = lambda line: seen.append(relay.state()) if line.mti == "0200" else None
    terminal = await relay.terminal()
    terminal.send(sale())
    heard = await terminal.hears()
    assert heard is not None
    told = [entry.type for entry in relay.house.entries()]
    assert seen[0] == "sent"
    assert "relay.answered" in told


@relayed()
async def test_no_byte_is_altered_in_either_direction(relay: RelayHouse) -> None:
    answered: list[bytes] = []
    pack = relay.host._packed
    relay.host._packed = lambda *words: answered.append(pack(*words)) or answered[-1]  # type: ignore[func-returns-value]
    terminal = await relay.terminal()
    terminal.send(request("0800", {11: "000001", 41: TERMINAL, 42: MERCHANT, 60: "00000001003", 63: "01 "}))
    assert await terminal.raw() == answered[0]
    terminal.send(sale())
    assert await terminal.raw() == answered[1]


@relayed()
async def test_what_is_no_message_of_this_profile_passes_untouched(relay: RelayHouse) -> None:
    heard: list[bytes] = []

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(heard) < 3:
            head = await reader.readexactly(2)
            heard.append(head + await reader.readexactly(int.from_bytes(head, "big")))
            writer.write(heard[-1])
        writer.close()

    server = await asyncio.start_server(host, "127.0.0.1", 0)
    relay.host_port = server.sockets[0].getsockname()[1]
    terminal = await relay.terminal()
    frames = [bytes([0, 40]) + bytes(range(40)), bytes([16, 0]) + b"\xff" * 4096, request("0900", {11: "000001"})]
    for frame in frames:
        terminal.send(frame)
        assert await terminal.raw() == frame
    assert heard == frames
    server.close()


@relayed()
async def test_a_decline_passes_and_is_final(relay: RelayHouse) -> None:
    relay.fault("0200", "51")
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "51"
    assert relay.state() == "declined"
    assert relay.net("000201") == 0


@relayed()
async def test_the_reversal_carries_the_card_and_nothing_that_must_not_be_kept(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    terminal = await relay.terminal()
    striped = {number: text for number, text in fields("000201", 100).items() if number not in {2, 14}}
    assert await terminal.asks(_with_track({**striped, 22: "021"})) is None
    await relay.becomes("reversed")
    [send] = relay.house.sends()
    assert {"35", "36", "52"}.isdisjoint(send.fields)
    assert b"D3012" not in relay.house.bytes_on_disk()
    assert PAN.encode() not in relay.house.bytes_on_disk()
    line = next(line for line in relay.lines if line.mti == "0400")
    assert line.pan == "622202*********0128"


def _with_track(said: dict[int, str]) -> bytes:
    """A sale by stripe: track 2 in F35, and neither F2 nor F14."""
    from iso8583 import encode

    document = {"t": "0200", **{str(n): text for n, text in said.items()}, "35": PAN + "D30121010000012345", "64": "00" * 8}
    packed, _ = encode(document, CODEC.profile.spec())
    body = CODEC.envelope + bytes(packed[:-8])
    return CODEC.frame(body, MAC.sign(CODEC.mac_input(body)))


# ── doubt ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@relayed()
async def test_a_host_that_hangs_up_leaves_a_doubt_that_is_reversed(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) is None
    await relay.becomes("reversed")
    assert relay.net("000201") == 0
    assert [send.fields["39"] for send in relay.house.sends()] == ["98"]


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
@relayed()
async def test_a_terminal_that_hangs_up_before_the_answer_leaves_a_doubt_that_is_reversed(relay: RelayHouse, how: str) -> None:
    relay.fault("0200", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    if how == "close":
        await terminal.close()
    else:
        getattr(terminal, how)()
    await relay.becomes("reversed")
    assert relay.net("000201") == 0


@relayed()
async def test_an_answer_that_comes_after_the_terminal_hung_up_is_evidence(relay: RelayHouse) -> None:
    relay.fault("0200", "delay:60")
    relay.fault("0400", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    await terminal.close()
    await relay.until(lambda: relay.house.inbox.state.transactions[relay.key()].evidence)
    [evidence] = relay.house.inbox.state.transactions[relay.key()].evidence
    assert (evidence.kind, evidence.outcome) == ("late_response", "approved")


@relayed()
async def test_a_late_answer_is_kept_and_not_forwarded(relay: RelayHouse) -> None:
    relay.fault("0200", "delay:100")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    await relay.house.pass_time(65_000)
    await relay.becomes("reversed")
    await relay.until(lambda: relay.house.told("evidence.late_response"))
    assert await terminal.asks(balance()) == "00"  # the next thing the terminal hears is the answer to its next request


@relayed()
async def test_an_answer_that_comes_a_batch_too_late_is_not_taken_for_that_of_the_same_stan(relay: RelayHouse) -> None:
    relay.fault("0200", "delay:1500", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    await relay.house.pass_time(65_000)
    await relay.becomes("reversed")
    first = relay.key()
    terminal.send(sale(batch="000002"))  # some terminals count from 1 again
    await relay.until(lambda: len(relay.at_host("0200")) == 2)
    await relay.until(lambda: relay.house.told("evidence.late_response"))
    assert [entry.transaction for entry in relay.house.told("evidence.late_response")] == [first]
    assert (relay.key() != first, relay.state()) == (True, "sent"), "of this one nobody has said anything"
    await relay.house.pass_time(65_000)
    await relay.becomes("reversed")
    assert relay.net("000201") == 0
    assert await terminal.asks(balance()) == "00"  # the next thing the terminal hears


@relayed()
async def test_a_terminal_that_stays_connected_after_its_time_goes_on_with_its_next_sale(relay: RelayHouse) -> None:
    relay.fault("0200", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    await relay.house.pass_time(65_000)
    await relay.becomes("reversed")
    assert await terminal.asks(sale("000202")) == "00"
    await relay.becomes("approved", "000202")


@pytest.mark.parametrize("fault", ["bad-mac", "no-mac"])
@relayed()
async def test_an_approval_without_a_good_mac_does_not_reach_the_terminal(relay: RelayHouse, fault: str) -> None:
    relay.fault("0200", fault)
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.becomes("reversed")
    assert [send.fields["39"] for send in relay.house.sends()] == ["A0"]
    assert await terminal.asks(balance()) == "00"


@relayed()
async def test_T7_a_crossed_answer_is_not_the_answer(relay: RelayHouse) -> None:
    relay.fault("0200", "stray")
    terminal = await relay.terminal()
    terminal.send(sale())
    first, second = await terminal.hears(), await terminal.hears()
    assert first is not None
    assert second is not None
    assert (first.fields[11] != "000201", second.fields[11]) == (True, "000201")
    await relay.becomes("approved")


@relayed()
async def test_an_answer_of_the_same_stan_for_another_amount_is_dropped(relay: RelayHouse) -> None:
    packed = relay.host._packed

    def other(answer: object, envelope: bytes) -> bytes:
        wrong = {**answer.fields, 4: "000000000999"}  # type: ignore[attr-defined]
        return packed(answer._replace(fields=wrong), envelope) + packed(answer, envelope)  # type: ignore[attr-defined, arg-type]

    relay.host._packed = other  # type: ignore[assignment, method-assign]
    terminal = await relay.terminal()
    terminal.send(sale())
    heard = await terminal.hears()
    assert heard is not None
    assert heard.fields[4] == "000000000100"
    await relay.becomes("approved")
    assert {row.code for row in relay.house.inbox.state.open_incidents.values()} == {"crossed_reply"}


@relayed()
async def test_a_doubled_answer_passes_twice_and_counts_once(relay: RelayHouse) -> None:
    relay.fault("0200", "duplicate")
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "00"
    await relay.becomes("approved")
    assert await terminal.asks(balance()) == "00"
    assert len(relay.house.told("transaction.approved")) == 1


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@relayed()
async def test_T10_a_pending_reversal_goes_ahead_of_the_request_that_is_held(relay: RelayHouse) -> None:
    relay.fault("0200", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale("000201"))
    await relay.until(lambda: relay.at_host("0200"))
    await terminal.close()
    again = await relay.terminal()
    assert await again.asks(sale("000202")) == "00"
    inbound = [(line.mti, line.stan) for line in relay.lines if line.what == "in" and line.mti in {"0200", "0400"}]
    assert inbound == [("0200", "000201"), ("0400", "000201"), ("0200", "000202")]
    assert (relay.net("000201"), relay.net("000202")) == (0, 100)


@relayed(hold_ms=80)
async def test_a_request_that_is_held_too_long_is_not_sent_and_its_connection_ends(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "drop-reply", "drop-reply", "drop-reply")
    first = await relay.terminal()
    assert await first.asks(sale("000201")) is None
    second = await relay.terminal()
    assert await second.asks(sale("000202")) is None
    assert relay.state("000202") == "not_sent"
    assert relay.at_host("0200") == ["000201"]


@relayed()
async def test_a_request_whose_terminal_hung_up_while_it_was_held_is_never_forwarded(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "drop-reply")
    first = await relay.terminal()
    assert await first.asks(sale("000201")) is None
    second = await relay.terminal()
    second.send(sale("000202"))
    await relay.until(lambda: relay.state("000202") == "intent")
    second.reset()
    await relay.becomes("not_sent", "000202")
    await relay.house.pass_time(60_000)
    await relay.becomes("reversed", "000201")
    assert relay.at_host("0200") == ["000201"]


@relayed()
async def test_a_request_that_is_gone_before_it_was_read_is_never_forwarded(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    terminal.send(sale())
    await terminal.close()
    other = await relay.terminal()
    assert await other.asks(balance()) == "00"
    assert relay.at_host("0200").count("000201") == (relay.state() in {"sent", "in_doubt", "reversing", "reversed"})


@relayed()
async def test_two_terminals_of_one_id_take_turns(relay: RelayHouse) -> None:
    relay.fault("0200", "delay:60")
    one, two = await relay.terminal(), await relay.terminal()
    one.send(sale("000201"))
    await relay.until(lambda: relay.at_host("0200"))
    assert await two.asks(sale("000202")) == "00"
    told = [(entry.type, entry.transaction) for entry in relay.house.entries() if entry.type.startswith("transaction.")]
    assert told.index(("transaction.approved", relay.key("000201"))) < told.index(("transaction.sent", relay.key("000202")))


@relayed()
async def test_requests_that_come_in_one_piece_are_taken_one_after_the_other(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    terminal.send(sale("000201"), sale("000202"), balance("000203"), sale("000204"))
    codes = [(heard.fields[11], heard.fields[39]) for _ in range(4) if (heard := await terminal.hears()) is not None]
    assert sorted(codes) == [("000201", "00"), ("000202", "00"), ("000203", "00"), ("000204", "00")]
    assert [stan for stan, _ in codes if stan != "000203"] == ["000201", "000202", "000204"]


@relayed()
async def test_T6_nothing_goes_out_that_could_not_be_kept(relay: RelayHouse) -> None:
    relay.house.store.database.execute("PRAGMA query_only=ON")
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) is None
    assert relay.at_host("0200") == []


@relayed()
async def test_a_nearly_full_disk_takes_no_new_sale_but_finishes_what_is_open(relay: RelayHouse) -> None:
    relay.fault("0200", "drop-reply")
    first, second = await relay.terminal(), await relay.terminal()
    first.send(sale())
    await relay.until(lambda: relay.at_host("0200") == ["000201"])
    elsewhere = request("0200", fields("000202", 100) | {41: "87654321"})
    with nearly_full():
        assert await second.asks(elsewhere) is None
        assert await first.asks(own_0400()) == "00"
        await relay.becomes("reversed")
    assert relay.at_host("0200") == ["000201"]
    third = await relay.terminal()
    assert await third.asks(elsewhere) == "00"


@relayed()
async def test_a_repeated_stan_is_not_forwarded_again(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "00"
    assert await terminal.asks(sale()) is None
    assert relay.at_host("0200") == ["000201"]
    assert [entry.data["why"] for entry in relay.house.told("relay.refused")] == ["repeated"]


@relayed()
async def test_a_sale_that_cannot_be_read_is_not_forwarded_since_it_could_not_be_undone(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    said = fields("000201", 100)
    del said[60]
    assert await terminal.asks(request("0200", said)) is None
    assert relay.at_host("0200") == []
    assert {row.code for row in relay.house.inbox.state.open_incidents.values()} == {"relay_unreadable"}


@relayed()
async def test_a_host_that_cannot_be_reached_makes_it_not_sent(relay: RelayHouse) -> None:
    await relay.host.refuse(True)
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) is None
    assert relay.state() == "not_sent"
    other = await relay.terminal()
    assert await other.asks(balance()) is None
    await relay.host.refuse(False)
    again = await relay.terminal()
    assert await again.asks(sale()) == "00"  # the same STAN: it was proved not sent


# ── the app's own 0400 ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mti", ["0400", "0401"])
@relayed()
async def test_P21_the_apps_own_reversal_passes_is_adopted_and_the_agent_sends_none(relay: RelayHouse, mti: str) -> None:
    relay.fault("0200", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    assert await terminal.asks(own_0400(mti=mti)) == "00"
    assert relay.state() == "reversed"
    detail = await relay.house.get(f"/v1/transactions/{relay.key()}")
    assert detail["advice"]["code"] == "P21"
    assert relay.at_host(mti) == ["000201"]
    assert relay.house.sends() == []
    assert relay.net("000201") == 0


@relayed()
async def test_an_own_reversal_of_what_was_approved_and_not_completed(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "00"
    await relay.becomes("approved")
    relay.house.inbox.state.forget_closed(0)
    assert await terminal.asks(own_0400(reason="96")) == "00"
    assert relay.state() == "reversed"
    assert relay.net("000201") == 0


@relayed()
async def test_an_own_reversal_beside_ours_is_an_incident_and_one_credit(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) is None
    await relay.becomes("reversed")
    again = await relay.terminal()
    assert await again.asks(own_0400()) is not None
    assert {row.code for row in relay.house.inbox.state.open_incidents.values()} == {"both_reversed"}
    assert relay.net("000201") == 0


@relayed()
async def test_an_own_reversal_of_something_unknown_passes(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(own_0400("000777")) == "25"
    assert relay.house.told("relay.app_reversed") == []


@relayed()
@pytest.mark.parametrize("code", ["51", "96"])
async def test_the_answer_to_an_own_reversal_of_what_was_declined_is_no_crossed_one(relay: RelayHouse, code: str) -> None:
    relay.fault("0200", code)
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == code
    assert await terminal.asks(own_0400()) == "25"
    assert await terminal.asks(balance()) == "00"
    assert relay.house.told("relay.app_reversed")
    assert relay.house.told("host.crossed_reply") == []
    await relay.becomes("declined" if code == "51" else "declined_uncertain")


@relayed()
async def test_an_own_reversal_that_cannot_be_kept_is_not_forwarded(relay: RelayHouse) -> None:
    relay.fault("0200", "drop-reply")
    terminal = await relay.terminal()
    terminal.send(sale())
    await relay.until(lambda: relay.at_host("0200"))
    relay.house.store.database.execute("PRAGMA query_only=ON")
    assert await terminal.asks(own_0400()) is None
    assert relay.at_host("0400") == []
    relay.house.store.database.execute("PRAGMA query_only=OFF")


# ── network management ───────────────────────────────────────────────────────────────────────────────────────────────


def settlement(mti: str = "0500") -> bytes:
    """An 0500, or the same sent again."""
    said = {11: "000900", 41: TERMINAL, 42: MERCHANT, 48: "0" * 62, 49: "156", 60: f"00{BATCH}201"}
    return request(mti, said, mac=False)


@relayed()
async def test_T12_a_settlement_waits_for_pending_reversals_and_clears_none(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "drop-reply")
    first = await relay.terminal()
    assert await first.asks(sale()) is None
    second = await relay.terminal()
    second.send(settlement())
    await relay.until(lambda: relay.house.told("settlement.held"))
    assert relay.at_host("0500") == []
    await relay.house.pass_time(30_000)
    heard = await second.hears()
    assert heard is not None
    assert (relay.state(), heard.mti) == ("reversed", "0510")


@relayed(settlement_while_pending="refuse")
@pytest.mark.parametrize("mti", ["0500", "0501"])
async def test_a_settlement_is_refused_where_the_profile_says_so(relay: RelayHouse, mti: str) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "drop-reply", "drop-reply", "drop-reply")
    first = await relay.terminal()
    assert await first.asks(sale()) is None
    second = await relay.terminal()
    assert await second.asks(settlement(mti=mti)) is None
    assert relay.at_host(mti) == []


@relayed()
async def test_T12_a_settlement_closes_the_batch_of_its_own_terminal_id_alone(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "drop-reply")
    first = await relay.terminal()
    assert await first.asks(request("0200", fields("000201", 100) | {41: "87654321"})) is None
    second = await relay.terminal()
    assert await second.asks(settlement()) == "00"
    await relay.until(lambda: relay.house.told("settlement.settled"))
    assert not relay.house.told("reversal.batch_closed") + relay.house.told("reversal.expired")
    await relay.house.pass_time(30_000)
    await relay.becomes("reversed")


@relayed(host_day=False)
async def test_T16_one_terminal_ids_settlement_leaves_the_no_original_of_another_to_be_believed(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "drop-reply", "25", "25")
    first = await relay.terminal()
    assert await first.asks(request("0200", fields("000201", 100) | {41: "87654321"})) is None
    second = await relay.terminal()
    assert await second.asks(settlement()) == "00"
    await relay.until(lambda: relay.house.told("settlement.settled") and relay.house.told("reversal.sent"))
    await relay.house.pass_time(30_000)
    await relay.until(lambda: relay.house.told("reversal.no_original_early"))
    await relay.house.pass_time(30_000)  # to the moment of the next send, and not over it
    await relay.becomes("no_original")
    said = {each["terminal_id"]: each["batch_state"] for each in (await relay.house.get("/v1/status"))["batches"]}
    assert said == {"87654321": "open", TERMINAL: "settled"}


@relayed()
async def test_T12_a_crossed_answer_to_a_settlement_closes_no_batch(relay: RelayHouse) -> None:
    relay.fault("0500", "cross")
    terminal = await relay.terminal()
    assert await terminal.asks(settlement()) == "00", "untouched: the app judges it"
    assert await terminal.asks(balance()) == "00"
    assert not relay.house.told("settlement.settled")
    assert await terminal.asks(settlement()) == "00"
    await relay.until(lambda: relay.house.told("settlement.settled"))


@relayed()
async def test_a_sign_in_that_passes_brings_what_waited_for_keys_on_its_way(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    relay.fault("0400", "A0")
    first = await relay.terminal()
    assert await first.asks(sale()) is None
    await relay.until(lambda: relay.house.told("reversal.key_refused"))
    second = await relay.terminal()
    said = {11: "000001", 41: TERMINAL, 42: MERCHANT, 60: "00000001003", 63: "01 "}
    assert await second.asks(request("0800", said, mac=False)) == "00"
    await relay.becomes("reversed")


@relayed()
async def test_the_host_that_talks_nonsense_is_hung_up_on(relay: RelayHouse) -> None:
    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(b"\xff\xff nonsense")
        writer.close()

    server = await asyncio.start_server(host, "127.0.0.1", 0)
    relay.host_port = server.sockets[0].getsockname()[1]
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) is None
    await relay.until(lambda: relay.house.told("host.noise"))
    server.close()


@relayed()
async def test_a_length_that_no_message_has_ends_the_connection(relay: RelayHouse) -> None:
    for head in (b"\x00\x00", b"\x00\x09", b"\x10\x01", b"\xff\xff"):
        terminal = await relay.terminal()
        terminal.send(head + b"x" * 20)
        assert await terminal.raw() == b""


@relayed()
async def test_a_stream_may_be_split_at_any_byte(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    whole = sale("000201") + sale("000202")
    for at in range(0, len(whole), 7):
        terminal.send(whole[at : at + 7])
        await asyncio.sleep(0)
    heard = [await terminal.hears(), await terminal.hears()]
    assert [isinstance(message, Message) and message.fields[11] for message in heard] == ["000201", "000202"]

