"""`respool completion SHELL`: the script that makes a shell complete respool's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from respool.cli.exits import Exit
from respool.cli.talk import put


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> int:
    """Print the completion script for a shell. For bash, in ~/.bashrc: eval "$(respool completion bash)"."""
    found = get_completion_class(shell)
    assert found is not None
    put(found(ctx.find_root().command, {}, "respool", "_RESPOOL_COMPLETE").source())
    return int(Exit.DONE)
