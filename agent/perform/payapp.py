"""What the core wants from the payment app, asked over the app's own port. A failure goes back to the core as an event."""

import asyncio
import logging
from collections.abc import Callable

from agent.core.change import AskReceipt
from agent.core.event import Event, ReceiptAskFailed
from device.payapp import Payapp, PayappError

log = logging.getLogger("reversald.payapp")

ASKING_MAX = 8  # calls under way; a person presses a button no faster


class PayappLine:
    """Asks on the event loop, each wish in a task of its own. `tell` is called on the loop."""

    def __init__(self, app: Payapp, tell: Callable[[Event], None]) -> None:
        self._app = app
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    def perform(self, effect: AskReceipt) -> None:
        """Take an effect of the core's; returns at once."""
        if len(self._tasks) >= ASKING_MAX:
            self._tell(ReceiptAskFailed(transaction=effect.transaction))
            return
        task = asyncio.get_running_loop().create_task(self._ask(effect), name="payapp")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what is under way; a wish that was not heard is asked again by a person."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, effect: AskReceipt) -> None:
        try:
            await self._app.ask_receipt(effect.stan, effect.batch)
        except PayappError as error:
            log.warning("%s", error)
            self._tell(ReceiptAskFailed(transaction=effect.transaction))
