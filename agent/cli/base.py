"""What every command shares: its options, its language, the journal it opens, and errors that are one clear line."""

import functools
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from agent import exits
from agent.cli.texts import say
from agent.config import Config, ConfigError, load
from agent.core.model import Agent, Stamp, Transaction
from agent.incident import printable
from agent.words import Lang, duration
from device.clock import Reading, SystemClock

if TYPE_CHECKING:
    from agent.journal.reader import Reader

DEFAULT_FILE = "reversald.toml"
NAMED_MAX = 10  # damaged rows in one line for a person; JSON has more of them

_EXITS = {"missing": exits.UNAVAILABLE, "changing": exits.TRY_LATER}


class Failure(Exception):
    """The command cannot do it. `message` is for a person, one line (a configuration has one per mistake)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Surroundings(NamedTuple):
    """What a command takes from outside: the clocks."""

    clock: Callable[[], Reading]


class Call(NamedTuple):
    """One call of a command: settings, language, whether JSON is wanted, and what time it is."""

    config: Config
    lang: Lang
    as_json: bool
    now: Reading

    def say(self, key: str, **values: object) -> str:
        """A text in the language of this call."""
        return say(key, self.lang, **values)

    def fail(self, code: int, key: str, **values: object) -> Failure:
        """The error to raise, with its text in the language of this call."""
        return Failure(code, self.say(key, **values))

    @contextmanager
    def journal(self, *, lenient: bool = False) -> "Iterator[Reader]":
        """The journal of this configuration, read-only, also with the daemon dead. `lenient`: see `Reader`, and `own_up`."""
        from agent.journal.reader import Reader  # `run` writes one: what only reads is not loaded with it
        from agent.journal.readonly import Unreadable

        try:
            with Reader.open(self.config.storage.path, lenient=lenient) as reader:
                yield reader
        except Unreadable as error:
            code = _EXITS.get(error.why, exits.STORAGE)
            raise self.fail(code, error.why, path=error.path, detail=error.detail) from None

    def own_up(self, reader: "Reader") -> None:
        """At the end, when all is shown: Failure when rows among it are damaged."""
        if reader.damaged:
            raise self.fail(exits.STORAGE, "rows_damaged", rows=named(reader), path=self.config.storage.path)

    def one(self, reader: "Reader", text: str) -> list[Transaction]:
        """The transactions that a person means by `text`; at least one, or Failure."""
        if text.isdigit() and len(text) >= 13:
            raise self.fail(exits.USAGE, "looks_like_card")
        found = reader.find(text)
        if not found:
            reader.survey()  # it is found by its columns, and a bit may have flipped there
            if reader.damaged:
                raise self.fail(exits.STORAGE, "damaged", path=self.config.storage.path, detail=named(reader))
            raise self.fail(exits.USAGE, "no_match", text=printable(text))
        return found

    def age(self, stamp: Stamp, agent: Agent) -> int | None:
        """How long ago, in ms; None when neither clock can tell."""
        if agent.boot_id == self.now.boot_id and stamp.boot == agent.boots:
            return self.now.boottime_ms - stamp.mono_ms
        if stamp.wall_ms is None or self.now.wall_ms is None:
            return None
        return self.now.wall_ms - stamp.wall_ms

    def span(self, elapsed_ms: int | None) -> str:
        """A time span for people."""
        return self.say("age_unknown") if elapsed_ms is None else duration(elapsed_ms, self.lang)


def named(reader: "Reader") -> str:
    """The damaged rows in one line: at most NAMED_MAX of them."""
    shown = [printable(name) for name in reader.damaged[:NAMED_MAX]]
    return ", ".join([*shown, "…"] if len(reader.damaged) > NAMED_MAX else shown)


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command --config, --lang and --json; it is called with a Call first."""

    @functools.wraps(function)
    def wrapped(config_file: str | None, lang: Lang | None, as_json: bool, **rest: Any) -> None:
        config = configuration(config_file, lang)
        surroundings = click.get_current_context().find_object(Surroundings) or Surroundings(SystemClock().read)
        function(Call(config, lang or config.terminal.lang, as_json, surroundings.clock()), **rest)

    for option in reversed(_COMMON):
        wrapped = option(wrapped)
    return wrapped


_COMMON = (
    click.option("--config", "config_file", metavar="FILE", help=f"Configuration; else ./{DEFAULT_FILE}, else the defaults."),
    click.option("--lang", type=click.Choice(["zh", "en"]), help="Language; the configuration's own by default."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
)


def configuration(file: str | None, lang: Lang | None) -> Config:
    """The settings, or Failure with a line for each mistake."""
    if file is None and Path(DEFAULT_FILE).exists():
        file = DEFAULT_FILE
    try:
        return load(file)
    except ConfigError as error:
        lines = [problem.line(lang or guess()) for problem in error.problems]
        raise Failure(exits.CONFIGURATION, "\nreversald: ".join(lines)) from None


def guess() -> Lang:
    """The language when nothing says it: the environment's, and Chinese where that is silent."""
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return "zh" if not locale or locale.startswith(("zh", "C", "POSIX")) else "en"


def emit(value: object) -> None:
    """One JSON value on a line of its own, in UTF-8 whatever the terminal's encoding."""
    click.echo(msgspec.json.encode(value))


def width(text: str) -> int:
    """How many columns a text takes on a screen: Han characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def pad(text: str, columns: int) -> str:
    """The text, filled up with spaces to so many columns."""
    return text + " " * max(0, columns - width(text))


def facts(pairs: Iterable[tuple[str, str]], indent: str = "") -> None:
    """Lines of label and value, the values below each other. An empty label goes on with the last one."""
    listed = list(pairs)
    columns = max(width(label) for label, _ in listed) + 2
    for label, value in listed:
        click.echo(f"{indent}{pad(label, columns)}{value}".rstrip())
