"""A merchant's own words for the cashier, from a TOML file: other words, never other advice. Every mistake is named.

The two answers that protect money, `hold_goods` and `may_pay_again`, are the core's and are in no file. The words cannot
contradict them either: what releases goods, invites to pay again, calls money credited or promises may stand only in a row
whose own texts say the same. `docs/wording.md` tells the rules to whoever writes such a file.
"""

import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from agent.core.playbook import PLAYBOOK, Row
from agent.problem import ConfigError, Problem
from agent.reading import Reading, document
from device import datafiles

CLAUSES_MAX = 2  # of a short text: one line of a customer display each
CLAUSE_ZH_MAX = 10  # Chinese characters, two columns each
CLAUSE_EN_MAX = 20  # columns
LONG_ZH_MAX = 80
LONG_EN_MAX = 200
ALWAYS = frozenset({"amount", "last4"})  # may stand in every text; others only where the row's own texts have them


class Family(NamedTuple):
    """Words that weigh: they may stand only in rows whose own texts have them, or where they are turned into their contrary."""

    zh: re.Pattern[str]
    en: re.Pattern[str]
    why_en: str
    why_zh: str


_NOT_ZH = r"(?:勿|不要|不得|不可|不能|不再|别|禁止|未|暂不)[^,，;；。:：、]{0,4}$"
_NOT_EN = r"\b(?:not|never|no|n't)(?:\W+\w+){0,2}\W+$"
_MANAGER = re.compile(r"店长|经理|\bmanager\b", re.IGNORECASE)
_DENIED = re.compile(f"{_NOT_ZH}|{_NOT_EN}", re.IGNORECASE)
_CLAUSE = re.compile(r"[,，;；。.:：!！?？、()（）]")

_AGAIN_ZH = r"(?:重新|再次?|重复|另行?|换卡)(?:刷|付|支付|扫|收|交款)|重刷|重付|重扫|重收|换(?:一?张)?卡|其他方式|改用|现金"
_AGAIN_EN = (
    r"\b(?:pay|charge|swipe|scan|tap|collect|sell)\b(?: \w+){0,2} (?:again|once more|anew)\b|\brepay\b|\brecharge\b"
    r"|\b(?:another|other|different) (?:card|payment|means|way)|\bcash\b|\bthe original amount\b"
)
FAMILIES = (
    Family(
        re.compile(r"交货|放行|发货|可以?(?:离店|离开|离席|走|取货|取走|带走|拿走|交付)|请(?:离店|取货|取走|带走)|让.{0,3}(?:离开|离店|走)"),
        re.compile(
            r"\b(?:goods|guest|customer)s? (?:may|can) (?:go|leave)\b|\bmay (?:go|leave)\b|\bcan (?:go|leave)\b|\breleas\w*"
            r"|\bhand\b(?! nothing\b).{0,20}\bover\b|\blet\b.{0,20}\b(?:go|leave)\b|\bdeliver\w*", re.IGNORECASE,
        ),
        "lets the goods go, which this row does not", "含放行货物或顾客的说法，而本条不放行",
    ),
    Family(
        re.compile(_AGAIN_ZH), re.compile(_AGAIN_EN, re.IGNORECASE),
        "invites to pay again, which this row does not", "含再次付款的说法，而本条不允许",
    ),
    Family(
        re.compile(r"已(?:经)?(?:退款|退回|退还|到账|入账|返还)|退款成功|(?:会|将|内)(?:自动)?(?:到账|退回|退还|退款)"),
        re.compile(
            r"\b(?:has been|have been|was|were|already|is now|will be) (?:credited|refunded|returned|paid back)", re.IGNORECASE
        ),
        'says that money is or will be back: "accepted" is not "credited"', "称款项已退或将退；“已受理”不等于“已到账”",
    ),
    Family(
        re.compile(r"保证|担保|承诺|包退|必退|一定(?:会)?退|绝对"),
        re.compile(r"\bguarant\w*|\bpromis\w*|\bcertainly\b", re.IGNORECASE),
        "promises something: only the merchant and the provider do that, on paper and signed",
        "含承诺；承诺只能由商户和服务商书面签署",
    ),
)


