"""What is shown of a world that broke a promise: its seed, the fewest faults that still break it, and what happened."""

import traceback
from typing import Any, NamedTuple

from tests.sim.checks import Violation
from tests.sim.faults import MEANING
from tests.sim.payapp import PayWorld
from tests.sim.world import World

LINES_MAX = 80


class Failure(NamedTuple):
    """A broken promise. `rule` is the number of the invariant; `only` and `baskets` are the least that still breaks it."""

    seed: int
    journal: bool
    rule: str
    text: str
    only: tuple[str, ...] | None = None
    baskets: int | None = None
    payapp: bool = False


def _world(failure: Failure) -> World:
    kind = PayWorld if failure.payapp else World
    return kind(failure.seed, journal=failure.journal, only=failure.only, baskets=failure.baskets)


def play(
    seed: int, *, journal: bool, only: tuple[str, ...] | None = None, baskets: int | None = None, payapp: bool = False
) -> Failure | World:
    """One world: itself when all went well."""
    asked = Failure(seed, journal, "", "", only, baskets, payapp)
    world = _world(asked)
    broken = _run(world)
    return world if broken is None else asked._replace(rule=broken.rule, text=str(broken))


def _run(world: World) -> Violation | None:
    """The promise it breaks. A world that falls over by itself is told like one, so that its seed is not lost."""
    try:
        world.run()
    except Violation as broken:
        return broken
    except Exception as fault:  # noqa: BLE001  (whatever it is)
        where = traceback.extract_tb(fault.__traceback__)[-1]
        return Violation("world", f"{type(fault).__name__} in {where.name}, line {where.lineno}: {fault}")
    return None


def minimise(failure: Failure) -> Failure:
    """Leave out one fault after the other, and sales, as long as the same promise still breaks."""
    names = _world(failure).drawn.names
    best = failure
    how = {"journal": failure.journal, "payapp": failure.payapp}
    for baskets in (1, 2):
        smaller = play(failure.seed, only=names, baskets=baskets, **how)
        if isinstance(smaller, Failure) and smaller.rule == failure.rule:
            best = smaller
            break
    for name in names:
        fewer = tuple(other for other in (names if best.only is None else best.only) if other != name)
        found = play(failure.seed, only=fewer, baskets=best.baskets, **how)
        if isinstance(found, Failure) and found.rule == failure.rule:
            best = found
    return best


def describe(failure: Failure) -> str:
    """For a person: the promise, how to play it again, the faults in words, the timeline."""
    least = minimise(failure)
    world = _world(least)
    broken = _run(world)
    text = failure.text if broken is None else str(broken)
    names = world.faults.names if least.only is None else least.only
    again = f"./dev sim --seeds 1 --seed {failure.seed}" + (" --payapp" * failure.payapp) + (" --journal" * failure.journal)
    again += f" --only {','.join(failure.only)}" if failure.only else ""
    lines = [f"seed {failure.seed}: {failure.text}", f"again: {again}"]
    if text != failure.text:
        lines.append(f"with less: {text}")
    lines += [f"fault {name}: {MEANING[name]}" for name in names] or ["no fault at all"]
    return "\n".join([*lines, *timeline(world.log)])


def timeline(log: list[tuple[Any, ...]]) -> list[str]:
    """Seconds and words, one line an entry; a long one loses its middle."""
    lines = [f"{at / 1000:12.3f} s  {' '.join(str(word) for word in words if word is not None)}" for at, *words in log]
    if len(lines) > LINES_MAX:
        half = LINES_MAX // 2
        lines = [*lines[:half], f"{'…':>14}  {len(lines) - LINES_MAX} lines left out", *lines[-half:]]
    return lines
