"""What goes wrong with a call to the simulated wallet gateway, in words that people and scripts write: `lie`, `delay:900`."""

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

import msgspec

SCRIPT_MAX = 1_000
DELAY_MS_MAX = 600_000
CALLS = ("query", "cancel", "refund")

WORDS = {
    "ok": "work as it should",
    "silent": "done, but no answer ever comes",
    "lost": "not done, and no answer ever comes",
    "close": "done, then the line ends without an answer",
    "delay:MS": "done, and answered that much later",
    "unknown": "done, and answered with state unknown",
    "lie": "not done, but answered as if it were",
    "refuse": "not done, and said so: never again",
    "busy": "not done: try the same again",
    "garbage": "done, and answered with something that is not JSON",
    "500": "not done, and answered HTTP 500",
    "401": "not done, as if the signature were wrong",
}


class FaultError(ValueError):
    """A fault that cannot be understood: the text says which word, and what words there are."""


class Fault(msgspec.Struct, frozen=True):
    """What happens to one call."""

    word: str = "ok"
    delay_ms: int = 0
    chance: float = 1.0

    @property
    def done(self) -> bool:
        """True when the call has its effect all the same."""
        return self.word in {"ok", "silent", "close", "delay", "unknown", "garbage"}


OK = Fault()


def fault(text: str) -> Fault:
    """The fault that `text` says; `@0.3` at the end for three times in ten. Raises FaultError."""
    said, _, chance = text.strip().partition("@")
    word, _, number = said.partition(":")
    try:
        part = float(chance) if chance else 1.0
        delay_ms = int(number) if number else 0
    except ValueError:
        part, delay_ms = -1.0, -1
    if (word == "delay") != bool(number) or not 0 <= delay_ms <= DELAY_MS_MAX or (word not in WORDS and word != "delay"):
        raise FaultError(f"unknown fault {said!r}: use {', '.join(WORDS)} (MS up to {DELAY_MS_MAX})")
    if not 0.0 <= part <= 1.0:
        raise FaultError(f"{chance!r} is no chance: write a number from 0 to 1 after the @")
    return Fault(word, delay_ms, part)


class Faults:
    """Which fault the next call of each kind meets: first its script, then its standing fault. `rng` decides on chances."""

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng or Random(0)  # noqa: S311  (no secret: a seed that anyone can repeat)
        self._standing: dict[str, Fault] = {}
        self._script: dict[str, deque[Fault]] = {}

    def set(self, standing: Mapping[str, str]) -> None:
        """Change standing faults by kind of call; `ok` takes one away. Raises FaultError, and then changes nothing."""
        told = {_call(call): fault(text) for call, text in standing.items()}
        self._standing |= told

    def scenario(self, scripts: Mapping[str, Sequence[str]]) -> None:
        """What the next calls meet, one fault each. Raises FaultError, and then changes nothing."""
        told = {_call(call): deque(fault(text) for text in texts) for call, texts in scripts.items()}
        if any(len(script) > SCRIPT_MAX for script in told.values()):
            raise FaultError(f"a script has at most {SCRIPT_MAX} steps")
        self._script |= told

    def clear(self) -> None:
        """Work as it should from now on."""
        self._standing.clear()
        self._script.clear()

    def choose(self, call: str) -> Fault:
        """The fault for a call that has just come."""
        script = self._script.get(call)
        chosen = script.popleft() if script else self._standing.get(call, OK)
        return chosen if chosen.chance >= 1.0 or self._rng.random() < chosen.chance else OK


def _call(text: str) -> str:
    if text not in CALLS:
        raise FaultError(f"{text!r} is no call: write {', '.join(CALLS)}")
    return text
