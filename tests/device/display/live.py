"""A simulated pole display on a real pseudo terminal, in a thread of its own, for drivers that block."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from device.simulator.display import Options, Pole
from tests.support.app import until


class LivePole:
    """Where it is, what a person would read on it, and a hand to do things to it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.port = str(folder / "pole")
        self._options = Options(link=folder / "pole", **options)
        self._loop = asyncio.new_event_loop()
        self._pole: Pole | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated display")

    def start(self) -> None:
        self._thread.start()
        self._run(self._begin())

    def stop(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _begin(self) -> None:
        self._pole = Pole(self._options, lambda _event: None)
        self._pole.plug()

    async def _end(self) -> None:
        assert self._pole is not None
        self._pole.stop()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def order(self, do: str) -> dict[str, Any]:
        """Carry one order out; how it is after it."""

        async def obey() -> dict[str, Any]:
            assert self._pole is not None
            return self._pole.order(msgspec.json.encode({"do": do}))

        found: dict[str, Any] = self._run(obey())
        return found

    def lines(self) -> tuple[str, str]:
        """What a person reads now."""
        state = self.order("state")
        return state["upper"], state["lower"]

    def wait_for(self, upper: str, lower: str) -> None:
        """Until this is what a person reads."""
        until(lambda: self.lines() == (upper, lower))


@contextlib.contextmanager
def live_pole(folder: Path, **options: Any) -> Iterator[LivePole]:
    """A display that is plugged in."""
    pole = LivePole(folder, **options)
    pole.start()
    try:
        yield pole
    finally:
        pole.stop()
