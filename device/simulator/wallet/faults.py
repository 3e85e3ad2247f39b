"""What goes wrong with a call to the simulated wallet gateway, in words that people and scripts write: `lie`, `delay:900`."""

from random import Random

import msgspec

from device.simulator.script import FaultError, Orders, no_chance

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
        known = f"{', '.join(WORDS)} (MS ≤ {DELAY_MS_MAX})"
        raise FaultError(f"unknown fault {said!r}: use {known}", f"没有故障 {said!r}:可用 {known}")
    if not 0.0 <= part <= 1.0:
        raise no_chance(chance)
    return Fault(word, delay_ms, part)


class Faults(Orders[Fault]):
    """Faults by kind of call."""

    def __init__(self, rng: Random | None = None) -> None:
        super().__init__(_call, fault, OK, rng)


def _call(text: str) -> str:
    if text not in CALLS:
        known = ", ".join(CALLS)
        raise FaultError(f"{text!r} is no call: write {known}", f"{text!r} 不是调用:请写 {known}")
    return text
