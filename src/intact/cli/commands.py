"""Acts. Which commands are there, which options do they share, and what did somebody type?"""

import importlib
import math
from pathlib import Path
from types import MappingProxyType

import click

from intact import __version__
from intact.cli.pages import documentation, page_of
from intact.cli.screen import Screen
from intact.cli.session import LOCK_TIMEOUT, Session
from intact.model.errors import UsageError

__all__ = ["pkg", "run_any"]

# Modules are loaded by the command that needs them: `pkg list` must not wait for a signature library.
_COMMANDS = MappingProxyType(
    {
        "build": "intact.cli.publishing",
        "sign": "intact.cli.publishing",
        "inspect": "intact.cli.inspecting",
        "key": "intact.cli.keys",
        "install": "intact.cli.changing",
        "remove": "intact.cli.changing",
        "rollback": "intact.cli.changing",
        "recover": "intact.cli.changing",
        "list": "intact.cli.asking",
        "info": "intact.cli.asking",
        "files": "intact.cli.asking",
        "owner": "intact.cli.asking",
        "history": "intact.cli.history",
        "config": "intact.cli.asking",
        "verify": "intact.cli.asking",
        "ps": "intact.cli.using",
        "repair": "intact.cli.repairing",
        "rescue": "intact.cli.repairing",
        "place": "intact.cli.placing",
        "produce": "intact.cli.placing",
        "probe": "intact.cli.probing",
        "completion": "intact.cli.completing",
    }
)


_STEPS = "\n\n\b\nStep by step: "  # \b: click is not to break the line at a hyphen of the path


def _leads_on(command: click.Command, page: Path | None) -> None:
    """Let the help of a command end with the page that says more."""
    if page is not None:
        above, _, _ = (command.epilog or "").partition(_STEPS)
        command.epilog = f"{above}{_STEPS}{page}"
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            _leads_on(inner, page)


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).COMMANDS[cmd_name]
        _leads_on(command, page_of(cmd_name))
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lead to the pages that say more than a line."""
        if (place := documentation()) is not None:
            with formatter.section("Step by step"):
                formatter.write_dl(
                    [(f"{place / 'how-to'}/", "a page for each task"), (f"{place}/", "all pages")]
                )


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 <= value < math.inf:  # false for nan, too
        raise click.BadParameter("must be a number of seconds, 0 or more")
    return value


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root",
    default="/",
    envvar="PKG_ROOT",
    show_default=True,
    metavar="DIR",
    help="The tree to manage (PKG_ROOT).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.option("--quiet", "-q", is_flag=True, help="Print results and errors only.")
@click.option(
    "--lock-timeout",
    default=LOCK_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    callback=_seconds,
    help="How long to wait for another pkg.",
)
@click.version_option(__version__, prog_name="pkg")
@click.pass_context
def pkg(ctx: click.Context, root: str, as_json: bool, quiet: bool, lock_timeout: float) -> None:  # noqa: FBT001  click
    """Install signed bundles: whole files only, all or nothing, and always a way back."""
    ctx.obj = Session(root, Screen(as_json=as_json, quiet=quiet), lock_timeout)


def run_any(arguments: list[str], screen: Screen) -> int:
    """Run one command line; return its exit code.

    Args:
        screen: where mistakes of whoever typed it are told.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    try:
        code = pkg.main(arguments, prog_name="pkg", standalone_mode=False)
    except click.ClickException as error:
        return _misused(screen, error)
    except click.exceptions.Abort as abort:  # what click makes of a KeyboardInterrupt
        cause = abort.__cause__ or abort.__context__
        raise (cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt) from None
    return code if isinstance(code, int) else 0


def _misused(screen: Screen, error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "pkg"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if not screen.as_json:
            error.show()
            return UsageError.exit_code
        return _told(screen, UsageError("a command is missing", remedy=f"{command} --help"))
    usage = context.get_usage().split("\n") if context is not None else []
    return _told(screen, UsageError(error.format_message(), details=usage, remedy=f"{command} --help"))


def _told(screen: Screen, error: UsageError) -> int:
    screen.error(error)
    return error.exit_code
