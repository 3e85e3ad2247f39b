"""Export as an SQLite file with plain columns, made by sqlite-utils: to ask questions with any SQL tool."""

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from agent.cli.exportjob import Job
from agent.incident import moment
from agent.journal.chain import Entry
from agent.journal.rows import TABLES

BATCH = 500
_TABLES: dict[Any, str] = {**TABLES}
_HIDDEN = frozenset({"vault", "document"})  # a reference that means nothing elsewhere, and what was printed


def write(job: Job, path: Path) -> int:
    """Tables `timeline`, `transactions`, `reversals`, `incidents`, `jobs`; `damaged` names those that may be wrong or missing.

    Values that are not plain are JSON.
    """
    database = Database(str(path))
    try:
        # The draft is thrown away when anything fails, so the file needs no journal of its own.
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        for kind, table in _TABLES.items():
            columns = {name: _sql_type(name) for name in kind.__struct_fields__ if name not in _HIDDEN}
            database.table(table).create(columns, pk="id")
            database.table(table).insert_all(_rows(job, kind), batch_size=BATCH, pk="id")
        database.table("damaged").create({"row": str}, pk="row")
        database.table("damaged").insert_all(({"row": name} for name in job.reader.damaged), pk="row")
        types = {"seq": int, "at": str, "text": str, "type": str, "transaction": str, "incident": str, "boot": int,
                 "mono_ms": int, "wall_ms": int, "clk": str, "data": str, "hash": str}
        database.table("timeline").create(types, pk="seq")
        counted = _Counted(job.entries())
        database.table("timeline").insert_all(
            (_moment(job, entry, hash_) for entry, _, hash_ in counted), batch_size=BATCH, pk="seq"
        )
        database.table("timeline").create_index(["transaction"])
    except sqlite3.Error as error:  # of this file: what goes wrong with the journal is Unreadable
        raise OSError(errno.EIO, str(error)) from None
    else:
        return counted.count
    finally:
        database.close()


class _Counted:
    """The entries, counted as they pass."""

    def __init__(self, entries: Iterator[tuple[Entry, bytes, str]]) -> None:
        self._entries = entries
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Entry, bytes, str]]:
        for entry in self._entries:
            self.count += 1
            yield entry


def _sql_type(name: str) -> type:
    numbers = {"number", "open", "sends", "sends_left", "slips", "marked", "opportunities", "key_answers"}
    return int if name in numbers or name.endswith(("_fen", "_ms", "_bytes")) else str


def _rows(job: Job, kind: type[Any]) -> Iterator[dict[str, Any]]:
    for row in job.reader.rows(kind):
        yield {name: _plain(getattr(row, name)) for name in kind.__struct_fields__ if name not in _HIDDEN}


def _moment(job: Job, entry: Entry, hash_: str) -> dict[str, Any]:
    said = moment(entry, job.call.lang, job.offset)
    return {
        "seq": entry.seq, "at": said.at, "text": said.text, "type": entry.type, "transaction": entry.transaction,
        "incident": entry.incident, "boot": entry.boot, "mono_ms": entry.mono_ms, "wall_ms": entry.wall_ms,
        "clk": entry.clk, "data": _plain(entry.data), "hash": hash_,
    }


def _plain(value: object) -> object:
    if value is None or isinstance(value, int | str):
        return value
    return msgspec.json.encode(value, order="sorted").decode()
