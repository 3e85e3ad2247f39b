"""Where commands of the fleet are worked off: one at a time, each becomes one event, and is answered once that is on disk.

What comes from the broker waits in a short queue, of which the oldest gives way: a sender who hears nothing asks again. What
cannot be believed costs a pause, so that a flood of it costs the terminal little. Work outside the core (replay, upload-log,
config) begins after the commit that took the command, and again after a restart until its end is on disk.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol
from uuid import uuid4

import msgspec

from agent import command as commands
from agent import commandform as form
from agent.command import Keys, Refused
from agent.config import Config
from agent.configedit import NotChanged
from agent.core.change import CarryOut, Internal, Overloaded
from agent.core.commands import RESULT_BYTES_MAX, untimely
from agent.core.fleetevent import Commanded, CommandFinished, CommandRefused
from agent.core.model import Now
from agent.envelope import Command
from agent.hooks import statements, views
from agent.hooks.masking import masked
from agent.hooks.ports import House
from agent.hooks.problems import Problem
from agent.hooks.settlementbody import Statement
from agent.journal import lookup
from agent.journal.database import StorageFailed, StorageFull
from agent.keyfile import read_public_keys
from device.mqtt import Inbound, Outcome

QUEUE_MAX: Final = 32
PAUSE_S: Final = 0.1  # after a message that was not taken: what floods is looked at ten times a second
REFUSALS_ANSWERED_MAX: Final = 6  # in a minute; more are counted and not answered
REPORT_S: Final = 3_600.0  # refusals are journaled at most so often: flash wears out
PART_BYTES_MAX: Final = 32 * 1024
UPLOAD_S: Final = 120.0
BACK_MAX: Final = 50_000  # entries that a replay may go back

log = logging.getLogger(__name__)

Status = Literal["running", "done", "rejected"]


class Line(Protocol):
    """What the desk needs of telemetry."""

    def answer(
        self, command: str, name: str, status: Status, d: dict[str, Any], correlation: bytes | None = None,
        done: Callable[[Outcome], None] | None = None,
    ) -> bool:
        """Say it; False when there is no room or no line."""

    def rewind(self, seq: int) -> None:
        """Send again what comes after `seq`."""


class CommandDesk:
    """One terminal's. `change` puts new values of the configuration in force and raises NotChanged."""

    def __init__(
        self, keys: Keys, fleet: str, sn: str, house: House, clock: Callable[[], Now], change: Callable[[dict[str, Any]], None]
    ) -> None:
        self._keys, self._fleet, self._sn = keys, fleet, sn
        self._house, self._clock, self._change = house, clock, change
        self._line: Line
        self._statement = statements.Desk()
        self._messages: deque[Inbound] = deque(maxlen=QUEUE_MAX)
        self._work: deque[CarryOut] = deque()
        self._news = asyncio.Event()
        self._refused, self._reported_s, self._answered_s = 0, float("-inf"), deque[float](maxlen=REFUSALS_ANSWERED_MAX)

    def arrived(self, message: Inbound) -> None:
        """From the broker: only handed over."""
        self._messages.append(message)
        self._news.set()

    def perform(self, effect: CarryOut) -> None:
        """The command is on disk: do it."""
        self._work.append(effect)
        self._news.set()

    async def run(self, line: Line) -> None:
        """Work until cancelled, and answer over this line. What a run before this one left undone comes first."""
        self._line = line
        book = self._house.inbox.state.commands
        for each in book.taken:
            if each.at_work and all(each.id != waiting.command for waiting in self._work):
                self.perform(CarryOut(each.id, each.name, each.args))
        while True:
            await self._news.wait()
            self._news.clear()
            while self._messages or self._work:
                if self._work:
                    await self._carry_out(self._work.popleft())
                else:
                    await self._take(self._messages.popleft())

    # ── taking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, message: Inbound) -> None:
        try:
            command = commands.believed(message, self._fleet, self._sn, self._keys)
            event = await self._event(command, message)
            decision = await self._house.inbox.submit(event)
        except Refused as refusal:
            await self._refuse(refusal, message)
        except (Overloaded, StorageFull):
            self._tell(command, "rejected", {"why": "storage"}, message)
        except Internal:
            self._tell(command, "rejected", {"why": "internal"}, message)
        except StorageFailed:
            return  # the agent is about to stop, and nothing was taken
        except Exception:
            log.exception("a command made the desk stumble")
            await self._refuse(Refused("internal"), message)
        else:
            if decision.told is not None:
                said = {name: value for name, value in decision.told.items() if name != "status"}
                self._tell(command, decision.told["status"], said, message)

    def _tell(self, command: Command, status: Status, d: dict[str, Any], message: Inbound) -> None:
        self._line.answer(command.id, command.name, status, d, message.correlation)

    async def _refuse(self, refusal: Refused, message: Inbound) -> None:
        loop, command = asyncio.get_running_loop(), refusal.command
        now_s = loop.time()
        self._refused += 1
        full = len(self._answered_s) == REFUSALS_ANSWERED_MAX and now_s - self._answered_s[0] < 60.0
        if command is not None and not full:
            self._answered_s.append(now_s)
            self._tell(command, "rejected", {"why": refusal.why}, message)
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            log.warning("commands were not taken: %s", refusal.why)
            self._house.inbox.tell(CommandRefused(why=refusal.why, count=self._refused))
            self._refused = 0
        await asyncio.sleep(PAUSE_S)

    async def _event(self, command: Command, message: Inbound) -> Commanded:
        """The event of a command. One that is a repeat, or not in time, is only named: nothing is prepared for it."""
        correlation = message.correlation.hex() if message.correlation else None
        event = Commanded(
            command=command.id, name=command.name, digest=form.digest(command),  # type: ignore[arg-type]
            not_before_ms=command.not_before, expires_ms=command.expires, by=command.key, correlation=correlation,
        )
        given = commands.arguments(command)
        book = self._house.inbox.state.commands
        if isinstance(given, form.Change):
            event = msgspec.structs.replace(event, args=msgspec.to_builtins(given))
        if book.find(command.id) is not None or untimely(book, self._clock(), event) is not None:
            return event
        more = await self._prepared(command, given)
        return msgspec.structs.replace(event, **more)

    async def _prepared(self, command: Command, given: msgspec.Struct) -> dict[str, Any]:
        match given:
            case form.About():
                job = str(uuid4()) if command.name == "reprint" else None
                return {"transaction": self._meant(command, given.transaction), "job": job}
            case form.Query():
                return self._found(command, given)
            case form.Display():
                return {"args": {"zh": masked(given.zh), "en": masked(given.en), "seconds": given.seconds}}
            case Statement():
                return await self._settled(command, given)
            case _:
                return {"args": msgspec.to_builtins(given)}

    def _meant(self, command: Command, name: str) -> str:
        """The id of the transaction that is meant by an id or a STAN."""
        store = self._house.inbox.store
        if lookup.transaction(store, name) is not None:
            return name
        rows = lookup.by_stan(store, name.zfill(6)) if name.isdigit() else []
        if len(rows) != 1:
            raise Refused("ambiguous" if rows else "no-such-transaction", command)
        return rows[0].id

    def _found(self, command: Command, asked: form.Query) -> dict[str, Any]:
        """What a query finds, masked, and cut to what is kept as an answer."""
        house = self._house
        if asked.what == "status":
            answer: dict[str, Any] = msgspec.to_builtins(views.status_of(house))
        elif asked.what == "transaction":
            about = self._meant(command, asked.of or "")
            answer = msgspec.to_builtins(views.detail_of(house.inbox.view(about), about))
            advice = answer.pop("advice")
            answer["advice"] = {name: advice[name] for name in ("code", "hold_goods", "may_pay_again", "zh", "en", "reason")}
        elif asked.what == "incident":
            found = house.inbox.store.incident(asked.of or "")
            if found is None:
                raise Refused("no-such-incident", command)
            answer = msgspec.to_builtins(views.item_of(found))
        else:
            rows = house.inbox.store.incidents(only_open=True, before=2**53, limit=50)
            answer = {"open": len(house.inbox.state.open_incidents), "incidents": [_short(row) for row in rows]}
        return {"answer": _cut(answer)}

    async def _settled(self, command: Command, body: Statement) -> dict[str, Any]:
        """A part of a statement is kept; the last one brings the whole."""
        if body.preview:
            raise Refused("no-preview", command)
        try:
            verdicts = self._statement.take(body)
            if verdicts is None:
                return {"answer": {"applied": False, "part": body.part, "parts": body.parts}}
            return {"statement": await statements.event_of(self._house, body, verdicts)}
        except Problem as problem:
            code = problem.body.type.rpartition(":")[2]
            raise Refused("bad-arguments" if code == "invalid-body" else code, command) from None

    # ── carrying out ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _carry_out(self, effect: CarryOut) -> None:
        try:
            result = await _WORK[effect.name](self, effect)
            event = CommandFinished(command=effect.command, result=result)
        except Refused as refusal:
            event = CommandFinished(command=effect.command, why=refusal.why)
        except NotChanged as refusal:
            event = CommandFinished(command=effect.command, why=refusal.why)
        except StorageFailed:
            return  # the agent is about to stop; the next start begins it again
        except Exception:
            log.exception("command %s was not carried out", effect.name)
            event = CommandFinished(command=effect.command, why="internal")
        self._house.inbox.tell(event)

    async def _replay(self, effect: CarryOut) -> dict[str, Any]:
        store, first = self._house.inbox.store, effect.args["from_seq"]
        oldest = next((entry.seq for entry in store.entries_after(0, 1)), 1)
        first = max(first, oldest)
        if store.seq - first >= BACK_MAX:
            raise Refused("too-far-back")
        self._line.rewind(first - 1)
        return {"from_seq": first, "to_seq": store.seq}

    async def _configure(self, effect: CarryOut) -> dict[str, Any]:
        self._change(effect.args["set"])
        return {"version": effect.args["version"]}

    async def _upload(self, effect: CarryOut) -> dict[str, Any]:
        """Journal entries in parts that the broker takes one after the other; what they were made from stays here."""
        first, number = effect.args["from_seq"], effect.args["entries"]
        entries = self._house.inbox.store.entries_after(first - 1, number)
        parts: list[list[dict[str, Any]]] = [[]]
        size = 0
        for entry in entries:
            line = msgspec.to_builtins(msgspec.structs.replace(entry, input=None))
            own = len(msgspec.json.encode(line))
            if parts[-1] and size + own > PART_BYTES_MAX:
                parts.append([])
                size = 0
            parts[-1].append(line)
            size += own
        try:
            async with asyncio.timeout(UPLOAD_S):
                for part, lines in enumerate(parts, start=1):
                    await self._deliver(effect, {"part": part, "parts": len(parts), "entries": lines})
        except TimeoutError:
            raise Refused("line-lost") from None
        last = entries[-1].seq if entries else first - 1
        return {"parts": len(parts), "entries": len(entries), "from_seq": first, "to_seq": last}

    async def _deliver(self, effect: CarryOut, d: dict[str, Any]) -> None:
        """Until the broker has taken it."""
        command = self._house.inbox.state.commands.find(effect.command)
        correlation = bytes.fromhex(command.correlation) if command is not None and command.correlation else None
        while True:
            outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
            said = self._line.answer(effect.command, effect.name, "running", d, correlation, outcomes.put_nowait)
            if said and (await outcomes.get()).kind == "taken":
                return
            await asyncio.sleep(PAUSE_S)


