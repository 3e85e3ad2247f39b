"""The script that makes a shell complete the commands and options of a program; shared with the fleet."""

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")


def script(program: click.Command, name: str, shell: str) -> str:
    """For one of SHELLS. The program answers to a variable that click makes of its name: `_REVERSALD_COMPLETE`."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    complete = kind(program, {}, name, f"_{name.replace('-', '_')}_COMPLETE".upper())
    # Not `source()`: for bash that starts a shell to look at its version, and the script itself does not need to know.
    return complete.source_template % complete.source_vars()
