"""What the core wants from the payment app, asked over the app's own port. What it knows, or a failure, comes back as an event.

Before a reversal is asked for the app is asked what it knows of it: a record that its kernel has lost cannot be flushed.
"""

import logging
import re
from collections.abc import Callable

from agent.core.appevent import AppKnows, AppReported, RequestFailed
from agent.core.change import AskApp, AskReceipt
from agent.core.event import Event, ReceiptAskFailed
from agent.perform.calls import Calls
from device.payapp import Known, Payapp, PayappError

log = logging.getLogger("reversald.payapp")

ASKING_MAX = 8  # calls under way; a person presses a button no faster, and one request for a reversal is open at a time
_CODE = re.compile(r"[0-9A-Z]{2}")
_RRN = re.compile(r"[0-9A-Za-z]{1,12}")
_AUTH = re.compile(r"[0-9A-Za-z]{6}")
FEN_MAX = 999_999_999_999


class PayappLine:
    """Asks on the event loop, each wish in a task of its own. `tell` is called on the loop."""

    def __init__(self, app: Payapp, tell: Callable[[Event], None]) -> None:
        self._app = app
        self._tell = tell
        self._calls = Calls("payapp", ASKING_MAX)

    def perform(self, effect: AskReceipt | AskApp) -> None:
        """Take an effect of the core's; returns at once."""
        if not self._calls.start(self._perform(effect)):
            self._tell(_failure(effect))

    async def stop(self) -> None:
        """End what is under way; what is still open is asked again after the start, or by a person."""
        await self._calls.stop()

    async def _perform(self, effect: AskReceipt | AskApp) -> None:
        try:
            if isinstance(effect, AskReceipt):
                await self._app.ask_receipt(effect.stan, effect.batch)
            else:
                await self._ask(effect)
        except PayappError as error:
            log.warning("%s", error)
            self._tell(_failure(effect))

    async def _ask(self, effect: AskApp) -> None:
        known = await self._app.transaction(effect.stan, effect.batch)
        if known is not None:
            self._tell(_knowledge(effect, known))
        if effect.what == "transaction":
            if known is None:
                self._tell(_failure(effect))
            return
        if known is not None and (known.record == "gone" or known.state == "unknown" or known.reversal == "accepted"):
            return  # there is nothing left to flush
        ask = self._app.flush_reversals if effect.what == "flush_reversals" else self._app.balance_inquiry
        taken = await ask(effect.request, effect.stan, effect.batch)
        if taken != "taken":
            self._tell(AppReported(transaction=effect.transaction, outcome=taken, request=effect.request))


def _failure(effect: AskReceipt | AskApp) -> Event:
    if isinstance(effect, AskReceipt):
        return ReceiptAskFailed(transaction=effect.transaction)
    return RequestFailed(transaction=effect.transaction, request=effect.request)


def _knowledge(effect: AskApp, known: Known) -> AppKnows:
    """Its words in the shapes of the local API. Raises PayappError for what those would refuse: it may hold card data."""
    shaped = (
        _fits(_CODE, known.response_code) and _fits(_CODE, known.reversal_code) and _fits(_RRN, known.rrn)
        and _fits(_AUTH, known.auth_code) and (known.approved_fen is None or 0 < known.approved_fen <= FEN_MAX)
        and (known.reversal != "accepted" or known.reversal_code is not None)
    )  # fmt: skip
    if not shaped:
        raise PayappError("the payment app answered with fields that are out of range")
    return AppKnows(
        transaction=effect.transaction, request=effect.request, outcome=known.state, response_code=known.response_code,
        approved_fen=known.approved_fen, rrn=known.rrn, auth_code=known.auth_code, record=known.record,
        reversal=known.reversal, reversal_code=known.reversal_code,
    )


def _fits(pattern: re.Pattern[str], text: str | None) -> bool:
    return text is None or pattern.fullmatch(text) is not None
