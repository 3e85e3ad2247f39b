"""A mistake in the configuration: which file, which key, and why, in the two languages people read."""

from typing import Literal

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake or warning. `key` is a path like `recovery.mode`, or empty when the file itself is at fault."""

    file: str
    key: str
    en: str
    zh: str

    def reason(self, lang: Literal["zh", "en"]) -> str:
        """Why, in one sentence."""
        return self.zh if lang == "zh" else self.en

    def line(self, lang: Literal["zh", "en"]) -> str:
        """File, key and reason on one line."""
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place}: {self.reason(lang)}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every mistake that was found, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.line("en") for problem in problems))
        self.problems = problems
