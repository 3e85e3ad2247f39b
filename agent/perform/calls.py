"""Calls that are under way on the event loop, each a task of its own: so many at once, and ended together."""

import asyncio
from collections.abc import Coroutine


class Calls:
    """At most `limit` at once. What a call has to say it says itself; nobody waits for it."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Coroutine[None, None, None]) -> bool:
        """Begin one; False when there is no room, and then nothing of it has left."""
        if len(self._tasks) >= self._limit:
            call.close()
            return False
        task = asyncio.get_running_loop().create_task(call, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def stop(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
