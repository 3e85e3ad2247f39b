"""Settlement files for tests of the core: the way in is played here, and a file is a list of lines."""

from typing import Any

from agent.core import event as e
from agent.core.accounts import Settled
from agent.core.calendar import number
from agent.core.change import Report
from agent.core.model import Disposition
from tests.agent.core.world import TERMINAL, World

D0 = number("2026-03-02")  # the business day of the worlds of these tests


def line(stan: str = "000001", direction: str = "debit", amount_fen: int = 100, *, day: int = D0, **more: Any) -> Settled:
    """One line: the debit of the sale 000001 in its own day's file, unless it says otherwise."""
    return Settled(number=1, day=day, direction=direction, amount_fen=amount_fen, **{"batch": "000001", "stan": stan} | more)  # type: ignore[arg-type]


def bring(world: World, *lines: Settled, days: tuple[int, ...] = (D0,), absent: tuple[str, ...] = (), **more: Any) -> Report:
    """Import one file of these days; everything the terminal knows may be what it is about."""
    event = e.SettlementImported(
        statement=more.pop("statement", f"{days}{lines}"), terminal_id=TERMINAL, days=days, lines=lines,
        families=tuple(world.state.transactions), absent=absent, **more,
    )
    report = world.do(event).report
    assert report is not None
    return report


def final(world: World, *lines: Settled) -> Report:
    """The file of the day, and an empty one of each day after it until nothing can come any more."""
    bring(world, *lines)
    return bring(world, days=(D0 + 1, D0 + 2, D0 + 3, D0 + 4))


def say(world: World, key: str = "a", **said: Any) -> None:
    """Somebody says where goods and money went."""
    by_hand = said.pop("by_hand", None)
    world.do(e.DispositionGiven(transaction=key, disposition=Disposition(**said), by_hand=by_hand))


def stuck(world: World | None = None, **more: Any) -> World:
    """A sale of 1.00 that the host would not reverse: unresolved."""
    world = world or World()
    world.doubt(**more)
    world.connect()
    world.reply("94")
    assert world.states() == ("unresolved", "refused")
    return world
