"""Acts. What do all commands share: options, root, clock, history's command line?"""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from intact.cli.screen import ProgressBar, Screen
from intact.cli.surroundings import code_of_others
from intact.model.errors import UsageError
from intact.model.paths import PathFault, RelPath
from intact.model.values import dataclass
from intact.operations.root import Environment, Root, open_root

__all__ = ["LOCK_TIMEOUT", "Session", "root_path"]

LOCK_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Session:
    """The global options of one command line."""

    root_path: str
    screen: Screen
    lock_timeout: float = LOCK_TIMEOUT

    @contextmanager
    def root(self) -> Iterator[Root]:
        """Open the root."""
        with open_root(self.root_path) as root:
            yield root

    @contextmanager
    def environment(self, *, changing: bool = True) -> Iterator[Environment]:
        """Give an operation its surroundings, and show its progress; warn who could have changed what root runs."""
        if changing and self.root_path == "/" and os.geteuid() == 0:
            for one in code_of_others():
                self.screen.say(f"warning: the code of pkg is not root's alone: {one}")
        bar = ProgressBar(enabled=not self.screen.quiet)
        try:
            yield Environment(
                command="pkg " + shlex.join(sys.argv[1:]), lock_timeout=self.lock_timeout, progress=bar
            )
        finally:
            bar.close()


def root_path(text: str, root: Root) -> RelPath:
    """Turn a path as people type it (absolute in the root, or with the root in front) into one of the root.

    Raises:
        UsageError: it is no path that could be in a package.
    """
    top = root.path.rstrip("/") + "/"
    inner = text[len(top) :] if len(top) > 1 and text.startswith(top) else text
    try:
        return RelPath.parse(inner.strip("/"))
    except PathFault as fault:
        raise UsageError(f"{fault}", path=text, remedy="give a path such as /usr/bin/hello") from fault
