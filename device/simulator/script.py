"""What a simulated peer is ordered to do wrong, message by message: scripts first, then what stands."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Generic, Protocol, TypeVar

from device.errors import Explained

SCRIPT_MAX = 1_000


class FaultError(Explained, ValueError):
    """A fault that cannot be understood: the text says which word, and what words there are."""


def no_chance(text: str) -> FaultError:
    """For what stands after an @ and is no number from 0 to 1."""
    return FaultError(
        f"{text!r} is no chance: write a number from 0 to 1 after the @", f"{text!r} 不是概率:请在 @ 后写 0 到 1 的数"
    )


class Chancy(Protocol):
    """Something that happens with a chance from 0 to 1."""

    @property
    def chance(self) -> float:
        """1 is always."""


F = TypeVar("F", bound=Chancy)


class Orders(Generic[F]):
    """Which fault the next message of each kind meets: first the script of its kind, then the standing fault.

    `key` checks the name of a kind, `read` a fault's text; both raise FaultError. What is met when nothing was ordered is
    `none`; what is ordered for the kind `otherwise` holds for those without a fault of their own. `rng` decides on chances
    only.
    """

    def __init__(
        self, key: Callable[[str], str], read: Callable[[str], F], none: F, rng: Random | None = None, otherwise: str = ""
    ) -> None:
        self._key = key
        self._read = read
        self._none = none
        self._otherwise = otherwise
        self._rng = rng or Random(0)  # noqa: S311  (no secret: a seed that anyone can repeat)
        self._standing: dict[str, F] = {}
        self._script: dict[str, deque[F]] = {}

    def set(self, standing: Mapping[str, str]) -> None:
        """Change standing faults; `ok` takes one away. Raises FaultError, and then changes nothing."""
        told = {self._key(kind): self._read(text) for kind, text in standing.items()}
        self._standing |= told

    def scenario(self, scripts: Mapping[str, Sequence[str]]) -> None:
        """Set, for each kind, what its next messages meet, one fault each; then the standing fault holds again.

        Replaces an unfinished script of the same kind. Raises FaultError, and then changes nothing.
        """
        told = {self._key(kind): deque(self._read(text) for text in texts) for kind, texts in scripts.items()}
        if any(len(script) > SCRIPT_MAX for script in told.values()):
            raise FaultError(f"a script has at most {SCRIPT_MAX} steps", f"一个脚本最多 {SCRIPT_MAX} 步")
        self._script |= told

    def clear(self) -> None:
        """Work as it should from now on."""
        self._standing.clear()
        self._script.clear()

    def choose(self, kind: str) -> F:
        """The fault for a message that has just come."""
        if not self._standing and not self._script:
            return self._none
        script = self._script.get(kind) or self._script.get(self._otherwise)
        standing = self._standing.get(kind) or self._standing.get(self._otherwise) or self._none
        chosen = script.popleft() if script else standing
        return chosen if chosen.chance >= 1.0 or self._rng.random() < chosen.chance else self._none
