"""From the configuration to the performers: which host line, which printer, which broker. A part that is off is None.

Printer and telemetry bring their libraries with them, so they are imported only where they are used: memory and start-up
of a terminal without them stay small.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from agent.config import Config, read_key
from agent.core.event import Event
from agent.core.fleetevent import CloneSeen
from agent.journal.store import Store
from agent.perform.host import HostLine
from agent.perform.lease import LeasedLine, OwnLine
from agent.perform.mac import MacService, PayappService, SoftwareService
from agent.perform.signin import SignIn
from agent.vault import Vault
from device.acquirer.hosts import Hosts
from device.acquirer.hosts import Name as HostName
from device.acquirer.link import Link, tls_context
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message
from device.errors import MacError
from device.lent import Lent

if TYPE_CHECKING:
    from agent.perform.display import DisplayThread
    from agent.perform.payapp import PayappLine
    from agent.perform.printer import PrinterThread
    from agent.perform.telemetry import Clock, Telemetry
    from agent.perform.wallet import WalletLine
    from device.mqtt import Inbound

MacState = Literal["good", "bad", "missing", "unchecked"]

_GENERIC = {32: "generic-58mm", 48: "generic-80mm"}
_DOTS = {32: 384, 48: 576}  # of the print head: 58 mm and 80 mm paper


def host_line(config: Config, store: Store, vault: Vault | None, tell: Callable[[Event], None]) -> HostLine | None:
    """The agent's own line, or None where the payment app reverses by itself."""
    if config.recovery.mode == "payapp" or vault is None:
        return None

    def secrets(ref: str) -> Mapping[str, str]:
        return vault.open(ref, store.sealed(ref))

    app = _lent(config)
    lease = LeasedLine(app) if app is not None and config.acquirer.line == "lease" else OwnLine()
    return HostLine(lines(config)(), lease, codec(config), config.profile.messages, _mac(config, app), secrets, tell)


def codec(config: Config) -> Codec:
    """The acquirer's message format."""
    return Codec(msgspec.structs.replace(config.profile.line, tpdu=config.acquirer.tpdu, header=config.acquirer.header))


def lines(config: Config) -> Callable[[], Hosts]:
    """Makes lines to the acquirer's host and its stand-in, not yet connected: as many as one likes, which share what they learn
    of the two (see `Hosts`). The TLS files are read now, and not again: what becomes of them concerns the next start.
    """
    acquirer, framing = config.acquirer, codec(config).framing
    tls = tls_context(acquirer.tls_ca, acquirer.tls_cert, acquirer.tls_key) if acquirer.tls_enabled else None
    failed_ms: dict[HostName, int] = {}

    def link(host: str, port: int) -> Link:
        return Link(host, port, tls=tls, server_name=acquirer.tls_server_name, framing=framing)

    def make() -> Hosts:
        primary = link(acquirer.host, acquirer.port)
        if acquirer.backup_host is None:
            return Hosts(primary)
        return Hosts(primary, link(acquirer.backup_host, acquirer.backup_port or acquirer.port), failed_ms=failed_ms)

    return make


def prover(config: Config) -> Callable[[Message], Awaitable[MacState]]:
    """Tells what the MAC of a message is worth; unchecked when whoever could check it does not."""
    service = _mac(config, _lent(config))

    async def prove(message: Message) -> MacState:
        if message.mac is None or message.mac_input is None:
            return "missing"
        try:
            return "good" if await service.verify(message.mac_input, message.mac) else "bad"
        except MacError:
            return "unchecked"

    return prove


def _lent(config: Config) -> Lent | None:
    return Lent(config.payapp.url) if config.payapp is not None else None


def _mac(config: Config, app: Lent | None) -> MacService:
    mac = config.mac
    if mac.source == "payapp":
        assert app is not None, "refused with the configuration"
        return PayappService(app, mac.algorithm)
    return SoftwareService(SoftwareMac(mac.algorithm, read_key(mac.key_file, mac.key_lengths, "mac.key_file")))


