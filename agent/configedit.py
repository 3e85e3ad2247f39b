"""A configuration that is changed from afar: a closed list of keys, checked as check-config does, written whole or not at all.

The file stays the person's own: only the lines of the changed keys are written anew, comments stay, and the file as it was is
kept beside it. What cannot be changed so, or takes a restart, is refused.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.config import Config, ConfigError, file_problems, load
from agent.keyfile import sync_folder
from agent.settings import ALWAYS

# What a running agent takes over (SIGHUP) and a person far away can judge. Ports, paths, keys and the mode are not here.
RELOADABLE: Final = frozenset({
    "terminal.merchant_name", "terminal.hotline", "terminal.lang", "terminal.texts",
    "recovery.answer_timeout_ms", "recovery.reply_timeout_ms", "recovery.sends_per_opportunity", "recovery.spacing_ms",
    "recovery.backoff_min_ms", "recovery.backoff_max_ms", "recovery.no_original_after_ms",
    "settlement.cutoff", "settlement.grace_days",
})
KEPT_SUFFIX: Final = ".old"

Values = Mapping[str, str | int | bool]


class NotChanged(Exception):
    """Nothing was changed, and why: a stable code."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def change(path: Path | None, values: Values) -> Config:
    """Write these values into the file and give the settings as they are now. Raises NotChanged."""
    if path is None:
        raise NotChanged("no-file")
    if not values.keys() <= RELOADABLE:
        raise NotChanged("not-reloadable")
    try:
        before = path.read_text(encoding="utf-8")
        after = edited(before, values)
        if after != before:
            _write(path, before, after)
        return load(path)
    except ConfigError:
        raise NotChanged("bad-value") from None
    except (OSError, UnicodeDecodeError):
        raise NotChanged("storage") from None


def edited(text: str, values: Values) -> str:
    """The text with these values in it, and nothing else changed: what it comes to is read back. Raises NotChanged."""
    wanted = _read(text)
    for dotted, value in sorted(values.items()):
        section, _, key = dotted.partition(".")
        if section not in wanted and section not in ALWAYS:
            raise NotChanged("not-reloadable")  # it would switch on a part that is off
        wanted.setdefault(section, {})[key] = value
        text = _with(text, section, key, msgspec.json.encode(value).decode())
    if _read(text) != wanted:
        raise NotChanged("not-editable")
    return text


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise NotChanged("not-editable") from None


def _with(text: str, section: str, key: str, value: str) -> str:
    lines = text.splitlines()
    head = next((at for at, line in enumerate(lines) if re.fullmatch(rf"\s*\[{section}\]\s*(#.*)?", line)), None)
    if head is None:
        return "\n".join([*lines, "", f"[{section}]", f"{key} = {value}", ""])
    old = re.compile(rf"\s*{key}\s*=\s*(?:\"[^\"\\]*\"|'[^']*'|[^#\"'\[{{]*?)(\s*#.*)?")
    for at in range(head + 1, len(lines)):
        if lines[at].lstrip().startswith("["):
            break
        if match := old.fullmatch(lines[at]):
            lines[at] = f"{key} = {value}{match[1] or ''}"
            return "\n".join(lines) + "\n"
    lines.insert(head + 1, f"{key} = {value}")
    return "\n".join(lines) + "\n"


def _write(path: Path, before: str, after: str) -> None:
    """The new file under another name, checked there, then in one move. Raises ConfigError, OSError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        _put(draft, after, path.stat().st_mode & 0o777)
        problems = tuple(file_problems(load(draft)))
        if problems:
            raise ConfigError(problems)
        old = path.with_name(path.name + KEPT_SUFFIX)
        spare = path.with_name(f".{old.name}.draft")
        _put(spare, before, path.stat().st_mode & 0o777)
        spare.replace(old)
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _put(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
