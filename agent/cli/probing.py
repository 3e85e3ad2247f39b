"""`reversald print probe`: with a person beside the printer, find out what it can do, and write its profile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent import exits
from agent.cli.base import Call, Failure, common, emit
from agent.cli.localapi import probe as daemon_of
from agent.words import word
from device.descriptor import Port
from device.errors import PortError, PortUnavailable
from device.printer import READY

if TYPE_CHECKING:
    from device.printer.probe import Answers

ANSWERS = {"yes": True, "y": True, "是": True, "no": False, "n": False, "否": False}


@click.command(
    "probe",
    epilog="""\b
Examples:
  reversald print probe --port /dev/ttyS1 --baud 9600 --output /etc/reversald/printer.toml
  reversald print probe --port tcp://192.168.1.50:9100
  reversald print probe --answers yes,no,yes,no        for scripts: the answers in the order of the questions

\b
Then, in the configuration: profile = "/etc/reversald/printer.toml"
""",
)
@click.option("--port", metavar="PORT", help="The printer; the configuration's own by default.")
@click.option("--baud", type=click.IntRange(300, 1_000_000), help="Speed of a serial line; the configuration's own by default.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the profile there, not to the screen.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--answers", metavar="YES,NO,…", help="Answer the questions from here and ask nobody.")
@common
def probe(call: Call, *, port: str | None, baud: int | None, output: Path | None, force: bool, answers: str | None) -> None:
    """Find out what a printer can do: what it answers, and what a person sees on its paper."""
    from device.printer.probe import as_toml, listen, profile_of

    name = port or call.config.printer.port
    if name is None:
        raise call.fail(exits.USAGE, "probe_no_port")
    if output is not None and output.exists() and not force:
        raise call.fail(exits.USAGE, "exists", path=output)
    ask = _asker(call, answers)
    _not_the_daemons(call, name)
    with _opened(call, name, baud or call.config.printer.baud) as line:
        heard = listen(line)
        if heard.fault not in READY:
            raise call.fail(exits.UNAVAILABLE, "probe_fault", fault=word("fault", heard.fault, call.lang))
        click.echo(_heard(call, heard), err=True)
        seen = _look(call, line, ask)
    profile = profile_of(call.say("probe_name", columns="48" if seen["one_line"] else "32"), heard, seen)
    text = as_toml(profile)
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise call.fail(exits.UNAVAILABLE, "cannot_write", path=output, detail=error.strerror) from None
    if call.as_json:
        emit(profile)
    elif output is None:
        click.echo(text, nl=False)
    else:
        click.echo(call.say("probe_written", path=output))


def _look(call: Call, line: Port, ask: Callable[[str], bool]) -> dict[str, bool]:
    """Print the test slips one by one and ask what came out."""
    from device.printer.probe import NARROW, WIDE, send, trial

    seen: dict[str, bool] = {}
    columns = NARROW
    for question in ("readable", "one_line", "qr_native", "qr_raster", "cut"):
        if question == "qr_raster" and seen["qr_native"]:
            continue
        send(line, trial(question, columns))
        seen[question] = ask(question)
        if question == "readable" and not seen[question]:
            raise call.fail(exits.UNAVAILABLE, "probe_unreadable")
        if question == "one_line" and seen[question]:
            columns = WIDE
    return seen


def _asker(call: Call, answers: str | None) -> Callable[[str], bool]:
    """How a question is answered: by a person, or from the list."""
    if answers is None:
        return lambda question: click.confirm(call.say(f"probe_{question}"), default=None, err=True)
    words = [word_.strip().lower() for word_ in answers.split(",")]
    if wrong := [text for text in words if text not in ANSWERS]:
        raise call.fail(exits.USAGE, "probe_bad_answer", text=wrong[0])
    rest = iter(words)

    def following(question: str) -> bool:
        text = next(rest, None)
        if text is None:
            raise call.fail(exits.USAGE, "probe_few_answers", question=call.say(f"probe_{question}"))
        return ANSWERS[text]

    return following


def _not_the_daemons(call: Call, name: str) -> None:
    """Two programs on one port would take each other's answers."""
    if daemon_of(call.config.hook.socket) == "stopped" or call.config.printer.driver == "disabled":
        return
    own = call.config.printer.port or ""
    if own == name or (own.startswith("/") and Path(own).resolve() == Path(name).resolve()):
        raise call.fail(exits.UNAVAILABLE, "probe_held", port=name)


@contextmanager
def _opened(call: Call, name: str, baud: int) -> Iterator[Port]:
    """The port, and every trouble with it as one sentence."""
    from device.printer.factory import open_port
    from device.printer.probe import TRIAL

    try:
        line = open_port(name, baud, TRIAL)
        line.open()
        try:
            yield line
        finally:
            line.close()
    except (PortError, ValueError) as error:
        raise _trouble(call, name, error) from None


def _trouble(call: Call, name: str, error: Exception) -> Failure:
    if isinstance(error, PortUnavailable) and error.cause == "held":
        return call.fail(exits.UNAVAILABLE, "probe_held", port=name)
    return call.fail(exits.UNAVAILABLE, "probe_port", detail=error)


def _heard(call: Call, heard: "Answers") -> str:
    numbers = " ".join(str(n) for n in heard.status) or "-"
    yes, no = call.say("yes"), call.say("no")
    marks = {key: yes if getattr(heard, key) else no for key in ("fence", "process_id", "asb")}
    return call.say("probe_heard", status=numbers, **marks)
