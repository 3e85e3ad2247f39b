"""Which row of the playbook a wallet's order stands in, but for what the printer adds to a paid one."""

from agent.core.bestpay import RAIL as BESTPAY
from agent.core.bestpay import STREAK
from agent.core.model import Transaction
from agent.core.order import Order
from agent.core.policy import Policy


def code(row: Transaction, order: Order, *, debit_shown: bool) -> str:
    """The code for an order in any state but `intent` and `paid`."""
    if row.state in {"querying", "cancelling", "cancel_unknown"}:
        if order.late:
            return "N9"
        if order.trusted:
            return "P11"
        return "N8" if order.backoff_ms else "P8"
    if row.state == "unresolved":
        if order.trusted:
            return "P11"
        return "P7" if debit_shown else "P5w"
    if row.state in {"closed", "declined"} and row.rail == BESTPAY:
        if order.abnormal:
            return "P25"
        return "P13" if order.streak >= STREAK else "P12"
    return {"sent": "N2", "closed": "P10", "refunded": "N9", "declined": "N4", "not_sent": "N5", "resolved": "N6"}[row.state]


def seconds_left(policy: Policy, row: Transaction) -> int:
    """How long the asking goes on at most before something else is done, for the text of P8."""
    rule = policy.wallet(row.wallet)
    if rule is None or row.order is None:
        return 0
    left_ms = rule.give_up_ms - row.order.online_ms if row.state == "querying" else rule.paying_poll_ms
    return max(left_ms if left_ms > 0 else rule.paying_poll_ms, rule.poll_ms) // 1000
