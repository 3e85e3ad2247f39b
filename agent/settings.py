"""What can be set: the sections of the configuration file, their keys, their defaults, and what each value may be.

An annotation carries, beside the limits that are checked, the words a person reads when a value breaks them (English
and Chinese); choices, switches and paths speak for themselves. The same words make `docs/configuration.md`. Times are
milliseconds; paths are written relative to the configuration file and are absolute once loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from agent.core.playbook import Row
from agent.core.policy import Policy
from agent.core.profile import Count, TimerMs, says
from agent.core.wallets import DEFAULTS, WalletRule
from agent.holidays import Calendar
from agent.problem import Problem
from agent.profile import AcquirerProfile, Algorithm, Header, Tpdu

_FIELD = Policy()  # the field's own values
_UNIONPAY = AcquirerProfile()


# A level of an MQTT topic: printable ASCII without the separator and the two wildcards.
_TOPIC_LEVEL = r"^(?:(?![/+#])[!-~]){1,%d}\Z"
_HOST_PORT = r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}\Z"

Fleet = Annotated[
    str,
    says(
        "1 to 8 printable ASCII characters, none of them / + # or a space",
        "1 到 8 个可见 ASCII 字符，不含 / + # 和空格",
        pattern=_TOPIC_LEVEL % 8,
    ),
]
SerialNumber = Annotated[
    str,
    says(
        "1 to 20 printable ASCII characters, none of them / + # or a space",
        "1 到 20 个可见 ASCII 字符，不含 / + # 和空格",
        pattern=_TOPIC_LEVEL % 20,
    ),
]
TerminalId = Annotated[str, says("exactly 8 letters or digits (F41)", "恰好 8 位字母或数字(F41)", pattern=r"^[0-9A-Za-z]{8}\Z")]
MerchantId = Annotated[
    str, says("exactly 15 letters or digits (F42)", "恰好 15 位字母或数字(F42)", pattern=r"^[0-9A-Za-z]{15}\Z")
]
Text40 = Annotated[str, says("a text of at most 40 characters", "最多 40 个字符的文字", max_length=40)]
Lang = Literal["zh", "en"]
Baud = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400]
Port = Annotated[int, says("a port number, 1 to 65535", "端口号 1 到 65535", ge=1, le=65535)]
Host = Annotated[str, says("a host name or an address", "主机名或地址", pattern=r"^[0-9A-Za-z._:-]{1,253}\Z")]
HostPort = Annotated[
    str, says("an address and a port, like 127.0.0.1:8583", "地址加端口，如 127.0.0.1:8583", pattern=_HOST_PORT)
]
HttpUrl = Annotated[
    str,
    says(
        "an address that starts with http:// or https://, without a user, ? or #",
        "以 http:// 或 https:// 开头的地址，不含用户名、? 和 #",
        pattern=r"^https?://([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#@]*)?\Z",
    ),
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One section of the file."""


class Terminal(Section, frozen=True, kw_only=True):
    """Who this terminal is, to the acquirer, to the fleet and on slips."""

    fleet: Fleet = "demo"
    sn: SerialNumber = "T0000001"
    terminal_id: TerminalId = "12345678"
    merchant_id: MerchantId = "898310148160001"
    merchant_name: Text40 = "测试便利店"
    hotline: Annotated[
        str,
        says("at most 20 characters: the acquirer's telephone number", "最多 20 个字符：收单机构电话", max_length=20),
    ] = ""
    lang: Lang = "zh"
    texts: Annotated[
        str,
        says(
            "the name of texts like restaurant, a path that ends in .toml, or empty",
            "提示语名称，如 restaurant，或以 .toml 结尾的路径，或留空",
            pattern=r"^([a-z0-9][a-z0-9-]{0,31}|[^\x00]{0,250}\.toml)?\Z",
        ),
    ] = ""


class Storage(Section, frozen=True, kw_only=True):
    """Where the journal lives and how card data at rest is sealed."""

    path: Path = Path("reversald.db")
    key_file: Path = Path("vault.key")
    vault: Literal["sealed", "none"] = "sealed"
    retention_days: Annotated[int, says("whole days, 1 to 3650", "整数天，1 到 3650", ge=1, le=3650)] = 180


