"""`reversald export`: journal and rows as a file that leaves the terminal: whole, masked, and never half-written."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from agent import exits
from agent.cli.base import Call, common, emit
from agent.cli.exportjob import Job
from agent.cli.progress import Progress


def _jsonl(job: Job, path: Path | None) -> int:
    from agent.cli import exporttext

    return _text(exporttext.jsonl, job, path)


def _csv(job: Job, path: Path | None) -> int:
    from agent.cli import exporttext

    return _text(exporttext.csv, job, path)


def _html(job: Job, path: Path | None) -> int:
    from agent.cli import exporthtml

    return _text(exporthtml.html, job, path)


def _text(write: Callable[[Job, BinaryIO], int], job: Job, path: Path | None) -> int:
    if path is None:
        return write(job, sys.stdout.buffer)
    with path.open("wb") as file:
        return write(job, file)


def _sqlite(job: Job, path: Path | None) -> int:
    from agent.cli import exportsqlite  # the only place at run time that loads sqlite-utils

    if path is None:
        raise job.call.fail(exits.USAGE, "no_stdout", format="sqlite")
    return exportsqlite.write(job, path)


ENTRIES_MAX = 2**53
# Each writes to a path, or to standard output for None, and returns the number of entries.
WRITERS: dict[str, Callable[[Job, Path | None], int]] = {"jsonl": _jsonl, "csv": _csv, "html": _html, "sqlite": _sqlite}


@click.command(
    epilog="""\b
Examples:
  reversald export --format jsonl --output journal.jsonl
  reversald export --format html --output report.html --last 2000
  reversald export --format jsonl --output - | gzip > journal.jsonl.gz
"""
)
@click.option("--format", "format_", type=click.Choice(list(WRITERS)), required=True, help="jsonl keeps the proof of the chain.")
@click.option("--output", metavar="PATH", required=True, help="The file, or - for standard output (not sqlite).")
@click.option("--last", type=click.IntRange(1, ENTRIES_MAX), help="Only so many of the newest entries.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@common
def export(call: Call, *, format_: str, output: str, last: int | None, force: bool) -> None:
    """Write the journal to a file: jsonl (every byte of it), csv and html (to read), sqlite (to ask)."""
    progress = Progress(call.say("progress_export"))
    with call.journal(lenient=True) as reader:
        job = Job(call, reader, last, progress)
        if output == "-":
            WRITERS[format_](job, None)
        else:
            with whole_file(call, Path(output), force=force) as draft:
                count = WRITERS[format_](job, draft)
    progress.finish()
    if output != "-" and call.as_json:
        path = str(Path(output).absolute())
        emit({"entries": count, "path": path, "format": format_, "head": job.head, "damaged": reader.damaged})
    elif output != "-":
        click.echo(call.say("exported", entries=count, path=output))
    call.own_up(reader)


@contextmanager
def whole_file(call: Call, path: Path, *, force: bool) -> Iterator[Path]:
    """A private draft beside `path` that becomes `path` when it is whole and on disk, and vanishes when it is not."""
    if path.exists() and not force:
        raise call.fail(exits.USAGE, "exists", path=path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise call.fail(exits.STORAGE, "cannot_write", path=path, detail=error.strerror or "") from None
    finally:
        draft.unlink(missing_ok=True)
