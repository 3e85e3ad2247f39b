"""The composition root: builds the house from the configuration, runs it, and stops it crash-only within five seconds."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agent import configedit, exits
from agent.config import Config, ConfigError, ensure_key, load, read_key
from agent.core.appevent import LinkReported
from agent.core.change import AskApp, AskReceipt, AskSignIn, AskWallet, CarryOut, Effect, PrintJob, ShowTest, WatchPrinter
from agent.core.event import Booted, Configured, NetworkChanged, WalletAnswered
from agent.core.model import Now
from agent.hooks.ports import House
from agent.hooks.server import Door
from agent.hooks.views import status_of
from agent.inbox import Inbox
from agent.journal import checkpoint
from agent.journal.database import StorageError, StorageFailed
from agent.journal.indexes import Indexes
from agent.journal.pruning import DAY_MS, Pruner
from agent.journal.store import Store
from agent.perform import build
from agent.perform.host import HostLine
from agent.policies import policy_of, reloaded
from agent.vault import Tokens, Vault
from device.clock import Reading, SystemClock
from device.connectivity import NetworkEar, has_route

if TYPE_CHECKING:
    from agent.commanddesk import CommandDesk
    from agent.hooks.relay import Relay
    from agent.perform.display import DisplayThread
    from agent.perform.payapp import PayappLine
    from agent.perform.printer import PrinterThread
    from agent.perform.telemetry import Telemetry
    from agent.perform.wallet import WalletLine
    from device.mqtt import Inbound

log = logging.getLogger("reversald")

SLICE_PAUSE_S = 0.05  # between two slices of housekeeping: a payment app that comes meanwhile waits for one slice at most
IDLE_S = 1.0  # so long after the last commit the journal is checkpointed, and wiped secrets are scrubbed
STOP_S = 4.0


class Clock(Protocol):
    """Where time comes from."""

    def read(self) -> Reading:
        """The three times now."""


class Daemon:
    """One run of the agent. `run` returns the exit code."""

    def __init__(self, config: Config, version: str, clock: Clock | None = None) -> None:
        self._config = config
        self._version = version
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self._code = exits.DONE
        self._idle: asyncio.TimerHandle | None = None
        self._commits = self._commits_seen = 0
        vault_on = config.storage.vault == "sealed" and config.recovery.mode != "payapp"
        self._vault = Vault(ensure_key(config.storage.key_file)) if vault_on else None
        self._store = Store.open(config.storage.path)
        self.inbox = Inbox(self._store, self._now, self._dispatch, self._committed, self._broken)
        self.inbox.state.wording = config.wording
        self._host: HostLine | None = build.host_line(config, self._store, self._vault, self.inbox.tell)
        self._printer: PrinterThread | None = build.printer_thread(config, self.inbox.tell)
        self._display: DisplayThread | None = build.display_thread(config, self.inbox.tell)
        self._devices = [device for device in (self._printer, self._display) if device is not None]
        self._payapp: PayappLine | None = build.payapp_line(config, self.inbox.tell)
        self._wallet: WalletLine | None = build.wallet_line(config, self._clock, self.inbox.tell)
        self._sign_in = build.sign_in(config)
        self._relay: Relay | None = self._make_relay()
        self._ear = NetworkEar(self._network_changed)
        self._routed = has_route()
        house = self._house = House(
            inbox=self.inbox, vault=self._vault, version=version, line_down=self._line_down, poke_line=self._refresh_line,
            network_changed=self._network_changed, boottime_ms=lambda: self._clock.read().boottime_ms,
            tokens=Tokens(read_key(config.wallet.key_file, (32,), "wallet.key_file")) if config.wallet is not None else None,
        )
        hook = config.hook
        uids = hook.allowed_uids if hook.allowed_uids is not None else (os.getuid(),)
        token = hook.token_file.read_text().strip() if hook.token_file else None
        self.door = Door(house, frozenset(uids), token)
        self._pruner = Pruner(
            self._store, version, config.storage.retention_days * DAY_MS, published=build.published(config),
            delivered=lambda: None if config.mqtt is None else self._store.cursor(), forget=self.inbox.forget_closed,
        )
        self._indexes = Indexes(self._store)
        self._snapshot = lambda: msgspec.to_builtins(status_of(house))
        self._telemetry: Telemetry | None = None
        self._desk: CommandDesk | None = None

    def _make_relay(self) -> "Relay | None":
        """The relay, whose library-free parts are only loaded where it is used."""
        config, vault = self._config, self._vault
        if config.recovery.mode != "relay" or config.relay is None or vault is None:
            return None
        from agent.hooks.relay import Relay
        from agent.hooks.relayreader import RelayReader

        reader = RelayReader(build.codec(config), build.prover(config), vault, lambda: self.inbox.policy)
        return Relay(reader, build.lines(config), self.inbox, config.recovery.hold_ms)

    def _open_desk(self) -> "Callable[[Inbound], None] | None":
        """Who works off the fleet's commands, loaded only where there is a broker; gives where they arrive."""
        if self._config.mqtt is None:
            return None
        from agent.commanddesk import open_desk

        self._desk = open_desk(self._config, self._house, self._now, self._change)
        return self._desk.arrived if self._desk is not None else None

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Until SIGTERM, SIGINT, or a storage failure."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        tasks = await self._start()
        notify("READY=1")
        log.info("ready: %s, %d open reversals", self._config.hook.socket, len(self.inbox.state.open_reversals))
        watchdog = asyncio.create_task(self._feed_watchdog(), name="watchdog")
        await self._stop.wait()
        notify("STOPPING=1")
        await self._shut([*tasks, watchdog])
        return self._code

    async def _start(self) -> list["asyncio.Task[None]"]:
        for device in self._devices:
            device.start()
        tasks = [] if self._host is None else [asyncio.create_task(self._host.run(), name="host")]
        if self.inbox.state.agent.version not in {"", self._version}:
            checkpoint.owe(self._store)
        await self.inbox.submit(Booted(version=self._version, policy=policy_of(self._config)))
        await self.inbox.tell_damage()
        self._ear.open()
        await self.door.open(self._config.hook.socket, _address(self._config.hook.listen))
        if self._relay is not None and self._config.relay is not None:
            await self._relay.open(self._config.relay)
        said, boots = self.inbox.tell, self.inbox.state.agent.boots
        self._telemetry = build.telemetry(self._config, self._store, self._clock, boots, self._snapshot, said, self._open_desk())
        if self._telemetry is not None:
            tasks.append(asyncio.create_task(self._telemetry.run(), name="telemetry"))
        if self._desk is not None and self._telemetry is not None:
            tasks.append(asyncio.create_task(self._desk.run(self._telemetry), name="commands"))
        for task in tasks:
            task.add_done_callback(self._task_ended)
        return tasks

    async def _shut(self, tasks: list["asyncio.Task[None]"]) -> None:
        """Close the intake, flush, tell the workers, leave. What does not end in time is left as a kill would leave it."""
        try:
            async with asyncio.timeout(STOP_S):
                if self._relay is not None:
                    await self._relay.close()
                await self.door.close()
                self.inbox.close()
                self._ear.close()
                if self._telemetry is not None:
                    await self._telemetry.stop()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._sign_in.stop()
                if self._wallet is not None:
                    await self._wallet.stop()
                if self._payapp is not None:
                    await self._payapp.stop()
                await asyncio.gather(*(asyncio.to_thread(device.stop) for device in self._devices))
        except TimeoutError:
            log.warning("stopping took longer than %s s; what was confirmed is on disk", STOP_S)
        if self._idle is not None:
            self._idle.cancel()
        self._store.close()
        self._config.hook.socket.unlink(missing_ok=True)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        """A worker never ends by itself: when one does, a fresh start is the repair."""
        if not task.cancelled() and not self._stop.is_set():
            log.error("%s ended: %s", task.get_name(), task.exception(), exc_info=task.exception())
            self._code = exits.UNAVAILABLE
            self._stop.set()

    def _broken(self, error: StorageFailed) -> None:
        log.error("storage failed: %s; nothing unconfirmed was told to anybody, the next start reads what is on disk", error)
        self._code = exits.STORAGE
        self._stop.set()

    # ── what follows a commit ────────────────────────────────────────────────────────────────────────────────────────

    def _dispatch(self, effect: Effect) -> None:
        if isinstance(effect, PrintJob | WatchPrinter):
            if self._printer is not None:
                self._printer.perform(effect)
        elif isinstance(effect, ShowTest):
            if self._display is not None:
                self._display.perform(effect)
        elif isinstance(effect, AskReceipt | AskApp):  # an app without a port reads both in the event stream
            if self._payapp is not None:
                self._payapp.perform(effect)
        elif isinstance(effect, AskSignIn):
            self._sign_in.ask()
        elif isinstance(effect, AskWallet):
            if self._wallet is not None:
                self._wallet.perform(effect)
            else:  # taken out of the configuration while orders were open
                self.inbox.tell(WalletAnswered(transaction=effect.transaction, number=effect.number, outcome="not_reached"))
        elif isinstance(effect, CarryOut):
            if self._desk is not None:
                self._desk.perform(effect)
        elif self._host is not None:
            self._host.perform(effect)

    def _committed(self) -> None:
        self._commits += 1
        if self._display is not None:
            self._display.follow(self.inbox.state)
        self.door.bell.ring()
        if self._relay is not None:
            self._relay.committed()
        if self._telemetry is not None:
            self._telemetry.poke()
            self._telemetry.changed()
        if self._idle is None:
            self._look_again(IDLE_S)

    def _when_idle(self) -> None:
        """Checkpoint, scrub, prune and look at the indexes once nothing was committed for a while; only then sleep."""
        self._idle = None
        if self._commits != self._commits_seen:
            self._commits_seen = self._commits
            self._look_again(IDLE_S)
            return
        try:
            self._store.checkpoint()
            if self._store.scrub_owed and not self._store.scrub():
                self._look_again(IDLE_S)
            elif self._pruner.go_on(self._now()) or self._indexes.go_on(self._now()):
                self._look_again(SLICE_PAUSE_S)
        except StorageFailed as error:
            self._broken(error)
        except StorageError as error:
            log.warning("housekeeping waits: %s", error)
            self._look_again(IDLE_S * 10)

    def _look_again(self, delay_s: float) -> None:
        self._idle = asyncio.get_running_loop().call_later(delay_s, self._when_idle)

    # ── clock, line, signals ─────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> Now:
        return Now(*self._clock.read())

    def _line_down(self) -> bool:
        return self._host is not None and self._host.prober.proved_down()

    def _refresh_line(self) -> None:
        """Somebody asks about the line: look again, unless what is known is fresh."""
        if self._host is not None and not self._host.prober.is_fresh():
            self._host.prober.poke()

    def _poke_line(self) -> None:
        if self._host is not None:
            self._host.prober.poke()

    def _network_changed(self) -> None:
        """Whatever it is: look at the line, and let the orders that could not reach their gateway try again."""
        self._poke_line()
        if any(row.order is not None and row.order.backoff_ms for row in self.inbox.state.open_transactions.values()):
            self.inbox.tell(NetworkChanged())
        routed = has_route()
        if self._host is None and routed != self._routed:  # without a line of our own a route that comes or goes is the news
            self.inbox.tell(LinkReported(up=routed))
        self._routed = routed

    def _reload(self) -> None:
        """SIGHUP: timers, texts and classes change at once; sockets, ports and paths with the next start."""
        try:
            config = load(self._config.file)
        except ConfigError as error:
            log.error("the configuration was not reloaded: %s", error)  # noqa: TRY400  (the reader needs the reason, no trace)
            return
        self._take_over(config)

    def _change(self, values: dict[str, Any]) -> None:
        """The fleet orders other values. Raises NotChanged."""
        self._take_over(configedit.change(self._config.file, values))

    def _take_over(self, config: Config) -> None:
        self.inbox.state.wording = config.wording
        if self._relay is not None:
            self._relay.hold_ms = config.recovery.hold_ms
        self.inbox.tell(Configured(policy=reloaded(self._config, config)))

    async def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog only when inbox, writer and telemetry all still move."""
        interval_us = int(os.environ.get("WATCHDOG_USEC", "0"))
        while interval_us:
            flushes = self.inbox.flushes
            self.inbox.turn()
            await asyncio.sleep(interval_us / 2_000_000)
            alive = self._telemetry is None or self._telemetry.alive
            if self.inbox.flushes != flushes and self._store.writable() and alive:
                notify("WATCHDOG=1")


def notify(text: str) -> None:
    """Tell systemd, where it listens; an ear that has gone is no trouble of ours."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)


def _address(listen: str | None) -> tuple[str, int] | None:
    if listen is None:
        return None
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def serve(config: Config, version: str, make: Callable[..., Daemon] = Daemon) -> int:
    """Run the agent until it is told to stop; the exit code says how it ended."""

    async def main() -> int:
        return await make(config, version).run()

    try:
        return asyncio.run(main())
    except StorageError as error:
        log.error("storage: %s", error)  # noqa: TRY400
        return exits.STORAGE
    except OSError as error:
        log.error("%s", error)  # noqa: TRY400
        return exits.UNAVAILABLE

