"""`reversald simulate wallet`: a wallet gateway on a socket, with a ledger, and faults to order."""

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from agent import exits
from agent.cli import simulated
from agent.cli.base import Failure
from agent.keyfile import read_key
from agent.problem import ConfigError
from device.simulator.script import FaultError
from device.simulator.wallet.faults import WORDS, Faults
from device.simulator.wallet.model import FATES, WalletModel
from device.simulator.wallet.server import Line, WalletServer

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
def wallet(
    host: str, port: int, key_file: Path | None, standing: tuple[str, ...], scripts: tuple[str, ...], paying_cancels: bool,
    seed: int, tls_cert: Path | None, tls_key: Path | None, as_json: bool,
) -> None:
    """Play a wallet gateway: it keeps a ledger of orders, and goes wrong as it is told.

    It answers query, cancel and refund as docs/wallets.md has them. SIGTERM and Ctrl-C end it.
    """
    try:
        faults = Faults(random.Random(seed))  # noqa: S311  (no secret: a seed that anyone can repeat)
        faults.set(dict(_pair(text) for text in standing))
        faults.scenario({call: texts.split(",") for call, texts in map(_pair, scripts)})
        key = read_key(key_file, (32,), "--key-file") if key_file else None
        tls = _tls(tls_cert, tls_key)
    except (FaultError, ConfigError) as error:
        raise click.UsageError(str(error)) from None
    try:
        asyncio.run(_serve(host, port, WalletModel(paying_refuses=not paying_cancels), faults, key, tls, _printer(as_json)))
    except OSError as error:
        raise Failure(exits.UNAVAILABLE, f"the simulated wallet cannot start: {error}") from None


async def _serve(
    host: str, port: int, model: WalletModel, faults: Faults, key: bytes | None, tls: ssl.SSLContext | None,
    on_line: Callable[[Line], None],
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(WalletServer(model, host, port, key=key, faults=faults, tls=tls, on_line=on_line))
        await simulated.ended().wait()


def _printer(as_json: bool) -> Callable[[Line], None]:
    simulated.prepare_output()
    return lambda line: simulated.say(msgspec.json.encode(line).decode() if as_json else _readable(line))


def _readable(line: Line) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(line.at_ms / 1000)) + f".{line.at_ms % 1000:03d}"
    return "  ".join(part for part in (clock, line.what, line.order_no, line.state, line.note) if part)


def _pair(text: str) -> tuple[str, str]:
    call, equals, told = text.partition("=")
    if not equals:
        raise FaultError(f"{text!r} says nothing: write CALL=FAULT, as cancel=lie")
    return call.strip(), told


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        if key:
            raise click.UsageError("--tls-key needs --tls-cert")
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
    except OSError as error:
        raise click.UsageError(f"the TLS files cannot be used: {error.strerror or error}") from None
    return context
