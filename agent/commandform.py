"""What a command of the fleet says: its arguments, its limits, and the bytes that are signed. Pure; shared with the fleet.

The signature is Ed25519 over `signed_bytes`. It covers the fleet and the serial number, so that a command for one terminal is
none for another, and both times, so that an old one is known for old.
"""

import hashlib
import re
from typing import Annotated, Any, Final

import msgspec

from agent.envelope import Command, EnvelopeError, Name

COMMAND_BYTES_MAX: Final = 48 * 1024  # as it travels: with topic and properties it fits what every broker takes
CORRELATION_BYTES_MAX: Final = 64
WINDOW_S: Final = 600  # how long a command is valid unless its sender says otherwise
DISPLAY_CHARACTERS_MAX: Final = 120
UPLOAD_ENTRIES_MAX: Final = 500

_SCOPE: Final = "rv1.cmd"
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_KEY_LINE = re.compile(r"ed25519 ([0-9a-fA-F]{64})(?: [^\r\n]{0,80})?")
KEYS_MAX: Final = 4


class _Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of one command."""


class Query(_Arguments, frozen=True, kw_only=True):
    """Status without `of`; a transaction by id or STAN; an incident by its id; all that is open."""

    what: str
    of: Name | None = None

    def __post_init__(self) -> None:
        if self.what not in {"status", "transaction", "incident", "incidents"}:
            raise ValueError("what is status, transaction, incident or incidents")
        if (self.of is None) != (self.what in {"status", "incidents"}):
            raise ValueError("of names the transaction or the incident")


class About(_Arguments, frozen=True, kw_only=True):
    """A transaction, by its id or by a STAN that only one has (reprint, recover)."""

    transaction: Name


class Replay(_Arguments, frozen=True, kw_only=True):
    """Send again everything from this entry on."""

    from_seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class Upload(_Arguments, frozen=True, kw_only=True):
    """So many journal entries from this one on, masked."""

    from_seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    entries: Annotated[int, msgspec.Meta(ge=1, le=UPLOAD_ENTRIES_MAX)] = UPLOAD_ENTRIES_MAX


class Display(_Arguments, frozen=True, kw_only=True):
    """A text for the counter, in both languages."""

    zh: Annotated[str, msgspec.Meta(min_length=1, max_length=DISPLAY_CHARACTERS_MAX)]
    en: Annotated[str, msgspec.Meta(min_length=1, max_length=DISPLAY_CHARACTERS_MAX)]
    seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60


class Change(_Arguments, frozen=True, kw_only=True):
    """Keys of the configuration and their new values. Every version is greater than the one before it."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    set: Annotated[dict[Name, str | int | bool], msgspec.Meta(min_length=1, max_length=32)]


# The arguments of a settlement file (`settle`) are those of POST /v1/settlements.
ARGUMENTS: Final[dict[str, type[_Arguments]]] = {
    "query": Query, "reprint": About, "recover": About, "replay": Replay, "upload-log": Upload, "display": Display,
    "config": Change,
}


def signed_bytes(command: Command) -> bytes:
    """The bytes that are signed: a JSON array in UTF-8, keys of objects sorted, no white space, whole numbers only.

    Raises EnvelopeError for arguments that have no one way to be written.
    """
    said = [_SCOPE, command.v, command.fleet, command.sn, command.id, command.name, command.args]
    try:
        if _plain(command.args):
            return msgspec.json.encode([*said, command.not_before, command.expires, command.key], order="sorted")
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # half a character, a number beyond 64 bits, lists in lists without end
    raise EnvelopeError("arguments hold texts, whole numbers, true, false, null, lists and objects, and nothing else")


def digest(command: Command) -> str:
    """Tells this command from every other: SHA-256 of the signed bytes, as hex."""
    return hashlib.sha256(signed_bytes(command)).hexdigest()


def is_id(text: str) -> bool:
    """1 to 64 letters, digits and hyphens."""
    return _ID.fullmatch(text) is not None


