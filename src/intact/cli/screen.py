"""Acts. What goes to standard output, what to standard error, and when does a progress bar appear?

Standard output gets results: text, or with ``--json`` exactly one JSON document. Everything else goes to standard
error. A bar appears on a terminal only, after one second.
"""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from intact.cli.words import error_lines, shown
from intact.model.errors import IntactError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressBar", "Screen"]

_PATIENCE = 1.0


class Screen:
    """Where this command writes."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def result(self, document: dict[str, Any], lines: "list[str]") -> None:
        """Print the result: as JSON, or as lines (already escaped)."""
        if self.as_json:
            print(json.dumps(document, indent=2, ensure_ascii=True))
        else:
            for line in lines:
                print(line)

    def say(self, text: str) -> None:
        """Tell a person something that is not the result."""
        if not self.quiet:
            print(shown(text), file=sys.stderr)

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
            print(json.dumps(document, indent=2, ensure_ascii=True))
        for line in error_lines(error):
            print(line, file=sys.stderr)


class ProgressBar:
    """Shows how far a phase is; callable as (phase, done, total)."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._since = time.monotonic()
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

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total)
        self._bar.update(self._tasks[phase], completed=done)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
