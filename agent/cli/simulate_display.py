"""`reversald simulate display`: a customer display without the display, and with its troubles to order."""

from functools import partial
from pathlib import Path
from typing import Literal

import click

from agent.cli import simulated
from agent.words import Lang

EXAMPLES = """\b
Examples:
  reversald simulate display --link /tmp/display
      then in the configuration: driver = "cd5220", port = "/tmp/display"
  reversald simulate display --commands escpos --latin --control /tmp/display.ctl
      and from another terminal:
      echo '{"do":"unplug"}' | nc -U -N /tmp/display.ctl

\b
Orders on the control socket, one JSON object per line:
  unplug  plug  power_off  power_on  stall  go  noise  state
"""


@click.command("display", epilog=EXAMPLES)
@click.option(
    "--commands", type=click.Choice(["cd5220", "escpos"]), default="cd5220", show_default=True, help="The commands it is set to."
)
@click.option("--latin", is_flag=True, help="Be one without Chinese characters.")
@click.option("--link", type=click.Path(path_type=Path), help="Also make this symbolic link to the pseudo terminal.")
@click.option("--control", type=click.Path(path_type=Path), help="Take orders on this Unix socket.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), default=9_600, show_default=True, help="Speed of the serial line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event.")
@simulated.language
def display(
    commands: Literal["cd5220", "escpos"], latin: bool, link: Path | None, control: Path | None, baud: int,
    as_json: bool, lang: Lang,
) -> None:  # fmt: skip
    """Simulate a pole display of two lines on a pseudo terminal, and print what a customer would read."""
    from device.simulator.display import Options, serve

    options = Options(commands=commands, chinese=not latin, baud=baud, link=link, control=control)
    tell = simulated.teller(partial(_readable, lang), as_json=as_json)
    simulated.play(partial(serve, options, tell), "sim_display", lang)


def _readable(lang: Lang, event: dict[str, object]) -> str:
    if event["event"] == "ready":
        return simulated.ready("sim_display_on", event, lang)
    return f"┌{'─' * 20}┐\n{_framed(str(event['upper']))}\n{_framed(str(event['lower']))}\n└{'─' * 20}┘"


def _framed(text: str) -> str:
    from device.simulator.display_model import COLUMNS, columns

    return f"│{text}{' ' * (COLUMNS - columns(text))}│"
