"""Exports that are lines of text: JSON lines with the proof of the chain, and CSV for a spreadsheet."""

import csv as comma
import io
from typing import BinaryIO

import msgspec

from agent.cli.exportjob import Job
from agent.incident import moment

COLUMNS = ("seq", "at", "type", "transaction", "incident", "text", "boot", "mono_ms", "wall_ms", "clk", "data", "hash")
_RISKY = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula


def jsonl(job: Job, file: BinaryIO) -> int:
    """{"at", "entry", "hash", "text"} a line. `entry` is byte for byte what the hash was taken over (see `link`)."""
    count = 0
    for entry, body, hash_ in job.entries():
        said = moment(entry, job.call.lang, job.offset)
        line = {"at": said.at, "entry": msgspec.Raw(body), "hash": hash_, "text": said.text}
        file.write(msgspec.json.encode(line) + b"\n")
        count += 1
    return count


def csv(job: Job, file: BinaryIO) -> int:
    """One row per entry. Starts with a byte-order mark, without which spreadsheets read Chinese wrong."""
    count = 0
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = comma.writer(text)
    writer.writerow(COLUMNS)
    for entry, _, hash_ in job.entries():
        said = moment(entry, job.call.lang, job.offset)
        data = msgspec.json.encode(entry.data, order="sorted").decode()
        writer.writerow(
            [entry.seq, said.at, entry.type, entry.transaction, entry.incident, _cell(said.text), entry.boot,
             entry.mono_ms, entry.wall_ms, entry.clk, data, hash_]
        )
        count += 1
    text.flush()
    text.detach()  # the stream stays its owner's
    return count


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_RISKY) else text
