"""A house in one process: a real journal file, the inbox and the door on a real Unix socket. Only the clock is the test's.

What the core asks for (`effects`) is kept, not performed: a test plays the host and the printer by submitting what they say.
"""

import asyncio
import contextlib
import functools
import inspect
import json
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from agent.core import event as e
from agent.core.change import Decision, Effect, PrintJob, SendReversal
from agent.core.model import Now
from agent.core.policy import Policy
from agent.core.step import next_deadline_ms
from agent.hooks.ports import House
from agent.hooks.server import Door
from agent.inbox import Inbox
from agent.journal import database
from agent.journal.chain import Entry
from agent.journal.database import StorageFailed
from agent.journal.replay import Difference, Replay
from agent.journal.rows import DECODERS, SINGLES, TABLES
from agent.journal.store import Store
from agent.vault import Tokens, Vault

PAN = "6222021234567890128"
CHIP = "950500000000009F1E0831323334353637389F36020011"
TERMINAL = "12345678"
MERCHANT = "898310148160001"
BATCH = "000001"
MORNING_MS = 1_772_416_800_000  # 2026-03-02 10:00 in China
VERSION = "1.2.3"
KEY = bytes(range(32))

SALE: dict[str, Any] = {
    "rail": "card",
    "kind": "sale",
    "amount_fen": 100,
    "stan": "000123",
    "batch": BATCH,
    "terminal_id": TERMINAL,
    "merchant_id": MERCHANT,
    "sent": True,
    "card": {"pan": PAN, "expiry": "3012", "entry_mode": "051", "sequence": "001", "chip": CHIP},
}
RECEIPT: dict[str, Any] = {"lines": [{"text": "签购单", "align": "center", "size": 2}, {"text": "金额:RMB 1.00", "bold": True}]}


@contextlib.contextmanager
def nearly_full() -> Iterator[None]:
    """No disk has as much room as is wanted now."""
    usual, database.FREE_BYTES_MIN = database.FREE_BYTES_MIN, 1 << 62
    try:
        yield
    finally:
        database.FREE_BYTES_MIN = usual


class Clock:
    """The three times, moved by hand. `wall_ms` is None while the wall clock was never set."""

    def __init__(self) -> None:
        self.boot_id = "boot-1"
        self.boottime_ms = 1_000
        self.wall_ms: int | None = MORNING_MS

    def read(self) -> Now:
        """Now."""
        return Now(self.boot_id, self.boottime_ms, self.wall_ms, "none" if self.wall_ms is None else "ntp")

    def pass_ms(self, ms: int) -> None:
        """Time goes by; nothing happens by that alone."""
        self.boottime_ms += ms
        if self.wall_ms is not None:
            self.wall_ms += ms


class Answer(NamedTuple):
    """What came back."""

    status: int
    type: str
    body: Any
    raw: bytes
    headers: dict[str, str]

    @property
    def id(self) -> str:
        """The transaction it speaks of."""
        return str(self.body["id"])

    @property
    def code(self) -> str:
        """The stable end of a problem's type."""
        assert self.type == "application/problem+json", self
        return str(self.body["type"]).removeprefix("urn:reversald:problem:")


