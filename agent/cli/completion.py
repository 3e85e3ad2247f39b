"""`reversald completion`: the script that makes a shell complete commands and options."""

import click

from agent.completionscript import SHELLS, script


@click.command(
    epilog="""\b
Examples:
  reversald completion bash > /etc/bash_completion.d/reversald
  reversald completion zsh > "${fpath[1]}/_reversald"
  reversald completion fish > ~/.config/fish/completions/reversald.fish
"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell."""
    click.echo(script(ctx.find_root().command, "reversald", shell))
