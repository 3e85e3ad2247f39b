"""Terminals without number and without a word: the relay's limits hold, and whoever was there goes on."""

import pytest

from agent.hooks import relay as door
from agent.hooks import relaysession
from tests.support.relay import RelayHouse, relayed, sale


@relayed()
async def test_a_terminal_too_many_is_turned_away_and_one_that_leaves_makes_room(
    relay: RelayHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "CONNECTIONS_MAX", 3)
    known = [await relay.terminal() for _ in range(3)]
    await relay.until(lambda: len(relay.relay._sessions) == 3)
    late = await relay.terminal()
    assert await late.raw() == b""
    assert [await terminal.asks(sale(f"00020{number}")) for number, terminal in enumerate(known)] == ["00"] * 3
    await known[0].close()
    await relay.until(lambda: len(relay.relay._sessions) == 2)
    assert await (await relay.terminal()).asks(sale("000209")) == "00"


@relayed()
async def test_a_terminal_that_says_nothing_for_too_long_is_hung_up_on(
    relay: RelayHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaysession, "IDLE_S", 0.05)
    silent = await relay.terminal()
    assert await silent.raw() == b""
    half = await relay.terminal()
    half.send(sale()[:40])
    assert await half.raw() == b"", "half a message is silence, too"
    assert relay.at_host("0200") == []
    await relay.until(lambda: not relay.relay._sessions)
    assert await (await relay.terminal()).asks(sale()) == "00", "who speaks at once is heard"
