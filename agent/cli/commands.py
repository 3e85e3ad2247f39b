"""The commands by name, each imported only when it is called, and every error as one line with its exit code."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from agent import __version__, exits
from agent.cli.base import Failure, guess
from agent.cli.texts import say
from agent.incident import printable
from agent.words import Lang


class Entry(NamedTuple):
    """Where a command lives, and what it is for."""

    module: str
    name: str
    help: str


COMMANDS: dict[str, Entry] = {
    "run": Entry("agent.cli.run", "run", "Run the agent. 运行程序。"),
    "status": Entry("agent.cli.status", "status", "The terminal at a glance. 终端状态一览。"),
    "incidents": Entry("agent.cli.read", "incidents", "What a person has to look at. 需要人处理的事件。"),
    "show": Entry("agent.cli.read", "show", "The story of one transaction. 一笔交易的经过。"),
    "tail": Entry("agent.cli.read", "tail", "The newest journal entries. 最新的日志。"),
    "export": Entry("agent.cli.export", "export", "Journal and rows as a file. 导出日志。"),
    "bundle": Entry("agent.cli.bundle", "bundle", "One page for the service desk. 客服资料单。"),
    "verify": Entry("agent.cli.verify", "verify", "Prove that the journal is whole. 核对日志完整。"),
    "print": Entry("agent.cli.printing", "print_group", "Test page, printer status, copies. 打印。"),
    "display": Entry("agent.cli.display", "display_group", "Customer display: test, status. 客显。"),
    "gate": Entry("agent.cli.gate", "gate", "May it be updated, settled, sent away? 现在可以升级、结算、送修吗?"),
    "settle": Entry("agent.cli.settle", "settle", "Settlement files, refunds. 对账文件与退款。"),
    "resolve": Entry("agent.cli.resolve", "resolve", "Close a case. 人工结案。"),
    "page": Entry("agent.cli.page", "page", "A link to the cashier's screen or the technician's page. 网页链接。"),
    "check-config": Entry("agent.cli.check", "command", "Check a configuration file. 检查配置文件。"),
    "simulate": Entry("agent.cli.simulate", "simulate", "Simulated peers to try against. 模拟对端。"),
    "completion": Entry("agent.cli.completion", "completion", "Completion for your shell. 命令补全。"),
}

EXAMPLES = """\b
Examples 示例:
  reversald status                  how is this terminal? 终端怎么样?
  reversald show 000123             what became of STAN 000123? 这笔怎么了?
  reversald incidents --open        what is still to be done? 还有什么要处理?
"""


class Commands(click.Group):
    """The group; importing it loads no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """The names, in the order people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now, or None."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), entry.name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called, or an error with the nearest names."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names of commands, without loading any."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=entry.help) for name, entry in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. A reader that has seen enough (`| head`) is no error."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(exits.DONE)
        return result

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run it, print an error as one line, and leave with the exit code that other programs rely on."""
        given = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            result = super().main(given, *rest, **extra)
        except Failure as failure:
            sys.exit(_told(failure.code, failure.message))
        except click.UsageError as error:
            sys.exit(_told(exits.USAGE, usage(error, _language(given))))
        except click.ClickException as error:
            sys.exit(_told(exits.USAGE, printable(error.format_message())))
        except click.Abort:
            sys.exit(_told(exits.TRY_LATER, say("interrupted", _language(given))))
        sys.exit(result if isinstance(result, int) else exits.DONE)


def usage(error: click.UsageError, lang: Lang) -> str:
    """A mistake in the command line, in one line. What was typed is masked: it may have been a card number."""
    near = ", ".join(getattr(error, "possibilities", None) or ())
    hint = say("near", lang, names=near) if near else ""
    param = getattr(error, "param", None)
    typed = max(param.opts, key=len) if isinstance(param, click.Option) else getattr(param, "human_readable_name", "")
    name = typed or getattr(error, "option_name", "")
    match error:
        case click.exceptions.NoSuchCommand():
            message = say("no_command", lang, name=printable(str(error.command_name)), near=hint)
        case click.NoSuchOption():
            message = say("no_option", lang, name=printable(error.option_name), near=hint)
        case click.exceptions.NoArgsIsHelpError():  # a group without the command: its whole help is no line
            assert error.ctx is not None
            group = error.ctx.command
            known = group.list_commands(error.ctx) if isinstance(group, click.Group) else []
            message = say("missing_value", lang, name="|".join(known))
        case click.MissingParameter():
            message = say("missing_value", lang, name=name)
        case click.BadParameter():
            message = say("bad_value", lang, name=name, reason=printable(error.message).rstrip("."))
        case _:
            message = printable(error.format_message()).rstrip(".")
    command = error.ctx.command_path if error.ctx is not None else "reversald"
    return say("usage", lang, message=message, command=command)


def _told(code: int, message: str) -> int:
    click.echo(f"reversald: {message}", err=True)
    return code


def _language(args: Sequence[str]) -> Lang:
    """The language that was asked for, when the command line could not be read as a whole."""
    for before, value in zip(["", *args], [*args, ""], strict=True):
        chosen = value.removeprefix("--lang=") if value.startswith("--lang=") else value if before == "--lang" else ""
        if chosen in {"zh", "en"}:
            return "zh" if chosen == "zh" else "en"
    return guess()


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"reversald {__version__}")
        ctx.exit(exits.DONE)


cli = Commands(
    name="reversald",
    help="Resolves one-sided accounts on card terminals: reversal, receipt, advice, incident log. 单边账自动处理。",
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=False,
    params=[
        click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version.")
    ],
)
