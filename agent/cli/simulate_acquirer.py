"""`reversald simulate acquirer`: the acquirer's host on a socket, with a ledger, and faults to order."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from agent import exits
from agent.cli import simulated
from agent.cli.base import Failure
from agent.cli.hostrules import host_rules
from agent.cli.texts import say
from agent.problem import ConfigError
from agent.profile import AcquirerProfile, load
from agent.words import Lang
from device.acquirer.mac import ALGORITHMS
from device.acquirer.message import Codec
from device.simulator.acquirer import AcquirerServer, Line
from device.simulator.acquirer_model import AcquirerModel
from device.simulator.control import ControlServer
from device.simulator.faults import WORDS, Faults
from device.simulator.ledger import Ledger
from device.simulator.script import FaultError

_FORM = ("MTI=FAULT", "0400=drop-reply")
_ARROWS = {"in": "→", "out": "←"}
_WORDS = "\n".join(f"  {word:<13} {meaning}" for word, meaning in WORDS.items())
_EPILOG = f"""\b
Faults are words joined by +, and @0.3 at the end for three times in ten:
{_WORDS}

\b
Examples:
  reversald simulate acquirer --port 8583
      approves every sale; test key, UnionPay's MAC
  reversald simulate acquirer --set 0200=drop-reply
      books every sale, and every answer is lost
  reversald simulate acquirer --scenario 0400=drop,96,00
      the first reversal gets no answer, the second 96, the third is accepted
  reversald simulate acquirer --profile ascii-1987
      plain ISO 8583:1987 in ASCII instead of UnionPay's
  reversald simulate acquirer --set 0200=late:5000 --ledger ledger.json
      answers 25 to the reversal, and books the late sale afterwards
  reversald simulate acquirer --control 127.0.0.1:8584
      then: echo '{{"set": {{"*": "drop-request"}}}}' | nc -q1 127.0.0.1 8584
            echo '{{"refuse": true}}' · '{{"cut": true}}' · '{{"clear": true}}' · '{{"ledger": true}}'
