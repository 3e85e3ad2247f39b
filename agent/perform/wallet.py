"""The core's calls to the wallet gateway, and how each ended, as an event. What is lost here is asked again by its deadline."""

import logging
from collections.abc import Callable

from agent.core.change import AskWallet
from agent.core.event import Event, WalletAnswered
from agent.perform.calls import Calls
from device.errors import WalletUnclear, WalletUnreached
from device.wallet import Answer, Gateway

log = logging.getLogger("reversald.wallet")

CALLS_MAX = 8  # under way at once; one more has not left, and is tried again
ABNORMAL = "account_abnormal"


class WalletLine:
    """Calls on the event loop, each in a task of its own. `tell` is called on the loop."""

    def __init__(self, gateway: Gateway, tell: Callable[[Event], None]) -> None:
        self._gateway = gateway
        self._tell = tell
        self._calls = Calls("wallet", CALLS_MAX)

    def perform(self, effect: AskWallet) -> None:
        """Take an effect of the core's; returns at once."""
        if not self._calls.start(self._ask(effect)):
            self._tell(WalletAnswered(transaction=effect.transaction, number=effect.number, outcome="not_reached"))

    async def stop(self) -> None:
        """End what is under way; the next start asks first what became of it."""
        await self._calls.stop()

    async def _ask(self, effect: AskWallet) -> None:
        try:
            said = await self._called(effect)
        except WalletUnreached as error:
            log.debug("%s", error)
            self._tell(WalletAnswered(transaction=effect.transaction, number=effect.number, outcome="not_reached"))
        except WalletUnclear as error:
            log.warning("%s of an order: %s", effect.call, error)
            self._tell(WalletAnswered(transaction=effect.transaction, number=effect.number, outcome="unknown"))
        else:
            self._tell(
                WalletAnswered(
                    transaction=effect.transaction, number=effect.number, outcome="answered", state=said.state,
                    amount_fen=said.amount_fen, retry=said.retry, abnormal=said.reason == ABNORMAL,
                )
            )

    async def _called(self, effect: AskWallet) -> Answer:
        if effect.call == "query":
            return await self._gateway.query(effect.order_no)
        if effect.call == "cancel":
            return await self._gateway.cancel(effect.order_no)
        assert effect.refund_no is not None, "a refund without its number"
        return await self._gateway.refund(effect.order_no, effect.refund_no, effect.amount_fen)
