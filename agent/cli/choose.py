"""Which one a person means: the one transaction behind an id, STAN or slip code."""

from agent import exits
from agent.cli.base import Call
from agent.core.model import Transaction
from agent.journal.reader import Reader


def one_transaction(call: Call, which: str) -> str:
    """The id of the one transaction that something is to be done with, or Failure; also when its row is damaged."""
    with call.journal() as reader:
        return the_one(call, reader, which).id


def the_one(call: Call, reader: Reader, which: str) -> Transaction:
    """The one transaction that is meant, or Failure."""
    found = call.one(reader, which)
    if len(found) > 1:
        ids = ", ".join(row.id for row in found[:5])
        raise call.fail(exits.USAGE, "several", text=which, count=len(found), ids=ids)
    return found[0]
