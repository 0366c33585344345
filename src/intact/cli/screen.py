"""Acts. What goes to standard output, what to standard error, and when does a progress bar appear?

Standard output gets results: text, or with ``--json`` exactly one JSON document. Everything else goes to standard
error. A bar appears on a terminal only, after one second. A reader that has seen enough (``pkg list | head``) is no
error; a full disk behind standard output is.
"""

import errno
import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from intact.cli.endings import OutputLost
from intact.cli.words import error_lines, shown
from intact.model.errors import IntactError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressBar", "Screen", "finish_output"]

_PATIENCE = 1.0
_INTERVAL = 0.1  # seconds between two pictures of the bar


def finish_output(stream: TextIO) -> None:
    """Write what is buffered; what does not go away goes nowhere, or Python would fail with it at its exit."""
    try:
        stream.flush()
    except OSError:  # it has been told, as far as somebody can be told
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Screen:
    """Where this command writes."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def result(self, document: dict[str, Any], lines: "list[str]") -> None:
        """Print what was asked: as JSON, or as lines (already escaped).

        Raises:
            OutputLost: standard output does not take it.
        """
        text = json.dumps(document, indent=2, ensure_ascii=True) if self.as_json else "\n".join(lines)
        if not text:
            return
        try:
            print(text, flush=True)
        except BrokenPipeError:
            finish_output(sys.stdout)
        except OSError as error:
            finish_output(sys.stdout)
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            raise OutputLost(f"{name} ({error.strerror})") from error

    def done(self, document: dict[str, Any], lines: "list[str]") -> None:
        """Tell what was done: as `result`, but a quiet command has no lines for it."""
        self.result(document, [] if self.quiet else lines)

    def say(self, text: str) -> None:
        """Tell a person something that is not the result."""
        if not self.quiet:
            _tell(shown(text))

    def error(self, error: IntactError) -> None:
        """Tell what went wrong."""
        if self.as_json:
            document = {
                "error": {
                    "kind": type(error).__name__,
                    "message": error.message,
                    "path": error.path,
                    "details": list(error.details),
                    "remedy": error.remedy,
                    "root_state": error.root_state,
                    "errno": getattr(error, "errno_name", None),
                },
                "exit_code": error.exit_code,
            }
            with suppress(OutputLost):  # the lines say it, too
                self.result(document, [])
        for line in error_lines(error):
            _tell(line)


def _tell(line: str) -> None:
    """Write a line for a person; work is not given up because nobody listens."""
    with suppress(OSError):
        print(line, file=sys.stderr)


class ProgressBar:
    """Shows how far a phase is; callable as (phase, done, total)."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._since = time.monotonic()
        self._drawn = 0.0
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Note progress."""
        if not self._enabled or time.monotonic() - self._since < _PATIENCE:
            return
        if self._bar is None:
            # Imported here, because loading it takes longer than most commands run.
            from rich.console import Console  # noqa: PLC0415
            from rich.progress import Progress  # noqa: PLC0415

            # A thread that draws would keep the work from being shared among processes (`system/forks.py`).
            self._bar = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._bar.start()
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total)
        self._bar.update(self._tasks[phase], completed=done)
        if time.monotonic() - self._drawn >= _INTERVAL:
            self._drawn = time.monotonic()
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
