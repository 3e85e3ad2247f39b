"""`reversald-fleet command`, `settle`, `replay`, `key`: what the operator orders of terminals, signed, and what came of it."""

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, get_args
from uuid import uuid4

import click
import msgspec

from agent import statementfile, statementlayout
from agent.commandform import ARGUMENTS, WINDOW_S, Change
from agent.envelope import Channel, Response, encode
from fleet import signing
from fleet.address import parse
from fleet.dispatch import Dispatch, Order, Outcome, send
from fleet.errors import OrderError
from fleet.link import Link
from fleet.options import NOTES, broker_options, channel_topics, say, show, spoken, until_told
from fleet.sqlite import SqliteStore
from fleet.words import Lang, response_line

REFUSED: Final = 1
SILENT: Final = 75
UNREACHED: Final = 69
PART_LINES: Final = 150  # of at most 240 bytes each: well inside what a command may have
NO_MATCHING_SUBSCRIBERS: Final = 0x10
Words = Sequence[str]


def _order_options(command: Callable[..., None]) -> Callable[..., None]:
    """How an order is signed, how long it counts, and in which form its answer is shown."""
    options: list[Callable[[Callable[..., None]], Callable[..., None]]] = [
        broker_options,
        click.option("--signing-key", "signing_key", required=True, envvar="REVERSALD_SIGNING_KEY", metavar="FILE",
                     type=click.Path(dir_okay=False, path_type=Path),
                     help="The private key that terminals know. [env: REVERSALD_SIGNING_KEY]"),
        click.option("--valid", type=click.FloatRange(1, 86_400), default=WINDOW_S, show_default=True, metavar="SECONDS",
                     help="How long it may be carried out; so long an answer is waited for."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object per line: each answer as it travelled."),
        click.option("--lang", type=click.Choice(["zh", "en"]), default=spoken, help="Language of the lines."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command("command", epilog="""
\b
Examples:
  reversald-fleet command T0000001 query what=status --fleet demo --broker mqtt://127.0.0.1 \\
      --signing-key fleet.key --wait
  reversald-fleet command T0000001 recover transaction=000123 --fleet demo \\
      --broker mqtt://127.0.0.1 --signing-key fleet.key --wait
  reversald-fleet command T0000001 config version=7 recovery.spacing_ms=60000 --fleet demo \\
      --broker mqtt://127.0.0.1 --signing-key fleet.key --wait
\b
Commands: query what=status|transaction|incident|incidents [of=ID] ·
reprint transaction=ID|STAN · recover transaction=ID|STAN · upload-log
from_seq=N [entries=N] · display zh=… en=… [seconds=N] · config version=N
section.key=VALUE … (a text of digits in quotes: '"400"') · replay from_seq=N.
A settlement file: `settle`.
""" + NOTES)  # fmt: skip
@click.argument("sn")
@click.argument("name", type=click.Choice(sorted(ARGUMENTS)))
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]…")
@_order_options
@click.option("--wait", is_flag=True, help="Wait for the terminal's answer, asking again until the order has expired.")
def command(*, sn: str, name: str, words: Words, wait: bool, **more: Any) -> None:
    """Order one thing of the terminal SN."""
    _one(sn, (name, arguments(name, words)), wait=wait, **more)


@click.command("replay", epilog="""
\b
Examples:
  reversald-fleet replay T0000001 --from-seq 120 --fleet demo --broker mqtt://127.0.0.1 \\
      --signing-key fleet.key --wait
""" + NOTES)  # fmt: skip
@click.argument("sn")
@click.option("--from-seq", required=True, type=click.IntRange(min=1), metavar="N", help="The first entry to be sent again.")
@_order_options
@click.option("--wait", is_flag=True, help="Wait for the terminal's answer.")
def replay(*, sn: str, from_seq: int, wait: bool, **more: Any) -> None:
    """Have the terminal SN send its events again, from entry N on. Who keeps events takes each once."""
    _one(sn, ("replay", {"from_seq": from_seq}), wait=wait, **more)


@click.command("settle", epilog="""
\b
Examples:
  reversald-fleet settle 20260302.csv --database fleet.db --fleet demo \\
      --broker mqtt://127.0.0.1 --signing-key fleet.key
  reversald-fleet settle 20260302.txt --layout acquirer.toml --database fleet.db --fleet demo \\
      --broker mqtt://127.0.0.1 --signing-key fleet.key
\b
Each terminal gets its own lines, whole or not at all; a terminal without a line gets
the dates, since a missing file keeps its questions open. A line that cannot be read
is named by its number, and then nothing is sent. Sending a file again changes nothing.
""" + NOTES)  # fmt: skip
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--database", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The database of `serve`, which knows the terminals by their terminal id (F41).")  # fmt: skip
@click.option("--layout", "layout_file", type=click.Path(path_type=Path), metavar="FILE", help="TOML description of the file.")
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column means what; may be repeated.")
@click.option("--encoding", type=click.Choice(["auto", "utf-8", "gbk"]), help="The file's encoding; found out by default.")
@click.option("--covers", multiple=True, type=click.Choice(get_args(statementlayout.Source)),
              help="Whose settlement it is; may be repeated. By default the layout's, else the card acquirer's.")  # fmt: skip
@click.option("--date", "dates", multiple=True, metavar="DATE", help="A settlement date it covers, for a file without lines.")
@_order_options
def settle(
    *, file: Path, database: Path, layout_file: Path | None, columns: tuple[str, ...], encoding: str | None,
    covers: tuple[str, ...], dates: tuple[str, ...], fleet: str | None, lang: Lang, **more: Any,
) -> None:  # fmt: skip
    """Send the acquirer's settlement FILE to the terminals that it is about."""
    content = _content(file, layout_file, columns, encoding, lang)
    covers = covers or content.covers
    if not covers and content.has_orders:
        raise OrderError(f"{file} has order numbers: say whose settlement it is with --covers")
    if not database.exists():
        raise OrderError(f"{database} is not there: name the database of `reversald-fleet serve`, which knows the terminals")
    store = SqliteStore(database)
    try:
        known = store.terminal_ids(_named(fleet))
    finally:
        store.close()
    if None in content.by_terminal:
        raise OrderError(f"{file}: it does not say which terminal a line is about; name that column with --column terminal_id=…")
    strangers = {name: len(lines) for name, lines in content.by_terminal.items() if name not in known}
    for name, count in strangers.items():
        en = f"terminal id {name}: not known, {count} lines not sent"
        say(f"终端号 {name}: 无此终端,{count} 行未发" if lang == "zh" else en)
    covered = sorted({*content.dates, *dates})
    if not covered:
        raise OrderError("a file without lines needs --date: the settlement dates that it covers")
    lines = content.by_terminal
    jobs = {sn: parts(lines.get(terminal_id, []), covered, file, covers) for terminal_id, sn in known.items()}
    code = _run(jobs, fleet=fleet, lang=lang, **more)
    raise click.exceptions.Exit(code or (REFUSED if strangers else 0))


@click.group("key")
def key() -> None:
    """Keys that sign commands."""


@key.command("new", epilog="""
\b
Examples:
  reversald-fleet key new fleet.key --name "service desk" >> command-keys
""" + NOTES)  # fmt: skip
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", "whose", default="", metavar="WHOSE", help="Whose key it is, for whoever reads the list.")
def new(*, file: Path, whose: str) -> None:
    """Make a private key in FILE (mode 0600) and print the public line for `mqtt.command_keys_file`."""
    if len(whose) > 80 or not whose.isprintable():
        raise click.UsageError("--name takes at most 80 printable characters")
    show(signing.make(file).line(whose))


def arguments(name: str, words: Words) -> dict[str, Any]:
    """KEY=VALUE pairs as the arguments of a command. Raises OrderError naming what is wrong."""
    given: dict[str, Any] = {}
    for word in words:
        label, equals, value = word.partition("=")
        if not equals:
            raise OrderError(f"{word}: write it as KEY=VALUE")
        if ARGUMENTS[name] is Change and "." in label:
            given.setdefault("set", {})[label] = _value(value)
        else:
            given[label] = value
    try:
        return msgspec.to_builtins(msgspec.convert(given, ARGUMENTS[name], strict=False))  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise OrderError(f"{name}: {error}") from None


def _value(text: str) -> str | int | bool:
    """As it would be written in the file; a text needs its quotes only where it would be a number."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, str | int) else text


def parts(bookings: list[statementfile.Booking], dates: list[str], file: Path, covers: tuple[str, ...] = ()) -> list[Order]:
    """The orders by which one terminal gets its lines: the last one brings the whole into force."""
    lines = [msgspec.to_builtins(booking) for booking in bookings]
    name = f"{file.name[:24]}#{hashlib.sha256(msgspec.json.encode([lines, dates, covers])).hexdigest()[:8]}"
    chunks = [lines[at : at + PART_LINES] for at in range(0, len(lines), PART_LINES)] or [[]]
    told = {"covers": covers} if covers else {}
    return [
        ("settle", {"statement": name, "dates": dates, "verdicts": chunk, "part": number, "parts": len(chunks)} | told)
        for number, chunk in enumerate(chunks, start=1)
    ]


def _content(
    file: Path, layout_file: Path | None, columns: tuple[str, ...], encoding: str | None, lang: Lang
) -> statementfile.Content:
    try:
        content = statementfile.read(file, statementlayout.load(layout_file, columns, encoding, lang), None)
    except statementlayout.LayoutError as error:
        raise OrderError(str(error)) from None
    except statementfile.BadFile as error:
        raise OrderError(f"{file}: {error.zh if lang == 'zh' else error.en}") from None
    except OSError as error:
        raise OrderError(f"{file}: {error.strerror}") from None
    if content.bad:
        told = [f"{bad.line}: {bad.zh if lang == 'zh' else bad.en}" for bad in content.bad[: statementfile.BAD_TOLD_MAX]]
        said = "行有误,未发送" if lang == "zh" else "lines cannot be read, nothing was sent"
        raise OrderError(f"{file}: {len(content.bad)} {said}: " + "; ".join(told))
    return content


def _named(fleet: str | None) -> str:
    if fleet is None:
        raise click.UsageError("--fleet: name the fleet; it is part of what is signed")
    return fleet


def _one(sn: str, order: Order, *, wait: bool, **more: Any) -> None:
    channel_topics([Channel.CMD], _named(more["fleet"]), sn)  # is it a name at all?
    raise click.exceptions.Exit(_run({sn: [order]}, **more) if wait else _leave(sn, order, **more))


def _link(topics: list[str], more: dict[str, Any]) -> Link:
    address = parse(more["broker"], more["ca"], more["cert"], more["key"])
    return Link(address, f"order-{uuid4().hex[:12]}", topics, say, give_up_s=more["give_up"], retry_s=more["retry"])


def _leave(sn: str, order: Order, *, signing_key: Path, valid: float, fleet: str, **more: Any) -> int:
    """Hand it to the broker, and no more."""
    command = signing.load(signing_key).command(fleet, sn, *order, valid)
    link = _link([], more)
    try:
        with until_told(link) as told:
            sent = False
            while not told and not link.answers:
                if link.connected and not sent:
                    send(link, command)
                    sent = True
                link.get(0.1)
    finally:
        link.close()
    code = link.answers[0] if link.answers else None
    if code is None or code == NO_MATCHING_SUBSCRIBERS or code >= 0x80:
        say(f"{sn}: " + _undelivered(code, more["lang"]))
        return UNREACHED
    show(encode(command).decode() if more["as_json"] else command.id)
    return 0


def _undelivered(code: int | None, lang: Lang) -> str:
    if code == NO_MATCHING_SUBSCRIBERS:
        return "无人接收:终端离线或未启用命令" if lang == "zh" else "nobody listens: it is offline, or takes no commands"
    return "代理服务器未接收" if lang == "zh" else f"the broker did not take it ({code})"


def _run(
    jobs: dict[str, list[Order]], *, signing_key: Path, valid: float, fleet: str | None, as_json: bool, lang: Lang, **more: Any
) -> int:
    """Send, wait, show; the exit code."""
    signer, fleet = signing.load(signing_key), _named(fleet)
    sn = next(iter(jobs)) if len(jobs) == 1 else None
    link = _link(channel_topics([Channel.RSP], fleet, sn), more)

    def heard(response: Response) -> None:
        if as_json:
            show(encode(response).decode())
        elif response.status == "running":
            for entry in response.d.get("entries", []):
                show(msgspec.json.encode(entry).decode())

    outcomes: list[Outcome] = []
    try:
        with until_told(link) as told:
            for outcome in Dispatch(link, signer, fleet, valid, heard).run(jobs, lambda: bool(told)):
                outcomes.append(outcome)
                if not as_json:
                    _tell(outcome, lang)
    finally:
        link.close()
    silent = len(outcomes) < len(jobs) or any(outcome.status == "silent" for outcome in outcomes)
    return REFUSED if any(outcome.status == "rejected" for outcome in outcomes) else SILENT if silent else 0


def _tell(outcome: Outcome, lang: Lang) -> None:
    if outcome.status == "silent" or outcome.response is None:
        say(f"{outcome.sn}: " + ("未应答" if lang == "zh" else "no answer in time"))
        return
    show(response_line(outcome.response, lang))
    result = outcome.response.d.get("result")
    if isinstance(result, dict) and any(isinstance(value, dict | list) for value in result.values()):
        show(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
