"""An acquirer's profile tried out: is a 0400 of every kind written and read back, and is every message told from the others?

Single values can all be right and a reversal still not fit on the line: then the doubt would be known, and never undone. This
is seen before the first customer, on messages as long as they can be.
"""

from collections.abc import Iterable, Iterator

from agent.core import fields
from agent.core.model import Original, Transaction
from agent.core.moment import Stamp
from agent.core.policy import Policy
from agent.core.profile import Kind, Messages
from device.acquirer.chip import FORBIDDEN_TAGS
from device.acquirer.message import Codec, first_sent
from device.acquirer.profile import MAC_BYTES, Profile
from device.errors import MessageError

Finding = tuple[str, str, str]  # key, reason in English and Chinese

_TAG_BYTES = {"95": 5, "9F1E": 8, "9F10": 32, "9F36": 2}  # EMV book 3, annex A; of any other tag at least one byte
_SECRETS = {2: "6222021234567890128", 14: "3012"}
_SHOWN = 12  # characters of a value: less than a card number
_NOW = Stamp(1, 0, None, None)


def findings(line: Profile, policy: Policy) -> Iterator[Finding]:
    """What is wrong, by key. The values themselves must be right already."""
    yield from _told_apart(policy.kinds, policy.messages)
    yield from _first_sends(policy)
    yield from _f60(policy)
    forbidden = sorted(FORBIDDEN_TAGS & set(policy.reversal.chip_tags))
    if forbidden:
        said = ", ".join(forbidden)
        yield "reversal.chip_tags", f"has {said}: card data that is never kept", f"含 {said}：此类卡数据不得留存"
    codec = Codec(line)
    wrong = {key: (key, en, zh) for key, en, zh in reversed([*_unwritten(codec, policy), *_echo(codec, policy)])}
    yield from wrong.values()
    if not wrong:
        yield from _too_long(codec, policy)


def _unwritten(codec: Codec, policy: Policy) -> Iterator[Finding]:
    reasons = policy.reasons
    for kind in _reversible(policy):
        said = _reversal(policy, kind)
        for number, text in said.items():
            yield from _held(codec, number, text, {60: "reversal.f60", 61: f"kinds.{kind.name}.f61"}.get(number))
    for reason in (reasons.no_answer, reasons.bad_mac, reasons.not_completed, reasons.refused):
        yield from _held(codec, 39, reason)


def _echo(codec: Codec, policy: Policy) -> Iterator[Finding]:
    said = fields.echo_fields(policy, terminal_id="12345678", merchant_id="898310148160001", batch="999999")
    for number in sorted({"3", "60"} & said.keys()):
        yield from _held(codec, int(number), said[number], f"messages.echo_f{number}")


def _too_long(codec: Codec, policy: Policy) -> Iterator[Finding]:
    bodies = (codec.unsigned(policy.messages.reversal, _reversal(policy, kind)) for kind in _reversible(policy))
    longest, most = max(map(len, bodies)) + MAC_BYTES, codec.framing.frame_bytes_max
    if longest > most:
        en = f"is too little: a reversal has up to {longest} bytes, and this length says {most} at most"
        yield "line.length_bytes", en, f"太小：冲正报文最长 {longest} 字节，此长度最多表示 {most}"


def _reversible(policy: Policy) -> Iterator[Kind]:
    return (kind for kind in policy.kinds if fields.is_reversible(policy, kind.name))


def _reversal(policy: Policy, kind: Kind) -> dict[int, str]:
    """All that a 0400 of this kind can carry, each field as long as it can be."""
    transaction = Transaction(
        id="trial", number=1, rail="card", kind=kind.name, state="in_doubt", amount_fen=10**12 - 1, currency="156",
        stan="999999", batch="999999", terminal_id="12345678", merchant_id="898310148160001", opened=_NOW,
        condition=kind.condition, entry_mode="051", sequence="001", auth_code="A1B2C3",
        original=Original("999999", "999998", "1231"),
    )
    chip = "".join(f"{tag}{(size := _TAG_BYTES.get(tag, 1)):02X}{'00' * size}" for tag in policy.reversal.chip_tags)
    secrets = {number: text for number, text in (_SECRETS | {55: chip}).items() if text and number in policy.reversal.fields}
    return {int(number): text for number, text in fields.reversal_fields(policy, transaction).items()} | secrets


def _held(codec: Codec, number: int, text: str, made_by: str | None = None) -> Iterator[Finding]:
    """Nothing when the field comes out as it went in; else what is to blame: the value that it was made by, or its rule."""
    try:
        if codec.read(codec.unsigned("0400", {number: text}) + bytes(MAC_BYTES)).fields.get(number) == text:
            return
    except MessageError:
        pass  # what is not written, or not read again, is the same to whoever writes the profile
    rule, text = codec.profile.fields[number], text if len(text) <= _SHOWN else f"{text[:6]}… ({len(text)})"
    if made_by is None:
        yield f"fields.{number}", f'"{rule}" cannot hold {text}', f'"{rule}" 容纳不下 {text}'
    else:
        en, zh = f'makes {text}, which field {number}, "{rule}", cannot hold', f'得到 {text}，域 {number} ("{rule}") 容纳不下'
        yield made_by, en, zh


def _told_apart(kinds: Iterable[Kind], messages: Messages) -> Iterator[Finding]:
    """The relay knows a kind by type, F3 and F60.1, and the app's own 0400, its 0500 and its sign-in by their types."""
    seen: dict[tuple[str, str, str], Kind] = {}
    types: dict[str, str] = {}
    for kind in kinds:
        types.setdefault(kind.mti, f"kinds.{kind.name}")
        other = seen.setdefault((kind.mti, kind.f3, kind.type), kind)
        if (other.in_doubt, other.f61) != (kind.in_doubt, kind.f61):
            en, zh = f"has mti, f3 and type of kinds.{other.name}", f"与 kinds.{other.name} 的 mti、f3、type 全部相同"
            yield f"kinds.{kind.name}", f"{en}: nothing tells them apart", f"{zh}，无法区分"
    for name in ("reversal", "settlement", "sign_in", "echo"):
        mti = getattr(messages, name)
        other_name = types.setdefault(mti, f"messages.{name}")
        if other_name not in {f"messages.{name}", "messages.sign_in"}:
            yield f"messages.{name}", f"is {mti}, and so is {other_name}", f"为 {mti}，与 {other_name} 相同"


def _first_sends(policy: Policy) -> Iterator[Finding]:
    """0401 repeats an 0400: the relay calls a message by the type that it had when it was sent first."""
    named = [(f"kinds.{kind.name}.mti", kind.mti) for kind in policy.kinds]
    ours = [(f"messages.{name}", getattr(policy.messages, name)) for name in ("reversal", "settlement", "sign_in")]
    for key, mti in (*named, *ours):
        if (right := first_sent(mti)) != mti:
            yield key, f"{mti} is the type of a repeat: write {right}", f"{mti} 是重发报文的类型：应写 {right}"


def _f60(policy: Policy) -> Iterator[Finding]:
    """What F60 is made of, and what the kinds have for it."""
    wanted = "{type}" in policy.reversal.f60
    for kind in policy.kinds:
        if wanted and not kind.type:
            yield f"kinds.{kind.name}.type", "is empty, and reversal.f60 has {type}", "为空，而 reversal.f60 含 {type}"
        elif kind.type and not wanted:
            en, zh = f'is "{kind.type}", and reversal.f60 has no {{type}}', f'为 "{kind.type}"，而 reversal.f60 不含 {{type}}'
            yield f"kinds.{kind.name}.type", en, zh
