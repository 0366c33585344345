"""Acts. How does a shell learn to complete our commands?"""

import click
from click.shell_completion import get_completion_class

from intact.cli.session import Session

__all__ = ["COMMANDS"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def _completion(ctx: click.Context, shell: str) -> int:
    """Print a completion script: `pkg completion bash > /etc/bash_completion.d/pkg`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(shell)
    script = kind(ctx.find_root().command, {}, "pkg", "_PKG_COMPLETE").source()
    session = ctx.find_object(Session)
    if session is None:
        raise AssertionError
    session.screen.result({"shell": shell, "script": script}, script.splitlines())
    return 0


COMMANDS = {"completion": _completion}
