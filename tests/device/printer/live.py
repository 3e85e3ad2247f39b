"""A simulated printer on a real wire, in a thread of its own, for drivers that block."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from device.printer.profile import PrinterProfile, load_profile
from device.simulator.printer_serve import Options, serve


class LivePrinter:
    """Where it is, what it printed, and a hand to do things to it."""

    def __init__(self, options: Options) -> None:
        self.port = ""
        self.events: list[dict[str, object]] = []
        self._options = options
        self._ready = threading.Event()
        self._slips = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="simulated printer")

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def order(self, **order: object) -> dict[str, object]:
        """Carry out one order; how the printer is after it."""
        assert self._options.control is not None
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(self._options.control))
            line.sendall(msgspec.json.encode(order) + b"\n")
            answer: dict[str, object] = msgspec.json.decode(line.makefile("rb").readline())
        assert answer["ok"], answer
        return answer

    def texts(self) -> str:
        """Everything on slips that are finished."""
        return "".join(str(event["text"]) for event in self.events if event["event"] == "slip")

    def wait_for(self, text: str) -> None:
        """Until it is on a finished slip."""
        with self._slips:
            assert self._slips.wait_for(lambda: text in self.texts(), 30), self.events

    def _tell(self, event: dict[str, object]) -> None:
        with self._slips:
            self.events.append(event)
            self._slips.notify_all()
        if event["event"] == "ready":
            self.port = str(event["port"])
            self._ready.set()

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again by `start`
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._options, self._tell, self._stop)


@contextlib.contextmanager
def live_printer(folder: Path, profile: str | PrinterProfile = "generic-58mm", **options: object) -> Iterator[LivePrinter]:
    """A printer that runs while the block does."""
    chosen = load_profile(profile) if isinstance(profile, str) else profile
    settings: dict[str, object] = {"lines_per_s": 1000.0, "slip_idle_ms": 200, "control": folder / "control", "pictures": False}
    settings |= options
    printer = LivePrinter(msgspec.convert({"profile": chosen, **settings}, Options))
    printer.start()
    try:
        yield printer
    finally:
        printer.stop()


