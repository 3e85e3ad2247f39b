"""`reversald simulate printer`: a receipt printer without the printer, and with its troubles to order."""

import asyncio
import re
from functools import partial
from pathlib import Path

import click

from agent.cli import simulated
from agent.cli.texts import say
from agent.words import Lang

EXAMPLES = """\b
Examples:
  reversald simulate printer --link /tmp/printer --output slips
      then in the configuration: port = "/tmp/printer"
  reversald simulate printer --profile mute-58mm
  reversald simulate printer --lines 20 --control /tmp/printer.ctl
      runs out of paper after 20 lines; then, from another terminal:
      echo '{"do":"paper_in"}' | nc -U -N /tmp/printer.ctl
  reversald simulate printer --tcp 127.0.0.1:9100

\b
Orders on the control socket, one JSON object per line:
  paper_out [after_lines, mid_line]  paper_in [lines]  cover_open  cover_close
  overheat [for_ms]  cool  jam  unjam  break  mend  silent  speak
  garbage  clean  stall  go  power_off  power_on  state
  with --bridge: battery_low  charge  die_at_roll (dead after the next roll, until connected anew)
"""


@click.command("printer", epilog=EXAMPLES)
@click.option("--profile", "profile_name", default="generic-58mm", show_default=True, help="The model: a name, or a .toml file.")
@click.option("--link", type=click.Path(path_type=Path), help="Also make this symbolic link to the pseudo terminal.")
@click.option("--control", type=click.Path(path_type=Path), help="Take orders on this Unix socket.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Write every slip there as .txt and .png.")
@click.option("--no-png", is_flag=True, help="Write text only; needs no font and no Pillow.")
@click.option("--tcp", metavar="HOST:PORT", help="Be a network printer instead of a serial one; port 0 takes a free one.")
@click.option("--bridge", metavar="ADDRESS", help="Be the bridge app of a built-in printer: unix:/path or tcp://127.0.0.1:port.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), default=115_200, show_default=True, help="Speed of the serial line.")
@click.option("--lines", type=click.IntRange(0), default=4000, show_default=True, help="Lines of paper on the roll.")
@click.option("--lines-per-s", type=click.FloatRange(0.1, 1000), default=20.0, show_default=True, help="Speed of the paper.")
@click.option("--seed", type=int, default=0, help="For the bytes of garbage replies.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event.")
@simulated.language
def printer(
    profile_name: str, link: Path | None, control: Path | None, output: Path | None, no_png: bool,
    tcp: str | None, bridge: str | None, baud: int, lines: int, lines_per_s: float, seed: int, as_json: bool,
    lang: Lang,
) -> None:  # fmt: skip
    """Simulate an ESC/POS receipt printer: on a pseudo terminal, or on a TCP port.

    It answers status, prints at the speed of paper, and can be told to run out of it.
    """
    from device.printer.profile import load_profile
    from device.simulator.printer_serve import Options, serve

    _check_addresses(tcp, bridge, link, lang)

    async def run(ended: asyncio.Event) -> None:
        options = Options(
            profile=load_profile(profile_name), baud=baud, lines_per_s=lines_per_s, lines=lines, seed=seed, tcp=tcp,
            bridge=bridge, link=link, control=control, output=output, pictures=not no_png,
        )  # fmt: skip
        await serve(options, simulated.teller(partial(_readable, lang), as_json=as_json), ended)

    simulated.play(run, "sim_printer", lang)


def _check_addresses(tcp: str | None, bridge: str | None, link: Path | None, lang: Lang) -> None:
    if tcp is not None and not (re.fullmatch(r"(tcp://)?[^:/]*:\d{1,5}", tcp) and _port(tcp) < 65536):
        raise click.UsageError(say("sim_tcp", lang, text=tcp))
    bridges = r"unix:.+|tcp://(127\.0\.0\.1|localhost):\d{1,5}"
    if bridge is not None and not (re.fullmatch(bridges, bridge) and _port(bridge) < 65536):
        raise click.UsageError(say("sim_bridge", lang, text=bridge))
    if tcp is not None and bridge is not None:
        raise click.UsageError(say("sim_two_printers", lang))
    if link is not None and (tcp or bridge):
        raise click.UsageError(say("sim_link", lang))


def _port(address: str) -> int:
    number = address.rpartition(":")[2]
    return int(number) if number.isdigit() and not address.startswith("unix:") else 0


def _readable(lang: Lang, event: dict[str, object]) -> str:
    if event["event"] == "ready":
        return simulated.ready("sim_printer_on", event, lang)
    if event["event"] == "slip":
        files = " ".join(str(event[kind]) for kind in ("txt", "png") if kind in event)
        return f"--- slip {event['number']} {files}\n{str(event['text']).rstrip()}\n---"
    return "printer: " + " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
