"""The desk in a real house: what becomes of a message, of what a run before left undone, and of a flood."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agent import commanddesk
from agent.commanddesk import CommandDesk
from agent.configedit import NotChanged
from agent.core.change import Effect
from agent.envelope import encode
from agent.hooks.ports import House
from device.mqtt import Inbound, Outcome
from tests.support.commands import FLEET, NAME, OTHER, PUBLIC, SN, signed
from tests.support.house import BATCH, MORNING_MS, PAN, VERSION, OpenHouse, housed
from tests.support.waiting import until

TAKEN = Outcome("taken", 0, "")


class Voice:
    """Telemetry's ear at the desk: keeps what is said. `outcomes` are what the broker makes of it, `TAKEN` in the end."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, dict[str, Any]]] = []
        self.outcomes: list[Outcome] = []
        self.room = True
        self.rewound: list[int] = []

    def answer(
        self, command: str, name: str, status: str, d: dict[str, Any], correlation: bytes | None = None,
        done: Callable[[Outcome], None] | None = None,
    ) -> bool:
        if not self.room:
            return False
        self.said.append((command, status, d))
        if done is not None:
            done(self.outcomes.pop(0) if self.outcomes else TAKEN)
        return True

    def rewind(self, seq: int) -> None:
        self.rewound.append(seq)


