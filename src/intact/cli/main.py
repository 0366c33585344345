"""Acts. Which command did somebody type, and with which exit code does it end?"""

import importlib
import signal
import sys
from types import FrameType, MappingProxyType

import click

from intact import __version__
from intact.cli.screen import Screen
from intact.cli.session import Session
from intact.model.errors import IntactError, machine_error

__all__ = ["main", "pkg", "run_command"]

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
        "verify": "intact.cli.checking",
        "completion": "intact.cli.completing",
    }
)


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).COMMANDS[cmd_name]
        return command


class _Terminated(KeyboardInterrupt):
    """SIGTERM came; everything is tidied up as for Ctrl-C."""


def _on_sigterm(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


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
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another pkg.",
)
@click.version_option(__version__, prog_name="pkg")
@click.pass_context
def pkg(ctx: click.Context, root: str, as_json: bool, quiet: bool, lock_timeout: float) -> None:  # noqa: FBT001  click
    """Install signed bundles: whole files only, all or nothing, and always a way back."""
    ctx.obj = Session(root, Screen(as_json=as_json, quiet=quiet), lock_timeout)


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; return its exit code and let no error out."""
    screen = Screen(as_json="--json" in arguments, quiet=False)
    try:
        code = pkg.main(arguments, prog_name="pkg", standalone_mode=False)
    except IntactError as error:
        screen.error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Abort as abort:  # what click makes of a KeyboardInterrupt
        return _interrupted(143 if isinstance(abort.__cause__, _Terminated) else 130)
    except KeyboardInterrupt:
        return _interrupted(130)
    except BrokenPipeError:
        return 1
    except OSError as error:  # one that no layer has translated; better a line than a traceback
        told = machine_error("pkg", error, str(error.filename) if error.filename else None)
        told.root_state = "not known; `pkg recover --status` tells"
        screen.error(told)
        return told.exit_code
    return code if isinstance(code, int) else 0


def _interrupted(code: int) -> int:
    print(
        "pkg: interrupted; what had begun was undone or completed (`pkg history` tells which)",
        file=sys.stderr,
    )
    return code
