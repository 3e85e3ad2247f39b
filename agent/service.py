"""The daemon from its two options to its exit code: its log masks, and what it never needs is not loaded."""

import gc
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent import __version__, exits
from agent.config import Config, ConfigError, file_problems, load
from device import web

LEVELS = ("debug", "info", "warning", "error")
_LONG_DIGITS = re.compile(r"\d{13,19}")


class Options(NamedTuple):
    """What `reversald run` is given. Without a file the defaults run."""

    file: Path | None = None
    log_level: str = "info"


class Masking(logging.Formatter):
    """A last guard: no run of 13 to 19 digits leaves through the log, traces included."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, masked."""
        return _LONG_DIGITS.sub(lambda match: match.group()[:6] + "…" + match.group()[-4:], super().format(record))


def loaded() -> Callable[[Config, str], int]:
    """The daemon with all that it imports. Next to nothing of that becomes garbage, so the collector does not look for any: not
    meanwhile, which would take a twelfth of the start, and not later, when each full search would hold up everybody for 7 ms.
    Only aiohttp leaves some, 0.3 MB of classes that it makes twice: one search among what came with it takes that away.
    """
    gc.disable()
    gc.freeze()
    web.load()
    gc.collect()
    from agent.daemon import serve

    gc.freeze()
    gc.enable()
    return serve


def written_out(words: Sequence[str]) -> Options | None:
    """The options where each is written out with its value, as in a unit file; None for whatever else only click can read."""
    given = dict(zip(words[::2], words[1::2], strict=False))
    file, level = given.get("--config"), given.get("--log-level", Options().log_level)
    if 2 * len(given) != len(words) or not given.keys() <= {"--config", "--log-level"} or level not in LEVELS:
        return None
    return Options(None if file is None else Path(file), level)


def run(options: Options) -> int:
    """Run the agent in the foreground until SIGTERM; the exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
    try:
        config = load(options.file)
        problems = file_problems(config)
        if problems:
            raise ConfigError(tuple(problems))  # noqa: TRY301  (one place tells every mistake)
        for warning in config.warnings:
            logging.getLogger("reversald").warning("%s: %s", warning.key, warning.en)
        return loaded()(config, __version__)
    except ConfigError as error:
        for problem in error.problems:
            print(f"{problem.file}: {problem.key}: {problem.en}", file=sys.stderr)
        return exits.CONFIGURATION