class Scene:
    """A desk at work in a house."""

    def __init__(self, house: OpenHouse) -> None:
        self.house, self.voice, self.changes = house, Voice(), list[dict[str, Any]]()
        behind = House(
            inbox=house.inbox, vault=house.vault, version=VERSION, line_down=lambda: False, poke_line=lambda: None,
            network_changed=lambda: None, boottime_ms=lambda: house.clock.boottime_ms,
        )
        self.desk = CommandDesk(
            {NAME: PUBLIC}, FLEET, SN, behind, house.clock.read, self._change,  # type: ignore[arg-type]
        )
        house.perform = self._perform
        self.refusal: NotChanged | None = None

    def _perform(self, effect: Effect) -> None:
        self.house.effects.append(effect)
        if type(effect).__name__ == "CarryOut":
            self.desk.perform(effect)  # type: ignore[arg-type]

    def _change(self, values: dict[str, Any]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.changes.append(values)

    def send(self, name: str, args: dict[str, Any], key: str = "c-1", **fields: Any) -> None:
        """A command that is valid for ten minutes of the house's clock."""
        now_ms = self.house.clock.wall_ms or MORNING_MS
        said = {"id": key, "not_before": now_ms - 1_000, "expires": now_ms + 600_000} | fields
        self.desk.arrived(Inbound(f"rv1/{FLEET}/{SN}/cmd", encode(signed(name, args, **said))))

    def ends(self) -> dict[str, tuple[str, Any]]:
        """How each command ended in the journal: its status, and its result or why not."""
        found = [entry for entry in self.house.entries() if entry.type in {"command.done", "command.rejected"}]
        return {entry.data["id"]: (entry.type[8:], entry.data.get("result", entry.data.get("why"))) for entry in found}


@contextlib.asynccontextmanager
async def at_work(house: OpenHouse) -> AsyncIterator[Scene]:
    """A desk that works until the end of the block."""
    scene = Scene(house)
    running = asyncio.create_task(scene.desk.run(scene.voice))
    try:
        yield scene
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@housed()
async def test_a_question_about_a_closed_sale_is_answered_masked_and_small(house: OpenHouse) -> None:
    key = await house.reversed("000123")
    house.inbox.state.forget_closed(0)
    async with at_work(house) as scene:
        scene.send("query", {"what": "transaction", "of": "123"})
        await until(lambda: "c-1" in scene.ends())
        status, found = scene.ends()["c-1"]
    assert (status, found["id"], found["state"], found["card"]) == ("done", key, "reversed", "622202*********0128")
    assert PAN.encode() not in house.bytes_on_disk()


@housed()
async def test_a_stan_that_two_have_names_nobody(house: OpenHouse) -> None:
    await house.approved("000123")
    await house.open("000123", batch="000002", sent=False)
    async with at_work(house) as scene:
        scene.send("recover", {"transaction": "000123"})
        scene.send("recover", {"transaction": "000124"}, "c-2")
        await until(lambda: len(scene.voice.said) == 2)
    assert [said[2]["why"] for said in scene.voice.said] == ["ambiguous", "no-such-transaction"]


@housed()
async def test_what_a_run_before_left_undone_is_done_by_the_next_one_and_once(house: OpenHouse) -> None:
    scene = Scene(house)  # takes the command, and is killed before it does anything
    house.perform = house.effects.append
    running = asyncio.create_task(scene.desk.run(scene.voice))
    scene.send("config", {"version": 1, "set": {"terminal.lang": "en"}})
    await until(lambda: [entry for entry in house.entries() if entry.type == "command.accepted"])
    running.cancel()
    await house.restart()
    async with at_work(house) as again:
        again.send("config", {"version": 1, "set": {"terminal.lang": "en"}})
        await until(lambda: again.ends())
        assert again.ends() == {"c-1": ("done", {"version": 1})}
        assert again.changes == [{"terminal.lang": "en"}]
        again.send("config", {"version": 1, "set": {"terminal.lang": "en"}})
        await until(lambda: ("c-1", "done", {"result": {"version": 1}}) in again.voice.said)
    assert again.changes == [{"terminal.lang": "en"}]


@housed()
async def test_a_change_that_is_not_taken_says_why(house: OpenHouse) -> None:
    async with at_work(house) as scene:
        scene.refusal = NotChanged("bad-value")
        scene.send("config", {"version": 1, "set": {"terminal.lang": "fr"}})
        await until(lambda: scene.ends())
    assert scene.ends() == {"c-1": ("rejected", "bad-value")}


@housed()
async def test_a_statement_in_parts_is_whole_or_nothing(house: OpenHouse) -> None:
    key = await house.doubt("000123")
    line = {"date": "2026-03-02", "batch": BATCH, "stan": "000123", "amount_fen": 100, "direction": "debit"}
    first = {"statement": "s", "verdicts": [line], "part": 1, "parts": 3}
    second, last = first | {"part": 2, "verdicts": []}, first | {"part": 3, "verdicts": []}
    async with at_work(house) as scene:
        scene.send("settle", last, "c-1")
        await until(lambda: ("c-1", "rejected", {"why": "statement-interrupted"}) in scene.voice.said)
        scene.send("settle", first, "c-2")
        await until(lambda: "c-2" in scene.ends())
        assert house.inbox.state.transactions[key].account is None
        scene.send("settle", second, "c-2b")
        scene.send("settle", second, "c-2b")  # a repeat in the middle changes nothing
        scene.send("settle", last, "c-3")
        await until(lambda: "c-3" in scene.ends())
        assert scene.ends()["c-3"][1]["lines"] == 1
        scene.send("settle", last | {"preview": True}, "c-4")
        await until(lambda: ("c-4", "rejected", {"why": "no-preview"}) in scene.voice.said)
    assert len(house.told("settlement.imported")) == 1


@housed()
async def test_a_log_goes_in_parts_and_a_part_that_was_lost_goes_again(house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commanddesk, "PART_BYTES_MAX", 400)
    await house.reversed()
    async with at_work(house) as scene:
        scene.voice.outcomes = [Outcome("lost", 0, ""), TAKEN, Outcome("refused", 0x97, "")]
        scene.send("upload-log", {"from_seq": 2, "entries": 6})
        await until(lambda: scene.ends())
    parts = [said[2] for said in scene.voice.said if said[1] == "running"]
    status, result = scene.ends()["c-1"]
    assert (status, result["entries"], result["from_seq"], result["to_seq"]) == ("done", 6, 2, 7)
    assert [part["part"] for part in parts[:3]] == [1, 1, 2]
    seqs = {part["part"]: [entry["seq"] for entry in part["entries"]] for part in parts}
    assert [seq for number in sorted(seqs) for seq in seqs[number]] == list(range(2, 8))


@housed()
async def test_a_log_for_which_there_is_no_line_is_given_up_and_the_desk_goes_on(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanddesk, "UPLOAD_S", 0.2)
    async with at_work(house) as scene:
        scene.voice.room = False
        scene.send("upload-log", {"from_seq": 1})
        await until(lambda: scene.ends() == {"c-1": ("rejected", "line-lost")})
        scene.send("display", {"zh": f"卡 {PAN}", "en": "x"}, "c-2")
        await until(lambda: "c-2" in scene.ends())
    assert house.told("display.message")[0].data["zh"] == "卡 622202*********0128"


@housed()
async def test_a_replay_begins_at_an_entry_that_is_there_and_not_too_far_back(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.reversed()
    async with at_work(house) as scene:
        scene.send("replay", {"from_seq": 3})
        await until(lambda: scene.voice.rewound == [2])
        monkeypatch.setattr(commanddesk, "BACK_MAX", 3)
        scene.send("replay", {"from_seq": 3}, "c-2")
        await until(lambda: "c-2" in scene.ends())
    assert scene.ends()["c-2"] == ("rejected", "too-far-back")
    assert scene.voice.rewound == [2]


@housed()
async def test_a_flood_is_looked_at_slowly_answered_rarely_and_journaled_once(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanddesk, "PAUSE_S", 0.001)
    async with at_work(house) as scene:
        for number in range(200):
            scene.send("recover", {"transaction": "x"}, f"f-{number}", by=OTHER)
        assert len(scene.desk._messages) == commanddesk.QUEUE_MAX, "the oldest gave way"
        await until(lambda: not scene.desk._messages)
        await until(lambda: len(house.told("security.command_refused")) == 1)
        scene.send("query", {"what": "status"}, "good")
        await until(lambda: "good" in scene.ends())
    assert len([said for said in scene.voice.said if said[2].get("why") == "bad-signature"]) == 6


@housed()
async def test_a_question_that_the_desk_stumbles_over_is_refused_and_the_next_one_answered(
    house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(house) as scene:
        monkeypatch.setattr(commanddesk.views, "status_of", lambda _house: 1 / 0)
        scene.send("query", {"what": "status"})
        scene.send("query", {"what": "incidents"}, "c-2")
        await until(lambda: "c-2" in scene.ends())
    assert "c-1" not in scene.ends()
