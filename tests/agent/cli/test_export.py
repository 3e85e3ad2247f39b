"""`export`: every format holds the whole journal, shows no card number, and is never left half-written."""

import csv
import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent import exits
from agent.cli.progress import Progress
from agent.core import event as e
from agent.core.model import Disposition
from tests.support.story import LOST, PAID, PAN, Story, recovered
from tests.support.technician import ROOT, masked, run, say

FORMATS = ("jsonl", "csv", "html", "sqlite")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = recovered(tmp_path)
    crossed = {"f3": "000000", "f4": "000000000001", "f11": "999999", "f41": "12345678", "f42": "898310148160001"}
    made.do(e.HostReply(code="00", mac="good", **crossed))
    incident = made.incident("crossed_reply", None)
    note = "=1+1 <script>alert(1)</script>"
    made.do(e.IncidentResolved(incident=incident.id, transaction=None, resolution="no_action", by="Wang", note=note))
    yield made
    made.close()


def exported(story: Story, format_: str, *words: str) -> Path:
    path = story.folder / f"out.{format_}"
    said = say(story.config, "export", "--format", format_, "--output", path, *words, clock=story.clock)
    assert (said.code, said.err) == (exits.DONE, "")
    return path


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_says_how_much_was_exported_and_the_file_is_private(story, format_):
    path = story.folder / "out"
    said = say(story.config, "export", "--format", format_, "--output", path)
    assert said.out == f"已导出 {story.store.seq} 条到 {path}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert PAN.encode() not in path.read_bytes()
    value = say(story.config, "export", "--format", format_, "--output", path, "--force", "--json").value
    assert value["entries"] == value["head"]["seq"] == story.store.seq


def test_jsonl_carries_the_proof_of_the_chain(story):
    previous = bytes(32)
    lines = exported(story, "jsonl", "--lang", "en").read_bytes().splitlines()
    assert len(lines) == story.store.seq
    for number, line in enumerate(lines, start=1):
        value = json.loads(line)
        body = line[line.index(b'"entry":') + 8 : line.rindex(b',"hash":')]
        assert json.loads(body) == value["entry"]
        previous = hashlib.sha256(previous + number.to_bytes(8, "big") + body).digest()
        assert value["hash"] == previous.hex()
        assert value["at"].startswith("2026-03-02 10:0")
        assert value["text"]
    assert previous == story.store.hash


def test_csv_opens_in_a_spreadsheet_with_chinese_and_without_formulas(story):
    raw = exported(story, "csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [int(row["seq"]) for row in rows] == list(range(1, story.store.seq + 1))
    assert any(row["text"].startswith("冲正已受理 1.00元") for row in rows)
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())
    assert json.loads(rows[0]["data"])["version"] == "1"


def test_sqlite_answers_questions_in_plain_sql(story):
    connection = sqlite3.connect(exported(story, "sqlite"))

    def ask(sql: str) -> list[tuple[object, ...]]:
        return connection.execute(sql).fetchall()

    assert ask("SELECT count(*) FROM timeline") == [(story.store.seq,)]
    assert ask("SELECT stan, state, amount_fen FROM transactions ORDER BY number") == [
        ("000122", "approved", 2350),
        ("000123", "reversed", 100),
    ]
    assert ask("SELECT state, sends FROM reversals") == [("accepted", 1)]
    (first,) = ask(f"SELECT text FROM timeline WHERE \"transaction\" = '{LOST}' ORDER BY seq LIMIT 1")
    assert str(first[0]).startswith("登记消费")
    assert {row[0] for row in ask("SELECT state FROM jobs")} == {"SENT_UNCONFIRMED", "WAITING"}
    assert ask("SELECT count(*) FROM incidents") == [(len(story.state.incidents),)]
    columns = {row[1] for table in ("transactions", "reversals", "jobs") for row in ask(f"PRAGMA table_info({table})")}
    assert not {"vault", "document"} & columns
    assert ask("PRAGMA integrity_check") == [("ok",)]
    connection.close()


