"""What single values cannot show: settings that contradict each other, timers below the field's ranges, bad files."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from agent.keyfile import read_key, read_public_keys, too_open, unreadable
from agent.problem import ConfigError, Problem
from agent.settings import Config

_SOCKET_PATH_BYTES_MAX = 107  # sun_path of unix(7), less its closing zero
_LOOPBACK = ("127.", "localhost:", "[::1]:")

# The field's ranges: (key, lowest value in ms, how people say it). Shorter ones serve tests and demonstrations.
_FIELD_MINIMA = (
    ("reply_timeout_ms", 20_000, "20–90 s"),
    ("spacing_ms", 60_000, "≥ 60 s"),
    ("no_original_after_ms", 60_000, "≥ 60 s"),
    ("answer_timeout_ms", 60_000, "≥ 60 s"),
    ("backoff_min_ms", 60_000, "≥ 60 s"),
)
_REPLY_TIMEOUT_MS_MAX = 90_000


class Finding(NamedTuple):
    """A mistake or warning about `keys`; the first is where it is reported, the others are what it rests on."""

    keys: tuple[str, ...]
    en: str
    zh: str


def mistakes(config: Config) -> list[Finding]:
    """Every contradiction between settings. The daemon does not start with one."""
    rails = [*_rails(config), *_lent(config), *_wallet(config)]
    return [*rails, *_tls(config), *_local_api(config), *_devices(config), *_display(config), *_ports(config), *_circles(config)]


def warnings(config: Config) -> list[Finding]:
    """What is accepted but hardly meant in the field."""
    found: list[Finding] = []
    if config.file is None:
        found.append(
            Finding(
                ("terminal",),
                "no configuration file: the embedded defaults run, with an identity that is not this terminal's own",
                "没有配置文件：使用内置默认值，终端身份不是本机的",
            )
        )
    for key, least_ms, says in _FIELD_MINIMA:
        value = getattr(config.recovery, key)
        if value < least_ms:
            found.append(
                Finding(
                    (f"recovery.{key}",),
                    f"{value} is below the field's range ({says})",
                    f"{value} 低于行业范围({says})",
                )
            )
    reply_ms = config.recovery.reply_timeout_ms
    if reply_ms > _REPLY_TIMEOUT_MS_MAX:
        en, zh = f"{reply_ms} is above the field's range (20–90 s)", f"{reply_ms} 高于行业范围(20–90 s)"
        found.append(Finding(("recovery.reply_timeout_ms",), en, zh))
    if config.relay is not None and config.recovery.mode != "relay":
        mode = config.recovery.mode
        found.append(Finding(("relay",), f'is not used in mode "{mode}"', f'模式 "{mode}" 不使用此节'))
    if config.display is not None and config.display.charset == "latin" and config.terminal.lang == "zh":
        en = "is latin: this display shows English texts, though terminal.lang is zh"
        zh = "为 latin：terminal.lang 虽为 zh，客显仍显示英文"
        found.append(Finding(("display.charset", "terminal.lang"), en, zh))
    return found


def file_problems(config: Config) -> list[Problem]:
    """Every problem with the files and folders that the settings name: missing, readable by others, or no key.

    For the daemon and `check-config`, which run as the daemon's user; the vault key may be missing (made at start).
    """
    problems: list[Problem] = []
    for key, path in _wanted_folders(config):
        if not path.is_dir():
            en, zh = f"the folder is missing; run: mkdir -p {path}", f"目录不存在，请执行: mkdir -p {path}"
            problems.append(Problem(file=str(path), key=key, en=en, zh=zh))
    for key, path, lengths in _wanted_keys(config):
        try:
            read_key(path, lengths, key)
        except ConfigError as error:
            problems.extend(error.problems)
    if config.mqtt is not None and config.mqtt.command_keys_file is not None:
        try:
            read_public_keys(config.mqtt.command_keys_file, "mqtt.command_keys_file")
        except ConfigError as error:
            problems.extend(error.problems)
    for key, path, secret in _wanted_files(config):
        try:
            with path.open("rb"):
                mode = path.stat().st_mode & 0o777
        except OSError as error:
            problems.append(unreadable(path, key, error))
        else:
            if secret and mode & 0o077:
                problems.append(too_open(path, key, mode))
    problems.extend(_unusable(config, {problem.key for problem in problems}))
    return problems


def _wanted_folders(config: Config) -> Iterator[tuple[str, Path]]:
    yield "storage.path", config.storage.path.parent
    yield "hook.socket", config.hook.socket.parent
    if config.storage.vault == "sealed":
        yield "storage.key_file", config.storage.key_file.parent


def _wanted_keys(config: Config) -> Iterator[tuple[str, Path, tuple[int, ...]]]:
    if config.storage.vault == "sealed" and config.storage.key_file.exists():
        yield "storage.key_file", config.storage.key_file, (32,)
    signs = config.recovery.mode != "payapp" and config.mac.source == "software"
    if signs and (config.file is not None or config.mac.key_file.exists()):
        yield "mac.key_file", config.mac.key_file, config.mac.key_lengths
    if config.wallet is not None:
        yield "wallet.key_file", config.wallet.key_file, (32,)


def _wanted_files(config: Config) -> Iterator[tuple[str, Path, bool]]:
    """Key, path, and whether it is a secret."""
    named: list[tuple[str, Path | None, bool]] = [
        ("hook.token_file", config.hook.token_file, True),
        ("acquirer.tls_ca", config.acquirer.tls_ca, False),
        ("acquirer.tls_cert", config.acquirer.tls_cert, False),
        ("acquirer.tls_key", config.acquirer.tls_key, True),
    ]
    if config.mqtt is not None:
        named += [("mqtt.ca", config.mqtt.ca, False), ("mqtt.cert", config.mqtt.cert, False)]
        named += [("mqtt.key", config.mqtt.key, True)]
    if config.relay is not None:
        named += [("relay.tls_cert", config.relay.tls_cert, False), ("relay.tls_ca", config.relay.tls_ca, False)]
        named += [("relay.tls_key", config.relay.tls_key, True)]
    if config.wallet is not None:
        named += [("wallet.ca", config.wallet.ca, False)]
    return ((key, path, secret) for key, path, secret in named if path is not None)


def _unusable(config: Config, told: set[str]) -> Iterator[Problem]:
    """TLS files that can be read and are not what they should be: no part that needs them could ever start, or connect."""
    from agent import tlsfiles  # ssl takes 8 ms: commands that only read do without

    named = {key: path for key, path, _ in _wanted_files(config) if key not in told}
    for key, path in named.items():
        own = f"{key.removesuffix('cert')}key"
        if key.endswith("ca"):
            yield from tlsfiles.authority(key, path)
        elif key.endswith("cert") and own in named:
            yield from tlsfiles.identity(key, path, own, named[own])


def _rails(config: Config) -> Iterator[Finding]:
    mode = config.recovery.mode
    if mode != "payapp" and config.file is not None and "acquirer.host" not in config.written:
        yield Finding(
            ("acquirer.host", "recovery.mode", "acquirer"),
            f'is missing: mode "{mode}" needs the acquirer\'s host',
            f'缺少此键：模式 "{mode}" 需要收单主机地址',
        )
    if mode == "relay" and config.relay is None:
        yield Finding(("relay", "recovery.mode"), 'is missing: mode "relay" needs it', '缺少此节：模式 "relay" 需要它')
    if mode == "relay" and "{batch}" not in config.profile.reversal.f60:
        en, zh = 'has no batch in reversal.f60: mode "relay" reads it there', 'reversal.f60 不含批次号：模式 "relay" 靠它得知批次'
        yield Finding(("acquirer.profile", "recovery.mode"), en, zh)
    if mode != "payapp" and config.mac.source == "payapp" and config.payapp is None:
        en, zh = 'is missing: mac.source "payapp" needs it', '缺少此节：mac.source 为 "payapp" 时需要它'
        yield Finding(("payapp", "mac.source", "recovery.mode"), en, zh)
    if mode != "payapp" and config.storage.vault == "none":
        en = f'must be "sealed" in mode "{mode}": a reversal carries the card number'
        yield Finding(("storage.vault", "recovery.mode"), en, f'模式 "{mode}" 下应为 "sealed"：冲正报文需要卡号')
    if config.recovery.backoff_max_ms < config.recovery.backoff_min_ms:
        keys = ("recovery.backoff_max_ms", "recovery.backoff_min_ms")
        yield Finding(keys, "is less than backoff_min_ms", "小于 backoff_min_ms")


def _lent(config: Config) -> Iterator[Finding]:
    """What the payment app lends, and the backup host."""
    host, app = config.acquirer, config.payapp
    if host.line == "lease" and config.recovery.mode != "direct":
        en, zh = 'needs mode "direct"; in the other modes the line is the app\'s or the relay\'s', '仅用于模式 "direct"'
        yield Finding(("acquirer.line", "recovery.mode"), en, zh)
    elif host.line == "lease" and app is None:
        en, zh = 'is missing: acquirer.line "lease" needs it', '缺少此节：acquirer.line 为 "lease" 时需要它'
        yield Finding(("payapp", "acquirer.line"), en, zh)
    if config.mac.source == "payapp" and app is not None and not _is_private(app.url):
        en = 'must be https:// or on this machine with mac.source "payapp": what is signed holds the card number'
        yield Finding(("payapp.url", "mac.source"), en, 'mac.source 为 "payapp" 时应为 https:// 或本机地址：待签数据含卡号')
    if host.backup_port is not None and host.backup_host is None:
        en, zh = "is missing: acquirer.backup_port needs it", "缺少此键：acquirer.backup_port 需要它"
        yield Finding(("acquirer.backup_host", "acquirer.backup_port"), en, zh)


def _wallet(config: Config) -> Iterator[Finding]:
    wallet = config.wallet
    if wallet is None:
        return
    url = wallet.url or (config.payapp.url if config.payapp is not None else None)
    if url is None:
        en, zh = "is missing: there is no payapp section whose port could answer instead", "缺少此键：也没有 payapp 节可代为应答"
        yield Finding(("wallet.url",), en, zh)
    elif not _is_private(url):
        key = "wallet.url" if wallet.url is not None else "payapp.url"
        en, zh = "must be https:// or on this machine: it moves money", "应为 https:// 或本机地址：涉及资金"
        yield Finding((key, "wallet"), en, zh)


def _is_private(url: str) -> bool:
    """True when nobody else on the network can read what is said there."""
    try:
        parts = urlsplit(url)
        local = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:  # a name, or no address at all
        local = False
    return local or url.startswith("https://")


def _tls(config: Config) -> Iterator[Finding]:
    host = config.acquirer
    yield from _pair("acquirer.tls_cert", host.tls_cert, "acquirer.tls_key", host.tls_key)
    names = ("tls_ca", "tls_cert", "tls_key", "tls_server_name")
    if not host.tls_enabled and any(getattr(host, name) is not None for name in names):
        en, zh = "is false, but other tls keys are set", "为 false，但设置了其他 tls 键"
        yield Finding(("acquirer.tls_enabled", *(f"acquirer.{name}" for name in names)), en, zh)
    if config.relay is not None:
        relay = config.relay
        yield from _pair("relay.tls_cert", relay.tls_cert, "relay.tls_key", relay.tls_key)
        if relay.tls_ca is not None and relay.tls_cert is None:
            en, zh = "is missing: relay.tls_ca needs it", "缺少此键：relay.tls_ca 需要它"
            yield Finding(("relay.tls_cert", "relay.tls_ca"), en, zh)
    if config.mqtt is not None:
        mqtt = config.mqtt
        yield from _pair("mqtt.cert", mqtt.cert, "mqtt.key", mqtt.key)
        if mqtt.url.startswith("mqtt://") and (mqtt.ca or mqtt.cert or mqtt.key):
            en, zh = (
                "must start with mqtts:// when ca, cert or key is set",
                "设置了 ca、cert 或 key 时应以 mqtts:// 开头",
            )
            yield Finding(("mqtt.url",), en, zh)


def _pair(cert_key: str, cert: Path | None, key_key: str, key: Path | None) -> Iterator[Finding]:
    if (cert is None) != (key is None):
        missing, given = (key_key, cert_key) if key is None else (cert_key, key_key)
        yield Finding((missing, given), f"is missing: {given} needs it", f"缺少此键：{given} 需要它")


def _local_api(config: Config) -> Iterator[Finding]:
    hook = config.hook
    if len(str(hook.socket).encode()) > _SOCKET_PATH_BYTES_MAX:
        en = f"is longer than {_SOCKET_PATH_BYTES_MAX} bytes as an absolute path: {hook.socket}"
        yield Finding(("hook.socket",), en, f"绝对路径超过 {_SOCKET_PATH_BYTES_MAX} 字节: {hook.socket}")
    if hook.listen is not None:
        if not hook.listen.startswith(_LOOPBACK):
            en, zh = "must be a loopback address, like 127.0.0.1:8731", "应为本机回环地址，如 127.0.0.1:8731"
            yield Finding(("hook.listen",), en, zh)
        if hook.token_file is None:
            en, zh = "is missing: hook.listen needs a bearer token", "缺少此键：hook.listen 需要令牌"
            yield Finding(("hook.token_file", "hook.listen"), en, zh)


def _devices(config: Config) -> Iterator[Finding]:
    if config.printer.driver != "disabled" and config.printer.port is None:
        driver = config.printer.driver
        en, zh = f'is missing: driver "{driver}" needs it', f'缺少此键：驱动 "{driver}" 需要它'
        yield Finding(("printer.port", "printer.driver"), en, zh)
    port = config.printer.port or ""
    if config.printer.driver == "vendor" and port and not port.startswith(("unix:", *(f"tcp://{host}" for host in _LOOPBACK))):
        en = 'must be unix:/path or tcp://127.0.0.1:port with driver "vendor": a bridge app is on this machine'
        yield Finding(("printer.port", "printer.driver"), en, '驱动 "vendor" 下应为 unix:/路径 或 tcp://127.0.0.1:端口：桥接程序在本机')
    if len(port.removeprefix("unix:").encode()) > _SOCKET_PATH_BYTES_MAX and port.startswith("unix:"):
        en = f"is longer than {_SOCKET_PATH_BYTES_MAX} bytes as an absolute path: {port}"
        yield Finding(("printer.port",), en, f"绝对路径超过 {_SOCKET_PATH_BYTES_MAX} 字节: {port}")


def _display(config: Config) -> Iterator[Finding]:
    display = config.display
    if display is None or display.driver == "disabled":
        return
    if display.port is None:
        en, zh = f'is missing: driver "{display.driver}" needs it', f'缺少此键：驱动 "{display.driver}" 需要它'
        yield Finding(("display.port", "display.driver"), en, zh)
    elif config.printer.driver != "disabled" and display.port == config.printer.port:
        en = "is the printer's port too: one device at a line, and one owner"
        yield Finding(("display.port", "printer.port"), en, "与打印机端口相同：一个端口只接一台设备")


def _ports(config: Config) -> Iterator[Finding]:
    """The port of every address that is written with one, 1 to 65535."""
    written = {
        "hook.listen": config.hook.listen,
        "relay.listen": config.relay and config.relay.listen,
        "printer.port": config.printer.port if (config.printer.port or "").startswith("tcp://") else None,
        "mqtt.url": config.mqtt and config.mqtt.url,
        "payapp.url": config.payapp and config.payapp.url.split("/")[2],
        "wallet.url": config.wallet and config.wallet.url and config.wallet.url.split("/")[2],
    }
    for key, value in written.items():
        port = (value or "").rpartition(":")[2]
        if port.isdigit() and not 1 <= int(port) <= 65535:
            yield Finding((key,), f"has a port outside 1 to 65535: {port}", f"端口不在 1 到 65535 之间: {port}")


def _circles(config: Config) -> Iterator[Finding]:
    """The relay listens where somebody else does: the local API, or what it takes for the acquirer's host."""
    if config.relay is None:
        return
    host, acquirer, own = config.relay.listen, config.acquirer, "relay.listen"
    others = {
        "hook.listen": config.hook.listen,
        "acquirer.port": f"{acquirer.host}:{acquirer.port}",
        "acquirer.backup_host": acquirer.backup_host and f"{acquirer.backup_host}:{acquirer.backup_port or acquirer.port}",
    }
    for key in (key for key, other in others.items() if other and _same_place(host, other)):
        yield Finding((own, key), f"is the address of {key} too", f"与 {key} 的地址相同")


def _same_place(listen: str, other: str) -> bool:
    """True when who calls `other` arrives at `listen`, as far as the words say."""
    (host, _, port), (name, _, number) = listen.rpartition(":"), other.rpartition(":")
    return port == number and (host == name or (_is_here(host) and _is_here(name)))


def _is_here(host: str) -> bool:
    """True for loopback, and for every address of this machine."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified
