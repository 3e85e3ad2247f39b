"""`reversald resolve`: a person closes a case, with name and reason."""

import click

from agent import exits
from agent.cli.base import Call, common, emit
from agent.cli.localapi import ask
from agent.core.model import Incident
from agent.incident import printable
from agent.words import word

HOW = ("refunded", "collected", "written_off", "no_action")
CLOSES_THE_CASE = ("in_doubt", "declined_uncertain", "settlement")


@click.command(
    epilog="""\b
Examples:
  reversald resolve 000123 --as refunded --by Li --note "cash, slip 17"
  reversald resolve 5D0C2C9A --as no_action --by Li
"""
)
@click.argument("which", metavar="ID|STAN|INCIDENT")
@click.option("--as", "resolution", required=True, type=click.Choice(HOW), help="What was done.")
@click.option("--by", required=True, metavar="NAME", help="Who closes it.")
@click.option("--note", default="", metavar="TEXT", help="Why.")
@common
def resolve(call: Call, *, which: str, resolution: str, by: str, note: str) -> None:
    """Close a case: from then on no reversal is sent for it."""
    incident = _incident(call, which)
    ask(call, "POST", f"/v1/incidents/{incident.id}/resolve", {"as": resolution, "by": by, "note": note})
    if call.as_json:
        emit({"incident": incident.id, "transaction": incident.transaction, "resolution": resolution})
        return
    code = word("incident", incident.code, call.lang)
    click.echo(call.say("resolved", incident=incident.id[:8].upper(), code=code, how=word("resolution", resolution, call.lang)))


def _incident(call: Call, which: str) -> Incident:
    """The open incident that is meant: by its own number, or the one that is the case of a transaction."""
    with call.journal() as reader:
        found = reader.open_incidents(which)
        if not found:
            rows = [row for each in call.one(reader, which) for row in reader.family(each.id)]
            found = [row for row in rows if isinstance(row, Incident) and row.open]
    cases = [row for row in found if row.code in CLOSES_THE_CASE] or found
    if not cases:
        raise call.fail(exits.USAGE, "nothing_open", text=printable(which))
    if len(cases) > 1:
        ids = ", ".join(row.id[:8].upper() for row in cases[:5])
        raise call.fail(exits.USAGE, "several_incidents", text=printable(which), ids=ids)
    return cases[0]