def key_name(public: bytes) -> str:
    """How a public key (32 bytes) is named in a command: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def read_keys(text: str) -> dict[str, bytes]:
    """Public keys by name, from lines `ed25519 <64 hex digits> [whose]`. Raises ValueError naming the line that is wrong."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            match = _KEY_LINE.fullmatch(line.rstrip())
            if match is None:
                raise ValueError(f"line {number} is no key: ed25519, 64 hexadecimal digits, and whose it is")
            keys[key_name(bytes.fromhex(match[1]))] = bytes.fromhex(match[1])
    if not 1 <= len(keys) <= KEYS_MAX:
        raise ValueError(f"1 to {KEYS_MAX} keys are wanted, here are {len(keys)}")
    return keys


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int)  # a bool is an int; a float has many ways to be written


# What each of them is called: name → (Chinese, English).
NAMES: Final[dict[str, tuple[str, str]]] = {
    "query": ("查询", "query"),
    "reprint": ("重打签购单", "reprint"),
    "recover": ("再次冲正", "reverse again"),
    "replay": ("重发事件", "send events again"),
    "upload-log": ("上传日志", "upload the journal"),
    "settle": ("导入对账结果", "settlement verdicts"),
    "display": ("显示文字", "show a text"),
    "config": ("修改配置", "change the configuration"),
}

# Why a command was not taken or not carried out: code → (Chinese, English). What an order itself met has its own code.
WHY: Final[dict[str, tuple[str, str]]] = {
    "retained": ("代理服务器留存的旧消息", "the broker had kept it; nobody sent it now"),
    "too-large": ("消息过大", "it is too large"),
    "malformed": ("不是本协议的命令", "it is no command of this protocol"),
    "wrong-terminal": ("发给其他终端的命令", "it is for another terminal"),
    "wrong-reply-topic": ("要求在其他主题应答", "it wants its answer on another topic"),
    "unknown-key": ("签名密钥不在本机名单", "it is signed with a key that this terminal does not know"),
    "bad-signature": ("签名不符", "its signature is wrong"),
    "unknown-command": ("本机版本没有此命令", "this version knows no such command"),
    "bad-arguments": ("参数有误", "its arguments are wrong"),
    "bad-window": ("有效期超过 24 小时或倒置", "it is valid for more than a day, or for no time at all"),
    "expired": ("已过期", "it has expired"),
    "not-yet-valid": ("尚未生效", "it is not valid yet"),
    "clock-untrusted": ("本机时钟不可信,不受理涉及资金的命令", "its clock is not trusted: nothing that moves money is taken"),
    "too-many": ("命令过多,稍后再发", "too many commands at once: send it later"),
    "id-reused": ("同一编号用于不同命令", "another command had this id"),
    "old-version": ("配置版本不高于现有版本", "a configuration of this version or a newer one is in force"),
    "no-such-transaction": ("本机无此交易", "the terminal has no such transaction"),
    "no-such-incident": ("本机无此事件", "the terminal has no such incident"),
    "ambiguous": ("流水号对应多笔,请用交易号", "several transactions have this STAN: name one by its id"),
    "not-reversible": ("没有可再发的冲正", "there is no reversal that could be sent again"),
    "no-receipt": ("没有可重打的签购单", "there is no receipt to print again"),
    "statement-interrupted": ("对账文件前面的部分不在,请整份重发", "parts before it are gone: send the statement again"),
    "statement-too-long": ("对账文件过长", "the statement is too long"),
    "no-preview": ("远程导入不能预览", "there is no preview by command"),
    "too-far-back": ("回退过多", "that is too far back"),
    "line-lost": ("与代理服务器的连接中断", "the line to the broker broke"),
    "no-file": ("本机没有配置文件", "the terminal runs without a configuration file"),
    "not-reloadable": ("该配置项须现场修改并重启", "one of the keys cannot be changed from afar"),
    "not-editable": ("配置文件的写法无法自动修改", "the file is written in a form that cannot be changed by itself"),
    "bad-value": ("新值不合规则,未采用", "the new values break a rule of the configuration: nothing was changed"),
    "storage": ("写入失败", "it could not be written"),
    "internal": ("程序缺陷,未执行", "a defect of the agent: nothing was done"),
}

# All of these as vocabularies, with how a command stands.
WORDS: Final = {
    "command": {
        "new": ("已收到", "received"), "accepted": ("执行中", "at work"),
        "done": ("已执行", "done"), "rejected": ("未执行", "rejected"),
    },
    "command_name": NAMES,
    "command_why": WHY,
}