_WORK: Final[dict[str, Callable[[CommandDesk, CarryOut], Awaitable[dict[str, Any]]]]] = {
    "replay": CommandDesk._replay, "config": CommandDesk._configure, "upload-log": CommandDesk._upload,  # noqa: SLF001
}


def _short(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "code": row.code, "transaction": row.transaction, "owner": row.owner, "next_action": row.next_action,
        "opened_at": row.opened.wall_ms,
    }


def _cut(answer: dict[str, Any]) -> dict[str, Any]:
    """Lists lose their oldest items until the answer is small enough to be kept; `cut` says how many."""
    lists = [value for value in answer.values() if isinstance(value, list)]
    while len(msgspec.json.encode(answer)) > RESULT_BYTES_MAX - 16 and any(lists):
        max(lists, key=len).pop(-1)
        answer["cut"] = answer.get("cut", 0) + 1
    return answer


def open_desk(
    config: Config, house: House, clock: Callable[[], Now], change: Callable[[dict[str, Any]], None]
) -> CommandDesk | None:
    """The desk of this terminal, None where nobody may command it. Raises ConfigError."""
    mqtt, terminal = config.mqtt, config.terminal
    if mqtt is None or mqtt.command_keys_file is None:
        log.info("commands of the fleet: off (mqtt.command_keys_file is not set)")
        return None
    keys = read_public_keys(mqtt.command_keys_file, "mqtt.command_keys_file")
    log.info("commands of the fleet: on, signed by %s", ", ".join(keys))
    return CommandDesk(keys, terminal.fleet, terminal.sn, house, clock, change)
