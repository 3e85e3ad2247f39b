"""What the simulators' commands share: how they begin, what they say, when they end, and the key that everybody knows."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from agent import exits
from agent.cli.base import Failure, guess
from agent.cli.texts import say
from agent.keyfile import read_key
from agent.problem import ConfigError
from agent.words import Lang
from device.errors import DeviceError, Explained, TlsUnusable
from device.simulator.script import FaultError

if TYPE_CHECKING:
    import ssl

    from device.acquirer.mac import SoftwareMac

T = TypeVar("T")

# The key of the public test vectors: whoever gives no key gets this one, and it is worth nothing.
TEST_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


def play(serve: Callable[[asyncio.Event], Coroutine[Any, Any, None]], text: str, lang: Lang) -> None:
    """Play until SIGTERM or Ctrl-C, which set the event that `serve` waits for.

    Raises Failure with the words under the key `text`: for an address that is none, or for what the machine does not give.
    """
    for stream in (sys.stdout, sys.stderr):  # Chinese signs can be printed wherever the output goes
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        asyncio.run(_until_ended(serve))
    except (Explained, DeviceError, OSError, UnicodeError) as error:  # the last for a host's name that is none
        code = exits.USAGE if isinstance(error, ValueError) else exits.UNAVAILABLE
        raise Failure(code, say(text, lang, detail=told(error, lang))) from None


async def _until_ended(serve: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await serve(ended)


def show(text: str) -> None:
    """A line of the log. When nobody reads it any more, the simulator goes on without it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def teller(readable: Callable[[T], str], *, as_json: bool) -> Callable[[T], None]:
    """Shows what happens: as it is read by a person, or as one JSON object a line."""
    return lambda event: show(msgspec.json.encode(event).decode() if as_json else readable(event))


def ready(text: str, event: dict[str, object], lang: Lang) -> str:
    """The words under the key `text` on where a device on a pseudo terminal is found, and its link and orders."""
    more = "".join(f", {name} {event[name]}" for name in ("link", "control") if name in event)
    return say(text, lang, port=event["port"], more=more)


def software_mac(algorithm: str, key_file: Path | None) -> "SoftwareMac":
    """MACs over the key in the file, or over the public one. Raises ConfigError."""
    from device.acquirer.mac import KEY_BYTES, SoftwareMac  # cryptography: the simulated printer and wallet do without

    if key_file is None:
        return SoftwareMac(algorithm, TEST_KEY[:8] if algorithm == "x9.9" else TEST_KEY)
    return SoftwareMac(algorithm, read_key(key_file, KEY_BYTES[algorithm], "--key-file"))


language = click.option(
    "--lang", type=click.Choice(["zh", "en"]), default=guess, help="Language of what it says; the environment's by default."
)


def told(error: Exception, lang: Lang) -> str:
    """An error in this language, as far as it has words of its own in it: what the system says stays as it is."""
    if isinstance(error, ConfigError):
        return "\nreversald: ".join(problem.line(lang) for problem in error.problems)
    return error.zh if isinstance(error, Explained) and lang == "zh" else str(error)


def pairs(texts: Iterable[str], form: str, example: str) -> list[tuple[str, str]]:
    """Options like 0400=drop-reply, taken apart. Raises FaultError."""
    found = []
    for text in texts:
        what, equals, fault = text.partition("=")
        if not equals:
            en, zh = (say("sim_pair", lang, text=text, form=form, example=example) for lang in ("en", "zh"))
            raise FaultError(en, zh)
        found.append((what.strip(), fault))
    return found


def server_tls(cert: Path | None, key: Path | None, ca: Path | None, lang: Lang) -> "ssl.SSLContext | None":
    """TLS as a simulated server speaks it; with `ca` clients need a certificate, too. Raises UsageError."""
    if cert is None:
        if key or ca:
            raise click.UsageError(say("sim_needs_cert", lang, option="--tls-key" if key else "--tls-ca"))
        return None
    from device.acquirer.link import server_tls_context  # the simulated printer and display do without

    try:
        return server_tls_context(cert, key, ca)
    except TlsUnusable as error:
        files = ", ".join(map(str, error.files))
        raise click.UsageError(say("sim_tls", lang, files=files, reason=error.reason)) from None
