#!/usr/bin/env python3
"""Writes the documents that are made from code. `./dev docs` runs it; with --check it only compares, and fails on a difference.

A page is a function in PAGES that returns the whole text of the file of that name.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from agent import __version__, profile, settings, words  # noqa: E402  (this tree, whatever is installed)
from agent.core import lifecycle as lifecycle_tables  # noqa: E402
from agent.core.kinds import NAMES, family  # noqa: E402
from agent.core.situations import ADVICE, MEANING  # noqa: E402
from agent.hooks.routes import openapi  # noqa: E402
from agent.reading import expectation  # noqa: E402
from device.acquirer.profile import Profile  # noqa: E402
from device.simulator.paper_picture import PictureError  # noqa: E402
from docs import displays, playbook, sequences, slips  # noqa: E402

CONFIGURATION = DOCS.parent / "packaging" / "reversald.toml"


def configuration() -> str:
    """Every section and key: its default, what it may be, and the shipped file's own words about it."""
    said = _words(CONFIGURATION.read_text())
    lines = [
        "# Configuration",
        "",
        f"Made from `packaging/{CONFIGURATION.name}` and the program's own types by `./dev docs`; do not edit it here.",
        "",
        "The file is TOML. With no file the defaults below run. Unknown sections and keys are refused, paths are relative to",
        "the file, times are milliseconds. `reversald check-config FILE` names every mistake.",
    ]
    for name, kind in (settings.ALWAYS | settings.OPTIONAL).items():
        off = "" if name in settings.ALWAYS else " (off while it is left out)"
        lines += ["", f"## [{name}]{off}", "", said[name], ""]
        lines += ["| key | default | may be | meaning |", "|---|---|---|---|"]
        for field in msgspec.structs.fields(kind):
            meaning = said.get(f"{name}.{field.name}", "").replace("|", "\\|")
            may_be = expectation(field.type)[0].replace("|", "\\|")
            lines.append(f"| `{field.name}` | {_default(field)} | {may_be} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is None:
        return "–"
    value = str(field.default) if isinstance(field.default, Path) else field.default
    return f"`{msgspec.json.encode(value).decode()}`"


def _words(text: str) -> dict[str, str]:
    """The comment above each section and key. A comment above several keys in a row belongs to each of them."""
    words: dict[str, str] = {}
    section, comment, fresh = "", "", False
    for line in text.splitlines():
        if found := re.match(r"#?\[(\w+)\]$", line):
            section = found[1]
            words[section], comment, fresh = comment, "", False
        elif found := re.match(r"#?(\w+) = ", line):
            words[f"{section}.{found[1]}"] = comment
            fresh = False
        elif line.startswith("#"):
            comment = f"{comment} {line[1:].strip()}".strip() if fresh else line[1:].strip()
            fresh = True
        else:
            comment, fresh = "", False
    return words


def local_api() -> str:
    """The OpenAPI description, as a running agent of this version gives it at /v1/openapi.json."""
    return json.dumps(openapi(__version__), ensure_ascii=False, indent=2) + "\n"


CAUSES = {
    "go": "the gate said go", "never_sent": "it never got go: restart, or left lying", "timeout": "no answer in time",
    "restart": "the agent or the machine started again", "late_approval": "an approval after the doubt",
    "late_approval_after_wipe": "the same, when the card data is gone", "not_undone": "refused, used up, or the batch closed",
    "resolved": "a person closed the case", "ordered": "an operator's order", "send": "committed before its bytes leave",
    "kept": "silence, a lost line or a later-class answer, sends are left", "used_up": "the opportunity is used up",
    "kept_exhausted": "the same as kept, in a later opportunity", "batch_closed": "the batch is settled or changed",
    "astray": "relay: approved, and stopped before it was known whether the terminal heard it",
    "app_reversed": "relay: the payment app's own 0400", "app_silent": "the payment app's own 0400 was not answered",
    "repeat": "the same message goes again",
    "cancel": "by the wallet's rule, after a query; committed before its bytes leave",
    "cancel_unclear": "no usable answer to the cancel, or a restart in the middle of it",
    "not_left": "no byte of the cancel left",
    "paid_late": "the gateway says paid after a cancel or a close: the money goes back",
    "even": "the settlement files agree, nothing is owed", "wanted": "the settlement files prove it",
    "confirmed": "a person: no adjustment or chargeback runs", "part": "a part was refunded", "whole": "all of it was refunded",
    "cancelled": "the money goes back another way, or is not owed",
    "begun": "taken; what it orders is done outside the core", "failed": "it could not be carried out",
    "start": "committed before its first byte leaves", "too_old": "it waited longer than a day",
}


def lifecycle() -> str:
    """Which state may follow which: the tables that the core itself moves by, drawn."""
    lines = [
        "# Life cycles",
        "",
        "Drawn by `./dev docs` from `agent/core/lifecycle.py`, the tables the core itself moves by: a step that is not here",
        "cannot happen. 状态流转图由程序自身的状态表生成。",
    ]
    for name, table in lifecycle_tables.TABLES.items():
        lines += ["", f"## {name.capitalize()}", "", "```mermaid", "stateDiagram-v2"]
        for state, following in table.items():
            targets: dict[str, list[str]] = {}
            for cause, target in following.items():
                targets.setdefault(target, []).append(cause)
            lines += [f"    {state} --> {target}: {', '.join(causes)}" for target, causes in targets.items()]
        lines += ["```", "", "| state | 中文 | cause → next state |", "|---|---|---|"]
        for state, following in table.items():
            moves = "<br>".join(_move(cause, target) for cause, target in following.items()) or "final"
            lines.append(f"| `{state}` | {_chinese(name, state)} | {moves} |")
    return "\n".join(lines) + "\n"


def _move(cause: str, target: str) -> str:
    meaning = f" ({CAUSES[cause]})" if cause in CAUSES else ""
    return f"{cause}{meaning} → `{target}`"


def _chinese(table: str, state: str) -> str:
    return words.WORDS["state" if table in {"transaction", "wallet"} else table].get(state, ("",))[0]


PROFILES = ("unionpay", "ascii-1987")


def profiles() -> str:
    """Both profiles that come with the program, side by side; what an acquirer may want otherwise is a row."""
    loaded = [profile.load(name, DOCS, "") for name in PROFILES]
    lines = [
        "# Profiles of acquirers",
        "",
        "Made by `./dev docs` from `packaging/profiles`; do not edit it here. `acquirer.profile` names one of these, or a",
        "TOML file of your own: copy `unionpay.toml` and change it. What a file leaves out is UnionPay's, except the kinds: a",
        "file that has any section of kinds lists every kind there is. `reversald check-config` names every mistake with",
        "file and key; `reversald simulate acquirer --profile NAME` plays such an acquirer's host, to try a profile against.",
        "收单规范：报文格式、交易种类、应答码分类、冲正原因与时限均为数据，见下表。",
    ]
    for name in profile.SECTIONS:
        rows = [_flat(getattr(each, name)) for each in loaded]
        lines += ["", f"## [{name}]", "", *_side_by_side("key", {key: [row[key] for row in rows] for key in rows[0]})]
    fields = {str(number): [_rule(each, number) for each in loaded] for number in sorted(loaded[0].line.fields)}
    kinds = {kind.name: [_kind(each, kind.name) for each in loaded] for kind in loaded[0].kinds}
    lines += ["", "## [fields]", "", *_side_by_side("field", fields), "", "## [kinds]", "", *_side_by_side("kind", kinds)]
    return "\n".join(lines) + "\n"


def _flat(section: msgspec.Struct) -> dict[str, str]:
    keys = [key for key in section.__struct_fields__ if not (isinstance(section, Profile) and key in {"name", "fields"})]
    return {key: f"`{msgspec.json.encode(getattr(section, key)).decode()}`" for key in keys}


def _rule(acquirer: profile.AcquirerProfile, number: int) -> str:
    return f"`{acquirer.line.fields[number]}`"


def _kind(acquirer: profile.AcquirerProfile, name: str) -> str:
    kind = next((kind for kind in acquirer.kinds if kind.name == name), None)
    if kind is None:
        return "not listed: watched"
    parts = [f"{kind.mti}, F3 {kind.f3}", kind.type and f"F60.1 {kind.type}", f"F25 {kind.condition}"]
    parts.append(kind.f61 and f"F61 `{kind.f61}`")
    return f"{', '.join(filter(None, parts))}: {kind.in_doubt}"


def _side_by_side(head: str, rows: dict[str, list[str]]) -> list[str]:
    table = [f"| {head} | {' | '.join(PROFILES)} |", "|---" * (len(PROFILES) + 1) + "|"]
    return table + [f"| `{key}` | {' | '.join(values)} |" for key, values in rows.items()]


def kinds() -> str:
    """Which advice each kind of transaction gets in which situation: the table that the core itself looks into."""
    heads = {each: ", ".join(kind for kind in NAMES if family(kind) == each) for each in ADVICE}
    lines = [
        "# Advice by kind and situation",
        "",
        "Drawn by `./dev docs` from `agent/core/situations.py`, the table the core itself looks into; the texts stand in",
        "[playbook.md](playbook.md). Every pair is reached in `tests/agent/core/test_situations.py`.",
        "各交易种类在每种情形下的提示编号。",
        "",
        "A family shares its texts: " + "; ".join(f"**{each}** {kinds}" for each, kinds in heads.items()) + ", and any kind",
        "that is not listed in the profile.",
        "",
        f"| situation | {' | '.join(ADVICE)} |",
        "|---" * (len(ADVICE) + 1) + "|",
    ]
    lines += [f"| {meaning} | {' | '.join(row[name] for row in ADVICE.values())} |" for name, meaning in MEANING.items()]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "lifecycle.md": lifecycle,
    "openapi.json": local_api,
    "playbook.md": playbook.page,
    "profiles.md": profiles,
    "sequences.md": sequences.sequences,
    "kinds.md": kinds,
    **displays.texts(),
    **slips.texts(),
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check compare them. 0 when nothing differs."""
    stale = [name for name, page in PAGES.items() if not _same(DOCS / name, page())]
    if "--check" not in arguments:
        for name in stale:
            (DOCS / name).write_text(PAGES[name]())
            print(f"wrote docs/{name}")
        for folder, pictures in {"receipts": slips.pictures, "displays": displays.pictures}.items():
            if any(name.startswith(f"{folder}/") for name in stale):
                _draw(DOCS / folder, pictures)
        return 0
    for name in stale:
        print(f"docs/{name} is not what the code says; run: ./dev docs", file=sys.stderr)
    return 1 if stale else 0


def _draw(folder: Path, pictures: Callable[[Path], None]) -> None:
    """The pictures of slips or displays, drawn anew when what they show has changed."""
    try:
        pictures(folder)
    except PictureError as error:
        sys.exit(f"the pictures in docs/{folder.name} were not drawn: {error}")


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
