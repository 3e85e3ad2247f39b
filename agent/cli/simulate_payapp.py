"""`reversald simulate payapp`: a payment app whose own kernel reverses, with the defects of shipped apps as switches."""

import asyncio
from functools import partial
from pathlib import Path

import click

from agent import exits
from agent.cli import simulated
from agent.cli.base import Failure
from agent.cli.texts import say
from agent.problem import ConfigError
from agent.words import Lang
from device.acquirer.mac import ALGORITHMS
from device.simulator.payapp.kernel import DEFECTS, Kernel
from device.simulator.payapp.server import PayappServer
from device.simulator.payapp.till import Till

_DEFECTS = "\n".join(f"  {name:<5} {meaning}" for name, meaning in DEFECTS.items())
_EPILOG = f"""\b
Defects (--defect, several times for several):
{_DEFECTS}

\b
Orders while it runs, on its own port:
  curl http://127.0.0.1:8732/simulator/sale -d '{{{{"amount_fen": 100}}}}'
  curl -X POST http://127.0.0.1:8732/simulator/settle      (also balance, update, day, crash)
  curl http://127.0.0.1:8732/simulator/card -d '{{{{"present": false}}}}'
  curl http://127.0.0.1:8732/simulator/state

\b
Examples:
  reversald simulate payapp --agent reversald.sock --host 127.0.0.1:8583
  reversald simulate payapp --agent reversald.sock --host 127.0.0.1:8583 --pull --no-flush --defect T3
""".replace("{{", "{").replace("}}", "}")


@click.command(epilog=_EPILOG)
@click.option("--agent", type=click.Path(path_type=Path), default=Path("reversald.sock"), show_default=True,
              help="The agent's Unix socket.")
@click.option("--host", default="127.0.0.1:8583", show_default=True, metavar="ADDRESS", help="The acquirer's host.")
@click.option("--port", type=click.IntRange(0, 65535), default=8732, show_default=True, help="0: any free one, printed.")
@click.option("--pull", is_flag=True, help="Open no port for the agent: read its requests from the event stream.")
@click.option("--no-flush", is_flag=True, help="Know no flush: only the balance inquiry.")
@click.option("--no-card", is_flag=True, help="Nobody puts in a card when it is asked for.")
@click.option("--defect", "defects", multiple=True, type=click.Choice(list(DEFECTS)), help="Be an app with this defect.")
@click.option("--state", type=click.Path(path_type=Path), help="File of what survives a crash; else nothing does.")
@click.option("--reply-ms", type=click.IntRange(1, 90_000), default=20_000, show_default=True, help="Wait for the host.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="unionpay-ecb", show_default=True, help="MAC.")
@click.option("--key-file", type=click.Path(path_type=Path), help="MAC key as hex, mode 0600; else the public test key.")
@simulated.language
def payapp(
    agent: Path, host: str, port: int, pull: bool, no_flush: bool, no_card: bool, defects: tuple[str, ...], state: Path | None,
    reply_ms: int, algorithm: str, key_file: Path | None, lang: Lang,
) -> None:
    """Play a payment app in mode payapp: its kernel sends its own 0400 ahead of the next online transaction.

    It sells when ordered to, asks the agent for permission, and answers what the agent asks. SIGTERM and Ctrl-C end it.
    """
    name, _, number = host.rpartition(":")
    if not (number.isascii() and number.isdecimal() and 0 < int(number) < 65536 and name):
        raise click.UsageError(say("sim_address", lang, text=host))
    try:
        mac = simulated.software_mac(algorithm, key_file)
    except ConfigError as error:
        raise click.UsageError(simulated.told(error, lang)) from None
    try:
        kernel = Kernel(state, defects)
        kernel.save()
    except OSError as error:
        raise Failure(exits.UNAVAILABLE, say("sim_payapp", lang, detail=error)) from None
    till = Till(
        agent, name.strip("[]"), int(number), kernel, mac, reply_ms=reply_ms, card=not no_card,
        can_flush=not no_flush, on_line=simulated.show,
    )
    simulated.play(partial(_serve, PayappServer(till, port=port, pull=pull)), "sim_payapp", lang)


async def _serve(server: PayappServer, ended: asyncio.Event) -> None:
    async with server:
        server.till.say(f"listening on 127.0.0.1:{server.port}")
        await ended.wait()