class Hook(Section, frozen=True, kw_only=True):
    """The local API. `allowed_uids` None means the daemon's own uid."""

    socket: Path = Path("reversald.sock")
    listen: HostPort | None = None
    token_file: Path | None = None
    allowed_uids: (
        Annotated[
            tuple[Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)], ...],
            says("at most 32 user numbers, like [0, 1000]", "最多 32 个用户编号，如 [0, 1000]", max_length=32),
        ]
        | None
    ) = None
    sent_reporting: bool = True


class Recovery(Section, frozen=True, kw_only=True):
    """Who reverses, and when. Timers that the file does not write are the profile's."""

    mode: Literal["direct", "relay", "payapp"] = "direct"
    answer_timeout_ms: TimerMs = _FIELD.answer_timeout_ms
    reply_timeout_ms: TimerMs = _FIELD.reply_timeout_ms
    sends_per_opportunity: Count = _FIELD.sends_per_opportunity
    spacing_ms: TimerMs = _FIELD.spacing_ms
    backoff_min_ms: TimerMs = _FIELD.backoff_min_ms
    backoff_max_ms: TimerMs = _FIELD.backoff_max_ms
    no_original_after_ms: TimerMs = _FIELD.no_original_after_ms
    hold_ms: TimerMs = 10_000


class Acquirer(Section, frozen=True, kw_only=True):
    """The acquirer's host. `tpdu` and `header` that are written go before the profile's; empty where its framing has none."""

    host: Host = "127.0.0.1"
    port: Port = 8583
    backup_host: Host | None = None
    backup_port: Port | None = None
    line: Literal["own", "lease"] = "own"
    tls_enabled: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_server_name: Host | None = None
    tpdu: Tpdu = _UNIONPAY.line.tpdu
    header: Header = _UNIONPAY.line.header
    profile: Annotated[
        str,
        says(
            "the name of a profile, like unionpay, or a path that ends in .toml", "规范名称，如 unionpay，或以 .toml 结尾的路径",
            pattern=r"^([a-z0-9][a-z0-9-]{0,31}|[^\x00]{0,250}\.toml)\Z",
        ),
    ] = "unionpay"


class Mac(Section, frozen=True, kw_only=True):
    """Who computes F64, how, and with which key."""

    source: Literal["software", "payapp"] = "software"
    algorithm: Algorithm = _UNIONPAY.mac.algorithm
    key_file: Path = Path("mac.key")

    @property
    def key_lengths(self) -> tuple[int, ...]:
        """How many bytes the key may have: single DES for X9.9, two or three key 3DES for the others."""
        return (8,) if self.algorithm == "x9.9" else (16, 24)


class Relay(Section, frozen=True, kw_only=True):
    """The line the terminal's own ISO 8583 traffic is sent through. With `tls_cert` the terminal speaks TLS to it."""

    listen: HostPort
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


class Printer(Section, frozen=True, kw_only=True):
    """The receipt printer. `port` is a device file, `tcp://host:9100`, or for a bridge app `unix:/path`.

    `profile` names the model; an empty one is the generic printer of that width. `columns` and `confirm` that are written
    in the file go before the profile's.
    """

    driver: Literal["escpos", "vendor", "disabled"] = "disabled"
    port: (
        Annotated[
            str,
            says(
                "a device like /dev/ttyS1 or /dev/usb/lp0, tcp://host:9100, or unix:/path of a bridge app",
                "设备文件，如 /dev/ttyS1 或 /dev/usb/lp0，或 tcp://主机:9100，或桥接程序的 unix:/路径",
                pattern=r"^(tcp://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}|(?![a-z]+://).+)\Z",
            ),
        ]
        | None
    ) = None
    baud: Baud = 115_200
    profile: Annotated[
        str,
        says(
            "the name of a printer profile like epson-tm, a path that ends in .toml, or empty",
            "打印机型号名称，如 epson-tm，或以 .toml 结尾的路径，或留空",
            max_length=200,
        ),
    ] = ""
    columns: Literal[32, 48] = 32
    confirm: Literal["process-id", "fence", "none"] = "none"


