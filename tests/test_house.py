"""The tree's own tidiness: sizes, names, what may lie where, what loads at start-up, what is left unfinished."""

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest

from agent import exits

ROOT = Path(__file__).parents[1]
SOURCES = ("agent", "device", "fleet")
LINES_MAX = 350
FUNCTION_LINES_MAX = 60

FOLDERS = {".ci", "agent", "device", "docs", "fleet", "packaging", "tests"}
FILES = {".gitignore", "README.md", "dev", "pyproject.toml", "LICENSE"}

# Libraries that only some commands need. When `reversald run` starts they would cost time and memory on every terminal.
NOT_AT_START = {
    "PIL": "only the simulated printer draws",
    "agent.cli": "the commands; the daemon is started without them",
    "agent.commandform": "only with a fleet",
    "agent.envelope": "only with a broker",
    "agent.hooks.cashier": "only with a browser",
    "agent.hooks.page": "only with a browser",
    "agent.incident": "the words of timelines: for commands and pages",
    "agent.journal.reader": "commands read a journal that is not theirs; the daemon has its own",
    "agent.journal.readonly": "the same",
    "agent.words": "for commands and pages, too",
    "agent.wording": "most merchants speak our words, and its rules take long to compile",
    "aiohttp.web": "agent.hooks.web has what is needed of it",
    "argparse": "nothing here reads a command line with it",
    "asyncpg": "the fleet's",
    "click": "the command line's",
    "csv": "settlement files are read by a command",
    "device.simulator": "simulated peers are not part of a terminal",
    "difflib": "only for a person who mistyped a key",
    "fleet": "the operator's side",
    "importlib.metadata": "a mail, a zip and a CSV library, only to learn our own version",
    "jinja2": "the fleet's",
    "prometheus_client": "the fleet's",
    "pydantic": "msgspec does it",
    "segno": "only when a raster QR code is printed",
    "sqlite_utils": "only when a migration is pending",
    "unittest": "tests only",
    "xml": "nothing here speaks it",
    "zipfile": "nothing here packs",
}


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the tree, as version control sees it; in an unpacked archive, every file but the generated ones."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return tuple(name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).exists())
    ignored = {".git", ".venv", ".dev", "build", "dist", "var", "__pycache__"}
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return tuple(str(path) for path in files if ignored.isdisjoint(path.parts) and ".egg-info" not in str(path))


def sources() -> list[str]:
    return [name for name in tracked() if name.endswith(".py") and name.split("/")[0] in SOURCES]


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of every file that is text."""
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            yield name, data.decode(errors="replace")


def test_no_module_is_longer_than_one_idea_needs():
    long = {name: count for name in sources() if (count := len((ROOT / name).read_text().splitlines())) > LINES_MAX}
    assert long == {}


def test_every_function_fits_a_screen():
    long = {
        f"{name}:{node.lineno} {node.name}": length
        for name in sources()
        for node in ast.walk(ast.parse((ROOT / name).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_every_module_says_its_one_idea():
    silent = [
        name
        for name in sources()
        if (tree := ast.parse((ROOT / name).read_text())).body and ast.get_docstring(tree) is None
    ]
    assert silent == []


def test_every_top_level_name_is_one_of_the_house():
    assert {name.split("/")[0] for name in tracked() if "/" in name} <= FOLDERS
    assert {name for name in tracked() if "/" not in name} <= FILES


def spelt(*halves: str) -> re.Pattern[str]:
    """One pattern for many; each is written in two halves, so that this file does not find itself."""
    return re.compile("|".join(half.replace("~", "") for half in halves))


UNFINISHED = spelt(
    "TO~DO", "FIX~ME", r"\bXX~X\b", "raise NotImpl~emented", r"pytest\.sk~ip", r"mark\.sk~ip", r"\bxf~ail", "importor~skip"
)
ELSEWHERE = spelt(r"\.\./sha~red\b", "/wo~rk/", r"/ro~ot/\.", "/tmp/ba~sh", r"pypi\.o~rg", "files.python~hosted")


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("unfinished work", UNFINISHED), ("a place outside the tree", ELSEWHERE)],
    ids=["nothing is left unfinished or unrun", "nothing points outside the tree"],
)
def test_no_file_mentions(what, pattern):
    found = [
        f"{name}:{number}: {match[0]} ({what})"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := pattern.search(line))
    ]
    assert found == []


def test_locked_packages_name_no_host_and_every_one_has_a_hash():
    for lock in (ROOT / "packaging" / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, lock
        packages = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
        assert packages, lock
        for package in packages:
            assert re.match(r"[\w.-]+==[\w.]+", package), package
            assert "--hash=sha256:" in package, package


def test_the_locks_agree_with_each_other():
    versions: dict[str, set[str]] = {}
    for lock in (ROOT / "packaging" / "requirements").glob("*.txt"):
        for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", lock.read_text(), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_locks_hold_every_package_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    folder = ROOT / "packaging" / "requirements"
    wanted = {
        "run.txt": project["dependencies"],
        "dev.txt": [*project["dependencies"], *extras["fleet"], *extras["test"]],
        "package.txt": [*project["dependencies"], *extras["package"]],
    }
    for name, requirements in wanted.items():
        locked = {line.split("==")[0] for line in (folder / name).read_text().splitlines() if "==" in line}
        assert {re.split(r"[<>=!~ ]", requirement)[0].lower() for requirement in requirements} <= locked, name


def test_every_test_folder_mirrors_a_source_folder():
    """`tests/device/printer/test_x.py` belongs to `device/printer/`."""
    own = {"bench", "demo", "docs", "e2e", "faults", "scenarios", "sim", "support"}
    strangers = {
        folder
        for name in tracked()
        if name.startswith("tests/") and name.endswith(".py") and len(parts := Path(name).parts) > 2
        if parts[1] not in own and not (ROOT / (folder := str(Path(*parts[1:-1])))).is_dir()
    }
    assert strangers == set()


def loaded_by(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `program`, and the packages they are in."""
    program += "\nimport sys, json; print(json.dumps(list(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return {name for module in json.loads(ran.stdout) for name in accumulate(module.split("."), "{}.{}".format)}


