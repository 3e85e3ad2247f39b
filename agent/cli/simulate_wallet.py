"""`reversald simulate wallet`: a wallet gateway on a socket, with a ledger, and faults to order."""

import asyncio
import random
import time
from functools import partial
from pathlib import Path

import click

from agent.cli import simulated
from agent.keyfile import read_key
from agent.problem import ConfigError
from agent.words import Lang
from device.simulator.script import FaultError
from device.simulator.wallet.faults import WORDS, Faults
from device.simulator.wallet.model import FATES, WalletModel
from device.simulator.wallet.server import Line, WalletServer

_FORM = ("CALL=FAULT", "cancel=lie")
_WORDS = "\n".join(f"  {word:<9} {meaning}" for word, meaning in WORDS.items())
_FATES = "\n".join(f"  {word:<9} {meaning}" for word, meaning in FATES.items())
_EPILOG = f"""\b
Faults of a call (query, cancel, refund), and @0.3 at the end for three times in ten:
{_WORDS}

\b
What may become of a payment:
{_FATES}

\b
Examples:
  reversald simulate wallet --port 8600 --key-file wallet.key
  reversald simulate wallet --set query=unknown@0.3 --scenario cancel=lie,silent
      then: curl http://127.0.0.1:8600/simulator/pay -d '{{"order_no": "20260302001", "amount_fen": 100, "fate": "late:40000"}}'
            curl http://127.0.0.1:8600/simulator/faults -d '{{"set": {{"cancel": "refuse"}}}}'
            curl http://127.0.0.1:8600/simulator/ledger
"""


@click.command(epilog=_EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="0: any free one, printed.")
@click.option("--key-file", type=click.Path(path_type=Path), help="Key of the signatures, mode 0600; else none is checked.")
@click.option("--set", "standing", multiple=True, metavar="CALL=FAULT", help="Standing fault.")
@click.option("--scenario", "scripts", multiple=True, metavar="CALL=FAULT,…", help="What the next calls meet, in turn.")
@click.option("--paying-cancels", is_flag=True, help="Take a cancel while the customer is asked for a password.")
@click.option("--seed", type=int, default=0, show_default=True, help="For faults with a chance.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Speak HTTPS with this certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key, when not in the same file.")
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines.")
@simulated.language
def wallet(
    host: str, port: int, key_file: Path | None, standing: tuple[str, ...], scripts: tuple[str, ...], paying_cancels: bool,
    seed: int, tls_cert: Path | None, tls_key: Path | None, as_json: bool, lang: Lang,
) -> None:
    """Play a wallet gateway: it keeps a ledger of orders, and goes wrong as it is told.

    It answers query, cancel and refund as docs/wallets.md has them. SIGTERM and Ctrl-C end it.
    """
    try:
        faults = Faults(random.Random(seed))  # noqa: S311  (no secret: a seed that anyone can repeat)
        faults.set(dict(simulated.pairs(standing, *_FORM)))
        faults.scenario({call: texts.split(",") for call, texts in simulated.pairs(scripts, *_FORM)})
        key = read_key(key_file, (32,), "--key-file") if key_file else None
        tls = simulated.server_tls(tls_cert, tls_key, None, lang)
    except (FaultError, ConfigError) as error:
        raise click.UsageError(simulated.told(error, lang)) from None
    model, on_line = WalletModel(paying_refuses=not paying_cancels), simulated.teller(_readable, as_json=as_json)
    server = WalletServer(model, host, port, key=key, faults=faults, tls=tls, on_line=on_line)
    simulated.play(partial(_serve, server), "sim_wallet", lang)


async def _serve(server: WalletServer, ended: asyncio.Event) -> None:
    async with server:
        await ended.wait()


def _readable(line: Line) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(line.at_ms / 1000)) + f".{line.at_ms % 1000:03d}"
    return "  ".join(part for part in (clock, line.what, line.order_no, line.state, line.note) if part)
