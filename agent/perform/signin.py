"""The wish for a sign-in: the host refuses our MAC, and only the payment app may sign in. One call at a time."""

import asyncio
import logging

from device.lent import Lent
from device.payapp import PayappError

log = logging.getLogger("reversald.signin")


class SignIn:
    """Asks the app's port; without one the incident alone tells the cashier. That it is done the app reports by itself."""

    def __init__(self, app: Lent | None) -> None:
        self._app = app
        self._asking: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Ask, unless a call is under way; returns at once."""
        log.warning("the host refuses our MAC: the payment app must sign in")
        if self._app is not None and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask(self._app), name="sign-in")

    async def stop(self) -> None:
        """End a call that is under way; the next refusal asks again."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    @staticmethod
    async def _ask(app: Lent) -> None:
        try:
            await app.sign_in()
        except PayappError as error:
            log.warning("%s", error)