class Display(Section, frozen=True, kw_only=True):
    """The customer display: two lines of twenty columns on a serial line."""

    driver: Literal["cd5220", "escpos", "disabled"] = "disabled"
    port: (
        Annotated[str, says("a device, like /dev/ttyS2", "设备文件，如 /dev/ttyS2", pattern=r"^(?![a-z]+:)[^\x00]+\Z")] | None
    ) = None
    baud: Baud = 9_600
    charset: Literal["gbk", "latin"] = "gbk"
    brightness: Annotated[int, says("1 (dim) to 4 (bright)", "1（暗）到 4（亮）", ge=1, le=4)] = 4
    idle_after_ms: Annotated[
        int, says("milliseconds, 3000 to 600000", "毫秒，3000 到 600000", ge=3_000, le=600_000)
    ] = 30_000


class Mqtt(Section, frozen=True, kw_only=True):
    """The fleet's broker, and whose acknowledgement counts as delivery."""

    url: Annotated[
        str,
        says(
            "mqtt://host:1883, or mqtts://host:8883 for TLS",
            "mqtt://主机:1883，或使用 TLS 的 mqtts://主机:8883",
            pattern=r"^mqtts?://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?\Z",
        ),
    ]
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    ack: Literal["broker", "fleet"] = "broker"
    command_keys_file: Path | None = None


class Payapp(Section, frozen=True, kw_only=True):
    """The payment app's own HTTP port."""

    url: HttpUrl


class Wallet(Section, frozen=True, kw_only=True):
    """The acquirer's or aggregator's wallet gateway. Without `url` the payment app answers the same calls on its own port."""

    url: HttpUrl | None = None
    key_file: Path = Path("wallet.key")
    ca: Path | None = None
    rules: Path | None = None
    release_on_evidence: bool = False


class Settlement(Section, frozen=True, kw_only=True):
    """When the host's business day ends, which days it settles, and how long a missing line may take."""

    cutoff: Annotated[str, says("a time of day, HH:MM", "一天中的时刻 HH:MM", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = (
        "23:00"
    )
    calendar: Path | None = None
    grace_days: Annotated[int, says("whole days, 0 to 30", "整数天，0 到 30", ge=0, le=30)] = 2


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. `file` is None when the embedded defaults run; a section that is None is off."""

    file: Path | None = None
    terminal: Terminal = Terminal()
    storage: Storage = Storage()
    hook: Hook = Hook()
    recovery: Recovery = Recovery()
    acquirer: Acquirer = Acquirer()
    mac: Mac = Mac()
    printer: Printer = Printer()
    relay: Relay | None = None
    display: Display | None = None
    mqtt: Mqtt | None = None
    payapp: Payapp | None = None
    wallet: Wallet | None = None
    settlement: Settlement | None = None
    wallets: tuple[WalletRule, ...] = DEFAULTS  # used when there is a `wallet` section
    profile: AcquirerProfile = _UNIONPAY
    calendar: Calendar = Calendar()
    wording: Mapping[str, Row] = {}  # the playbook's rows that `terminal.texts` has other words for
    written: frozenset[str] = frozenset()  # the sections and keys (`recovery.mode`) that the file really contains
    warnings: tuple[Problem, ...] = ()


# Sections that are always there, with their defaults; and those that are off when they are left out.
ALWAYS: dict[str, type[Section]] = {
    "terminal": Terminal,
    "storage": Storage,
    "hook": Hook,
    "recovery": Recovery,
    "acquirer": Acquirer,
    "mac": Mac,
    "printer": Printer,
}
OPTIONAL: dict[str, type[Section]] = {
    "relay": Relay,
    "display": Display,
    "mqtt": Mqtt,
    "payapp": Payapp,
    "wallet": Wallet,
    "settlement": Settlement,
}
