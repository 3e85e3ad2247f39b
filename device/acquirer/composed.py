"""Fields that are made of parts, as F60 and F61 are: what a field has of a template like `{type}{batch}000`."""

from functools import lru_cache

LENGTHS = {"type": 2, "batch": 6, "stan": 6, "date": 4, "network": 3}  # of each part, in digits


def parts(template: str, text: str) -> dict[str, str]:
    """The parts that the template names, as far as the text reaches."""
    size = len(text)
    return {name: text[start:end] for name, start, end in _cuts(template) if end <= size}


@lru_cache(maxsize=64)
def _cuts(template: str) -> tuple[tuple[str, int, int], ...]:
    """Each part, and where it begins and ends. A profile has a few templates, which every message meets again."""
    found, at = [], 0
    while template:
        if template[0] == "{":
            name, _, template = template[1:].partition("}")
            start, at = at, at + LENGTHS[name]
            found.append((name, start, at))
        else:
            template, at = template[1:], at + 1
    return tuple(found)
