"""`reversald run`: the daemon itself."""

import sys
from pathlib import Path

import click

from agent import service


@click.command(epilog="Example: reversald run --config /etc/reversald/reversald.toml")
@click.option(
    "--config", "file", type=click.Path(path_type=Path, readable=False),
    help="Configuration file; without one the defaults run.",
)
@click.option("--log-level", type=click.Choice(service.LEVELS), default="info", show_default=True)
def run(file: Path | None, log_level: str) -> None:
    """Run the agent in the foreground until SIGTERM."""
    sys.exit(service.run(service.Options(file, log_level)))
