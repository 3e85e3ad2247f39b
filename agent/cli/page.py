"""`reversald page`: a link with which a browser on this terminal opens the cashier's screen or the technician's page, once."""

import click

from agent.cli.base import Call, common, emit
from agent.cli.localapi import ask
from agent.words import duration

PAGES = ("cashier", "technician")


@click.command(
    epilog="""\b
Examples:
  reversald page                    for the WebView at the till
  reversald page technician --lang en
"""
)
@click.argument("which", metavar="PAGE", type=click.Choice(PAGES), default="cashier")
@common
def page(call: Call, *, which: str) -> None:
    """A link to the cashier's screen or the technician's page: for a browser on this terminal, good for once."""
    made = ask(call, "POST", "/v1/pages/link", {"page": which, "lang": call.lang})
    if call.as_json:
        emit(made)
        return
    click.echo(made["url"])
    click.echo(call.say("page_link", valid=duration(int(made["valid_ms"]), call.lang)), err=True)
