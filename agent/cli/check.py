"""`reversald check-config F`: names file, key and reason of every mistake, before the daemon meets it."""

import click
import msgspec

from agent import exits
from agent.cli.base import guess
from agent.config import Config, ConfigError, Problem, file_problems, load
from agent.words import Lang


@click.command("check-config")
@click.argument("file", type=click.Path())
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Language of the answer; the file's own by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, file: str, lang: Lang | None, as_json: bool) -> None:
    """Check the configuration FILE. Exit code 0 when it is right, 78 when it is not."""
    config, problems = examine(file)
    warnings = config.warnings if config else ()
    language: Lang = lang or (config.terminal.lang if config else guess())
    if as_json:
        answer = {
            "ok": not problems,
            "file": file,
            "problems": [_plain(problem, language) for problem in problems],
            "warnings": [_plain(warning, language) for warning in warnings],
        }
        click.echo(msgspec.json.encode(answer))
    else:
        for problem in problems:
            click.echo(problem.line(language))
        for warning in warnings:
            click.echo(("提醒: " if language == "zh" else "warning: ") + warning.line(language))
        click.echo(_summary(language, len(problems)))
    ctx.exit(exits.CONFIGURATION if problems else exits.DONE)


def examine(file: str) -> tuple[Config | None, tuple[Problem, ...]]:
    """The settings, when they could be read, and every problem with them and with the files they name."""
    try:
        config = load(file)
    except ConfigError as error:
        return None, error.problems
    return config, tuple(file_problems(config))


def _plain(problem: Problem, lang: Lang) -> dict[str, str]:
    return {"file": problem.file, "key": problem.key, "reason": problem.reason(lang)}


def _summary(lang: Lang, count: int) -> str:
    if count:
        return f"配置有 {count} 处错误" if lang == "zh" else f"{count} mistake{'s' if count > 1 else ''}"
    return "配置正确" if lang == "zh" else "the configuration is right"