class OpenHouse:
    """One running house; make it with `open_house`."""

    def __init__(
        self,
        folder: Path,
        *,
        policy: Policy | None = None,
        allowed_uids: frozenset[int] | None = None,
        token: str | None = None,
        vault: bool = True,
    ) -> None:
        self.folder = folder
        self.database = folder / "journal.db"
        self.socket = folder / "house.sock"
        self.policy = policy or Policy(terminal_id=TERMINAL)
        self.clock = Clock()
        self.vault = Vault(KEY) if vault else None
        self.line_down = False
        self.pokes = 0
        self.network_changes = 0
        self.effects: list[Effect] = []
        self.perform: Callable[[Effect], None] = self.effects.append
        self.heard: Callable[[], None] = lambda: None  # after each commit
        self.commits = 0
        self.broken: list[StorageFailed] = []
        self._uids = frozenset({os.geteuid()}) if allowed_uids is None else allowed_uids
        self._token = token
        self.store: Store
        self.inbox: Inbox
        self.door: Door
        self.app: aiohttp.ClientSession

    # ── living ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, *, listen: bool = False) -> None:
        """Load the journal and open the door."""
        if not self.database.exists():
            self.database.write_bytes(_new_journal())
            self.database.chmod(0o600)
        self.store = Store.open(self.database)
        self.inbox = Inbox(
            self.store, self.clock.read, lambda effect: self.perform(effect), self._committed, self.broken.append
        )
        house = House(
            inbox=self.inbox,
            vault=self.vault,
            tokens=Tokens(KEY) if self.policy.wallets else None,
            version=VERSION,
            line_down=lambda: self.line_down,
            poke_line=self._poke,
            network_changed=self._network_changed,
            boottime_ms=lambda: self.clock.boottime_ms,
        )
        self.door = Door(house, self._uids, self._token)
        await self.inbox.submit(e.Booted(version=VERSION, policy=self.policy))
        await self.door.open(self.socket, ("127.0.0.1", 0) if listen else None)
        self.app = self.client()

    def client(self) -> aiohttp.ClientSession:
        """A program with connections of its own."""
        return aiohttp.ClientSession("http://till", connector=aiohttp.UnixConnector(str(self.socket)))

    async def stop(self) -> None:
        """As the daemon does: close the intake, flush, leave."""
        await self.app.close()
        await self.door.close()
        self.inbox.close()
        self.store.close()
        self.socket.unlink(missing_ok=True)

    async def restart(self, *, new_boot: bool = False) -> None:
        """Stop and start again; with `new_boot` the machine too, whose time since boot begins anew."""
        await self.stop()
        if new_boot:
            self.clock.boot_id += "+"
            self.clock.boottime_ms = 1_000
        self.effects.clear()
        await self.start()

    def _committed(self) -> None:
        self.commits += 1
        self.door.bell.ring()
        self.heard()

    def _poke(self) -> None:
        self.pokes += 1

    def _network_changed(self) -> None:
        self.network_changes += 1

    async def pass_time(self, ms: int) -> None:
        """Let time pass, with every deadline on the way."""
        end = self.clock.boottime_ms + ms
        while True:
            self.inbox.state.now = self.clock.read()
            due = next_deadline_ms(self.inbox.state, self.clock.boottime_ms)
            if due is None or due > end:
                break
            self.clock.pass_ms(max(0, due - self.clock.boottime_ms))
            await self.do(e.DeadlinePassed())
        self.clock.pass_ms(end - self.clock.boottime_ms)

    # ── calling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        app: aiohttp.ClientSession | None = None,
    ) -> Answer:
        """One call. `body` is sent as JSON, or as it is when it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with (app or self.app).request(method, path, data=data, headers=headers) as response:
            raw = await response.read()
            kind = response.content_type
            value = json.loads(raw) if kind.endswith("json") else raw.decode()
            return Answer(response.status, kind, value, raw, dict(response.headers))

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """POST, with an Idempotency-Key if one is given."""
        return await self.call("POST", path, body, headers=None if key is None else {"Idempotency-Key": key})

    async def get(self, path: str) -> Any:
        """The body of a GET that succeeds."""
        answer = await self.call("GET", path)
        assert answer.status == 200, answer
        return answer.body

    async def open(self, stan: str = "000123", *, key: str | None = None, **more: Any) -> Answer:
        """Open a transaction: a sale of 1.00 that asks for permission, unless it says otherwise."""
        return await self.post("/v1/transactions", SALE | {"stan": stan} | more, key=key)

    async def sale(self, stan: str = "000123", **more: Any) -> str:
        """The id of a sale that may be sent."""
        answer = await self.open(stan, **more)
        assert (answer.status, answer.body["proceed"]) == (201, "go"), answer
        return answer.id

    async def void(self, stan: str = "000124", original: str = "000123", **more: Any) -> Answer:
        """Open a void of the sale with STAN `original`."""
        return await self.open(stan, kind="void", original={"batch": BATCH, "stan": original}, **more)

    async def result(self, key: str, outcome: str, **more: Any) -> Answer:
        """Report what the host said."""
        return await self.post(f"/v1/transactions/{key}/result", {"outcome": outcome, **more})

    async def approved(self, stan: str = "000123", **more: Any) -> str:
        """The id of an approved sale."""
        key = await self.sale(stan)
        answer = await self.result(key, "approved", response_code="00", rrn="261122000123", auth_code="A1B2C3", **more)
        assert (answer.status, answer.body["state"]) == (200, "approved"), answer
        return key

    async def doubt(self, stan: str = "000123", **more: Any) -> str:
        """The id of a sale whose answer did not come."""
        key = await self.sale(stan, **more)
        answer = await self.result(key, "no_answer")
        assert (answer.status, answer.body["state"]) == (200, "in_doubt"), answer
        return key

    # ── host and printer ─────────────────────────────────────────────────────────────────────────────────────────────

    async def do(self, event: e.Event) -> Decision:
        """Something else happens."""
        return await self.inbox.submit(event)

    async def host_answers(self, key: str, code: str, mac: str = "good") -> None:
        """The 0410 to this reversal."""
        own = self.inbox.view(key).reversals[key].fields
        said: dict[str, Any] = {f"f{number}": own[str(number)] for number in (3, 4, 11, 41, 42)}
        await self.do(e.HostReply(code=code, **(said | {"mac": mac})))

    async def reversed(self, stan: str = "000123") -> str:
        """The id of a sale that was reversed."""
        key = await self.doubt(stan)
        await self.host_ends(key)
        return key

    async def host_ends(self, key: str) -> str:
        """The line comes and the host accepts this reversal; the id again."""
        await self.do(e.HostReachable())
        await self.host_answers(key, "00")
        assert self.on_disk(key) == "reversed"
        return key

    async def job_ends(self, job: str, level: str, fault: str = "none", paper: str = "ok") -> None:
        """The printer driver's word on a job."""
        row = self.inbox.state.jobs[job]
        said: dict[str, Any] = {"level": level, "fault": fault, "paper": paper, "total_bytes": 10}
        accepted = 0 if level == "UNPRINTED" else 10
        await self.do(e.JobFinished(job=job, transaction=row.transaction, accepted_bytes=accepted, **said))

    def sends(self) -> list[SendReversal]:
        """Every 0400 that was asked for."""
        return [effect for effect in self.effects if isinstance(effect, SendReversal)]

    def prints(self) -> list[PrintJob]:
        """Every job that was handed to the printer."""
        return [effect for effect in self.effects if isinstance(effect, PrintJob)]

    # ── looking at the disk, with a connection of its own ────────────────────────────────────────────────────────────

    def query(self, sql: str, *values: object) -> list[Any]:
        """What stands on disk, as another program sees it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()

    def on_disk(self, key: str) -> str | None:
        """The committed state of a transaction."""
        found = self.query("SELECT state FROM transactions WHERE id = ?", key)
        return str(found[0][0]) if found else None

    def head(self) -> tuple[Any, ...]:
        """Journal head and the number of rows of every table: unchanged when nothing was changed."""
        tables = ("transactions", "reversals", "incidents", "jobs", "vault", "idempotency")
        counts = [
            self.query(
                f"SELECT count(*), sum(length(body)) FROM {table}"
                if table in TABLES.values()
                else f"SELECT count(*) FROM {table}"
            )[0]
            for table in tables
        ]
        return (*self.query("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1"), *counts)

    def entries(self) -> list[Entry]:
        """The whole journal."""
        return [msgspec.json.decode(body, type=Entry) for (body,) in self.query("SELECT body FROM journal ORDER BY seq")]

    def told(self, type_: str) -> list[Entry]:
        """The entries of one type."""
        return [entry for entry in self.entries() if entry.type == type_]

    def differences(self) -> list[Difference]:
        """Where the replay of the journal and the rows part: nowhere, if all is well."""
        replay = Replay(self.entries())
        rows = [
            DECODERS[kind].decode(body) for kind, table in TABLES.items() for (body,) in self.query(f"SELECT body FROM {table}")
        ]
        rows += [DECODERS[SINGLES[key]].decode(body) for key, body in self.query("SELECT id, body FROM singles")]
        return replay.differences + replay.compare(rows)

    def bytes_on_disk(self) -> bytes:
        """Database and WAL as they lie there."""
        wal = Path(f"{self.database}-wal")
        return self.database.read_bytes() + (wal.read_bytes() if wal.exists() else b"")


@functools.cache
def _new_journal() -> bytes:
    """An empty journal, made once: to make each anew is most of the time that a test takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        Store.open(path).close()
        return path.read_bytes()