"""


class Settings(NamedTuple):
    """What the simulator was started with, beside its model."""

    server: AcquirerServer
    control: str | None
    refuse: bool


@click.command(epilog=_EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8583, show_default=True, help="0: any free one, printed.")
@click.option("--profile", "profile_name", default="unionpay", show_default=True, metavar="NAME|FILE.toml",
              help="The acquirer whose host it plays, as in `acquirer.profile`.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="MAC.  [default: the profile's]")
@click.option("--key-file", type=click.Path(path_type=Path), help="MAC key as hex, mode 0600; else the public test key.")
@click.option("--tpdu", help="TPDU as hex; only its length matters here.  [default: the profile's]")
@click.option("--header", help="Header as hex; only its length matters.  [default: the profile's]")
@click.option("--set", "standing", multiple=True, metavar="MTI=FAULT", help="Standing fault; MTI may be *.")
@click.option("--scenario", "scripts", multiple=True, metavar="MTI=FAULT,…", help="What the next messages meet, in turn.")
@click.option("--no-original", type=click.Choice(["25", "12"]),
              help="The answer to an unknown reversal.  [default: the profile's; unionpay: 25]")
@click.option("--cutoff", type=click.IntRange(0, 24), default=23, show_default=True, metavar="HOUR",
              help="When the business day ends.")
@click.option("--refuse", is_flag=True, help="Refuse connections until --control says otherwise.")
@click.option("--seed", type=int, default=0, show_default=True, help="For faults with a chance.")
@click.option("--ledger", "ledger_file", type=click.Path(path_type=Path), help="Write the books there after each change.")
@click.option("--control", metavar="ADDRESS", help="Take orders on 127.0.0.1:PORT or a Unix socket's path.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Speak TLS with this certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key, when not in the same file.")
@click.option("--tls-ca", type=click.Path(path_type=Path), help="Ask terminals for a certificate of this authority.")
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines.")
@simulated.language
def acquirer(
    host: str, port: int, profile_name: str, algorithm: str | None, key_file: Path | None, tpdu: str | None,
    header: str | None, standing: tuple[str, ...], scripts: tuple[str, ...], no_original: str | None, cutoff: int, refuse: bool,
    seed: int, ledger_file: Path | None, control: str | None, tls_cert: Path | None, tls_key: Path | None,
    tls_ca: Path | None, as_json: bool, lang: Lang,
) -> None:
    """Play the acquirer's host: it keeps a ledger, and goes wrong as it is told.

    It answers every kind of transaction of its profile, reversal, balance inquiry, echo test, sign-in and settlement as
    such a host does, keeps holds and books, checks every MAC, and logs each message with the card number masked. SIGTERM
    and Ctrl-C end it.
    """
    spoken = _profile(profile_name, lang)
    line = spoken.line
    try:
        faults = Faults(random.Random(seed))  # noqa: S311  (no secret: a seed that anyone can repeat)
        faults.set(dict(simulated.pairs(standing, *_FORM)))
        faults.scenario({mti: texts.split(",") for mti, texts in simulated.pairs(scripts, *_FORM)})
        server = AcquirerServer(
            AcquirerModel(faults, rules=host_rules(spoken, no_original), cutoff_hour=cutoff), host, port,
            codec=Codec(
                msgspec.structs.replace(
                    line, tpdu=_hex("--tpdu", line.tpdu if tpdu is None else tpdu, lang),
                    header=_hex("--header", line.header if header is None else header, lang),
                )
            ),
            mac=simulated.software_mac(algorithm or spoken.mac.algorithm, key_file),
            tls=simulated.server_tls(tls_cert, tls_key, tls_ca, lang), on_line=simulated.teller(_readable, as_json=as_json),
            on_change=_ledger_writer(ledger_file, lang) if ledger_file else None,
        )
    except (FaultError, ConfigError) as error:
        raise click.UsageError(simulated.told(error, lang)) from None
    simulated.play(partial(_serve, Settings(server, control, refuse)), "sim_acquirer", lang)


async def _serve(settings: Settings, ended: asyncio.Event) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(settings.server)
        if settings.refuse:
            await settings.server.refuse(True)
        if settings.control:
            control = await stack.enter_async_context(ControlServer(settings.server, settings.control))
            settings.server.log(Line(_now_ms(), "listening", note=f"control {control.address}"))
        await ended.wait()


def _readable(line: Line) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(line.at_ms / 1000)) + f".{line.at_ms % 1000:03d}"
    if line.what not in _ARROWS:
        return f"{clock}  {line.what} {line.note}".rstrip()
    parts = [
        f"{clock}  {_ARROWS[line.what]} {line.mti}",
        line.response_code and f"[{line.response_code}]",
        line.stan and f"STAN {line.stan}",
        line.batch and f"batch {line.batch}",
        "" if line.amount_fen is None else f"{line.amount_fen // 100}.{line.amount_fen % 100:02d}元",
        line.pan,
        line.note,
    ]
    return "  ".join(part for part in parts if part)


def _ledger_writer(path: Path, lang: Lang) -> Callable[[Ledger], None]:
    def write(ledger: Ledger) -> None:
        try:
            _write(path, ledger)
        except OSError as error:
            click.echo(say("sim_ledger", lang, path=path, detail=error.strerror), err=True)

    try:
        _write(path, Ledger())
    except OSError as error:
        raise click.UsageError(say("sim_ledger", lang, path=path, detail=error.strerror)) from None
    return write


def _write(path: Path, ledger: Ledger) -> None:
    """Write the books whole to a file beside `path` and rename it: a reader sees the old books or the new."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(ledger.rows()), indent=1) + b"\n")
    beside.replace(path)


def _profile(name: str, lang: Lang) -> AcquirerProfile:
    try:
        return load(name, Path(), "--profile")
    except ConfigError as error:
        raise Failure(exits.CONFIGURATION, simulated.told(error, lang)) from None


def _hex(option: str, text: str, lang: Lang) -> str:
    try:
        bytes.fromhex(text)
    except ValueError:
        raise click.UsageError(say("sim_hex", lang, option=option)) from None
    return text


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
