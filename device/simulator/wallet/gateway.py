"""What a simulated gateway does with one call under one fault: the books change or do not, and what is said of them. Pure."""

from typing import NamedTuple

from device.simulator.wallet.faults import Fault
from device.simulator.wallet.model import Reply, WalletModel


class Outcome(NamedTuple):
    """`reply` None: nothing is ever said. `status` is HTTP's; `garbage` says something that is not JSON."""

    reply: Reply | None
    status: int = 200
    garbage: bool = False
    close: bool = False
    delay_ms: int = 0


def call(
    model: WalletModel, kind: str, order_no: str, fault: Fault, *, refund_no: str = "", amount_fen: int = 0
) -> Outcome:
    """Query, cancel or refund this order under this fault."""
    reply = _done(model, kind, order_no, refund_no, amount_fen) if fault.done else _undone(model, kind, order_no, fault)
    if fault.word == "unknown":
        reply = Reply("unknown", retry=None if kind == "query" else True)
    if fault.word in {"silent", "lost"}:
        return Outcome(None)
    status = int(fault.word) if fault.word.isdigit() else 200
    return Outcome(reply, status, fault.word == "garbage", fault.word == "close", fault.delay_ms)


def _done(model: WalletModel, kind: str, order_no: str, refund_no: str, amount_fen: int) -> Reply:
    if kind == "query":
        return model.query(order_no)
    return model.cancel(order_no) if kind == "cancel" else model.refund(order_no, refund_no, amount_fen)


def _undone(model: WalletModel, kind: str, order_no: str, fault: Fault) -> Reply:
    """The books stay; what is said is a lie, or how the order stands."""
    if fault.word == "lie":
        return Reply("not_paid" if kind == "query" else "closed" if kind == "cancel" else "refunded", retry=False)
    state = model.query(order_no).state
    return Reply(state, retry=None if kind == "query" else fault.word == "busy")
