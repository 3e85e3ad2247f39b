"""The end of the demo: the acquirer's books against the agent's journal, fen by fen."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from agent.envelope import PUBLISHED

NOTHING_OWED = frozenset({"declined", "not_sent", "reversed", "no_original"})


class Verdict(msgspec.Struct):
    """What the comparison found. `lost`: booked by the host, unknown to the journal. `double`: net debit above the amount."""

    ok: bool
    transactions: int
    reversed: int
    lost: int
    double: int
    net_debit_errors: int
    events_sent: int
    events_ingested: int
    receipts: list[str]


def rows(database: Path) -> dict[str, tuple[str, int]]:
    """{STAN: (state, amount_fen)} as the journal has it."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as journal:
        query = journal.execute("SELECT stan, state, amount_fen FROM transactions")
        return {stan: (state, amount_fen) for stan, state, amount_fen in query}


def published(database: Path) -> int:
    """How many journal entries belong to the fleet."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as journal:
        return sum(str(kind).split(".")[0] in PUBLISHED for (kind,) in journal.execute("SELECT type FROM journal"))


def delivered(database: Path) -> bool:
    """True when telemetry is done with every entry that belongs to the fleet."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as journal:
        cursor = int(journal.execute("SELECT value FROM meta WHERE key = 'cursor'").fetchone()[0])
        later = journal.execute("SELECT type FROM journal WHERE seq > ?", (cursor,))
        return not any(str(kind).split(".")[0] in PUBLISHED for (kind,) in later)


def judge(ledger: dict[str, dict[str, Any]], database: Path, ingested: int, receipts: Path) -> Verdict:
    """Compare; `ok` only when nothing at all is different."""
    journal = rows(database)
    lost = double = wrong = 0
    for stan, booked in ledger.items():
        net_debit_fen = int(booked["net_debit_fen"])
        if stan not in journal:
            lost += 1
            continue
        state, amount_fen = journal[stan]
        double += net_debit_fen > amount_fen
        owed_fen = amount_fen if state == "approved" else 0
        wrong += state not in NOTHING_OWED | {"approved"} or net_debit_fen != owed_fen
    wrong += sum(state == "approved" and stan not in ledger for stan, (state, _) in journal.items())
    sent = published(database)
    return Verdict(
        ok=not (lost or double or wrong) and sent == ingested, transactions=len(journal),
        reversed=sum(state == "reversed" for state, _ in journal.values()), lost=lost, double=double, net_debit_errors=wrong,
        events_sent=sent, events_ingested=ingested, receipts=[str(path) for path in sorted(receipts.glob("*.png"))],
    )
