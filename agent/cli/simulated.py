"""What the simulators' commands share: what they say, when they end, and the key that everybody knows."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.acquirer.mac import SoftwareMac

# The key of the public test vectors: whoever gives no key gets this one, and it is worth nothing.
TEST_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


def prepare_output() -> None:
    """Chinese signs can be printed wherever the output goes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(text: str) -> None:
    """A line of the log. When nobody reads it any more, the simulator goes on without it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ended() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C."""
    event = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


def software_mac(algorithm: str, key_file: Path | None) -> "SoftwareMac":
    """MACs over the key in the file, or over the public one. Raises MacError."""
    from device.acquirer.mac import SoftwareMac, load_key  # cryptography: the simulated printer and wallet do without

    if key_file is None:
        return SoftwareMac(algorithm, TEST_KEY[:8] if algorithm == "x9.9" else TEST_KEY)
    return SoftwareMac(algorithm, load_key(key_file))
