"""A till that takes wallets: the small world of the core, with a gateway whose answers the test gives."""

from collections.abc import Iterator
from typing import Any

from agent.core import event as e
from agent.core.change import AskWallet, Decision
from agent.core.order import Order
from agent.core.wallets import DEFAULTS
from tests.agent.core.world import SECOND, World

ORDER_NO = "20260302100000000001"


class Till(World):
    """One wallet order unless the test opens more; `gateway` is what it says, by default nothing at all."""

    def __init__(self, wallet: str = "wechat", **policy: Any) -> None:
        super().__init__(**{"wallets": DEFAULTS} | policy)
        self.wallet = wallet
        self.seen = 0

    def scan(self, key: str = "a", *, stan: str = "000001", ask: bool = True, **more: Any) -> Decision:
        """The payment app opens an order of 1.00."""
        order_no = f"{ORDER_NO}{stan}"
        values: dict[str, Any] = {
            "rail": "bestpay" if self.wallet == "bestpay" else "wallet", "wallet": self.wallet, "order_no": order_no,
            "last4": order_no[-4:], "masked_pan": None, "card_hmac": None, "vault": None, "entry_mode": None, "sequence": None,
        }
        return self.open(key, stan=stan, ask=ask, **values | more)

    def lose(self, key: str = "a", **more: Any) -> AskWallet:
        """An order whose result the app never heard; the query that follows."""
        self.scan(key, **more)
        self.result("no_answer", key)
        return self.asked()

    def order(self, key: str = "a") -> Order:
        """The order."""
        found = self.transaction(key).order
        assert found is not None
        return found

    def calls(self) -> list[AskWallet]:
        """Every call that was asked for."""
        return [effect for effect in self.effects if isinstance(effect, AskWallet)]

    def asked(self) -> AskWallet:
        """The call that was asked for last, which nobody has looked at yet."""
        calls = self.calls()
        assert len(calls) == self.seen + 1, f"{len(calls) - self.seen} new calls"
        self.seen = len(calls)
        return calls[-1]

    def says(self, state: str, key: str = "a", **more: Any) -> None:
        """The gateway answers the call under way."""
        values: dict[str, Any] = {"amount_fen": 100 if state == "paid" else None} | more
        self.do(
            e.WalletAnswered(
                transaction=key, number=self.order(key).calls, outcome="answered", state=state, **values,  # type: ignore[arg-type]
            )
        )

    def fails(self, outcome: str, key: str = "a") -> None:
        """The call under way ends without an answer: unknown, or not_reached."""
        self.do(e.WalletAnswered(transaction=key, number=self.order(key).calls, outcome=outcome))  # type: ignore[arg-type]

    def keep_saying(self, state: str, until_ms: int, *, also: dict[str, str] | None = None) -> Iterator[AskWallet]:
        """Answer every call at once with `state` (or what `also` has for its kind), until then."""
        while True:
            while len(self.calls()) > self.seen:
                self.seen += 1
                call = self.calls()[self.seen - 1]
                yield call
                if self.order(call.transaction).call is not None:
                    self.says((also or {}).get(call.call, state), call.transaction)
            if self.next_deadline_ms is None or self.next_deadline_ms > until_ms:
                self.at(until_ms)
                return
            self.go_to(self.next_deadline_ms)

    def kinds(self, state: str, until_ms: int, **also: str) -> list[tuple[int, str]]:
        """(second, kind) of the calls until then, each answered with `state` or what is given for its kind."""
        return [(self.now_ms // SECOND, call.call) for call in self.keep_saying(state, until_ms, also=also)]

    def word(self, key: str = "a") -> tuple[str, str, bool, bool]:
        """(state, code, hold_goods, may_pay_again)."""
        advice = self.advice(key)
        return self.transaction(key).state, advice.code, advice.hold_goods, advice.may_pay_again
