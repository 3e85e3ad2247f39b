"""Which one a person means: the one transaction behind an id, STAN or slip code."""

from agent import exits
from agent.cli.base import Call


def one_transaction(call: Call, which: str) -> str:
    """The id of the one transaction that is meant, or Failure."""
    with call.journal() as reader:
        found = call.one(reader, which)
    if len(found) > 1:
        ids = ", ".join(row.id for row in found[:5])
        raise call.fail(exits.USAGE, "several", text=which, count=len(found), ids=ids)
    return found[0].id
