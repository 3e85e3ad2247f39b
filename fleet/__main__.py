"""`reversald-fleet`: the operator's command line. One sentence for every error, and an exit code that says its kind."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click

from agent.completionscript import SHELLS, script
from agent.envelope import MAX_SN
from fleet import commanding, ingest, watch
from fleet.address import parse
from fleet.errors import FleetError
from fleet.link import Link
from fleet.options import NOTES, broker_options, channel_topics, say, show, spoken, until_told
from fleet.sqlite import SqliteStore
from fleet.words import Lang

USAGE: Final = 64
SESSION_KEPT_S: Final = 7 * 86_400  # how long the broker collects for `serve` while it is away

@click.group(epilog=NOTES)
def cli() -> None:
    """The operator's side of reversald: what the terminals of a fleet report over MQTT."""


@cli.command("serve", epilog="""
\b
Examples:
  reversald-fleet serve --broker mqtt://127.0.0.1 --database fleet.db
  reversald-fleet serve --broker mqtts://mq.example.com --ca ca.pem \\
      --cert fleet.pem --key fleet.key --database /var/lib/reversald/fleet.db
""" + NOTES)  # fmt: skip
@broker_options
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
    address, topics = parse(broker, ca, cert, key), channel_topics(ingest.CHANNELS, fleet, None)
    store = SqliteStore(database)
    link = Link(address, client_id, topics, say, keep_s=SESSION_KEPT_S, give_up_s=give_up, retry_s=retry)
    work = ingest.Ingest(link, store, say)
    try:
        with until_told(link) as told:
            while not told:
                work.step(None)
    finally:
        link.close()
        store.close()
    say(f"{work.events} events of {len(work.terminals)} terminals taken in")


@cli.command("watch", epilog="""
\b
Examples:
  reversald-fleet watch --broker mqtt://127.0.0.1
  reversald-fleet watch --broker mqtt://127.0.0.1 --fleet demo --sn T0000001 --lang zh
  reversald-fleet watch --broker mqtt://127.0.0.1 --json | jq 'select(.type)'
""" + NOTES)  # fmt: skip
@broker_options
@click.option("--sn", metavar="S", help=f"Only this terminal (at most {MAX_SN} characters).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, as it travelled.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default=spoken, help="Language of the lines.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many lines.")
def watch_command(
    broker: str, ca: Path | None, cert: Path | None, key: Path | None, fleet: str | None, give_up: float | None,
    retry: float, sn: str | None, as_json: bool, lang: Lang, count: int | None,
) -> None:  # fmt: skip
    """Print each event as one line, as it comes. Keeps nothing."""
    address, topics = parse(broker, ca, cert, key), channel_topics(watch.CHANNELS, fleet, sn)
    link = Link(address, f"watch-{uuid4().hex[:12]}", topics, say, give_up_s=give_up, retry_s=retry)
    work = watch.Watch(link, show, say, lang, as_json)
    try:
        with until_told(link) as told:
            while not told and work.shown != count:
                work.step(None)
    finally:
        link.close()


@cli.command("completion", epilog="""
\b
Examples:
  reversald-fleet completion bash > /etc/bash_completion.d/reversald-fleet
  reversald-fleet completion zsh > "${fpath[1]}/_reversald-fleet"
  reversald-fleet completion fish > ~/.config/fish/completions/reversald-fleet.fish
""" + NOTES)  # fmt: skip
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for your shell: bash, zsh or fish."""
    show(script(cli, "reversald-fleet", shell))


for group in (commanding.command, commanding.settle, commanding.replay, commanding.key):
    cli.add_command(group)


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
