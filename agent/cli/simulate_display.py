"""`reversald simulate display`: a customer display without the display, and with its troubles to order."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click
import msgspec

from agent import exits
from agent.cli import simulated
from agent.cli.base import Failure
from agent.cli.texts import say
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
    from device.errors import DeviceError
    from device.simulator.display import Options, serve

    simulated.prepare_output()
    options = Options(commands=commands, chinese=not latin, baud=baud, link=link, control=control)

    async def run() -> None:
        await serve(options, _print_json if as_json else _teller(lang), simulated.ended())

    try:
        asyncio.run(run())
    except (DeviceError, OSError) as error:
        raise Failure(exits.UNAVAILABLE, say("sim_display", lang, detail=simulated.told(error, lang))) from None


def _print_json(event: dict[str, object]) -> None:
    simulated.show(msgspec.json.encode(event).decode())


def _teller(lang: Lang) -> Callable[[dict[str, object]], None]:
    def text(event: dict[str, object]) -> None:
        if event["event"] == "ready":
            more = "".join(f", {name} {event[name]}" for name in ("link", "control") if name in event)
            simulated.show(say("sim_display_on", lang, port=event["port"], more=more))
        else:
            simulated.show(f"┌{'─' * 20}┐\n{_framed(str(event['upper']))}\n{_framed(str(event['lower']))}\n└{'─' * 20}┘")

    return text


def _framed(text: str) -> str:
    from device.simulator.display_model import COLUMNS, columns

    return f"│{text}{' ' * (COLUMNS - columns(text))}│"