class Page(HTMLParser):
    """Collects tags and texts, and what would be loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_html_is_one_page_that_needs_nothing_else_and_escapes_what_people_typed(story, lang):
    page = Page(exported(story, "html", "--lang", lang).read_text(encoding="utf-8"))
    assert page.loads == []
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert ("冲正已受理 1.00元" if lang == "zh" else "Reversal of CNY 1.00 accepted") in page.text
    assert page.tags.count("table") == 3
    for text in ("000123", "000122", "622202*********0128", PAID, f"{story.store.seq}:{story.store.hash.hex()}"):
        assert text in page.text


@pytest.mark.parametrize("format_", FORMATS)
def test_only_the_newest_entries_when_those_are_asked_for(story, format_):
    path = story.folder / "some"
    value = say(story.config, "export", "--format", format_, "--output", path, "--last", "5", "--json").value
    assert value["entries"] == 5
    value = say(story.config, "export", "--format", format_, "--output", path, "--last", "9999", "--json", "--force").value
    assert value["entries"] == story.store.seq


@pytest.mark.parametrize("format_", FORMATS)
def test_a_journal_without_an_entry_is_exported_too(tmp_path, format_):
    story = Story(tmp_path, boot=False)
    assert say(story.config, "export", "--format", format_, "--output", tmp_path / "out").code == exits.DONE
    story.close()


def test_a_file_that_is_there_is_not_replaced_unless_that_is_asked_for(story):
    path = exported(story, "jsonl")
    path.write_text("mine")
    said = say(story.config, "export", "--format", "jsonl", "--output", path)
    assert (said.code, path.read_text()) == (exits.USAGE, "mine")
    assert "--force" in said.err
    assert exported(story, "jsonl", "--force").read_text() != "mine"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_damage_in_the_middle_leaves_no_half_file(story, format_):
    story.settle_wal()
    connection = sqlite3.connect(story.path)
    connection.execute("UPDATE journal SET body = '{' WHERE seq = 9")
    connection.commit()
    connection.close()
    said = say(story.config, "export", "--format", format_, "--output", story.folder / "out")
    assert said.code == exits.STORAGE
    assert not [file.name for file in story.folder.iterdir() if "out" in file.name]


def test_a_folder_that_is_not_there_is_one_line(story):
    said = say(story.config, "export", "--format", "csv", "--output", story.folder / "none" / "out.csv", "--lang", "en")
    assert said.code == exits.STORAGE
    assert said.err == f"reversald: cannot write {story.folder}/none/out.csv: No such file or directory\n"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_is_one_line_and_leaves_nothing(story, format_):
    command = f"export --format {format_} --output {story.folder}/out --config {story.config}"
    script = f"ulimit -f 2; exec {sys.executable} -m agent {command}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    masked(done.stdout + done.stderr)
    assert done.returncode == exits.STORAGE, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [file.name for file in story.folder.iterdir() if "out" in file.name]


def test_lines_go_to_standard_output_and_a_database_does_not(story):
    said = run(story.config, "export", "--format", "jsonl", "--output", "-")
    assert [json.loads(line)["entry"]["seq"] for line in said.out.splitlines()] == list(range(1, story.store.seq + 1))
    assert said.err == ""
    assert say(story.config, "export", "--format", "csv", "--output", "-").out.count("\n") == story.store.seq + 1
    assert say(story.config, "export", "--format", "sqlite", "--output", "-").code == exits.USAGE


def test_reading_commands_do_not_load_the_export_library(story):
    script = (
        "import sys; from agent.cli.commands import cli\n"
        f"try: cli.main(['show', '123', '--config', {str(story.config)!r}], prog_name='reversald')\n"
        "except SystemExit: pass\n"
        "sys.exit(str({'sqlite_utils', 'aiohttp', 'cryptography'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"


# ── progress ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def watched(stream: io.StringIO, steps: int, each_s: float) -> str:
    now = 0.0

    def clock() -> float:
        return now

    progress = Progress("导出", stream, clock)
    for step in range(1, steps + 1):
        now += each_s
        progress(step, steps)
    progress.finish()
    return stream.getvalue()


def test_short_work_says_nothing():
    assert watched(Terminal(), 100, 0.009) == ""


def test_long_work_writes_over_one_line_on_a_terminal_and_a_line_now_and_then_elsewhere():
    shown = watched(Terminal(), 100, 0.125)
    assert shown.startswith("\r导出 8% (8/100)\033[K\r导出 10% (10/100)\033[K")
    assert shown.endswith("\r\033[K")
    assert "\n" not in shown
    lines = watched(io.StringIO(), 100, 0.125).splitlines()
    assert lines == ["导出 8% (8/100)", "导出 48% (48/100)", "导出 88% (88/100)"]


def test_a_long_export_tells_its_progress_on_standard_error_only(story):
    """A real terminal on standard error; the file stays clean."""
    import pty

    ours, theirs = pty.openpty()
    script = (
        "import itertools; import agent.cli.progress as p; p.QUIET_S = 0.0; p.TERMINAL_S = 0.0\n"
        "from agent.__main__ import main; main()\n"
    )
    arguments = ["export", "--format", "jsonl", "--output", "-", "--config", str(story.config)]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    told = os.read(ours, 65_536).decode()
    os.close(ours)
    assert process.returncode == 0
    assert len(out.splitlines()) == story.store.seq
    assert f"100% ({story.store.seq}/{story.store.seq})" in told


def test_nothing_that_a_person_typed_about_a_customer_leaves_in_a_table(story):
    """A contact stands in the journal's own events, for who may see those, but not in what is made for reading."""
    story.do(e.DispositionGiven(transaction=LOST, disposition=Disposition(goods="held", contact="13912345678")))
    for format_ in ("csv", "html"):
        assert "13912345678" not in exported(story, format_).read_text(encoding="utf-8")
