"""Waiting in an async test for what has no event of its own."""

import asyncio
from collections.abc import Callable

PATIENCE_S = 60.0  # of every test with what it waits for: a machine may stand still for long, and only a defect waits in vain


async def until(holds: Callable[[], object]) -> None:
    """Until it is so; TimeoutError when it never is."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  (it looks into objects that have no event to wait for)
            await asyncio.sleep(0.005)
