"""`reversald-fleet`: the operator's command line. One sentence for every error, and an exit code that says its kind."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click

from agent.envelope import MAX_FLEET, MAX_SN, Channel, EnvelopeError, topic_filter
from fleet import ingest, watch
from fleet.address import parse
from fleet.errors import FleetError
from fleet.link import Link
from fleet.sqlite import SqliteStore
from fleet.words import Lang

USAGE: Final = 64
SESSION_KEPT_S: Final = 7 * 86_400  # how long the broker collects for `serve` while it is away

_NOTES: Final = """
\b
Exit codes: 0 done · 64 the command line is wrong · 69 the broker cannot be
reached or refuses us · 74 the database failed.
"""


def _broker_options(command: Callable[..., None]) -> Callable[..., None]:
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


@click.group(epilog=_NOTES)
def cli() -> None:
    """The operator's side of reversald: what the terminals of a fleet report over MQTT."""


@cli.command("serve", epilog="""
\b
Examples:
  reversald-fleet serve --broker mqtt://127.0.0.1 --database fleet.db
  reversald-fleet serve --broker mqtts://mq.example.com --ca ca.pem \\
      --cert fleet.pem --key fleet.key --database /var/lib/reversald/fleet.db
""" + _NOTES)  # fmt: skip
@_broker_options
@click.option("--database", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="SQLite file; made when missing.")  # fmt: skip
@click.option("--client-id", default="reversald-fleet", show_default=True, metavar="ID",
              help="Our name at the broker, which collects for it for 7 days. One process for each name.")  # fmt: skip
def serve(
    broker: str, ca: Path | None, cert: Path | None, key: Path | None, fleet: str | None, give_up: float | None,
    retry: float, database: Path, client_id: str,
) -> None:  # fmt: skip
    """Keep every event once, in a database.

    An event is acknowledged to its terminal once it is on disk; a terminal with `ack = "fleet"` sends it again until
    then. May be killed at any moment.
    """
    address, topics = parse(broker, ca, cert, key), _topics(ingest.CHANNELS, fleet, None)
    store = SqliteStore(database)
    link = Link(address, client_id, topics, _say, keep_s=SESSION_KEPT_S, give_up_s=give_up, retry_s=retry)
    work = ingest.Ingest(link, store, _say)
    try:
        with _until_told(link) as told:
            while not told:
                work.step(None)
    finally:
        link.close()
        store.close()
    _say(f"{work.events} events of {len(work.terminals)} terminals taken in")


@cli.command("watch", epilog="""
\b
Examples:
  reversald-fleet watch --broker mqtt://127.0.0.1
  reversald-fleet watch --broker mqtt://127.0.0.1 --fleet demo --sn T0000001 --lang zh
  reversald-fleet watch --broker mqtt://127.0.0.1 --json | jq 'select(.type)'
""" + _NOTES)  # fmt: skip
@_broker_options
@click.option("--sn", metavar="S", help=f"Only this terminal (at most {MAX_SN} characters).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, as it travelled.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default=lambda: _lang(), help="Language of the lines.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many lines.")
def watch_command(
    broker: str, ca: Path | None, cert: Path | None, key: Path | None, fleet: str | None, give_up: float | None,
    retry: float, sn: str | None, as_json: bool, lang: Lang, count: int | None,
) -> None:  # fmt: skip
    """Print each event as one line, as it comes. Keeps nothing."""
    address, topics = parse(broker, ca, cert, key), _topics(watch.CHANNELS, fleet, sn)
    link = Link(address, f"watch-{uuid4().hex[:12]}", topics, _say, give_up_s=give_up, retry_s=retry)
    work = watch.Watch(link, _show, _say, lang, as_json)
    try:
        with _until_told(link) as told:
            while not told and work.shown != count:
                work.step(None)
    finally:
        link.close()


@contextmanager
def _until_told(link: Link) -> Iterator[list[int]]:
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


def _topics(channels: Sequence[Channel], fleet: str | None, sn: str | None) -> list[str]:
    try:
        return [topic_filter(fleet, sn, channel) for channel in channels]
    except EnvelopeError as error:
        raise click.UsageError(f"--fleet or --sn: {error}") from None


def _lang() -> str:
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if spoken.startswith("zh") else "en"


def _say(line: str) -> None:
    click.echo(line, err=True)


def _show(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # whoever read our lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        done: Any = cli.main(arguments, prog_name="reversald-fleet", standalone_mode=False)
    except FleetError as error:
        click.echo(f"reversald-fleet: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except click.Abort:
        return 0
    return done if isinstance(done, int) else 0


if __name__ == "__main__":
    main()
