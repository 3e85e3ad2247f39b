"""From a TOML file to frozen settings: every mistake is found and named with its key, not only the first.

With no file the embedded defaults of `agent.settings` run. A section that may be left out is then off (None). What the file
does not say and the acquirer's profile does (timers, MAC, envelope) is the profile's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent import holidays, profile, settings, walletrules
from agent.keyfile import ensure_key, read_key
from agent.problem import ConfigError, Problem
from agent.reading import Reading, document
from agent.rules import Finding, file_problems, mistakes, warnings
from agent.settings import Config

__all__ = ["Config", "ConfigError", "Problem", "ensure_key", "file_problems", "load", "read_key"]


def load(path: str | Path | None) -> Config:
    """The settings in the file `path`, or the embedded defaults (paths relative to the working folder) for None.

    Raises ConfigError with every mistake that can be seen in the values, in the acquirer's profile and in the merchant's
    own texts. The other files that the settings name are looked at by `file_problems`, since a technician may read settings
    without being allowed to read keys.
    """
    file = None if path is None else Path(path).absolute()
    name = "" if path is None else str(path)
    base = Path.cwd() if file is None else file.parent
    written = {} if file is None else document(file, name)
    reading = Reading(name, lambda value, key: _absolute(base, value, key))
    config = _config(reading, written, file)
    problems = list(reading.problems)
    if file is not None and "acquirer.profile" not in reading.bad:
        try:
            config = _with_profile(config, profile.load(config.acquirer.profile, base, name))
        except ConfigError as error:
            problems.extend(error.problems)
    if config.terminal.texts:
        from agent import wording

        try:
            config = msgspec.structs.replace(config, wording=wording.load(config.terminal.texts, base, name))
        except ConfigError as error:
            problems.extend(error.problems)
    if config.wallet is not None and config.wallet.rules is not None:
        try:
            config = msgspec.structs.replace(config, wallets=walletrules.load(config.wallet.rules))
        except ConfigError as error:
            problems.extend(error.problems)
    if config.settlement is not None and config.settlement.calendar is not None:
        try:
            config = msgspec.structs.replace(config, calendar=holidays.load(config.settlement.calendar))
        except ConfigError as error:
            problems.extend(error.problems)
    problems += _named(name, mistakes(config), reading.bad)
    if problems:
        raise ConfigError(tuple(problems))
    return msgspec.structs.replace(config, warnings=tuple(_named(name, warnings(config), set())))


def _named(file: str, findings: list[Finding], bad: set[str]) -> list[Problem]:
    """The findings as problems of this file; one that rests on a key already reported is left out."""
    return [
        Problem(file=file, key=finding.keys[0], en=finding.en, zh=finding.zh)
        for finding in findings
        if bad.isdisjoint(finding.keys)
    ]


def _config(reading: Reading, written: Mapping[str, Any], file: Path | None) -> Config:
    """The settings, with the default in place of every value that is wrong."""
    sections = settings.ALWAYS | settings.OPTIONAL
    for unknown in (name for name in written if name not in sections):
        reading.unknown(unknown, unknown, sections, ("section", "节"))
    made: dict[str, Any] = {}
    keys: set[str] = set()
    for name, kind in sections.items():
        if name not in written and name in settings.OPTIONAL:
            continue
        table = reading.table(written, name)
        if table is None:
            continue
        if name in written:
            keys.update((name, *(f"{name}.{key}" for key in table)))
        made[name] = reading.section(name, kind, table)
    return Config(file=file, written=frozenset(keys), **{k: v for k, v in made.items() if v is not None})


def _with_profile(config: Config, acquirer: profile.AcquirerProfile) -> Config:
    """The settings with the profile's values in every place where the file has none of its own."""
    sections: dict[str, Any] = {}
    for name, values in acquirer.settings().items():
        new = {key: value for key, value in values.items() if f"{name}.{key}" not in config.written}
        sections[name] = msgspec.structs.replace(getattr(config, name), **new)
    return msgspec.structs.replace(config, profile=acquirer, **sections)


def _absolute(base: Path, value: object, key: str) -> object:
    """A path relative to the file's folder, made absolute. A printer's or display's `port` may be one too."""
    if isinstance(value, Path):
        return base / value
    if key == "port" and isinstance(value, str) and "://" not in value:
        scheme = "unix:" if value.startswith("unix:") else ""
        return scheme + str(base / value.removeprefix(scheme))
    return value
