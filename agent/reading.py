"""Tables of a TOML file to frozen structs: every mistake is found and named with its key, and said in both languages."""

import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from agent.keyfile import unreadable
from agent.problem import ConfigError, Problem

S = TypeVar("S", bound=msgspec.Struct)

_FILE_BYTES_MAX = 256 * 1024
_SHOWN_MAX = 40  # characters of a wrong value that are shown back


def document(file: Path, name: str, key: str = "") -> dict[str, Any]:
    """The TOML document, or ConfigError that says why `name` cannot be read; `key` is what names it elsewhere."""
    try:
        with file.open("rb") as source:
            data = source.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        problem = unreadable(Path(name), key, error)
        raise ConfigError((problem,)) from None
    if len(data) > _FILE_BYTES_MAX:
        en, zh = f"is larger than {_FILE_BYTES_MAX} bytes", f"大于 {_FILE_BYTES_MAX} 字节"
        raise ConfigError((Problem(file=name, key="", en=en, zh=zh),))
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:  # also UnicodeDecodeError and TOMLDecodeError, whose text has line and column
        en, zh = f"is not a TOML file: {error}", f"不是 TOML 文件: {error}"
        raise ConfigError((Problem(file=name, key="", en=en, zh=zh),)) from None


class Reading:
    """One pass over a document. Collects `problems`, and in `bad` the keys they are about.

    `place` turns a value that was read, by the name of its key, into the one that is kept: paths become absolute.
    """

    def __init__(self, file: str, place: Callable[[object, str], object] = lambda value, _key: value) -> None:
        self._file = file
        self._place = place
        self.problems: list[Problem] = []
        self.bad: set[str] = set()

    def table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
        """The section `name`, an empty one when it is left out, None when it is not a section."""
        table = document.get(name, {})
        if not isinstance(table, dict):
            self.problem(name, f"must be a section: [{name}]", f"应写成节: [{name}]")
            return None
        return table

    def section(self, name: str, kind: type[S], table: Mapping[str, Any]) -> S | None:
        """The section with the default in place of every value that is wrong; None when one without a default is missing."""
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for unknown in (name for name in table if name not in fields):
            self.unknown(f"{name}.{unknown}", unknown, fields)
        values: dict[str, Any] = {}
        for key, field in fields.items():
            if key in table:
                try:
                    value = msgspec.convert(table[key], field.type, dec_hook=_custom)
                except msgspec.ValidationError:
                    self.wrong(f"{name}.{key}", expectation(field.type), table[key])
                    continue
            elif field.required:
                self.problem(f"{name}.{key}", "is missing and has no default", "缺少此键，且无默认值")
                continue
            else:
                value = field.default
            # A written default is the default itself: `omit_defaults` tells by identity, and journals stay short.
            values[key] = self._place(field.default if value == field.default else value, field.name)
        if any(field.required and key not in values for key, field in fields.items()):
            self.bad.add(name)
            return None
        return kind(**values)

    def wrong(self, key: str, expected: tuple[str, str], value: object) -> None:
        """A value that is not what it must be; shown back, unless it is long or may hold a password."""
        en, zh = expected
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        if len(shown) > _SHOWN_MAX or "@" in shown:
            shown = "…"
        self.problem(key, f"must be {en}, not {shown}", f"应为 {zh}，现为 {shown}")

    def unknown(self, path: str, name: str, known: Iterable[str], what: tuple[str, str] = ("key", "键")) -> None:
        """A name that means nothing here, with the nearest one that does."""
        import difflib  # only for a person who made a mistake

        near = difflib.get_close_matches(name.lower(), known, n=1)
        en, zh = f"is not a known {what[0]}", f"不是已知的{what[1]}"
        if near:
            en, zh = f"{en}; did you mean {near[0]}?", f"{zh}，是否为 {near[0]}？"
        self.problem(path, en, zh)

    def problem(self, key: str, en: str, zh: str) -> None:
        """One mistake."""
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