def load(name: str, base: Path, named_in: str) -> Mapping[str, Row]:
    """The rows that have other words: from the file `name`, or the one at a path (relative to `base`) that ends in `.toml`.

    Raises ConfigError with every mistake; `named_in` is the configuration.
    """
    path = base / name if name.endswith(".toml") else datafiles.find("texts", name)
    if path is None:
        known = ", ".join(datafiles.names("texts")) or "-"
        en, zh = f"there are no texts {name!r}; those that come with the program: {known}", f"没有提示语 {name!r}；自带: {known}"
        raise ConfigError((Problem(file=named_in, key="terminal.texts", en=en, zh=zh),))
    reading = Reading(str(path))
    rows = _rows(reading, document(path, str(path), "terminal.texts"))
    if reading.problems:
        raise ConfigError(tuple(reading.problems))
    return rows


def _rows(reading: Reading, written: Mapping[str, object]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for code in written:
        if code not in PLAYBOOK:
            reading.unknown(code, code, PLAYBOOK, ("row of the playbook", "提示编号"))
            continue
        table = reading.table(written, code) or {}
        for key, text in table.items():
            for en, zh in _mistakes(code, key, text):
                reading.problem(f"{code}.{key}", en, zh)
        good = {key: text for key, text in table.items() if f"{code}.{key}" not in reading.bad}
        rows[code] = PLAYBOOK[code]._replace(**good)
    return rows


def _mistakes(code: str, key: str, text: object) -> Iterator[tuple[str, str]]:
    """What is wrong with one text, in English and Chinese."""
    own = PLAYBOOK[code]
    if key in {"hold_goods", "may_pay_again"}:
        yield "is decided by the program and cannot be changed", "由程序判定，不能修改"
    elif key not in Row._fields:
        yield "is not a text of a row: zh, zh_long, en, en_long", "不是提示语的键：zh、zh_long、en、en_long"
    elif not isinstance(text, str) or not text.strip() or not text.isprintable():
        yield "must be a text on one line", "应为单行文字"
    else:
        yield from _ill_shaped(key, text)
        yield from _placeholders(own, text)
        yield from forbidden(own, text)


def _ill_shaped(key: str, text: str) -> Iterator[tuple[str, str]]:
    """What does not fit the places where texts are shown."""
    try:
        text.encode("gbk")
    except UnicodeEncodeError:
        yield "has a character that displays and printers do not have (GBK)", "含显示屏和打印机没有的字符(GBK)"
    if key in {"zh", "en"}:
        most = CLAUSE_ZH_MAX if key == "zh" else CLAUSE_EN_MAX
        clauses = [clause.strip() for clause in text.split(",")]
        if len(clauses) > CLAUSES_MAX or not all(1 <= len(clause) <= most for clause in clauses):
            yield (
                f"must be one or two clauses of at most {most} characters, divided by a comma (,)",
                f"应为一句或用英文逗号(,)分开的两句，每句最多 {most} 个字符",
            )
        if key == "en" and not text.isascii():
            yield "must be plain ASCII", "应为纯 ASCII"
    elif len(text) > (LONG_ZH_MAX if key == "zh_long" else LONG_EN_MAX):
        most = LONG_ZH_MAX if key == "zh_long" else LONG_EN_MAX
        yield f"is longer than {most} characters", f"超过 {most} 个字符"


def _placeholders(own: Row, text: str) -> Iterator[tuple[str, str]]:
    """Names in braces that this row does not fill in, and braces that mean something else."""
    allowed = ALWAYS | {name for each in own for name in _names(each)}
    try:
        names = list(_names(text))
    except ValueError:
        yield "has a brace that does not belong to a placeholder", "含不成对的花括号"
        return
    for name in names:
        if name not in allowed:
            listed = ", ".join(sorted(f"{{{each}}}" for each in allowed))
            yield f"has {{{name}}}, which this row does not fill in; it has {listed}", f"含 {{{name}}}，本条没有；可用 {listed}"


def _names(text: str) -> Iterator[str]:
    """The placeholders as written; one with a format or a conversion is not a bare name, and so in no list."""
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            yield name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")


def forbidden(own: Row, text: str) -> Iterator[tuple[str, str]]:
    """Weighty words that the row's own texts do not have."""
    for family in FAMILIES:
        if says(family, text) and not any(says(family, each) for each in own):
            yield family.why_en, family.why_zh


def says(family: Family, text: str) -> bool:
    """True when a clause of the text says it, neither denied just before nor left to the manager."""
    for clause in _CLAUSE.split(text):
        for pattern in (family.zh, family.en):
            for found in pattern.finditer(clause):
                before = clause[: found.start()]
                if not _DENIED.search(before) and not _MANAGER.search(before):
                    return True
    return False
