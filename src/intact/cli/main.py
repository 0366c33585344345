"""Acts. Which command did somebody type, and with which exit code does it end?"""

import gc
import importlib
import math
import os
import signal
import sys
import threading
from io import TextIOWrapper
from pathlib import Path
from types import FrameType, MappingProxyType, TracebackType

import click

from intact import __version__
from intact.cli.endings import Interrupted, Signalled, Terminated
from intact.cli.pages import documentation, page_of
from intact.cli.screen import Screen, finish_output
from intact.cli.session import Session
from intact.cli.surroundings import settle_surroundings
from intact.cli.words import shown
from intact.model.errors import IntactError, MachineError, UsageError
from intact.system.signals import POLITE

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


_MOMENT = 0.01  # seconds, until the finalizer is over


class _Ended(KeyboardInterrupt):
    """Another signal came; everything is tidied up as for Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _on_signal(number: int, _frame: FrameType | None) -> None:
    raise _Ended(number)


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
    default=10.0,
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


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # plans and manifests live until the end; to search them for garbage takes a quarter of the time
    settle_surroundings()
    sys.excepthook = _tell_mistake
    sys.unraisablehook = _end_all_the_same
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a character that the terminal cannot show must not stop us
            stream.reconfigure(errors="backslashreplace")
    # Held until there is somebody who can tell it in our words.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, POLITE)
    for number in POLITE:
        if number == signal.SIGTERM or signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one
            signal.signal(number, _on_signal)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = run_command(sys.argv[1:])
    except KeyboardInterrupt as interrupt:  # at the last moment, or a second one while the first was told
        code = _failed(Screen(as_json="--json" in sys.argv, quiet=False), _end_of(interrupt))
    for number in POLITE:
        signal.signal(number, signal.SIG_IGN)  # it has ended: too late for a signal to say otherwise
    finish_output(sys.stdout)
    finish_output(sys.stderr)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Let no other file become descriptor 0, 1 or 2 where one of them is closed: a journal is not for messages."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  the lowest number


def _tell_mistake(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show the traceback of a mistake of ours; in its text may be anybody's words."""
    import traceback  # noqa: PLC0415  seldom needed

    for line in "".join(traceback.format_exception(kind, error, trace)).split("\n"):
        print(shown(line), file=sys.stderr)


def _end_all_the_same(lost: "sys.UnraisableHookArgs") -> None:
    """Let a signal come again that Python has dropped: it raised in a finalizer or in a callback of an import."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = lost.exc_value.number if isinstance(lost.exc_value, _Ended) else signal.SIGINT
        again = threading.Timer(_MOMENT, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
    elif lost.exc_value is not None:
        _tell_mistake(lost.exc_type, lost.exc_value, lost.exc_traceback)


def run_command(arguments: list[str]) -> int:
    """Run one command line; return its exit code and let no error out."""
    screen = Screen(as_json="--json" in arguments, quiet=False)
    try:
        code = pkg.main(arguments, prog_name="pkg", standalone_mode=False)
    except IntactError as error:
        return _failed(screen, error)
    except click.ClickException as error:
        return _misused(screen, error)
    except click.exceptions.Abort as abort:  # what click makes of a KeyboardInterrupt
        return _failed(screen, _end_of(abort.__cause__ or abort.__context__))
    except KeyboardInterrupt as interrupt:
        return _failed(screen, _end_of(interrupt))
    except OSError as error:  # none of ours: `system` has made errors with a state of the root from those
        told = MachineError("the system refused", error, path=error.filename and str(error.filename))
        told.root_state = "`pkg recover --status` tells"
        return _failed(screen, told)
    return code if isinstance(code, int) else 0


def _end_of(interrupt: BaseException | None) -> Interrupted:
    """Tell what a signal has done; an operation that knows better than we do has said so."""
    state = str(interrupt or "")
    if not isinstance(interrupt, _Ended):
        return Interrupted(state)
    return Terminated(state) if interrupt.number == signal.SIGTERM else Signalled(interrupt.number, state)


def _failed(screen: Screen, error: IntactError) -> int:
    screen.error(error)
    return error.exit_code


def _misused(screen: Screen, error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "pkg"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if not screen.as_json:
            error.show()
            return UsageError.exit_code
        return _failed(screen, UsageError("a command is missing", remedy=f"{command} --help"))
    usage = context.get_usage().split("\n") if context is not None else []
    return _failed(screen, UsageError(error.format_message(), details=usage, remedy=f"{command} --help"))
