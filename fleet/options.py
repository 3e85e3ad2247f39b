"""What the operator's commands share: how the broker is named, how they end, in which language they speak."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from agent.envelope import MAX_FLEET, Channel, EnvelopeError, topic_filter
from fleet.link import Link
from fleet.words import Lang

NOTES: Final = """
\b
Exit codes: 0 done · 64 the command line is wrong · 69 the broker cannot be
reached or refuses us · 74 the database failed. For commands also: 1 a
terminal refused · 75 a terminal did not answer in time.
"""


def broker_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the broker is and how long to try."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in reversed([
        click.option("--broker", required=True, envvar="REVERSALD_BROKER", metavar="URL",
                     help="mqtt://host:1883, or mqtts://host:8883 for TLS. [env: REVERSALD_BROKER]"),
        click.option("--ca", type=file, help="PEM file of the authority that signed the broker's certificate."),
        click.option("--cert", type=file, help="Our own certificate (PEM), for mutual TLS."),
        click.option("--key", type=file, help="Its key (PEM, without a password)."),
        click.option("--fleet", metavar="F", help=f"Only this fleet (at most {MAX_FLEET} characters)."),
        click.option("--give-up", type=click.FloatRange(min=0), metavar="SECONDS",
                     help="End with 69 when the broker was out of reach for so long. Without it: try for ever."),
        click.option("--retry", type=click.FloatRange(min=0.1), default=30.0, show_default=True, metavar="SECONDS",
                     help="Longest wait between two attempts to reach the broker."),
    ]):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def until_told(link: Link) -> Iterator[list[int]]:
    """Starts the link; the list that it gives is no longer empty once SIGINT or SIGTERM came."""
    told: list[int] = []

    def tell(number: int, _frame: object) -> None:
        told.append(number)
        link.wake()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    link.start()
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def channel_topics(channels: Sequence[Channel], fleet: str | None, sn: str | None) -> list[str]:
    """The subscriptions for these channels. Raises UsageError."""
    try:
        return [topic_filter(fleet, sn, channel) for channel in channels]
    except EnvelopeError as error:
        raise click.UsageError(f"--fleet or --sn: {error}") from None


def spoken() -> Lang:
    """The language of the person's environment."""
    said = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if said.startswith("zh") else "en"


def say(line: str) -> None:
    """Progress, to standard error."""
    click.echo(line, err=True)


def show(line: str) -> None:
    """What was asked for, to standard output."""
    try:
        print(line, flush=True)
    except BrokenPipeError:  # whoever read our lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None
