"""`reversald`: the daemon straight away, every other command through the command line, and the last guard around both.

The daemon stays in memory for years. Where its options are written out, as in its unit file, it is started without the command
line, whose library and words it never needs. The command line knows `run` as well: for help, mistakes and completion.
"""

import logging
import os
import sys

from agent import exits

# In both languages: when all else failed, nothing more is loaded to choose one.
_DEFECT = (
    "程序缺陷({kind}),未完成;设 REVERSALD_TRACE=1 重试可得详情 "
    "/ a defect of the program ({kind}), this was not finished; REVERSALD_TRACE=1 shows the details"
)


def main() -> None:
    """The console script. A terminal whose encoding cannot show a character gets a question mark, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _daemon(sys.argv[1:])
        if code is None:
            from agent.cli.commands import cli

            code = cli.main(prog_name="reversald")
    except KeyboardInterrupt:  # before the daemon was up; the command line knows its own
        code = exits.TRY_LATER
    except Exception as error:  # the last guard: a trace on a screen helps no cashier, and could show what must not be shown
        if os.environ.get("REVERSALD_TRACE"):
            raise
        if logging.getLogger().handlers:  # the daemon's own log, which masks
            logging.getLogger("reversald").critical("the agent ends by a defect", exc_info=error)
        print("reversald:", _DEFECT.format(kind=type(error).__name__), file=sys.stderr)
        code = exits.UNAVAILABLE
    sys.exit(code)


def _daemon(words: list[str]) -> int | None:
    """Run the daemon where these words call it in the plain form; its exit code, or None."""
    if words[:1] != ["run"]:
        return None
    from agent import service

    options = service.written_out(words[1:])
    return None if options is None else service.run(options)


if __name__ == "__main__":
    main()
