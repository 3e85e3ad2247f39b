"""`reversald simulate`: peers to try the agent against, each loaded only when it is called."""

from collections.abc import Callable

import click


def _acquirer() -> click.Command:
    from agent.cli.simulate_acquirer import acquirer

    return acquirer


def _display() -> click.Command:
    from agent.cli.simulate_display import display

    return display


def _printer() -> click.Command:
    from agent.cli.simulate_printer import printer

    return printer


def _wallet() -> click.Command:
    from agent.cli.simulate_wallet import wallet

    return wallet


def _payapp() -> click.Command:
    from agent.cli.simulate_payapp import payapp

    return payapp


_COMMANDS: dict[str, Callable[[], click.Command]] = {
    "acquirer": _acquirer, "display": _display, "payapp": _payapp, "printer": _printer, "wallet": _wallet,
}


class LazyGroup(click.Group):
    """A group whose commands are imported when one is asked for: the agent must not carry them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """The names, in alphabetical order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        load = _COMMANDS.get(cmd_name)
        return load() if load else None


@click.group(cls=LazyGroup)
def simulate() -> None:
    """Simulated peers that speak the real protocols, with faults that can be switched."""
