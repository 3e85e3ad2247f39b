"""What a simulated acquirer does wrong, written as words: `drop-reply`, `delay:200+bad-mac`, `96`, `late:5000@0.3`."""

from random import Random
from typing import Literal

import msgspec

from device.simulator.script import FaultError, Orders, no_chance

DELAY_MS_MAX = 600_000
PARTIAL_FEN_MAX = 999_999_999_999  # F4 has twelve digits
ANY_MTI = "*"

WORDS = {
    "ok": "work as it should",
    "drop-request": "the request never arrives: not processed, no answer",
    "drop-reply": "processed, but the answer is lost (also `drop`)",
    "delay:MS": "the answer, or the end of the line, comes that much later",
    "duplicate": "the answer comes twice",
    "cross": "the answer of another transaction (another STAN) comes instead",
    "stray": "the answer of another transaction comes first, then the right one",
    "CODE": "answer these two characters: an approval code where the host approves, any other without processing",
    "partial:FEN": "where more than that is asked for, approve that much and no more",
    "processed": "with CODE: process first whatever the code says",
    "bad-mac": "the answer's MAC is wrong",
    "no-mac": "the answer's MAC is missing",
    "late:MS": "the request lies on the way that long and is processed then; until then it is unknown (25)",
    "half": "the line ends in the middle of the answer",
    "close": "processed, then the line closes without an answer",
    "reset": "as close, by RST",
}


class Fault(msgspec.Struct, frozen=True):
    """What happens to one message. Words of one fault add up."""

    drop_request: bool = False
    drop_reply: bool = False
    delay_ms: int = 0
    duplicate: bool = False
    cross: bool = False
    stray: bool = False
    code: str = ""
    processed: bool = False
    mac: Literal["good", "broken", "absent"] = "good"
    late_ms: int = 0
    partial_fen: int = 0
    line: Literal["", "half", "close", "reset"] = ""
    chance: float = 1.0
    text: str = "ok"


NO_FAULT = Fault()

_PLAIN: dict[str, dict[str, object]] = {
    "ok": {}, "drop-request": {"drop_request": True}, "drop-reply": {"drop_reply": True}, "drop": {"drop_reply": True},
    "duplicate": {"duplicate": True}, "cross": {"cross": True}, "stray": {"stray": True},
    "processed": {"processed": True}, "bad-mac": {"mac": "broken"}, "no-mac": {"mac": "absent"},
    "half": {"line": "half"}, "close": {"line": "close"}, "reset": {"line": "reset"},
}


def fault(text: str) -> Fault:
    """The fault that `text` says: words joined by `+`, and `@0.3` at the end for "three times in ten".

    Raises `FaultError`.
    """
    words, _, chance = text.strip().partition("@")
    told: dict[str, object] = {"text": text.strip(), "chance": _chance(chance) if chance else 1.0}
    for word in words.split("+"):
        told |= _meaning(word.strip())
    return msgspec.convert(told, Fault)


def _meaning(word: str) -> dict[str, object]:
    if word in _PLAIN:
        return _PLAIN[word]
    name, _, number = word.partition(":")
    if name in ("delay", "late") and number.isascii() and number.isdecimal() and int(number) <= DELAY_MS_MAX:
        return {f"{name}_ms": int(number)}
    if name == "partial" and number.isascii() and number.isdecimal() and 0 < int(number) <= PARTIAL_FEN_MAX:
        return {"partial_fen": int(number)}
    if len(word) == 2 and word.isascii() and word.isalnum():
        return {"code": word.upper()}
    known = f"{', '.join(WORDS)} (MS ≤ {DELAY_MS_MAX})"
    raise FaultError(f"unknown fault {word!r}: use {known}", f"没有故障 {word!r}:可用 {known}")


def _chance(text: str) -> float:
    try:
        chance = float(text)
    except ValueError:
        chance = -1.0
    if not 0.0 <= chance <= 1.0:
        raise no_chance(text)
    return chance


class Faults(Orders[Fault]):
    """Faults by type of message: an MTI, or `*` for those without a fault of their own."""

    def __init__(self, rng: Random | None = None) -> None:
        super().__init__(_mti, fault, NO_FAULT, rng, otherwise=ANY_MTI)

    def told(self) -> dict[str, dict[str, str | list[str]]]:
        """What is set, in the words it was set with."""
        return {
            "set": {mti: each.text for mti, each in self._standing.items()},
            "scenario": {mti: [each.text for each in script] for mti, script in self._script.items() if script},
        }


def _mti(text: str) -> str:
    if text != ANY_MTI and not (len(text) == 4 and text.isascii() and text.isdecimal()):
        en, zh = "write four digits, as 0400, or * for any", "请写四位数字,如 0400,或用 * 表示任意"
        raise FaultError(f"{text!r} is no message type: {en}", f"{text!r} 不是报文类型:{zh}")
    return text
