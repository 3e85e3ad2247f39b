"""What the simulators' commands share: what they say, when they end, and the key that everybody knows."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.base import guess
from agent.cli.texts import say
from agent.keyfile import read_key
from agent.problem import ConfigError
from agent.words import Lang
from device.errors import Explained, TlsUnusable
from device.simulator.script import FaultError

if TYPE_CHECKING:
    import ssl

    from device.acquirer.mac import SoftwareMac

# The key of the public test vectors: whoever gives no key gets this one, and it is worth nothing.
TEST_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


def prepare_output() -> None:
    """Chinese signs can be printed wherever the output goes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def show(text: str) -> None:
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
