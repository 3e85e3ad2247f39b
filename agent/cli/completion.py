"""`reversald completion`: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_REVERSALD_COMPLETE"


@click.command(
    epilog="""\b
Examples:
  reversald completion bash > /etc/bash_completion.d/reversald
  reversald completion zsh > "${fpath[1]}/_reversald"
  reversald completion fish > ~/.config/fish/completions/reversald.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    complete = kind(ctx.find_root().command, {}, "reversald", _VARIABLE)
    # Not `source()`: for bash that starts a shell to look at its version, and the script itself does not need to know.
    click.echo(complete.source_template % complete.source_vars())
