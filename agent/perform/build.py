"""From the configuration to the performers: which host line, which printer, which broker. A part that is off is None.

Printer and telemetry bring their libraries with them, so they are imported only where they are used: memory and start-up
of a terminal without them stay small.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from agent.config import Config, read_key
from agent.core.event import CloneSeen, Event
from agent.journal.store import Store
from agent.perform.host import HostLine
from agent.perform.lease import LeasedLine, OwnLine
from agent.perform.mac import MacService, PayappService, SoftwareService
from agent.perform.signin import SignIn
from agent.vault import Vault
from device.acquirer.hosts import Hosts
from device.acquirer.link import Link, tls_context
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec
from device.acquirer.profile import Framing
from device.lent import Lent

if TYPE_CHECKING:
    from agent.perform.payapp import PayappLine
    from agent.perform.printer import PrinterThread
    from agent.perform.telemetry import Clock, Telemetry

_GENERIC = {32: "generic-58mm", 48: "generic-80mm"}
_DOTS = {32: 384, 48: 576}  # of the print head: 58 mm and 80 mm paper


def host_line(config: Config, store: Store, vault: Vault | None, tell: Callable[[Event], None]) -> HostLine | None:
    """The agent's own line; only `direct` has one."""
    if config.recovery.mode != "direct" or vault is None:
        return None
    acquirer = config.acquirer
    profile = msgspec.structs.replace(config.profile.line, tpdu=acquirer.tpdu, header=acquirer.header)
    primary = _link(config, acquirer.host, acquirer.port, profile.framing)
    backup = None
    if acquirer.backup_host is not None:
        backup = _link(config, acquirer.backup_host, acquirer.backup_port or acquirer.port, profile.framing)

    def secrets(ref: str) -> Mapping[str, str]:
        return vault.open(ref, store.sealed(ref))

    app = Lent(config.payapp.url) if config.payapp is not None else None
    lease = LeasedLine(app) if app is not None and acquirer.line == "lease" else OwnLine()
    return HostLine(Hosts(primary, backup), lease, Codec(profile), config.profile.messages, _mac(config, app), secrets, tell)


def _link(config: Config, host: str, port: int, framing: Framing) -> Link:
    return Link(host, port, tls=_tls(config), server_name=config.acquirer.tls_server_name, framing=framing)


def _mac(config: Config, app: Lent | None) -> MacService:
    mac = config.mac
    if mac.source == "payapp":
        assert app is not None, "refused with the configuration"
        return PayappService(app, mac.algorithm)
    return SoftwareService(SoftwareMac(mac.algorithm, read_key(mac.key_file, mac.key_lengths, "mac.key_file")))


def _tls(config: Config) -> ssl.SSLContext | None:
    acquirer = config.acquirer
    return tls_context(acquirer.tls_ca, acquirer.tls_cert, acquirer.tls_key) if acquirer.tls_enabled else None


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


def payapp_line(config: Config, tell: Callable[[Event], None]) -> "PayappLine | None":
    """The payment app's own port, or None for an app that reads our wishes from the event stream."""
    if config.payapp is None:
        return None
    from agent.perform.payapp import PayappLine
    from device.payapp import Payapp

    return PayappLine(Payapp(config.payapp.url), tell)


def sign_in(config: Config) -> SignIn:
    """Who is asked for a sign-in: the app's port where it has one, and the cashier by an incident in any case."""
    return SignIn(Lent(config.payapp.url) if config.payapp is not None else None)


def telemetry(
    config: Config, store: Store, clock: "Clock", boot: int, snapshot: Callable[[], dict[str, Any]], tell: Callable[[Event], None]
) -> "Telemetry | None":
    """The fleet's line, or None without a broker. Call on the event loop."""
    mqtt, terminal = config.mqtt, config.terminal
    if mqtt is None:
        return None
    from agent.perform.telemetry import Identity, Telemetry
    from device.broker import parse_broker
    from device.mqtt import MqttClient

    client = MqttClient(parse_broker(mqtt.url, mqtt.ca, mqtt.cert, mqtt.key), terminal.sn)
    return Telemetry(
        store,
        client,
        Identity(terminal.fleet, terminal.sn, boot),
        clock,
        ack=mqtt.ack,
        snapshot=snapshot,
        on_clone=lambda: tell(CloneSeen()),
    )
