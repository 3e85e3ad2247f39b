"""Runs `reversald-fleet`, and kills it with -9 around the n-th commit of events: a launcher for tests, no product code.

killed_serve.py before|after N ARGUMENTS...
"""

import os
import signal
import sys

from fleet.__main__ import main
from fleet.sqlite import SqliteStore
from fleet.store import Batch, Mark

WHEN, NUMBER = sys.argv[1], int(sys.argv[2])
_ingest = SqliteStore.ingest
_seen = 0


def ingest(self: SqliteStore, batch: Batch) -> list[Mark]:
    """The real one, with death before or after."""
    global _seen
    _seen += bool(batch.events)
    fatal = bool(batch.events) and _seen == NUMBER
    if fatal and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    marks = _ingest(self, batch)
    if fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return marks


SqliteStore.ingest = ingest  # type: ignore[method-assign]
main(sys.argv[3:])
