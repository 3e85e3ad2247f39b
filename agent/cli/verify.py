"""`reversald verify`: is the journal whole, do the rows follow from it, and is it the one whose head somebody noted?"""

import re

import click

from agent import exits
from agent.cli.base import Call, common, emit
from agent.cli.progress import Progress
from agent.incident import printable
from agent.journal.audit import Audit, Finding, audit
from agent.journal.reader import Head

_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-fA-F]{64})")


@click.command(
    epilog="""\b
Examples:
  reversald verify
  reversald verify --head 27:5b0c…   a head that was noted earlier, or that the fleet holds

\b
Exit code 0 when everything holds, 74 when something is damaged.
"""
)
@click.option("--head", metavar="NUMBER:HASH", help="An older head: proves that nothing after it was cut off or made anew.")
@common
def verify(call: Call, *, head: str | None) -> None:
    """Check the database pages, the hash chain, and that replaying the journal makes the same rows."""
    known = _head(call, head)
    progress = Progress(call.say("progress_verify"))
    with call.journal() as reader:
        result = audit(reader, known, progress)
    progress.finish()
    if call.as_json:
        emit(
            {
                "ok": not result.findings, "entries": result.entries, "rows": result.rows, "replayed": result.replayed,
                "head": result.head, "findings": result.findings,
            }
        )
    else:
        _print(call, result)
    click.get_current_context().exit(exits.STORAGE if result.findings else exits.DONE)


def _head(call: Call, text: str | None) -> Head | None:
    if text is None:
        return None
    match = _HEAD.fullmatch(text)
    if match is None:
        raise call.fail(exits.USAGE, "bad_head")
    return Head(int(match[1]), match[2].lower())


def _print(call: Call, result: Audit) -> None:
    if not result.findings:
        click.echo(call.say("whole", entries=result.entries, rows=result.rows))
        click.echo(call.say("head", seq=result.head.seq, hash=result.head.hash))
        click.echo(call.say("keep_head"))
        return
    click.echo(call.say("found", count=len(result.findings)))
    for finding in result.findings:
        click.echo(f"  {_place(call, finding)}: {call.say(f'f_{finding.kind}', detail=printable(finding.detail))}")
    if not result.replayed:
        click.echo(call.say("not_replayed"))


def _place(call: Call, finding: Finding) -> str:
    return call.say("at_entry", seq=finding.seq) if finding.seq else call.say("at_rows")