def printer_thread(config: Config, tell: Callable[[Event], None]) -> "PrinterThread | None":
    """The printer's thread, or None without a printer."""
    printer = config.printer
    if printer.driver == "disabled":
        return None
    from agent.perform.printer import PrinterThread
    from device.printer.factory import open_printer
    from device.printer.profile import load_profile

    profile = load_profile(printer.profile or _GENERIC[printer.columns])
    if "printer.columns" in config.written:
        profile = msgspec.structs.replace(profile, columns=printer.columns, dots=_DOTS[printer.columns])
    if "printer.confirm" in config.written:
        profile = msgspec.structs.replace(profile, confirm=printer.confirm)
    return PrinterThread(open_printer(printer.driver, printer.port, printer.baud, profile), profile, tell)


def display_thread(config: Config, tell: Callable[[Event], None]) -> "DisplayThread | None":
    """The customer display's thread, or None without one."""
    display, terminal = config.display, config.terminal
    if display is None or display.driver == "disabled":
        return None
    from agent.perform.display import DisplayThread, Words
    from device.display.factory import open_display

    driver = open_display(display.driver, display.port, display.baud, display.charset, display.brightness)
    words = Words(terminal.lang, display.charset, terminal.merchant_name)
    return DisplayThread(driver, words, display.idle_after_ms / 1000, tell)


def payapp_line(config: Config, tell: Callable[[Event], None]) -> "PayappLine | None":
    """The payment app's own port, or None for an app that reads our wishes from the event stream."""
    if config.payapp is None:
        return None
    from agent.perform.payapp import PayappLine
    from device.payapp import Payapp

    return PayappLine(Payapp(config.payapp.url), tell)


def sign_in(config: Config) -> SignIn:
    """Who is asked for a sign-in: the app's port where it has one, and the cashier by an incident in any case."""
    return SignIn(_lent(config))


def wallet_line(config: Config, clock: "Clock", tell: Callable[[Event], None]) -> "WalletLine | None":
    """The wallet gateway, or the payment app's port in its place; None without a wallet section."""
    wallet = config.wallet
    if wallet is None:
        return None
    from agent.perform.wallet import WalletLine
    from device.wallet import Gateway

    url = wallet.url or (config.payapp.url if config.payapp is not None else "")
    key = read_key(wallet.key_file, (32,), "wallet.key_file")
    return WalletLine(Gateway(url, key, config.terminal.terminal_id, lambda: clock.read().wall_ms, ca=wallet.ca), tell)


def published(config: Config) -> Callable[[str], bool]:
    """Tells the types of journal entries that the fleet gets; none without a broker."""
    if config.mqtt is None:
        return lambda _entry_type: False
    from agent.envelope import is_published

    return is_published


def telemetry(
    config: Config, store: Store, clock: "Clock", boot: int, snapshot: Callable[[], dict[str, Any]],
    tell: Callable[[Event], None], on_command: "Callable[[Inbound], None] | None" = None,
) -> "Telemetry | None":
    """The fleet's line, or None without a broker. With commands the broker collects them while we are away. Call on the loop."""
    mqtt, terminal = config.mqtt, config.terminal
    if mqtt is None:
        return None
    from agent.envelope import RULES, Channel
    from agent.perform.telemetry import Identity, Telemetry
    from device.broker import parse_broker
    from device.mqtt import MqttClient

    kept_s = RULES[Channel.CMD].expiry_s or 0 if on_command is not None else 0
    client = MqttClient(parse_broker(mqtt.url, mqtt.ca, mqtt.cert, mqtt.key), terminal.sn, kept_s=kept_s)
    return Telemetry(
        store,
        client,
        Identity(terminal.fleet, terminal.sn, boot),
        clock,
        ack=mqtt.ack,
        snapshot=snapshot,
        on_clone=lambda: tell(CloneSeen()),
        on_command=on_command,
    )
