"""The simulated wallet's books: orders, what was taken and given back, and what a gateway that works well says of them.

Pure: time comes in as milliseconds. The books are the truth of a test; a gateway with faults may say something else.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

ORDERS_MAX = 1_000_000

State = Literal["unpaid", "paying", "paid", "closed", "refunded"]
Said = Literal["paid", "paying", "not_paid", "not_found", "closed", "refunded", "unknown"]
SAYS: dict[State, Said] = {
    "unpaid": "not_paid", "paying": "paying", "paid": "paid", "closed": "closed", "refunded": "refunded",
}

FATES = {
    "paid": "the payment is booked at once",
    "unpaid": "the order is there, and nothing is paid",
    "paying": "the customer is asked for a password; a time (paying:MS) says when they give it",
    "abnormal": "as unpaid, and the customer's account is at fault",
    "lost": "the order never arrives",
    "late": "the payment is booked after that time (late:MS), even when the order was cancelled meanwhile",
}


class Account(msgspec.Struct):
    """One order. `due_ms`: when a payment under way is booked; `stubborn`: whatever became of the order until then."""

    order_no: str
    amount_fen: int
    state: State
    debits_fen: int = 0
    credits_fen: int = 0
    cancels: int = 0
    refunds: int = 0
    refund_no: str | None = None
    due_ms: int | None = None
    stubborn: bool = False
    reason: str | None = None

    @property
    def net_debit_fen(self) -> int:
        """What the customer has paid."""
        return self.debits_fen - self.credits_fen


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the gateway says."""

    state: Said
    amount_fen: int | None = None
    retry: bool | None = None
    reason: str | None = None


class WalletModel:
    """All orders. `paying_refuses`: while the customer is asked for a password no cancel is taken, as at WeChat Pay."""

    def __init__(self, *, paying_refuses: bool = True) -> None:
        self.paying_refuses = paying_refuses
        self._accounts: dict[str, Account] = {}
        self.changes = 0

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def find(self, order_no: str) -> Account | None:
        """The order, if it ever arrived."""
        return self._accounts.get(order_no)

    def pay(self, order_no: str, amount_fen: int, fate: str, after_ms: int | None, now_ms: int) -> Said:
        """The customer pays, with this fate; what the wallet answers the payment app. An order number is used once."""
        if fate == "lost":
            return "unknown"
        if order_no in self._accounts or len(self._accounts) >= ORDERS_MAX:
            return "closed"
        state: State = {"paid": "unpaid", "late": "unpaid", "abnormal": "unpaid"}.get(fate, fate)  # type: ignore[assignment]
        account = Account(order_no, amount_fen, state, stubborn=fate == "late")
        account.reason = "account_abnormal" if fate == "abnormal" else None
        self._accounts[order_no] = account
        self.changes += 1
        if fate == "paid":
            self._book(account)
        elif after_ms is not None:
            account.due_ms = now_ms + after_ms
        return SAYS[account.state]

    def advance(self, now_ms: int) -> None:
        """Book the payments whose time has come."""
        for account in self._accounts.values():
            if account.due_ms is not None and account.due_ms <= now_ms:
                account.due_ms = None
                if account.state in {"unpaid", "paying"} or (account.stubborn and account.state == "closed"):
                    self._book(account)

    def next_ms(self) -> int | None:
        """When the next payment is booked."""
        return min((account.due_ms for account in self if account.due_ms is not None), default=None)

    def query(self, order_no: str) -> Reply:
        """How the order stands."""
        account = self._accounts.get(order_no)
        if account is None:
            return Reply("not_found")
        return Reply(SAYS[account.state], account.amount_fen, reason=account.reason)

    def cancel(self, order_no: str) -> Reply:
        """Close what is not paid, give back what is. An order that is not there yet is closed before it comes."""
        account = self._accounts.get(order_no)
        if account is None:
            account = self._accounts[order_no] = Account(order_no, 0, "closed")
        account.cancels += 1
        self.changes += 1
        if account.state == "paying" and self.paying_refuses:
            return Reply("paying", retry=True)
        if account.state == "paid":
            self._give_back(account)
        elif account.state in {"unpaid", "paying"}:
            account.state = "closed"
        return Reply(SAYS[account.state], account.amount_fen, retry=False)

    def refund(self, order_no: str, refund_no: str, amount_fen: int) -> Reply:
        """Give back a paid order, once: under the same number it says again what it did, another one is refused."""
        account = self._accounts.get(order_no)
        if account is None:
            return Reply("not_found", retry=False)
        if account.state == "paid" and amount_fen == account.amount_fen:
            account.refund_no = refund_no
            account.refunds += 1
            self._give_back(account)
        return Reply(SAYS[account.state], account.amount_fen, retry=account.state == "paying")

    def _book(self, account: Account) -> None:
        account.state = "paid"
        account.debits_fen += account.amount_fen
        self.changes += 1

    def _give_back(self, account: Account) -> None:
        account.state = "refunded"
        account.credits_fen += account.amount_fen
        self.changes += 1

    def rows(self) -> list[dict[str, object]]:
        """The books as plain data, for files and for comparing with a journal."""
        return [
            {
                "order_no": account.order_no, "amount_fen": account.amount_fen, "state": account.state,
                "debits_fen": account.debits_fen, "credits_fen": account.credits_fen, "net_debit_fen": account.net_debit_fen,
                "cancels": account.cancels, "refunds": account.refunds, "refund_no": account.refund_no,
            }
            for account in self
        ]
