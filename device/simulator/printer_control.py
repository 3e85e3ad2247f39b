"""What a person or bad luck can do to the simulated printer, as orders: one JSON object each, with a word in `do`."""

from collections.abc import Callable

import msgspec

from device.simulator.bench import read_order
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_traits import ROLL_LINES

HOT_MS = 5000


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order. The other keys belong to the orders that name them in ORDERS."""

    do: str
    after_lines: int = 0  # paper_out: so many lines more
    mid_line: bool = False  # paper_out: and a third of the next one
    lines: int = ROLL_LINES  # paper_in: on the new roll
    for_ms: int = HOT_MS  # overheat: then it has cooled down


def _set(**values: object) -> Callable[[PrinterModel, Order, int], None]:
    def act(model: PrinterModel, _order: Order, now_ms: int) -> None:
        model.advance(now_ms)
        for name, value in values.items():
            setattr(model.condition, name, value)
        model.changed(now_ms)

    return act


def _overheat(model: PrinterModel, order: Order, now_ms: int) -> None:
    model.advance(now_ms)
    model.condition.hot_until_ms = now_ms + order.for_ms
    model.changed(now_ms)


ORDERS: dict[str, Callable[[PrinterModel, Order, int], None]] = {
    "paper_out": lambda model, order, now_ms: model.paper_ends(now_ms, order.after_lines, mid_line=order.mid_line),
    "paper_in": lambda model, order, now_ms: model.paper_in(now_ms, order.lines),
    "cover_open": _set(cover_open=True),
    "cover_close": _set(cover_open=False),
    "overheat": _overheat,
    "cool": _set(hot_until_ms=None),
    "jam": _set(jammed=True),
    "unjam": _set(jammed=False, jam_found=False),
    "break": _set(broken=True),
    "mend": _set(broken=False),
    "silent": _set(silent=True),
    "speak": _set(silent=False),
    "garbage": _set(garbage=True),
    "clean": _set(garbage=False),
    "stall": _set(stalled=True),
    "go": _set(stalled=False),
    "battery_low": _set(battery_low=True),
    "charge": _set(battery_low=False),
    "die_at_roll": _set(dies_at_roll=True),
    "power_off": lambda model, _order, now_ms: model.power(now_ms, on=False),
    "power_on": lambda model, _order, now_ms: model.power(now_ms, on=True),
    "state": lambda _model, _order, _now_ms: None,
}


def obey(model: PrinterModel, line: bytes, now_ms: int) -> dict[str, object]:
    """Carry one order out and say how the printer is now. Raises OrderError."""
    order = read_order(line, Order, ORDERS, "paper_out")
    ORDERS[order.do](model, order, now_ms)
    return state(model)


def state(model: PrinterModel) -> dict[str, object]:
    """How the printer is now."""
    now = model.condition
    return {
        "paper": "out" if now.paper_out else "near_end" if now.near_end else "ok",
        "cover_open": now.cover_open,
        "overheated": now.hot,
        "jammed": now.jam_found,
        "broken": now.broken,
        "waiting": now.waiting,
        "powered": now.powered,
        "silent": now.silent,
        "garbage": now.garbage,
        "stalled": now.stalled,
        "battery_low": now.battery_low,
        "drawer_kicks": model.drawer_kicks,
    }
