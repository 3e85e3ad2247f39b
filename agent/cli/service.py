"""`reversald run`: the daemon itself."""

import gc
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from agent import __version__, exits
from agent.config import Config, ConfigError, file_problems, load
from device import web

_LONG_DIGITS = re.compile(r"\d{13,19}")


class Masking(logging.Formatter):
    """A last guard: no run of 13 to 19 digits leaves through the log, traces included."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, masked."""
        return _LONG_DIGITS.sub(lambda match: match.group()[:6] + "…" + match.group()[-4:], super().format(record))


def loaded() -> Callable[[Config, str], int]:
    """The daemon with all that it imports. Next to nothing of that becomes garbage, so the collector does not look for any: not
    meanwhile, which would take a twelfth of the start, and not later, when each full search would hold up everybody for 7 ms.
    """
    gc.disable()
    web.load()
    from agent.daemon import serve

    gc.freeze()
    gc.enable()
    return serve


@click.command(epilog="Example: reversald run --config /etc/reversald/reversald.toml")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Configuration file; without one the defaults run.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True)
def run(file: Path | None, log_level: str) -> None:
    """Run the agent in the foreground until SIGTERM."""
    handler = logging.StreamHandler()
    handler.setFormatter(Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=log_level.upper(), handlers=[handler])
    try:
        config = load(file)
        problems = file_problems(config)
        if problems:
            raise ConfigError(tuple(problems))  # noqa: TRY301  (one place tells every mistake)
        for warning in config.warnings:
            logging.getLogger("reversald").warning("%s: %s", warning.key, warning.en)
        code = loaded()(config, __version__)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"{problem.file}: {problem.key}: {problem.en}", err=True)
        code = exits.CONFIGURATION
    sys.exit(code)
