"""`reversald display`: the customer display, as the daemon knows it, and a pattern to look at."""

import click

from agent import exits
from agent.cli.base import Call, common, emit
from agent.cli.localapi import ask
from agent.core.display import READY
from agent.words import word


@click.group(
    "display",
    epilog="""\b
Examples:
  reversald display status
  reversald display test

\b
The daemon holds the display's port; without it these commands exit with 69.
""",
)
def display_group() -> None:
    """The customer display: status and test pattern."""


@display_group.command("status", epilog="\b\nExample:\n  reversald display status --json\n")
@common
def display_status(call: Call) -> None:
    """Whether it can be written to. A pole display never answers: "connected" is as good as it gets."""
    fault = _fault(call)
    emit({"display": fault}) if call.as_json else click.echo(_said(call, fault))
    if fault not in READY:
        click.get_current_context().exit(exits.UNAVAILABLE)


@display_group.command("test", epilog="\b\nExample:\n  reversald display test\n")
@common
def display_test(call: Call) -> None:
    """Show a test pattern for ten seconds; refused while a customer is reading about a payment."""
    fault = _fault(call)
    if fault not in READY:
        emit({"display": fault, "sent": False}) if call.as_json else click.echo(_said(call, fault))
        click.get_current_context().exit(exits.UNAVAILABLE)
    ask(call, "POST", "/v1/display/test")
    emit({"display": fault, "sent": True}) if call.as_json else click.echo(call.say("display_tested"))


def _fault(call: Call) -> str:
    """Its fault as the daemon knows it. Raises Failure where there is no display."""
    fault = str(ask(call, "GET", "/v1/status").get("display"))
    if fault == "disabled":
        raise call.fail(exits.UNAVAILABLE, "no-display")
    return fault


def _said(call: Call, fault: str) -> str:
    return f"{call.say('display')}: {word('fault', fault, call.lang)}"