@contextlib.asynccontextmanager
async def open_house(folder: Path, *, listen: bool = False, **how: Any) -> AsyncIterator[OpenHouse]:
    """A running house; at its end the replay of its journal must give the rows on disk."""
    policy = {name: how.pop(name) for name in list(how) if name in Policy.__struct_fields__}
    house = OpenHouse(folder, policy=Policy(**({"terminal_id": TERMINAL} | policy)), **how)
    await house.start(listen=listen)
    try:
        yield house
        if not house.broken:
            assert house.differences() == []
    finally:
        await house.stop()


def housed(**how: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Make a plain test of a story: `async def test(house, …)` runs in a house of its own; other arguments stay pytest's."""
    return told_in("house", functools.partial(open_house, **how))


def told_in(
    name: str, opened: Callable[[Path], AbstractAsyncContextManager[Any]]
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Make a plain test of a story whose argument `name` is what `opened` gives; other arguments stay pytest's."""

    def decorate(story: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        async def live(folder: Path, **given: Any) -> None:
            async with opened(folder) as place:
                await story(place, **given)

        def test(tmp_path: Path, **given: Any) -> None:
            asyncio.run(live(tmp_path, **given))

        own = [parameter for key, parameter in inspect.signature(story).parameters.items() if key != name]
        folder = inspect.Parameter("tmp_path", inspect.Parameter.KEYWORD_ONLY)
        functools.update_wrapper(test, story)
        test.__signature__ = inspect.Signature([*own, folder])  # type: ignore[attr-defined]
        del test.__wrapped__  # type: ignore[attr-defined]
        return test

    return decorate
