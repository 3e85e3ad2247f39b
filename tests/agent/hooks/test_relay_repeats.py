"""What is never reversed, in the relay over real sockets: advice and refunds are repeated as they are, other kinds watched."""

import pytest

from agent.hooks import relaykeeper
from tests.support.relay import RelayHouse, relayed, request, sale
from tests.support.terminal import UNIONPAY


def refund(stan: str = "000301", amount_fen: int = 60, mti: str = "0220") -> bytes:
    """A refund of the sale 000201, as it stands on the line."""
    said = UNIONPAY.fields("refund", stan, amount_fen, "000201", date=_TODAY[0])
    return request(mti, said)


_TODAY: list[str] = [""]


def instalment(stan: str = "000401", amount_fen: int = 900) -> bytes:
    """A kind that no profile lists."""
    return request("0200", UNIONPAY.fields("instalment", stan, amount_fen))


async def sold(relay: RelayHouse) -> None:
    """A sale of 100 fen that can be refunded."""
    terminal = await relay.terminal()
    assert await terminal.asks(sale()) == "00"
    await relay.becomes("approved")
    _TODAY[0] = next(iter(relay.host.model.ledger)).date


@pytest.mark.parametrize("mti", ["0220", "0221"])
@relayed()
async def test_a_refund_whose_answer_is_lost_is_repeated_as_it_is_and_never_reversed(relay: RelayHouse, mti: str) -> None:
    await sold(relay)
    relay.fault("0220", "drop-reply")
    first = await relay.terminal()
    first.send(refund())
    await relay.until(lambda: relay.at_host("0220"))
    await first.close()
    await relay.becomes("in_doubt", "000301")
    again = await relay.terminal()
    assert await again.asks(refund(mti=mti)) == "00"
    await relay.becomes("approved", "000301")
    assert (relay.at_host("0220") + relay.at_host("0221"), relay.at_host("0400")) == (["000301", "000301"], [])
    assert len(relay.house.query("SELECT id FROM transactions WHERE stan = '000301'")) == 1
    assert (relay.net("000301"), relay.net("000201")) == (-60, 100)
    assert not relay.house.inbox.state.open_incidents


@relayed()
async def test_a_refund_that_comes_again_while_its_answer_is_waited_for_waits_for_it(relay: RelayHouse) -> None:
    await sold(relay)
    relay.fault("0220", "delay:150")
    one, two = await relay.terminal(), await relay.terminal()
    one.send(refund())
    await relay.until(lambda: relay.at_host("0220"))
    assert await two.asks(refund()) == "00"
    heard = await one.hears()
    assert heard is not None
    assert heard.fields[39] == "00"
    await relay.becomes("approved", "000301")
    assert relay.net("000301") == -60
    assert [line.mti for line in relay.lines if line.mti in {"0220", "0230"}] == ["0220", "0230", "0220", "0230"]


@relayed()
async def test_a_refund_that_was_answered_passes_again_and_counts_once(relay: RelayHouse) -> None:
    await sold(relay)
    terminal = await relay.terminal()
    for _ in range(3):
        assert await terminal.asks(refund()) == "00"
    await relay.becomes("approved", "000301")
    assert (relay.at_host("0220"), relay.net("000301")) == (["000301"] * 3, -60)
    assert len(relay.house.told("transaction.approved")) == 2, "the sale, and the refund once"
    assert relay.house.told("relay.refused") == []


@relayed()
async def test_the_answer_to_a_repeat_decides_whatever_the_first_became(relay: RelayHouse) -> None:
    await sold(relay)
    relay.fault("0220", "bad-mac", "51")
    terminal = await relay.terminal()
    assert await terminal.asks(refund()) == "00", "nothing was undone: the app judges its answer as ever"
    await relay.becomes("in_doubt", "000301")
    assert await terminal.asks(refund()) == "51"
    await relay.becomes("declined", "000301")
    assert relay.at_host("0400") == []


@relayed()
async def test_another_message_under_the_number_of_a_refund_passes_and_nothing_is_learned_of_it(relay: RelayHouse) -> None:
    await sold(relay)
    terminal = await relay.terminal()
    assert await terminal.asks(refund()) == "00"
    await relay.becomes("approved", "000301")
    other = await relay.terminal()
    assert await other.asks(refund(amount_fen=30)) == "94"
    assert [row[0] for row in relay.house.query("SELECT state FROM transactions WHERE stan = '000301'")] == ["approved"]


@relayed()
async def test_a_refund_waits_for_the_pending_reversal_and_only_its_own_time(relay: RelayHouse) -> None:
    await sold(relay)
    relay.fault("0200", "close")
    relay.fault("0400", "delay:100")
    terminal = await relay.terminal()
    assert await terminal.asks(sale("000202")) is None
    again = await relay.terminal()
    assert await again.asks(refund()) == "00"
    inbound = [(line.mti, line.stan) for line in relay.lines if line.what == "in" and line.mti in {"0220", "0400"}]
    assert inbound == [("0400", "000202"), ("0220", "000301")]


@relayed()
async def test_a_kind_that_nobody_lists_passes_and_is_approved_as_the_host_says(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(instalment()) == "00"
    await relay.becomes("approved", "000401")
    row = relay.house.inbox.state.transactions[relay.key("000401")]
    assert (row.kind, row.vault) == ("other", None)


@relayed()
async def test_a_kind_that_nobody_lists_is_reported_when_its_answer_is_lost_and_never_reversed(relay: RelayHouse) -> None:
    relay.fault("0200", "close")
    terminal = await relay.terminal()
    assert await terminal.asks(instalment()) is None
    await relay.becomes("unresolved", "000401")
    [incident] = relay.house.inbox.state.open_incidents.values()
    assert (incident.code, incident.owner, incident.next_action) == ("in_doubt", "operator", "compare_settlement")
    assert relay.at_host("0400") == []
    again = await relay.terminal()
    assert await again.asks(sale("000202")) == "00", "it holds up nobody"


@relayed()
async def test_of_a_kind_that_nobody_lists_every_answer_passes_whatever_its_amount(relay: RelayHouse) -> None:
    packed = relay.host._packed

    def other(answer: object, envelope: bytes) -> bytes:
        return packed(answer._replace(fields={**answer.fields, 3: "190000", 4: "000000099999"}), envelope)  # type: ignore[attr-defined, arg-type]

    relay.host._packed = other  # type: ignore[assignment, method-assign]
    terminal = await relay.terminal()
    assert await terminal.asks(instalment()) == "00"
    await relay.becomes("approved", "000401")
    assert relay.house.inbox.state.transactions[relay.key("000401")].approved_fen == 900


@relayed()
async def test_the_apps_own_0400_for_what_is_only_watched_passes_and_is_its_own_affair(relay: RelayHouse) -> None:
    terminal = await relay.terminal()
    assert await terminal.asks(instalment()) == "00"
    await relay.becomes("approved", "000401")
    said = UNIONPAY.fields("instalment", "000401", 900) | {39: "98"}
    assert await terminal.asks(request("0400", said)) == "58"
    assert relay.state("000401") == "approved"
    assert not relay.house.inbox.state.open_incidents


def test_only_what_may_come_again_is_taken_for_a_repeat() -> None:
    assert {"sent", "in_doubt"} == relaykeeper.OPEN
