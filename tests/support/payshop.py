"""A shop in mode payapp, in one process: the real daemon, a simulated app and a simulated acquirer, all over real sockets."""

import asyncio
import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from agent.config import load
from agent.daemon import Daemon
from device.acquirer.mac import SoftwareMac
from device.simulator.acquirer import AcquirerServer
from device.simulator.payapp.kernel import Kernel
from device.simulator.payapp.server import PayappServer
from device.simulator.payapp.till import TERMINAL_ID, Till
from tests.support.agent import FAST, MAC_KEY, toml
from tests.support.waiting import PATIENCE_S

MAC = SoftwareMac("unionpay-ecb", bytes.fromhex(MAC_KEY))


class Shop:
    """`host`, `app` (with its `till`) and the agent; make it with `in_a_shop`."""

    def __init__(
        self, folder: Path, defects: tuple[str, ...] = (), *, pull: bool = False, port: bool = True,
        till: dict[str, Any], recovery: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.socket = folder / "reversald.sock"
        self.pull = pull
        self.port = port
        self._recovery = FAST | {"mode": "payapp"} | (recovery or {})
        self.host = AcquirerServer(mac=MAC)
        self._kernel = Kernel(folder / "app.json", defects)
        self._till_options = {"reply_ms": 300} | till
        self.app: PayappServer
        self.till: Till
        self._daemon: Daemon | None = None
        self._running: asyncio.Task[int] | None = None

    async def open(self) -> None:
        """Everything starts."""
        await self.host.start()
        self.till = Till(self.socket, "127.0.0.1", self.host.port, self._kernel, MAC, **self._till_options)
        self.app = PayappServer(self.till, pull=self.pull)
        await self.app.__aenter__()
        await self.start_agent()

    async def close(self) -> None:
        """Everything ends."""
        await self.app.__aexit__(None, None, None)
        await self.stop_agent()
        await self.host.stop()

    async def start_agent(self, **recovery: Any) -> None:
        """Start the agent on what is on disk."""
        sections: dict[str, dict[str, Any]] = {
            "storage": {"path": "reversald.db", "vault": "none"},
            "recovery": self._recovery | recovery,
        }
        if self.port and not self.pull:
            sections["payapp"] = {"url": f"http://127.0.0.1:{self.app.port}"}
        path = self.folder / "reversald.toml"
        path.write_text(toml(sections))
        self._daemon = Daemon(load(path), "1.2.3")
        self._running = asyncio.get_running_loop().create_task(self._daemon.run())
        await self.until(lambda: self.call("GET", "/healthz"))

    async def stop_agent(self) -> None:
        """SIGTERM, as it were."""
        assert self._daemon is not None
        assert self._running is not None
        self._daemon._stop.set()
        assert await self._running == 0

    # ── calling and looking ──────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One call to the agent."""
        async with (
            aiohttp.ClientSession("http://agent", connector=aiohttp.UnixConnector(str(self.socket))) as session,
            session.request(method, path, data=None if body is None else json.dumps(body).encode()) as response,
        ):
            return response.status, json.loads(await response.read())

    async def until(self, what: Callable[[], Awaitable[Any]]) -> Any:
        """The first true value of `await what()`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    if value := await what():
                        return value
                except OSError:
                    pass
                await asyncio.sleep(0.01)

    async def lost(self, amount_fen: int = 100) -> str:
        """A sale that the host books and whose answer is lost; its id."""
        self.host.faults.scenario({"0200": ["drop-reply"]})
        answer = await self.till.sale(amount_fen)
        assert answer["state"] in {"in_doubt", "reversing"}, answer
        return str(answer["id"])

    async def detail(self, key: str) -> Any:
        """Everything about a transaction."""
        return (await self.call("GET", f"/v1/transactions/{key}"))[1]

    async def state(self, key: str) -> str:
        """Its state."""
        return str((await self.detail(key))["state"])

    async def reaches(self, key: str, *states: str) -> None:
        """Until it is in one of these states."""

        async def there() -> bool:
            return await self.state(key) in states

        await self.until(there)

    async def incidents(self) -> dict[str, Any]:
        """Open incidents by code."""
        return {item["code"]: item for item in (await self.call("GET", "/v1/incidents?open=true"))[1]["items"]}

    async def told(self, code: str) -> Any:
        """Until this incident is open; it."""

        async def there() -> Any:
            return (await self.incidents()).get(code)

        return await self.until(there)

    def net_fen(self, stan: str, batch: str = "000001") -> int:
        """What the customer paid by it, as the host's books have it."""
        entry = self.host.model.ledger.find(TERMINAL_ID, batch, stan)
        return 0 if entry is None else entry.net_debit_fen


Story = Callable[..., Awaitable[None]]


def in_a_shop(*defects: str, pull: bool = False, port: bool = True, **till: Any) -> Callable[[Story], Callable[..., None]]:
    """A test that is played in a shop whose app has these defects; it is handed the shop, then its own parameters."""

    def decorate(story: Story) -> Callable[..., None]:
        async def live(folder: Path, given: dict[str, Any]) -> None:
            shop = Shop(folder, defects, pull=pull, port=port, till=till)
            await shop.open()
            try:
                await story(shop, **given)
            finally:
                await shop.close()

        @functools.wraps(story)
        def test(tmp_path: Path, **given: Any) -> None:
            asyncio.run(live(tmp_path, given))

        own = list(inspect.signature(story).parameters.values())[1:]
        fixture = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([fixture, *own])  # type: ignore[attr-defined]
        return test

    return decorate
