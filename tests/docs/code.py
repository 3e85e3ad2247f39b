"""What the code says of itself, read from its syntax: facts it tells, problems it answers, incidents it opens."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import get_args

import msgspec

from agent.core.event import JobFinished
from agent.core.model import Evidence
from agent.core.settlement import ASSIGNED
from agent.core.verdict import OWN_INCIDENT
from agent.hooks import problems
from tests.docs.pages import ROOT

# What stands in the place of a computed part of a fact's type.
PARTS = {
    "transaction": {"declined", "declined_uncertain"},
    "evidence": set(get_args(Evidence.__annotations__["kind"])),
    "receipt": {level.lower() for level in get_args(JobFinished.__annotations__["level"])},
}


def calls(folder: str, name: str) -> Iterator[ast.Call]:
    """Every call of a function or method of this name below `folder`."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called == name:
                    yield node


@cache
def facts() -> dict[str, set[str]]:
    """Every type of fact that the core can tell, with the names of its data."""
    found: dict[str, set[str]] = {}
    for call in calls("agent/core", "tell"):
        data = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        for type_ in _texts(call.args[0]):
            found.setdefault(type_, set()).update(data)
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            family = start.rstrip(".")
            yield from (f"{family}.{part}" for part in PARTS[family])


def problem_codes() -> dict[str, set[int]]:
    """The code of every problem that the local API can answer, with its statuses."""
    found: dict[str, set[int]] = {name: {status} for status, (name, _) in problems._CODES.items()}
    for name in ("Problem", "Rejected"):
        for call in calls("agent", name):
            match call.args:
                case [ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_]:
                    found.setdefault(code, set()).add(status)
    for call in calls("agent/core", "Decision"):
        for keyword in call.keywords:
            if keyword.arg == "conflict" and isinstance(keyword.value, ast.Constant):
                found.setdefault(str(keyword.value.value), set()).add(409)
    return found


def incidents() -> dict[str, set[tuple[str, str]]]:
    """The code of every incident, with the owners and next actions it is opened with where they are written there."""
    found: dict[str, set[tuple[str, str]]] = {}
    for call in calls("agent/core", "open_one"):
        words = [str(argument.value) if isinstance(argument, ast.Constant) else "" for argument in call.args]
        if words[1]:
            found.setdefault(words[1], set()).add((words[3], words[4]))
    for code in {*OWN_INCIDENT.values(), "settlement"}:  # what the next day leaves to do is a table
        found.setdefault(code, set()).update(ASSIGNED.values())
    return found


def modules() -> set[str]:
    """Every module of the product that holds anything."""
    return {
        str(path.relative_to(ROOT))
        for folder in ("agent", "device", "fleet")
        for path in (ROOT / folder).rglob("*.py")
        if path.stat().st_size and path.name != "__init__.py"
    }


def keys(kind: type[msgspec.Struct]) -> set[str]:
    """The names of a struct's fields."""
    return {field.name for field in msgspec.structs.fields(kind)}
