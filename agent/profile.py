"""An acquirer's profile from its TOML file: bytes for the device, rules for the core, defaults for the configuration.

What a file leaves out is UnionPay's, except `[kinds]`: one that is written lists every kind there is. Every mistake is
named with file, key and reason.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

from agent import profiletrial
from agent.core.policy import Policy
from agent.core.profile import MUST, UNIONPAY_KINDS, Answers, Count, Kind, Messages, Reasons, Reversal, TimerMs, says
from agent.problem import ConfigError, Problem
from agent.reading import Reading, document
from device import datafiles
from device.acquirer.profile import MAC_FIELD, UNIONPAY, FieldRule, Profile

_FIELD = Policy()  # UnionPay's values
_RULE = (
    'a field as the standard writes it: "n6", "n..19", "an...999", "b8", "n3 left"',
    '标准写法的域定义："n6"、"n..19"、"an...999"、"b8"、"n3 left"',
)
_KIND_NAME = re.compile(r"[a-z_]{1,32}")
_DIGITS = frozenset({3, 4, 11})  # compared as numbers of fixed length
_REPLY_CLASSES = ("accepted", "no_original", "key", "done_elsewhere", "permanent")

Algorithm = Literal["unionpay-ecb", "x9.9", "x9.19"]
Tpdu = Annotated[str, says("10 hexadecimal digits, or empty", "10 位十六进制数字，或留空", pattern=r"^([0-9A-Fa-f]{10})?\Z")]
Header = Annotated[str, says("12 hexadecimal digits, or empty", "12 位十六进制数字，或留空", pattern=r"^([0-9A-Fa-f]{12})?\Z")]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One section of the file."""


class Line(_Section, frozen=True, kw_only=True):
    """How messages are told apart on the line, and how numbers are packed."""

    packing: Literal["bcd", "ascii"] = UNIONPAY.packing
    length_bytes: Annotated[int, says("1 to 6", "1 到 6", ge=1, le=6)] = UNIONPAY.length_bytes
    length_encoding: Literal["binary", "bcd", "ascii"] = UNIONPAY.length_encoding
    length_inclusive: bool = UNIONPAY.length_inclusive
    tpdu: Tpdu = UNIONPAY.tpdu
    header: Header = UNIONPAY.header


class Recovery(_Section, frozen=True, kw_only=True):
    """When a reversal is sent and how long for. `[recovery]` of the configuration goes before the keys that it has too."""

    answer_timeout_ms: TimerMs = _FIELD.answer_timeout_ms
    reply_timeout_ms: TimerMs = _FIELD.reply_timeout_ms
    sends_per_opportunity: Count = _FIELD.sends_per_opportunity
    spacing_ms: TimerMs = _FIELD.spacing_ms
    backoff_min_ms: TimerMs = _FIELD.backoff_min_ms
    backoff_max_ms: TimerMs = _FIELD.backoff_max_ms
    no_original_after_ms: TimerMs = _FIELD.no_original_after_ms
    no_original_keep_ms: TimerMs = _FIELD.no_original_keep_ms
    echo_timeout_ms: TimerMs = _FIELD.echo_timeout_ms
    key_answers_max: Count = _FIELD.key_answers_max


OWN = ("no_original_keep_ms", "echo_timeout_ms", "key_answers_max")  # of `Recovery`: a configuration does not have them


class Mac(_Section, frozen=True, kw_only=True):
    """F64: how it is made, and whether an answer that accepts a reversal must carry it."""

    algorithm: Algorithm = "unionpay-ecb"
    required: bool = _FIELD.require_mac


class Settlement(_Section, frozen=True, kw_only=True):
    """What a settlement (0500) meets while reversals are pending, what becomes of them after it, and who says what day it is."""

    while_pending: Literal["wait", "refuse", "pass"] = _FIELD.settlement_while_pending
    pending_after: Literal["expire", "send"] = _FIELD.pending_after
    host_day: bool = _FIELD.host_day


class AcquirerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One acquirer's way. The defaults are UnionPay's."""

    name: str = UNIONPAY.name
    line: Profile = UNIONPAY
    kinds: tuple[Kind, ...] = UNIONPAY_KINDS
    messages: Messages = _FIELD.messages
    reversal: Reversal = _FIELD.reversal
    reasons: Reasons = _FIELD.reasons
    answers: Answers = _FIELD.answers
    recovery: Recovery = Recovery()
    mac: Mac = Mac()
    settlement: Settlement = Settlement()

    def settings(self) -> dict[str, dict[str, object]]:
        """What stands in the place of settings that the configuration does not write, by section and key."""
        recovery = msgspec.structs.asdict(self.recovery)
        return {
            "recovery": {key: value for key, value in recovery.items() if key not in OWN},
            "acquirer": {"tpdu": self.line.tpdu, "header": self.line.header},
            "mac": {"algorithm": self.mac.algorithm},
        }

    def rules(self) -> dict[str, Any]:
        """The part that the core judges by, as values of `Policy` that no setting has."""
        own = {key: getattr(self.recovery, key) for key in OWN}
        sections = {name: getattr(self, name) for name in ("kinds", "messages", "reversal", "reasons", "answers")}
        return own | sections | {
            "require_mac": self.mac.required, "settlement_while_pending": self.settlement.while_pending,
            "pending_after": self.settlement.pending_after, "host_day": self.settlement.host_day,
        }


_UNIONPAY = AcquirerProfile()
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "line": Line, "messages": Messages, "reversal": Reversal, "reasons": Reasons, "answers": Answers, "recovery": Recovery,
    "mac": Mac, "settlement": Settlement,
}
_NAMES = (*SECTIONS, "fields", "kinds")


def load(name: str, base: Path, named_in: str) -> AcquirerProfile:
    """The profile `name`, or the one at a path (relative to `base`) that ends in `.toml`; `named_in` is the configuration.

    Raises ConfigError with every mistake.
    """
    path = base / name if name.endswith(".toml") else datafiles.find("profiles", name)
    if path is None:
        known = ", ".join(datafiles.names("profiles")) or "-"
        en, zh = f"there is no profile {name!r}; those that come with the program: {known}", f"没有规范 {name!r}；自带: {known}"
        raise ConfigError((Problem(file=named_in, key="acquirer.profile", en=en, zh=zh),))
    return _Reader(str(path)).profile(document(path, str(path), "acquirer.profile"), path.stem)


def _itself(key: str, section: Any) -> Any:
    """A section that says what UnionPay's does is UnionPay's, as in `Reading.section`."""
    default = getattr(_UNIONPAY, key)
    return default if section == default else section


class _Reader(Reading):
    """One pass over a profile."""

    def profile(self, written: Mapping[str, Any], name: str) -> AcquirerProfile:
        for unknown in (key for key in written if key not in _NAMES):
            self.unknown(unknown, unknown, _NAMES, ("section", "节"))
        made = {key: self.section(key, kind, self.table(written, key) or {}) for key, kind in SECTIONS.items()}
        profile = AcquirerProfile(
            name=name, line=self._line(name, made.pop("line"), self.table(written, "fields") or {}),
            kinds=self._kinds(self.table(written, "kinds")) if "kinds" in written else UNIONPAY_KINDS,
            **{key: _itself(key, section) for key, section in made.items()},
        )
        for key, en, zh in _contradictions(profile):
            if not any(bad.startswith(key) for bad in self.bad):
                self.problem(key, en, zh)
        if not self.problems and profile != replace(_UNIONPAY, name=name):
            for key, en, zh in profiletrial.findings(profile.line, Policy(**profile.rules())):
                self.problem(key, en, zh)
        if self.problems:
            raise ConfigError(tuple(self.problems))
        return profile

    def _line(self, name: str, line: Any, fields: Mapping[str, Any]) -> Profile:
        rules = dict(UNIONPAY.fields)
        for number, text in fields.items():
            key = f"fields.{number}"
            rule = FieldRule.parse(text) if isinstance(text, str) else None
            if not (number.isascii() and number.isdecimal() and 2 <= int(number) < MAC_FIELD):
                self.problem(key, f"is not a field from 2 to {MAC_FIELD - 1}", f"不是 2 到 {MAC_FIELD - 1} 的域号")
            elif rule is None:
                self.wrong(key, _RULE, text)
            elif int(number) in _DIGITS and (rule.kind, rule.variable) != ("n", 0):
                self.problem(key, "must be digits of a fixed length: answers are matched by it", "应为定长数字：应答靠它匹配")
            else:
                rules[int(number)] = rule
        return Profile(name=name, fields=rules, **msgspec.structs.asdict(line))

    def _kinds(self, tables: Mapping[str, Any] | None) -> tuple[Kind, ...]:
        kinds: list[Kind] = []
        for name in tables or {}:
            key = f"kinds.{name}"
            table = (tables or {})[name]
            if not isinstance(table, dict):
                self.problem(key, f"must be a section: [{key}]", f"应写成节: [{key}]")
            elif not _KIND_NAME.fullmatch(name):
                self.problem(key, "a kind's name has 1 to 32 small letters and _", "交易种类名称为 1 到 32 个小写字母或 _")
            elif "name" in table:
                self.unknown(f"{key}.name", "name", ())
            else:
                kind = self.section(key, Kind, table)
                assert kind is not None, "every key of a kind has a default"
                kinds.append(replace(kind, name=name))
        return UNIONPAY_KINDS if tuple(kinds) == UNIONPAY_KINDS else tuple(kinds)


def _contradictions(profile: AcquirerProfile) -> Iterator[tuple[str, str, str]]:
    """What single values cannot show: key, reason in English and Chinese."""
    missing = sorted(MUST - set(profile.reversal.fields))
    if missing:
        yield "reversal.fields", f"lacks {_listed(missing)}", f"缺少 {_listed(missing)}"
    unknown = sorted(set(profile.reversal.fields) - profile.line.fields.keys())
    if unknown:
        yield "reversal.fields", f"has {_listed(unknown)}, which [fields] has not", f"含 {_listed(unknown)}，但 [fields] 中没有"
    answers = profile.answers
    for one, other in ((a, b) for at, a in enumerate(_REPLY_CLASSES) for b in _REPLY_CLASSES[:at]):
        both = sorted(set(getattr(answers, one)) & set(getattr(answers, other)))
        if both:
            yield f"answers.{one}", *_also(both, other)
    both = sorted(set(answers.uncertain) & set(answers.approval))
    if both:
        yield "answers.uncertain", *_also(both, "approval")
    for name in ("partial", "confirm"):
        loose = sorted(set(getattr(answers, name)) - set(answers.approval))
        if loose:
            said = _listed(loose)
            yield f"answers.{name}", f"has {said}, which answers.approval has not", f"{said} 不在 answers.approval 中"
    if not answers.approval:
        yield "answers.approval", "is empty: no payment could ever be approved", "为空：任何交易都不会获批"
    if not answers.accepted:
        yield "answers.accepted", "is empty: no reversal could ever succeed", "为空：任何冲正都不会成功"
    if profile.recovery.backoff_max_ms < profile.recovery.backoff_min_ms:
        yield "recovery.backoff_max_ms", "is less than backoff_min_ms", "小于 backoff_min_ms"
    if not any(kind.in_doubt == "reverse" for kind in profile.kinds):
        yield "kinds", 'has no kind with in_doubt = "reverse"', '没有 in_doubt = "reverse" 的交易种类'


def _also(both: list[str], other: str) -> tuple[str, str]:
    return f"has {_listed(both)}, which answers.{other} has too", f"{_listed(both)} 已在 answers.{other} 中"


def _listed(values: list[Any]) -> str:
    return ", ".join(map(str, values))
