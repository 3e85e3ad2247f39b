"""Random streams at the relay: whatever terminals and host do, nothing is left unhandled, nothing hangs, nothing is altered."""

import asyncio
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hooks import relaysession
from tests.support.relay import RelayHouse, Terminal, balance, open_relay, own_0400, request, sale
from tests.support.terminal import fields

STANS = itertools.count(1)
NOBODY = 9  # discard: nobody listens there
RECENT = 4  # own 0400s and repeats are about one of the last few

Move = tuple[str, int, Any]

_frames = st.sampled_from(["sale", "sale", "sale", "again", "own", "balance", "settle", "sign-in", "unsigned", "short"])
_moves = st.one_of(
    st.tuples(
        st.just("frames"), st.integers(0, 1), st.lists(st.tuples(_frames, st.integers(0, RECENT - 1)), min_size=1, max_size=3)
    ),
    st.tuples(st.just("framed"), st.integers(0, 1), st.binary(min_size=21, max_size=200)),
    st.tuples(st.just("bytes"), st.integers(0, 1), st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("cut"), st.integers(0, 1), st.tuples(_frames, st.integers(1, 120))),
    st.tuples(st.sampled_from(["close", "half_close", "reset", "pause", "pause"]), st.integers(0, 1), st.none()),
    st.tuples(
        st.just("host"), st.just(0),
        st.sampled_from([
            "ok", "drop-reply", "drop-request", "duplicate", "cross", "stray", "51", "bad-mac", "no-mac", "half", "close",
            "reset", "delay:3", "delay:12",
        ]),
    ),
    st.tuples(st.just("down"), st.just(0), st.booleans()),
)


class Player:
    """Two terminals that do what the moves say; one house and host for all of them."""

    def __init__(self, relay: RelayHouse) -> None:
        self.relay = relay
        self.stans: list[str] = [f"{next(STANS):06d}"]
        self.terminals: list[Terminal | None] = [None, None]
        self.readers: list[asyncio.Task[None]] = []

    def frame(self, kind: str, which: int) -> bytes:
        """A frame of this kind."""
        if kind == "sale":
            self.stans.append(f"{next(STANS):06d}")
            return sale(self.stans[-1])
        stan = self.stans[-1 - which % len(self.stans)]
        return {
            "again": lambda: sale(stan), "own": lambda: own_0400(stan), "balance": balance,
            "settle": lambda: request("0500", {41: "12345678", 42: "898310148160001", 60: "00000001201"}, mac=False),
            "sign-in": lambda: request("0800", {11: "000001", 41: "12345678", 60: "00000001003"}, mac=False),
            "unsigned": lambda: request("0200", fields(stan, 100), mac=False),
            "short": lambda: request("0200", {3: "000000", 4: "000000000100", 41: "12345678"}),
        }[kind]()

    async def terminal(self, number: int) -> Terminal:
        """This terminal, calling if it has not."""
        if (found := self.terminals[number]) is None:
            found = self.terminals[number] = await self.relay.terminal()
            self.readers.append(asyncio.create_task(self._read(found)))
        return found

    @staticmethod
    async def _read(terminal: Terminal) -> None:
        while await terminal.raw():
            pass

    async def play(self, move: Move) -> None:
        """One move."""
        kind, number, what = move
        if kind == "host":
            self.relay.host.model.faults.set({"*": what})
        elif kind == "down":
            self.relay.host_port = NOBODY if what else self.relay.host.port
        elif kind == "pause":
            await asyncio.sleep(0.004)
        elif kind in {"close", "half_close", "reset"}:
            if (terminal := self.terminals[number]) is not None:
                self.terminals[number] = None
                await terminal.close() if kind == "close" else getattr(terminal, kind)()
        else:
            terminal = await self.terminal(number)
            terminal.send(*self._bytes(kind, what))

    def _bytes(self, kind: str, what: Any) -> Iterator[bytes]:
        if kind == "frames":
            yield from (self.frame(*each) for each in what)
        elif kind == "framed":
            yield len(what).to_bytes(2, "big") + what
        elif kind == "cut":
            yield self.frame(what[0], 0)[: what[1]]
        else:
            yield what

    async def end(self) -> None:
        """Everybody hangs up and the host is well again: all must come to rest."""
        relay = self.relay
        relay.host.model.faults.clear()
        relay.host_port = relay.host.port
        for terminal in self.terminals:
            if terminal is not None:
                await terminal.close()
        await asyncio.gather(*self.readers)
        await relay.until(lambda: not relay.relay._sessions)
        self._check()

    def _check(self) -> None:
        known = self.relay.house.inbox.state.transactions  # with this, what is begun is on disk
        for stan in set(self.relay.at_host("0200")) & set(self.stans):
            # Where bytes of two messages made a third, there is another of this STAN, in a batch that nobody meant.
            keys = self.relay.house.query("SELECT id FROM transactions WHERE stan = ?", stan)
            states = [known[key].state for (key,) in keys if key in known]
            assert len(states) < len(keys) or not keys or {*states} - {"intent", "not_sent", "sent"}, (stan, states)
        self.relay.lines.clear()


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What went wrong without anybody handling it, as the logs say."""
    caplog.set_level(logging.ERROR)
    found: list[str] = []
    yield found
    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if "defect" in text or "undone" in text or "exception" in text.lower()] == []


@pytest.mark.hypothesis
def test_random_streams_leave_nothing_unhandled_and_nobody_hanging(
    tmp_path: Path, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaysession, "LATE_S", 0.02)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: errors.append(str(context)))
        opened = open_relay(tmp_path, hold_ms=15)
        relay = runner.run(opened.__aenter__())

        async def story(moves: list[Move]) -> None:
            player = Player(relay)
            for move in moves:
                await player.play(move)
            await player.end()
            await relay.house.pass_time(200_000)

        @given(st.lists(_moves, min_size=1, max_size=10))
        def play(moves: list[Move]) -> None:
            runner.run(story(moves))
            assert errors == []

        try:
            play()
        finally:
            runner.run(opened.__aexit__(None, None, None))
