"""Acts. With which exit code does a command end, whatever happens?"""

import gc
import importlib
import os
import signal
import sys
import threading
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType, TracebackType

from intact.cli.endings import Interrupted, Signalled, Terminated
from intact.cli.plain import PlainLine, read_plain
from intact.cli.screen import Screen, finish_output
from intact.cli.session import Session
from intact.cli.surroundings import settle_surroundings
from intact.cli.words import shown
from intact.model.errors import IntactError, MachineError
from intact.system.signals import POLITE

__all__ = ["main", "run_command"]

_MOMENT = 0.01  # seconds, until the finalizer is over


class _Ended(KeyboardInterrupt):
    """Another signal came; everything is tidied up as for Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _on_signal(number: int, _frame: FrameType | None) -> None:
    raise _Ended(number)


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # plans and manifests live until the end; to search them for garbage takes a quarter of the time
    settle_surroundings()
    sys.excepthook = _tell_mistake
    sys.unraisablehook = _end_all_the_same
    _open_closed_streams()
    # Some start us with it ignored; then nobody could tell how a command that we run has ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    gc.freeze()  # nor for garbage at the end: a sixth of the time of `pkg list`
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
        line = read_plain(arguments, os.environ)
        return _run_any(arguments, screen) if line is None else _run_plain(line)
    except IntactError as error:
        return _failed(screen, error)
    except KeyboardInterrupt as interrupt:
        return _failed(screen, _end_of(interrupt))
    except OSError as error:  # none of ours: `system` has made errors with a state of the root from those
        told = MachineError("the system refused", error, path=error.filename and str(error.filename))
        told.root_state = "`pkg recover --status` tells"
        return _failed(screen, told)


def _run_plain(line: PlainLine) -> int:
    module = importlib.import_module(line.command.module)
    session = Session(line.root, Screen(as_json=line.as_json, quiet=line.quiet))
    try:
        code: int = getattr(module, line.command.function)(session, *line.words)
    except KeyboardInterrupt:
        with suppress(OSError):
            print(file=sys.stderr)  # the terminal has written "^C"; click does the same
        raise
    return code


def _run_any(arguments: list[str], screen: Screen) -> int:
    from intact.cli.commands import run_any  # noqa: PLC0415  it takes longer to load than a plain line takes

    return run_any(arguments, screen)


def _end_of(interrupt: BaseException | None) -> Interrupted:
    """Tell what a signal has done; an operation that knows better than we do has said so (`system.signals`)."""
    state, *details = map(str, interrupt.args if interrupt is not None and interrupt.args else ("",))
    if not isinstance(interrupt, _Ended):
        return Interrupted(state, details)
    if interrupt.number == signal.SIGTERM:
        return Terminated(state, details)
    return Signalled(interrupt.number, state, details)


def _failed(screen: Screen, error: IntactError) -> int:
    screen.error(error)
    return error.exit_code
