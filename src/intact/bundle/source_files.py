"""Acts. What does a file look like before it is packed, and is it still that one?

As tar and rsync do it: a file whose size and times are as they were has not been written to. The kernel gives a file
its time when somebody writes, from a clock that ticks every 1 to 10 ms.
"""

import os
import time
from pathlib import Path
from typing import BinaryIO

from intact.system.reading import insist_on_file

__all__ = ["Seen", "look", "open_source", "seen_open", "wait_past"]

Seen = tuple[int, int, int]
"""Size, and the times of the last write and of the last change, in nanoseconds."""

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_TICKS = 20_000_000  # nanoseconds: two of the longest


def look(path: Path) -> Seen:
    """Describe a file; raises OSError if it is no regular file, or cannot be read."""
    fd = os.open(path, _READ)
    try:
        return _seen(insist_on_file(fd))
    finally:
        os.close(fd)


def open_source(path: Path) -> BinaryIO:
    """Open a file for reading; waits for nobody, whatever it has become."""
    return open(path, "rb", buffering=0, opener=_without_waiting)


def _without_waiting(path: str, _flags: int) -> int:
    return os.open(path, _READ)


def seen_open(content: BinaryIO) -> Seen:
    """Describe a file that is open."""
    return _seen(os.fstat(content.fileno()))


def wait_past(changed: int) -> None:
    """Wait until whoever writes gives a file a later time than this one.

    Args:
        changed: the latest change of all files, in nanoseconds.
    """
    if time.time_ns() - changed < _TICKS:
        time.sleep(_TICKS / 1e9)


def _seen(status: os.stat_result) -> Seen:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
