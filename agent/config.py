"""From a TOML file to frozen settings: every mistake is found and named with its key, not only the first.

With no file the embedded defaults of `agent.settings` run. A section that may be left out is then off (None).
"""

import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from agent import settings
from agent.keyfile import ensure_key, read_key, unreadable
from agent.problem import ConfigError, Problem
from agent.rules import Finding, file_problems, mistakes, warnings
from agent.settings import Config

__all__ = ["Config", "ConfigError", "Problem", "ensure_key", "file_problems", "load", "read_key"]

_FILE_BYTES_MAX = 256 * 1024
_SHOWN_MAX = 40  # characters of a wrong value that are shown back


def load(path: str | Path | None) -> Config:
    """The settings in the file `path`, or the embedded defaults (paths relative to the working folder) for None.

    Raises ConfigError with every mistake that can be seen in the values. The files that the settings name are looked
    at by `file_problems`, since a technician may read settings without being allowed to read keys.
    """
    file = None if path is None else Path(path).absolute()
    name = "" if path is None else str(path)
    base = Path.cwd() if file is None else file.parent
    document = {} if file is None else _document(file, name)
    reading = _Reading(name, base)
    config = reading.config(document, file)
    problems = [*reading.problems, *_named(name, mistakes(config), reading.bad)]
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


def _document(file: Path, name: str) -> dict[str, Any]:
    """The TOML document, or ConfigError that says why it cannot be read."""
    try:
        with file.open("rb") as source:
            data = source.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        problem = unreadable(Path(name), "", error)
        raise ConfigError((problem,)) from None
    if len(data) > _FILE_BYTES_MAX:
        en, zh = f"is larger than {_FILE_BYTES_MAX} bytes", f"大于 {_FILE_BYTES_MAX} 字节"
        raise ConfigError((Problem(file=name, key="", en=en, zh=zh),))
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:  # also UnicodeDecodeError and TOMLDecodeError, whose text has line and column
        en, zh = f"is not a TOML file: {error}", f"不是 TOML 文件: {error}"
        raise ConfigError((Problem(file=name, key="", en=en, zh=zh),)) from None


class _Reading:
    """One pass over a document. Collects `problems`, and in `bad` the keys they are about."""

    def __init__(self, file: str, base: Path) -> None:
        self._file = file
        self._base = base
        self.problems: list[Problem] = []
        self.bad: set[str] = set()

    def config(self, document: Mapping[str, Any], file: Path | None) -> Config:
        """The settings, with the default in place of every value that is wrong."""
        sections = settings.ALWAYS | settings.OPTIONAL
        for unknown in (name for name in document if name not in sections):
            self._unknown(unknown, unknown, sections, "section", "节")
        made: dict[str, Any] = {}
        written: set[str] = set()
        for name, kind in sections.items():
            if name not in document and name in settings.OPTIONAL:
                continue
            table = document.get(name, {})
            if not isinstance(table, dict):
                self._problem(name, f"must be a section: [{name}]", f"应写成节: [{name}]")
                continue
            if name in document:
                written.update((name, *(f"{name}.{key}" for key in table)))
            made[name] = self._section(name, kind, table)
        return Config(file=file, written=frozenset(written), **{k: v for k, v in made.items() if v is not None})

    def _section(self, name: str, kind: type[settings.Section], table: Mapping[str, Any]) -> settings.Section | None:
        """The section, or None when a key that has no default is missing or wrong."""
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for unknown in (name for name in table if name not in fields):
            self._unknown(f"{name}.{unknown}", unknown, fields, "key", "键")
        values: dict[str, Any] = {}
        for key, field in fields.items():
            if key in table:
                try:
                    value = msgspec.convert(table[key], field.type, dec_hook=_custom)
                except msgspec.ValidationError:
                    self._wrong(f"{name}.{key}", field.type, table[key])
                    continue
            elif field.required:
                self._problem(f"{name}.{key}", "is missing and has no default", "缺少此键，且无默认值")
                continue
            else:
                value = field.default
            values[key] = self._absolute(value, field.name)
        if any(field.required and key not in values for key, field in fields.items()):
            self.bad.add(name)
            return None
        return kind(**values)

    def _absolute(self, value: object, key: str) -> object:
        """A path relative to the file's folder, made absolute. A printer's or display's `port` may be one too."""
        if isinstance(value, Path):
            return self._base / value
        if key == "port" and isinstance(value, str) and "://" not in value:
            scheme = "unix:" if value.startswith("unix:") else ""
            return scheme + str(self._base / value.removeprefix(scheme))
        return value

    def _wrong(self, key: str, kind: Any, value: object) -> None:
        en, zh = expectation(kind)
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        if len(shown) > _SHOWN_MAX or "@" in shown:  # an address may hold a password
            shown = "…"
        self._problem(key, f"must be {en}, not {shown}", f"应为 {zh}，现为 {shown}")

    def _unknown(self, path: str, name: str, known: Mapping[str, object], what_en: str, what_zh: str) -> None:
        import difflib  # only for a person who made a mistake

        near = difflib.get_close_matches(name.lower(), known, n=1)
        en, zh = f"is not a known {what_en}", f"不是已知的{what_zh}"
        if near:
            en, zh = f"{en}; did you mean {near[0]}?", f"{zh}，是否为 {near[0]}？"
        self._problem(path, en, zh)

    def _problem(self, key: str, en: str, zh: str) -> None:
        self.bad.add(key)
        self.problems.append(Problem(file=self._file, key=key, en=en, zh=zh))


def _custom(kind: type, value: object) -> object:
    """Paths, which msgspec does not know. An empty one would mean the folder itself: refused."""
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ValueError("not a path")


def expectation(kind: Any) -> tuple[str, str]:
    """What a value of this annotation must be, in English and Chinese."""
    for extra in (meta.extra for meta in getattr(kind, "__metadata__", ()) if meta.extra):
        return extra["en"], extra["zh"]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return expectation(next(part for part in typing.get_args(kind) if part is not types.NoneType))
    if typing.get_origin(kind) is Literal:
        choices = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in typing.get_args(kind)]
        return _listed(choices, "or"), _listed(choices, "或")
    return {bool: ("true or false", "true 或 false"), Path: ("a path", "文件路径")}[kind]


def _listed(choices: list[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