def test_starting_the_daemon_loads_only_what_every_terminal_needs():
    loaded = loaded_by("import agent.__main__; from agent import service; service.loaded()")
    assert "agent.daemon" in loaded
    assert {name: why for name, why in NOT_AT_START.items() if name in loaded} == {}


def test_a_start_as_in_the_unit_file_does_not_load_the_command_line():
    unit = (ROOT / "packaging/units/reversald.service").read_text()
    words = shlex.split(unit.partition("ExecStart=")[2].partition("\n")[0])
    assert words[:2] == ["/usr/bin/reversald", "run"]
    program = f"import agent.__main__, sys; sys.argv = {[*words[:-1], '/nowhere.toml']}\ntry: agent.__main__.main()\n"
    loaded = loaded_by(program + f"except SystemExit as end: assert end.code == {exits.CONFIGURATION}")
    assert "agent.config" in loaded
    assert loaded.isdisjoint({"click", "agent.cli"})


def test_commands_import_the_daemon_never_the_other_way():
    assert "agent.cli" not in loaded_by("import agent.daemon")


def test_what_was_loaded_at_the_start_is_out_of_the_collectors_sight():
    seen = "gc.isenabled() and len(gc.get_objects()) < gc.get_freeze_count() / 10"
    loaded_by(f"from agent import service; service.loaded(); import gc; assert {seen}")


def test_what_aiohttp_leaves_over_at_the_start_is_not_kept():
    loaded_by("from agent import service; service.loaded(); import gc; gc.unfreeze(); assert gc.collect() < 1000")


def test_scripts_are_executable_and_shell():
    for name in ("dev", ".ci/run", "packaging/requirements/lock"):
        path = ROOT / name
        assert path.stat().st_mode & 0o111, name
        assert path.read_text().startswith("#!/usr/bin/env bash\n"), name
        subprocess.run(["bash", "-n", path], check=True)


def test_ci_calls_nothing_that_a_newcomer_could_not():
    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not line.startswith(("set ", "cd "))] == ["./dev check", "./dev test"]


def test_dev_without_arguments_prints_help_that_names_every_command():
    ran = subprocess.run([ROOT / "dev"], capture_output=True, text=True, check=True)
    for command in ("demo", "test", "check", "sim", "bench", "fuzz", "soak", "package", "docs", "screens"):
        assert f"./dev {command}" in ran.stdout
    wrong = subprocess.run([ROOT / "dev", "nonsense"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr) == (64, ran.stdout)


def test_the_generated_documents_are_what_the_code_says():
    ran = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_every_package_that_the_project_asks_for_says_why_it_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    assert [name for name in wanted if f"`{re.split('[<>=!~]', name)[0]}`" not in explained] == []
